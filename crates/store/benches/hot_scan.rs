//! What the hot tier gives beside what bounds it: RocksDB's own iterator for scans, one fsync a
//! row for commits.
//!
//! `cargo bench -p kalamdb-store --bench hot_scan`. The table: 1M rows of 10 columns, about 100
//! bytes a row.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, NamespaceId, TableDefinition, TableId, TableOptions,
    TableType, UserId,
};
use kalamdb_store::{
    ByteRows, ChangeOp, CommitRequest, HotScan, RowChanges, ScanFilter, ScanSpec, Store,
    StoreOptions, TableLayout, get_rows, lookup_keys,
};

const ROWS: i64 = 1_000_000;
const LOAD_BATCH_ROWS: i64 = 10_000;
const WRITERS: i64 = 16;

fn layout(id: u32) -> Arc<TableLayout> {
    let types = [
        ColumnType::Int64,
        ColumnType::Text,
        ColumnType::Text,
        ColumnType::Int64,
        ColumnType::Int32,
        ColumnType::Float64,
        ColumnType::Float64,
        ColumnType::Boolean,
        ColumnType::timestamp(),
        ColumnType::Text,
    ];
    let columns: Vec<ColumnDefinition> = (1..)
        .zip(types)
        .map(|(id, column_type)| {
            ColumnDefinition::new(ColumnId(id), &format!("c{id}"), column_type).not_null()
        })
        .collect();
    let definition = TableDefinition {
        id: TableId(id),
        namespace_id: NamespaceId(1),
        namespace: "bench".into(),
        name: format!("t{id}").into(),
        table_type: TableType::Shared,
        created_by: UserId::new("root"),
        created_at_us: 0,
        updated_at_us: 0,
        schema_version: 1,
        next_column_id: 11,
        columns,
        primary_key: vec![ColumnId(1)],
        options: TableOptions::default(),
        comment: None,
        checks: Vec::new(),
        change: None,
    };
    Arc::new(TableLayout::new(Arc::new(definition)).unwrap())
}

fn batch(layout: &TableLayout, ids: std::ops::Range<i64>) -> RecordBatch {
    fn column<A: arrow::array::Array + 'static>(array: A) -> ArrayRef {
        Arc::new(array)
    }
    let text = |prefix: &str| {
        column(StringArray::from_iter_values(ids.clone().map(|id| format!("{prefix} {id:09}"))))
    };
    let columns = vec![
        column(ids.clone().collect::<Int64Array>()),
        text("name"),
        text("a somewhat longer text"),
        column(Int64Array::from_iter_values(ids.clone().map(|id| id * 7919 % 1_000_003))),
        column(Int32Array::from_iter_values(ids.clone().map(|id| (id % 1000) as i32))),
        column(Float64Array::from_iter_values(ids.clone().map(|id| id as f64 * 0.5))),
        column(Float64Array::from_iter_values(ids.clone().map(|id| id as f64 / 3.0))),
        column(BooleanArray::from_iter(ids.clone().map(|id| Some(id % 2 == 0)))),
        column(TimestampMicrosecondArray::from_iter_values(ids.clone())),
        text("tag"),
    ];
    RecordBatch::try_new(Arc::clone(layout.declared_schema()), columns).unwrap()
}

/// An INSERT as the layers above would run it: view, keys, key check, rows, commit.
fn insert(store: &Arc<Store>, layout: &Arc<TableLayout>, batch: &RecordBatch) {
    let view = store.view().unwrap();
    let generation = view.generation(layout.definition().id);
    let mut keys = ByteRows::new();
    layout.encode_keys(batch, generation, None, None, &mut keys).unwrap();
    assert!(lookup_keys(&view, layout, &keys).unwrap().iter().all(Option::is_none));
    let mut rows = ByteRows::new();
    layout.encode_rows(batch, false, &mut rows).unwrap();
    let changes = RowChanges {
        layout: Arc::clone(layout),
        owner: None,
        op: ChangeOp::Insert,
        keys,
        rows,
        old: ByteRows::new(),
    };
    let request =
        CommitRequest { read_seq: view.commit_seq(), changes: vec![changes], ..Default::default() };
    store.committer().commit_blocking(request).unwrap();
}

/// Resident memory in MiB.
fn resident_mib() -> f64 {
    let pages: f64 = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split(' ').nth(1)?.parse().ok())
        .unwrap_or(0.0);
    pages * 4096.0 / f64::from(1 << 20)
}

fn load(store: &Arc<Store>, layout: &Arc<TableLayout>) {
    println!("resident before loading: {:.0} MiB", resident_mib());
    let started = Instant::now();
    let mut writing = Duration::ZERO;
    for start in (0..ROWS).step_by(LOAD_BATCH_ROWS as usize) {
        let rows = batch(layout, start..start + LOAD_BATCH_ROWS);
        let begun = Instant::now();
        insert(store, layout, &rows);
        writing += begun.elapsed();
    }
    println!(
        "loaded {ROWS} rows in batches of {LOAD_BATCH_ROWS}: {:.2} s of {:.2} s inserting, \
         {:.0} rows/s; resident {:.0} MiB",
        writing.as_secs_f64(),
        started.elapsed().as_secs_f64(),
        ROWS as f64 / writing.as_secs_f64(),
        resident_mib()
    );
}

