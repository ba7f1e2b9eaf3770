//! INSERT, UPDATE and DELETE from the text to the rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use kalamdb_commons::{ErrorKind, Role};
use kalamdb_sql::Statement;

use super::{check_defaults, insert_batches};
use crate::test_database::{Database, principal, root};
use crate::{conflict_of, kind_of};

const PEOPLE: &str = "CREATE TABLE people (id INT PRIMARY KEY, name TEXT NOT NULL, age INT)";

async fn people() -> Database {
    let database =
        Database::with_tables(&[PEOPLE, "CREATE TABLE picks (id INT PRIMARY KEY, age INT)"]);
    let insert = "INSERT INTO people VALUES (1, 'Ann', 30), (2, 'Bob', 40), (3, 'Cid', NULL)";
    assert_eq!(database.execute(insert).await, 3);
    assert_eq!(database.execute("INSERT INTO picks VALUES (2, 21), (3, 31), (7, 71)").await, 3);
    database
}

const ALL: &str = "SELECT * FROM people ORDER BY id";

#[tokio::test]
async fn delete_removes_what_its_condition_names_and_nothing_else() {
    let cases = [
        ("WHERE 1 = 0", 0),
        ("WHERE false", 0),
        ("WHERE NULL", 0),
        ("WHERE id = 1 AND id = 2", 0),
        ("WHERE age = NULL", 0),
        ("WHERE id IN (SELECT id FROM picks)", 2),
        ("WHERE id NOT IN (SELECT id FROM picks)", 1),
        ("WHERE id IN (SELECT id FROM picks WHERE id > 100)", 0),
        ("WHERE EXISTS (SELECT 1 FROM picks WHERE picks.id = people.id)", 2),
        ("WHERE NOT EXISTS (SELECT 1 FROM picks WHERE picks.id = people.id)", 1),
        ("WHERE EXISTS (SELECT 1 FROM picks)", 3),
        ("WHERE age > (SELECT avg(age) FROM people)", 1),
        ("WHERE age IS NULL OR name = 'Ann'", 2),
        ("AS p WHERE p.id = 2", 1),
        ("USING picks WHERE picks.id = people.id AND picks.age > 30", 1),
        ("ORDER BY id DESC LIMIT 1", 1),
        ("LIMIT 0", 0),
        ("", 3),
    ];
    for (condition, expected) in cases {
        let database = people().await;
        let sql = format!("DELETE FROM people {condition}");
        assert_eq!(database.execute(&sql).await, expected, "{sql}");
        let left = database.rows(ALL).await.len() as u64;
        assert_eq!(left, 3 - expected, "{sql}");
    }
}

#[tokio::test]
async fn update_changes_what_its_condition_names_and_nothing_else() {
    let cases: [(&str, &[&str]); 12] = [
        ("SET age = 1 WHERE 1 = 0", &["1|Ann|30", "2|Bob|40", "3|Cid|"]),
        ("SET age = 1 WHERE id = 1 AND id = 2", &["1|Ann|30", "2|Bob|40", "3|Cid|"]),
        ("SET age = age + 1", &["1|Ann|31", "2|Bob|41", "3|Cid|"]),
        ("SET age = NULL, name = 'X' WHERE id = 2", &["1|Ann|30", "2|X|", "3|Cid|"]),
        ("SET name = upper(name), age = 5 WHERE age IS NULL", &["1|Ann|30", "2|Bob|40", "3|CID|5"]),
        (
            "SET age = (SELECT max(age) FROM picks) WHERE id = 1",
            &["1|Ann|71", "2|Bob|40", "3|Cid|"],
        ),
        (
            "SET age = (SELECT p.age FROM picks p WHERE p.id = people.id)",
            &["1|Ann|", "2|Bob|21", "3|Cid|31"],
        ),
        (
            "SET age = picks.age FROM picks WHERE picks.id = people.id",
            &["1|Ann|30", "2|Bob|21", "3|Cid|31"],
        ),
        ("SET age = 0 WHERE id IN (SELECT id FROM picks)", &["1|Ann|30", "2|Bob|0", "3|Cid|0"]),
        (
            "SET age = 0 WHERE EXISTS (SELECT 1 FROM picks WHERE picks.id = people.id)",
            &["1|Ann|30", "2|Bob|0", "3|Cid|0"],
        ),
        ("SET age = DEFAULT WHERE id = 1", &["1|Ann|", "2|Bob|40", "3|Cid|"]),
        ("SET age = '17' WHERE name LIKE 'B%'", &["1|Ann|30", "2|Bob|17", "3|Cid|"]),
    ];
    for (assignment, expected) in cases {
        let database = people().await;
        database.execute(&format!("UPDATE people {assignment}")).await;
        assert_eq!(database.rows(ALL).await, expected, "{assignment}");
    }
}

