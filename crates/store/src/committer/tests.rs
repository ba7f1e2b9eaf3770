//! What the committer promises: conflicts are found, groups are atomic, numbers only rise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kalamdb_commons::{CommitSeq, TableId, TableType, UserId};

use super::*;
use crate::test_tables::{
    TestStore, all_rows, changes, definition, interval, layout, request, row, rows, run, shared,
    user,
};
use crate::{
    ByteRows, ChangeLogEntry, ConflictReason, ScanSpec, Store, StoreError, StoreOptions,
    TableCounts, TableLayout, change_log, families::Family, row_format, test_tables,
};

fn reason(result: Result<CommitReceipt, StoreError>) -> ConflictReason {
    match result {
        Err(StoreError::Conflict { reason, .. }) => reason,
        other => panic!("a conflict was expected, got {other:?}"),
    }
}

#[test]
fn the_second_writer_of_a_key_since_the_same_view_conflicts() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..10)).unwrap();
    let view = test.store.view().unwrap();
    let update = |ids: std::ops::Range<i64>| {
        request(&view, vec![changes(&view, &table, None, ChangeOp::Update, &rows(ids))])
    };
    let committer = test.store.committer();
    committer.commit_blocking(update(0..3)).unwrap();
    assert_eq!(reason(committer.commit_blocking(update(2..5))), ConflictReason::KeyWritten);
    // Other keys are free.
    committer.commit_blocking(update(3..5)).unwrap();
    // Deleting what was updated since the view is a conflict, too.
    let delete = changes(&view, &table, None, ChangeOp::Delete, &rows(4..5));
    let conflict = committer.commit_blocking(request(&view, vec![delete]));
    assert_eq!(reason(conflict), ConflictReason::KeyWritten);
    run(&test.store, &table, None, ChangeOp::Delete, &rows(4..5)).unwrap();
}

#[test]
fn two_inserts_of_one_key_in_one_group_give_one_row() {
    let test = TestStore::new();
    let table = shared(1);
    let view = test.store.view().unwrap();
    let (outcomes, outcome) = std::sync::mpsc::channel();
    let count = 50;
    for writer in 0..count {
        let rows = [row(1, &format!("writer {writer}")), row(100 + writer, "own")];
        let insert = changes(&view, &table, None, ChangeOp::Insert, &rows);
        let outcomes = outcomes.clone();
        let reply: CommitReply = Box::new(move |result| outcomes.send((writer, result)).unwrap());
        let submitted = test.store.committer().submit(request(&view, vec![insert]), reply);
        assert!(submitted.is_ok());
    }
    let results: Vec<_> = outcome.iter().take(count as usize).collect();
    let winners: Vec<_> = results.iter().filter(|(_, result)| result.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    let stored = all_rows(&test.store.view().unwrap(), &table, None);
    // All of the winner's rows, none of the others'.
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].1, format!("writer {}", winners[0].0));
    assert_eq!(stored[1].0, 100 + winners[0].0);
}

#[test]
fn large_statements_are_remembered_as_ranges() {
    let test = TestStore::new();
    let table = shared(1);
    let view = test.store.view().unwrap();
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..70_000)).unwrap();
    let insert = |ids| {
        let insert = changes(&view, &table, None, ChangeOp::Insert, &rows(ids));
        test.store.committer().commit_blocking(request(&view, vec![insert]))
    };
    assert_eq!(reason(insert(69_999..70_001)), ConflictReason::KeyWritten);
    insert(70_000..70_010).unwrap();
    insert(-10..0).unwrap();
}

#[test]
fn a_view_older_than_the_memory_conflicts_only_where_something_was_written() {
    let test = TestStore::new();
    let (busy, quiet) = (shared(1), shared(2));
    let view = test.store.view().unwrap();
    for start in (0..180_000).step_by(60_000) {
        let ids = start..start + 60_000;
        run(&test.store, &busy, None, ChangeOp::Insert, &rows(ids)).unwrap();
    }
    let insert = |table: &Arc<TableLayout>| {
        let insert = changes(&view, table, None, ChangeOp::Insert, &rows([1_000_000]));
        test.store.committer().commit_blocking(request(&view, vec![insert]))
    };
    assert_eq!(reason(insert(&busy)), ConflictReason::ViewTooOld);
    insert(&quiet).unwrap();
}

