//! The patterns of LIKE … ESCAPE and of SIMILAR TO, and the replacement of `regexp_replace`, as
//! the query engine writes them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::SqlError;

use crate::TablesError;

/// A way to write a pattern anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// Of LIKE: what escapes becomes a backslash.
    Like,
    /// Of SIMILAR TO: a regular expression for the whole text.
    Similar,
    /// The replacement of `regexp_replace`: `\1` and `\&` are what was found.
    Replacement,
    /// The format of `to_char` and its like: one of strftime.
    Format,
}

/// No pattern has a group of this name: it is replaced by nothing.
const NOTHING: &str = "${no_group}";

impl Pattern {
    /// The function that does it to what is no literal; no statement needs to call it.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Like => "like_pattern",
            Self::Similar => "similar_pattern",
            Self::Replacement => "regexp_replacement",
            Self::Format => "strftime_format",
        }
    }

    /// The pattern written anew. `escape` is one character, or empty when nothing escapes.
    ///
    /// # Errors
    /// A pattern that ends with what escapes, and brackets left open.
    pub(crate) fn written(self, pattern: &str, escape: &str) -> Result<String, TablesError> {
        let mut escapes = escape.chars();
        let (escape, None) = (escapes.next(), escapes.next()) else {
            return Err(coded(
                SqlState::InvalidEscape,
                "the text after ESCAPE has more than one character, write one or none",
            ));
        };
        match self {
            Self::Like => like(pattern, escape),
            Self::Similar => similar(pattern, escape),
            Self::Replacement => Ok(replacement(pattern)),
            Self::Format => strftime_format(pattern),
        }
    }
}

fn coded(state: SqlState, message: &str) -> TablesError {
    SqlError::Coded { state, message: message.to_owned(), position: None }.into()
}

fn ends_with_escape() -> TablesError {
    coded(SqlState::DataException, "the pattern ends with its escape character, write it twice")
}

fn like(pattern: &str, escape: Option<char>) -> Result<String, TablesError> {
    let mut text = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars();
    while let Some(mut char) = chars.next() {
        let escaped = escape == Some(char);
        if escaped {
            char = chars.next().ok_or_else(ends_with_escape)?;
        }
        if char == '\\' || (escaped && matches!(char, '%' | '_')) {
            text.push('\\');
        }
        text.push(char);
    }
    Ok(text)
}

fn similar(pattern: &str, escape: Option<char>) -> Result<String, TablesError> {
    let mut text = String::from("(?s)^(?:");
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        if escape == Some(char) {
            push_literal(&mut text, chars.next().ok_or_else(ends_with_escape)?);
            continue;
        }
        match char {
            '%' => text.push_str(".*"),
            '_' => text.push('.'),
            '(' => text.push_str("(?:"),
            '[' => push_class(&mut text, &mut chars, escape)?,
            '|' | '*' | '+' | '?' | ')' | '{' | '}' => text.push(char),
            other => push_literal(&mut text, other),
        }
    }
    text.push_str(")$");
    Ok(text)
}

/// What stands between brackets means the same, but for what only the engine knows.
fn push_class(
    text: &mut String,
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    escape: Option<char>,
) -> Result<(), TablesError> {
    let unclosed = || {
        coded(SqlState::InvalidRegularExpression, "the pattern has a '[' without its ']', close it")
    };
    text.push('[');
    if chars.next_if_eq(&'^').is_some() {
        text.push('^');
    }
    let mut first = true;
    loop {
        let char = chars.next().ok_or_else(unclosed)?;
        match char {
            ']' if !first => break,
            _ if escape == Some(char) => {
                push_literal(text, chars.next().ok_or_else(ends_with_escape)?);
            }
            '[' if chars.peek() == Some(&':') => {
                text.push('[');
                for inner in chars.by_ref() {
                    text.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '-' => text.push('-'),
            other => push_literal(text, other),
        }
        first = false;
    }
    text.push(']');
    Ok(())
}

/// A character of a regular expression that stands for itself.
fn push_literal(text: &mut String, char: char) {
    if char.is_ascii_punctuation() {
        text.push('\\');
    }
    text.push(char);
}

fn replacement(written: &str) -> String {
    let mut text = String::with_capacity(written.len() + 8);
    let mut chars = written.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '$' => text.push_str("$$"),
            '\\' => match chars.peek().copied() {
                Some(group @ '1'..='9') => {
                    chars.next();
                    text.extend(["${", group.to_string().as_str(), "}"]);
                }
                Some('&') => {
                    chars.next();
                    text.push_str("${0}");
                }
                next => {
                    if next == Some('\\') {
                        chars.next();
                    }
                    // The engine takes a backslash before a digit for a group.
                    text.push('\\');
                    text.push_str(NOTHING);
                }
            },
            other => text.push(other),
        }
    }
    text
}

