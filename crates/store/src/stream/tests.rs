//! Streams as statements see them: what is shown, what goes, and when. The clock is turned by
//! hand.

mod eviction;
mod model;
mod shown;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use kalamdb_commons::{Clock, ManualClock, TableId, TableType, stream_bucket_seconds};

use crate::database::Database;
use crate::families::Family;
use crate::janitor::Housekeeping;
use crate::test_tables::{Row, batch, copy_running, definition, layout, request};
use crate::{
    ByteRows, ChangeOp, CommitReceipt, HotScan, ReadView, RowChanges, ScanSpec, Store,
    StoreOptions, TableLayout,
};

/// A time like today's, at the border of many buckets.
const START_US: i64 = 1_700_000_000_000_000;
const SECOND_US: i64 = 1_000_000;

/// A row that is shown: `id`, `_row_id`, `_updated` in µs.
type Shown = (i64, i64, i64);

/// A store whose clock is turned by hand.
struct StreamStore {
    store: Arc<Store>,
    clock: Arc<ManualClock>,
    directory: tempfile::TempDir,
}

impl StreamStore {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START_US));
        let store = open(&directory, &clock);
        Self { store, clock, directory }
    }

    fn reopen(self) -> Self {
        let Self { store, clock, directory } = self;
        drop(store);
        let store = open(&directory, &clock);
        Self { store, clock, directory }
    }

    fn append(
        &self,
        table: &Arc<TableLayout>,
        ids: impl IntoIterator<Item = i64>,
    ) -> CommitReceipt {
        append(&self.store, table, ids)
    }

    fn view(&self) -> Arc<ReadView> {
        self.store.view().unwrap()
    }

    fn ids(&self, table: &Arc<TableLayout>) -> Vec<i64> {
        ids(&self.view(), table)
    }

    /// One round of housekeeping, here and now.
    fn housekeeping(&self) -> Housekeeping {
        Housekeeping {
            database: Arc::clone(self.store.database()),
            directory: self.directory.path().to_owned(),
            database_id: String::new(),
            log_retention_seconds: 3600,
            written_high_water: self.store.durable_commit_seq().0,
            purges: Vec::new(),
            next_purge: 0,
            background_errors: 0,
            written_stream_time_us: 0,
        }
    }

    /// Lets what can go go. The store's own janitor may take it from the hands of this one.
    fn evict_until_stored(&self, table: u32, rows: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.housekeeping().round(false).unwrap();
            let found = stored_keys(self.store.database(), table);
            if found == rows {
                return;
            }
            assert!(Instant::now() < deadline, "{found} rows are stored, not {rows}");
            std::thread::yield_now();
        }
    }
}

fn open(directory: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Arc<Store> {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    Store::open(directory.path(), StoreOptions { clock, ..StoreOptions::default() }).unwrap()
}

/// A stream `(id, name, amount)`.
fn stream(id: u32, ttl_seconds: u64, max_rows: Option<u64>) -> Arc<TableLayout> {
    let mut table = definition(id, TableType::Stream);
    table.primary_key.clear();
    table.options.ttl_seconds = Some(ttl_seconds);
    table.options.max_rows = max_rows;
    table.options.bucket_seconds = Some(stream_bucket_seconds(ttl_seconds));
    layout(table)
}

/// What an INSERT of these ids hands to the committer.
fn changes(table: &Arc<TableLayout>, ids: impl IntoIterator<Item = i64>) -> RowChanges {
    let rows: Vec<Row> = crate::test_tables::rows(ids);
    let batch = batch(table, &rows);
    let (mut keys, mut values) = (ByteRows::new(), ByteRows::new());
    let numbers = 0..rows.len() as u64;
    table
        .encode_keys(&batch, kalamdb_commons::Generation(0), None, Some(numbers), &mut keys)
        .unwrap();
    table.encode_rows(&batch, false, &mut values).unwrap();
    RowChanges {
        layout: Arc::clone(table),
        owner: None,
        op: ChangeOp::Insert,
        keys,
        rows: values,
        old: ByteRows::new(),
    }
}

fn append(
    store: &Arc<Store>,
    table: &Arc<TableLayout>,
    ids: impl IntoIterator<Item = i64>,
) -> CommitReceipt {
    let view = store.view().unwrap();
    let changes = changes(table, ids);
    store.committer().commit_blocking(request(&view, vec![changes])).unwrap()
}

/// A scan of `id`, `_row_id`, `_updated`.
fn spec(table: &Arc<TableLayout>) -> ScanSpec {
    let columns = vec![0, table.row_id_index().unwrap(), table.updated_index()];
    ScanSpec::new(Arc::clone(table), None, columns)
}

fn read(view: &Arc<ReadView>, spec: ScanSpec) -> Vec<Shown> {
    let batches = HotScan::new(Arc::clone(view), spec).unwrap().map(Result::unwrap);
    batches.flat_map(|batch| shown(&batch)).collect()
}

fn shown(batch: &RecordBatch) -> Vec<Shown> {
    let ids = batch.column(0).as_primitive::<Int64Type>();
    let row_ids = batch.column(1).as_primitive::<Int64Type>();
    let times = batch.column(2).as_primitive::<TimestampMicrosecondType>();
    (0..batch.num_rows()).map(|i| (ids.value(i), row_ids.value(i), times.value(i))).collect()
}

fn ids(view: &Arc<ReadView>, table: &Arc<TableLayout>) -> Vec<i64> {
    read(view, spec(table)).into_iter().map(|(id, _, _)| id).collect()
}

/// Rows on disk and in memory, shown or not.
fn stored_keys(database: &Database, table: u32) -> usize {
    let mut keys = 0;
    let count = |_: &[u8], _: &[u8]| {
        keys += 1;
        Ok(true)
    };
    database
        .for_each_with_prefix(Family::StreamTable, &TableId(table).0.to_be_bytes(), count)
        .unwrap();
    keys
}