#[test]
fn altered_and_dropped_tables_refuse_statements_planned_before() {
    let test = TestStore::new();
    let table = shared(1);
    let view = test.store.view().unwrap();
    let alter = |version| CommitRequest {
        tables_changed: vec![(TableId(1), version)],
        ..CommitRequest::default()
    };
    test.store.committer().commit_blocking(alter(Some(2))).unwrap();
    let stale = request(
        &test.store.view().unwrap(),
        vec![changes(&view, &table, None, ChangeOp::Insert, &rows([1]))],
    );
    assert_eq!(reason(test.store.committer().commit_blocking(stale)), ConflictReason::TableChanged);
    let mut new_version = definition(1, TableType::Shared);
    new_version.schema_version = 2;
    let new_version = layout(new_version);
    let old_view = changes(&view, &new_version, None, ChangeOp::Insert, &rows([1]));
    let conflict = test.store.committer().commit_blocking(request(&view, vec![old_view]));
    assert_eq!(reason(conflict), ConflictReason::TableChanged);
    run(&test.store, &new_version, None, ChangeOp::Insert, &rows([1])).unwrap();

    // Neither do they read: at a view from before they may, later they must be planned again.
    let read = |view: &Arc<crate::ReadView>, table: &Arc<TableLayout>| {
        let spec = ScanSpec::new(Arc::clone(table), None, vec![0]);
        crate::HotScan::new(Arc::clone(view), spec).map(|scan| scan.count())
    };
    let altered = test.store.view().unwrap();
    assert!(read(&view, &table).is_ok());
    assert!(matches!(read(&altered, &table), Err(StoreError::Conflict { .. })));
    assert_eq!(read(&altered, &new_version).unwrap(), 1);

    test.store.committer().commit_blocking(alter(None)).unwrap();
    assert_eq!(read(&altered, &new_version).unwrap(), 1);
    let dropped = read(&test.store.view().unwrap(), &new_version);
    assert!(matches!(
        dropped,
        Err(StoreError::Conflict { reason: ConflictReason::TableDropped, .. })
    ));
    let view = test.store.view().unwrap();
    let stale =
        request(&view, vec![changes(&altered, &new_version, None, ChangeOp::Insert, &rows([2]))]);
    assert_eq!(reason(test.store.committer().commit_blocking(stale)), ConflictReason::TableDropped);
}

#[test]
fn views_see_their_commit_and_nothing_later() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..5)).unwrap();
    let before = test.store.view().unwrap();
    let receipt = run(&test.store, &table, None, ChangeOp::Delete, &rows(0..2)).unwrap();
    run(&test.store, &table, None, ChangeOp::Insert, &rows(5..6)).unwrap();
    assert_eq!(all_rows(&before, &table, None), rows(0..5));
    assert_eq!(before.table_counts(TableId(1), None).unwrap().live_rows, 5);
    let after = test.store.view().unwrap();
    assert_eq!(after.commit_seq(), receipt.commit_seq.next());
    assert_eq!(all_rows(&after, &table, None), rows(2..6));
    let counts = after.table_counts(TableId(1), None).unwrap();
    assert_eq!((counts.live_rows, counts.tombstones), (4, 2));
}

#[test]
fn a_failed_write_fences_and_a_restart_lifts_the_fence() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows([1])).unwrap();
    test.store.database().fail_next_write.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let failed = run(&test.store, &table, None, ChangeOp::Insert, &rows([2])).unwrap_err();
        assert!(matches!(failed, StoreError::Fenced { .. }), "{failed}");
        assert_eq!(failed.kind(), kalamdb_commons::ErrorKind::Unavailable);
    }
    // Reading goes on.
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None), rows([1]));
    let test = test.reopen();
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None), rows([1]));
    let receipt = run(&test.store, &table, None, ChangeOp::Insert, &rows([2])).unwrap();
    assert_eq!(receipt.commit_seq, CommitSeq(2));
}

#[test]
fn time_never_runs_backwards_within_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(kalamdb_commons::ManualClock::new(1_000_000));
    let options = || StoreOptions { clock: clock.clone(), ..StoreOptions::default() };
    let table = shared(1);
    let store = Store::open(directory.path(), options()).unwrap();
    let first = run(&store, &table, None, ChangeOp::Insert, &rows([1])).unwrap();
    assert_eq!(first.updated_us, 1_000_000);
    clock.advance_us(-500_000);
    let second = run(&store, &table, None, ChangeOp::Insert, &rows([2])).unwrap();
    assert_eq!(second.updated_us, 1_000_000);
    drop(store);
    let store = Store::open(directory.path(), options()).unwrap();
    let third = run(&store, &table, None, ChangeOp::Insert, &rows([3])).unwrap();
    assert_eq!(third.updated_us, 1_000_000);
    // Another table has its own time.
    let other = run(&store, &shared(2), None, ChangeOp::Insert, &rows([3])).unwrap();
    assert_eq!(other.updated_us, 500_000);
    assert!(first.commit_seq < second.commit_seq && second.commit_seq < third.commit_seq);
}

