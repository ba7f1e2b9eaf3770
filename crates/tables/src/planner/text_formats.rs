//! `to_char(value, 'YYYY-MM-DD')`: PostgreSQL's fields as those of strftime, which the engine
//! knows, or as what computes them. A format with `%` is one of strftime already. What neither
//! has is refused by its name; letters that are no field stand in double quotes.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::SqlError;

use super::function_forms::{call, formed};
use crate::TablesError;
use crate::functions::Pattern;

/// What a field becomes.
#[derive(Clone, Copy)]
enum Field {
    /// A field of strftime, and the same without leading zeros.
    Number(&'static str, &'static str),
    /// A field of strftime that is read back as well.
    Text(&'static str),
    /// A computation of the value, `$1`, that is only written.
    Form(&'static str),
    /// The same, and what stands for it after FM.
    Padded(&'static str, &'static str),
    /// There is none.
    Absent,
}

use Field::{Absent, Form, Number, Padded, Text};

/// Fields, longer ones before their beginnings. Those of numbers may be in small letters.
const FIELDS: [(&str, Field); 77] = [
    ("Y,YYY", Absent),
    ("YYYY", Number("%Y", "%-Y")),
    ("YYY", Form("right(to_char($1, '%Y'), 3)")),
    ("YY", Number("%y", "%-y")),
    ("Y", Form("right(to_char($1, '%Y'), 1)")),
    ("IYYY", Number("%G", "%-G")),
    ("IYY", Absent),
    ("IY", Number("%g", "%-g")),
    ("IDDD", Absent),
    ("ID", Number("%u", "%u")),
    ("IW", Number("%V", "%-V")),
    ("I", Absent),
    ("MONTH", Padded("upper(rpad(to_char($1, '%B'), 9))", "upper(to_char($1, '%B'))")),
    ("Month", Padded("rpad(to_char($1, '%B'), 9)", "to_char($1, '%B')")),
    ("month", Padded("lower(rpad(to_char($1, '%B'), 9))", "lower(to_char($1, '%B'))")),
    ("MON", Form("upper(to_char($1, '%b'))")),
    ("Mon", Text("%b")),
    ("mon", Form("lower(to_char($1, '%b'))")),
    ("MM", Number("%m", "%-m")),
    ("MI", Number("%M", "%-M")),
    ("MS", Number("%3f", "%3f")),
    ("DAY", Padded("upper(rpad(to_char($1, '%A'), 9))", "upper(to_char($1, '%A'))")),
    ("Day", Padded("rpad(to_char($1, '%A'), 9)", "to_char($1, '%A')")),
    ("day", Padded("lower(rpad(to_char($1, '%A'), 9))", "lower(to_char($1, '%A'))")),
    ("DDD", Number("%j", "%-j")),
    ("DD", Number("%d", "%-d")),
    ("DY", Form("upper(to_char($1, '%a'))")),
    ("Dy", Text("%a")),
    ("dy", Form("lower(to_char($1, '%a'))")),
    ("D", Form("CAST(CAST(date_part('dow', $1) AS BIGINT) + 1 AS TEXT)")),
    ("US", Number("%6f", "%6f")),
    ("FF3", Number("%3f", "%3f")),
    ("FF6", Number("%6f", "%6f")),
    ("FF1", Absent),
    ("FF2", Absent),
    ("FF4", Absent),
    ("FF5", Absent),
    ("FX", Absent),
    ("HH24", Number("%H", "%-H")),
    ("HH12", Number("%I", "%-I")),
    ("HH", Number("%I", "%-I")),
    ("SSSSS", Form(SECONDS)),
    ("SSSS", Form(SECONDS)),
    ("SS", Number("%S", "%-S")),
    ("SP", Absent),
    ("AM", Text("%p")),
    ("PM", Text("%p")),
    ("am", Text("%P")),
    ("pm", Text("%P")),
    ("A.M.", Form(UPPER_HALF)),
    ("P.M.", Form(UPPER_HALF)),
    ("a.m.", Form(LOWER_HALF)),
    ("p.m.", Form(LOWER_HALF)),
    ("AD", Text("AD")),
    ("BC", Text("AD")),
    ("ad", Text("ad")),
    ("bc", Text("ad")),
    ("A.D.", Absent),
    ("B.C.", Absent),
    ("a.d.", Absent),
    ("b.c.", Absent),
    ("TZH", Text("+00")),
    ("TZM", Text("00")),
    ("TZ", Form("CASE WHEN typeof($1) LIKE 'TIMESTAMPTZ%' THEN 'UTC' ELSE '' END")),
    ("tz", Form("CASE WHEN typeof($1) LIKE 'TIMESTAMPTZ%' THEN 'utc' ELSE '' END")),
    ("TH", Absent),
    ("th", Absent),
    ("OF", Text("+00")),
    ("WW", Padded(WEEK_PADDED, WEEK)),
    ("W", Form("CAST((CAST(date_part('day', $1) AS BIGINT) + 6) / 7 AS TEXT)")),
    ("CC", Padded(CENTURY_PADDED, CENTURY)),
    ("Q", Form("CAST(CAST(date_part('quarter', $1) AS BIGINT) AS TEXT)")),
    ("J", Form("CAST(CAST($1 AS DATE) - DATE '1970-01-01' + 2440588 AS TEXT)")),
    ("RM", Absent),
    ("rm", Absent),
    ("L", Absent),
    ("V", Absent),
];

const SECONDS: &str = "CAST(CAST(date_part('hour', CAST($1 AS TIMESTAMP)) AS BIGINT) * 3600 \
     + CAST(date_part('minute', CAST($1 AS TIMESTAMP)) AS BIGINT) * 60 \
     + CAST(floor(date_part('second', CAST($1 AS TIMESTAMP))) AS BIGINT) AS TEXT)";
const UPPER_HALF: &str = "CASE to_char($1, '%p') WHEN 'AM' THEN 'A.M.' WHEN 'PM' THEN 'P.M.' END";
const LOWER_HALF: &str = "CASE to_char($1, '%p') WHEN 'AM' THEN 'a.m.' WHEN 'PM' THEN 'p.m.' END";
const WEEK: &str = "CAST((CAST(date_part('doy', $1) AS BIGINT) + 6) / 7 AS TEXT)";
const WEEK_PADDED: &str =
    "lpad(CAST((CAST(date_part('doy', $1) AS BIGINT) + 6) / 7 AS TEXT), 2, '0')";
const CENTURY: &str = "CAST((CAST(date_part('year', $1) AS BIGINT) + 99) / 100 AS TEXT)";
const CENTURY_PADDED: &str =
    "lpad(CAST((CAST(date_part('year', $1) AS BIGINT) + 99) / 100 AS TEXT), 2, '0')";

/// A part of a written format.
enum Part {
    /// As strftime has it.
    Strftime(String),
    /// A computation, and the field it is for.
    Computed(&'static str, &'static str),
}

/// `to_char(value, format)` with a format that the engine knows; `None` when it is one.
///
/// # Errors
/// A field that there is not.
pub(super) fn written(function: &mut Function) -> Result<Option<Expr>, TablesError> {
    let Some((value, format)) = value_and_format(function) else { return Ok(None) };
    let Some(text) = literal(format) else {
        *format = call(Pattern::Format.function(), vec![format.clone()]);
        return Ok(None);
    };
    if text.contains('%') {
        return Ok(None);
    }
    let mut parts = parts(&text)?.into_iter().map(|part| match part {
        Part::Strftime(text) => Ok(call("to_char", vec![value.clone(), text_of(text)])),
        Part::Computed(form, _) => formed(form, std::slice::from_ref(&value)).map(nested),
    });
    let first = parts.next().unwrap_or_else(|| Ok(text_of(String::new())))?;
    let joined = parts.try_fold(first, |left, right| {
        let (left, right) = (Box::new(left), Box::new(right?));
        Ok::<_, TablesError>(Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right })
    })?;
    Ok(Some(nested(joined)))
}

/// Makes the formats of `to_date` and `to_timestamp` those of strptime.
///
/// # Errors
/// A field that there is not, or that cannot be read.
pub(super) fn write_read(name: &str, function: &mut Function) -> Result<(), TablesError> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    for argument in list.args.iter_mut().skip(1) {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(format)) = argument else { continue };
        let Some(text) = literal(format) else {
            *format = call(Pattern::Format.function(), vec![format.clone()]);
            continue;
        };
        if text.contains('%') {
            continue;
        }
        let mut read = String::new();
        for part in parts(&text)? {
            match part {
                Part::Strftime(text) => read.push_str(&text),
                Part::Computed(_, "MON" | "mon") => read.push_str("%b"),
                Part::Computed(_, "MONTH" | "Month" | "month") => read.push_str("%B"),
                Part::Computed(_, "DY" | "dy") => read.push_str("%a"),
                Part::Computed(_, "DAY" | "Day" | "day") => read.push_str("%A"),
                Part::Computed(_, field) => {
                    return Err(absent(&format!(
                        "{name} does not read the field {field}, use others or strptime's, with %"
                    )));
                }
            }
        }
        *format = text_of(read);
    }
    Ok(())
}

