//! What a scan takes over from the rest of the plan, and that it gives the same rows.

use super::*;
use crate::test_database::{Database, root};

const ORDERS: &str = "CREATE TABLE orders (shop INT, id BIGINT, name TEXT, price DOUBLE, \
                      PRIMARY KEY (shop, id))";

/// 3 shops with 100 orders each.
async fn orders() -> Database {
    let database = Database::with_tables(&[ORDERS]);
    let insert = "INSERT INTO orders SELECT s.value, o.value, \
                  'order ' || CAST(o.value AS TEXT), o.value * 1.5 \
                  FROM generate_series(1, 3) AS s(value), generate_series(1, 100) AS o(value)";
    assert_eq!(database.execute(insert).await, 300);
    database
}

async fn scan_line(database: &Database, sql: &str) -> String {
    let plan = database.explain(sql).await;
    let line = plan.lines().find(|line| line.contains("HotScanExec"));
    line.unwrap_or_else(|| panic!("no scan in\n{plan}")).trim().to_owned()
}

#[tokio::test]
async fn equality_on_the_whole_key_is_a_lookup() {
    let database = orders().await;
    let sql = "SELECT name FROM orders WHERE shop = 2 AND id = 7";
    let line = scan_line(&database, sql).await;
    assert!(line.contains("access=keys(1)"), "{line}");
    assert!(line.contains("columns=[name]") && !line.contains("filters="), "{line}");
    assert_eq!(database.rows(sql).await, ["order 7"]);
    assert_eq!(database.scanned_rows(sql).await, 1);

    let sql =
        "SELECT id FROM orders WHERE shop IN (3, 1, 1) AND id IN (5, 200, 4) ORDER BY shop, id";
    let line = scan_line(&database, sql).await;
    assert!(line.contains("access=keys(6)"), "{line}");
    assert_eq!(database.rows(sql).await, ["4", "5", "4", "5"]);
    assert!(!database.explain(sql).await.contains("SortExec"));
}

#[tokio::test]
async fn texts_are_told_from_columns() {
    let database = Database::with_tables(&["CREATE TABLE words (a TEXT PRIMARY KEY, b TEXT)"]);
    for (condition, shown) in [
        ("a = 'a'", "bounds=[a = 'a']"),
        ("a >= 'it''s'", "bounds=[a >= 'it''s']"),
        ("b = 'b'", "filters=[b = 'b']"),
    ] {
        let line = scan_line(&database, &format!("SELECT a FROM words WHERE {condition}")).await;
        assert!(line.contains(shown), "{condition}: {line}");
    }
}

#[tokio::test]
async fn conditions_on_leading_key_columns_bound_the_scan() {
    let database = orders().await;
    let cases = [
        ("shop = 2", "access=ranges", "bounds=[shop = 2]", 100),
        ("shop = 2 AND id > 90", "access=ranges", "bounds=[shop = 2, id > 90]", 10),
        ("shop = 2 AND id BETWEEN 10 AND 12", "access=ranges", "id >= 10, id <= 12", 3),
        ("shop >= 3", "access=ranges", "bounds=[shop >= 3]", 100),
        ("shop > 3", "access=ranges", "bounds=[shop > 3]", 0),
        ("shop < 2 AND shop > 0", "access=ranges", "shop", 100),
        ("shop IN (1, 3) AND id <= 2", "access=ranges", "id <= 2", 4),
        ("shop > 2 AND shop < 1", "access=nothing", "", 0),
        ("id = 5", "access=all", "filters=[id = 5]", 3),
        ("shop = 1 AND price > 147", "access=ranges", "filters=[price > 147]", 2),
    ];
    for (condition, access, more, rows) in cases {
        let sql = format!("SELECT shop, id FROM orders WHERE {condition}");
        let plan = database.explain(&sql).await;
        if plan.contains("EmptyExec") {
            assert_eq!(rows, 0, "{condition}");
            continue;
        }
        let line = scan_line(&database, &sql).await;
        assert!(line.contains(access) && line.contains(more), "{condition}: {line}");
        assert!(!plan.contains("FilterExec"), "{plan}");
        assert_eq!(database.rows(&sql).await.len(), rows, "{condition}");
        assert_eq!(database.scanned_rows(&sql).await, rows, "{condition}");
    }
}

#[tokio::test]
async fn like_bounds_a_text_key() {
    let database = Database::with_tables(&["CREATE TABLE words (word TEXT PRIMARY KEY)"]);
    database
        .execute("INSERT INTO words VALUES ('ab'), ('abc'), ('abd'), ('ac'), ('ab%'), ('Ab')")
        .await;
    let sql = "SELECT word FROM words WHERE word LIKE 'ab_%' ORDER BY word";
    let line = scan_line(&database, sql).await;
    assert!(line.contains("access=ranges") && line.contains("filters="), "{line}");
    assert_eq!(database.rows(sql).await, ["ab%", "abc", "abd"]);
    assert_eq!(database.scanned_rows(sql).await, 3);
}

#[tokio::test]
async fn order_by_key_needs_no_sort_and_reads_no_row_too_many() {
    let database = orders().await;
    for (order, first) in [("shop, id", "1|1"), ("shop DESC, id DESC", "3|100")] {
        let sql = format!("SELECT shop, id FROM orders ORDER BY {order} LIMIT 5");
        let plan = database.explain(&sql).await;
        assert!(!plan.contains("SortExec"), "{plan}");
        assert!(plan.contains("fetch=5"), "{plan}");
        assert_eq!(plan.contains("reverse=true"), order.contains("DESC"), "{plan}");
        assert_eq!(database.rows(&sql).await[0], first);
        assert_eq!(database.scanned_rows(&sql).await, 5, "{plan}");
    }
    // The first column is bound: the second alone is the order.
    let sql = "SELECT id FROM orders WHERE shop = 2 ORDER BY id DESC LIMIT 3";
    let plan = database.explain(sql).await;
    assert!(!plan.contains("SortExec") && plan.contains("reverse=true"), "{plan}");
    assert_eq!(database.rows(sql).await, ["100", "99", "98"]);
    assert_eq!(database.scanned_rows(sql).await, 3);
    // Another order is sorted.
    let sql = "SELECT id FROM orders ORDER BY shop, id DESC LIMIT 1";
    assert!(database.explain(sql).await.contains("SortExec"));
    assert_eq!(database.rows(sql).await, ["100"]);
}

