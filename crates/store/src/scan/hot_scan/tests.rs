//! Scans against a plain map: whatever is asked for, the same rows in the same order.

use std::collections::BTreeMap;
use std::ops::Bound;

use arrow::array::{BooleanArray, Int64Array, StringArray};
use kalamdb_commons::{TableId, UserId};
use proptest::prelude::*;

use super::*;
use crate::scan::ScanFilter;
use crate::scan::rows::ROWS_PER_CALL_MAX;
use crate::test_tables::{Row, TestStore, all_rows, decode, row, rows, run, scan, shared, user};
use crate::{ChangeOp, KeyRange, TableLayout, get_rows, lookup_keys, split_points, test_tables};

/// An encoded key of the test tables.
fn key(layout: &TableLayout, id: i64) -> Vec<u8> {
    let ids: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![id]));
    let mut key = Vec::new();
    layout.key_codec().encode_leading(&[ids], 0, &mut key).unwrap();
    key
}

fn amount_over(least: i64) -> ScanFilter {
    ScanFilter {
        columns: vec![2],
        predicate: Box::new(move |batch| {
            let amounts = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            Ok(amounts.iter().map(|amount| amount.map(|amount| amount > least)).collect())
        }),
    }
}

/// id → (row, deleted)
type Model = BTreeMap<i64, (Row, bool)>;

#[derive(Debug, Clone)]
struct Query {
    start: Bound<i64>,
    end: Bound<i64>,
    reverse: bool,
    limit: Option<usize>,
    include_deleted: bool,
    batch_rows: usize,
    amount_over: Option<i64>,
}

fn bound() -> impl Strategy<Value = Bound<i64>> {
    prop_oneof![
        Just(Bound::Unbounded),
        (-10..110_i64).prop_map(Bound::Included),
        (-10..110_i64).prop_map(Bound::Excluded),
    ]
}

prop_compose! {
    fn query()(
        start in bound(),
        end in bound(),
        reverse: bool,
        limit in proptest::option::of(0..60_usize),
        include_deleted: bool,
        batch_rows in prop_oneof![Just(8192_usize), 1..20_usize],
        amount_over in proptest::option::of(-10..1000_i64),
    ) -> Query {
        Query { start, end, reverse, limit, include_deleted, batch_rows, amount_over }
    }
}

/// Statements: what happens to which ids.
fn statements() -> impl Strategy<Value = Vec<(u8, Vec<i64>)>> {
    let ids = proptest::collection::btree_set(0..100_i64, 1..30);
    let statement = (0..3_u8, ids.prop_map(|ids| ids.into_iter().collect()));
    proptest::collection::vec(statement, 1..12)
}

fn apply(
    test: &TestStore,
    table: &Arc<TableLayout>,
    owner: Option<&UserId>,
    model: &mut Model,
    number: usize,
    (kind, ids): &(u8, Vec<i64>),
) {
    let alive = |id: &&i64| model.get(*id).is_some_and(|(_, deleted)| !deleted);
    let (op, ids): (_, Vec<i64>) = match kind {
        0 => (ChangeOp::Insert, ids.iter().filter(|id| !alive(id)).copied().collect()),
        1 => (ChangeOp::Update, ids.iter().filter(alive).copied().collect()),
        _ => (ChangeOp::Delete, ids.iter().filter(alive).copied().collect()),
    };
    let changed: Vec<Row> = ids.iter().map(|id| row(*id, &format!("{number}"))).collect();
    if changed.is_empty() {
        return;
    }
    run(&test.store, table, owner, op, &changed).unwrap();
    for new in changed {
        match op {
            ChangeOp::Delete => model.get_mut(&new.0).unwrap().1 = true,
            _ => drop(model.insert(new.0, (new, false))),
        }
    }
}

fn expected(model: &Model, query: &Query) -> Vec<Row> {
    let in_range = |id: &i64| {
        (match query.start {
            Bound::Unbounded => true,
            Bound::Included(start) => *id >= start,
            Bound::Excluded(start) => *id > start,
        }) && (match query.end {
            Bound::Unbounded => true,
            Bound::Included(end) => *id <= end,
            Bound::Excluded(end) => *id < end,
        })
    };
    let mut rows: Vec<Row> = model
        .iter()
        .filter(|(id, (_, deleted))| in_range(id) && (query.include_deleted || !deleted))
        .map(|(_, (row, _))| row.clone())
        .filter(|row| {
            query.amount_over.is_none_or(|least| row.2.is_some_and(|amount| amount > least))
        })
        .collect();
    if query.reverse {
        rows.reverse();
    }
    rows.truncate(query.limit.unwrap_or(usize::MAX));
    rows
}

