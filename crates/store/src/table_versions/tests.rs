//! Altered tables: rows of both versions in one store, statements on either side of the change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Decimal128Type, Int64Type};
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, TableDefinition, TableId, TableType,
    stream_bucket_seconds,
};
use parking_lot::RwLock;

use crate::families::Family;
use crate::row_format::arbitrary::fill_value;
use crate::test_tables::{TestStore, changes, definition, keys, layout, request, row, rows, run};
use crate::{
    BatchBuilder, ByteRows, ChangeLogPart, ChangeOp, CommitReceipt, CommitRequest, ConflictReason,
    HotScan, ReadView, RowChanges, ScanFilter, ScanSpec, StoreError, TableLayout, get_rows,
    row_format,
};

/// `id, title, note, amount` of a row of the second version.
type Altered = (i64, String, Option<String>, Option<i128>);

/// As [`definition`], altered: `name` renamed to `title`, `amount` widened to DECIMAL(21, 2),
/// `note` added before it with DEFAULT 'old'.
fn altered(first: &Arc<TableLayout>) -> Arc<TableLayout> {
    let mut table = TableDefinition::clone(first.definition());
    table.schema_version = 2;
    table.columns[1].name = "title".into();
    table.columns[2].column_type = ColumnType::Decimal { precision: 21, scale: 2 };
    let mut note = ColumnDefinition::new(ColumnId(4), "note", ColumnType::Text);
    let old: ArrayRef = Arc::new(StringArray::from(vec!["old"]));
    note.fill = Some(fill_value(&old));
    table.columns.insert(2, note);
    newest(table, &[first])
}

fn newest(table: TableDefinition, older: &[&Arc<TableLayout>]) -> Arc<TableLayout> {
    let older: Vec<_> = older.iter().map(|layout| Arc::clone(layout.definition())).collect();
    Arc::new(TableLayout::with_versions(Arc::new(table), &older).unwrap())
}

fn alter(test: &TestStore, table: u32, version: u32) -> CommitReceipt {
    let tables_changed = vec![(TableId(table), Some(version))];
    let alter = CommitRequest { tables_changed, ..CommitRequest::default() };
    test.store.committer().commit_blocking(alter).unwrap()
}

/// A row of the second version; `title` and `note` say so.
fn new_row(id: i64) -> Altered {
    (id, format!("title {id}"), (id % 2 == 0).then(|| format!("note {id}")), Some(i128::from(id)))
}

/// What a row written at the first version is at the second.
fn old_row(id: i64) -> Altered {
    let (id, name, amount) = row(id, &format!("name {id}"));
    (id, name, Some("old".to_owned()), amount.map(|amount| i128::from(amount) * 100))
}

/// What a statement at `view` that writes `rows` of the second version hands over.
fn new_changes(
    view: &Arc<ReadView>,
    (first, second): (&Arc<TableLayout>, &Arc<TableLayout>),
    op: ChangeOp,
    rows: &[Altered],
) -> RowChanges {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1))),
        Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>()),
        Arc::new(
            Decimal128Array::from_iter(rows.iter().map(|row| row.3))
                .with_precision_and_scale(21, 2)
                .unwrap(),
        ),
    ];
    let batch = RecordBatch::try_new(Arc::clone(second.declared_schema()), columns).unwrap();
    let ids: Vec<_> = rows.iter().map(|new| row(new.0, "")).collect();
    // The key is that of every version.
    let keys = keys(view, first, None, &ids);
    let (mut values, mut old) = (ByteRows::new(), ByteRows::new());
    second.encode_rows(&batch, false, &mut values).unwrap();
    for image in crate::lookup_keys(view, second, &keys).unwrap() {
        old.push(image.as_deref().unwrap_or_default());
    }
    RowChanges { layout: Arc::clone(second), owner: None, op, keys, rows: values, old }
}

fn decode(batches: impl IntoIterator<Item = RecordBatch>) -> Vec<Altered> {
    let mut rows = Vec::new();
    for batch in batches {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let titles = batch.column(1).as_string::<i32>();
        let notes = batch.column(2).as_string::<i32>();
        let amounts = batch.column(3).as_primitive::<Decimal128Type>();
        for i in 0..batch.num_rows() {
            let note = notes.is_valid(i).then(|| notes.value(i).to_owned());
            let amount = amounts.is_valid(i).then(|| amounts.value(i));
            rows.push((ids.value(i), titles.value(i).to_owned(), note, amount));
        }
    }
    rows
}

