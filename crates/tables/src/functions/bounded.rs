//! The functions that make long values of short ones, with a bound on what they make.
//!
//! The query engine's own ones fill any length they are asked for, in one call that nothing can
//! interrupt: a few of them take all memory.

use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::{string, unicode};
use datafusion::functions_nested::range::{gen_series_udf, range_udf};
use datafusion::functions_nested::repeat::array_repeat_udf;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Bytes of all values one call may make.
const CALL_BYTES_MAX: u64 = 64 << 20;
/// Bytes an item of an array takes at least, its place included.
const ITEM_BYTES: u64 = 8;

/// The bounded functions; they take the place of the engine's own.
pub(super) fn functions() -> [ScalarUDF; 6] {
    let bounded = |inner, growth| ScalarUDF::new_from_impl(Bounded { inner, growth });
    [
        bounded(string::repeat(), Growth::Times),
        bounded(unicode::lpad(), Growth::Characters),
        bounded(unicode::rpad(), Growth::Characters),
        bounded(array_repeat_udf(), Growth::Items),
        bounded(range_udf(), Growth::Steps),
        bounded(gen_series_udf(), Growth::Steps),
    ]
}

/// How long a value becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// The first argument as often as the second says.
    Times,
    /// As many characters as the second argument says.
    Characters,
    /// As many items as the second argument says.
    Items,
    /// Numbers from the first argument to the second, by the third.
    Steps,
}

impl Growth {
    /// Bytes of the value made of these arguments; `None` when they are not what it counts by.
    fn bytes(
        self,
        first: &ScalarValue,
        second: &ScalarValue,
        third: Option<&ScalarValue>,
    ) -> Option<u64> {
        let end = whole(second)?;
        let count = u64::try_from(end).unwrap_or_default();
        Some(match self {
            Self::Times => count.saturating_mul(first.try_as_str()??.len() as u64),
            Self::Characters => count,
            Self::Items => count.saturating_mul(ITEM_BYTES.max(first.size() as u64)),
            Self::Steps => {
                let step = third.and_then(|third| step_of(first, third));
                let step = step.unwrap_or(1).unsigned_abs().max(1);
                (whole(first)?.abs_diff(end) / step).saturating_mul(ITEM_BYTES)
            }
        })
    }
}

/// The step in the unit of what is counted; of months their days at least.
fn step_of(first: &ScalarValue, step: &ScalarValue) -> Option<i64> {
    let ScalarValue::IntervalMonthDayNano(Some(step)) = step else { return whole(step) };
    let days = i64::from(step.months).saturating_mul(28).saturating_add(i64::from(step.days));
    let nanos = days.saturating_mul(86_400_000_000_000).saturating_add(step.nanoseconds);
    let unit = match first.data_type() {
        DataType::Date32 => 86_400_000_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    };
    Some(nanos / unit)
}

fn whole(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(value) => value,
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    /// What a series of such values is counted in: of dates, too, it is one of timestamps.
    fn counted_in(&self, of: &DataType) -> Option<DataType> {
        let nanoseconds = |zone| Some(DataType::Timestamp(TimeUnit::Nanosecond, zone));
        match of {
            _ if self.growth != Growth::Steps => None,
            DataType::Date32 => nanoseconds(None),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => None,
            DataType::Timestamp(_, zone) => nanoseconds(zone.clone()),
            _ => None,
        }
    }

    fn counted_field(&self, field: &FieldRef) -> FieldRef {
        match self.counted_in(field.data_type()) {
            Some(wanted) => Arc::new(field.as_ref().clone().with_data_type(wanted)),
            None => Arc::clone(field),
        }
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let [first, second, rest @ ..] = args.args.as_slice() else {
            // `range(n)` counts from 0.
            let [end] = args.args.as_slice() else { return Ok(()) };
            return self.check_rows(
                args,
                &ColumnarValue::from(ScalarValue::from(0_i64)),
                end,
                None,
            );
        };
        self.check_rows(args, first, second, rest.first())
    }

    fn check_rows(
        &self,
        args: &ScalarFunctionArgs,
        first: &ColumnarValue,
        second: &ColumnarValue,
        third: Option<&ColumnarValue>,
    ) -> Result<()> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut bytes = 0_u64;
        for row in 0..rows {
            let third = third.map(|third| at(third, row)).transpose()?;
            let made = self.growth.bytes(&at(first, row)?, &at(second, row)?, third.as_ref());
            bytes = bytes.saturating_add(made.unwrap_or_default());
        }
        if bytes <= CALL_BYTES_MAX {
            return Ok(());
        }
        Err(DataFusionError::ResourcesExhausted(format!(
            "{} would make {bytes} bytes at once, more than {CALL_BYTES_MAX}, ask for less",
            self.inner.name()
        )))
    }
}

/// The engine would take times that nanoseconds cannot tell for NULL.
fn in_nanoseconds(times: &ColumnarValue, wanted: &DataType) -> Result<ColumnarValue> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, None);
    let days = times.data_type() == DataType::Date32;
    let times = if days { &times.cast_to(&microseconds, Some(&options))? } else { times };
    times
        .cast_to(wanted, Some(&options))
        .map_err(|_| ArrowError::ComputeError(String::from("Timestamp out of range")).into())
}

fn at(values: &ColumnarValue, row: usize) -> Result<ScalarValue> {
    match values {
        ColumnarValue::Scalar(value) => Ok(value.clone()),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let types = arg_types.iter().map(|of| self.counted_in(of).unwrap_or_else(|| of.clone()));
        self.inner.return_type(&types.collect::<Vec<_>>())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let fields: Vec<FieldRef> =
            args.arg_fields.iter().map(|field| self.counted_field(field)).collect();
        self.inner.return_field_from_args(ReturnFieldArgs { arg_fields: &fields, ..args })
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        for (arg, field) in args.args.iter_mut().zip(&mut args.arg_fields) {
            if let Some(wanted) = self.counted_in(&arg.data_type()) {
                *arg = in_nanoseconds(arg, &wanted)?;
                *field = self.counted_field(field);
            }
        }
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }
}
