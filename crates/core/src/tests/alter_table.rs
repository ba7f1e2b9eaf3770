//! ALTER TABLE on tables with rows: what the rows are afterwards, and what stands in its way.

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use kalamdb_commons::Role;

use super::*;

impl Fixture {
    /// The rows of a query, each as the texts of its values with commas between.
    async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql).await.unwrap();
        let options = arrow::util::display::FormatOptions::default().with_null("NULL");
        let columns: Vec<_> = rows
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        let row = |row: usize| {
            let values: Vec<_> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            values.join(",")
        };
        (0..rows.num_rows()).map(row).collect()
    }

    async fn refused(&self, sql: &str) -> EngineError {
        match self.run(sql).await {
            Err(error) => error,
            Ok(_) => panic!("{sql} ran"),
        }
    }
}

#[tokio::test]
async fn alter_table_keeps_values_by_column_id() {
    let fixture = Fixture::new();
    fixture
        .run(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT);
             INSERT INTO t VALUES (1, 10, 'x'), (2, 20, 'y')",
        )
        .await
        .unwrap();
    fixture
        .run("ALTER TABLE t RENAME a TO z, ADD c INT DEFAULT 7, DROP b, ADD b INT, RENAME id TO k")
        .await
        .unwrap();
    assert_eq!(fixture.texts("SELECT * FROM t ORDER BY k").await, ["1,10,7,NULL", "2,20,7,NULL"]);
    fixture
        .run("INSERT INTO t (k, z) VALUES (3, 30); UPDATE t SET b = 5 WHERE k = 1")
        .await
        .unwrap();
    // What the rows there are have does not change with the default.
    fixture.run("ALTER TABLE t ALTER c SET DEFAULT 8, ALTER z TYPE BIGINT").await.unwrap();
    fixture.run("INSERT INTO t (k, z) VALUES (4, 5000000000)").await.unwrap();
    let rows = fixture.texts("SELECT k, z, c, b FROM t ORDER BY k").await;
    assert_eq!(rows, ["1,10,7,5", "2,20,7,NULL", "3,30,7,NULL", "4,5000000000,8,NULL"]);
    assert_eq!(fixture.texts("SELECT z FROM t WHERE k = 2 AND c = 7").await, ["20"]);
    assert_eq!(fixture.number("SELECT count(*) FROM t WHERE c = 7").await, 3);
    fixture.run("ALTER TABLE t RENAME TO u").await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM u").await, 4);
    assert_eq!(fixture.refused("SELECT * FROM t").await.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn alter_table_computes_a_default_once() {
    let fixture = Fixture::new();
    fixture.run("CREATE TABLE t (id INT); INSERT INTO t VALUES (1), (2)").await.unwrap();
    fixture.run("ALTER TABLE t ADD at TIMESTAMPTZ NOT NULL DEFAULT NOW()").await.unwrap();
    let first = fixture.texts("SELECT DISTINCT at FROM t").await;
    assert_eq!(first.len(), 1);
    fixture.run("INSERT INTO t (id) VALUES (3)").await.unwrap();
    assert_eq!(fixture.texts("SELECT DISTINCT at FROM t WHERE id < 3").await, first);
    let error = fixture.refused("ALTER TABLE t ADD u UUID DEFAULT UUID()").await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let error = fixture.refused("ALTER TABLE t ADD n TINYINT DEFAULT 1000").await;
    assert_eq!((error.sqlstate(), error.position()), ("42804", Some((1, 19))), "{error}");
    let error = fixture.refused("ALTER TABLE t ALTER id SET DEFAULT 'x'").await;
    assert_eq!(error.sqlstate(), "42804", "{error}");
}

#[tokio::test]
async fn alter_table_looks_at_the_rows_before_not_null_and_check() {
    let fixture = Fixture::new();
    fixture
        .run(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT);
             INSERT INTO t VALUES (1, 10), (2, NULL), (3, NULL)",
        )
        .await
        .unwrap();
    let error = fixture.refused("ALTER TABLE t ALTER a SET NOT NULL").await;
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::ConstraintViolation, "23502"));
    assert!(error.to_string().contains("column a is NULL in 2 rows of default.t"), "{error}");
    let error = fixture.refused("ALTER TABLE t ADD CONSTRAINT small CHECK (a < 10)").await;
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::ConstraintViolation, "23514"));
    assert!(error.to_string().contains("small CHECK (a < 10) is false in 1 row"), "{error}");
    assert_eq!(fixture.number("SELECT count(*) FROM t WHERE a IS NULL").await, 2);

    fixture.run("UPDATE t SET a = 0 WHERE id = 2; DELETE FROM t WHERE id = 3").await.unwrap();
    fixture
        .run("ALTER TABLE t ALTER a SET NOT NULL, ADD CHECK (a < 11), RENAME a TO z")
        .await
        .unwrap();
    assert_eq!(fixture.refused("INSERT INTO t VALUES (4, NULL)").await.sqlstate(), "23502");
    assert_eq!(fixture.refused("INSERT INTO t VALUES (4, 11)").await.sqlstate(), "23514");
    // The deleted row was NULL, and may be.
    let deleted = "SELECT z FROM t WHERE id = 3 AND _deleted";
    assert_eq!(fixture.texts(deleted).await, ["NULL"]);
    fixture.run("ALTER TABLE t ALTER z DROP NOT NULL").await.unwrap();
    fixture.run("INSERT INTO t VALUES (4, NULL)").await.unwrap();
}