#[tokio::test]
async fn update_from_takes_the_first_match_and_counts_rows_once() {
    let database = people().await;
    database.define("CREATE TABLE visits (n INT PRIMARY KEY, person INT)");
    database.execute("INSERT INTO visits VALUES (1, 2), (2, 2), (3, 2)").await;
    let update = "UPDATE people SET age = 1 FROM visits WHERE visits.person = people.id";
    assert_eq!(database.execute(update).await, 1);
    let delete = "DELETE FROM people USING visits WHERE visits.person = people.id";
    assert_eq!(database.execute(delete).await, 1);
}

#[tokio::test]
async fn refused_statements_write_nothing_and_say_why() {
    let cases = [
        (
            "INSERT INTO people VALUES (4, 'Dan', 1), (1, 'Eve', 2)",
            ErrorKind::ConstraintViolation,
            &["default.people", "id = 1", "row 2", "exists"][..],
        ),
        (
            "INSERT INTO people VALUES (5, 'Dan', 1), (6, 'Eve', 2), (5, 'Fay', 3)",
            ErrorKind::ConstraintViolation,
            &["id = 5", "rows 1 and 3"],
        ),
        (
            "INSERT INTO people SELECT id, name, age FROM people",
            ErrorKind::ConstraintViolation,
            &["exists"],
        ),
        (
            "INSERT INTO people VALUES (4, NULL, 1)",
            ErrorKind::ConstraintViolation,
            &["column name", "row 1"],
        ),
        ("INSERT INTO people (id) VALUES (4)", ErrorKind::ConstraintViolation, &["column name"]),
        (
            "INSERT INTO people VALUES (NULL, 'x', 1)",
            ErrorKind::ConstraintViolation,
            &["column id"],
        ),
        (
            "INSERT INTO people VALUES (4, 'x', 1), (3000000000, 'x', 1)",
            ErrorKind::InvalidInput,
            &["column id", "row 2", "3000000000"],
        ),
        (
            "INSERT INTO people VALUES (4, 'x', 'old')",
            ErrorKind::InvalidInput,
            &["column age", "row 1", "'old'"],
        ),
        (
            "INSERT INTO people SELECT id + 10, name, id * 3000000000 FROM people",
            ErrorKind::InvalidInput,
            &["column age", "row"],
        ),
        (
            "INSERT INTO people VALUES (4, 'x')",
            ErrorKind::InvalidInput,
            &["2 values for 3 columns"],
        ),
        ("INSERT INTO people (id, name) SELECT 1, 'x', 2", ErrorKind::InvalidInput, &["2 columns"]),
        (
            "INSERT INTO people (id, nam) VALUES (1, 'x')",
            ErrorKind::InvalidInput,
            &["'nam'", "'name'"],
        ),
        (
            "INSERT INTO people (id, _updated) VALUES (1, NOW())",
            ErrorKind::InvalidInput,
            &["kept by the system"],
        ),
        ("UPDATE people SET id = 9 WHERE id = 1", ErrorKind::InvalidInput, &["primary key"]),
        ("UPDATE people SET name = NULL", ErrorKind::ConstraintViolation, &["column name"]),
        (
            "UPDATE people SET age = 'x' WHERE id = 2",
            ErrorKind::InvalidInput,
            &["column age", "'x'"],
        ),
        ("UPDATE people SET ages = 1", ErrorKind::InvalidInput, &["'ages'", "'age'"]),
        ("DELETE FROM peple", ErrorKind::NotFound, &["people"]),
        ("DELETE FROM system.tables", ErrorKind::Unsupported, &["system.tables"]),
    ];
    let database = people().await;
    for (sql, kind, parts) in cases {
        let error = database.error(sql).await;
        assert_eq!(kind_of(&error), kind, "{sql}: {error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{sql}: {part} is not in: {error}");
        }
        assert_eq!(database.rows(ALL).await, ["1|Ann|30", "2|Bob|40", "3|Cid|"], "{sql}");
    }
}