fn scan(view: &Arc<ReadView>, spec: ScanSpec) -> Vec<Altered> {
    decode(HotScan::new(Arc::clone(view), spec).unwrap().map(Result::unwrap))
}

fn spec(table: &Arc<TableLayout>) -> ScanSpec {
    ScanSpec::new(Arc::clone(table), None, vec![0, 1, 2, 3])
}

/// Rows 0 to 9 of the first version, of which 3 and 4 were updated at the second, and 10 to 14 of
/// the second.
fn mixed() -> (TestStore, Arc<TableLayout>, Arc<TableLayout>) {
    let test = TestStore::new();
    let first = layout(definition(1, TableType::Shared));
    run(&test.store, &first, None, ChangeOp::Insert, &rows(0..10)).unwrap();
    alter(&test, 1, 2);
    let second = altered(&first);
    let view = test.store.view().unwrap();
    let both = (&first, &second);
    let update = new_changes(&view, both, ChangeOp::Update, &[new_row(3), new_row(4)]);
    let new: Vec<_> = (10..15).map(new_row).collect();
    let insert = new_changes(&view, both, ChangeOp::Insert, &new);
    test.store.committer().commit_blocking(request(&view, vec![update, insert])).unwrap();
    (test, first, second)
}

fn expected(id: i64) -> Altered {
    if id < 10 && !(3..=4).contains(&id) { old_row(id) } else { new_row(id) }
}

#[test]
fn scans_and_lookups_show_rows_of_both_versions() {
    let (test, first, second) = mixed();
    let check = |test: &TestStore| {
        let view = test.store.view().unwrap();
        assert_eq!(scan(&view, spec(&second)), (0..15).map(expected).collect::<Vec<_>>());
        let mut last = spec(&second);
        (last.reverse, last.limit, last.batch_rows) = (true, Some(12), 5);
        assert_eq!(scan(&view, last), (3..15).rev().map(expected).collect::<Vec<_>>());

        // A filter that needs an added and a widened column, of which none is given out.
        let mut filtered = ScanSpec::new(Arc::clone(&second), None, vec![0]);
        filtered.filter = Some(ScanFilter {
            columns: vec![3, 2],
            predicate: Box::new(|batch| {
                let amounts = batch.column(0).as_primitive::<Decimal128Type>();
                let notes = batch.column(1).as_string::<i32>();
                let stays = |i| notes.value(i) == "old" && amounts.value(i) >= 5000;
                Ok((0..batch.num_rows()).map(|i| Some(stays(i))).collect())
            }),
        });
        let batches = HotScan::new(Arc::clone(&view), filtered).unwrap().map(Result::unwrap);
        let ids: Vec<i64> = batches
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        assert_eq!(ids, [5, 7, 8]);

        let wanted: Vec<_> = [14, 2, 3, 99, 9].iter().map(|id| row(*id, "")).collect();
        let found = keys(&view, &first, None, &wanted);
        let found = get_rows(&view, &second, &found, &[0, 1, 2, 3], false).unwrap();
        assert_eq!(decode([found]), [14, 2, 3, 9].map(expected));
        let counts = view.table_counts(TableId(1), None).unwrap();
        assert_eq!((counts.live_rows, counts.tombstones), (15, 0));
    };
    check(&test);
    check(&test.reopen());
}

#[test]
fn an_update_writes_the_current_version_and_logs_the_old_image_as_it_was() {
    let (test, _, second) = mixed();
    let mut updates = Vec::new();
    test.store
        .database()
        .for_each_with_prefix(Family::ChangeLog, &1_u32.to_be_bytes(), |_, value| {
            for change in ChangeLogPart::decode(value)?.changes() {
                let change = change?;
                if let (Some(old), Some(new)) = (change.old, change.new) {
                    updates.push((change.key.to_vec(), old.to_vec(), new.to_vec()));
                }
            }
            Ok(true)
        })
        .unwrap();
    assert_eq!(updates.len(), 2);
    for (position, read) in [(1, old_row as fn(i64) -> Altered), (2, new_row)] {
        let mut builder =
            BatchBuilder::with_deleted_rows(Arc::clone(&second), &[0, 1, 2, 3], 2).unwrap();
        for (key, old, new) in &updates {
            let image = if position == 1 { old } else { new };
            assert_eq!(row_format::schema_version(image).unwrap(), position);
            builder.append(0, key, image).unwrap();
        }
        assert_eq!(decode([builder.finish().unwrap()]), [read(3), read(4)]);
    }
}

