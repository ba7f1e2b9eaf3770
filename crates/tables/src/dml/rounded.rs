//! Numbers with a fraction as integers: rounded, never cut off.
//!
//! A DECIMAL that is half-way goes away from zero, a DOUBLE to the even neighbour, as in
//! PostgreSQL. Arrow's own conversion drops what stands after the point.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, ListArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Float64Type};
use arrow::error::ArrowError;

/// Whether values of type `from` lose a fraction on the way to `to`. Lists do if their items do.
pub fn loses_fraction(from: &DataType, to: &DataType) -> bool {
    let source = item_of(from);
    (source.is_floating() || source.is_decimal()) && item_of(to).is_integer()
}

/// The type of the values in lists of any depth; another type is itself.
pub fn item_of(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) | DataType::FixedSizeList(item, _) => item_of(item.data_type()),
        other => other,
    }
}

/// The values rounded and cast to `to`, a type of integers or of lists of them.
///
/// # Errors
/// As Arrow's cast: values out of range, unless `options` make NULLs of these.
pub fn rounded_cast(
    values: &ArrayRef,
    to: &DataType,
    options: &CastOptions<'_>,
) -> Result<ArrayRef, ArrowError> {
    cast_with_options(&whole(values, options)?, to, options)
}

/// The values without their fractions, in types that hold them all.
fn whole(values: &ArrayRef, options: &CastOptions<'_>) -> Result<ArrayRef, ArrowError> {
    match values.data_type() {
        DataType::List(_) => {
            let (item, offsets, items, nulls) = values.as_list::<i32>().clone().into_parts();
            let items = whole(&items, options)?;
            let item = Arc::new(item.as_ref().clone().with_data_type(items.data_type().clone()));
            Ok(Arc::new(ListArray::try_new(item, offsets, items, nulls)?))
        }
        DataType::FixedSizeList(item, length) => {
            let lists = values.as_fixed_size_list();
            let items = whole(lists.values(), options)?;
            let item = Arc::new(item.as_ref().clone().with_data_type(items.data_type().clone()));
            let nulls = lists.nulls().cloned();
            Ok(Arc::new(FixedSizeListArray::try_new(item, *length, items, nulls)?))
        }
        from if from.is_floating() => {
            let wide = cast(values, &DataType::Float64)?;
            let rounded: Float64Array =
                wide.as_primitive::<Float64Type>().unary(f64::round_ties_even);
            Ok(Arc::new(rounded))
        }
        from if from.is_decimal() => {
            // No wider: Arrow takes the low 64 bits of a 256-bit number for the whole of it.
            cast_with_options(values, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0), options)
        }
        _ => Ok(Arc::clone(values)),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Decimal256Array, Float32Array};
    use arrow::datatypes::{Field, Int32Type, Int64Type, UInt8Type, i256};

    use super::*;

    const STRICT: CastOptions<'static> =
        CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

    #[test]
    fn half_way_a_double_goes_to_the_even_and_a_decimal_away_from_zero() {
        let doubles: ArrayRef =
            Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5, -2.5, 2.7, -1.5, -0.4]));
        let ints = rounded_cast(&doubles, &DataType::Int32, &STRICT).unwrap();
        assert_eq!(ints.as_primitive::<Int32Type>().values(), &[0, 2, 2, -2, 3, -2, 0]);
        let reals: ArrayRef = Arc::new(Float32Array::from(vec![2.5, 254.7, -0.4]));
        let ints = rounded_cast(&reals, &DataType::UInt8, &STRICT).unwrap();
        assert_eq!(ints.as_primitive::<UInt8Type>().values(), &[2, 255, 0]);
        let decimals: ArrayRef = Arc::new(
            Decimal128Array::from(vec![5, 25, -25, 24, -4])
                .with_precision_and_scale(38, 1)
                .unwrap(),
        );
        let ints = rounded_cast(&decimals, &DataType::Int64, &STRICT).unwrap();
        assert_eq!(ints.as_primitive::<Int64Type>().values(), &[1, 3, -3, 2, 0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_or_null() {
        let values: ArrayRef =
            Arc::new(Float64Array::from(vec![2_147_483_647.4, 2_147_483_647.5, f64::NAN]));
        let safe = CastOptions { safe: true, ..STRICT };
        let ints = rounded_cast(&values, &DataType::Int32, &safe).unwrap();
        let ints: Vec<_> = ints.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(ints, [Some(i32::MAX), None, None]);
        for row in 1..3 {
            assert!(rounded_cast(&values.slice(row, 1), &DataType::Int32, &STRICT).is_err());
        }
        let beyond = 99_999_999_999_999_999_999_i128;
        let narrow = Decimal128Array::from(vec![beyond]).with_precision_and_scale(38, 0).unwrap();
        let wide = Decimal256Array::from(vec![i256::from_i128(beyond)]);
        let wide = wide.with_precision_and_scale(76, 0).unwrap();
        let wider = Decimal256Array::from(vec![i256::MAX]).with_precision_and_scale(76, 0).unwrap();
        let arrays: [ArrayRef; 3] = [Arc::new(narrow), Arc::new(wide), Arc::new(wider)];
        for values in arrays {
            for to in [DataType::Int64, DataType::UInt64, DataType::Int8] {
                assert!(rounded_cast(&values, &to, &STRICT).is_err());
                assert!(rounded_cast(&values, &to, &safe).unwrap().is_null(0));
            }
        }
    }

    #[test]
    fn items_of_lists_are_rounded_too() {
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
            Some(vec![Some(1.5), None, Some(-0.7)]),
            None,
        ]));
        let to = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
        assert!(loses_fraction(lists.data_type(), &to));
        let ints = rounded_cast(&lists, &to, &STRICT).unwrap();
        let ints = ints.as_list::<i32>();
        let items: Vec<_> = ints.value(0).as_primitive::<Int32Type>().iter().collect();
        assert_eq!((items, ints.is_null(1)), (vec![Some(2), None, Some(-1)], true));
    }

    #[test]
    fn only_fractions_are_concerned() {
        let decimal = DataType::Decimal128(10, 2);
        assert!(loses_fraction(&decimal, &DataType::UInt64));
        assert!(loses_fraction(&DataType::Float32, &DataType::Int8));
        assert!(!loses_fraction(&DataType::Int64, &DataType::Int32));
        assert!(!loses_fraction(&DataType::Utf8, &DataType::Int32));
        assert!(!loses_fraction(&DataType::Float64, &decimal));
    }
}