fn value_and_format(function: &mut Function) -> Option<(Expr, &mut Expr)> {
    let FunctionArguments::List(list) = &mut function.args else { return None };
    match list.args.as_mut_slice() {
        [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(format)),
        ] => Some((value.clone(), format)),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text_of(text: String) -> Expr {
    Expr::value(Value::SingleQuotedString(text))
}

fn nested(expr: Expr) -> Expr {
    match expr {
        simple @ (Expr::Function(_) | Expr::Value(_) | Expr::Nested(_)) => simple,
        other => Expr::Nested(Box::new(other)),
    }
}

/// The parts of a format: fields, and what stands for itself.
fn parts(format: &str) -> Result<Vec<Part>, TablesError> {
    let mut parts = Vec::new();
    let mut text = String::with_capacity(format.len() * 2);
    let mut rest = format;
    let mut bare = false;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inner, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            text.push_str(inner);
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (bare, rest) = (true, after);
            continue;
        }
        let Some((name, field)) = field_at(rest) else {
            if first.is_ascii_alphabetic() {
                return Err(absent(&format!(
                    "the format has no field that begins with {first}: write letters in double \
                     quotes, \"{first}\", or the fields of strftime, with %"
                )));
            }
            text.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[name.len()..];
        match field {
            Number(_, short) if bare => text.push_str(short),
            Number(same, _) | Text(same) => text.push_str(same),
            Form(form) | Padded(form, _) => {
                let form = if let (Padded(_, short), true) = (field, bare) { short } else { form };
                if !text.is_empty() {
                    parts.push(Part::Strftime(std::mem::take(&mut text)));
                }
                parts.push(Part::Computed(form, name));
            }
            Absent => {
                return Err(absent(&format!(
                    "the format's field {name} is not offered, leave it out, or write letters \
                     in double quotes"
                )));
            }
        }
        bare = false;
    }
    if !text.is_empty() {
        parts.push(Part::Strftime(text));
    }
    Ok(parts)
}

