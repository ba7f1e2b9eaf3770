//! Where each column stands in a row: computed once for every schema version of a table.

use std::collections::HashMap;

use kalamdb_commons::{ColumnDefinition, ColumnId, ColumnType, TableDefinition};

use super::{END_BYTES, HEADER_BYTES, Width, fixed_width};

/// Where a value stands within a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the slot at this offset.
    Fixed {
        /// Bytes from the start of the row (or of the STRUCT's bytes).
        at: usize,
        /// Its bytes.
        width: Width,
    },
    /// The var value of this number.
    Var {
        /// From 0.
        index: usize,
    },
}

/// The places of the values of a row or of a STRUCT. Offsets count from the start of the row, or
/// of the STRUCT's bytes.
#[derive(Debug, Clone)]
pub(crate) struct TupleLayout {
    /// Where the null bitmap starts.
    pub(crate) nulls_at: usize,
    /// One place a value; the value's position is its bit in the null bitmap.
    pub(crate) places: Vec<Place>,
    /// Where the ends of the var values start.
    pub(crate) ends_at: usize,
    /// Where the var values start: no tuple is shorter.
    pub(crate) var_at: usize,
}

impl TupleLayout {
    /// The layout of values of these types behind `nulls_at` bytes of something else.
    pub(crate) fn new<'a>(
        nulls_at: usize,
        types: impl ExactSizeIterator<Item = &'a ColumnType>,
    ) -> Self {
        let mut at = nulls_at + types.len().div_ceil(8);
        let mut var_count = 0;
        let places = types
            .map(|column_type| match fixed_width(column_type) {
                Some(width) => {
                    at += width.bytes();
                    Place::Fixed { at: at - width.bytes(), width }
                }
                None => {
                    var_count += 1;
                    Place::Var { index: var_count - 1 }
                }
            })
            .collect();
        Self { nulls_at, places, ends_at: at, var_at: at + var_count * END_BYTES }
    }
}

/// Var value `index` of a tuple, or `None` when the tuple is cut off or its ends are damaged.
#[inline]
pub(crate) fn var_value(
    tuple: &[u8],
    ends_at: usize,
    var_at: usize,
    index: usize,
) -> Option<&[u8]> {
    let end_at = ends_at + index * END_BYTES;
    let start = match index {
        0 => 0,
        _ => read_end(tuple, end_at - END_BYTES)?,
    };
    tuple.get(var_at + start..var_at + read_end(tuple, end_at)?)
}

#[inline]
fn read_end(tuple: &[u8], at: usize) -> Option<usize> {
    let bytes = tuple.get(at..at + END_BYTES)?;
    Some(u32::from_le_bytes(*bytes.first_chunk()?) as usize)
}

/// The layout of the rows written with one schema version.
#[derive(Debug, Clone)]
pub(crate) struct RowLayout {
    /// The version.
    pub(crate) schema_version: u32,
    /// The columns outside the key, in the order of their ids.
    pub(crate) columns: Vec<ColumnDefinition>,
    /// Their places in a row.
    pub(crate) tuple: TupleLayout,
    positions: HashMap<ColumnId, usize>,
}

impl RowLayout {
    /// The layout that follows from one version of a table.
    pub(crate) fn new(definition: &TableDefinition) -> Self {
        let mut columns: Vec<ColumnDefinition> = definition
            .columns
            .iter()
            .filter(|column| !definition.primary_key.contains(&column.id))
            .cloned()
            .collect();
        columns.sort_by_key(|column| column.id);
        Self::of_columns(definition.schema_version, columns)
    }

    /// The layout of rows with these columns outside the key, which are in the order of their ids.
    pub(super) fn of_columns(schema_version: u32, columns: Vec<ColumnDefinition>) -> Self {
        let types: Vec<&ColumnType> = columns.iter().map(|column| &column.column_type).collect();
        let tuple = TupleLayout::new(HEADER_BYTES, types.into_iter());
        let positions = columns.iter().enumerate().map(|(i, column)| (column.id, i)).collect();
        Self { schema_version, columns, tuple, positions }
    }

    /// The position of a column among the columns of the row; `None` when rows of this version
    /// do not have it.
    pub(crate) fn position(&self, id: ColumnId) -> Option<usize> {
        self.positions.get(&id).copied()
    }
}
