//! Fill values: what added columns have in the rows there are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use kalamdb_commons::{ColumnType, FillValue};

use crate::error::SqlError;

/// The name of the stream's only column.
const COLUMN: &str = "fill";

/// An array of one value as the fill value of a column; NULL is `None`.
///
/// # Errors
/// [`SqlError::Invalid`] when the array cannot be written, or does not hold one value.
pub fn fill_value(array: &ArrayRef) -> Result<Option<FillValue>, SqlError> {
    if array.len() != 1 {
        return Err(SqlError::invalid(format!("a default is one value, not {}", array.len())));
    }
    if array.is_null(0) {
        return Ok(None);
    }
    let stream = written(array).map_err(|error| {
        SqlError::invalid(format!("the value of the default cannot be kept: {error}"))
    })?;
    Ok(Some(FillValue::from_ipc(stream)))
}

fn written(array: &ArrayRef) -> Result<Vec<u8>, ArrowError> {
    let field = Field::new(COLUMN, array.data_type().clone(), false);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(array)])?;
    let mut stream = StreamWriter::try_new(Vec::new(), &schema)?;
    stream.write(&batch)?;
    stream.into_inner()
}

/// The same value in a wider type.
pub(super) fn widened(fill: &FillValue, wider: &ColumnType) -> Result<FillValue, SqlError> {
    let damaged = |reason: String| SqlError::DamagedCatalog { reason };
    let read = |fill: &FillValue| -> Result<ArrayRef, ArrowError> {
        let batch = StreamReader::try_new(fill.as_ipc(), None)?.next().transpose()?;
        let column = batch.as_ref().and_then(|batch| batch.columns().first());
        let missing = || ArrowError::IpcError("it holds no value".to_owned());
        cast(column.ok_or_else(missing)?, &wider.to_arrow())
    };
    let array = read(fill).map_err(|error| damaged(format!("a fill value: {error}")))?;
    fill_value(&array)?.ok_or_else(|| damaged("a fill value is NULL".to_owned()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn read(fill: &FillValue) -> ArrayRef {
        let batch = StreamReader::try_new(fill.as_ipc(), None).unwrap().next().unwrap().unwrap();
        Arc::clone(batch.column(0))
    }

    #[test]
    fn a_fill_value_reads_back_as_it_was() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["ä 表"]));
        let fill = fill_value(&text).unwrap().unwrap();
        assert_eq!(&read(&fill), &text);
    }

    #[test]
    fn null_is_no_fill_value() {
        let null: ArrayRef = Arc::new(Int32Array::from(vec![None]));
        assert_eq!(fill_value(&null).unwrap(), None);
        let two: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        assert!(fill_value(&two).is_err());
    }

    #[test]
    fn a_widened_fill_value_has_the_wider_type() {
        let number: ArrayRef = Arc::new(Int32Array::from(vec![-7]));
        let fill = fill_value(&number).unwrap().unwrap();
        let wide = read(&widened(&fill, &ColumnType::Int64).unwrap());
        assert_eq!(wide.as_primitive::<Int64Type>(), &Int64Array::from(vec![-7]));
        let text = FillValue::from_ipc(vec![1, 2, 3]);
        assert!(widened(&text, &ColumnType::Int64).is_err());
    }
}
