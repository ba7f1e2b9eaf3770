//! Casts of text that Arrow reads otherwise than SQL: of a bare number it makes months, or
//! microseconds since midnight; TIMESTAMPs it reads with seconds only, and in zones.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::error::ArrowError;
use kalamdb_commons::ColumnType;

use super::assign::{convert, is_text};
use super::rounded::item_of;

/// Whether text of type `from` is read here on the way to `to`. Lists are if their items are.
pub fn reads_text(from: &DataType, to: &DataType) -> bool {
    is_text(item_of(from))
        && matches!(
            item_of(to),
            DataType::Interval(_)
                | DataType::Time64(TimeUnit::Microsecond)
                | DataType::Timestamp(..)
        )
}

/// The values that `texts` spell; with `safe` a text that spells none becomes NULL.
///
/// # Errors
/// Without `safe` the first text that spells no value of the type.
pub fn text_cast(texts: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef, ArrowError> {
    let target = ColumnType::from_arrow(&Field::new("", to.clone(), true))
        .map_err(|error| ArrowError::CastError(error.to_string()))?;
    let values = convert(texts, &target, safe)?;
    // Items of lists may be called otherwise.
    if values.data_type() == to { Ok(values) } else { cast(&values, to) }
}