/// The same rows through nothing but RocksDB's iterator.
fn raw_iteration(db: &rocksdb::DB) -> usize {
    let family = db.cf_handle("shared_table").unwrap();
    let mut iter = db.raw_iterator_cf(family);
    iter.seek_to_first();
    let mut bytes = 0;
    while let Some((key, value)) = iter.item() {
        bytes += key.len() + value.len();
        iter.next();
    }
    iter.status().unwrap();
    bytes
}

fn open_raw(directory: &Path) -> rocksdb::DB {
    let cache = rocksdb::Cache::new_lru_cache(64 << 20);
    let mut blocks = rocksdb::BlockBasedOptions::default();
    blocks.set_block_cache(&cache);
    let mut family = rocksdb::Options::default();
    family.set_block_based_table_factory(&blocks);
    let families = ["default", "shared_table"]
        .map(|name| rocksdb::ColumnFamilyDescriptor::new(name, family.clone()));
    rocksdb::DB::open_cf_descriptors_read_only(
        &rocksdb::Options::default(),
        directory.join("rocksdb"),
        families,
        false,
    )
    .unwrap()
}

fn scans(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let table = layout(1);
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    load(&store, &table);
    // What was loaded is read from files, as it will be most of the time.
    drop(store);
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let raw = open_raw(directory.path());

    let mut group = criterion.benchmark_group("scan_1m_x_10");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("raw_rocksdb_iterator", |bencher| bencher.iter(|| raw_iteration(&raw)));
    let mut scan = |name: &str, projection: Vec<usize>, filtered: bool, reverse: bool| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut spec = ScanSpec::new(Arc::clone(&table), None, projection.clone());
                spec.reverse = reverse;
                if filtered {
                    spec.filter = Some(one_percent());
                }
                HotScan::new(store.view().unwrap(), spec)
                    .unwrap()
                    .map(|batch| batch.unwrap().num_rows())
                    .sum::<usize>()
            });
        });
    };
    scan("hot_scan_10_columns", (0..10).collect(), false, false);
    scan("hot_scan_10_columns_reverse", (0..10).collect(), false, true);
    scan("hot_scan_1_column", vec![3], false, false);
    scan("hot_scan_count", Vec::new(), false, false);
    scan("hot_scan_10_columns_1_percent", (0..10).collect(), true, false);
    group.finish();
    println!("resident after scans: {:.0} MiB", resident_mib());

    let mut group = criterion.benchmark_group("point");
    group.bench_function("get_row_10_columns", |bencher| {
        let mut id = 0;
        bencher.iter(|| {
            id = (id + 7919) % ROWS;
            let view = store.view().unwrap();
            let mut keys = ByteRows::new();
            let generation = view.generation(TableId(1));
            let one = batch(&table, id..id + 1);
            table.encode_keys(&one, generation, None, None, &mut keys).unwrap();
            let columns: Vec<usize> = (0..10).collect();
            get_rows(&view, &table, &keys, &columns, false).unwrap().num_rows()
        });
    });
    group.bench_function("newest_10_rows", |bencher| {
        bencher.iter(|| {
            let mut spec = ScanSpec::new(Arc::clone(&table), None, (0..10).collect());
            (spec.reverse, spec.limit) = (true, Some(10));
            HotScan::new(store.view().unwrap(), spec).unwrap().next().unwrap().unwrap().num_rows()
        });
    });
    group.bench_function("view", |bencher| bencher.iter(|| store.view().unwrap().commit_seq()));
    group.finish();
}

fn one_percent() -> ScanFilter {
    ScanFilter {
        columns: vec![3],
        predicate: Box::new(|batch| {
            let values = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            Ok(BooleanArray::from_unary(values, |value| value < 10_000))
        }),
    }
}

fn commits(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let table = layout(1);
    let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
    let next = AtomicI64::new(0);
    let insert_one = || {
        let id = next.fetch_add(1, Ordering::SeqCst);
        insert(&store, &table, &batch(&table, id..id + 1));
    };

    let mut group = criterion.benchmark_group("durable_single_row_insert");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(1));
    group.bench_function("write_and_fsync_of_a_plain_file", |bencher| {
        use std::io::Write;
        let mut file = std::fs::File::create(directory.path().join("plain")).unwrap();
        bencher.iter(|| {
            file.write_all(&[7; 256]).unwrap();
            file.sync_data().unwrap();
        });
    });
    group.bench_function("1_writer", |bencher| bencher.iter(insert_one));
    group.throughput(Throughput::Elements(WRITERS as u64));
    group.bench_function("16_writers_group_commit", |bencher| {
        bencher.iter_custom(|rounds| {
            let started = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..WRITERS {
                    scope.spawn(|| (0..rounds).for_each(|_| insert_one()));
                }
            });
            started.elapsed()
        });
    });
    group.finish();
}

criterion_group!(benches, scans, commits);
criterion_main!(benches);