fn spec(
    table: &Arc<TableLayout>,
    owner: Option<&UserId>,
    query: &Query,
    projection: Vec<usize>,
) -> ScanSpec {
    let encode = |bound: Bound<i64>| bound.map(|id| key(table, id));
    ScanSpec {
        ranges: KeyRange { start: encode(query.start), end: encode(query.end) },
        reverse: query.reverse,
        limit: query.limit,
        include_deleted: query.include_deleted,
        batch_rows: query.batch_rows,
        filter: query.amount_over.map(amount_over),
        ..ScanSpec::new(Arc::clone(table), owner.cloned(), projection)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn scans_equal_a_map(
        statements in statements(),
        queries in proptest::collection::vec(query(), 20),
        of_user: bool,
    ) {
        let test = TestStore::new();
        let (table, owner) = match of_user {
            true => (user(1), Some(UserId::new("alice"))),
            false => (shared(1), None),
        };
        let neighbours = [shared(0), shared(2)];
        for neighbour in &neighbours {
            run(&test.store, neighbour, None, ChangeOp::Insert, &rows(0..100)).unwrap();
        }
        let mut model = Model::new();
        for (number, statement) in statements.iter().enumerate() {
            apply(&test, &table, owner.as_ref(), &mut model, number, statement);
        }
        let view = test.store.view().unwrap();
        for query in &queries {
            let expected = expected(&model, query);
            let full = spec(&table, owner.as_ref(), query, vec![0, 1, 2]);
            let batches: Vec<_> =
                HotScan::new(Arc::clone(&view), full).unwrap().map(Result::unwrap).collect();
            for batch in &batches {
                prop_assert!(batch.num_rows() <= query.batch_rows);
            }
            prop_assert_eq!(decode(batches), expected.clone(), "{:?}", query);

            let count = spec(&table, owner.as_ref(), query, Vec::new());
            let counted: usize = HotScan::new(Arc::clone(&view), count)
                .unwrap()
                .map(|batch| batch.unwrap().num_rows())
                .sum();
            prop_assert_eq!(counted, expected.len());
        }
    }
}

#[test]
fn one_users_scan_never_sees_another_user() {
    let test = TestStore::new();
    let table = user(1);
    let names = ["a", "a\0", "a\0b", "ab", "b", "\u{10FFFF}"];
    for (number, name) in names.iter().enumerate() {
        let own = rows([number as i64]);
        run(&test.store, &table, Some(&UserId::new(*name)), ChangeOp::Insert, &own).unwrap();
    }
    let view = test.store.view().unwrap();
    for (number, name) in names.iter().enumerate() {
        let seen = all_rows(&view, &table, Some(&UserId::new(*name)));
        assert_eq!(seen, rows([number as i64]));
    }
    let without_owner = ScanSpec::new(Arc::clone(&table), None, vec![0]);
    let refused = HotScan::new(Arc::clone(&view), without_owner).err().unwrap();
    assert!(matches!(refused, StoreError::InvalidRequest { .. }));
}

#[test]
fn a_scan_outlives_every_other_handle() {
    let TestStore { store, directory } = TestStore::new();
    let table = shared(1);
    run(&store, &table, None, ChangeOp::Insert, &rows(0..100)).unwrap();
    let mut spec = ScanSpec::new(Arc::clone(&table), None, vec![0, 1, 2]);
    spec.batch_rows = 10;
    let mut scan = HotScan::new(store.view().unwrap(), spec).unwrap();
    let first = scan.next().unwrap().unwrap();
    drop(store);
    let rest = std::thread::spawn(move || scan.map(Result::unwrap).collect::<Vec<_>>());
    let rest = rest.join().unwrap();
    assert_eq!(decode([first].into_iter().chain(rest)), rows(0..100));
    drop(directory);
}

#[test]
fn a_failing_predicate_ends_the_scan() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..100)).unwrap();
    let mut spec = ScanSpec::new(Arc::clone(&table), None, vec![0]);
    let predicate = Box::new(|_: &RecordBatch| Err(StoreError::invalid("no")));
    spec.filter = Some(ScanFilter { columns: vec![0], predicate });
    let mut scan = HotScan::new(test.store.view().unwrap(), spec).unwrap();
    assert!(scan.next().unwrap().is_err());
    assert!(scan.next().is_none());

    let mut spec = ScanSpec::new(table, None, vec![0]);
    let predicate = Box::new(|_: &RecordBatch| Ok(BooleanArray::from(vec![true])));
    spec.filter = Some(ScanFilter { columns: vec![0], predicate });
    let mut scan = HotScan::new(test.store.view().unwrap(), spec).unwrap();
    assert!(scan.next().unwrap().is_err());
}