/// ALTER TABLE looks at live rows before a column becomes NOT NULL, not at deleted ones.
#[test]
fn deleted_rows_may_be_null_in_a_column_that_has_become_not_null() {
    let test = TestStore::new();
    let first = layout(definition(1, TableType::Shared));
    run(&test.store, &first, None, ChangeOp::Insert, &rows(0..5)).unwrap();
    // The amount of 0 and 3 is NULL.
    run(&test.store, &first, None, ChangeOp::Delete, &rows([0, 3])).unwrap();
    alter(&test, 1, 2);
    let mut table = TableDefinition::clone(first.definition());
    (table.schema_version, table.columns[2].nullable) = (2, false);
    let second = newest(table, &[&first]);
    assert!(!second.wide_schema().field(2).is_nullable());
    assert!(second.wide_schema_with_deleted().field(2).is_nullable());
    let view = test.store.view().unwrap();
    let amounts = |include_deleted| {
        let mut spec = ScanSpec::new(Arc::clone(&second), None, vec![2]);
        spec.include_deleted = include_deleted;
        let mut scan = HotScan::new(Arc::clone(&view), spec).unwrap();
        let batch = scan.next().unwrap().unwrap();
        batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>()
    };
    assert_eq!(amounts(false), [Some(10), Some(20), Some(40)]);
    assert_eq!(amounts(true), [None, Some(10), Some(20), None, Some(40)]);
    let wanted = keys(&view, &first, None, &rows([0, 1]));
    let found = get_rows(&view, &second, &wanted, &[2], true).unwrap();
    assert_eq!(found.column(0).null_count(), 1);
    // Without deleted rows the promise is kept.
    let tombstone = crate::lookup_keys(&view, &second, &wanted).unwrap().remove(0).unwrap();
    let mut strict = BatchBuilder::new(Arc::clone(&second), &[2]).unwrap();
    strict.append(0, wanted.get(0), &tombstone).unwrap();
    assert!(strict.finish().unwrap_err().to_string().contains("is NOT NULL"));
}

#[test]
fn rows_of_an_altered_stream_are_shown_too() {
    let test = TestStore::new();
    let mut table = definition(1, TableType::Stream);
    table.primary_key.clear();
    table.columns[0].nullable = true;
    table.options.ttl_seconds = Some(3600);
    table.options.bucket_seconds = Some(stream_bucket_seconds(3600));
    let first = layout(table);
    run_stream(&test, &first, 0..10);
    alter(&test, 1, 2);
    let mut table = TableDefinition::clone(first.definition());
    table.schema_version = 2;
    table.columns.remove(1);
    table.columns.push(ColumnDefinition::new(ColumnId(4), "name", ColumnType::Text));
    let second = newest(table, &[&first]);
    let view = test.store.view().unwrap();
    let spec = ScanSpec::new(Arc::clone(&second), None, vec![0, 1, 2]);
    let batches: Vec<_> = HotScan::new(view, spec).unwrap().map(Result::unwrap).collect();
    let batch = arrow::compute::concat_batches(batches[0].schema_ref(), &batches).unwrap();
    assert!(batch.column(0).as_primitive::<Int64Type>().values().iter().copied().eq(0..10));
    // What was dropped does not come back under its name.
    assert_eq!((batch.column(1).null_count(), batch.column(2).null_count()), (4, 10));
}

fn run_stream(test: &TestStore, table: &Arc<TableLayout>, ids: std::ops::Range<i64>) {
    let view = test.store.view().unwrap();
    let batch = crate::test_tables::batch(table, &rows(ids.clone()));
    let (mut keys, mut values) = (ByteRows::new(), ByteRows::new());
    let (numbers, first) = (0..batch.num_rows() as u64, kalamdb_commons::Generation(0));
    table.encode_keys(&batch, first, None, Some(numbers), &mut keys).unwrap();
    table.encode_rows(&batch, false, &mut values).unwrap();
    let insert = RowChanges {
        layout: Arc::clone(table),
        owner: None,
        op: ChangeOp::Insert,
        keys,
        rows: values,
        old: ByteRows::new(),
    };
    test.store.committer().commit_blocking(request(&view, vec![insert])).unwrap();
}

