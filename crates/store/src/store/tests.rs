//! Opening, closing, losing: what a directory must give back, and when it must refuse.

use std::fs;
use std::time::{Duration, Instant};

use kalamdb_commons::{ErrorKind, ManualClock, TableId, TableType, UserId};

use super::*;
use crate::high_water::HighWater;
use crate::test_tables::{
    self, TestStore, all_rows, changes, copy_running, definition, interval, layout, request, row,
    rows, run, shared, user,
};
use crate::{ChangeOp, CommitRequest, HotScan, ScanSpec, TableLayout, lookup_keys};

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_reopened_store_has_its_rows_numbers_and_identity() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..1000)).unwrap();
    let last = run(&test.store, &table, None, ChangeOp::Update, &[row(7, "seven")]).unwrap();
    let (id, epoch) = (test.store.database_id(), test.store.epoch());
    let test = test.reopen();
    assert_eq!((test.store.database_id(), test.store.epoch()), (id, epoch));
    assert_eq!(test.store.last_commit_seq(), last.commit_seq);
    let view = test.store.view().unwrap();
    let stored = all_rows(&view, &table, None);
    assert_eq!((stored.len(), stored[7].1.as_str()), (1000, "seven"));
    let next = run(&test.store, &table, None, ChangeOp::Delete, &rows([7])).unwrap();
    assert_eq!(next.commit_seq, last.commit_seq.next());
}

#[test]
fn a_copy_of_a_running_store_has_every_acknowledged_row() {
    // A copy of the files is what a killed process leaves behind.
    let test = TestStore::new();
    let table = shared(1);
    for id in 0..20 {
        run(&test.store, &table, None, ChangeOp::Insert, &rows([id])).unwrap();
    }
    let crashed = tempfile::tempdir().unwrap();
    copy_running(test.directory.path(), crashed.path());
    let store = Store::open(crashed.path(), StoreOptions::default()).unwrap();
    assert_eq!(all_rows(&store.view().unwrap(), &table, None), rows(0..20));
}

#[test]
fn numbering_goes_on_above_the_block_after_an_unclean_stop() {
    let test = TestStore::new();
    let table = interval(1, 3_600_000);
    let first = run(&test.store, &table, None, ChangeOp::Insert, &rows([1])).unwrap();
    let lost = run(&test.store, &table, None, ChangeOp::Insert, &rows([2])).unwrap();
    assert!(first.durable && !lost.durable);
    let crashed = tempfile::tempdir().unwrap();
    copy_running(test.directory.path(), crashed.path());
    let store = Store::open(crashed.path(), StoreOptions::default()).unwrap();
    let next = run(&store, &table, None, ChangeOp::Insert, &rows([3])).unwrap();
    assert!(next.commit_seq.0 > lost.commit_seq.0 + 1_000, "{next:?}");

    // Closed in order, nothing is skipped.
    let test = test.reopen();
    let next = run(&test.store, &table, None, ChangeOp::Insert, &rows([3])).unwrap();
    assert_eq!(next.commit_seq, lost.commit_seq.next());
}

#[test]
fn row_ids_are_not_given_twice_even_over_a_restart() {
    let test = TestStore::new();
    let mut hidden = definition(1, TableType::Shared);
    hidden.primary_key.clear();
    let table = layout(hidden);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..10)).unwrap();
    let test = test.reopen();
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..10)).unwrap();
    assert_eq!(all_rows(&test.store.view().unwrap(), &table, None).len(), 20);
}

#[test]
fn a_directory_behind_its_high_water_mark_is_refused_unless_loss_is_accepted() {
    let test = TestStore::new();
    let table = shared(1);
    run(&test.store, &table, None, ChangeOp::Insert, &rows(0..3)).unwrap();
    let old = tempfile::tempdir().unwrap();
    copy_running(test.directory.path(), old.path());
    run(&test.store, &table, None, ChangeOp::Insert, &rows(3..6)).unwrap();
    test.store.close();
    let mark = HighWater::read(test.directory.path()).unwrap().unwrap();
    assert_eq!(mark.commit_seq, 2);

    // The old database under the new mark: as if the end of the log were gone.
    mark.write(old.path()).unwrap();
    for _ in 0..2 {
        let refused = Store::open(old.path(), StoreOptions::default()).unwrap_err();
        let StoreError::DataLoss { recovered: 1, high_water: 2, .. } = refused else {
            panic!("{refused}");
        };
    }
    let accepting = StoreOptions { accept_data_loss: true, ..StoreOptions::default() };
    let store = Store::open(old.path(), accepting).unwrap();
    assert_eq!(store.epoch(), 2);
    assert_eq!(all_rows(&store.view().unwrap(), &table, None), rows(0..3));
    drop(store);
    Store::open(old.path(), StoreOptions::default()).unwrap();
}

