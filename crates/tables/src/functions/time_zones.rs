//! `moment AT TIME ZONE 'Europe/Berlin'`: an instant as the clocks of the zone show it, a TIMESTAMP;
//! what the clocks show as the instant, a TIMESTAMPTZ.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options, concat};
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::SqlError;

use crate::TablesError;

/// The function that AT TIME ZONE becomes; no statement needs to call it.
pub(crate) const AT_TIME_ZONE: &str = "at_time_zone";

/// Names without a continent that mean the same everywhere; others are abbreviations of several.
const PLAIN_NAMES: [&str; 7] = ["UTC", "GMT", "UCT", "Z", "EST", "MST", "HST"];

pub(super) fn function() -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    ScalarUDF::new_from_impl(AtTimeZone { signature, to_local: datetime::to_local_time() })
}

fn local() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
    to_local: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        AT_TIME_ZONE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        use DataType::{Date32, LargeUtf8, Null, Timestamp, Utf8, Utf8View};
        let moment = match arg_types.first() {
            Some(Timestamp(_, None)) => local(),
            Some(Timestamp(_, Some(_)) | Date32 | Utf8 | LargeUtf8 | Utf8View | Null) => instant(),
            _ => return Err(DataFusionError::Plan(String::from(MISUSED))),
        };
        match arg_types.get(1) {
            Some(Utf8 | LargeUtf8 | Utf8View | Null) => Ok(vec![moment, Utf8]),
            _ => Err(DataFusionError::Plan(String::from(MISUSED))),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(DataType::Timestamp(_, Some(_))) => Ok(local()),
            _ => Ok(instant()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [moments, zones] = args.args.as_slice() else {
            return Err(DataFusionError::Internal(format!("{AT_TIME_ZONE} takes two arguments")));
        };
        let constant = matches!(moments, ColumnarValue::Scalar(_));
        let moments = moments.to_array(args.number_rows)?;
        let shown = match zones {
            ColumnarValue::Scalar(zone) => {
                let rows = if constant { moments.slice(0, moments.len().min(1)) } else { moments };
                let zone = zone.try_as_str().flatten();
                let shown = self.shown(&rows, zone, &args)?;
                if constant && !shown.is_empty() {
                    return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&shown, 0)?));
                }
                shown
            }
            ColumnarValue::Array(zones) => {
                let zones = zones.as_string::<i32>().iter().enumerate();
                let rows = zones.map(|(row, zone)| self.shown(&moments.slice(row, 1), zone, &args));
                let rows = rows.collect::<Result<Vec<_>>>()?;
                let rows: Vec<_> = rows.iter().map(AsRef::as_ref).collect();
                if rows.is_empty() { new_null_array(args.return_type(), 0) } else { concat(&rows)? }
            }
        };
        Ok(ColumnarValue::Array(shown))
    }
}

const MISUSED: &str =
    "AT TIME ZONE takes a TIMESTAMP or TIMESTAMPTZ and the name of a zone, cast them";

impl AtTimeZone {
    fn shown(
        &self,
        moments: &ArrayRef,
        zone: Option<&str>,
        args: &ScalarFunctionArgs,
    ) -> Result<ArrayRef> {
        let Some(zone) = zone else { return Ok(new_null_array(args.return_type(), moments.len())) };
        let zone = known(zone)?;
        let in_zone = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&zone)));
        if *moments.data_type() == local() {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let instants = cast_with_options(moments, &in_zone, &options).map_err(|_| {
                coded(
                    SqlState::DatetimeOverflow,
                    format!("a moment is skipped or shown twice by the clocks of {zone}"),
                )
            })?;
            return Ok(cast(&instants, &instant())?);
        }
        let moments = moments.as_primitive::<TimestampMicrosecondType>().clone();
        let moments: ArrayRef = Arc::new(moments.with_timezone(zone));
        let rows = moments.len();
        let clocks = self.to_local.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(moments)],
            arg_fields: vec![Arc::new(Field::new("moment", in_zone, true))],
            number_rows: rows,
            return_field: Arc::new(Field::new("clock", local(), true)),
            config_options: Arc::clone(&args.config_options),
        })?;
        clocks.into_array(rows)
    }
}

/// The zone's name as the engine knows it.
fn known(zone: &str) -> Result<Arc<str>, TablesError> {
    let upper = zone.to_uppercase();
    if let Some(plain) = PLAIN_NAMES.iter().find(|plain| **plain == upper) {
        return Ok(Arc::from(if *plain == "Z" { "UTC" } else { *plain }));
    }
    if zone.contains('/') && zone.parse::<Tz>().is_ok() {
        return Ok(Arc::from(zone));
    }
    Err(coded(
        SqlState::InvalidParameterValue,
        format!("time zone '{zone}' is not known, write a name such as 'Europe/Berlin' or 'UTC'"),
    ))
}

fn coded(state: SqlState, message: String) -> TablesError {
    SqlError::Coded { state, message, position: None }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_their_names() {
        for zone in ["Europe/Berlin", "utc", "Z", "Etc/GMT+5"] {
            assert!(known(zone).is_ok(), "{zone}");
        }
        for zone in ["Berlin", "CET", "+05", "", "Nowhere/Land"] {
            assert!(known(zone).is_err(), "{zone}");
        }
    }
}