#[tokio::test]
async fn insert_takes_every_source() {
    let database = people().await;
    for (sql, rows) in [
        ("INSERT INTO people (name, id) VALUES ('Dan', 4)", 1),
        ("INSERT INTO people SELECT id + 100, name, age FROM people", 4),
        ("INSERT INTO people (age, name, id) SELECT id, 'x', id FROM picks WHERE id > 5", 1),
        ("INSERT INTO people WITH n AS (SELECT 50 AS id) SELECT id, 'with', id FROM n", 1),
        ("INSERT INTO people VALUES ((SELECT max(id) + 1 FROM people), 'sub', 1 + 1)", 1),
        ("INSERT INTO people SELECT 60, 'a', 1 UNION ALL SELECT 61, 'b', 2", 2),
        ("INSERT INTO people SELECT 70, 'a', 1 WHERE false", 0),
        ("INSERT INTO people VALUES (71, 'd', DEFAULT), (72, 'e', '5')", 2),
        ("INSERT INTO people (id, name, age) VALUES (80, concat('a', 'b'), 7), (81, 'c', 8)", 2),
    ] {
        assert_eq!(database.execute(sql).await, rows, "{sql}");
    }
    assert_eq!(database.rows("SELECT count(*) FROM people").await, ["17"]);
    assert_eq!(database.rows("SELECT * FROM people WHERE id > 80 AND id < 100").await, ["81|c|8"]);
    assert_eq!(
        database.rows("SELECT name, age FROM people WHERE id IN (4, 105)").await,
        ["Dan|", "sub|2"]
    );
    // One column twice.
    database.define("CREATE TABLE pairs (a INT PRIMARY KEY, b INT)");
    assert_eq!(database.execute("INSERT INTO pairs (b, a) SELECT id, id FROM picks").await, 3);
}

#[tokio::test]
async fn values_keep_all_their_digits() {
    let database = Database::with_tables(&[
        "CREATE TABLE n (id INT PRIMARY KEY, d DECIMAL(38, 10), b BIGINT, t TEXT)",
    ]);
    database
        .execute(
            "INSERT INTO n VALUES (1, 1234567890123456789.0123456789, 9007199254740993, 1), \
             (2, -0.5, 2.5, 2.5), (3, 1e3, -9223372036854775808, true)",
        )
        .await;
    assert_eq!(
        database.rows("SELECT d, b, t FROM n ORDER BY id").await,
        [
            "1234567890123456789.0123456789|9007199254740993|1",
            "-0.5000000000|3|2.5",
            "1000.0000000000|-9223372036854775808|true"
        ]
    );
}

