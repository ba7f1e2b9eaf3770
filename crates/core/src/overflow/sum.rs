//! `sum` of integers and of DECIMALs, exact or an error.
//!
//! The values are added up in a type twice as wide, which no table has rows enough to fill, and
//! only the result is brought to the type that `sum` has: the order of rows and the way they are
//! divided among threads decide nothing.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, PrimitiveArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type,
    DecimalType, Field, FieldRef, Int64Type, UInt64Type,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature,
};

/// What values are added up in whose sum is of this type; `None` where sums cannot overflow.
fn wide_type(narrow: &DataType) -> Option<DataType> {
    match narrow {
        integer if integer.is_integer() => Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)),
        // A sum has ten digits more than what is added; with fewer than 38 they are enough.
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale) => {
            Some(DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale))
        }
        _ => None,
    }
}

/// Takes the place of the engine's own `sum`.
pub(crate) fn checked_sum() -> AggregateUDF {
    AggregateUDF::new_from_impl(CheckedSum { inner: Sum::new() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    inner: Sum,
}

/// The types to add up in and of the result, when they differ, and the arguments for a sum in the
/// wide type.
fn widened(args: AccumulatorArgs<'_>) -> (Option<Types>, AccumulatorArgs<'_>) {
    let narrow = args.return_field.data_type().clone();
    let Some(wide) = wide_type(&narrow) else { return (None, args) };
    let return_field = Arc::new(Field::new(args.name, wide.clone(), true));
    (Some(Types { wide, narrow }), AccumulatorArgs { return_field, ..args })
}

struct Types {
    /// What is added up in.
    wide: DataType,
    /// That of the result.
    narrow: DataType,
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (types, args) = widened(args);
        let inner = self.inner.accumulator(args)?;
        Ok(match types {
            Some(types) => Box::new(WideSum { inner, types }),
            None => inner,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let Some(wide) = wide_type(args.return_type()) else {
            return self.inner.state_fields(args);
        };
        let return_field = Arc::new(Field::new(args.name, wide, true));
        self.inner.state_fields(StateFieldsArgs { return_field, ..args })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let (types, args) = widened(args);
        let inner = self.inner.create_groups_accumulator(args)?;
        Ok(match types {
            Some(types) => Box::new(WideSums { inner, types }),
            None => inner,
        })
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            // The engine has this one for 64 bits only.
            return self.inner.create_sliding_accumulator(args);
        }
        let (types, args) = widened(args);
        let inner = self.inner.create_sliding_accumulator(args)?;
        Ok(match types {
            Some(types) => Box::new(WideSum { inner, types }),
            None => inner,
        })
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_expr()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.set_monotonicity(data_type)
    }
}

/// One sum.
struct WideSum {
    /// Of the wide type.
    inner: Box<dyn Accumulator>,
    types: Types,
}

impl fmt::Debug for WideSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WideSum({})", self.types.narrow)
    }
}