#[tokio::test]
async fn a_limit_stops_the_scan() {
    let database = orders().await;
    assert_eq!(database.scanned_rows("SELECT * FROM orders LIMIT 10").await, 10);
    assert_eq!(database.rows("SELECT * FROM orders LIMIT 10 OFFSET 295").await.len(), 5);
    let sql = "SELECT id FROM orders WHERE price > 100 LIMIT 4";
    assert_eq!(database.scanned_rows(sql).await, 4);
}

#[tokio::test]
async fn counts_come_from_the_counters() {
    let database = orders().await;
    let plan = database.explain("SELECT count(*) FROM orders").await;
    assert!(!plan.contains("HotScanExec"), "{plan}");
    assert_eq!(database.rows("SELECT count(*), count(id) FROM orders").await, ["300|300"]);
    assert_eq!(database.execute("DELETE FROM orders WHERE shop = 1").await, 100);
    assert_eq!(database.rows("SELECT count(*) FROM orders").await, ["200"]);
    assert_eq!(database.rows("SELECT count(*) FROM orders WHERE shop = 1").await, ["0"]);
}

#[tokio::test]
async fn joins_and_top_k_hand_dynamic_filters_to_the_scan() {
    let database = orders().await;
    database.define("CREATE TABLE shops (shop INT PRIMARY KEY, city TEXT)");
    database.execute("INSERT INTO shops VALUES (1, 'Rome'), (2, 'Oslo'), (9, 'Lima')").await;
    let sql = "SELECT count(*) FROM orders JOIN shops USING (shop) WHERE city = 'Oslo'";
    let plan = database.explain(sql).await;
    assert!(plan.contains("dynamic_filters="), "{plan}");
    assert_eq!(database.rows(sql).await, ["100"]);
    let sql = "SELECT name FROM orders ORDER BY name DESC, shop LIMIT 2";
    let plan = database.explain(sql).await;
    assert!(plan.contains("dynamic_filters="), "{plan}");
    assert_eq!(database.rows(sql).await, ["order 99", "order 99"]);
}

#[tokio::test]
async fn a_filter_sees_only_rows_that_passed_the_one_before() {
    let database = Database::with_tables(&["CREATE TABLE t (id INT PRIMARY KEY, n INT)"]);
    database.execute("INSERT INTO t VALUES (1, 0), (2, 5), (3, NULL)").await;
    let sql = "SELECT id FROM t WHERE n <> 0 AND 10 / n = 2";
    assert_eq!(database.rows(sql).await, ["2"]);
}

#[tokio::test]
async fn large_tables_are_scanned_in_parallel_and_stay_in_order() {
    let database = Database::with_tables(&["CREATE TABLE t (id BIGINT PRIMARY KEY, v INT)"]);
    let insert = "INSERT INTO t SELECT value, value % 7 FROM generate_series(1, 200000)";
    assert_eq!(database.execute(insert).await, 200_000);
    let line = scan_line(&database, "SELECT v FROM t").await;
    assert!(line.contains("partitions=2"), "{line}");
    assert_eq!(
        database.rows("SELECT sum(id), count(v) FROM t WHERE v >= 0").await,
        ["20000100000|200000"]
    );
    let sql = "SELECT id FROM t WHERE id > 50000 ORDER BY id DESC";
    let plan = database.explain(sql).await;
    assert!(plan.contains("SortPreservingMergeExec") && !plan.contains("SortExec"), "{plan}");
    let rows = database.rows(sql).await;
    assert_eq!(rows.len(), 150_000);
    assert!(
        rows.windows(2)
            .all(|pair| { pair[0].parse::<i64>().unwrap() > pair[1].parse::<i64>().unwrap() })
    );
    let sql = "SELECT id FROM t ORDER BY id DESC LIMIT 50";
    assert_eq!(database.scanned_rows(sql).await, 50);
    assert_eq!(database.rows(sql).await[49], "199951");
}

#[tokio::test]
async fn cancelling_stops_the_scan() {
    let database = Database::with_tables(&["CREATE TABLE t (id BIGINT PRIMARY KEY)"]);
    database.execute("INSERT INTO t SELECT value FROM generate_series(1, 100000)").await;
    let context = database.context(&root());
    let plan = database.plan(&root(), "SELECT id FROM t WHERE id % 2 = 0").unwrap();
    let (plan, state) = database.physical(&context, plan).await.unwrap();
    let mut stream =
        datafusion::physical_plan::execute_stream(Arc::clone(&plan), state.task_ctx()).unwrap();
    use futures::StreamExt;
    stream.next().await.unwrap().unwrap();
    context.cancel.cancel();
    let mut last = None;
    while let Some(batch) = stream.next().await {
        last = Some(batch);
    }
    let error = last.unwrap().unwrap_err();
    assert_eq!(crate::kind_of(&error), kalamdb_commons::ErrorKind::Cancelled, "{error}");
    drop(stream);
    for _ in 0..5_000 {
        if database.scan_pool.free_places() == 2 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("a scan still holds its thread");
}
