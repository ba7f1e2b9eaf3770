//! What the codecs cost a row: Arrow to keys and rows, and stored rows to 10 columns or to 1, of
//! today's version of the table and of the one before.
//!
//! `cargo bench -p kalamdb-store --bench codec`
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, CommitSeq, Generation, NamespaceId, TableDefinition,
    TableId, TableOptions, TableType, UserId,
};
use kalamdb_store::{BatchBuilder, ByteRows, TableLayout, create_batch_trusted, row_format};

/// The server's allocator: batches are large blocks, and the default one returns those to the
/// system and faults them in again for every batch.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of one batch, as a scan emits them.
const ROWS: usize = 8192;

fn table() -> Arc<TableLayout> {
    let columns = [
        ("id", ColumnType::Int64),
        ("account", ColumnType::Int32),
        ("balance", ColumnType::Int64),
        ("score", ColumnType::Float64),
        ("active", ColumnType::Boolean),
        ("created", ColumnType::timestamptz()),
        ("seen", ColumnType::timestamptz()),
        ("name", ColumnType::Text),
        ("city", ColumnType::Text),
        ("note", ColumnType::Text),
    ];
    let mut columns: Vec<ColumnDefinition> = (1..)
        .zip(columns)
        .map(|(id, (name, column_type))| ColumnDefinition::new(ColumnId(id), name, column_type))
        .collect();
    columns[0].nullable = false;
    let definition = TableDefinition {
        id: TableId(7),
        namespace_id: NamespaceId(1),
        namespace: "default".into(),
        name: "accounts".into(),
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

fn batch(layout: &TableLayout) -> RecordBatch {
    let ids = || 0..ROWS as i64;
    let text = |f: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(ids().map(|i| Some(f(i))).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids())),
        Arc::new(Int32Array::from_iter_values(ids().map(|i| i as i32 % 100))),
        Arc::new(Int64Array::from_iter_values(ids().map(|i| i * 1_000_003))),
        Arc::new(Float64Array::from_iter_values(ids().map(|i| i as f64 * 0.25))),
        Arc::new(ids().map(|i| Some(i % 3 == 0)).collect::<BooleanArray>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(ids()).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from_iter_values(ids()).with_timezone("UTC")),
        text(&|i| format!("user-{i:06}")),
        text(&|i| ["Oslo", "Nairobi", "Osaka", "Lima"][i as usize % 4].to_owned()),
        text(&|i| format!("note {i} of a usual length")),
    ];
    RecordBatch::try_new(Arc::clone(layout.declared_schema()), columns).unwrap()
}

fn encoded(layout: &TableLayout, batch: &RecordBatch) -> (ByteRows, ByteRows) {
    let (mut keys, mut rows) = (ByteRows::new(), ByteRows::new());
    layout.encode_keys(batch, Generation(1), None, None, &mut keys).unwrap();
    layout.encode_rows(batch, false, &mut rows).unwrap();
    for i in 0..rows.len() {
        row_format::patch(rows.get_mut(i), CommitSeq(1), 1).unwrap();
    }
    (keys, rows)
}

fn decode(c: &mut Criterion) {
    let layout = table();
    let (keys, rows) = encoded(&layout, &batch(&layout));
    let prefix_len = layout.key_prefix(Generation(1), None).len();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(ROWS as u64));
    let all: Vec<usize> = (0..10).collect();
    let cases: [(&str, &[usize]); 6] = [
        ("10 columns", &all),
        ("1 column: number", &[2]),
        ("1 column: key", &[0]),
        ("1 column: text", &[9]),
        ("7 numbers", &[0, 1, 2, 3, 4, 5, 6]),
        ("no column", &[]),
    ];
    for (name, projection) in cases {
        let mut builder = BatchBuilder::new(Arc::clone(&layout), projection).unwrap();
        group.bench_function(name, |b| {
            b.iter(|| {
                for (key, row) in keys.iter().zip(rows.iter()) {
                    builder.append(prefix_len, key, row).unwrap();
                }
                builder.finish().unwrap()
            });
        });
    }
    group.finish();
}

/// As [`table`], altered: `account` is wider, `city` dropped, `level` added.
fn altered(before: &TableLayout) -> Arc<TableLayout> {
    let mut table = TableDefinition::clone(before.definition());
    table.schema_version = 2;
    table.columns[1].column_type = ColumnType::Int64;
    table.columns.remove(8);
    table.columns.push(ColumnDefinition::new(ColumnId(11), "level", ColumnType::Int32));
    let older = [Arc::clone(before.definition())];
    Arc::new(TableLayout::with_versions(Arc::new(table), &older).unwrap())
}

/// Whether the row at a place is of the older version.
type IsOld = fn(usize) -> bool;

/// Rows of an older version beside those of today's, and both in turn.
fn decode_altered(c: &mut Criterion) {
    let before = table();
    let layout = altered(&before);
    let (keys, old) = encoded(&before, &batch(&before));
    let columns: Vec<usize> = (0..10).collect();
    let mut builder = BatchBuilder::new(Arc::clone(&layout), &columns).unwrap();
    let prefix_len = layout.key_prefix(Generation(1), None).len();
    for (key, row) in keys.iter().zip(old.iter()) {
        builder.append(prefix_len, key, row).unwrap();
    }
    let (_, new) = encoded(&layout, &builder.finish().unwrap());
    let mut group = c.benchmark_group("decode altered");
    group.throughput(Throughput::Elements(ROWS as u64));
    let cases: [(&str, IsOld); 4] = [
        ("rows of today", |_| false),
        ("rows of before", |_| true),
        ("runs of 64", |i| i / 64 % 2 == 0),
        ("one by one", |i| i % 2 == 0),
    ];
    for (name, is_old) in cases {
        group.bench_function(name, |b| {
            b.iter(|| {
                for (i, key) in keys.iter().enumerate() {
                    let row = if is_old(i) { old.get(i) } else { new.get(i) };
                    builder.append(prefix_len, key, row).unwrap();
                }
                builder.finish().unwrap()
            });
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let layout = table();
    let batch = batch(&layout);
    let (mut keys, mut rows) = encoded(&layout, &batch);
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("rows of 10 columns", |b| {
        b.iter(|| {
            rows.clear();
            layout.encode_rows(black_box(&batch), false, &mut rows).unwrap();
        });
    });
    group.bench_function("keys", |b| {
        b.iter(|| {
            keys.clear();
            layout.encode_keys(black_box(&batch), Generation(1), None, None, &mut keys).unwrap();
        });
    });
    group.finish();
}

/// What Arrow's own checks cost a batch: the reason they stay on.
fn create(c: &mut Criterion) {
    let layout = table();
    let batch = batch(&layout);
    c.bench_function("create a batch of 10 columns", |b| {
        b.iter_batched(
            || batch.columns().to_vec(),
            |columns| create_batch_trusted(batch.schema(), columns, ROWS).unwrap(),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, decode, decode_altered, encode, create);
criterion_main!(benches);