impl Accumulator for WideSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&self.types.all_wide(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.inner.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&self.types.narrowed(&sum)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&self.types.all_wide(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

/// One sum for each group.
struct WideSums {
    /// Of the wide type.
    inner: Box<dyn GroupsAccumulator>,
    types: Types,
}

impl GroupsAccumulator for WideSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(
            &self.types.all_wide(values)?,
            group_indices,
            opt_filter,
            total_num_groups,
        )
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.types.narrowed(&self.inner.evaluate(emit_to)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&self.types.all_wide(values)?, opt_filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}

impl Types {
    fn all_wide(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        values.iter().map(|values| self.wide(values)).collect()
    }

    fn wide(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let wide: Decimal128Array = match values.data_type() {
            DataType::Int64 => values.as_primitive::<Int64Type>().unary(i128::from),
            DataType::UInt64 => values.as_primitive::<UInt64Type>().unary(i128::from),
            _ => return Ok(cast(values, &self.wide)?),
        };
        Ok(Arc::new(wide.with_data_type(self.wide.clone())))
    }

    fn narrowed(&self, sums: &ArrayRef) -> Result<ArrayRef> {
        match &self.narrow {
            DataType::Int64 => fitting::<Int64Type>(sums.as_primitive(), "BIGINT"),
            DataType::UInt64 => fitting::<UInt64Type>(sums.as_primitive(), "BIGINT UNSIGNED"),
            DataType::Decimal128(precision, scale) => {
                let sums = sums.as_primitive::<Decimal256Type>();
                let fitting: Decimal128Array = sums.try_unary(|sum| {
                    let fitting = sum.to_i128().filter(|sum| {
                        Decimal128Type::validate_decimal_precision(*sum, *precision, *scale).is_ok()
                    });
                    fitting.ok_or_else(|| {
                        let sum =
                            Decimal256Type::format_decimal(sum, DECIMAL256_MAX_PRECISION, *scale);
                        ArrowError::ArithmeticOverflow(format!(
                            "the sum {sum} is out of range of DECIMAL({precision}, {scale}), cast \
                             what is added to DOUBLE"
                        ))
                    })
                })?;
                Ok(Arc::new(fitting.with_precision_and_scale(*precision, *scale)?))
            }
            other => Err(DataFusionError::Internal(format!("a sum is no {other}"))),
        }
    }
}

fn fitting<T>(sums: &Decimal128Array, name: &str) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType<Native: TryFrom<i128>>,
{
    let fitting: PrimitiveArray<T> = sums.try_unary(|sum| {
        T::Native::try_from(sum).map_err(|_| {
            ArrowError::ArithmeticOverflow(format!(
                "the sum {sum} is out of range of {name}, cast what is added to DECIMAL"
            ))
        })
    })?;
    Ok(Arc::new(fitting))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, UInt64Array};

    use super::*;

    fn sum_of(batches: &[ArrayRef]) -> Result<ScalarValue> {
        let data_type = batches[0].data_type().clone();
        let field: FieldRef = Arc::new(Field::new("v", data_type, true));
        let schema = arrow::datatypes::Schema::new(vec![Arc::clone(&field)]);
        let args = || AccumulatorArgs {
            return_field: Arc::clone(&field),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "sum(v)",
            is_distinct: false,
            exprs: &[],
            expr_fields: std::slice::from_ref(&field),
        };
        let sum = checked_sum();
        // As two threads do it: each adds up what it has, the states are merged.
        let mut merged = sum.accumulator(args())?;
        for batch in batches {
            let mut partial = sum.accumulator(args())?;
            partial.update_batch(std::slice::from_ref(batch))?;
            let states = partial.state()?;
            let states: Vec<_> = states.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
            merged.merge_batch(&states)?;
        }
        let alone = merged.evaluate();
        let mut groups = sum.create_groups_accumulator(args())?;
        for batch in batches {
            groups.update_batch(std::slice::from_ref(batch), &vec![0; batch.len()], None, 1)?;
        }
        let grouped = groups.evaluate(EmitTo::All);
        match (alone, grouped) {
            (Ok(alone), Ok(grouped)) => {
                assert_eq!(ScalarValue::try_from_array(&grouped, 0)?, alone);
                Ok(alone)
            }
            (Err(error), Err(_)) => Err(error),
            (alone, grouped) => panic!("{alone:?} {grouped:?}"),
        }
    }

    fn longs(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    #[test]
    fn a_sum_is_exact_or_an_error() {
        let max = Some(i64::MAX);
        let sum = sum_of(&[longs(&[max, Some(1)]), longs(&[None, Some(-2)])]).unwrap();
        assert_eq!(sum, ScalarValue::Int64(Some(i64::MAX - 1)), "what comes between may be larger");
        let error = sum_of(&[longs(&[max, None]), longs(&[Some(1)])]).unwrap_err().to_string();
        assert!(error.contains("9223372036854775808"), "{error}");
        let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
        let sum = sum_of(std::slice::from_ref(&unsigned)).unwrap();
        assert_eq!(sum, ScalarValue::UInt64(Some(u64::MAX)));
        sum_of(&[Arc::clone(&unsigned), unsigned]).unwrap_err();
    }

    #[test]
    fn a_sum_of_decimals_is_exact_or_an_error() {
        let decimals = |values: &[i128]| -> ArrayRef {
            let array = Decimal128Array::from(values.to_vec());
            Arc::new(array.with_precision_and_scale(38, 2).unwrap())
        };
        let most = 10_i128.pow(38) - 1;
        let sum = sum_of(&[decimals(&[most, most, -most]), decimals(&[-most, 7])]).unwrap();
        assert_eq!(
            sum,
            ScalarValue::Decimal128(Some(7), 38, 2),
            "what comes between may be larger"
        );
        let error = sum_of(&[decimals(&[most, 1]), decimals(&[])]).unwrap_err().to_string();
        assert!(error.contains("1000000000000000000000000000000000000.00"), "{error}");
    }

    #[test]
    fn a_sum_of_nothing_is_null() {
        assert_eq!(sum_of(&[longs(&[None])]).unwrap(), ScalarValue::Int64(None));
    }
}
