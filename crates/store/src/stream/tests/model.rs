//! Streams against a plain list: whatever happens, and wherever the clock goes, the same rows.

use proptest::prelude::*;

use super::*;
use crate::{StreamBounds, stream_range, stream_rows};

#[derive(Debug, Clone)]
enum Step {
    Append {
        rows: usize,
    },
    Turn {
        by_us: i64,
    },
    Evict,
    Reopen,
    Look {
        reverse: bool,
        limit: Option<usize>,
        from_seconds_ago: Option<i64>,
        after: Option<i64>,
    },
    /// A view that is looked at again later.
    Keep,
    LookAgain,
}

fn step() -> impl Strategy<Value = Step> {
    let turn = prop_oneof![
        4 => 0..3 * SECOND_US,
        1 => Just(7 * SECOND_US),
        1 => -10 * SECOND_US..0,
    ];
    let look = (
        any::<bool>(),
        proptest::option::of(0..40_usize),
        proptest::option::of(0..15_i64),
        proptest::option::of(0..3000_i64),
    );
    prop_oneof![
        6 => prop_oneof![1..20_usize, Just(1500)].prop_map(|rows| Step::Append { rows }),
        5 => turn.prop_map(|by_us| Step::Turn { by_us }),
        2 => Just(Step::Evict),
        1 => Just(Step::Reopen),
        6 => look.prop_map(|(reverse, limit, from_seconds_ago, after)| Step::Look {
            reverse,
            limit,
            from_seconds_ago,
            after
        }),
        1 => Just(Step::Keep),
        2 => Just(Step::LookAgain),
    ]
}

struct Model {
    rows: Vec<Shown>,
    now_us: i64,
    ttl_us: i64,
    max_rows: Option<u64>,
}

impl Model {
    fn shown(&self) -> Vec<Shown> {
        let newest = self.max_rows.map_or(usize::MAX, |rows| rows as usize);
        let first = self.rows.len().saturating_sub(newest);
        let alive = |row: &&Shown| row.2 + self.ttl_us > self.now_us;
        self.rows[first..].iter().filter(alive).copied().collect()
    }
}

fn run(steps: Vec<Step>, ttl_seconds: u64, max_rows: Option<u64>) {
    let mut test = StreamStore::new();
    let table = stream(1, ttl_seconds, max_rows);
    let ttl_us = ttl_seconds as i64 * SECOND_US;
    let mut model = Model { rows: Vec::new(), now_us: START_US, ttl_us, max_rows };
    // From here on nothing is earlier.
    drop(test.view());
    let mut kept: Option<(Arc<ReadView>, Vec<Shown>)> = None;
    for step in steps {
        match step {
            Step::Append { rows } => {
                let first = model.rows.len() as i64;
                let ids = first..first + rows as i64;
                let receipt = test.append(&table, ids.clone());
                assert_eq!(receipt.updated_us, model.now_us);
                model.rows.extend(ids.map(|id| (id, id + 1, model.now_us)));
            }
            Step::Turn { by_us } => {
                test.clock.advance_us(by_us);
                // Somebody has to look for time to have been seen.
                drop(test.view());
                model.now_us = model.now_us.max(test.clock.now_us());
            }
            Step::Evict => test.housekeeping().round(false).unwrap(),
            Step::Reopen => {
                kept = None;
                test = test.reopen();
            }
            Step::Look { reverse, limit, from_seconds_ago, after } => {
                let from_us = from_seconds_ago.map(|ago| model.now_us - ago * SECOND_US);
                let view = test.view();
                let rows = stream_rows(&view, &table).unwrap();
                assert_eq!(rows, Some(model.shown().len() as u64));
                let bounds = StreamBounds { from_us, first_row_id: after, ..Default::default() };
                let ranges = stream_range(&view, &table, &bounds).unwrap();
                let mut wanted = model.shown();
                wanted.retain(|row| from_us.is_none_or(|from_us| row.2 >= from_us));
                let mut found;
                if let Some(after) = after {
                    found = read(&view, ScanSpec { ranges, reverse, ..spec(&table) });
                    found.retain(|row| row.1 >= after);
                    wanted.retain(|row| row.1 >= after);
                    found.truncate(limit.unwrap_or(usize::MAX));
                } else {
                    found = read(&view, ScanSpec { ranges, reverse, limit, ..spec(&table) });
                }
                if reverse {
                    wanted.reverse();
                }
                wanted.truncate(limit.unwrap_or(usize::MAX));
                assert_eq!(found, wanted);
            }
            Step::Keep => kept = Some((test.view(), model.shown())),
            Step::LookAgain => {
                if let Some((view, shown)) = &kept {
                    let rows = stream_rows(view, &table).unwrap();
                    assert_eq!(rows, Some(shown.len() as u64));
                    assert_eq!(&read(view, spec(&table)), shown);
                }
            }
        }
    }
    assert_eq!(read(&test.view(), spec(&table)), model.shown());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_stream_is_the_end_of_a_list(
        steps in proptest::collection::vec(step(), 1..60),
        ttl_seconds in prop_oneof![1..12_u64, Just(30)],
        max_rows in prop_oneof![Just(None), (1..50_u64).prop_map(Some), Just(Some(2000))],
    ) {
        run(steps, ttl_seconds, max_rows);
    }
}