/// Writers that plan with the version they know, while the table is altered again and again.
#[test]
fn no_row_of_a_version_is_committed_after_the_next_one() {
    let test = TestStore::new();
    let first = layout(definition(1, TableType::Shared));
    let known = RwLock::new(Arc::clone(&first));
    let done = AtomicBool::new(false);
    let mut began_at = vec![(1, 0)];
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (test, known, done) = (&test, &known, &done);
            scope.spawn(move || {
                for id in 0.. {
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    let view = test.store.view().unwrap();
                    let table = Arc::clone(&known.read());
                    let new = [row(writer * 1_000_000 + id, "x")];
                    // The lookup of old images may find out, or the committer.
                    let keys = keys(&view, &table, None, &new);
                    match crate::lookup_keys(&view, &table, &keys) {
                        Err(StoreError::Conflict { .. }) => continue,
                        other => assert_eq!(other.unwrap().len(), 1),
                    }
                    let insert = changes(&view, &table, None, ChangeOp::Insert, &new);
                    let insert = request(&view, vec![insert]);
                    match test.store.committer().commit_blocking(insert) {
                        Ok(_) => {}
                        Err(StoreError::Conflict { reason, .. }) => {
                            assert_eq!(reason, ConflictReason::TableChanged);
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        for version in 2..40 {
            let receipt = alter(&test, 1, version);
            began_at.push((version, receipt.commit_seq.0));
            let mut table = TableDefinition::clone(first.definition());
            table.schema_version = version;
            let older: Vec<_> = (1..version)
                .map(|older| {
                    let mut table = TableDefinition::clone(first.definition());
                    table.schema_version = older;
                    Arc::new(table)
                })
                .collect();
            let table = TableLayout::with_versions(Arc::new(table), &older).unwrap();
            *known.write() = Arc::new(table);
        }
        done.store(true, Ordering::SeqCst);
    });
    let table = Arc::clone(&known.read());
    let view = test.store.view().unwrap();
    let projection = vec![table.commit_seq_index(), table.image_index()];
    let scan = HotScan::new(view, ScanSpec::new(table, None, projection)).unwrap();
    for batch in scan.map(Result::unwrap) {
        let images = batch.column(1).as_binary::<i32>();
        for (seq, image) in batch.column(0).as_primitive::<Int64Type>().values().iter().zip(images)
        {
            let version = row_format::schema_version(image.unwrap()).unwrap();
            let at_commit = began_at.iter().rfind(|(_, began)| *began <= *seq as u64).unwrap();
            assert_eq!(version, at_commit.0, "a row of commit {seq}");
        }
    }
}

#[test]
fn a_commit_may_ask_that_all_rows_of_a_table_are_those_it_read() {
    let test = TestStore::new();
    let table = layout(definition(1, TableType::Shared));
    let mut hidden = definition(2, TableType::Shared);
    hidden.primary_key.clear();
    let hidden = layout(hidden);
    let other = layout(definition(3, TableType::Shared));
    for written in [&table, &hidden] {
        let view = test.store.view().unwrap();
        let not_null = |read_seq, version| CommitRequest {
            read_seq,
            tables_changed: vec![(written.definition().id, Some(version))],
            tables_as_read: vec![Arc::clone(written.definition())],
            ..CommitRequest::default()
        };
        run(&test.store, &other, None, ChangeOp::Insert, &rows([written.definition().id.0.into()]))
            .unwrap();
        test.store.committer().commit_blocking(not_null(view.commit_seq(), 1)).unwrap();
        let view = test.store.view().unwrap();
        let insert = changes(&view, written, None, ChangeOp::Insert, &rows([1]));
        test.store.committer().commit_blocking(request(&view, vec![insert])).unwrap();
        let refused = test.store.committer().commit_blocking(not_null(view.commit_seq(), 2));
        assert!(
            matches!(
                &refused,
                Err(StoreError::Conflict { reason: ConflictReason::TableWritten, .. })
            ),
            "{refused:?}"
        );
        let view = test.store.view().unwrap();
        test.store.committer().commit_blocking(not_null(view.commit_seq(), 2)).unwrap();
    }
}
