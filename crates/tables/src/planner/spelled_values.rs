//! `coalesce(d, '2024-01-31')`, `v = ANY(ARRAY['6f0a2f4c-…'])`: text among values of another type
//! that spells one.
//!
//! The query engine refuses a function of a date and text. A query that was refused is planned once
//! more with such texts in it as what they spell.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    TimezoneInfo, Value, visit_expressions_mut,
};
use kalamdb_commons::interval_of_text;
use uuid::Uuid;

/// Functions whose arguments all have one type.
const ALIKE: [&str; 6] = ["coalesce", "nvl", "ifnull", "nullif", "greatest", "least"];
/// Characters of a UUID as it is written.
const UUID_CHARS: usize = 36;

/// The query with the texts that may be values of another type cast to it; `None` without any.
pub(super) fn cast(query: &Query) -> Option<Query> {
    let mut cast = query.clone();
    let mut found = false;
    let _ = visit_expressions_mut(&mut cast, |expr| {
        match expr {
            Expr::Function(function) if is_alike(function) => {
                if let FunctionArguments::List(list) = &mut function.args {
                    for arg in &mut list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                            found |= as_spelled(arg);
                        }
                    }
                }
            }
            Expr::Array(array) => {
                for item in &mut array.elem {
                    found |= as_spelled(item);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    found.then_some(cast)
}

fn is_alike(function: &Function) -> bool {
    let name = function.name.to_string();
    ALIKE.iter().any(|alike| name.eq_ignore_ascii_case(alike))
}

/// Casts a text that spells a UUID, a date, a moment, a time of day or an interval.
fn as_spelled(expr: &mut Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    let Value::SingleQuotedString(text) = &value.value else { return false };
    let Some(data_type) = spelled_type(text) else { return false };
    let text = std::mem::replace(expr, Expr::value(Value::Null));
    *expr = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(text),
        data_type,
        array: false,
        format: None,
    };
    true
}

fn spelled_type(text: &str) -> Option<DataType> {
    if text.len() == UUID_CHARS && Uuid::try_parse(text).is_ok() {
        return Some(DataType::Uuid);
    }
    // Digits are all alike here: whether they are a date is for the cast to say.
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    if let Some(rest) = shape.strip_prefix("9999-99-99") {
        let zone = |zone: TimezoneInfo| Some(DataType::Timestamp(None, zone));
        return match rest.strip_prefix([' ', 'T']) {
            None if rest.is_empty() => Some(DataType::Date),
            None => None,
            Some(time) if time.contains(['+', '-', 'Z']) => zone(TimezoneInfo::WithTimeZone),
            Some(_) => zone(TimezoneInfo::None),
        };
    }
    if shape.starts_with("99:99") {
        return Some(DataType::Time(None, TimezoneInfo::None));
    }
    let named = text.contains(|c: char| c.is_ascii_alphabetic());
    (named && interval_of_text(text).is_some())
        .then_some(DataType::Interval { fields: None, precision: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_it_spells() {
        for (text, spelled) in [
            ("2024-01-31", "DATE"),
            ("2024-01-31 10:00", "TIMESTAMP"),
            ("2024-01-31T10:00:00Z", "TIMESTAMP WITH TIME ZONE"),
            ("10:00", "TIME"),
            ("2 days", "INTERVAL"),
            ("6f0a2f4c-7b1e-4d35-9a55-0d8f3d2c1b0a", "UUID"),
        ] {
            assert_eq!(spelled_type(text).unwrap().to_string(), spelled, "{text}");
        }
        for text in ["", "7", "abc", "2024-01-311", "a day"] {
            assert_eq!(spelled_type(text), None, "{text}");
        }
    }
}