#[test]
fn a_filter_that_lets_little_through_hands_the_scan_back_now_and_then() {
    let test = TestStore::new();
    let table = shared(1);
    let many = ROWS_PER_CALL_MAX as i64 + 10_000;
    for start in (0..many).step_by(100_000) {
        let ids = start..(start + 100_000).min(many);
        run(&test.store, &table, None, ChangeOp::Insert, &rows(ids)).unwrap();
    }
    let mut spec = ScanSpec::new(Arc::clone(&table), None, vec![0, 1, 2]);
    let last = many - 1 - i64::from((many - 1) % 3 == 0);
    spec.filter = Some(amount_over(last * 10 - 1));
    let batches: Vec<_> =
        HotScan::new(test.store.view().unwrap(), spec).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [0, 1]);

    // The samples cut the table into parts of about the same size that hold all of it.
    let view = test.store.view().unwrap();
    let points = split_points(&view, &table, None, &KeyRange::all(), 4).unwrap();
    assert_eq!(points.len(), 3);
    let mut bounds = vec![Bound::Unbounded];
    bounds.extend(points.into_iter().map(Bound::Included));
    let mut sizes = Vec::new();
    for (number, start) in bounds.iter().enumerate() {
        let end = match bounds.get(number + 1) {
            Some(Bound::Included(end)) => Bound::Excluded(end.clone()),
            _ => Bound::Unbounded,
        };
        let mut spec = ScanSpec::new(Arc::clone(&table), None, Vec::new());
        spec.ranges = KeyRange { start: start.clone(), end };
        let rows: usize = HotScan::new(Arc::clone(&view), spec)
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum();
        sizes.push(rows);
    }
    assert_eq!(sizes.iter().sum::<usize>(), many as usize);
    assert!(sizes.iter().all(|size| *size > many as usize / 8), "{sizes:?}");
}

#[test]
fn rows_are_found_by_key_in_the_order_asked_for() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..50)).unwrap();
    run(&test.store, &table, None, ChangeOp::Delete, &rows([7])).unwrap();
    let view = test.store.view().unwrap();
    let keys = |ids: &[i64]| test_tables::keys(&view, &table, None, &rows(ids.iter().copied()));
    let found = |ids: &[i64], include_deleted| {
        decode([get_rows(&view, &table, &keys(ids), &[0, 1, 2], include_deleted).unwrap()])
    };
    assert_eq!(found(&[9, 7, 200, 3], false), rows([9, 3]));
    assert_eq!(found(&[9, 7, 200, 3], true), rows([9, 7, 3]));
    // Many keys: some, none, all of them there.
    let ids: Vec<i64> = (40..80).collect();
    assert_eq!(found(&ids, false), rows(40..50));
    let ids: Vec<i64> = (50..90).collect();
    assert!(lookup_keys(&view, &table, &keys(&ids)).unwrap().iter().all(Option::is_none));
    assert_eq!(lookup_keys(&view, &table, &keys(&ids)).unwrap().len(), 40);
    assert_eq!(view.table_counts(TableId(1), None).unwrap().live_rows, 49);
}

#[test]
fn system_columns_come_from_the_row_header() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows([1])).unwrap();
    let receipt = run(&test.store, &table, None, ChangeOp::Insert, &rows([2])).unwrap();
    let columns = vec![table.commit_seq_index(), table.updated_index(), 1];
    let mut spec = ScanSpec::new(Arc::clone(&table), None, columns);
    (spec.reverse, spec.limit) = (true, Some(1));
    let view = test.store.view().unwrap();
    let batch = HotScan::new(Arc::clone(&view), spec).unwrap().next().unwrap().unwrap();
    let seqs = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
    assert_eq!(seqs.value(0) as u64, receipt.commit_seq.0);
    let names = batch.column(2).as_any().downcast_ref::<StringArray>().unwrap();
    assert_eq!(names.value(0), "name 2");
    assert_eq!(scan(&view, ScanSpec::new(table, None, vec![0, 1, 2])), rows([1, 2]));
}