#[tokio::test]
async fn defaults_are_filled_in() {
    let database = Database::with_tables(&[
        "CREATE TABLE d (id INT PRIMARY KEY, word TEXT DEFAULT 'w', made TIMESTAMP DEFAULT NOW(), \
         who TEXT DEFAULT CURRENT_USER(), u UUID DEFAULT UUID_V7(), \
         s BIGINT DEFAULT SNOWFLAKE_ID(), l TEXT DEFAULT ULID(), n INT DEFAULT 40)",
    ]);
    database.execute("INSERT INTO d (id) SELECT value FROM generate_series(1, 3)").await;
    database.execute("INSERT INTO d (id, n) VALUES (4, 1), (5, DEFAULT)").await;
    let all = "SELECT count(*), count(DISTINCT u), count(DISTINCT s), count(DISTINCT l), \
               count(DISTINCT made), min(who), min(word), sum(n) FROM d";
    assert_eq!(database.rows(all).await, ["5|5|5|5|2|root|w|161"]);
    database.define("CREATE TABLE only_defaults (id TEXT DEFAULT ULID(), n INT DEFAULT 7)");
    assert_eq!(database.execute("INSERT INTO only_defaults DEFAULT VALUES").await, 1);
    assert_eq!(database.rows("SELECT n FROM only_defaults").await, ["7"]);
}

#[tokio::test]
async fn deleted_rows_stay_as_tombstones_that_inserts_replace() {
    let database = people().await;
    assert_eq!(database.execute("DELETE FROM people WHERE id = 2").await, 1);
    assert_eq!(database.execute("DELETE FROM people WHERE id = 2").await, 0);
    let deleted = "SELECT id, name, _deleted FROM people WHERE _deleted ORDER BY id";
    assert_eq!(database.rows(deleted).await, ["2|Bob|true"]);
    assert_eq!(
        database.rows("SELECT id, _deleted FROM people ORDER BY id").await,
        ["1|false", "2|true", "3|false"]
    );
    assert_eq!(database.rows("SELECT id FROM people WHERE id = 2").await, [""; 0]);
    assert_eq!(database.execute("INSERT INTO people VALUES (2, 'Ben', 1), (4, 'Dan', 2)").await, 2);
    assert_eq!(database.rows(ALL).await, ["1|Ann|30", "2|Ben|1", "3|Cid|", "4|Dan|2"]);
    assert_eq!(database.rows(deleted).await, [""; 0]);
    assert_eq!(database.rows("SELECT count(*) FROM people").await, ["4"]);

    database.define("CREATE TABLE gone (id INT PRIMARY KEY) WITH (DELETED_RETENTION_HOURS = 0)");
    database.execute("INSERT INTO gone VALUES (1), (2)").await;
    assert_eq!(database.execute("DELETE FROM gone WHERE id = 1").await, 1);
    assert_eq!(database.rows("SELECT id, _deleted FROM gone").await, ["2|false"]);
}

#[tokio::test]
async fn tables_without_a_key_are_keyed_by_row_id() {
    let database = Database::with_tables(&["CREATE TABLE log (line TEXT)"]);
    for _ in 0..2 {
        assert_eq!(database.execute("INSERT INTO log VALUES ('b'), ('a')").await, 2);
    }
    assert_eq!(database.rows("SELECT line FROM log ORDER BY _row_id").await, ["b", "a", "b", "a"]);
    assert_eq!(database.execute("UPDATE log SET line = 'c' WHERE line = 'a'").await, 2);
    let id = database.rows("SELECT min(_row_id) FROM log").await.remove(0);
    let first = format!("SELECT line FROM log WHERE _row_id = {id}");
    assert!(database.explain(&first).await.contains("access=keys(1)"));
    assert_eq!(database.rows(&first).await, ["b"]);
    assert_eq!(database.execute(&format!("DELETE FROM log WHERE _row_id = {id}")).await, 1);
    assert_eq!(database.rows("SELECT count(*) FROM log").await, ["3"]);
}

