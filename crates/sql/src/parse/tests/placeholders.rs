//! `?` and `$n`.

use super::{one, refusal};
use crate::{PARAMETERS_MAX, Statement};

fn query_text(sql: &str) -> (String, usize) {
    let parsed = one(sql);
    let Statement::Query(query) = parsed.statement else { panic!("{sql}") };
    (query.to_string(), parsed.parameter_count)
}

#[test]
fn question_marks_are_numbered_in_order() {
    for (sql, expected, count) in [
        ("SELECT ?", "SELECT $1", 1),
        ("SELECT ?, ? WHERE ? = 1", "SELECT $1, $2 WHERE $3 = 1", 3),
        ("SELECT ?||?", "SELECT $1 || $2", 2),
        ("SELECT -?", "SELECT -$1", 1),
        ("SELECT x FROM t WHERE a IN (?,?)", "SELECT x FROM t WHERE a IN ($1, $2)", 2),
        ("SELECT x FROM t LIMIT ? OFFSET ?", "SELECT x FROM t LIMIT $1 OFFSET $2", 2),
        ("SELECT $2, $1, $2", "SELECT $2, $1, $2", 2),
        ("SELECT 1", "SELECT 1", 0),
    ] {
        assert_eq!(query_text(sql), (expected.to_owned(), count), "{sql}");
    }
}

#[test]
fn question_marks_in_strings_names_and_comments_stay() {
    let sql = "SELECT '?' AS \"?\", 'it''s ?', $$ ? $$, ? -- ?\n, ? /* ? /* ? */ ? */";
    let parsed = one(sql);
    assert_eq!(parsed.parameter_count, 2);
    assert_eq!(parsed.text, "SELECT '?' AS \"?\", 'it''s ?', $$ ? $$, ? -- ?\n, ?");
}

#[test]
fn those_in_window_frames_are_known() {
    for (frame, ordinals) in [
        ("ROWS ? PRECEDING", &[2][..]),
        ("ROWS BETWEEN ? /* rows */ PRECEDING AND ? following", &[2, 3]),
        ("ROWS BETWEEN ? PRECEDING AND CURRENT ROW", &[2]),
        ("ROWS 1 PRECEDING", &[]),
    ] {
        let parsed = one(&format!("SELECT ?, sum(a) OVER (ORDER BY a {frame}) FROM t LIMIT ?"));
        assert_eq!(parsed.frame_parameters, ordinals, "{frame}");
    }
}

#[test]
fn wrong_parameters_are_refused() {
    for (sql, part) in [
        ("SELECT ?, $1", "mixed"),
        ("SELECT $1, ?", "mixed"),
        ("SELECT $1, $3", "parameter $2 is never used"),
        ("SELECT $0", "numbered from $1"),
        ("SELECT $name", "'$name' is no parameter"),
        ("SELECT :name", "':name' is no parameter"),
        ("SELECT ?1", "'?1' is no parameter"),
        ("SELECT $99999999999999999999", "number of parameters exceeds"),
        ("SHOW TABLES IN ?", "expected a namespace name"),
        ("CREATE TABLE t (a INT DEFAULT ?)", "takes no parameters"),
    ] {
        let message = refusal(sql).to_string();
        assert!(message.contains(part), "{sql}: {message}");
    }
    let many = format!("SELECT {}", vec!["?"; PARAMETERS_MAX + 1].join(","));
    assert!(refusal(&many).to_string().contains("number of parameters exceeds"));
    let most = format!("SELECT x IN ({})", vec!["?"; PARAMETERS_MAX].join(","));
    assert_eq!(one(&most).parameter_count, PARAMETERS_MAX);
}
