//! STREAM tables over the wire: who may do what with them, uploads, and what a restart leaves.

use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use tonic::Code;

use crate::client::Client;
use crate::rows::{Value, first_column, single};
use crate::server::Server;

const PASSWORD: &str = "a-user-of-the-stream-test";

async fn sign_up(root: &Client, server: &Server, name: &str, role: &str) -> Client {
    let sql = format!("CREATE USER {name} WITH PASSWORD '{PASSWORD}' ROLE {role}");
    root.update(&sql).await.unwrap();
    server.sign_in(name, PASSWORD).await.unwrap()
}

async fn count(client: &Client, table: &str) -> Value {
    single(&client.rows(&format!("SELECT count(*) FROM {table}")).await.unwrap())
}

fn events(first: i32, rows: i32) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("n", DataType::Int32, false),
        Field::new("what", DataType::Utf8, true),
    ]);
    let what = (first..first + rows).map(|n| Some(format!("event {n}")));
    let columns: [Arc<dyn arrow::array::Array>; 2] = [
        Arc::new(Int32Array::from_iter_values(first..first + rows)),
        Arc::new(StringArray::from_iter(what)),
    ];
    RecordBatch::try_new(Arc::new(schema), columns.into()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_reads_and_appends_and_a_dba_drops() {
    let server = Server::start();
    let root = server.root().await;
    let user = sign_up(&root, &server, "uma", "user").await;
    let service = sign_up(&root, &server, "sam", "service").await;
    let dba = sign_up(&root, &server, "dan", "dba").await;
    let create = "CREATE STREAM TABLE default.events (n INT, what TEXT) WITH (TTL_SECONDS = 86400)";
    user.update(create).await.unwrap();
    for (client, what) in [(&user, "user"), (&service, "service"), (&dba, "dba"), (&root, "root")] {
        let insert = format!("INSERT INTO default.events VALUES (1, '{what}')");
        assert_eq!(client.update(&insert).await.unwrap(), 1);
    }
    // One set of rows for everybody.
    for client in [&user, &service, &dba, &root] {
        let rows = client.rows("SELECT what FROM default.events ORDER BY _row_id").await.unwrap();
        assert_eq!(first_column(&rows), ["user", "service", "dba", "root"]);
        let listed = client.rows("SHOW TABLES IN default").await.unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        for change in ["UPDATE default.events SET n = 2", "DELETE FROM default.events"] {
            let refused = client.update(change).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
            assert!(refused.message().contains("STREAM table default.events"), "{refused}");
        }
    }
    for client in [&user, &service] {
        let refused = client.update("DROP TABLE default.events").await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
    dba.update("DROP TABLE default.events").await.unwrap();
    let gone = user.update("INSERT INTO default.events VALUES (1, 'x')").await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound, "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_are_appended_and_survive_a_restart() {
    let mut server = Server::start();
    let root = server.root().await;
    let create = "CREATE STREAM TABLE default.events (n INT NOT NULL, what TEXT) \
                  WITH (TTL_SECONDS = 86400, MAX_ROWS = 25000)";
    root.update(create).await.unwrap();
    for first in [0, 20_000] {
        let batches = vec![events(first, 10_000), events(first + 10_000, 10_000)];
        let sent = root.append("default", "events", batches).await.unwrap();
        assert_eq!(sent, 20_000);
    }
    let newest = "SELECT n FROM default.events ORDER BY _row_id DESC LIMIT 3";
    assert_eq!(count(&root, "default.events").await, Value::Int(25_000));
    assert_eq!(first_column(&root.rows(newest).await.unwrap()), ["39999", "39998", "39997"]);
    let shown = root.rows("SHOW CREATE TABLE default.events").await.unwrap();
    let Value::Text(shown) = &shown[0][1] else { panic!("{shown:?}") };
    assert!(shown.starts_with("CREATE STREAM TABLE"), "{shown}");
    let options = "WITH (DURABILITY = 'interval:100ms', TTL_SECONDS = 86400, MAX_ROWS = 25000)";
    assert!(shown.ends_with(options), "{shown}");

    // What was acknowledged outlives the process, though the disk need not have it yet.
    server.kill();
    server.restart();
    let root = server.root().await;
    assert_eq!(count(&root, "default.events").await, Value::Int(25_000));
    let sum = "SELECT sum(n), min(_row_id), max(_row_id) FROM default.events";
    let sums = root.rows(sum).await.unwrap();
    let expected: i64 = (15_000..40_000).sum();
    assert_eq!(sums[0], [expected, 15_001, 40_000].map(Value::Int));
    root.update("INSERT INTO default.events VALUES (-1, 'last')").await.unwrap();
    assert_eq!(first_column(&root.rows(newest).await.unwrap()), ["-1", "39999", "39998"]);
    assert_eq!(count(&root, "default.events").await, Value::Int(25_000));
}
