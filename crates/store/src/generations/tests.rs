//! Emptied tables: what views of which time see, what writers are told, what is left on disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kalamdb_commons::ErrorKind;

use super::*;
use crate::change_log::ChangeLogEntry;
use crate::families::Family;
use crate::test_tables::{TestStore, all_rows, changes, request, row, rows, run, shared, user};
use crate::{ChangeOp, CommitRequest, Store, TableLayout};

const TABLE: TableId = TableId(7);

#[test]
fn a_view_reads_the_generation_of_its_time() {
    let generations = Generations::default();
    assert_eq!(generations.at(TABLE, CommitSeq(100)), Generation(0));
    generations.end(TABLE, CommitSeq(5));
    generations.end(TABLE, CommitSeq(9));
    let at = |seq| generations.at(TABLE, CommitSeq(seq)).0;
    assert_eq!([at(4), at(5), at(8), at(9), at(100)], [0, 1, 1, 2, 2]);
    assert_eq!(generations.newest(TABLE), Generation(2));
    assert_eq!(generations.newest(TableId(8)), Generation(0));
}

#[test]
fn a_stored_generation_goes_on_after_a_restart() {
    let generations = Generations::default();
    let key = meta::generation_key(TABLE);
    generations.load(&key, &3_u32.to_be_bytes()).unwrap();
    assert_eq!(generations.at(TABLE, CommitSeq(0)), Generation(3));
    generations.end(TABLE, CommitSeq(9));
    assert_eq!(generations.newest(TABLE), Generation(4));
    assert!(generations.load(&key, &[1]).is_err());
}

fn truncate(store: &Arc<Store>, table: &Arc<TableLayout>) -> Result<CommitSeq, StoreError> {
    let request = CommitRequest {
        read_seq: store.view()?.commit_seq(),
        tables_truncated: vec![Arc::clone(table.definition())],
        ..CommitRequest::default()
    };
    Ok(store.committer().commit_blocking(request)?.commit_seq)
}

fn live_rows(store: &Arc<Store>, table: &TableLayout) -> u64 {
    store.view().unwrap().table_counts(table.definition().id, None).unwrap().live_rows
}

/// Stored rows of a table in all generations.
fn stored(store: &Store, table: &TableLayout) -> usize {
    let mut count = 0;
    let prefix = table.definition().id.0.to_be_bytes();
    let counted = store.database().for_each_with_prefix(Family::SharedTable, &prefix, |_, _| {
        count += 1;
        Ok(true)
    });
    counted.unwrap();
    count
}

#[test]
fn older_views_keep_the_rows_and_newer_ones_have_none() {
    let test = TestStore::new();
    let (table, other) = (shared(1), shared(2));
    for table in [&table, &other] {
        run(&test.store, table, None, ChangeOp::Insert, &rows(0..100)).unwrap();
    }
    run(&test.store, &table, None, ChangeOp::Delete, &rows([7])).unwrap();
    let before = test.store.view().unwrap();
    truncate(&test.store, &table).unwrap();
    let after = test.store.view().unwrap();
    assert_eq!(all_rows(&before, &table, None).len(), 99);
    assert_eq!(all_rows(&after, &table, None), []);
    assert_eq!(all_rows(&after, &other, None), rows(0..100));
    let counts = after.table_counts(table.definition().id, None).unwrap();
    assert_eq!((counts.live_rows, counts.tombstones, counts.bytes), (0, 0, 0));
    assert_eq!(before.table_counts(table.definition().id, None).unwrap().live_rows, 99);

    // The same keys again, and again away.
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..10)).unwrap();
    assert_eq!(live_rows(&test.store, &table), 10);
    assert_eq!(all_rows(&before, &table, None).len(), 99);
    truncate(&test.store, &table).unwrap();
    run(&test.store, &table, None, ChangeOp::Insert, &[row(3, "three")]).unwrap();
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None), [row(3, "three")]);
    assert_eq!(live_rows(&test.store, &table), 1);
}

#[test]
fn what_was_located_before_is_not_written_after() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..10)).unwrap();
    let view = test.store.view().unwrap();
    truncate(&test.store, &table).unwrap();
    for (op, ids) in [(ChangeOp::Update, 3), (ChangeOp::Delete, 4), (ChangeOp::Insert, 50)] {
        let changes = changes(&view, &table, None, op, &rows([ids]));
        let refused = test.store.committer().commit_blocking(request(&view, vec![changes]));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict, "{op:?}");
    }
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None), []);
    assert_eq!(live_rows(&test.store, &table), 0);
    // Two at the same view: the second is run again.
    let stale = CommitRequest {
        read_seq: view.commit_seq(),
        tables_truncated: vec![Arc::clone(table.definition())],
        ..CommitRequest::default()
    };
    let refused = test.store.committer().commit_blocking(stale);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn rows_go_from_disk_once_no_view_is_older_and_stay_gone() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..1000)).unwrap();
    let view = test.store.view().unwrap();
    truncate(&test.store, &table).unwrap();
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..5)).unwrap();
    assert_eq!(stored(&test.store, &table), 1005);
    drop(view);
    let deadline = Instant::now() + Duration::from_secs(20);
    while stored(&test.store, &table) != 5 {
        assert!(Instant::now() < deadline, "the rows are still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    let test = test.reopen();
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None), rows(0..5));
    assert_eq!(live_rows(&test.store, &table), 5);
    truncate(&test.store, &table).unwrap();
    let test = test.reopen();
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None), []);
    run(&test.store, &table, None, ChangeOp::Insert, &rows([1])).unwrap();
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None), rows([1]));
}

#[test]
fn the_log_says_that_all_rows_are_gone() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..3)).unwrap();
    let commit_seq = truncate(&test.store, &table).unwrap();
    let mut logged = Vec::new();
    let prefix = table.definition().id.0.to_be_bytes();
    let read =
        test.store.database().for_each_with_prefix(Family::ChangeLog, &prefix, |key, value| {
            let entry = ChangeLogEntry::decode(key, value)?;
            for change in entry.part.changes() {
                let change = change?;
                logged.push((entry.key.commit_seq, change.op, change.key.len()));
            }
            Ok(true)
        });
    read.unwrap();
    assert_eq!(logged.len(), 4);
    assert_eq!(logged[3], (commit_seq, ChangeOp::Truncate, 0));
}

#[test]
fn only_shared_tables_are_emptied_at_once() {
    let test = TestStore::new();
    let refused = truncate(&test.store, &user(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Internal);
}