#[tokio::test]
async fn users_see_and_change_only_their_own_rows() {
    let database = Database::with_tables(&["CREATE USER TABLE notes (id INT PRIMARY KEY, t TEXT)"]);
    let (ann, bob) = (principal("ann", Role::User), principal("bob", Role::User));
    for (user, text) in [(&ann, "of ann"), (&bob, "of bob"), (&root(), "of root")] {
        let insert = format!("INSERT INTO notes VALUES (1, '{text}'), (2, '{text}')");
        assert_eq!(database.rows_as(user, &insert).await, ["2"]);
    }
    assert_eq!(database.rows_as(&ann, "SELECT count(*) FROM notes").await, ["2"]);
    assert_eq!(database.rows_as(&bob, "SELECT t FROM notes WHERE id = 1").await, ["of bob"]);
    assert_eq!(database.rows_as(&bob, "DELETE FROM notes").await, ["2"]);
    assert_eq!(database.rows_as(&bob, "SELECT * FROM notes").await, [""; 0]);
    assert_eq!(database.rows_as(&bob, "SELECT count(*) FROM notes").await, ["0"]);
    assert_eq!(database.rows_as(&ann, "UPDATE notes SET t = 'x' WHERE id > 1").await, ["1"]);
    assert_eq!(database.rows_as(&ann, "SELECT t FROM notes ORDER BY id").await, ["of ann", "x"]);
    assert_eq!(database.rows("SELECT t FROM notes").await, ["of root", "of root"]);
}

#[tokio::test]
async fn rights_are_checked_for_reading_and_writing() {
    let database = Database::with_tables(&[
        "CREATE TABLE secret (id INT PRIMARY KEY)",
        "CREATE TABLE open (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'public')",
    ]);
    let ann = principal("ann", Role::User);
    for (sql, kind) in [
        // What may not be read is like what is not there.
        ("SELECT * FROM secret", ErrorKind::NotFound),
        ("INSERT INTO secret VALUES (1)", ErrorKind::NotFound),
        ("SELECT * FROM open WHERE id IN (SELECT id FROM secret)", ErrorKind::NotFound),
        ("INSERT INTO open VALUES (1)", ErrorKind::PermissionDenied),
        ("DELETE FROM open", ErrorKind::PermissionDenied),
    ] {
        let error = database.run_as(&ann, sql).await.unwrap_err();
        assert_eq!(kind_of(&error), kind, "{sql}: {error}");
    }
    assert!(database.run_as(&ann, "SELECT * FROM open").await.is_ok());
}

#[tokio::test]
async fn a_conflict_with_a_later_writer_is_found_by_the_caller() {
    let database = people().await;
    let context = database.context(&root());
    let sql = "UPDATE people SET age = age + 1 WHERE id = 1";
    let plan = database.plan(&root(), sql).unwrap();
    database.execute(sql).await;
    let (plan, state) = database.physical(&context, plan).await.unwrap();
    let result = datafusion::physical_plan::collect(plan, state.task_ctx()).await;
    let error = result.unwrap_err();
    assert!(conflict_of(&error).is_some(), "{error}");
    assert_eq!(kind_of(&error), ErrorKind::Conflict);
    assert_eq!(database.rows("SELECT age FROM people WHERE id = 1").await, ["31"]);
}

#[tokio::test]
async fn a_plan_for_a_dropped_table_asks_to_be_planned_again() {
    let database = people().await;
    let plan = database.plan(&root(), "SELECT * FROM people").unwrap();
    database.define("DROP TABLE people");
    database.define(PEOPLE);
    let context = database.context(&root());
    let error = database.physical(&context, plan).await.unwrap_err();
    assert!(conflict_of(&error).is_some(), "{error}");
}

