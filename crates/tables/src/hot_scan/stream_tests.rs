//! Scans of streams: what bounds them, what order they have, and what is not claimed of them.

use crate::test_database::Database;

async fn scan_line(database: &Database, sql: &str) -> String {
    let plan = database.explain(sql).await;
    let line = plan.lines().find(|line| line.contains("HotScanExec"));
    line.unwrap_or_else(|| panic!("no scan in\n{plan}")).trim().to_owned()
}

/// 300 rows in three statements.
async fn events() -> Database {
    let database = Database::with_tables(&[
        "CREATE STREAM TABLE events (n INT, what TEXT) WITH (TTL_SECONDS = 86400)",
        "CREATE STREAM TABLE few (n INT) WITH (TTL_SECONDS = 86400, MAX_ROWS = 10)",
    ]);
    for start in [0, 100, 200] {
        let values = |row: i32| format!("({row}, 'event {row}')");
        let rows: Vec<String> = (start..start + 100).map(values).collect();
        database.execute(&format!("INSERT INTO events VALUES {}", rows.join(", "))).await;
    }
    database.execute("INSERT INTO few SELECT n FROM events ORDER BY n").await;
    database
}

#[tokio::test]
async fn the_newest_rows_are_read_alone() {
    let database = events().await;
    for order in ["_row_id DESC", "_updated DESC", "_updated DESC, _row_id DESC"] {
        let sql = format!("SELECT n FROM events ORDER BY {order} LIMIT 5");
        let plan = database.explain(&sql).await;
        assert!(!plan.contains("SortExec"), "{plan}");
        assert!(plan.contains("reverse=true") && plan.contains("fetch=5"), "{plan}");
        assert_eq!(database.rows(&sql).await, ["299", "298", "297", "296", "295"]);
        assert_eq!(database.scanned_rows(&sql).await, 5);
    }
    let sql = "SELECT n FROM events ORDER BY _row_id LIMIT 2";
    assert_eq!(database.rows(sql).await, ["0", "1"]);
    assert_eq!(database.scanned_rows(sql).await, 2);
    // Not the order of arrival: sorted.
    assert!(database.explain("SELECT n FROM events ORDER BY n LIMIT 2").await.contains("SortExec"));
}

#[tokio::test]
async fn conditions_on_arrival_bound_the_scan() {
    let database = events().await;
    for (condition, bounds, rows) in [
        ("_row_id > 290", "bounds=[_row_id > 290]", 10),
        ("_row_id BETWEEN 5 AND 7", "_row_id >= 5", 3),
        ("_row_id = 17 AND what LIKE '%16'", "_row_id = 17", 1),
        ("_row_id IN (1, 300, 301)", "_row_id", 2),
        ("_updated > '2020-01-01T00:00:00Z'", "_updated > ", 300),
        ("_updated < '2020-01-01T00:00:00Z'", "_updated < ", 0),
    ] {
        let sql = format!("SELECT n FROM events WHERE {condition}");
        let line = scan_line(&database, &sql).await;
        assert!(line.contains("bounds=[") && line.contains(bounds), "{condition}: {line}");
        assert_eq!(database.rows(&sql).await.len(), rows, "{condition}");
    }
    for impossible in ["_row_id < 0", "_row_id > 5 AND _row_id < 3", "_row_id = NULL"] {
        let sql = format!("SELECT n FROM events WHERE {impossible}");
        let plan = database.explain(&sql).await;
        assert!(plan.contains("access=nothing") || plan.contains("EmptyExec"), "{plan}");
        assert!(database.rows(&sql).await.is_empty());
    }
}

#[tokio::test]
async fn counts_are_of_what_is_shown() {
    let database = events().await;
    // 300 rows are stored, 10 are shown.
    let few = database.table("few").definition.id;
    let stored = database.store.view().unwrap().table_counts(few, None).unwrap().live_rows;
    assert_eq!(stored, 300);
    for (sql, counted) in [
        ("SELECT count(*) FROM few", "10"),
        ("SELECT count(n) FROM few", "10"),
        ("SELECT min(n) FROM few", "290"),
        ("SELECT count(*) FROM few a JOIN few b ON a.n = b.n", "10"),
        ("SELECT count(*) FROM (SELECT * FROM few LIMIT 50)", "10"),
        ("SELECT count(*) FROM few WHERE n < 290", "0"),
    ] {
        assert_eq!(database.rows(sql).await, [counted], "{sql}");
    }
}
