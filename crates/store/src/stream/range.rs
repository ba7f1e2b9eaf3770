//! Conditions on the arrival of rows as ranges of keys.

use std::ops::Bound;

use super::Position;
use crate::scan::KeyRange;
use crate::{ReadView, TableLayout};

/// Which rows of a stream are asked for; every bound belongs to what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamBounds {
    /// Not before this time, µs since 1970.
    pub from_us: Option<i64>,
    /// Not after this time, µs since 1970.
    pub until_us: Option<i64>,
    /// No row id less than this.
    pub first_row_id: Option<i64>,
    /// No row id greater than this.
    pub last_row_id: Option<i64>,
}

/// The keys of a stream's rows within bounds, without the table's prefix. Exact as to time; as to
/// row ids some rows before the first and after the last may be among them. `None` when no row
/// can be.
pub fn stream_range(
    view: &ReadView,
    layout: &TableLayout,
    bounds: &StreamBounds,
) -> Option<KeyRange> {
    let definition = layout.definition();
    let options = definition.stream_options()?;
    if let (Some(first), Some(last)) = (bounds.first_row_id, bounds.last_row_id)
        && first > last
    {
        return None;
    }
    let streams = &view.store().database().streams;
    let of_time = |time_us: i64| Position::of_time(&options, time_us);
    let mut start = bounds.from_us.filter(|from_us| *from_us > 0).map(of_time);
    let mut end = None;
    if let Some(until_us) = bounds.until_us {
        if until_us < 0 {
            return None;
        }
        end = until_us.checked_add(1).map(of_time);
    }
    if let Some(first) = bounds.first_row_id
        && let Ok(first) = u64::try_from(first)
    {
        start = start.max(streams.piece_with(definition.id, first));
    }
    if let Some(last) = bounds.last_row_id {
        let last = u64::try_from(last).ok()?;
        if let Some(after) = streams.piece_after(definition.id, last) {
            end = Some(end.map_or(after, |end| end.min(after)));
        }
    }
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        return None;
    }
    let encode = |position: Position| position.encode().to_vec();
    Some(KeyRange {
        start: start.map_or(Bound::Unbounded, |start| Bound::Included(encode(start))),
        end: end.map_or(Bound::Unbounded, |end| Bound::Excluded(encode(end))),
    })
}