#[tokio::test]
async fn alter_table_looks_at_the_rows_of_all_users() {
    let fixture = Fixture::new();
    fixture
        .run(
            "CREATE USER TABLE t (id INT PRIMARY KEY, a INT);
             CREATE USER ann WITH PASSWORD 'a long password'",
        )
        .await
        .unwrap();
    let ann = fixture.engine.principal("ann").unwrap();
    assert_eq!(ann.role, Role::User);
    let session = fixture.engine.session(ann);
    let insert = "INSERT INTO t VALUES (1, NULL)";
    fixture.engine.execute_script(&session, insert).await.unwrap();
    let error = fixture.refused("ALTER TABLE t ALTER a SET NOT NULL").await;
    assert!(error.to_string().contains("in 1 row of default.t"), "{error}");
    fixture.engine.execute_script(&session, "UPDATE t SET a = 1").await.unwrap();
    fixture.run("ALTER TABLE t ALTER a SET NOT NULL").await.unwrap();
    assert!(
        fixture.engine.execute_script(&session, "INSERT INTO t VALUES (2, NULL)").await.is_err()
    );
}

/// Rows that come in while a column becomes NOT NULL are either seen or refused.
#[tokio::test]
async fn alter_table_and_writers_do_not_miss_each_other() {
    let fixture = Fixture::new();
    fixture.run("CREATE TABLE t (id BIGINT DEFAULT SNOWFLAKE_ID(), a INT)").await.unwrap();
    for _ in 0..10 {
        let write = async {
            let mut written = 0;
            for _ in 0..20 {
                written += u32::from(fixture.run("INSERT INTO t (a) VALUES (NULL)").await.is_ok());
            }
            written
        };
        let alter = fixture.run("ALTER TABLE t ALTER a SET NOT NULL");
        let (_, altered) = tokio::join!(write, alter);
        let nulls = fixture.number("SELECT count(*) FROM t WHERE a IS NULL").await;
        match altered {
            Ok(_) => assert_eq!(nulls, 0),
            Err(error) => {
                let kind = error.kind();
                let expected = [ErrorKind::ConstraintViolation, ErrorKind::Conflict];
                assert!(expected.contains(&kind), "{error}");
            }
        }
        fixture.run("ALTER TABLE t ALTER a DROP NOT NULL; DELETE FROM t").await.unwrap();
    }
}

