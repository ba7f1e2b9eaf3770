//! Ordinary queries pass as they are.

use super::{refusal, statement};
use crate::Statement;

fn text(sql: &str) -> String {
    let Statement::Query(query) = statement(sql) else { panic!("{sql}") };
    query.to_string()
}

#[test]
fn queries_of_every_shape_are_read() {
    for sql in [
        "SELECT * EXCEPT (a) FROM t",
        "SELECT * EXCLUDE (a, b) FROM n.t AS x",
        "SELECT count(*) FILTER (WHERE a > 1) FROM t",
        "SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT a FROM t GROUP BY ROLLUP (a) HAVING count(*) > 1 ORDER BY a DESC NULLS LAST LIMIT 3",
        "SELECT t.a FROM t LEFT JOIN s USING (id) JOIN LATERAL (SELECT 1) AS l ON true",
        "SELECT CASE WHEN a IS NULL THEN 1 ELSE 2 END, a::BIGINT, CAST(b AS TEXT[]) FROM t",
        "SELECT date '2024-01-01' + INTERVAL '1' DAY, extract(year FROM ts) FROM t",
        "SELECT [1, 2, 3][1], {'a': 1}, arr[1:2], j -> 'a' ->> 'b' FROM t",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (x, y)",
        "SELECT a FROM t WHERE a IN (SELECT b FROM s) AND EXISTS (SELECT 1 FROM s WHERE s.b = t.a)",
        "SELECT a FROM t EXCEPT SELECT b FROM s INTERSECT SELECT c FROM r",
        "SELECT * FROM generate_series(1, 10)",
        "SELECT _updated, _deleted, _row_id FROM t",
        "SELECT 'naïve 表' AS \"naïve 表\", E'a\\nb', U&'\\0061'",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a",
        "SELECT a FROM t QUALIFY row_number() OVER (ORDER BY a) = 1",
        "SELECT \"Q\".\"select\" FROM \"a b\".\"c\"\"d\" AS \"Q\"",
        "SELECT substring(a FROM 1 FOR 2), trim(BOTH 'x' FROM a), position('a' IN b) FROM t",
        "SELECT * FROM default.t, information_schema.tables",
        "SELECT a #> b FROM t",
        "SELECT user, t.user, CURRENT_USER, current_user() FROM t WHERE user = 'x'",
        "SELECT session_user, SESSION_USER(), current_catalog, CURRENT_CATALOG(), current_schema()",
        "SELECT count(*) AS name, id, type, date, time, value, key, status FROM t",
    ] {
        let _ = text(sql);
    }
}

#[test]
fn words_that_are_values_are_quoted_as_names() {
    for word in ["current_user", "session_user", "current_catalog"] {
        assert_eq!(crate::quote_name(word), format!("\"{word}\""));
    }
    assert_eq!(crate::quote_name("current_schema"), "current_schema");
}

#[test]
fn from_alone_selects_everything() {
    assert_eq!(text("FROM t"), "SELECT * FROM t");
    assert_eq!(text("FROM t SELECT a"), "FROM t SELECT a");
}

#[test]
fn fetch_first_is_limit() {
    assert_eq!(text("SELECT a FROM t FETCH FIRST 5 ROWS ONLY"), "SELECT a FROM t LIMIT 5");
    assert_eq!(text("SELECT a FROM t FETCH NEXT ROW ONLY"), "SELECT a FROM t LIMIT 1");
    assert_eq!(
        text("SELECT a FROM t OFFSET 2 ROWS FETCH FIRST 5 ROWS ONLY"),
        "SELECT a FROM t LIMIT 5 OFFSET 2 ROWS"
    );
    let message = refusal("SELECT a FROM t LIMIT 1 FETCH FIRST 5 ROWS ONLY").to_string();
    assert!(message.contains("use one of them"), "{message}");
}

/// Each WITH query uses the one before twice: ten of them stand for 1,024 scans, thirty for a
/// thousand million.
#[test]
fn with_queries_cannot_multiply_without_bound() {
    let doubling = |n: usize| {
        let mut sql = "WITH q0 AS (SELECT 1 AS x FROM t)".to_owned();
        for i in 1..=n {
            sql += &format!(", q{i} AS (SELECT a.x FROM q{0} a, q{0} b)", i - 1);
        }
        format!("{sql} SELECT * FROM q{n}")
    };
    let _ = text(&doubling(10));
    assert!(refusal(&doubling(30)).to_string().contains("number of tables in the query"));
    let nested = format!("SELECT * FROM ({}) x, ({}) y", doubling(9), doubling(10));
    assert!(refusal(&nested).to_string().contains("number of tables in the query"));
    // A name that is not used costs nothing, an inner name hides an outer one.
    let _ =
        text("WITH a AS (SELECT 1 FROM t) SELECT * FROM (WITH a AS (SELECT 2) SELECT * FROM a) x");
}

#[test]
fn a_from_of_too_many_tables_is_refused() {
    let sql = |n: usize| format!("SELECT 1 FROM {}", vec!["t"; n].join(", "));
    let _ = text(&sql(256));
    assert!(refusal(&sql(257)).to_string().contains("number of tables in one FROM"));
}