fn field_at(rest: &str) -> Option<(&'static str, Field)> {
    let is_at = |name: &str, field: Field| {
        // Names are written as the field is: MON, Mon and mon.
        let small = name.to_lowercase();
        let same = !matches!(field, Text(_)) && FIELDS.iter().all(|(other, _)| *other != small);
        rest.starts_with(name) || (same && rest.starts_with(&small))
    };
    FIELDS.iter().copied().find(|(name, field)| is_at(name, *field))
}

fn absent(message: &str) -> TablesError {
    SqlError::Coded {
        state: SqlState::FeatureNotSupported,
        message: message.to_owned(),
        position: None,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str) -> String {
        let parts = parts(format).unwrap().into_iter().map(|part| match part {
            Part::Strftime(text) => text,
            Part::Computed(_, field) => format!("<{field}>"),
        });
        parts.collect()
    }

    #[test]
    fn fields_become_those_of_strftime_or_are_computed() {
        let cases = [
            ("YYYY-MM-DD HH24:MI:SS", "%Y-%m-%d %H:%M:%S"),
            ("yyyy-mm-dd", "%Y-%m-%d"),
            ("DD Mon YY, Day", "%d %b %y, <Day>"),
            ("YYYY\"YYYY\"é", "%YYYYYé"),
            ("HH12:MI AM a.m.", "%I:%M %p <a.m.>"),
            ("FMDD/FMMM DD", "%-d/%-m %d"),
            ("MONTH month Q q", "<MONTH> <month> <Q> <Q>"),
            ("YYYY-MM-DD\"T\"HH24", "%Y-%m-%dT%H"),
            ("", ""),
        ];
        for (from, to) in cases {
            assert_eq!(shown(from), to, "{from}");
        }
    }

    #[test]
    fn other_fields_and_letters_are_refused() {
        for format in ["RM", "DDth", "Y,YYY", "YYYY-MM-DDTHH24", "bar", "FF2"] {
            assert!(parts(format).is_err(), "{format}");
        }
    }
}
