//! What goes, when, and what that costs.

use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};

use super::*;
use crate::{CommitRequest, TableCounts};

fn counts(test: &StreamStore) -> TableCounts {
    test.view().table_counts(TableId(1), None).unwrap()
}

#[test]
fn expired_rows_go_and_the_counters_with_them() {
    let mut test = StreamStore::new();
    let table = stream(1, 80, None);
    for second in 0..100 {
        test.append(&table, [second]);
        test.clock.advance_us(SECOND_US);
    }
    // 80 rows are shown, and up to a bucket of 10 seconds stays behind.
    assert_eq!(test.ids(&table), (21..100).collect::<Vec<_>>());
    test.evict_until_stored(1, 80);
    assert_eq!(test.ids(&table), (21..100).collect::<Vec<_>>());
    assert_eq!(counts(&test).live_rows, 80);
    test = test.reopen();
    assert_eq!((test.ids(&table).len(), counts(&test).live_rows), (79, 80));
    test.clock.advance_us(80 * SECOND_US);
    test.evict_until_stored(1, 0);
    assert_eq!(counts(&test), TableCounts::default());
    // What comes then begins anew, but for its number.
    test.append(&table, [7]);
    let rows = read(&test.view(), spec(&table));
    assert_eq!(rows, [(7, 101, START_US + 180 * SECOND_US)]);
}

#[test]
fn rows_beyond_the_bound_go_in_whole_pieces() {
    let test = StreamStore::new();
    let table = stream(1, 1_000_000, Some(8192));
    for start in (0..100_000).step_by(500) {
        test.append(&table, start..start + 500);
    }
    test.housekeeping().round(false).unwrap();
    let shown: Vec<i64> = (100_000 - 8192..100_000).collect();
    assert_eq!(test.ids(&table), shown);
    // Pieces of 1024 rows: that many too many, at most.
    let kept = (8192 / 1024 + 1) * 1024 - (1024 - 100_000 % 1024);
    test.evict_until_stored(1, kept);
    assert_eq!(test.ids(&table), shown);
    assert_eq!(counts(&test).live_rows, kept as u64);
}

#[test]
fn a_file_that_ends_with_the_first_row_kept_stays() {
    let test = StreamStore::new();
    let table = stream(1, 1_000_000, Some(1));
    test.append(&table, 0..1024);
    test.append(&table, [1024]);
    // Below the files that are never dropped whole.
    let database = test.store.database();
    database.flush_memtables(true).unwrap();
    let family = Family::StreamTable.handle(database.rocksdb()).unwrap();
    database.rocksdb().compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
    test.evict_until_stored(1, 1);
    assert_eq!(test.ids(&table), [1024]);
}

#[test]
fn an_open_view_shows_what_it_showed() {
    let test = StreamStore::new();
    let (timed, bounded) = (stream(1, 10, None), stream(2, 1_000_000, Some(1)));
    test.append(&timed, 0..1000);
    test.append(&bounded, 0..5000);
    let view = test.view();
    let mut half_read =
        HotScan::new(Arc::clone(&view), ScanSpec { batch_rows: 10, ..spec(&timed) }).unwrap();
    assert_eq!(half_read.next().unwrap().unwrap().num_rows(), 10);
    test.clock.advance_us(100 * SECOND_US);
    test.append(&bounded, 5000..10_000);
    for _ in 0..3 {
        test.housekeeping().round(false).unwrap();
    }
    assert!(test.ids(&timed).is_empty());
    assert_eq!(test.ids(&bounded), [9999]);
    assert!(ids(&view, &timed).into_iter().eq(0..1000));
    assert_eq!(ids(&view, &bounded), [4999]);
    assert_eq!(half_read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 990);
    assert_eq!(stored_keys(test.store.database(), 1), 1000);
    drop(view);
    test.evict_until_stored(1, 0);
    assert_eq!(test.ids(&bounded), [9999]);
}

