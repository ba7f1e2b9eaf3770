//! What a view shows.

use kalamdb_commons::CommitSeq;

use super::*;
use crate::change_log::ChangeLogEntry;
use crate::scan::ScanFilter;
use crate::{KeyRange, StoreError, StreamBounds, row_format, split_points, stream_range};

#[test]
fn a_row_expires_to_the_microsecond_and_needs_no_eviction_for_it() {
    let test = StreamStore::new();
    let table = stream(1, 2, None);
    test.append(&table, [1]);
    test.clock.advance_us(1);
    test.append(&table, [2]);
    test.clock.advance_us(2 * SECOND_US - 2);
    assert_eq!(test.ids(&table), [1, 2]);
    test.clock.advance_us(1);
    assert_eq!(test.ids(&table), [2]);
    test.clock.advance_us(1);
    assert!(test.ids(&table).is_empty());
}

#[test]
fn rows_on_both_sides_of_a_bucket_go_one_after_the_other() {
    let test = StreamStore::new();
    // START_US is a multiple of the width.
    let table = stream(1, 16, None);
    let width = table.definition().stream_options().unwrap().bucket_us;
    assert_eq!((width, START_US % width), (2 * SECOND_US, 0));
    let mut arrived = Vec::new();
    for (id, wait) in [(0, 0), (1, width - 1), (2, 1), (3, 1), (4, width)] {
        test.clock.advance_us(wait);
        arrived.push(test.append(&table, [id]).updated_us);
    }
    let ttl_us = 16 * SECOND_US;
    for (id, arrived_us) in (0..).zip(arrived) {
        test.clock.advance_us(arrived_us + ttl_us - 1 - test.clock.now_us());
        assert_eq!(test.ids(&table), (id..5).collect::<Vec<_>>());
        test.clock.advance_us(1);
        assert_eq!(test.ids(&table), (id + 1..5).collect::<Vec<_>>());
    }
}

#[test]
fn rows_come_in_the_order_of_arrival_numbered_without_a_gap() {
    let test = StreamStore::new();
    let table = stream(1, 60, None);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (test, table) = (&test, &table);
            scope.spawn(move || {
                for id in 0..50 {
                    test.append(table, [writer * 100 + id, writer * 100 + id]);
                    test.clock.advance_us(100);
                }
            });
        }
    });
    let mut all = spec(&table);
    all.projection =
        vec![table.row_id_index().unwrap(), table.commit_seq_index(), table.updated_index()];
    let rows = read(&test.view(), all);
    assert!(rows.iter().map(|(row_id, _, _)| *row_id).eq(1..=400));
    assert!(rows.is_sorted_by_key(|(_, commit_seq, _)| *commit_seq));
    assert!(rows.is_sorted_by_key(|(_, _, updated_us)| *updated_us));
    assert_eq!(test.view().table_counts(TableId(1), None).unwrap().live_rows, 400);
}

#[test]
fn never_more_than_the_newest_rows_are_shown_however_they_are_read() {
    let test = StreamStore::new();
    let table = stream(1, 3600, Some(2500));
    let mut before = Vec::new();
    for start in (0..9000).step_by(700) {
        test.append(&table, start..start + 700);
        test.clock.advance_us(SECOND_US);
        let shown: Vec<i64> = ((start - 1800).max(0)..start + 700).collect();
        let view = test.view();
        assert_eq!(ids(&view, &table), shown);
        before.push((view, shown));
    }
    for (view, shown) in before {
        // Rows that came later push nothing out of an earlier view.
        assert_eq!(ids(&view, &table), shown);
        let backwards = ScanSpec { reverse: true, ..spec(&table) };
        let found: Vec<i64> = read(&view, backwards).iter().rev().map(|row| row.0).collect();
        assert_eq!(found, shown);
        for reverse in [false, true] {
            let first = ScanSpec { reverse, limit: Some(3), ..spec(&table) };
            let wanted: Vec<i64> = match reverse {
                false => shown.iter().take(3).copied().collect(),
                true => shown.iter().rev().take(3).copied().collect(),
            };
            let found: Vec<i64> = read(&view, first).iter().map(|row| row.0).collect();
            assert_eq!(found, wanted);
        }
        let counting = ScanSpec { projection: Vec::new(), ..spec(&table) };
        let batches = HotScan::new(Arc::clone(&view), counting).unwrap();
        assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), shown.len());
        let even = ScanFilter {
            columns: vec![0],
            predicate: Box::new(|batch| {
                let ids = batch.column(0).as_primitive::<Int64Type>();
                Ok(ids.iter().map(|id| id.map(|id| id % 2 == 0)).collect())
            }),
        };
        let filtered = ScanSpec { filter: Some(even), ..spec(&table) };
        let found: Vec<i64> = read(&view, filtered).iter().map(|row| row.0).collect();
        assert!(found.iter().eq(shown.iter().filter(|id| **id % 2 == 0)));
    }
}

