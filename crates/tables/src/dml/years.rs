//! The years that are stored: 1 to 9999. What lies beyond, clients cannot read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampSecondType,
};
use arrow::error::ArrowError;

/// 0001-01-01 in days from 1970-01-01.
const FIRST_DAY: i32 = -719_162;
/// 9999-12-31 in the same.
const LAST_DAY: i32 = 2_932_896;
const DAY_SECONDS: i64 = 86_400;

/// The dates or timestamps without those outside the years 1 to 9999: with `safe` they become
/// NULL, without it they are an error. Other values are as they were.
pub(super) fn checked(values: ArrayRef, safe: bool) -> Result<ArrayRef, ArrowError> {
    match values.data_type() {
        DataType::Date32 => within::<Date32Type>(&values, FIRST_DAY, LAST_DAY, safe),
        DataType::Timestamp(TimeUnit::Second, _) => {
            let (first, last) = moments(1);
            within::<TimestampSecondType>(&values, first, last, safe)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let (first, last) = moments(1_000);
            within::<TimestampMillisecondType>(&values, first, last, safe)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let (first, last) = moments(1_000_000);
            within::<TimestampMicrosecondType>(&values, first, last, safe)
        }
        // Nanoseconds end long before.
        _ => Ok(values),
    }
}

/// The first and the last moment, with so many units in a second.
fn moments(unit: i64) -> (i64, i64) {
    let first = i64::from(FIRST_DAY) * DAY_SECONDS * unit;
    let end = (i64::from(LAST_DAY) + 1) * DAY_SECONDS * unit;
    (first, end - 1)
}

fn within<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    first: T::Native,
    last: T::Native,
    safe: bool,
) -> Result<ArrayRef, ArrowError> {
    let array: &PrimitiveArray<T> = values.as_primitive();
    let beyond = |value: T::Native| value < first || value > last;
    // Without a branch, so that the processor compares several at a time.
    let none = !array.values().iter().fold(false, |found, value| found | beyond(*value));
    if none || !array.iter().flatten().any(beyond) {
        return Ok(Arc::clone(values));
    }
    if !safe {
        return Err(ArrowError::CastError(String::from(
            "it is out of range, dates have the years 1 to 9999",
        )));
    }
    let kept: PrimitiveArray<T> = array.unary_opt(|value| (!beyond(value)).then_some(value));
    Ok(Arc::new(kept.with_data_type(array.data_type().clone())))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn the_years_1_to_9999_are_kept_and_no_others() {
        let days: ArrayRef =
            Arc::new(Date32Array::from(vec![Some(FIRST_DAY), None, Some(LAST_DAY)]));
        assert_eq!(&checked(Arc::clone(&days), false).unwrap(), &days);
        for beyond in [FIRST_DAY - 1, LAST_DAY + 1] {
            let days: ArrayRef = Arc::new(Date32Array::from(vec![0, beyond]));
            assert!(checked(Arc::clone(&days), false).is_err());
            let kept = checked(days, true).unwrap();
            assert_eq!(kept.as_primitive::<Date32Type>(), &Date32Array::from(vec![Some(0), None]));
        }
    }

    #[test]
    fn moments_keep_their_zone() {
        let (first, last) = moments(1_000_000);
        let given = TimestampMicrosecondArray::from(vec![first, last, last + 1]);
        let given: ArrayRef = Arc::new(given.with_timezone("UTC"));
        let kept = checked(Arc::clone(&given), true).unwrap();
        assert_eq!(kept.data_type(), given.data_type());
        assert_eq!((kept.is_valid(1), kept.is_null(2)), (true, true));
    }
}