#[tokio::test]
async fn parameters_take_the_type_of_their_column() {
    let database = people().await;
    for (sql, types) in [
        ("INSERT INTO people VALUES ($1, $2, $3)", "Int32 Utf8 Int32"),
        ("INSERT INTO people (name, id) SELECT $1, $2", "Utf8 Int32"),
        ("UPDATE people SET age = $1 WHERE id = $2", "Int32 Int32"),
        ("DELETE FROM people WHERE name = $1", "Utf8"),
    ] {
        let plan = database.plan(&root(), sql).unwrap();
        let fields = plan.get_parameter_fields().unwrap();
        let found: Vec<String> = (1..=fields.len())
            .map(|n| match &fields[&format!("${n}")] {
                Some(field) => field.data_type().to_string(),
                None => String::from("?"),
            })
            .collect();
        assert_eq!(found.join(" "), types, "{sql}");
    }
}

fn ingest_batch(ids: Vec<i64>) -> RecordBatch {
    let names: ArrayRef =
        Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("n{id}"))));
    let ids: ArrayRef = Arc::new(Int64Array::from(ids));
    let schema = Schema::new(vec![
        Field::new("NAME", DataType::Utf8, true),
        Field::new("id", DataType::Int64, true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![names, ids]).unwrap()
}

#[tokio::test]
async fn ingest_appends_all_batches_or_none() {
    let database = people().await;
    let entry = database.table("people");
    let ingest = async |batches: Vec<RecordBatch>| {
        let context = database.context(&root());
        let batches = futures::stream::iter(batches.into_iter().map(Ok));
        insert_batches(&database.template, &context, &entry, batches).await
    };
    let batches = vec![ingest_batch((1_000..9_000).rev().collect()), ingest_batch(vec![10, 11])];
    assert_eq!(ingest(batches).await.unwrap(), 8_002);
    assert_eq!(database.rows("SELECT count(*), max(name) FROM people").await, ["8005|n8999"]);
    let error = ingest(vec![ingest_batch(vec![20]), ingest_batch(vec![21, 1_500])]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConstraintViolation, "{error}");
    assert!(error.to_string().contains("row 3"), "{error}");
    assert_eq!(database.rows("SELECT count(*) FROM people").await, ["8005"]);
}

#[tokio::test]
async fn every_type_goes_in_and_comes_out() {
    let database = Database::with_tables(&[
        "CREATE TABLE v (id INT PRIMARY KEY, b BOOLEAN, i8 TINYINT, u64 BIGINT UNSIGNED, \
         r REAL, d DECIMAL(10, 2), t TEXT, y BYTES, da DATE, ti TIME, ts TIMESTAMP, \
         tz TIMESTAMPTZ, u UUID, j JSON, l INT[], e EMBEDDING(2))",
    ]);
    let insert = "INSERT INTO v VALUES (1, true, -128, 18446744073709551615, 1.5, 12345678.90, \
                  'text', 'bytes', '2024-02-29', '12:34:56.789', '2024-02-29 01:02:03.000004', \
                  '2024-02-29T01:02:03Z', '0189f7f1-1c6e-7cc4-8a5b-6f1f0d6a7b11', \
                  '{\"a\": 1}', [1, NULL, 3], [0.5, 1.5]), (2, NULL, NULL, NULL, NULL, NULL, \
                  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";
    assert_eq!(database.execute(insert).await, 2);
    let row = database.rows("SELECT * FROM v WHERE id = 1").await.remove(0);
    for part in [
        "|true|-128|18446744073709551615|1.5|12345678.90|text|",
        "|2024-02-29|12:34:56.789|2024-02-29T01:02:03.000004|2024-02-29T01:02:03Z|",
        "[1, , 3]|[0.5, 1.5]",
    ] {
        assert!(row.contains(part), "{part} is not in {row}");
    }
    assert_eq!(database.rows("SELECT * FROM v WHERE id = 2").await, ["2|||||||||||||||"]);
    let copied = "INSERT INTO v SELECT id + 10, b, i8, u64, r, d, t, y, da, ti, ts, tz, u, j, l, e \
                  FROM v";
    assert_eq!(database.execute(copied).await, 2);
    let same = "SELECT count(*) FROM v a JOIN v b ON b.id = a.id + 10 AND a.ts = b.ts AND \
                a.u = b.u AND a.e = b.e AND a.l = b.l";
    assert_eq!(database.rows(same).await, ["1"]);
}

#[tokio::test]
async fn what_goes_to_a_real_is_computed_in_double() {
    let database = Database::with_tables(&["CREATE TABLE r (id INT PRIMARY KEY, r REAL)"]);
    database.execute("INSERT INTO r VALUES (1, 3e38), (2, 'Infinity'), (3, 0.5)").await;
    for sql in [
        "UPDATE r SET r = r * 10 WHERE id = 1",
        "UPDATE r SET r = -r - r WHERE id = 1",
        "UPDATE r SET r = CASE WHEN id = 1 THEN r * r ELSE r END",
        "INSERT INTO r SELECT id + 10, r + r FROM r ORDER BY id LIMIT 1",
    ] {
        let error = database.error(sql).await;
        assert_eq!(kind_of(&error), ErrorKind::InvalidInput, "{sql}: {error}");
        for part in ["default.r", "column r", "row 1"] {
            assert!(error.to_string().contains(part), "{sql}: {part} is not in: {error}");
        }
    }
    assert_eq!(database.execute("UPDATE r SET r = r * 2 WHERE id > 1").await, 2);
    let rows = database.rows("SELECT id, r FROM r ORDER BY id").await;
    assert_eq!(rows, ["1|3e38", "2|inf", "3|1.0"]);
}

#[test]
fn a_default_suits_its_column() {
    let database = Database::open();
    let check = |column: &str| {
        let sql = format!("CREATE TABLE t (id INT PRIMARY KEY, c {column})");
        let Statement::CreateTable(table) = kalamdb_sql::parse(&sql).unwrap().remove(0).statement
        else {
            panic!("{sql} is no definition");
        };
        let catalog = database.catalog.snapshot();
        check_defaults(&database.template, &catalog, &root(), "default", &table)
    };
    for column in [
        "INT",
        "INT DEFAULT 7",
        "INT DEFAULT NULL",
        "INT DEFAULT '7'",
        "INT DEFAULT CAST('5' AS INT) + 1",
        "BIGINT AUTO_INCREMENT",
        "DECIMAL(10, 2) DEFAULT 1.5",
        "TEXT DEFAULT CURRENT_USER",
        "TIMESTAMP DEFAULT now() + INTERVAL '1 day'",
        "TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP",
        "DATE DEFAULT CURRENT_DATE",
        "UUID DEFAULT UUID_V7()",
        "JSON DEFAULT '{}'",
        "INT[] DEFAULT [1, 2]",
    ] {
        check(column).unwrap_or_else(|error| panic!("{column}: {error}"));
    }
    for column in [
        "INT DEFAULT 'x'",
        "TINYINT DEFAULT 300",
        "INT DEFAULT true || 'x'",
        "DATE DEFAULT '2024-02-30'",
        "UUID DEFAULT 'no uuid'",
        "JSON DEFAULT '{open'",
        "DECIMAL(4, 2) DEFAULT 100",
        "BYTES DEFAULT 5",
    ] {
        let error = check(column).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{column}: {error}");
        assert!(error.to_string().contains("column c"), "{column}: {error}");
    }
}

#[tokio::test]
async fn ingest_fills_in_the_time() {
    let database = Database::with_tables(&[
        "CREATE TABLE d (id INT PRIMARY KEY, made TIMESTAMP NOT NULL DEFAULT NOW())",
    ]);
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("id", id)]).unwrap();
    let (context, entry) = (database.context(&root()), database.table("d"));
    let batches = futures::stream::iter([Ok(batch)]);
    let count = insert_batches(&database.template, &context, &entry, batches).await.unwrap();
    assert_eq!(count, 2);
    let fresh = "SELECT count(*) FROM d WHERE made > '2020-01-01' AND made <= now()";
    assert_eq!(database.rows(fresh).await, ["2"]);
}