#[test]
fn the_parts_of_a_divided_scan_are_the_whole() {
    let test = StreamStore::new();
    let table = stream(1, 3600, Some(200_000));
    test.append(&table, 0..150_000);
    test.append(&table, 150_000..300_000);
    let view = test.view();
    let points = split_points(&view, &table, None, &KeyRange::all(), 3).unwrap();
    assert_eq!(points.len(), 2);
    let mut start = std::ops::Bound::Unbounded;
    let mut found = Vec::new();
    let mut sizes = Vec::new();
    for point in points.into_iter().map(Some).chain([None]) {
        let end = point.clone().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let ranges = KeyRange { start, end };
        let part = read(&view, ScanSpec { ranges, ..spec(&table) });
        sizes.push(part.len());
        found.extend(part.into_iter().map(|row| row.0));
        start = point.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
    }
    assert!(found.into_iter().eq(100_000..300_000));
    assert!(sizes.iter().all(|size| (30_000..120_000).contains(size)), "{sizes:?}");
}

#[test]
fn a_clock_that_runs_backwards_brings_nothing_back() {
    let mut test = StreamStore::new();
    let table = stream(1, 10, None);
    test.append(&table, [1]);
    test.clock.advance_us(6 * SECOND_US);
    test.append(&table, [2]);
    test.clock.advance_us(4 * SECOND_US);
    assert_eq!(test.ids(&table), [2]);
    test.clock.advance_us(-8 * SECOND_US);
    assert_eq!(test.ids(&table), [2]);
    let receipt = test.append(&table, [3]);
    assert_eq!(receipt.updated_us, START_US + 10 * SECOND_US);
    // Nor does a restart.
    test = test.reopen();
    assert_eq!(test.ids(&table), [2, 3]);
    let receipt = test.append(&table, [4]);
    assert_eq!(receipt.updated_us, START_US + 10 * SECOND_US);
    test.clock.advance_us(8 * SECOND_US + 6 * SECOND_US);
    assert_eq!(test.ids(&table), [3, 4]);
}

