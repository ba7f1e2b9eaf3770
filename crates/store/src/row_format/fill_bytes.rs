//! What a column has in rows written before it was added, as bytes of a row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use kalamdb_commons::{ColumnDefinition, FillValue};

use super::{Place, RowLayout, Source, encode_rows, var_value};
use crate::{ByteRows, StoreError};

/// The bytes that would stand in the column's slot, or be its var value, had the column's fill
/// value been written; `None` when it has none: old rows have NULL.
///
/// # Errors
/// [`StoreError::Corrupt`] when the fill value is not one value of the column's type.
pub(crate) fn fill_bytes(column: &ColumnDefinition) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(fill) = &column.fill else { return Ok(None) };
    let damaged = |detail: String| {
        StoreError::corrupt("fill value", format!("of column \"{}\": {detail}", column.name))
    };
    let array = only_value(fill).map_err(|error| damaged(error.to_string()))?;
    let Some(array) = array else { return Err(damaged("it is not one value".to_owned())) };
    if array.is_null(0) {
        return Ok(None);
    }
    let layout = RowLayout::of_columns(0, vec![column.clone()]);
    let source =
        Source::new(&array, &column.column_type).map_err(|error| damaged(error.to_string()))?;
    let mut rows = ByteRows::new();
    encode_rows(&layout, &[source], 1, false, &mut rows)?;
    let (row, tuple) = (rows.get(0), &layout.tuple);
    let bytes = match tuple.places.first() {
        Some(Place::Fixed { at, width }) => row.get(*at..at + width.bytes()),
        Some(Place::Var { index }) => var_value(row, tuple.ends_at, tuple.var_at, *index),
        None => None,
    };
    Ok(bytes.map(<[u8]>::to_vec))
}

/// The one value of the stream, `None` when it holds anything else.
fn only_value(fill: &FillValue) -> Result<Option<ArrayRef>, ArrowError> {
    let mut batches = StreamReader::try_new(fill.as_ipc(), None)?;
    let (first, second) = (batches.next().transpose()?, batches.next().transpose()?);
    Ok(match (first, second) {
        (Some(batch), None) if (batch.num_rows(), batch.num_columns()) == (1, 1) => {
            Some(Arc::clone(batch.column(0)))
        }
        _ => None,
    })
}
