//! Functions of time in the words of other systems: `localtimestamp`, `make_timestamp`,
//! `make_interval`, `time_bucket`, and units such as `decade` and `milliseconds`.

use datafusion::sql::sqlparser::ast::{
    DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Interval,
    ObjectNamePart, Value,
};
use kalamdb_sql::SqlError;

use super::expression_forms::text_of;
use super::function_forms::{call, formed, plain_arguments};
use crate::TablesError;

/// Parts of a time that are counted in years: in EXTRACT, and what remains of years in date_trunc.
const YEARS: [(&str, &str, &str); 3] = [
    ("decade", "CASE WHEN $1 >= 0 THEN $1 / 10 ELSE ($1 - 9) / 10 END", "$1 % 10"),
    (
        "century",
        "CASE WHEN $1 > 0 THEN ($1 + 99) / 100 ELSE ($1 - 100) / 100 END",
        "($1 - 1) % 100",
    ),
    (
        "millennium",
        "CASE WHEN $1 > 0 THEN ($1 + 999) / 1000 ELSE ($1 - 1000) / 1000 END",
        "($1 - 1) % 1000",
    ),
];
const YEAR: &str = "CAST(date_part('year', $1) AS BIGINT)";
/// The number of a day as astronomers count them: 1970-01-01 has 2440588.
const JULIAN: &str = "date_part('epoch', $1) / 86400 + 2440588";
/// Other words for units of time.
const UNITS: [(&str, &[&str]); 13] = [
    ("microsecond", &["microseconds", "usec", "usecs", "us"]),
    ("millisecond", &["milliseconds", "msec", "msecs", "ms"]),
    ("second", &["seconds", "sec", "secs"]),
    ("minute", &["minutes", "min", "mins"]),
    ("hour", &["hours", "hr", "hrs"]),
    ("day", &["days"]),
    ("week", &["weeks"]),
    ("month", &["months", "mon", "mons"]),
    ("quarter", &["quarters", "qtr"]),
    ("year", &["years", "yr", "yrs"]),
    ("decade", &["decades", "dec", "decs"]),
    ("century", &["centuries", "cent"]),
    ("millennium", &["millennia", "millenniums", "mil", "mils"]),
];
/// What make_interval takes, in this order.
const PARTS: [(&str, &str); 7] = [
    ("years", "INTERVAL '1 year'"),
    ("months", "INTERVAL '1 month'"),
    ("weeks", "INTERVAL '7 days'"),
    ("days", "INTERVAL '1 day'"),
    ("hours", "INTERVAL '1 hour'"),
    ("mins", "INTERVAL '1 minute'"),
    ("secs", "INTERVAL '1 second'"),
];
const MAKE_TIMESTAMP: &str = "CAST(CAST(make_date($1, $2, $3) AS TEXT) || 'T' || \
     CAST(make_time($4, $5, CAST(trunc($6) AS INT)) AS TEXT) AS TIMESTAMP) + \
     ($6 - trunc($6)) * INTERVAL '1 second'";

