//! Fixed-width slots: gathered from a few rows, then spread over their columns.
//!
//! Copying the part of a row that holds its slots costs about as much as one value decoded by
//! itself; the loops that then go down the columns have nothing to decide or to check.

use super::columns::{Columns, FixedColumn, SlotValue};
use super::null_bit::NullBit;
use super::plan::{RowPlan, Slot};

/// Rows gathered before they are spread: their bytes stay in the fastest cache.
const STAGE_ROWS_MAX: usize = 64;

/// The slots of a few rows of one schema version, row after row.
#[derive(Debug, Default)]
pub(super) struct SlotStage {
    bytes: Vec<u8>,
    rows: usize,
    has_nulls: bool,
}

impl SlotStage {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.rows = 0;
        self.has_nulls = false;
    }

    /// Adds a row, at least as long as its plan says, and makes room when the stage is full.
    #[inline]
    pub(super) fn push(
        &mut self,
        plan: &RowPlan,
        row: &[u8],
        has_nulls: bool,
        columns: &mut Columns,
    ) {
        if plan.stage_span.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(&row[plan.stage_span.clone()]);
        self.has_nulls |= has_nulls;
        self.rows += 1;
        if self.rows == STAGE_ROWS_MAX {
            self.spread(plan, columns);
        }
    }

    /// Appends the slots of the gathered rows to their columns.
    pub(super) fn spread(&mut self, plan: &RowPlan, columns: &mut Columns) {
        if self.rows == 0 {
            return;
        }
        let rows = Gathered { bytes: &self.bytes, stride: plan.stage_span.len() };
        if self.has_nulls {
            spread_all::<true>(rows, plan, columns);
        } else {
            spread_all::<false>(rows, plan, columns);
        }
        self.clear();
    }
}

/// Rows of `stride` bytes.
#[derive(Clone, Copy)]
struct Gathered<'a> {
    bytes: &'a [u8],
    stride: usize,
}

fn spread_all<const NULLS: bool>(rows: Gathered<'_>, plan: &RowPlan, columns: &mut Columns) {
    spread::<u64, 8, NULLS>(rows, &plan.w8, &mut columns.w8);
    spread::<u32, 4, NULLS>(rows, &plan.w4, &mut columns.w4);
    spread::<u8, 1, NULLS>(rows, &plan.w1, &mut columns.w1);
    spread::<u16, 2, NULLS>(rows, &plan.w2, &mut columns.w2);
    spread::<i128, 16, NULLS>(rows, &plan.w16, &mut columns.w16);
}

fn spread<T: SlotValue<W>, const W: usize, const NULLS: bool>(
    rows: Gathered<'_>,
    slots: &[Slot],
    columns: &mut [FixedColumn<T>],
) {
    for slot in slots {
        let column = &mut columns[slot.column];
        if NULLS && slot.null.can_be_set() {
            column.note_nulls(rows.bytes.chunks_exact(rows.stride), slot.null);
        }
        // A NULL's slot is zeros: the value it has in the column.
        column.values.extend(rows.bytes.chunks_exact(rows.stride).map(|row| {
            let slot = row[slot.at..slot.at + W].first_chunk().copied();
            T::from_slot(slot.unwrap_or([0; W]))
        }));
    }
}

impl<T> FixedColumn<T> {
    /// Notes which of the rows about to be appended are NULL.
    fn note_nulls<'a>(&mut self, rows: impl Iterator<Item = &'a [u8]>, null: NullBit) {
        for (row, bytes) in (self.values.len() as u32..).zip(rows) {
            if null.is_set(bytes) {
                self.nulls.push(row);
            }
        }
    }
}
