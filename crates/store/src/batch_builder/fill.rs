//! One row into the columns that are filled row by row: from its key, its var values, and what
//! shows it as a whole.

use super::columns::{Columns, Fault, FixedColumn, SlotValue, VarColumn};
use super::plan::{KeyTarget, Projection, RowPlan};
use crate::key_codec::{KeyOrder, append_unescaped, take};
use crate::row_format::{FLAG_DELETED, FLAGS_AT, Width, var_value};

impl Projection {
    /// Fills the columns that show the row as a whole; returns the bytes of their values.
    pub(super) fn fill_whole(
        &self,
        columns: &mut Columns,
        key: &[u8],
        value: &[u8],
    ) -> Result<usize, Fault> {
        let mut var_bytes = 0;
        if let Some(column) = self.deleted {
            columns.w1[column].values.push(value[FLAGS_AT] & FLAG_DELETED);
        }
        if let Some(column) = self.location {
            columns.var[column].push(key)?;
            var_bytes += key.len();
        }
        if let Some(column) = self.image {
            columns.var[column].push(value)?;
            var_bytes += value.len();
        }
        Ok(var_bytes)
    }
}

/// Fills the key columns; returns the bytes of their var values.
#[inline]
pub(super) fn fill_from_key(
    projection: &Projection,
    columns: &mut Columns,
    mut rest: &[u8],
) -> Result<usize, Fault> {
    let mut var_bytes = 0;
    for step in &projection.key_steps {
        let filled = match step.target {
            KeyTarget::Fixed(order, Width::W8, column) => {
                key_slot::<u64, 8>(&mut columns.w8[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W4, column) => {
                key_slot::<u32, 4>(&mut columns.w4[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W16, column) => {
                key_slot::<i128, 16>(&mut columns.w16[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W2, column) => {
                key_slot::<u16, 2>(&mut columns.w2[column], order, &mut rest)
            }
            KeyTarget::Fixed(order, Width::W1, column) => {
                key_slot::<u8, 1>(&mut columns.w1[column], order, &mut rest)
            }
            KeyTarget::Escaped(column) => {
                let column = &mut columns.var[column];
                let before = column.bytes.len();
                let filled = append_unescaped(&mut rest, &mut column.bytes);
                var_bytes += column.bytes.len() - before;
                column.finish_value()?;
                filled
            }
            KeyTarget::Skip => step.part.skip(&mut rest),
        };
        filled.ok_or(Fault::Key)?;
    }
    if projection.whole_key && !rest.is_empty() {
        return Err(Fault::Key);
    }
    Ok(var_bytes)
}

#[inline]
fn key_slot<T: SlotValue<W>, const W: usize>(
    column: &mut FixedColumn<T>,
    order: KeyOrder,
    rest: &mut &[u8],
) -> Option<()> {
    column.values.push(T::from_key(order, take::<W>(rest)?));
    Some(())
}

/// Fills the text and bytes columns; returns the bytes of their values.
#[inline]
pub(super) fn fill_var<const NULLS: bool>(
    plan: &RowPlan,
    columns: &mut [VarColumn],
    value: &[u8],
) -> Result<usize, Fault> {
    let (ends, _) = value.get(plan.ends_at..plan.var_at).ok_or(Fault::Row)?.as_chunks();
    let vars = value.get(plan.var_at..).ok_or(Fault::Row)?;
    let end_of = |index: usize| ends.get(index).map(|end| u32::from_le_bytes(*end) as usize);
    let mut var_bytes = 0;
    // Where the value read last ends: mostly where the next one starts.
    let (mut next, mut start) = (0, 0);
    for slot in &plan.var {
        let column = columns.get_mut(slot.column).ok_or(Fault::Row)?;
        start = match slot.index {
            0 => 0,
            index if index == next => start,
            index => end_of(index - 1).ok_or(Fault::Row)?,
        };
        let end = end_of(slot.index).ok_or(Fault::Row)?;
        if NULLS && slot.null.is_set(value) {
            column.push_null();
        } else {
            column.push_part(vars, start, end)?;
            var_bytes += end - start;
        }
        (next, start) = (slot.index + 1, end);
    }
    Ok(var_bytes)
}

/// Fills the columns few tables have; returns the bytes of their values.
pub(super) fn fill_rare<const NULLS: bool>(
    plan: &RowPlan,
    columns: &mut Columns,
    value: &[u8],
) -> Result<usize, Fault> {
    let mut var_bytes = 0;
    for slot in &plan.nested {
        let column = &mut columns.nested[slot.column];
        if NULLS && slot.null.is_set(value) {
            column.push_null();
            continue;
        }
        let bytes = var_value(value, plan.ends_at, plan.var_at, slot.index).ok_or(Fault::Row)?;
        column.push(bytes)?;
        var_bytes += bytes.len();
    }
    for step in &plan.widened {
        if NULLS && step.null.is_set(value) {
            columns.push_null(step.target);
        } else {
            step.append(columns, value)?;
        }
    }
    Ok(var_bytes)
}
