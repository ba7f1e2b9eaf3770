//! Texts made to harm: none may panic, overflow the stack or take long.

use std::time::{Duration, Instant};

use kalamdb_commons::limits::THREAD_STACK_BYTES;
use proptest::prelude::*;

use super::one;
use crate::{OPERATORS_MAX, SET_OPERATORS_MAX, parse};

/// Parses on a thread of bounded stack; whatever the answer is, it must come.
fn survives(sql: String) {
    let shown: String = sql.chars().take(60).collect();
    let started = Instant::now();
    let thread = std::thread::Builder::new()
        .stack_size(THREAD_STACK_BYTES)
        .spawn(move || {
            if let Ok(statements) = parse(&sql) {
                // Trees are cloned, printed and dropped by whoever plans them.
                let copies: Vec<String> = statements
                    .iter()
                    .map(|parsed| format!("{:?}", parsed.statement.clone()))
                    .collect();
                drop(copies);
            }
        })
        .unwrap();
    assert!(thread.join().is_ok(), "{shown}");
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{shown}: {took:?}");
}

#[test]
fn deep_nesting_is_answered() {
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("(SELECT ", "1", ")"),
        ("f(", "1", ")"),
        ("[", "1", "]"),
        ("{'a': ", "1", "}"),
        ("CAST(", "1", " AS INT)"),
        ("CASE WHEN ", "a", " THEN 1 END"),
        ("NOT ", "a", ""),
        ("- ", "1", ""),
        ("EXISTS (SELECT * FROM t WHERE ", "a", ")"),
        ("(1 + ", "1", ")"),
        ("INTERVAL ", "'1'", ""),
        ("a -> ", "b", ""),
        ("ARRAY[", "1", "]"),
        ("x.", "y", ""),
        ("STRUCT(", "1", ")"),
        ("a BETWEEN ", "1", " AND 2"),
        ("", "a", "[1]"),
        ("", "a", "::INT"),
        ("", "a", " IS NULL"),
        ("", "a", " COLLATE x"),
        ("", "a", " AT TIME ZONE 'x'"),
        ("", "a", ".b"),
        ("", "f", "()"),
    ] {
        for depth in [10, 40, 63, 100, 1_000, 50_000] {
            let sql = format!("SELECT {}{inner}{}", open.repeat(depth), close.repeat(depth));
            survives(sql);
        }
    }
}

#[test]
fn deep_tables_types_and_statements_are_answered() {
    for depth in [10, 63, 1_000, 50_000] {
        let types = ["ARRAY<", "STRUCT<a ", "LIST<", "STRUCT(a "];
        for open in types {
            let close = if open.ends_with('(') || open.contains('(') { ")" } else { ">" };
            let nested = format!("{}INT{}", open.repeat(depth), close.repeat(depth));
            survives(format!("CREATE TABLE t (a {nested})"));
            survives(format!("SELECT CAST(a AS {nested})"));
        }
        survives(format!("CREATE TABLE t (a INT{})", "[]".repeat(depth)));
        survives(format!("SELECT CAST(a AS INT{})", "[]".repeat(depth)));
        survives(format!("SELECT * FROM {}t{}", "(".repeat(depth), ")".repeat(depth)));
        survives(format!("{}SELECT 1{}", "(".repeat(depth), ")".repeat(depth)));
        survives(format!("{}SELECT 1", "EXPLAIN ".repeat(depth)));
        survives(format!("{}SELECT 1", "WITH a AS (".repeat(depth)));
        survives(format!("SELECT * FROM t{}", " JOIN t ON a = b".repeat(depth)));
        survives(format!("SELECT * FROM t{}", " JOIN t".repeat(depth)));
        survives(format!("FROM t{}", " |> WHERE a".repeat(depth)));
        survives(format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(depth)));
        survives(format!("INSERT INTO t VALUES {}(1)", "(1),".repeat(depth)));
        survives("SHOW TABLES;".repeat(depth));
        survives(";".repeat(depth));
        survives(format!("SELECT {}1", "/*".repeat(depth)));
        survives("\"".repeat(depth));
        survives("'".repeat(depth + 1));
        survives("$$".repeat(depth) + "$");
    }
}

#[test]
fn long_chains_are_accepted_up_to_the_limit() {
    for (chain, limit) in [
        (" + 1", OPERATORS_MAX),
        (" OR a", OPERATORS_MAX),
        (" AND b", OPERATORS_MAX),
        (" || 'x'", OPERATORS_MAX),
        ("::INT", OPERATORS_MAX),
    ] {
        survives(format!("SELECT 1{}", chain.repeat(limit)));
        let too_long = format!("SELECT 1{}", chain.repeat(limit + 1));
        assert!(parse(&too_long).unwrap_err().to_string().contains("too complex"), "{chain}");
    }
    survives(format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(SET_OPERATORS_MAX)));
    // Flat lists have no such limit.
    one(&format!("SELECT * FROM t WHERE a IN ({})", vec!["1"; 100_000].join(",")));
    one(&format!("INSERT INTO t VALUES {}", vec!["(1, -2, 'x')"; 30_000].join(", ")));
    let rows = "(a, b + 1, -3 * 4) ".replace(' ', "");
    one(&format!("VALUES {}", vec![rows; 20_000].join(",")));
}

/// Expressions that are malformed at the very end, so that every level is tried again.
#[test]
fn every_keyword_nested_is_answered_soon() {
    use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
    for keyword in ALL_KEYWORDS {
        let call = format!("{keyword} (");
        for sql in [
            format!("SELECT {}1", format!("{keyword} ").repeat(40)),
            format!("SELECT {}", call.repeat(60)),
            format!("SELECT {}1{}", call.repeat(60), ")".repeat(60)),
            format!("SELECT {}", format!("{keyword} a ").repeat(300)),
            format!("SELECT * FROM {}t", call.repeat(60)),
            format!("SELECT * FROM {}t", format!("{keyword} a ").repeat(60)),
            format!("INSERT INTO {}t", call.repeat(60)),
            format!("CREATE TABLE t (a {})", format!("{keyword}<").repeat(200)),
            format!("CREATE TABLE t (a INT DEFAULT {})", call.repeat(60)),
            format!("SELECT CAST(a AS {}", format!("{keyword}<").repeat(200)),
            format!("{keyword} ").repeat(20),
        ] {
            let started = Instant::now();
            let _ = parse(&sql);
            let took = started.elapsed();
            assert!(took < Duration::from_secs(5), "{sql}: {took:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_answered(sql in ".{0,200}") {
        if let Err(error) = parse(&sql) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn any_mix_of_words_is_answered(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "SELECT", "FROM", "t", "WHERE", "(", ")", ",", ".", "*", "1", "'x'", "?", "$1", "AND",
            "NOT", "IN", "INSERT", "INTO", "VALUES", "UPDATE", "SET", "=", "DELETE", "CREATE",
            "TABLE", "USER", "INT", "PRIMARY", "KEY", "DEFAULT", "NULL", "WITH", "AS", "DROP",
            "NAMESPACE", "SHOW", "EXPLAIN", "ARRAY", "<", ">", "[", "]", "::", ";", "\"q\"", "IF",
            "EXISTS", "UNION", "ALL", "ORDER", "BY", "LIMIT", "JOIN", "ON", "USING", "é", "--\n",
            "ALTER", "PASSWORD", "ROLE", "USE", "{", "}", ":", "INTERVAL", "CASE", "WHEN", "END",
        ]), 0..40))
    {
        let sql = words.join(" ");
        if let Err(error) = parse(&sql) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }
}
