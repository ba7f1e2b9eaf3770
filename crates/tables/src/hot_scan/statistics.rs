//! What is known about a scan's rows before it runs.

use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};

use super::{HotScanExec, Part};

/// Rows a filter is guessed to leave of 10: the share DataFusion assumes for a filter.
const FILTER_LEAVES_OF_TEN: usize = 2;
/// One range of a key is guessed to hold one of so many parts of the table.
const RANGE_SHARE: usize = 4;

/// Statistics of the whole scan (exact where the table's counters make them so), or of one of
/// its partitions (a share).
pub(super) fn of_scan(scan: &HotScanExec, one_partition: bool) -> Statistics {
    let mut rows = row_count(scan);
    if one_partition && scan.parts.len() > 1 {
        rows = match rows {
            Precision::Exact(rows) | Precision::Inexact(rows) => {
                Precision::Inexact(rows / scan.parts.len())
            }
            Precision::Absent => Precision::Absent,
        };
    } else if let (Some(fetch), 1) = (scan.fetch, scan.parts.len()) {
        rows = rows.min(&Precision::Exact(fetch));
    }
    let columns = scan
        .schema
        .fields()
        .iter()
        .map(|field| {
            let mut column = ColumnStatistics::new_unknown();
            if !field.is_nullable() {
                column.null_count = Precision::Exact(0);
            }
            column
        })
        .collect();
    Statistics { num_rows: rows, total_byte_size: Precision::Absent, column_statistics: columns }
}

fn row_count(scan: &HotScanExec) -> Precision<usize> {
    let counts = scan.rows.counts;
    let stored = if scan.rows.include_deleted {
        counts.live_rows + counts.tombstones
    } else {
        counts.live_rows
    };
    let Ok(stored) = usize::try_from(stored) else { return Precision::Absent };
    let filtered = !scan.filters.is_empty() || !scan.dynamic_filters.is_empty();
    let rows = match scan.parts.as_slice() {
        [Part::Keys(keys)] => Precision::Inexact(keys.len().min(stored)),
        [Part::Ranges(ranges)] if ranges.is_empty() => Precision::Exact(0),
        _ if scan.bounds.is_empty() => Precision::Exact(stored),
        _ => Precision::Inexact((stored / RANGE_SHARE).max(stored.min(1))),
    };
    match rows {
        Precision::Exact(rows) | Precision::Inexact(rows) if filtered => {
            Precision::Inexact((rows * FILTER_LEAVES_OF_TEN / 10).max(rows.min(1)))
        }
        other => other,
    }
}
