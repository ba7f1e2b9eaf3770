//! Small statements in process: what is left of a read by key without the wire.
//!
//! `cargo bench --bench statements`. `prepare` is parsing, planning and typing; `query` runs what
//! was prepared, to its last row.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use criterion::{Criterion, criterion_group, criterion_main};
use futures::TryStreamExt;
use kalamdb_core::{
    Engine, EngineSettings, IngestIfExists, IngestIfMissing, IngestRequest, Prepared, Session,
};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: i64 = 100_000;
const STATEMENTS: [(&str, &str); 4] = [
    ("select_1", "SELECT 1 AS one"),
    ("key_lookup", "SELECT * FROM t WHERE id = 4711"),
    ("limit_10", "SELECT * FROM t LIMIT 10"),
    ("newest_50", "SELECT * FROM t ORDER BY id DESC LIMIT 50"),
];

fn rows() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let text = |i| format!("the body of message {i:012}");
    let bodies: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(text)));
    RecordBatch::try_from_iter([("id", ids), ("body", bodies)]).unwrap()
}

async fn load(engine: &Arc<Engine>, session: &Session) {
    let create = "CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT)";
    engine.execute_script(session, create).await.unwrap();
    let rows = rows();
    let request = IngestRequest {
        namespace: None,
        table: "t".into(),
        schema: rows.schema(),
        if_exists: IngestIfExists::Append,
        if_missing: IngestIfMissing::Fail,
    };
    let batches = Box::pin(futures::stream::iter([Ok(rows)]));
    engine.ingest(session, request, batches).await.unwrap();
}

async fn run(engine: &Arc<Engine>, session: &Session, prepared: &Arc<Prepared>) -> usize {
    let result = engine.query(session, prepared, None, None).await.unwrap();
    let rows = |rows, batch: RecordBatch| async move { Ok(rows + batch.num_rows()) };
    result.batches.try_fold(0, rows).await.unwrap()
}

fn statements(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut settings = EngineSettings::new(directory.path());
    settings.root_password = Some("benchmarks know this one".into());
    let engine = Engine::open(settings).unwrap();
    let session = engine.session(engine.principal("root").unwrap());
    runtime.block_on(load(&engine, &session));
    for (name, sql) in STATEMENTS {
        criterion.bench_function(&format!("prepare/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(engine.prepare(&session, sql)).unwrap());
        });
        let prepared = runtime.block_on(engine.prepare(&session, sql)).unwrap();
        criterion.bench_function(&format!("query/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(run(&engine, &session, &prepared)));
        });
    }
    engine.close();
}

criterion_group!(benches, statements);
criterion_main!(benches);