#[test]
fn bounds_on_arrival_become_ranges_that_leave_nothing_out() {
    let test = StreamStore::new();
    let table = stream(1, 3600, Some(8192 * 4));
    for start in (0..30_000).step_by(1000) {
        test.append(&table, start..start + 1000);
        test.clock.advance_us(100 * SECOND_US);
    }
    let view = test.view();
    let all = read(&view, spec(&table));
    let at = |seconds: i64| Some(START_US + seconds * SECOND_US);
    let none = StreamBounds::default();
    for bounds in [
        none,
        StreamBounds { from_us: at(500), ..none },
        StreamBounds { from_us: at(500), until_us: at(1400), ..none },
        StreamBounds { until_us: at(0), ..none },
        StreamBounds { until_us: Some(i64::MAX), from_us: Some(i64::MIN), ..none },
        StreamBounds { first_row_id: Some(12_345), ..none },
        StreamBounds { first_row_id: Some(-5), last_row_id: Some(7), ..none },
        StreamBounds { first_row_id: Some(9_000), last_row_id: Some(9_000), ..none },
        StreamBounds { first_row_id: Some(1 << 60), ..none },
        StreamBounds { first_row_id: Some(20_001), until_us: at(2_000), ..none },
    ] {
        let matches = |(_, row_id, updated_us): &Shown| {
            bounds.from_us.is_none_or(|from_us| *updated_us >= from_us)
                && bounds.until_us.is_none_or(|until_us| *updated_us <= until_us)
                && bounds.first_row_id.is_none_or(|first| *row_id >= first)
                && bounds.last_row_id.is_none_or(|last| *row_id <= last)
        };
        let ranges = stream_range(&view, &table, &bounds).unwrap();
        let found = read(&view, ScanSpec { ranges, ..spec(&table) });
        let wanted: Vec<&Shown> = all.iter().filter(|row| matches(row)).collect();
        assert!(found.iter().filter(|row| matches(row)).eq(wanted.iter().copied()), "{bounds:?}");
        let by_time = bounds.first_row_id.is_none() && bounds.last_row_id.is_none();
        let most = if by_time { wanted.len() } else { wanted.len() + 2 * 4096 };
        assert!(found.len() <= most, "{bounds:?}: {} rows for {}", found.len(), wanted.len());
    }
    for impossible in [
        StreamBounds { until_us: Some(-1), ..none },
        StreamBounds { last_row_id: Some(-1), ..none },
        StreamBounds { first_row_id: Some(5), last_row_id: Some(4), ..none },
        StreamBounds { from_us: at(10), until_us: at(9), ..none },
    ] {
        assert_eq!(stream_range(&view, &table, &impossible), None, "{impossible:?}");
    }
}

#[test]
fn rows_are_only_appended() {
    let test = StreamStore::new();
    let table = stream(1, 60, None);
    test.append(&table, 0..3);
    let view = test.view();
    let broken: [fn(&mut RowChanges); 4] = [
        |changes| changes.op = ChangeOp::Update,
        |changes| {
            changes.op = ChangeOp::Delete;
            changes.old.push(changes.rows.get(0).to_vec().as_slice());
        },
        |changes| changes.old.push(b"an image"),
        |changes| changes.keys.get_mut(0)[3] = 9,
    ];
    for (number, break_it) in broken.into_iter().enumerate() {
        let mut refused = changes(&table, [7]);
        break_it(&mut refused);
        let refused = test.store.committer().commit_blocking(request(&view, vec![refused]));
        assert!(matches!(refused, Err(StoreError::InvalidRequest { .. })), "{number}: {refused:?}");
    }
    assert!(crate::lookup_keys(&view, &table, &ByteRows::new()).is_err());
    assert_eq!(test.ids(&table), [0, 1, 2]);
}

#[test]
fn the_change_log_has_the_rows_under_their_row_ids() {
    let test = StreamStore::new();
    let table = stream(1, 60, None);
    test.append(&table, [5, 6]);
    let receipt = test.append(&table, [7]);
    let mut logged = Vec::new();
    test.store
        .database()
        .for_each_with_prefix(Family::ChangeLog, &[0, 0, 0, 1], |key, value| {
            let entry = ChangeLogEntry::decode(key, value)?;
            for change in entry.part.changes() {
                let change = change?;
                let seq = row_format::commit_seq(change.new.unwrap())?;
                logged.push((entry.key.commit_seq, seq, change.op, change.key.to_vec()));
            }
            Ok(true)
        })
        .unwrap();
    let key = |row_id: u8| vec![0x80, 0, 0, 0, 0, 0, 0, row_id];
    let first = CommitSeq(receipt.commit_seq.0 - 1);
    let insert = |seq, row_id| (seq, seq, ChangeOp::Insert, key(row_id));
    assert_eq!(logged, [insert(first, 1), insert(first, 2), insert(receipt.commit_seq, 3)]);
}