#[tokio::test]
async fn alter_table_leaves_no_view_behind_that_cannot_be_read() {
    let fixture = Fixture::new();
    fixture
        .run(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT);
             INSERT INTO t VALUES (1, 10, 100);
             CREATE VIEW all_of_it AS SELECT * FROM t;
             CREATE VIEW sums AS SELECT sum(b) AS total FROM t WHERE a > 5;
             CREATE VIEW above AS SELECT id FROM all_of_it",
        )
        .await
        .unwrap();
    for (sql, views) in [
        ("ALTER TABLE t DROP a", "default.above, default.all_of_it, default.sums"),
        ("ALTER TABLE t RENAME a TO z", "default.above, default.all_of_it, default.sums"),
        ("ALTER TABLE t RENAME TO u", "default.above, default.all_of_it, default.sums"),
        // The sum stays what it is.
        ("ALTER TABLE t ALTER b TYPE BIGINT", "view default.all_of_it would break"),
    ] {
        let error = fixture.refused(sql).await;
        assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::FailedPrecondition, "2BP01"));
        for view in views.split(", ") {
            assert!(error.to_string().contains(view), "{sql}: {error}");
        }
    }
    // What is added does not come into views that were made before.
    fixture.run("ALTER TABLE t ADD c INT DEFAULT 1").await.unwrap();
    assert_eq!(fixture.texts("SELECT * FROM all_of_it").await, ["1,10,100"]);
    fixture.run("ALTER TABLE t DROP c").await.unwrap();
    fixture.run("ALTER TABLE t DROP b CASCADE").await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM system.views").await, 0);
}

#[tokio::test]
async fn alter_table_is_seen_by_prepared_statements() {
    let fixture = Fixture::new();
    fixture
        .run("CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 10)")
        .await
        .unwrap();
    let (engine, session) = (&fixture.engine, &fixture.session);
    let all = engine.prepare(session, "SELECT * FROM t").await.unwrap();
    let one = engine.prepare(session, "SELECT a FROM t").await.unwrap();
    let insert = engine.prepare(session, "INSERT INTO t (id, a) VALUES (2, 20)").await.unwrap();
    fixture.run("ALTER TABLE t ADD c INT DEFAULT 7").await.unwrap();
    let run = async |prepared| -> Result<Vec<RecordBatch>, EngineError> {
        engine.query(session, prepared, None, None).await?.batches.try_collect().await
    };
    let error = run(&all).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
    let batches = run(&one).await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int32Type>().values(), &[10]);
    engine.execute(session, &insert, None).await.unwrap();
    assert_eq!(fixture.texts("SELECT * FROM t ORDER BY id").await, ["1,10,7", "2,20,7"]);
}

#[tokio::test]
async fn describe_table_history_has_one_row_a_version() {
    let fixture = Fixture::new();
    fixture
        .run(
            "CREATE TABLE t (id INT PRIMARY KEY, a INT);
             ALTER TABLE t ADD c TEXT DEFAULT 'x', RENAME a TO z;
             ALTER TABLE t SET TBLPROPERTIES ('durability' = 'interval:50ms');
             ALTER TABLE t ADD COLUMN IF NOT EXISTS c TEXT",
        )
        .await
        .unwrap();
    let history = fixture.rows("DESCRIBE t HISTORY").await.unwrap();
    assert_eq!(history.column(0).as_primitive::<Int32Type>().values(), &[3, 2, 1]);
    assert!(history.column(2).as_string::<i32>().iter().all(|name| name == Some("root")));
    let changes: Vec<_> = history.column(3).as_string::<i32>().iter().flatten().collect();
    assert_eq!(
        changes,
        [
            "set DURABILITY = 'interval:50ms'",
            "added column c TEXT DEFAULT 'x'; renamed column a to z",
            "created"
        ]
    );
    let shown = fixture.texts("SHOW CREATE TABLE t").await.remove(0);
    assert!(shown.contains("z INT") && shown.contains("interval:50ms"), "{shown}");
    let versions = "SELECT version FROM system.table_schemas WHERE table_name = 't' ORDER BY 1";
    assert_eq!(fixture.texts(versions).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn alter_table_changes_streams() {
    let fixture = Fixture::new();
    fixture
        .run(
            "CREATE STREAM TABLE t (a INT, b TEXT) WITH (TTL_SECONDS = 3600);
             INSERT INTO t VALUES (1, 'x');
             ALTER TABLE t ADD c INT DEFAULT 5, RENAME a TO z, DROP b, SET (TTL_SECONDS = 1800);
             INSERT INTO t VALUES (2, 6)",
        )
        .await
        .unwrap();
    assert_eq!(fixture.texts("SELECT z, c FROM t ORDER BY z").await, ["1,5", "2,6"]);
    let error = fixture.refused("ALTER TABLE t ALTER z SET NOT NULL").await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
