//! What bounds a statement: others beside it, its time, the age of what it reads, its reader, the
//! disk.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::Int64Array;
use futures::{FutureExt, StreamExt, TryStreamExt};
use kalamdb_commons::ErrorKind;

use super::{Fixture, bound, ingest, stream};
use crate::{EngineError, IngestIfExists};

/// How long what happens at once may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// Joins that compare 4 · 10¹⁰ and 10¹⁰ pairs of rows and find two: within one poll, if nothing
/// stops them.
const COMPARING: [&str; 2] = [
    "SELECT count(*) FROM generate_series(1, 200000) a JOIN generate_series(1, 200000) b \
     ON a.a + b.b = 3",
    "SELECT count(*) FROM generate_series(1, 100000) a JOIN generate_series(1, 100000) b \
     ON a.a / 1000000 = b.b / 1000000 AND a.a + b.b = 3",
];

/// More rows than are held ready for a reader.
const MANY_ROWS: &str = "SELECT value FROM generate_series(1, 1000000)";

/// Waits until nothing reads any more.
async fn no_view_is_open(db: &Fixture) {
    let closed = async {
        while db.engine.store.open_views() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, closed).await.expect("a view stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_that_compare_everything_leave_room_for_others_and_can_be_stopped() {
    let db = Fixture::with(|settings| settings.execution_threads = 1);
    db.run("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await.unwrap();
    for sql in COMPARING {
        let prepared = db.engine.prepare(&db.session, sql).await.unwrap();
        let mut running = Vec::new();
        for _ in 0..2 {
            running.push(db.engine.query(&db.session, &prepared, None, None).await.unwrap());
        }
        // The one thread there is runs two joins, and this beside them.
        for _ in 0..3 {
            let count = tokio::time::timeout(SOON, db.number("SELECT count(*) FROM t")).await;
            assert_eq!(count.expect("others wait for a join"), 2, "{sql}");
        }
        for result in &mut running {
            let row = result.batches.next().now_or_never();
            assert!(row.is_none(), "it was to run for long: {sql}");
        }
        drop(running);
        no_view_is_open(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_that_compare_everything_stop_when_their_time_is_up() {
    let db = Fixture::with(|settings| settings.execution_threads = 1);
    db.run("SET statement_timeout = '200ms'").await.unwrap();
    for sql in COMPARING {
        let error = tokio::time::timeout(SOON, db.rows(sql)).await.expect("it goes on and on");
        assert_eq!(error.unwrap_err().kind(), ErrorKind::DeadlineExceeded, "{sql}");
        no_view_is_open(&db).await;
    }
}

#[tokio::test]
async fn joins_in_slices_have_every_row_once() {
    let db = Fixture::new();
    let series = "generate_series(1, 20000)";
    for (join, expected) in [
        ("a JOIN generate_series(1, 20000) b ON a.a = b.b", 20_000),
        ("a JOIN generate_series(1, 3) b ON a.a % 3 + 1 = b.b", 20_000),
        ("a LEFT JOIN generate_series(1, 3) b ON a.a < b.b", 20_001),
        ("a RIGHT JOIN generate_series(1, 3) b ON a.a < b.b", 4),
        ("a FULL JOIN generate_series(1, 3) b ON a.a < b.b", 20_002),
        ("a FULL JOIN generate_series(19999, 20002) b ON a.a = b.b", 20_002),
        ("a CROSS JOIN generate_series(1, 3) b", 60_000),
    ] {
        let sql = format!("SELECT count(*) FROM {series} {join}");
        assert_eq!(db.number(&sql).await, expected, "{sql}");
    }
}

/// What a reader is told who takes one batch and comes back once nothing is kept for it.
async fn of_a_reader_that_stops(db: &Fixture) -> EngineError {
    let prepared = db.engine.prepare(&db.session, MANY_ROWS).await.unwrap();
    let mut stalled = db.engine.query(&db.session, &prepared, None, None).await.unwrap();
    stalled.batches.next().await.unwrap().unwrap();
    no_view_is_open(db).await;
    stalled.batches.try_collect::<Vec<_>>().await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_is_not_waited_for_and_told() {
    let db = Fixture::with(|settings| settings.stall_max = Duration::from_millis(50));
    let error = of_a_reader_that_stops(&db).await;
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_keeps_what_it_reads_for_longer_than_it_may() {
    let db = Fixture::with(|settings| settings.view_age_max = Duration::from_millis(300));
    db.run("CREATE TABLE t (id BIGINT); SET statement_timeout = 0").await.unwrap();
    // One that waits for its reader, one that computes, one that writes.
    let error = of_a_reader_that_stops(&db).await;
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    let error = db.rows(COMPARING[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    let error = db.run(&format!("INSERT INTO t {}", COMPARING[0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    // One that reads a state kept for it, too late.
    let prepared = db.engine.prepare(&db.session, MANY_ROWS).await.unwrap();
    let pinned = db.engine.pin().unwrap();
    let late = async {
        loop {
            let result = db.engine.query(&db.session, &prepared, None, Some(&pinned)).await;
            if let Err(error) = result.unwrap().batches.try_next().await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(SOON, late).await.expect("a pinned view is kept for ever");
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
}

#[tokio::test]
async fn an_ingest_does_not_wait_for_a_client_that_sends_nothing() {
    let db = Fixture::with(|settings| settings.stall_max = Duration::from_millis(50));
    db.run("CREATE TABLE t (\"0\" BIGINT)").await.unwrap();
    let batch = bound(vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]);
    for exists in [IngestIfExists::Append, IngestIfExists::Replace] {
        let endless = stream(vec![Ok(batch.clone())]).chain(futures::stream::pending()).boxed();
        let error = db.engine.ingest(&db.session, ingest("t", &batch, exists), endless).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
        assert_eq!(db.number("SELECT count(*) FROM t").await, 0);
    }
}

#[tokio::test]
async fn rows_are_refused_while_the_disk_is_almost_full_and_reads_go_on() {
    let db = Fixture::with(|settings| settings.free_space_floor_bytes = u64::MAX);
    db.run("CREATE TABLE t (id BIGINT)").await.expect("definitions are small");
    let batch = bound(vec![Arc::new(Int64Array::from(vec![1]))]);
    let request = ingest("new", &batch, IngestIfExists::Fail);
    let upload = db.engine.ingest(&db.session, request, stream(vec![Ok(batch)])).await;
    let insert = db.run("INSERT INTO t VALUES (1)").await;
    for refused in [upload, insert] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
        assert!(error.to_string().contains("free"), "{error}");
    }
    assert_eq!(db.number("SELECT count(*) FROM t").await, 0);
    db.run("DROP TABLE t").await.expect("what makes room is not refused");
}
