//! Small tables for tests: `(id BIGINT key, name TEXT, amount BIGINT)` and statements on them.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, Durability, NamespaceId, TableDefinition, TableId,
    TableOptions, TableType, UserId,
};

use crate::{
    ByteRows, ChangeOp, CommitReceipt, CommitRequest, HotScan, ReadView, RowChanges, ScanSpec,
    Store, StoreError, StoreOptions, TableLayout, lookup_keys, row_format,
};

pub(crate) type Row = (i64, String, Option<i64>);

/// A store in a directory of its own.
pub(crate) struct TestStore {
    pub(crate) store: Arc<Store>,
    pub(crate) directory: tempfile::TempDir,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
        Self { store, directory }
    }

    pub(crate) fn reopen(self) -> Self {
        let Self { store, directory } = self;
        drop(store);
        let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
        Self { store, directory }
    }
}

pub(crate) fn definition(id: u32, table_type: TableType) -> TableDefinition {
    TableDefinition {
        id: TableId(id),
        namespace_id: NamespaceId(1),
        namespace: "ns".into(),
        name: format!("t{id}").into(),
        table_type,
        created_by: UserId::new("root"),
        created_at_us: 0,
        updated_at_us: 0,
        schema_version: 1,
        next_column_id: 4,
        columns: vec![
            ColumnDefinition::new(ColumnId(1), "id", ColumnType::Int64).not_null(),
            ColumnDefinition::new(ColumnId(2), "name", ColumnType::Text),
            ColumnDefinition::new(ColumnId(3), "amount", ColumnType::Int64),
        ],
        primary_key: vec![ColumnId(1)],
        options: TableOptions::default(),
        comment: None,
        checks: Vec::new(),
        change: None,
    }
}

pub(crate) fn shared(id: u32) -> Arc<TableLayout> {
    layout(definition(id, TableType::Shared))
}

pub(crate) fn user(id: u32) -> Arc<TableLayout> {
    layout(definition(id, TableType::User))
}

pub(crate) fn interval(id: u32, interval_ms: u32) -> Arc<TableLayout> {
    let mut definition = definition(id, TableType::Shared);
    definition.options.durability = Durability::Interval { interval_ms };
    layout(definition)
}

pub(crate) fn layout(definition: TableDefinition) -> Arc<TableLayout> {
    Arc::new(TableLayout::new(Arc::new(definition)).unwrap())
}

pub(crate) fn row(id: i64, name: &str) -> Row {
    (id, name.to_owned(), (id % 3 != 0).then_some(id * 10))
}

pub(crate) fn rows(ids: impl IntoIterator<Item = i64>) -> Vec<Row> {
    ids.into_iter().map(|id| row(id, &format!("name {id}"))).collect()
}

pub(crate) fn batch(layout: &TableLayout, rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1))),
        Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(Arc::clone(layout.declared_schema()), columns).unwrap()
}

pub(crate) fn keys(
    view: &ReadView,
    layout: &TableLayout,
    owner: Option<&UserId>,
    rows: &[Row],
) -> ByteRows {
    let mut keys = ByteRows::new();
    let generation = view.generation(layout.definition().id);
    let hidden = layout.definition().has_hidden_key();
    let row_ids = hidden.then(|| view.store().allocate_row_ids(rows.len() as u64));
    layout.encode_keys(&batch(layout, rows), generation, owner, row_ids, &mut keys).unwrap();
    keys
}

/// What a statement at `view` would hand to the committer.
pub(crate) fn changes(
    view: &Arc<ReadView>,
    layout: &Arc<TableLayout>,
    owner: Option<&UserId>,
    op: ChangeOp,
    rows: &[Row],
) -> RowChanges {
    let keys = keys(view, layout, owner, rows);
    let mut old = ByteRows::new();
    for image in lookup_keys(view, layout, &keys).unwrap() {
        old.push(image.as_deref().unwrap_or_default());
    }
    let mut new = ByteRows::new();
    if op == ChangeOp::Delete {
        old.iter().for_each(|image| row_format::as_tombstone(image, &mut new).unwrap());
    } else {
        layout.encode_rows(&batch(layout, rows), false, &mut new).unwrap();
    }
    let (layout, owner) = (Arc::clone(layout), owner.cloned());
    RowChanges { layout, owner, op, keys, rows: new, old }
}

pub(crate) fn request(view: &Arc<ReadView>, changes: Vec<RowChanges>) -> CommitRequest {
    CommitRequest { read_seq: view.commit_seq(), changes, ..CommitRequest::default() }
}

/// Runs one statement on a fresh view.
pub(crate) fn run(
    store: &Arc<Store>,
    layout: &Arc<TableLayout>,
    owner: Option<&UserId>,
    op: ChangeOp,
    rows: &[Row],
) -> Result<CommitReceipt, StoreError> {
    let view = store.view().unwrap();
    let changes = changes(&view, layout, owner, op, rows);
    store.committer().commit_blocking(request(&view, vec![changes]))
}

/// The rows of the declared columns in these batches.
pub(crate) fn decode(batches: impl IntoIterator<Item = RecordBatch>) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        let names = batch.column(1).as_any().downcast_ref::<StringArray>().unwrap();
        let amounts = batch.column(2).as_any().downcast_ref::<Int64Array>().unwrap();
        for ((id, name), amount) in ids.iter().zip(names).zip(amounts) {
            rows.push((id.unwrap(), name.unwrap().to_owned(), amount));
        }
    }
    rows
}

pub(crate) fn scan(view: &Arc<ReadView>, spec: ScanSpec) -> Vec<Row> {
    decode(HotScan::new(Arc::clone(view), spec).unwrap().map(Result::unwrap))
}

/// All live rows.
pub(crate) fn all_rows(
    view: &Arc<ReadView>,
    layout: &Arc<TableLayout>,
    owner: Option<&UserId>,
) -> Vec<Row> {
    scan(view, ScanSpec::new(Arc::clone(layout), owner.cloned(), vec![0, 1, 2]))
}

/// What a directory of a running store would be after a loss of power. Files that are no longer
/// needed may go meanwhile; then it is begun again.
pub(crate) fn copy_running(from: &Path, to: &Path) {
    while let Err(error) = try_copy(from, to) {
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
        fs::remove_dir_all(to).unwrap();
    }
}

fn try_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy(&entry.path(), &target)?;
        } else if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
