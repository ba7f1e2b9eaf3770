//! tmp
use crate::test_database::{Database, root};
use arrow::array::*;
use arrow::datatypes::*;
use futures::StreamExt;
use std::sync::Arc;
use std::time::Instant;

fn batch(start: i64, rows: i64, shuffled: bool) -> RecordBatch {
    let ids: Vec<i64> =
        (start..start + rows).map(|i| if shuffled { (i * 7919) % 1_000_003 } else { i }).collect();
    let n = rows as usize;
    let cols: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("user_id", Arc::new(Int64Array::from_iter_values(ids.iter().map(|i| i % 5000)))),
        ("room", Arc::new(Int32Array::from_iter_values(ids.iter().map(|i| (*i % 500) as i32)))),
        ("len", Arc::new(Int32Array::from_iter_values(ids.iter().map(|i| (*i % 300) as i32)))),
        (
            "kind",
            Arc::new(StringArray::from_iter_values(
                ids.iter().map(|i| ["text", "file", "img", "sys"][(*i % 4) as usize]),
            )),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                ids.iter().map(|i| format!("user name {i:06}")),
            )),
        ),
        (
            "body",
            Arc::new(StringArray::from_iter_values(
                ids.iter().map(|i| format!("this is the body of msg {i:08}")),
            )),
        ),
        ("score", Arc::new(Float64Array::from_iter_values(ids.iter().map(|i| *i as f64 * 0.5)))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                ids.iter().map(|i| 1_700_000_000_000_000 + i),
            )),
        ),
        ("read", Arc::new(BooleanArray::from((0..n).map(|i| i % 2 == 0).collect::<Vec<_>>()))),
    ];
    let _ = Schema::empty();
    RecordBatch::try_from_iter(cols).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_tmp() {
    for shuffled in [false, true] {
        let db = Database::with_tables(&[
            "CREATE TABLE messages (id BIGINT PRIMARY KEY, user_id BIGINT, room INT, len INT, kind TEXT, name TEXT, body TEXT, score DOUBLE, at TIMESTAMP, read BOOLEAN)",
        ]);
        let batches: Vec<_> = (0..16).map(|i| Ok(batch(i * 62_500, 62_500, shuffled))).collect();
        let entry = db.table("messages");
        let start = Instant::now();
        let n = crate::insert_batches(
            &db.template,
            &db.context(&root()),
            &entry,
            futures::stream::iter(batches),
        )
        .await
        .unwrap();
        println!("ingest shuffled={shuffled} {n} rows {:?}", start.elapsed());
        for sql in [
            "SELECT * FROM messages",
            "SELECT id FROM messages",
            "SELECT kind, count(*), sum(score), max(len) FROM messages GROUP BY kind",
            "SELECT count(*) FROM messages WHERE room = 7",
            "SELECT * FROM messages ORDER BY id DESC LIMIT 50",
            "SELECT * FROM messages LIMIT 10",
            "SELECT * FROM messages WHERE id = 5000",
        ] {
            let plan = db.plan(&root(), sql).unwrap();
            let mut best = f64::MAX;
            let mut rows = 0;
            for _ in 0..7 {
                let start = Instant::now();
                let context = db.context(&root());
                let (physical, state) = db.physical(&context, plan.clone()).await.unwrap();
                let mut s =
                    datafusion::physical_plan::execute_stream(physical, state.task_ctx()).unwrap();
                rows = 0;
                while let Some(b) = s.next().await {
                    rows += b.unwrap().num_rows();
                }
                best = best.min(start.elapsed().as_secs_f64() * 1e3);
            }
            println!("{best:9.3} ms {rows} {sql}");
        }
    }
}
