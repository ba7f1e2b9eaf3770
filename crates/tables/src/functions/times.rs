//! Functions of time over all years a TIMESTAMP can hold.
//!
//! The query engine computes in nanoseconds, which end in 2262. Columns of type TIMESTAMP count
//! microseconds, and a year such as 9999 in them is common: "valid for ever".

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::aggregate::{max, min};
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// The zone of all timestamps with one.
const ZONE: &str = "UTC";
/// Microseconds after which the calendar repeats, weekdays included: 400 years.
const CALENDAR: i64 = 146_097 * 86_400_000_000;
/// Seconds that end what nanoseconds can tell.
const SECONDS_MAX: f64 = 9_223_372_036.0;

/// The functions; they take the place of the engine's own.
pub(super) fn functions() -> [ScalarUDF; 3] {
    let mut config = ConfigOptions::default();
    config.execution.time_zone = Some(String::from(ZONE));
    let wide = |inner, work| ScalarUDF::new_from_impl(Wide { inner, work });
    [
        ScalarUDF::new_from_impl(Now { inner: datetime::now(&config) }),
        wide(datetime::date_trunc(), Work::Truncate),
        wide(datetime::to_timestamp(&config), Work::Seconds),
    ]
}

/// `now()` and `current_timestamp`: when the statement began, in microseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    /// The engine's own, which tells nanoseconds.
    inner: Arc<ScalarUDF>,
}

static NOW_TYPE: LazyLock<DataType> =
    LazyLock::new(|| DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(ZONE))));

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(NOW_TYPE.clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), NOW_TYPE.clone(), false)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(String::from("now() has no time of the statement")))
    }

    /// One time for the whole statement.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(start) = info.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let now = ScalarValue::TimestampMicrosecond(
            Some(start.timestamp_micros()),
            Some(Arc::from(ZONE)),
        );
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    /// `date_trunc`.
    Truncate,
    /// `to_timestamp` of seconds.
    Seconds,
}

/// A function of the query engine, mended for times beyond nanoseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Wide {
    inner: Arc<ScalarUDF>,
    work: Work,
}

impl ScalarUDFImpl for Wide {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.work {
            Work::Truncate => self.truncate(args),
            Work::Seconds => {
                if let Some(seconds) = args.args.first() {
                    check_seconds(seconds)?;
                }
                self.inner.invoke_with_args(args)
            }
        }
    }
}

impl Wide {
    /// Truncates far times as the same ones of the calendar's current turn.
    fn truncate(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(times) = args.args.get_mut(1) else { return self.inner.invoke_with_args(args) };
        if !matches!(times.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return self.inner.invoke_with_args(args);
        }
        let scalar = matches!(times, ColumnarValue::Scalar(_));
        let array = times.to_array(1)?;
        let all = array.as_primitive::<TimestampMicrosecondType>();
        let near = |time: Option<i64>| time.is_none_or(|time| nearest(time) == time);
        if near(min(all)) && near(max(all)) {
            return self.inner.invoke_with_args(args);
        }
        let zone = all.timezone().map(Arc::from);
        let shifted = all.unary::<_, TimestampMicrosecondType>(nearest);
        let shifted: ArrayRef = Arc::new(shifted.with_timezone_opt::<Arc<str>>(zone.clone()));
        *times = ColumnarValue::Array(shifted);
        let rows = array.len();
        args.number_rows = rows;
        let truncated = self.inner.invoke_with_args(args)?.into_array(rows)?;
        let truncated = truncated.as_primitive::<TimestampMicrosecondType>();
        let back = arrow::compute::try_binary::<_, _, _, TimestampMicrosecondType>(
            truncated,
            all,
            |truncated, time| {
                let turns = time.checked_sub(nearest(time));
                turns.and_then(|turns| truncated.checked_add(turns)).ok_or_else(out_of_range)
            },
        )?;
        let back = back.with_timezone_opt::<Arc<str>>(zone);
        Ok(if scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&back, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(back))
        })
    }
}

fn out_of_range() -> ArrowError {
    ArrowError::ComputeError(String::from("Timestamp out of range"))
}

/// The time of the same place in the calendar between 1770 and 2170.
fn nearest(time: i64) -> i64 {
    let half = CALENDAR / 2;
    if (-half..half).contains(&time) {
        return time;
    }
    let turned = time.rem_euclid(CALENDAR);
    if turned < half { turned } else { turned - CALENDAR }
}

/// Refuses seconds that no timestamp can tell; the engine would take the last one it can.
fn check_seconds(seconds: &ColumnarValue) -> Result<()> {
    let wrong = |seconds: f64| !seconds.is_finite() || seconds.abs() > SECONDS_MAX;
    let number = seconds.data_type();
    if !number.is_floating() && !number.is_decimal() {
        return Ok(());
    }
    let array = seconds.cast_to(&DataType::Float64, None)?.to_array(1)?;
    if array.as_primitive::<Float64Type>().iter().flatten().any(wrong) {
        return Err(out_of_range().into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_times_have_a_near_one_of_the_same_calendar() {
        let year_3000 = 32_503_680_000_000_000;
        let year_2200 = 7_258_118_400_000_000;
        assert_eq!(nearest(year_3000), nearest(year_2200));
        assert_eq!(nearest(year_3000) + 3 * CALENDAR, year_3000);
        assert_eq!(nearest(0), 0);
        for far in [i64::MIN, i64::MAX] {
            assert_eq!((i128::from(far) - i128::from(nearest(far))) % i128::from(CALENDAR), 0);
        }
    }

    #[test]
    fn seconds_beyond_all_timestamps_are_refused() {
        let value = |seconds: f64| ColumnarValue::Scalar(ScalarValue::from(seconds));
        assert!(check_seconds(&value(-5.5)).is_ok());
        assert!(check_seconds(&value(1e18)).is_err());
        assert!(check_seconds(&value(f64::NAN)).is_err());
        let unknown = ColumnarValue::Scalar(ScalarValue::Float64(None));
        assert!(check_seconds(&unknown).is_ok());
    }
}
