//! Plans as EXPLAIN shows them: with the operators that were written, not the functions that check
//! their results.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;

use crate::EngineError;

/// Functions that stand for operators.
const OPERATORS: [(&str, &str); 4] = [
    ("checked_add(", "+"),
    ("checked_subtract(", "-"),
    ("checked_multiply(", "*"),
    ("checked_negate(", "-"),
];
/// Functions that give back their only argument.
const TRANSPARENT: [&str; 1] = ["or_null("];
/// Brackets within brackets that are rewritten; deeper ones stay as they are.
const DEPTH_MAX: usize = 64;

/// The batch with readable plans.
pub(crate) fn readable(batch: RecordBatch) -> Result<RecordBatch, EngineError> {
    let columns = batch.columns().iter().map(|column| -> ArrayRef {
        if column.data_type() != &DataType::Utf8 {
            return Arc::clone(column);
        }
        let texts = column.as_string::<i32>().iter();
        let texts: StringArray =
            texts.map(|text| text.map(|text| readable_text(text, 0))).collect();
        Arc::new(texts)
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
        .map_err(|error| EngineError::internal("show a plan", error))
}

fn readable_text(text: &str, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let begins = !out.ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let rewritten = if begins && depth < DEPTH_MAX { rewritten(rest, depth) } else { None };
        match rewritten {
            Some((expression, after)) => {
                out.push_str(&expression);
                rest = after;
            }
            None => {
                // Names that no statement can spell begin with one.
                if first != '\u{1}' {
                    out.push(first);
                }
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// The call that `text` begins with in its readable form, and what follows it.
fn rewritten(text: &str, depth: usize) -> Option<(String, &str)> {
    if let Some(name) = TRANSPARENT.iter().find(|name| text.starts_with(**name)) {
        let (arguments, after) = arguments(&text[name.len()..])?;
        let [one] = arguments.as_slice() else { return None };
        return Some((readable_text(one, depth + 1), after));
    }
    let (name, operator) = OPERATORS.iter().find(|(name, _)| text.starts_with(name))?;
    let (arguments, after) = arguments(&text[name.len()..])?;
    let operand = |argument: &str| {
        let shown = readable_text(argument, depth + 1);
        let nested = OPERATORS.iter().any(|(name, _)| argument.starts_with(name));
        if nested { format!("({shown})") } else { shown }
    };
    let shown = match arguments.as_slice() {
        [one] => format!("{operator}{}", operand(one)),
        [left, right] => format!("{} {operator} {}", operand(left), operand(right)),
        _ => return None,
    };
    Some((shown, after))
}

/// The arguments up to the closing bracket, and what follows it.
fn arguments(text: &str) -> Option<(Vec<&str>, &str)> {
    let mut found = Vec::new();
    let (mut depth, mut start, mut quoted) = (0_usize, 0, None);
    for (at, byte) in text.bytes().enumerate() {
        match (quoted, byte) {
            (Some(quote), byte) if byte == quote => quoted = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quoted = Some(byte),
            (None, b'(' | b'[') => depth += 1,
            (None, b')') if depth == 0 => {
                found.push(text[start..at].trim());
                return Some((found, &text[at + 1..]));
            }
            (None, b')' | b']') => depth = depth.checked_sub(1)?,
            (None, b',') if depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_shown_as_they_are_written() {
        let cases = [
            ("checked_add(CAST(a AS Int64), Int64(1)) > 2", "CAST(a AS Int64) + Int64(1) > 2"),
            ("checked_multiply(checked_add(a, b), f(c, d))", "(a + b) * f(c, d)"),
            ("checked_negate(checked_negate(a))", "-(-a)"),
            (
                "x=or_null((<subquery>)), checked_subtract(Utf8(\",)\"), 1)",
                "x=(<subquery>), Utf8(\",)\") - 1",
            ),
            ("my_checked_add(a, b)", "my_checked_add(a, b)"),
            ("checked_add(a", "checked_add(a"),
            ("filter=[é > checked_add(é, 1)]", "filter=[é > é + 1]"),
            ("[\u{1}place@2 as \u{1}place]", "[place@2 as place]"),
        ];
        for (from, to) in cases {
            assert_eq!(readable_text(from, 0), to);
        }
        let deep = "checked_negate(".repeat(100) + &")".repeat(100);
        assert!(readable_text(&deep, 0).ends_with(')'));
    }
}