#[test]
fn an_eviction_that_waited_is_done_after_a_restart() {
    let mut test = StreamStore::new();
    let table = stream(1, 10, None);
    test.append(&table, 0..100);
    let view = test.view();
    test.clock.advance_us(100 * SECOND_US);
    test.append(&table, 100..101);
    test.housekeeping().round(false).unwrap();
    assert_eq!(stored_keys(test.store.database(), 1), 101);
    drop(view);
    test = test.reopen();
    test.evict_until_stored(1, 1);
    assert_eq!((test.ids(&table), counts(&test).live_rows), (vec![100], 1));
}

#[test]
fn a_dropped_stream_goes_with_everything_known_of_it() {
    let test = StreamStore::new();
    let table = stream(1, 10, Some(5));
    test.append(&table, 0..100);
    test.clock.advance_us(100 * SECOND_US);
    let view = test.view();
    test.housekeeping().round(false).unwrap();
    let dropped = CommitRequest { tables_changed: vec![(TableId(1), None)], ..Default::default() };
    test.store.committer().commit_blocking(dropped).unwrap();
    drop(view);
    let records = || {
        let mut records = 0;
        for kind in
            [crate::meta::all_stream_heads_prefix(), crate::meta::all_stream_pieces_prefix()]
        {
            let count = |_: &[u8], _: &[u8]| {
                records += 1;
                Ok(true)
            };
            test.store.database().for_each_with_prefix(Family::Meta, &kind, count).unwrap();
        }
        records
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while stored_keys(test.store.database(), 1) + records() > 0 {
        assert!(Instant::now() < deadline, "the dropped stream is still there");
        test.housekeeping().round(false).unwrap();
    }
    assert_eq!(counts(&test), TableCounts::default());
}

#[test]
fn an_eviction_reads_as_much_of_a_large_stream_as_of_a_small_one() {
    let cost_of = |rows: i64| {
        let test = StreamStore::new();
        let table = stream(1, 10, None);
        // Many pieces, on disk.
        for start in (0..rows).step_by(rows as usize / 5) {
            test.append(&table, start..start + rows / 5);
            test.clock.advance_us(SECOND_US);
        }
        test.store.database().flush_memtables(true).unwrap();
        test.clock.advance_us(100 * SECOND_US);
        let evictions = test.store.database().streams.evictions(&*test.clock);
        let [eviction] = evictions.as_slice() else { panic!("{evictions:?}") };
        set_perf_stats(PerfStatsLevel::EnableCount);
        let mut context = PerfContext::default();
        context.reset();
        crate::purge::Purge::Stream(*eviction).run(test.store.database(), b"\x12").unwrap();
        let metrics = [
            PerfMetric::BlockReadCount,
            PerfMetric::InternalKeySkippedCount,
            PerfMetric::SeekOnMemtableCount,
        ];
        let cost = metrics.map(|metric| context.metric(metric));
        set_perf_stats(PerfStatsLevel::Disable);
        assert_eq!(stored_keys(test.store.database(), 1), 0);
        assert_eq!(counts(&test), TableCounts::default());
        cost
    };
    assert_eq!(cost_of(100_000), cost_of(100));
    assert_eq!(cost_of(100), [0, 0, 0]);
}

#[test]
fn a_copy_of_a_running_store_has_its_streams() {
    let test = StreamStore::new();
    let table = stream(1, 60, Some(50));
    for start in (0..300).step_by(30) {
        test.append(&table, start..start + 30);
    }
    let crashed = tempfile::tempdir().unwrap();
    copy_running(test.directory.path(), crashed.path());
    let clock = Arc::new(ManualClock::new(START_US - 30 * SECOND_US));
    let store = open(&crashed, &clock);
    assert!(ids(&store.view().unwrap(), &table).into_iter().eq(250..300));
    // The clock stood before the newest row: time goes on from that one.
    assert_eq!(append(&store, &table, [300]).updated_us, START_US);
    let row_ids: Vec<i64> =
        read(&store.view().unwrap(), spec(&table)).iter().map(|row| row.1).collect();
    assert!(row_ids.into_iter().eq(252..=301));
}