/// PostgreSQL's fields are known when the statement is planned only.
fn strftime_format(format: &str) -> Result<String, TablesError> {
    let plain = !format.contains('%') && format.contains(|char: char| char.is_ascii_alphabetic());
    if plain {
        return Err(SqlError::Coded {
            state: SqlState::FeatureNotSupported,
            message: format!(
                "the format '{format}' is computed or bound: write it into the statement, or use \
                 the fields of strftime, with %"
            ),
            position: None,
        }
        .into());
    }
    Ok(format.to_owned())
}

/// The functions for patterns that are no literals.
pub(super) fn functions() -> [ScalarUDF; 4] {
    let counts = [
        (Pattern::Like, 2),
        (Pattern::Similar, 2),
        (Pattern::Replacement, 1),
        (Pattern::Format, 1),
    ];
    counts.map(|(pattern, count)| {
        let signature = Signature::exact(vec![DataType::Utf8; count], Volatility::Immutable);
        ScalarUDF::new_from_impl(Written { pattern, signature })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Written {
    pattern: Pattern,
    signature: Signature,
}

impl ScalarUDFImpl for Written {
    fn name(&self) -> &str {
        self.pattern.function()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let [patterns, escapes @ ..] = arrays.as_slice() else {
            let reason = format!("{} takes an argument", self.name());
            return Err(DataFusionError::Internal(reason));
        };
        let escapes = escapes.first().map(|escapes| escapes.as_string::<i32>());
        let written = patterns.as_string::<i32>().iter().enumerate().map(|(row, pattern)| {
            let escape = escapes.map_or("", |escapes| escapes.value(row));
            pattern.map(|pattern| self.pattern.written(pattern, escape)).transpose()
        });
        let written: ArrayRef = Arc::new(written.collect::<Result<StringArray, TablesError>>()?);
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&written, 0)?)
        } else {
            ColumnarValue::Array(written)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_escapes_in_like_becomes_a_backslash() {
        for (pattern, escape, expected) in [
            ("a!%c%", "!", "a\\%c%"),
            ("a!!b!c", "!", "a!bc"),
            ("a\\%", "!", "a\\\\%"),
            ("a\\b%", "", "a\\\\b%"),
        ] {
            assert_eq!(Pattern::Like.written(pattern, escape).unwrap(), expected, "{pattern}");
        }
        assert!(Pattern::Like.written("a!", "!").is_err());
        assert!(Pattern::Like.written("a", "!!").is_err());
    }

    #[test]
    fn similar_to_is_about_the_whole_text() {
        for (pattern, expected) in [
            ("a%_", "(?s)^(?:a.*.)$"),
            ("(a|b)+.c", "(?s)^(?:(?:a|b)+\\.c)$"),
            ("\\%^", "(?s)^(?:\\%\\^)$"),
            ("[^a-z&[:digit:]]", "(?s)^(?:[^a-z\\&[:digit:]])$"),
        ] {
            assert_eq!(Pattern::Similar.written(pattern, "\\").unwrap(), expected, "{pattern}");
        }
        assert!(Pattern::Similar.written("[a", "\\").is_err());
    }

    #[test]
    fn only_backslashes_stand_for_what_was_found() {
        let written = |text| Pattern::Replacement.written(text, "").unwrap();
        assert_eq!(written("$1 [\\1\\&]"), "$$1 [${1}${0}]");
        assert_eq!(written("\\\\1"), format!("\\{NOTHING}1"));
    }
}