/// Counters as a scan of everything would give them.
fn recount(store: &Arc<Store>, table: &Arc<TableLayout>, owner: Option<&UserId>) -> TableCounts {
    let mut counts = TableCounts::default();
    let wide = [table.deleted_index(), table.location_index(), table.image_index()];
    let mut spec = ScanSpec::new(Arc::clone(table), owner.cloned(), wide.to_vec());
    spec.include_deleted = true;
    for batch in crate::HotScan::new(store.view().unwrap(), spec).unwrap() {
        let batch = batch.unwrap();
        let column = |index: usize| {
            batch.column(index).as_any().downcast_ref::<arrow::array::BinaryArray>().unwrap()
        };
        for (key, image) in column(1).iter().zip(column(2)) {
            let (key, image) = (key.unwrap(), image.unwrap());
            if row_format::is_deleted(image) {
                counts.tombstones += 1;
            } else {
                counts.live_rows += 1;
            }
            counts.bytes += (key.len() + image.len()) as u64;
        }
    }
    counts
}

#[test]
fn counters_equal_a_recount_per_table_and_per_owner() {
    let test = TestStore::new();
    let table = user(9);
    let owners = [UserId::new("alice"), UserId::new("bob")];
    let store = &test.store;
    for (number, owner) in owners.iter().enumerate() {
        let owner = Some(owner);
        let many = 20 + number as i64;
        run(store, &table, owner, ChangeOp::Insert, &rows(0..many)).unwrap();
        let longer: Vec<_> = (0..5).map(|id| row(id, "a much longer name than before")).collect();
        run(store, &table, owner, ChangeOp::Update, &longer).unwrap();
        run(store, &table, owner, ChangeOp::Delete, &rows(3..8)).unwrap();
        // Over a tombstone.
        run(store, &table, owner, ChangeOp::Insert, &rows(4..6)).unwrap();
        // At once, without a tombstone.
        let view = store.view().unwrap();
        let mut gone = changes(&view, &table, owner, ChangeOp::Delete, &rows(10..12));
        gone.rows = ByteRows::new();
        store.committer().commit_blocking(request(&view, vec![gone])).unwrap();
    }
    let test = test.reopen();
    let view = test.store.view().unwrap();
    let mut total = TableCounts::default();
    for (owner, live) in owners.iter().zip([15, 16]) {
        let counts = view.table_counts(TableId(9), Some(owner)).unwrap();
        assert_eq!(counts, recount(&test.store, &table, Some(owner)));
        assert_eq!((counts.live_rows, counts.tombstones), (live, 3));
        total.live_rows += counts.live_rows;
        total.tombstones += counts.tombstones;
        total.bytes += counts.bytes;
    }
    assert_eq!(view.table_counts(TableId(9), None).unwrap(), total);
    assert_eq!(view.table_counts(TableId(10), None).unwrap(), TableCounts::default());
}

type Logged = (u64, ChangeOp, Option<Vec<u8>>, Option<Vec<u8>>);

fn logged(store: &Arc<Store>, table: u32) -> BTreeMap<Option<UserId>, Vec<Logged>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let prefix = table.to_be_bytes();
    store
        .database()
        .for_each_with_prefix(Family::ChangeLog, &prefix, |key, value| {
            let entry = ChangeLogEntry::decode(key, value)?;
            for change in entry.part.changes() {
                let change = change?;
                found.entry(entry.key.owner.clone()).or_default().push((
                    entry.key.commit_seq.0,
                    change.op,
                    change.old.map(<[u8]>::to_vec),
                    change.new.map(<[u8]>::to_vec),
                ));
            }
            Ok(true)
        })
        .unwrap();
    found
}

#[test]
fn the_change_log_gives_back_old_and_new_images() {
    let test = TestStore::new();
    let table = user(4);
    let owner = UserId::new("alice");
    let store = &test.store;
    let image = |id: i64| {
        let view = store.view().unwrap();
        let keys = test_tables::keys(&view, &table, Some(&owner), &rows([id]));
        crate::lookup_keys(&view, &table, &keys).unwrap()[0].as_deref().map(<[u8]>::to_vec)
    };
    run(store, &table, Some(&owner), ChangeOp::Insert, &rows([1])).unwrap();
    let inserted = image(1);
    run(store, &table, Some(&owner), ChangeOp::Update, &[row(1, "changed")]).unwrap();
    let updated = image(1);
    run(store, &table, Some(&owner), ChangeOp::Delete, &rows([1])).unwrap();
    run(store, &table, Some(&owner), ChangeOp::Insert, &[row(1, "again")]).unwrap();
    let again = image(1);
    run(store, &table, Some(&UserId::new("bob")), ChangeOp::Insert, &rows([1])).unwrap();

    let log = logged(store, 4);
    assert_eq!(
        log[&Some(owner)],
        [
            (1, ChangeOp::Insert, None, inserted.clone()),
            (2, ChangeOp::Update, inserted, updated.clone()),
            (3, ChangeOp::Delete, updated, None),
            (4, ChangeOp::Insert, None, again),
        ]
    );
    assert_eq!(log[&Some(UserId::new("bob"))].len(), 1);
}

