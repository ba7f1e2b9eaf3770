//! Names, system columns and what they do to wildcards and joins.

use kalamdb_commons::{ErrorKind, Role};

use crate::test_database::{Database, principal, root};
use crate::{check_plan, kind_of};

async fn tables() -> Database {
    let database = Database::with_tables(&[
        "CREATE TABLE a (id INT PRIMARY KEY, x TEXT)",
        "CREATE TABLE b (id INT PRIMARY KEY, y TEXT)",
        "CREATE NAMESPACE other",
        "CREATE TABLE other.c (id INT PRIMARY KEY, z TEXT)",
    ]);
    database.execute("INSERT INTO a VALUES (1, 'a1'), (2, 'a2'), (3, 'a3')").await;
    database.execute("INSERT INTO b VALUES (2, 'b2'), (3, 'b3'), (4, 'b4')").await;
    database.execute("INSERT INTO other.c VALUES (1, 'c1')").await;
    database.execute("DELETE FROM a WHERE id = 3").await;
    database
}

fn columns(database: &Database, sql: &str) -> Vec<String> {
    let plan = database.plan(&root(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    plan.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[tokio::test]
async fn system_columns_answer_when_named_and_only_then() {
    let database = tables().await;
    let cases: [(&str, &[&str]); 14] = [
        ("SELECT * FROM a", &["id", "x"]),
        ("SELECT *, _updated FROM a", &["id", "x", "_updated"]),
        ("SELECT _deleted, a.* FROM a", &["_deleted", "id", "x"]),
        ("SELECT * FROM a WHERE _commit_seq > 0", &["id", "x"]),
        ("SELECT * FROM a ORDER BY _updated", &["id", "x"]),
        ("SELECT * FROM a JOIN b USING (id) WHERE a._commit_seq > 0", &["id", "x", "y"]),
        ("SELECT * FROM a NATURAL JOIN b WHERE a._commit_seq > b._commit_seq", &["id", "x", "y"]),
        ("SELECT * FROM a JOIN b ON a.id = b.id WHERE a._commit_seq > 0", &["id", "x", "id", "y"]),
        ("SELECT * EXCLUDE (x), _commit_seq FROM a", &["id", "_commit_seq"]),
        ("SELECT * REPLACE (upper(x) AS x), _commit_seq FROM a", &["id", "x", "_commit_seq"]),
        ("SELECT * FROM (SELECT *, _commit_seq AS s FROM a) t", &["id", "x", "s"]),
        ("WITH t AS (SELECT * FROM a WHERE _commit_seq > 0) SELECT * FROM t", &["id", "x"]),
        (
            "SELECT * FROM a WHERE EXISTS (SELECT * FROM b WHERE b._updated > a._updated)",
            &["id", "x"],
        ),
        ("SELECT * FROM a UNION ALL SELECT id, y FROM b WHERE _commit_seq > 0", &["id", "x"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(columns(&database, sql), expected, "{sql}");
        database.rows(sql).await;
    }
}

#[tokio::test]
async fn deleted_rows_appear_where_deleted_is_named() {
    let database = tables().await;
    let cases: [(&str, &[&str]); 9] = [
        ("SELECT id FROM a ORDER BY id", &["1", "2"]),
        ("SELECT id, _commit_seq > 0 FROM a ORDER BY id", &["1|true", "2|true"]),
        ("SELECT id, _deleted FROM a ORDER BY id", &["1|false", "2|false", "3|true"]),
        ("SELECT id FROM a WHERE NOT _deleted ORDER BY id", &["1", "2"]),
        // Of b nothing is deleted, and of a nothing deleted is shown.
        ("SELECT a.id FROM a JOIN b USING (id) WHERE NOT b._deleted", &["2"]),
        ("SELECT a.id FROM a JOIN b USING (id) WHERE a._deleted", &["3"]),
        ("SELECT id FROM a WHERE id IN (SELECT id FROM a WHERE _deleted)", &[]),
        ("SELECT b.id FROM b WHERE id IN (SELECT id FROM a WHERE _deleted)", &["3"]),
        (
            "SELECT b.id FROM b WHERE EXISTS (SELECT 1 FROM a WHERE a.id = b.id AND a._deleted)",
            &["3"],
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(database.rows(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_name_that_two_tables_answer_to_is_ambiguous() {
    let database = tables().await;
    let error = database.error("SELECT _updated FROM a JOIN b USING (id)").await;
    assert!(error.to_string().to_lowercase().contains("ambiguous"), "{error}");
    assert_eq!(kind_of(&error), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn internal_columns_cannot_be_named() {
    let database = tables().await;
    for sql in ["SELECT _location FROM a", "SELECT _image, _updated FROM a"] {
        let error = database.error(sql).await;
        assert_eq!(kind_of(&error), ErrorKind::InvalidInput, "{sql}: {error}");
    }
}

#[tokio::test]
async fn names_resolve_from_the_namespace_and_suggest_what_is_meant() {
    let database = tables().await;
    for sql in [
        "SELECT x FROM a",
        "SELECT x FROM default.a",
        "SELECT kalam.default.a.x, _updated FROM kalam.default.a",
        "SELECT a.x, _commit_seq FROM default.a",
    ] {
        assert_eq!(database.rows(sql).await.len(), 2, "{sql}");
    }
    assert_eq!(database.rows("SELECT z FROM other.c").await, ["c1"]);
    for (sql, part) in [
        ("SELECT * FROM other.cc", "'c'"),
        ("SELECT * FROM othr.c", "'other'"),
        ("SELECT * FROM system.table", "'tables'"),
        ("SELECT * FROM kalm.default.a", "'kalam'"),
    ] {
        let error = database.error(sql).await;
        assert_eq!(kind_of(&error), ErrorKind::NotFound, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{sql}: {error}");
    }
}

#[tokio::test]
async fn types_in_casts_are_those_of_columns() {
    let database = tables().await;
    let sql = "SELECT CAST('2024-01-02 03:04:05' AS TIMESTAMP), CAST('1' AS INT), \
               CAST(1 AS TEXT), TIMESTAMP '2024-01-02 03:04:06'";
    let plan = database.plan(&root(), sql).unwrap();
    let types: Vec<String> =
        plan.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Timestamp(µs)", "Int32", "Utf8", "Timestamp(µs)"]);
}

#[tokio::test]
async fn functions_of_our_own() {
    let database = tables().await;
    let ann = principal("ann", Role::User);
    assert_eq!(database.rows_as(&ann, "SELECT current_user(), current_role()").await, ["ann|user"]);
    assert_eq!(database.rows_as(&ann, "SELECT CURRENT_USER").await, ["ann"]);
    for (sql, expected) in [
        ("SELECT session_user", "ann"),
        ("SELECT user()", "ann"),
        ("SELECT current_schema(), current_database(), current_catalog", "default|kalam|kalam"),
        ("SELECT current_user() = 'ann' AND current_schema() = 'x' AS b", "false"),
        ("SELECT version()", concat!("KalamDB ", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(database.rows_as(&ann, sql).await, [expected], "{sql}");
    }
    let sql = "SELECT length(uuid_v7()::TEXT), length(ulid()), snowflake_id() > 0";
    assert_eq!(database.rows(sql).await, ["36|26|true"]);
}

#[tokio::test]
async fn text_stands_for_a_uuid() {
    let database = Database::with_tables(&["CREATE TABLE u (id UUID PRIMARY KEY, n INT)"]);
    let (one, two) =
        ("0189f7f1-1c6e-7cc4-8a5b-6f1f0d6a7b11", "0189f7f1-1c6e-7cc4-8a5b-6f1f0d6a7b12");
    database.execute(&format!("INSERT INTO u VALUES ('{one}', 1), ('{two}', 2)")).await;
    for condition in [
        format!("id = '{one}'"),
        format!("'{}' = id", one.to_uppercase()),
        format!("id IN ('{one}', '0189f7f1-1c6e-7cc4-8a5b-6f1f0d6a7bff')"),
        format!("id BETWEEN '{one}' AND '{one}'"),
        format!("id < '{two}'"),
        format!("id = CAST('{one}' AS UUID)"),
        format!("CAST(id AS TEXT) = '{one}'"),
        format!("id IN (SELECT id FROM u WHERE id = '{one}')"),
    ] {
        let sql = format!("SELECT n FROM u WHERE {condition}");
        assert_eq!(database.rows(&sql).await, ["1"], "{sql}");
    }
    let lookup = format!("SELECT n FROM u WHERE id = '{one}'");
    let plan = database.explain(&lookup).await;
    assert!(plan.contains("access=keys(1)"), "{plan}");
    let error = database.error("SELECT n FROM u WHERE id = 'x'").await;
    assert_eq!(kind_of(&error), ErrorKind::InvalidInput, "{error}");
    let plan = database.plan(&root(), "SELECT n FROM u WHERE id = $1").unwrap();
    let fields = plan.get_parameter_fields().unwrap();
    assert_eq!(fields["$1"].as_ref().unwrap().data_type().to_string(), "Utf8");
    assert_eq!(columns(&database, "SELECT CAST(id AS TEXT) FROM u"), ["CAST(id AS TEXT)"]);
}

#[tokio::test]
async fn explain_shows_the_plan_of_queries_and_changes() {
    let database = tables().await;
    let plan = database.rows("EXPLAIN UPDATE a SET x = 'n' WHERE id = 1").await.join("\n");
    assert!(plan.contains("update default.a") && plan.contains("access=keys(1)"), "{plan}");
    assert_eq!(database.rows("SELECT x FROM a WHERE id = 1").await, ["a1"]);
    let plan = database.rows("EXPLAIN ANALYZE SELECT * FROM a").await.join("\n");
    assert!(plan.contains("output_rows=2"), "{plan}");
    let plan = database.rows("EXPLAIN VERBOSE SELECT * FROM a WHERE id > 1").await.join("\n");
    assert!(plan.contains("bounds=[id > 1]"), "{plan}");
}

#[tokio::test]
async fn plans_of_other_kinds_are_refused() {
    let database = tables().await;
    let session = datafusion::prelude::SessionContext::new();
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "DROP TABLE IF EXISTS t",
    ] {
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        let error = check_plan(&plan).unwrap_err();
        assert_eq!(kind_of(&error), ErrorKind::Unsupported, "{sql}: {error}");
    }
    let plan = database.plan(&root(), "SELECT * FROM generate_series(1, 3)").unwrap();
    check_plan(&plan).unwrap();
    let copy = session.state().create_logical_plan("COPY (SELECT 1) TO '/tmp/x.csv'").await;
    if let Ok(plan) = copy {
        assert!(check_plan(&plan).is_err());
    }
}

#[tokio::test]
async fn queries_of_every_shape_plan_and_run() {
    let database = tables().await;
    let cases: [(&str, &[&str]); 9] = [
        (
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) \
          SELECT sum(i) FROM n",
            &["10"],
        ),
        (
            "WITH RECURSIVE n AS (SELECT id FROM a WHERE id = 1 UNION ALL \
          SELECT a.id FROM n JOIN a ON a.id = n.id + 1) SELECT count(*) FROM n",
            &["2"],
        ),
        ("SELECT (SELECT count(*) FROM b) AS n, count(*) FROM a", &["3|2"]),
        ("SELECT id, row_number() OVER (ORDER BY id DESC) FROM a ORDER BY id", &["1|2", "2|1"]),
        ("SELECT id FROM a EXCEPT SELECT id FROM b", &["1"]),
        ("SELECT a.id, t.y FROM a, LATERAL (SELECT y FROM b WHERE b.id = a.id) t", &["2|b2"]),
        ("SELECT count(*) FROM a FULL JOIN b USING (id)", &["4"]),
        ("SELECT 1 UNION ALL SELECT 2.5 ORDER BY 1", &["1.0", "2.5"]),
        ("SELECT id FROM a WHERE id > (SELECT min(id) FROM a)", &["2"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(database.rows(sql).await, expected, "{sql}");
    }
}
