//! ON CONFLICT, RETURNING, and what stands between INSERT INTO and the rows.

use super::{refusal, statement};
use crate::{ConflictAction, InsertSource, InsertStatement, Statement};

fn insert(sql: &str) -> InsertStatement {
    match statement(sql) {
        Statement::Insert(insert) => *insert,
        Statement::Explain(explain) => match *explain.inner {
            Statement::Insert(insert) => *insert,
            other => panic!("{sql}: {}", other.name()),
        },
        other => panic!("{sql}: {}", other.name()),
    }
}

#[test]
fn the_alias_of_a_target_is_kept_wherever_insert_stands() {
    let with_alias = [
        "INSERT INTO t AS x VALUES (1)",
        "INSERT INTO ns.t AS X (a, b) SELECT 1, 2",
        "insert into kalam.ns.t as x default values",
        "INSERT INTO TABLE t AS x VALUES (1)",
        "EXPLAIN INSERT INTO t AS x VALUES (1)",
        "WITH q AS (SELECT 1) INSERT INTO t AS x SELECT * FROM q",
        "INSERT INTO t AS x TABLE u",
    ];
    for sql in with_alias {
        let alias = insert(sql).alias.map(|alias| alias.value.to_lowercase());
        assert_eq!(alias.as_deref(), Some("x"), "{sql}");
    }
    for sql in ["INSERT INTO t VALUES (1)", "INSERT INTO t SELECT a AS x FROM u AS x"] {
        assert!(insert(sql).alias.is_none(), "{sql}");
    }
}

#[test]
fn table_is_a_query_of_all_columns() {
    for sql in ["INSERT INTO t TABLE u", "INSERT INTO t (a, b) TABLE ns.\"U\""] {
        let InsertSource::Query(query) = insert(sql).source else { panic!("{sql}") };
        let name = if sql.contains("ns") { "ns.\"U\"" } else { "u" };
        assert_eq!(query.to_string(), format!("SELECT * FROM {name}"), "{sql}");
    }
}

#[test]
fn a_conflict_says_its_columns_and_what_becomes_of_the_row() {
    let nothing = insert("INSERT INTO t VALUES (1) ON CONFLICT (\"B\", a) DO NOTHING");
    let on = nothing.on_conflict.unwrap();
    assert_eq!(on.columns.unwrap(), ["B", "a"]);
    assert!(matches!(on.action, ConflictAction::Nothing));

    let sql = "INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = excluded.a, (b, t.c) = \
               (1, DEFAULT) WHERE t.a > 1 RETURNING a, b AS x";
    let update = insert(sql);
    assert_eq!(update.returning.len(), 2);
    let on = update.on_conflict.unwrap();
    assert!(on.columns.is_none());
    let ConflictAction::Update { assignments, predicate } = on.action else { panic!() };
    let set: Vec<&str> = assignments.iter().map(|set| set.column.as_str()).collect();
    assert_eq!(set, ["a", "b", "c"]);
    assert_eq!(predicate.unwrap().to_string(), "t.a > 1");
}

#[test]
fn malformed_conflicts_say_what_is_wrong() {
    let cases = [
        ("INSERT INTO t VALUES (1) ON CONFLICT (a, a) DO NOTHING", "named twice"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1, a = 2", "named twice"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET u.a = 1", "name the column alone"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE", "expected"),
        ("INSERT INTO t VALUES (1) ON CONFLICT", "expected"),
        ("INSERT INTO t VALUES (1) RETURNING", "expected"),
        ("DELETE FROM t RETURNING a RETURNING b", "expected"),
    ];
    for (sql, part) in cases {
        let message = refusal(sql).to_string();
        assert!(message.contains(part), "{sql}: {message}");
    }
}
