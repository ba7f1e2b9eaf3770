//! ALTER TABLE: every operation × rows written before it, after it, on both sides of it, and after
//! a restart × SELECT, UPDATE, lookup of a key, export.
//!
//! The judge is a table that was never altered: created as the other has become, filled with the
//! rows the other is to have, and then asked and changed by the same statements.

mod cases;

use std::process::Output;
use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use futures::future::join_all;
use tonic::Code;

use self::cases::{CASES, COLUMNS, Case, OLD};
use crate::client::Client;
use crate::rows::{Row, Value, rows, single};
use crate::server::{ROOT_PASSWORD, Server, binary_command};

/// Where the rows of a table come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Before,
    After,
    Both,
}

/// A table that was altered, and one that is as it should be.
struct Pair {
    case: &'static Case,
    altered: String,
    judge: String,
}

impl Pair {
    async fn create(root: &Client, case: &'static Case, name: &str, written: Written) -> Self {
        let altered = format!("m.{}_{name}", case.name);
        let judge = format!("{altered}_judge");
        let pair = Self { case, altered, judge };
        let (altered, judge) = (pair.altered.as_str(), pair.judge.as_str());
        run(root, &format!("CREATE TABLE {altered} ({COLUMNS})")).await;
        run(root, &format!("CREATE TABLE {judge} ({})", case.altered)).await;
        if written != Written::After {
            run(root, &format!("INSERT INTO {altered} VALUES {}", OLD.join(", "))).await;
            run(root, &format!("INSERT INTO {judge} VALUES {}", case.old.join(", "))).await;
        }
        for sql in case.alter {
            run(root, &sql.replace("{t}", altered)).await;
        }
        if written != Written::Before {
            for sql in case.insert {
                run(root, &sql.replace("{t}", altered)).await;
                run(root, &sql.replace("{t}", judge)).await;
            }
        }
        pair
    }

    /// The same answers from both tables, and again after both were changed.
    async fn compare(&self, server: &Server, root: &Client) {
        self.compare_reads(root).await;
        self.compare_exports(server);
        for sql in [
            self.case.update,
            "UPDATE {t} SET f = DATE '2026-01-01' WHERE {key} > 1",
            "DELETE FROM {t} WHERE {key} = 3",
        ] {
            let sql = sql.replace("{key}", self.key());
            let altered = run(root, &sql.replace("{t}", &self.altered)).await;
            let judge = run(root, &sql.replace("{t}", &self.judge)).await;
            assert_eq!(altered, judge, "{sql}: {}", self.altered);
        }
        self.compare_reads(root).await;
        self.compare_exports(server);
    }

    fn key(&self) -> &'static str {
        let (key, _) = self.case.altered.split_once(' ').unwrap();
        key
    }

    async fn compare_reads(&self, root: &Client) {
        let key = self.key();
        let mut queries = vec![
            format!("SELECT * FROM {{t}} ORDER BY {key}"),
            format!("SELECT * FROM {{t}} ORDER BY {key} DESC LIMIT 2"),
            String::from("SELECT count(*) FROM {t}"),
            format!("SELECT * FROM {{t}} WHERE {key} IN (1, 4, 5, 99) ORDER BY {key}"),
        ];
        queries.extend((1..=6).map(|id| format!("SELECT * FROM {{t}} WHERE {key} = {id}")));
        for filter in self.case.filters {
            queries.push(format!("SELECT {key} FROM {{t}} WHERE {filter} ORDER BY {key}"));
            queries.push(format!("SELECT count(*), max({key}) FROM {{t}} WHERE {filter}"));
        }
        for query in queries {
            let altered = answer(root, &query.replace("{t}", &self.altered)).await;
            let judge = answer(root, &query.replace("{t}", &self.judge)).await;
            assert_eq!(altered, judge, "{query}: {}", self.altered);
        }
    }

    fn compare_exports(&self, server: &Server) {
        let key = self.key();
        let export = |table: &str| {
            let query = format!("SELECT * FROM {table} ORDER BY {key}");
            let mut command = binary_command();
            command.arg("export").args(["--uri", &format!("grpc://{}", server.flight())]);
            command.args(["-c", &query, "--to", "-", "--format", "csv"]);
            let Output { status, stdout, stderr } =
                command.env("KALAMDB_PASSWORD", ROOT_PASSWORD).output().unwrap();
            assert!(status.success(), "{query}: {}", String::from_utf8_lossy(&stderr));
            String::from_utf8(stdout).unwrap()
        };
        assert_eq!(export(&self.altered), export(&self.judge), "{}", self.altered);
    }
}

