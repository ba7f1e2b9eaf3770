//! Statements on altered tables: plans and rows from before the change.

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::physical_plan::collect;
use kalamdb_commons::ErrorKind;

use crate::test_database::{Database, lines, root};
use crate::{conflict_of, kind_of};

async fn orders() -> Database {
    let database = Database::with_tables(&[
        "CREATE TABLE orders (shop INT, id INT, note TEXT, price SMALLINT, PRIMARY KEY (shop, id))",
    ]);
    let insert = "INSERT INTO orders SELECT s.value, i.value, 'note', i.value \
        FROM generate_series(1, 3) AS s(value), generate_series(1, 100) AS i(value)";
    assert_eq!(database.execute(insert).await, 300);
    database
}

const ALTER: &str = "ALTER TABLE orders ADD COLUMN n INT NOT NULL DEFAULT 5, DROP COLUMN note, \
    ALTER COLUMN price TYPE DECIMAL(8, 2)";

#[tokio::test]
async fn altering_changes_no_plan() {
    let database = orders().await;
    let queries = [
        "SELECT id FROM orders WHERE shop = 2 AND id > 90 ORDER BY id DESC LIMIT 3",
        "SELECT shop, id FROM orders WHERE shop = 2 AND id IN (7, 8)",
        "SELECT shop, id FROM orders ORDER BY shop, id LIMIT 5",
        "SELECT count(*) FROM orders",
        "SELECT shop, count(*) FROM orders GROUP BY shop ORDER BY shop",
    ];
    let mut before = Vec::new();
    for query in queries {
        before.push((database.explain(query).await, database.rows(query).await));
    }
    database.alter(ALTER);
    for (query, (plan, rows)) in queries.iter().zip(&before) {
        assert_eq!(&database.explain(query).await, plan, "{query}");
        assert_eq!(&database.rows(query).await, rows, "{query}");
    }
    // What was added and what is wider is filtered in the scan, and reads no row too many.
    let sql = "SELECT id FROM orders WHERE shop = 2 AND n = 5 AND price >= 99.5";
    let plan = database.explain(sql).await;
    assert!(!plan.contains("FilterExec") && plan.contains("filters=["), "{plan}");
    assert_eq!(database.rows(sql).await, ["100"]);
    assert_eq!(database.scanned_rows("SELECT n FROM orders WHERE shop = 1 AND id = 7").await, 1);
}

#[tokio::test]
async fn rows_of_both_versions_are_changed_and_shown_alike() {
    let database = orders().await;
    database.alter(ALTER);
    let returned =
        database.rows("UPDATE orders SET n = n + 1 WHERE shop = 1 AND id = 7 RETURNING *").await;
    assert_eq!(returned, ["1|7|7.00|6"]);
    assert_eq!(database.execute("UPDATE orders SET price = price / 8 WHERE shop = 1").await, 100);
    let sql = "SELECT * FROM orders WHERE shop = 1 AND id IN (1, 7, 8) ORDER BY id";
    assert_eq!(database.rows(sql).await, ["1|1|0.13|5", "1|7|0.88|6", "1|8|1.00|5"]);
    assert_eq!(database.execute("DELETE FROM orders WHERE n = 5 AND shop < 3").await, 199);
    let sql = "SELECT shop, count(*), sum(n), min(price) FROM orders GROUP BY shop ORDER BY shop";
    assert_eq!(database.rows(sql).await, ["1|1|6|0.88", "3|100|500|1.00"]);
    let sql = "SELECT id, n FROM orders WHERE _deleted AND shop = 2 AND id = 9";
    assert_eq!(database.rows(sql).await, ["9|5"]);
}

/// A plan from before is refused; whoever runs statements plans them anew.
#[tokio::test]
async fn plans_from_before_are_refused() {
    let database = orders().await;
    for sql in [
        "SELECT count(id) FROM orders",
        "INSERT INTO orders (shop, id) VALUES (9, 9)",
        "UPDATE orders SET price = 1",
        "DELETE FROM orders",
    ] {
        let plan = database.plan(&root(), sql).unwrap();
        database.alter("ALTER TABLE orders ALTER COLUMN price SET DEFAULT 1");
        let context = database.context(&root());
        let ran: Result<Vec<RecordBatch>> = async {
            let (plan, state) = database.physical(&context, plan).await?;
            collect(plan, state.task_ctx()).await
        }
        .await;
        assert_eq!(kind_of(&ran.unwrap_err()), ErrorKind::Conflict, "{sql}");
        database.alter("ALTER TABLE orders ALTER COLUMN price DROP DEFAULT");
    }
    assert_eq!(database.rows("SELECT count(*), sum(price) FROM orders").await, ["300|15150"]);
}

/// A statement that began before reads what was there; it commits nothing after.
#[tokio::test]
async fn statements_that_began_before_read_on_and_write_nothing() {
    let database = orders().await;
    for sql in [
        "SELECT count(id) FROM orders",
        "INSERT INTO orders (shop, id) VALUES (9, 9)",
        "INSERT INTO orders (shop, id) VALUES (1, 1) ON CONFLICT (shop, id) DO UPDATE SET price = 0",
        "UPDATE orders SET price = 1",
        "DELETE FROM orders",
        "TRUNCATE orders",
    ] {
        let context = database.context(&root());
        let plan = database.plan(&root(), sql).unwrap();
        let (plan, state) = database.physical(&context, plan).await.unwrap();
        database.alter("ALTER TABLE orders ALTER COLUMN price SET DEFAULT 1");
        let ran = collect(plan, state.task_ctx()).await;
        if sql.starts_with("SELECT") {
            assert_eq!(lines(&ran.unwrap()), ["300"]);
        } else {
            let error = ran.unwrap_err();
            assert!(conflict_of(&error).is_some(), "{sql}: {error}");
            assert_eq!(kind_of(&error), ErrorKind::Conflict, "{sql}");
        }
        database.alter("ALTER TABLE orders ALTER COLUMN price DROP DEFAULT");
    }
    assert_eq!(database.rows("SELECT count(*), sum(price) FROM orders").await, ["300|15150"]);
}