/// The form of a call; `None` for any other function.
///
/// # Errors
/// Wrong arguments.
pub(super) fn of_function(function: &Function) -> Result<Option<Expr>, TablesError> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(None) };
    if name.quote_style.is_some() {
        return Ok(None);
    }
    let name = name.value.to_lowercase();
    let arguments = plain_arguments(function);
    match (name.as_str(), arguments.as_slice()) {
        ("localtimestamp", []) => formed("CAST(now() AS TIMESTAMP)", &[]).map(Some),
        ("localtime", []) => formed("CAST(now() AS TIME)", &[]).map(Some),
        ("localtimestamp" | "localtime", _) => {
            let advice = format!("use CAST({name} AS TIMESTAMP(3)) or the like");
            Err(SqlError::unsupported(format!("{name}(…)"), advice).into())
        }
        ("make_timestamp", [_, _, _, _, _, _]) => formed(MAKE_TIMESTAMP, &arguments).map(Some),
        ("make_timestamp", _) => Err(TablesError::invalid(
            "make_timestamp takes 6 arguments: year, month, day, hour, minute, second",
        )),
        ("make_interval", _) => make_interval(function).map(Some),
        ("time_bucket", _) => time_bucket(&arguments).map(Some),
        ("isinf", [_]) => {
            formed("abs(CAST($1 AS DOUBLE)) = CAST('inf' AS DOUBLE)", &arguments).map(nested)
        }
        ("quote_literal", [_]) => quote_literal(&arguments).map(Some),
        ("date_part" | "datepart", [part, time]) => match text_of(part) {
            Some(part) => of_part(part, time),
            None => Ok(None),
        },
        ("date_trunc" | "datetrunc", [unit, time]) => match text_of(unit) {
            Some(unit) => truncated(&name, unit, time),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn nested(expr: Expr) -> Option<Expr> {
    Some(Expr::Nested(Box::new(expr)))
}

/// A part of a time that the query engine does not know.
pub(super) fn of_part(part: &str, time: &Expr) -> Result<Option<Expr>, TablesError> {
    let part = unit(part);
    let time = std::slice::from_ref(time);
    if part == "julian" {
        return formed(JULIAN, time).map(nested);
    }
    let Some((_, form, _)) = YEARS.iter().find(|(name, ..)| *name == part) else {
        return Ok(None);
    };
    formed(form, &[formed(YEAR, time)?]).map(nested)
}

/// `date_trunc` by a unit of another name, or by one that is several years.
fn truncated(name: &str, given: &str, time: &Expr) -> Result<Option<Expr>, TablesError> {
    let unit = unit(given);
    let text = |text: &str| Expr::value(Value::SingleQuotedString(text.to_owned()));
    if let Some((.., rest)) = YEARS.iter().find(|(name, ..)| *name == unit) {
        let year = formed(YEAR, std::slice::from_ref(time))?;
        let rest = formed(rest, &[year])?;
        let form = "date_trunc('year', $1) - $2 * INTERVAL '1 year'";
        return formed(form, &[time.clone(), rest]).map(nested);
    }
    if unit == given {
        return Ok(None);
    }
    Ok(Some(call(name, vec![text(&unit), time.clone()])))
}

/// The unit as the query engine calls it.
fn unit(given: &str) -> String {
    let given = given.to_lowercase();
    let found = UNITS.iter().find(|(_, others)| others.contains(&given.as_str()));
    found.map_or(given, |(unit, _)| (*unit).to_owned())
}

fn make_interval(function: &Function) -> Result<Expr, TablesError> {
    let wrong = || {
        let parts: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        TablesError::invalid(format!(
            "make_interval takes {}, by place or as days => 3",
            parts.join(", ")
        ))
    };
    let FunctionArguments::List(list) = &function.args else { return Err(wrong()) };
    let mut sum: Option<Expr> = None;
    for (place, arg) in list.args.iter().enumerate() {
        let (part, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (PARTS.get(place), value),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                let name = name.value.to_lowercase();
                (PARTS.iter().find(|(part, _)| *part == name), value)
            }
            _ => return Err(wrong()),
        };
        let (_, one) = part.ok_or_else(wrong)?;
        let part = formed(&format!("$1 * {one}"), std::slice::from_ref(value))?;
        sum = Some(match sum {
            Some(sum) => formed("$1 + $2", &[sum, part])?,
            None => part,
        });
    }
    match sum {
        Some(sum) => Ok(Expr::Nested(Box::new(sum))),
        None => formed("INTERVAL '0 days'", &[]),
    }
}

/// Buckets of months begin with the first of a month, others with a Monday.
fn time_bucket(arguments: &[Expr]) -> Result<Expr, TablesError> {
    let [width @ Expr::Interval(interval), time] = arguments else {
        return Err(TablesError::invalid(
            "time_bucket takes an interval that is written and a time, as in \
             time_bucket(INTERVAL '5 minutes', t); use date_bin(width, t, origin) otherwise",
        ));
    };
    let form = if has_months(interval) {
        "date_bin($1, $2, TIMESTAMP '2000-01-01 00:00:00')"
    } else {
        "date_bin($1, $2, TIMESTAMP '2000-01-03 00:00:00')"
    };
    formed(form, &[width.clone(), time.clone()])
}

fn has_months(interval: &Interval) -> bool {
    let field = match &interval.leading_field {
        None => String::new(),
        Some(DateTimeField::Month | DateTimeField::Year) => return true,
        Some(other) => other.to_string(),
    };
    let text = text_of(&interval.value).unwrap_or_default();
    format!("{text} {field}")
        .split(|c: char| !c.is_alphabetic())
        .map(unit)
        .any(|unit| ["month", "quarter", "year", "decade", "century"].contains(&unit.as_str()))
}

/// As PostgreSQL quotes: a backslash makes it an E'…'.
fn quote_literal(arguments: &[Expr]) -> Result<Expr, TablesError> {
    let form = r"CASE WHEN strpos(CAST($1 AS TEXT), '\') > 0
        THEN 'E''' || replace(replace(CAST($1 AS TEXT), '\', '\\'), '''', '''''') || ''''
        ELSE '''' || replace(CAST($1 AS TEXT), '''', '''''') || '''' END";
    formed(form, arguments)
}