async fn run(root: &Client, sql: &str) -> i64 {
    root.update(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The rows of a query, and their schema if there are any.
async fn answer(root: &Client, sql: &str) -> (Option<SchemaRef>, Vec<Row>) {
    let batches = root.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    (batches.first().map(RecordBatch::schema), rows(&batches))
}

async fn compare_all(name: &str, written: Written, restart: bool) {
    let mut server = Server::start();
    let root = server.root().await;
    run(&root, "CREATE NAMESPACE m").await;
    let mut pairs = Vec::new();
    for case in &CASES {
        pairs.push(Pair::create(&root, case, name, written).await);
    }
    if restart {
        server.kill();
        server.restart();
    }
    let root = server.root().await;
    for pair in &pairs {
        pair.compare(&server, &root).await;
    }
    if restart {
        assert!(server.terminate().success());
        server.restart();
        let root = server.root().await;
        for pair in &pairs {
            pair.compare_reads(&root).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_before() {
    compare_all("before", Written::Before, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_after() {
    compare_all("after", Written::After, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_before_and_after() {
    compare_all("both", Written::Both, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_before_and_after_and_a_restart() {
    compare_all("restarted", Written::Both, true).await;
}

/// RENAME TABLE: the rows and the key stay, the old name is free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_table_keeps_its_rows_and_its_old_name_is_free() {
    let mut server = Server::start();
    let root = server.root().await;
    run(&root, "CREATE NAMESPACE m").await;
    run(&root, "CREATE TABLE m.t (id INT PRIMARY KEY, v TEXT)").await;
    run(&root, "INSERT INTO m.t VALUES (1, 'one'), (2, 'two')").await;
    run(&root, "ALTER TABLE m.t ADD COLUMN n INT DEFAULT 7, RENAME TO u").await;
    let gone = root.rows("SELECT * FROM m.t").await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound, "{gone}");
    run(&root, "CREATE TABLE m.t (id TEXT PRIMARY KEY)").await;
    run(&root, "INSERT INTO m.u VALUES (3, 'three', 3)").await;
    for restarted in [false, true] {
        if restarted {
            server.kill();
            server.restart();
        }
        let root = server.root().await;
        let row = |id: i64, v: &str, n: i64| vec![id.into(), v.into(), n.into()];
        let found = root.rows("SELECT * FROM m.u ORDER BY id").await.unwrap();
        assert_eq!(found, [row(1, "one", 7), row(2, "two", 7), row(3, "three", 3)]);
        let found = root.rows("SELECT * FROM m.u WHERE id = 2").await.unwrap();
        assert_eq!(found, [row(2, "two", 7)]);
        assert_eq!(root.rows("SELECT * FROM m.t").await.unwrap(), Vec::<Row>::new());
    }
}

/// What deleted rows were stays readable, in the columns of today.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_rows_are_shown_in_the_columns_of_today() {
    let server = Server::start();
    let root = server.root().await;
    run(&root, "CREATE TABLE default.t (id INT PRIMARY KEY, a INT, b TEXT)").await;
    run(&root, "INSERT INTO default.t VALUES (1, NULL, 'x'), (2, 2, 'y'), (3, NULL, 'z')").await;
    run(&root, "DELETE FROM default.t WHERE a IS NULL").await;
    run(
        &root,
        "ALTER TABLE default.t ALTER COLUMN a SET NOT NULL, ADD COLUMN n INT NOT NULL DEFAULT 5",
    )
    .await;
    let deleted = "SELECT id, a, n FROM default.t WHERE _deleted ORDER BY id";
    let row = |id: i64, a: Value, n: i64| vec![id.into(), a, n.into()];
    let expected = [row(1, Value::Null, 5), row(3, Value::Null, 5)];
    assert_eq!(root.rows(deleted).await.unwrap(), expected);
    let null =
        "SELECT id FROM default.t WHERE (_deleted OR NOT _deleted) AND a IS NULL ORDER BY id";
    assert_eq!(root.rows(null).await.unwrap(), [[Value::Int(1)], [Value::Int(3)]]);
    assert_eq!(root.rows("SELECT * FROM default.t WHERE a IS NULL").await.unwrap().len(), 0);
    // Over a deleted row comes a new one.
    run(&root, "INSERT INTO default.t VALUES (3, 33, 'new', 6)").await;
    assert_eq!(root.rows(deleted).await.unwrap(), expected[..1]);
    let refused = root.update("INSERT INTO default.t (id, a) VALUES (1, NULL)").await.unwrap_err();
    assert!(refused.message().contains("NULL"), "{refused}");
}

/// A statement prepared before is planned anew; where its result or its parameters look different,
/// it says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_notice_an_altered_table() {
    let server = Server::start();
    let root = server.root().await;
    run(&root, "CREATE TABLE default.t (id INT PRIMARY KEY, a INT, b TEXT)").await;
    run(&root, "INSERT INTO default.t VALUES (1, 10, 'x')").await;
    let mut named = root.prepare("SELECT a FROM default.t WHERE id = 1").await.unwrap();
    let mut star = root.prepare("SELECT * FROM default.t").await.unwrap();
    let mut insert = root.prepare("INSERT INTO default.t (id, a) VALUES (?, 20)").await.unwrap();
    let mut update = root.prepare("UPDATE default.t SET a = a + 1").await.unwrap();
    let ids = Arc::new(Int32Array::from(vec![2]));
    let second = RecordBatch::try_from_iter([("id", ids as _)]).unwrap();
    run(&root, "ALTER TABLE default.t ADD COLUMN n INT DEFAULT 7, DROP COLUMN b").await;
    assert_eq!(single(&named.query(None).await.unwrap()), Value::Int(10));
    let changed = star.query(None).await.unwrap_err();
    assert_eq!(changed.code(), Code::FailedPrecondition, "{changed}");
    assert!(changed.message().contains("prepare it again"), "{changed}");
    assert_eq!(insert.update(Some(second)).await.unwrap(), 1);
    assert_eq!(update.update(None).await.unwrap(), 2);
    let row = |id: i64, a: i64| vec![Value::Int(id), Value::Int(a), Value::Int(7)];
    let found = root.rows("SELECT * FROM default.t ORDER BY id").await.unwrap();
    assert_eq!(found, [row(1, 11), row(2, 21)]);
    run(&root, "ALTER TABLE default.t ALTER COLUMN a TYPE BIGINT").await;
    let changed = named.query(None).await.unwrap_err();
    assert_eq!(changed.code(), Code::FailedPrecondition, "{changed}");
    assert_eq!(update.update(None).await.unwrap(), 2);
    run(&root, "ALTER TABLE default.t DROP COLUMN a").await;
    for gone in [named.query(None).await.map(drop), update.update(None).await.map(drop)] {
        let gone = gone.unwrap_err();
        assert!([Code::NotFound, Code::InvalidArgument].contains(&gone.code()), "{gone}");
    }
}

/// Readers and writers beside ALTER TABLE: what they see is one version or the next, what they
/// write is never lost, and nobody is told anything but to try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_beside_alter_table_lose_nothing() {
    const ROUNDS: i64 = 40;
    let server = Server::start();
    let root = server.root().await;
    run(&root, "CREATE TABLE default.t (id INT PRIMARY KEY, a SMALLINT)").await;
    let connect = |_| Client::resume(server.flight(), root.token());
    let clients: Vec<Client> =
        join_all((0..4).map(connect)).await.into_iter().map(Result::unwrap).collect();
    let work = clients.iter().zip(0_i64..).map(|(client, who)| async move {
        let mut written = 0;
        for round in 0..ROUNDS {
            let id = who * 1000 + round;
            let sql = match who {
                0 if round % 3 == 0 => {
                    format!("ALTER TABLE default.t ADD COLUMN n{round} INT DEFAULT {round}")
                }
                0 if round % 3 == 1 => {
                    format!("ALTER TABLE default.t RENAME COLUMN n{} TO n", round - 1)
                }
                0 => String::from("ALTER TABLE default.t DROP COLUMN n"),
                1 | 2 => format!("INSERT INTO default.t (id, a) VALUES ({id}, 1)"),
                _ => String::from("UPDATE default.t SET a = a + 0"),
            };
            match client.update(&sql).await {
                Ok(_) => written += i64::from(who == 1 || who == 2),
                Err(status) => {
                    assert!(who != 0 && status.code() == Code::Aborted, "{sql}: {status}");
                }
            }
            let seen = loop {
                match client.rows("SELECT count(a), sum(a) FROM default.t").await {
                    Ok(seen) => break seen,
                    // Altered between the plan and its rows.
                    Err(status) => {
                        assert!(status.message().contains("run the statement again"), "{status}");
                    }
                }
            };
            match seen[0].as_slice() {
                [Value::Int(0), Value::Null] => {}
                [rows, sum] => assert_eq!(rows, sum),
                other => panic!("{other:?}"),
            }
        }
        written
    });
    let written: i64 = join_all(work).await.into_iter().sum();
    assert_eq!(
        single(&root.rows("SELECT count(*) FROM default.t").await.unwrap()),
        Value::Int(written)
    );
}