#[test]
fn a_commit_of_several_kinds_of_changes_has_one_number_and_ordered_log_parts() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..4)).unwrap();
    let view = test.store.view().unwrap();
    let merge = [
        changes(&view, &table, None, ChangeOp::Insert, &rows(4..6)),
        changes(&view, &table, None, ChangeOp::Update, &[row(0, "updated")]),
        changes(&view, &table, None, ChangeOp::Delete, &rows([1])),
    ];
    let receipt =
        test.store.committer().commit_blocking(request(&view, merge.into_iter().collect()));
    let receipt = receipt.unwrap();
    let ops: Vec<_> = logged(&test.store, 1)[&None]
        .iter()
        .filter(|(seq, ..)| *seq == receipt.commit_seq.0)
        .map(|(_, op, ..)| *op)
        .collect();
    use ChangeOp::{Delete, Insert, Update};
    assert_eq!(ops, [Insert, Insert, Update, Delete]);
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None).len(), 5);
}

#[test]
fn interval_commits_are_visible_before_and_durable_after_the_sync() {
    let test = TestStore::new();
    let table = interval(1, 20);
    // The first one also reserves a block of seqs, and is synced with it.
    assert!(run(&test.store, &table, None, ChangeOp::Insert, &rows([1])).unwrap().durable);
    let receipt = run(&test.store, &table, None, ChangeOp::Insert, &rows([2])).unwrap();
    assert!(!receipt.durable);
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None).len(), 2);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while test.store.durable_commit_seq() < receipt.commit_seq {
        assert!(std::time::Instant::now() < deadline, "the log is not synced");
        std::thread::yield_now();
    }
    // A synced commit takes what came before along.
    let unsynced = run(&test.store, &table, None, ChangeOp::Insert, &rows([3])).unwrap();
    let synced = run(&test.store, &shared(2), None, ChangeOp::Insert, &rows([3])).unwrap();
    assert!(synced.durable && test.store.durable_commit_seq() > unsynced.commit_seq);
}

#[test]
fn requests_that_do_not_fit_together_are_refused() {
    let test = TestStore::new();
    let table = shared(1);
    let view = test.store.view().unwrap();
    let broken: [fn(&mut RowChanges); 5] = [
        |changes| changes.rows.clear(),
        |changes| changes.op = ChangeOp::Update,
        |changes| changes.owner = Some(UserId::new("x")),
        |changes| changes.keys.get_mut(0)[3] = 9,
        |changes| changes.old.push(b"one too many"),
    ];
    for (number, break_it) in broken.into_iter().enumerate() {
        let mut insert = changes(&view, &table, None, ChangeOp::Insert, &rows([1]));
        break_it(&mut insert);
        let refused = test.store.committer().commit_blocking(request(&view, vec![insert]));
        assert!(matches!(refused, Err(StoreError::InvalidRequest { .. })), "{number}: {refused:?}");
    }
    run(&test.store, &table, None, ChangeOp::Insert, &rows([1])).unwrap();
}

#[test]
fn a_full_queue_and_a_closed_store_give_the_request_back() {
    let test = TestStore::new();
    let table = shared(1);
    let view = test.store.view().unwrap();
    let (gate, opened) = std::sync::mpsc::channel::<()>();
    let insert =
        |id| request(&view, vec![changes(&view, &table, None, ChangeOp::Insert, &rows([id]))]);
    // The first reply holds the thread until the gate opens; nothing is taken from the queue then.
    let (at_the_gate, arrived) = std::sync::mpsc::channel::<()>();
    let hold: CommitReply = Box::new(move |_| {
        let _ = at_the_gate.send(());
        let _ = opened.recv();
    });
    assert!(test.store.committer().submit(insert(0), hold).is_ok());
    arrived.recv().unwrap();
    let mut rejected = None;
    for _ in 0..2 * kalamdb_commons::limits::COMMIT_QUEUE_LEN_MAX {
        let put = CatalogOp::put_meta("x", b"y");
        let request = CommitRequest { catalog: vec![put], ..CommitRequest::default() };
        if let Err(back) = test.store.committer().submit(request, Box::new(|_| ())) {
            rejected = Some(back);
            break;
        }
    }
    let rejected = rejected.expect("the queue is bounded");
    assert!(matches!(rejected.error, StoreError::QueueFull { .. }));
    assert_eq!(rejected.request.catalog.len(), 1);
    drop(gate);
    test.store.close();
    let closed = test.store.committer().commit_blocking(insert(1)).unwrap_err();
    assert!(matches!(closed, StoreError::Closed), "{closed}");
    // What was queued before is written.
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None).len(), 1);
    assert_eq!(change_log::bucket_of(-1), 0);
}
