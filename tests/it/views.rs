//! Views, tables made from queries, and emptied tables, as clients see them: who may read what,
//! what a plan reads, what is there after a restart.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow_flight::sql::{
    CommandGetTables, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::future::join_all;
use tonic::Code;

use crate::client::{Client, ingest_command};
use crate::rows::{Value, first_column, rows, single};
use crate::server::Server;

const PASSWORD: &str = "a-user-of-the-views-test";

async fn create_user(root: &Client, server: &Server, name: &str, role: &str) -> Client {
    let sql = format!("CREATE USER {name} WITH PASSWORD '{PASSWORD}' ROLE {role}");
    root.update(&sql).await.unwrap();
    server.sign_in(name, PASSWORD).await.unwrap()
}

async fn run(client: &Client, statements: &[&str]) {
    for sql in statements {
        client.update(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

async fn refused(client: &Client, sql: &str, codes: &[Code]) -> String {
    let answer = if sql.starts_with("SELECT") || sql.starts_with("DESC") {
        client.rows(sql).await.map(|_| ())
    } else {
        client.update(sql).await.map(|_| ())
    };
    match answer {
        Err(status) if codes.contains(&status.code()) => status.message().to_owned(),
        other => panic!("{sql}: expected {codes:?}, got {other:?}"),
    }
}

async fn texts(client: &Client, sql: &str) -> Vec<String> {
    first_column(&client.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_give_nobody_more_than_they_have() {
    let server = Server::start();
    let root = server.root().await;
    run(
        &root,
        &[
            "CREATE NAMESPACE shop",
            "CREATE USER TABLE shop.notes (id INT PRIMARY KEY, body TEXT)",
            "CREATE TABLE shop.prices (id INT PRIMARY KEY, secret TEXT)",
            "CREATE TABLE shop.items (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'public')",
            "CREATE TABLE shop.vault (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'restricted')",
            "INSERT INTO shop.prices VALUES (1, 'a riddle')",
            "INSERT INTO shop.items VALUES (1)",
            "CREATE VIEW shop.my_notes AS SELECT id, body FROM shop.notes",
            "CREATE VIEW shop.over_notes AS SELECT upper(body) AS body FROM shop.my_notes",
            "CREATE VIEW shop.priced AS SELECT secret FROM shop.prices",
            "CREATE VIEW shop.mixed AS SELECT i.id, secret FROM shop.items i JOIN shop.prices p ON i.id = p.id",
            "CREATE VIEW shop.over_priced AS SELECT secret FROM shop.priced",
            "CREATE VIEW shop.locked AS SELECT id FROM shop.vault",
            "CREATE VIEW shop.who AS SELECT user_name FROM system.users",
            "CREATE VIEW shop.items_again AS SELECT id FROM shop.items",
        ],
    )
    .await;
    let ann = create_user(&root, &server, "ann", "user").await;
    let bob = create_user(&root, &server, "bob", "user").await;
    let service = create_user(&root, &server, "sam", "service").await;
    for (name, client) in [("ann", &ann), ("bob", &bob), ("sam", &service), ("root", &root)] {
        client.update(&format!("INSERT INTO shop.notes VALUES (1, '{name}')")).await.unwrap();
    }
    for (name, client) in [("ann", &ann), ("bob", &bob), ("sam", &service), ("root", &root)] {
        assert_eq!(texts(client, "SELECT body FROM shop.my_notes").await, [name]);
        let shouted = "SELECT body FROM shop.over_notes WHERE body <> '' OR true";
        assert_eq!(texts(client, shouted).await, [name.to_uppercase()]);
    }
    assert_eq!(texts(&ann, "SELECT user_name FROM shop.who").await, ["ann"]);
    let hidden = [Code::NotFound, Code::PermissionDenied];
    for view in ["priced", "mixed", "over_priced", "locked"] {
        for sql in [
            format!("SELECT * FROM shop.{view}"),
            format!("SELECT 1 FROM shop.items WHERE EXISTS (SELECT 1 FROM shop.{view})"),
            format!("DESCRIBE shop.{view}"),
            format!("CREATE USER TABLE shop.x AS SELECT * FROM shop.{view}"),
            format!("INSERT INTO shop.notes SELECT 9, 'x' FROM shop.{view}"),
        ] {
            let message = refused(&ann, &sql, &hidden).await;
            assert!(!message.contains("prices") && !message.contains("vault"), "{sql}: {message}");
        }
        refused(&ann, &format!("DROP VIEW shop.{view}"), &hidden).await;
    }
    assert_eq!(texts(&service, "SELECT secret FROM shop.mixed").await, ["a riddle"]);
    let listed =
        "SELECT table_name FROM information_schema.tables WHERE table_type = 'VIEW' ORDER BY 1";
    let seen = ["items_again", "my_notes", "over_notes", "who"];
    assert_eq!(texts(&ann, listed).await, seen);
    assert_eq!(texts(&ann, "SELECT view_name FROM system.views ORDER BY 1").await, seen);
    assert_eq!(texts(&root, listed).await.len(), 8);
    // Restricted tables are not listed to service, so neither is what reads them.
    assert_eq!(texts(&service, listed).await.len(), 7);
    assert_eq!(texts(&service, "SELECT id FROM shop.locked").await, Vec::<String>::new());
    let denied = [Code::PermissionDenied];
    refused(&ann, "CREATE VIEW shop.mine AS SELECT 1 AS a", &denied).await;
    refused(&ann, "CREATE OR REPLACE VIEW shop.my_notes AS SELECT 1 AS id", &denied).await;
    refused(&ann, "DROP VIEW shop.my_notes", &denied).await;
    refused(&service, "DROP VIEW shop.my_notes", &denied).await;
    run(&service, &["CREATE VIEW shop.own AS SELECT id FROM shop.items", "DROP VIEW shop.own"])
        .await;
    refused(&ann, "CREATE VIEW shop.v AS SELECT id FROM shop.vault", &denied).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_looked_up_through_views_is_a_key_lookup() {
    let server = Server::start();
    let root = server.root().await;
    run(
        &root,
        &[
            "CREATE TABLE default.t (room TEXT, id INT, body TEXT, PRIMARY KEY (room, id))",
            "INSERT INTO default.t SELECT 'r' || (value % 3), value, 'x' FROM generate_series(1, 300)",
            "CREATE VIEW default.v AS SELECT id AS number, room, body FROM default.t",
            "CREATE VIEW default.w AS SELECT number AS n, room, body FROM default.v WHERE body = 'x'",
        ],
    )
    .await;
    let cases = [
        ("SELECT * FROM default.v WHERE room = 'r1' AND number = 4", "access=keys(1)"),
        ("SELECT * FROM default.w WHERE room = 'r1' AND n IN (4, 7)", "access=keys(2)"),
        (
            "SELECT n FROM default.w WHERE room = 'r2' ORDER BY n DESC LIMIT 5",
            "reverse=true, fetch=5",
        ),
        ("SELECT room FROM default.v LIMIT 3", "fetch=3"),
        ("SELECT body FROM default.w WHERE room = 'r2'", "columns=[body]"),
    ];
    for (sql, shown) in cases {
        let plan = root.rows(&format!("EXPLAIN {sql}")).await.unwrap();
        let plan = format!("{plan:?}");
        assert!(plan.contains(shown), "{sql}: no {shown} in {plan}");
    }
    let found =
        root.rows("SELECT n FROM default.w WHERE room = 'r2' ORDER BY n DESC LIMIT 2").await;
    assert_eq!(first_column(&found.unwrap()), ["299", "296"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_notice_a_replaced_view() {
    let server = Server::start();
    let root = server.root().await;
    run(&root, &["CREATE VIEW default.v AS SELECT 1 AS a"]).await;
    let mut prepared = root.prepare("SELECT a FROM default.v").await.unwrap();
    assert_eq!(single(&prepared.query(None).await.unwrap()), Value::Int(1));
    run(&root, &["CREATE OR REPLACE VIEW default.v AS SELECT 2 AS a"]).await;
    assert_eq!(single(&prepared.query(None).await.unwrap()), Value::Int(2));
    run(&root, &["CREATE OR REPLACE VIEW default.v AS SELECT 'text' AS a"]).await;
    let error = prepared.query(None).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    run(&root, &["DROP VIEW default.v"]).await;
    assert_eq!(prepared.query(None).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_views_multiply_is_bounded() {
    let server = Server::start();
    let root = server.root().await;
    run(
        &root,
        &["CREATE TABLE default.t (a INT)", "CREATE VIEW default.v0 AS SELECT a FROM default.t"],
    )
    .await;
    // Each reads the one before twice.
    for depth in 1..=9 {
        let below = depth - 1;
        let sql = format!(
            "CREATE VIEW default.v{depth} AS SELECT x.a FROM default.v{below} x JOIN default.v{below} y ON x.a = y.a"
        );
        root.update(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let wide = "SELECT 1 FROM default.v9 a JOIN default.v9 b ON true JOIN default.v9 c ON true";
    let message = refused(&root, wide, &[Code::InvalidArgument]).await;
    assert!(message.contains("number of tables"), "{message}");
    let ctes = "SELECT 1 FROM (WITH c AS (SELECT a FROM default.v9) SELECT 1 FROM c x, c y, c z) q";
    let message = refused(&root, ctes, &[Code::InvalidArgument]).await;
    assert!(message.contains("number of tables"), "{message}");
    let shadow = "WITH v1 AS (SELECT 7 AS a) SELECT v1.a FROM v1";
    assert_eq!(single(&root.rows(shadow).await.unwrap()), Value::Int(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_list_views_and_ingest_refuses_them() {
    let server = Server::start();
    let root = server.root().await;
    run(&root, &["CREATE NAMESPACE n", "CREATE VIEW n.v AS SELECT CAST(1 AS INT) AS a, 'x' AS b"])
        .await;
    let info = root
        .sql()
        .get_tables(CommandGetTables {
            catalog: None,
            db_schema_filter_pattern: Some("n".into()),
            table_name_filter_pattern: None,
            table_types: vec!["VIEW".into()],
            include_schema: true,
        })
        .await
        .unwrap();
    let tables = rows(&root.fetch(info).await.unwrap());
    assert_eq!(tables.len(), 1);
    assert_eq!(tables[0][2..4], [Value::from("v"), Value::from("VIEW")]);
    let info = root.sql().get_table_types().await.unwrap();
    let types = first_column(&rows(&root.fetch(info).await.unwrap()));
    assert_eq!(types, ["SYSTEM TABLE", "TABLE", "VIEW"]);
    let batch =
        RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap();
    for (if_not_exist, if_exists) in [
        (TableNotExistOption::Create, TableExistsOption::Fail),
        (TableNotExistOption::Create, TableExistsOption::Replace),
        (TableNotExistOption::Fail, TableExistsOption::Append),
    ] {
        let options = TableDefinitionOptions {
            if_not_exist: if_not_exist.into(),
            if_exists: if_exists.into(),
        };
        let command = ingest_command("n", "v", options);
        let error = root.ingest(command, vec![batch.clone()]).await.unwrap_err();
        assert_eq!(error.code(), Code::Unimplemented, "{error}");
        assert!(error.message().contains("writing to the view n.v"), "{error}");
    }
    // A table that views read does not give way to another.
    run(&root, &["CREATE TABLE n.t (a BIGINT)", "CREATE VIEW n.w AS SELECT a FROM n.t"]).await;
    let options = TableDefinitionOptions {
        if_not_exist: TableNotExistOption::Create.into(),
        if_exists: TableExistsOption::Replace.into(),
    };
    let error = root.ingest(ingest_command("n", "t", options), vec![batch]).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_again_after_a_kill() {
    let mut server = Server::start();
    let root = server.root().await;
    run(
        &root,
        &[
            "CREATE TABLE default.t (id INT PRIMARY KEY, v TEXT)",
            "INSERT INTO default.t SELECT value, 'old' FROM generate_series(1, 5000)",
            "CREATE VIEW default.counted AS SELECT count(*) AS n FROM default.t",
            "CREATE TABLE default.kept (PRIMARY KEY (id)) AS SELECT * FROM default.t WHERE id <= 10",
            "TRUNCATE default.t",
            "INSERT INTO default.t VALUES (7, 'new')",
            "CREATE VIEW default.gone AS SELECT 1 AS a",
            "DROP VIEW default.gone",
        ],
    )
    .await;
    for clean in [false, true] {
        if clean {
            assert!(server.terminate().success());
        } else {
            server.kill();
        }
        server.restart();
        let root = server.root().await;
        assert_eq!(texts(&root, "SELECT n FROM default.counted").await, ["1"]);
        assert_eq!(texts(&root, "SELECT v FROM default.t").await, ["new"]);
        assert_eq!(
            texts(&root, "SELECT v FROM default.t WHERE id = 8").await,
            Vec::<String>::new()
        );
        assert_eq!(texts(&root, "SELECT count(*) FROM default.kept WHERE v = 'old'").await, ["10"]);
        assert_eq!(texts(&root, "SELECT view_name FROM system.views").await, ["counted"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_truncate_bring_nothing_back() {
    let server = Server::start();
    let root = server.root().await;
    run(&root, &["CREATE TABLE default.t (id INT PRIMARY KEY, round INT)"]).await;
    let connect = |_| Client::resume(server.flight(), root.token());
    let clients: Vec<Client> =
        join_all((0..4).map(connect)).await.into_iter().map(Result::unwrap).collect();
    for round in 0..25 {
        let work = clients.iter().enumerate().map(|(who, client)| async move {
            let sql = match who {
                0 => "TRUNCATE default.t".to_owned(),
                1 => format!("UPDATE default.t SET round = {round}"),
                2 => format!(
                    "INSERT INTO default.t SELECT value, {round} FROM generate_series({0}, {0} + 20)",
                    round * 100
                ),
                _ => "DELETE FROM default.t WHERE id % 2 = 0".to_owned(),
            };
            match client.update(&sql).await {
                Err(status) if status.code() != Code::Aborted => panic!("{sql}: {status}"),
                _ => {}
            }
        });
        join_all(work).await;
        // What the counters say, and what is there.
        let counted = root.rows("SELECT count(*) FROM default.t").await.unwrap();
        let found = root.rows("SELECT count(id) FROM default.t WHERE id + 0 >= 0").await.unwrap();
        assert_eq!(single(&counted), single(&found), "round {round}");
    }
    root.update("TRUNCATE default.t").await.unwrap();
    assert_eq!(single(&root.rows("SELECT count(*) FROM default.t").await.unwrap()), Value::Int(0));
    let all = "SELECT id FROM default.t WHERE _deleted OR NOT _deleted";
    assert_eq!(texts(&root, all).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncate_empties_ones_own_part_of_a_user_table() {
    let server = Server::start();
    let root = server.root().await;
    run(
        &root,
        &[
            "CREATE USER TABLE default.notes (id INT PRIMARY KEY)",
            "CREATE TABLE default.shared (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'public')",
            "INSERT INTO default.shared VALUES (1)",
        ],
    )
    .await;
    let ann = create_user(&root, &server, "ann", "user").await;
    let bob = create_user(&root, &server, "bob", "user").await;
    for client in [&root, &ann, &bob] {
        run(
            client,
            &[
                "INSERT INTO default.notes VALUES (1), (2)",
                "DELETE FROM default.notes WHERE id = 2",
            ],
        )
        .await;
    }
    run(&ann, &["TRUNCATE default.notes"]).await;
    assert_eq!(
        texts(&ann, "SELECT id FROM default.notes WHERE _deleted OR NOT _deleted").await,
        Vec::<String>::new()
    );
    for client in [&root, &bob] {
        assert_eq!(
            texts(
                client,
                "SELECT id FROM default.notes WHERE _deleted OR NOT _deleted ORDER BY id"
            )
            .await,
            ["1", "2"]
        );
    }
    refused(&ann, "TRUNCATE default.shared", &[Code::PermissionDenied]).await;
    assert_eq!(texts(&root, "SELECT id FROM default.shared").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_made_from_a_query_takes_parameters() {
    let server = Server::start();
    let root = server.root().await;
    run(
        &root,
        &[
            "CREATE TABLE default.t (id BIGINT PRIMARY KEY)",
            "INSERT INTO default.t VALUES (1), (2), (3)",
        ],
    )
    .await;
    let sql = "CREATE TABLE default.few AS SELECT id FROM default.t WHERE id >= ?";
    let mut prepared = root.prepare(sql).await.unwrap();
    assert!(!prepared.returns_rows());
    // Preparing makes nothing.
    refused(&root, "SELECT * FROM default.few", &[Code::NotFound]).await;
    let bound = |ids: Vec<i64>| {
        RecordBatch::try_from_iter([("p", Arc::new(Int64Array::from(ids)) as _)]).unwrap()
    };
    assert_eq!(prepared.update(None).await.unwrap_err().code(), Code::InvalidArgument);
    let twice = prepared.update(Some(bound(vec![1, 2]))).await.unwrap_err();
    assert_eq!(twice.code(), Code::InvalidArgument, "{twice}");
    assert_eq!(prepared.update(Some(bound(vec![2]))).await.unwrap(), 2);
    assert_eq!(texts(&root, "SELECT id FROM default.few ORDER BY id").await, ["2", "3"]);
    let again = prepared.update(Some(bound(vec![2]))).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists, "{again}");
    let ann = create_user(&root, &server, "ann", "user").await;
    refused(&ann, "CREATE TABLE default.x AS SELECT 1 AS a", &[Code::PermissionDenied]).await;
    assert_eq!(ann.update("CREATE USER TABLE default.x AS SELECT 1 AS a").await.unwrap(), 1);
}
