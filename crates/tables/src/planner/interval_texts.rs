//! `INTERVAL '1 day 02:00:00'`: the text in units that the query engine reads.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, Interval, Value};

use crate::TablesError;
use crate::dml::{interval_of, no_interval};

/// The literal with its months, days and nanoseconds; `None` for one with a unit outside its text,
/// as `INTERVAL '1' DAY`.
///
/// # Errors
/// A text that is no interval.
pub(super) fn written(interval: &Interval) -> Result<Option<Expr>, TablesError> {
    let Expr::Value(value) = interval.value.as_ref() else { return Ok(None) };
    let (None, Value::SingleQuotedString(text)) = (&interval.leading_field, &value.value) else {
        return Ok(None);
    };
    let parts = interval_of(text)
        .ok_or_else(|| TablesError::from(DataFusionError::from(no_interval(text))))?;
    let units =
        format!("{} months {} days {} nanoseconds", parts.months, parts.days, parts.nanoseconds);
    let value = Box::new(Expr::value(Value::SingleQuotedString(units)));
    Ok(Some(Expr::Interval(Interval { value, ..interval.clone() })))
}