#[test]
fn an_empty_directory_under_a_high_water_mark_is_refused() {
    let test = TestStore::new();
    run(&test.store, &shared(1), None, ChangeOp::Insert, &rows(0..3)).unwrap();
    let TestStore { store, directory } = test;
    drop(store);
    fs::remove_dir_all(directory.path().join("rocksdb")).unwrap();
    let refused = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::DataLoss { recovered: 0, .. }), "{refused}");
    assert!(!directory.path().join("rocksdb/CURRENT").exists());
}

/// The newest write-ahead log of a data directory.
fn newest_wal(directory: &Path) -> std::path::PathBuf {
    let mut logs: Vec<_> = fs::read_dir(directory.join("rocksdb"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .filter(|path| fs::metadata(path).unwrap().len() > 0)
        .collect();
    logs.sort();
    logs.pop().unwrap()
}

#[test]
fn damage_in_the_middle_of_the_log_is_refused_and_a_torn_tail_is_not() {
    let test = TestStore::new();
    let table = shared(1);
    for id in 0..50 {
        run(&test.store, &table, None, ChangeOp::Insert, &rows([id])).unwrap();
    }
    // The mark is at most a second old; wait for it to name the last commit.
    let directory = test.directory.path();
    wait_until("the high-water mark is not written", || {
        HighWater::read(directory).unwrap().is_some_and(|mark| mark.commit_seq == 50)
    });
    let (torn, damaged) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy_running(directory, torn.path());
    copy_running(directory, damaged.path());

    let wal = newest_wal(torn.path());
    let mut bytes = fs::read(&wal).unwrap();
    // A record that was being written when the machine stopped.
    bytes.extend_from_slice(&[0xAB; 5]);
    fs::write(&wal, bytes).unwrap();
    let store = Store::open(torn.path(), StoreOptions::default()).unwrap();
    assert_eq!(all_rows(&store.view().unwrap(), &table, None).len(), 50);

    let wal = newest_wal(damaged.path());
    let mut bytes = fs::read(&wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    fs::write(&wal, &bytes).unwrap();
    for _ in 0..2 {
        let refused = Store::open(damaged.path(), StoreOptions::default()).unwrap_err();
        assert_eq!(refused.kind(), kalamdb_commons::ErrorKind::DataLoss, "{refused}");
    }
    assert_eq!(fs::read(&wal).unwrap(), bytes, "a refused start must change nothing");
    let accepting = StoreOptions { accept_data_loss: true, ..StoreOptions::default() };
    let store = Store::open(damaged.path(), accepting).unwrap();
    let kept = all_rows(&store.view().unwrap(), &table, None);
    assert!(!kept.is_empty() && kept.len() < 50);
    assert_eq!(kept, rows(0..kept.len() as i64));
}

#[test]
fn damage_behind_everything_acknowledged_as_durable_is_cut_off() {
    let test = TestStore::new();
    let durable = shared(1);
    let table = interval(2, 3_600_000);
    run(&test.store, &durable, None, ChangeOp::Insert, &rows(0..5)).unwrap();
    run(&test.store, &table, None, ChangeOp::Insert, &rows([0])).unwrap();
    let directory = test.directory.path();
    let synced_bytes = fs::metadata(newest_wal(directory)).unwrap().len();
    for id in 1..20 {
        assert!(!run(&test.store, &table, None, ChangeOp::Insert, &rows([id])).unwrap().durable);
    }
    let crashed = tempfile::tempdir().unwrap();
    copy_running(directory, crashed.path());
    let wal = newest_wal(crashed.path());
    let mut bytes = fs::read(&wal).unwrap();
    let unsynced = (usize::try_from(synced_bytes).unwrap() + bytes.len()) / 2;
    bytes[unsynced] ^= 0xFF;
    fs::write(&wal, bytes).unwrap();
    let store = Store::open(crashed.path(), StoreOptions::default()).unwrap();
    let view = store.view().unwrap();
    assert_eq!(all_rows(&view, &durable, None), rows(0..5));
    let kept = all_rows(&view, &table, None);
    assert!(!kept.is_empty() && kept.len() < 20);
    assert_eq!(kept, rows(0..kept.len() as i64));
}

fn drop_table(store: &Store, table: u32) {
    let dropped =
        CommitRequest { tables_changed: vec![(TableId(table), None)], ..Default::default() };
    store.committer().commit_blocking(dropped).unwrap();
}

/// Keys of a table in families of rows, log and meta.
fn keys_of(store: &Store, table: u32) -> usize {
    let mut count = 0;
    let id = table.to_be_bytes().to_vec();
    let meta_keys = [meta::counters_prefix(TableId(table)), meta::log_floor_key(TableId(table))];
    let prefixes = Family::OF_TABLES
        .map(|family| (family, id.clone()))
        .into_iter()
        .chain(meta_keys.map(|prefix| (Family::Meta, prefix)));
    for (family, prefix) in prefixes {
        store
            .database()
            .for_each_with_prefix(family, &prefix, |_, _| {
                count += 1;
                Ok(true)
            })
            .unwrap();
    }
    count
}

#[test]
fn a_dropped_table_goes_once_no_view_is_older() {
    let test = TestStore::new();
    let (dropped, kept) = (shared(1), shared(2));
    for table in [&dropped, &kept] {
        run(&test.store, table, None, ChangeOp::Insert, &rows(0..100)).unwrap();
    }
    let view = test.store.view().unwrap();
    drop_table(&test.store, 1);
    // Long enough for the janitor to have come by.
    let later = Instant::now() + Duration::from_millis(1500);
    wait_until("time stands still", || Instant::now() > later);
    assert_eq!(all_rows(&view, &dropped, None), rows(0..100));
    drop(view);
    wait_until("the dropped table is still there", || keys_of(&test.store, 1) == 0);
    assert_eq!(all_rows(&test.store.view().unwrap(), &kept, None), rows(0..100));
}

fn drop_owner(store: &Store, owner: &UserId) {
    let dropped = CommitRequest { owners_dropped: vec![owner.clone()], ..Default::default() };
    store.committer().commit_blocking(dropped).unwrap();
}

/// Keys of rows, log and meta that name an owner.
fn keys_of_owner(store: &Store, owner: &str) -> usize {
    let escaped = [owner.as_bytes(), &[0, 1]].concat();
    let mut count = 0;
    for family in [Family::UserTable, Family::ChangeLog, Family::Meta] {
        store
            .database()
            .for_each_with_prefix(family, &[], |key, _| {
                let named = key.windows(escaped.len()).any(|part| part == escaped)
                    || (family == Family::Meta && key.ends_with(owner.as_bytes()));
                count += usize::from(named);
                Ok(true)
            })
            .unwrap();
    }
    count
}

/// Waits until the janitor has begun and ended a round.
fn let_the_janitor_come_by(test: &TestStore, table: &Arc<TableLayout>) {
    // The mark is the first thing a round writes: the second one comes after a whole round.
    for id in 1..3 {
        let last = run(&test.store, table, None, ChangeOp::Insert, &rows([id])).unwrap();
        wait_until("the janitor does not come by", || {
            let mark = HighWater::read(test.directory.path()).unwrap();
            mark.is_some_and(|mark| mark.commit_seq == last.commit_seq.0)
        });
    }
}

#[test]
fn what_a_dropped_user_had_goes_once_no_view_is_older() {
    let test = TestStore::new();
    let (tables, other) = ([user(1), user(2)], shared(3));
    let (ann, anna) = (UserId::new("ann"), UserId::new("anna"));
    for table in &tables {
        for owner in [&ann, &anna] {
            run(&test.store, table, Some(owner), ChangeOp::Insert, &rows(0..100)).unwrap();
        }
    }
    run(&test.store, &tables[0], Some(&ann), ChangeOp::Delete, &rows(0..10)).unwrap();
    let view = test.store.view().unwrap();
    drop_owner(&test.store, &ann);
    let_the_janitor_come_by(&test, &other);
    assert_eq!(all_rows(&view, &tables[0], Some(&ann)), rows(10..100));
    assert!(keys_of_owner(&test.store, "ann") > 200);
    drop(view);
    wait_until("the dropped user's rows are still there", || {
        keys_of_owner(&test.store, "ann") == 0
    });
    let view = test.store.view().unwrap();
    for table in &tables {
        assert_eq!(all_rows(&view, table, Some(&anna)), rows(0..100));
        let id = table.definition().id;
        let counted = view.table_counts(id, None).unwrap();
        assert_eq!(counted, view.table_counts(id, Some(&anna)).unwrap());
        assert_eq!((counted.live_rows, counted.tombstones), (100, 0));
    }
    // Rows, their changes, counters.
    assert!(keys_of_owner(&test.store, "anna") > 200);
}

#[test]
fn statements_of_a_dropped_user_neither_write_nor_read_what_is_left() {
    let test = TestStore::new();
    let table = user(1);
    let (ann, anna) = (UserId::new("ann"), UserId::new("anna"));
    for owner in [&ann, &anna] {
        run(&test.store, &table, Some(owner), ChangeOp::Insert, &rows(0..10)).unwrap();
    }
    let before = test.store.view().unwrap();
    let update = |owner: &UserId| {
        let update = changes(&before, &table, Some(owner), ChangeOp::Update, &rows([1]));
        request(&before, vec![update])
    };
    let (of_ann, of_anna) = (update(&ann), update(&anna));
    drop_owner(&test.store, &ann);
    let refused = test.store.committer().commit_blocking(of_ann).unwrap_err();
    assert!(matches!(refused, StoreError::OwnerDropped), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
    test.store.committer().commit_blocking(of_anna).unwrap();

    let after = test.store.view().unwrap();
    let scan = |view: &Arc<ReadView>, owner: &UserId| {
        let spec = ScanSpec::new(Arc::clone(&table), Some(owner.clone()), vec![0]);
        HotScan::new(Arc::clone(view), spec).map(drop)
    };
    assert!(matches!(scan(&after, &ann), Err(StoreError::OwnerDropped)));
    let keys = |owner: &UserId| test_tables::keys(&before, &table, Some(owner), &rows([1]));
    let found = lookup_keys(&after, &table, &keys(&ann)).map(drop);
    assert!(matches!(found, Err(StoreError::OwnerDropped)));
    // Views from before, and other users, are not concerned.
    scan(&before, &ann).unwrap();
    assert!(lookup_keys(&before, &table, &keys(&ann)).unwrap()[0].is_some());
    scan(&after, &anna).unwrap();
    assert!(lookup_keys(&after, &table, &keys(&anna)).unwrap()[0].is_some());
}

#[test]
fn a_dropped_users_removal_that_waited_is_done_after_a_restart() {
    let test = TestStore::new();
    let (table, ann) = (user(1), UserId::new("ann"));
    run(&test.store, &table, Some(&ann), ChangeOp::Insert, &rows(0..100)).unwrap();
    let view = test.store.view().unwrap();
    drop_owner(&test.store, &ann);
    let crashed = tempfile::tempdir().unwrap();
    copy_running(test.directory.path(), crashed.path());
    drop(view);
    let store = Store::open(crashed.path(), StoreOptions::default()).unwrap();
    wait_until("the dropped user's rows are still there", || keys_of_owner(&store, "ann") == 0);
    let counted = store.view().unwrap().table_counts(TableId(1), None).unwrap();
    assert_eq!((counted.live_rows, counted.bytes), (0, 0));
}

#[test]
fn a_removal_that_waited_is_done_after_a_restart() {
    let test = TestStore::new();
    run(&test.store, &shared(1), None, ChangeOp::Insert, &rows(0..100)).unwrap();
    let view = test.store.view().unwrap();
    drop_table(&test.store, 1);
    let crashed = tempfile::tempdir().unwrap();
    copy_running(test.directory.path(), crashed.path());
    drop(view);
    let store = Store::open(crashed.path(), StoreOptions::default()).unwrap();
    wait_until("the dropped table is still there", || keys_of(&store, 1) == 0);
}

#[test]
fn old_buckets_of_the_log_are_trimmed_whole_and_rows_stay() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1_000_000_000_000));
    let options = StoreOptions {
        clock: clock.clone(),
        change_log_retention_seconds: 600,
        ..StoreOptions::default()
    };
    let store = Store::open(directory.path(), options).unwrap();
    let table = shared(1);
    run(&store, &table, None, ChangeOp::Insert, &rows([1])).unwrap();
    clock.advance_us(2_000 * 1_000_000);
    run(&store, &table, None, ChangeOp::Insert, &rows([2])).unwrap();
    let log_entries = || {
        let mut entries = 0;
        let database = store.database();
        database
            .for_each_with_prefix(Family::ChangeLog, &[], |_, _| {
                entries += 1;
                Ok(true)
            })
            .unwrap();
        entries
    };
    assert_eq!(log_entries(), 2);
    let mut housekeeping = Housekeeping {
        database: Arc::clone(store.database()),
        directory: directory.path().to_owned(),
        database_id: String::new(),
        log_retention_seconds: 600,
        written_high_water: store.durable_commit_seq().0,
        purges: Vec::new(),
        next_purge: 0,
        background_errors: 0,
        written_stream_time_us: 0,
    };
    // The store's own janitor may take the removal from here.
    housekeeping.round(true).unwrap();
    wait_until("the old bucket is still there", || log_entries() == 1);
    let floor = store.database().get(Family::Meta, &meta::log_floor_key(TableId(1))).unwrap();
    assert!(floor.is_some());
    assert_eq!(all_rows(&store.view().unwrap(), &table, None), rows([1, 2]));
}

#[test]
fn the_last_handle_may_be_dropped_by_a_reply() {
    let TestStore { store, directory } = TestStore::new();
    let table = shared(1);
    let view = store.view().unwrap();
    let insert = changes(&view, &table, None, ChangeOp::Insert, &rows([1]));
    let request = request(&view, vec![insert]);
    drop(view);
    let (told, done) = std::sync::mpsc::channel();
    let last = Arc::clone(&store);
    let reply = Box::new(move |result: Result<_, _>| {
        drop(last);
        told.send(result.is_ok()).unwrap();
    });
    assert!(store.committer().submit(request, reply).is_ok());
    drop(store);
    assert!(done.recv().unwrap());
    wait_until("the directory is still locked", || {
        Store::open(directory.path(), StoreOptions::default())
            .is_ok_and(|store| all_rows(&store.view().unwrap(), &table, None).len() == 1)
    });
}

#[test]
fn a_high_water_mark_of_another_database_is_refused() {
    let (one, two) = (TestStore::new(), TestStore::new());
    let TestStore { store, directory } = one;
    drop(store);
    two.store.close();
    HighWater::read(two.directory.path()).unwrap().unwrap().write(directory.path()).unwrap();
    let refused = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
}

#[test]
fn a_missing_high_water_file_is_refused_unless_loss_is_accepted() {
    let test = TestStore::new();
    let table = shared(1);
    for id in 0..20 {
        run(&test.store, &table, None, ChangeOp::Insert, &rows([id])).unwrap();
    }
    let (cut, damaged) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for directory in [&cut, &damaged] {
        copy_running(test.directory.path(), directory.path());
        fs::remove_file(directory.path().join("HIGH_WATER")).unwrap();
    }
    // Without the end of its log; the store would take the tail for one that was never synced.
    let wal = newest_wal(cut.path());
    let bytes = fs::read(&wal).unwrap();
    fs::write(&wal, &bytes[..bytes.len() / 2]).unwrap();
    let wal = newest_wal(damaged.path());
    let mut bytes = fs::read(&wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    fs::write(&wal, &bytes).unwrap();
    for directory in [cut.path(), damaged.path()] {
        for _ in 0..2 {
            let refused = Store::open(directory, StoreOptions::default()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::DataLoss, "{refused}");
            let StoreError::HighWaterMissing { recovered, .. } = refused else {
                panic!("{refused}");
            };
            assert!((1..20).contains(&recovered), "{recovered}");
        }
    }
    assert_eq!(fs::read(&wal).unwrap(), bytes, "a refused start must change nothing");
    let accepting = StoreOptions { accept_data_loss: true, ..StoreOptions::default() };
    for directory in [cut.path(), damaged.path()] {
        let store = Store::open(directory, accepting.clone()).unwrap();
        assert_eq!(store.epoch(), 2);
        let kept = all_rows(&store.view().unwrap(), &table, None);
        assert_eq!(kept, rows(0..kept.len() as i64));
        drop(store);
        Store::open(directory, StoreOptions::default()).unwrap();
    }
}

#[test]
fn a_missing_high_water_file_is_found_out_without_the_log() {
    let test = TestStore::new();
    run(&test.store, &shared(1), None, ChangeOp::Insert, &rows(0..3)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    copy_running(test.directory.path(), directory.path());
    fs::remove_file(directory.path().join("HIGH_WATER")).unwrap();
    fs::write(newest_wal(directory.path()), []).unwrap();
    let refused = Store::open(directory.path(), StoreOptions::default()).unwrap_err();
    assert!(matches!(refused, StoreError::HighWaterMissing { recovered: 0, .. }), "{refused}");
}

#[test]
fn rows_are_refused_while_the_disk_is_almost_full_and_taken_again_after() {
    let test = TestStore::new();
    let (table, other) = (shared(1), shared(2));
    for table in [&table, &other] {
        run(&test.store, table, None, ChangeOp::Insert, &rows(0..3)).unwrap();
    }
    let TestStore { store, directory } = test;
    drop(store);
    let options = StoreOptions { free_space_floor_bytes: u64::MAX, ..StoreOptions::default() };
    let store = Store::open(directory.path(), options).unwrap();
    for op in [ChangeOp::Insert, ChangeOp::Delete] {
        let some = if op == ChangeOp::Insert { rows([9]) } else { rows([1]) };
        let refused = run(&store, &table, None, op, &some).unwrap_err();
        assert!(matches!(refused, StoreError::DiskAlmostFull { .. }), "{op:?}: {refused}");
    }
    assert!(store.check_writable().is_err());
    assert_eq!(all_rows(&store.view().unwrap(), &table, None), rows(0..3));
    // What makes room is not refused.
    drop_table(&store, 2);
    wait_until("the dropped table is still there", || keys_of(&store, 2) == 0);
    // The janitor looks at the real disk every second, this at one with room.
    wait_until("rows are refused though there is room", || {
        store.database().free_space.observe(u64::MAX);
        run(&store, &table, None, ChangeOp::Insert, &rows([9])).is_ok()
    });
    assert_eq!(all_rows(&store.view().unwrap(), &table, None).len(), 4);
}

#[test]
fn memtables_are_left_alone_while_writes_are_held_back() {
    let test = TestStore::new();
    run(&test.store, &shared(1), None, ChangeOp::Insert, &rows(0..3)).unwrap();
    let database = test.store.database();
    assert!(database.flush_memtables(true).unwrap());
    let rocksdb = database.rocksdb();
    let family = Family::SharedTable.handle(rocksdb).unwrap();
    let hold_back_at = |files: &str| {
        let triggers = [
            ("level0_file_num_compaction_trigger", "1000"),
            ("level0_slowdown_writes_trigger", files),
            ("level0_stop_writes_trigger", files),
        ];
        rocksdb.set_options_cf(family, &triggers).unwrap();
    };
    // There is one file by now.
    hold_back_at("1");
    let held_back = database.flush_memtables(false);
    hold_back_at("1000");
    assert!(matches!(held_back, Ok(false)), "{held_back:?}");
    assert!(matches!(database.flush_memtables(false), Ok(true)));
}

#[test]
fn a_view_knows_its_age_and_is_counted() {
    let test = TestStore::new();
    assert_eq!(test.store.open_views(), 0);
    let view = test.store.view().unwrap();
    assert_eq!(test.store.open_views(), 1);
    let before = view.age();
    wait_until("a view does not age", || view.age() > before);
    drop(view);
    assert_eq!(test.store.open_views(), 0);
}
