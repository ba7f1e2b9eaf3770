//! `date_diff('unit', start, end)`: how many bounds of the unit lie between two dates or
//! timestamps; of weeks, how many whole ones.

use datafusion::sql::sqlparser::ast::{Expr, Value};

use super::function_forms::formed;
use crate::TablesError;

/// Bounds of a unit of so many microseconds.
macro_rules! bounds {
    ($unit:literal, $micros:literal) => {
        concat!(
            "(CAST(date_trunc('",
            $unit,
            "', CAST($2 AS TIMESTAMP)) AS BIGINT) \
             - CAST(date_trunc('",
            $unit,
            "', CAST($1 AS TIMESTAMP)) AS BIGINT)) / ",
            $micros
        )
    };
}

/// The difference written out, for each unit.
const UNITS: [(&str, &str); 10] = [
    ("year", "CAST(date_part('year', $2) - date_part('year', $1) AS BIGINT)"),
    (
        "quarter",
        "CAST((date_part('year', $2) - date_part('year', $1)) * 4 \
         + (date_part('quarter', $2) - date_part('quarter', $1)) AS BIGINT)",
    ),
    (
        "month",
        "CAST((date_part('year', $2) - date_part('year', $1)) * 12 \
         + (date_part('month', $2) - date_part('month', $1)) AS BIGINT)",
    ),
    ("week", "(CAST($2 AS DATE) - CAST($1 AS DATE)) / 7"),
    ("day", "CAST($2 AS DATE) - CAST($1 AS DATE)"),
    ("hour", bounds!("hour", "3600000000")),
    ("minute", bounds!("minute", "60000000")),
    ("second", bounds!("second", "1000000")),
    ("millisecond", bounds!("millisecond", "1000")),
    ("microsecond", bounds!("microsecond", "1")),
];

/// The call as its difference.
///
/// # Errors
/// Other than three arguments, and a unit that is no literal or unknown.
pub(super) fn written(arguments: &[Expr]) -> Result<Expr, TablesError> {
    let [unit, start, end] = arguments else {
        return Err(wrong());
    };
    let unit = match unit {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(unit) => unit.to_lowercase(),
            _ => return Err(wrong()),
        },
        Expr::Identifier(unit) => unit.value.to_lowercase(),
        _ => return Err(wrong()),
    };
    let singular = unit.strip_suffix('s').unwrap_or(&unit);
    let Some((_, form)) = UNITS.iter().find(|(name, _)| *name == singular) else {
        return Err(wrong());
    };
    let form = formed(form, &[start.clone(), end.clone()])?;
    Ok(Expr::Nested(Box::new(form)))
}

fn wrong() -> TablesError {
    let units: Vec<_> = UNITS.iter().map(|(name, _)| *name).collect();
    TablesError::invalid(format!(
        "date_diff takes a unit, a start and an end: date_diff('day', a, b); units are {}",
        units.join(", ")
    ))
}
