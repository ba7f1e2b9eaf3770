//! Literals that sqlparser cuts in two or reads as something else:
//!
//! ```text
//!  0b101, 0o17, 0x1F   ──►   5, 15, 31
//!  U&'caf\00e9', N'a'  ──►   'café', 'a'
//! ```

use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use kalamdb_commons::SqlState;

use crate::error::SqlError;
use crate::parse::reader::{is_word, position_of};

/// Rewrites the literals of one statement.
///
/// # Errors
/// A number with something behind it, bit strings and raw strings.
pub(crate) fn read(tokens: &mut Vec<TokenWithSpan>) -> Result<(), SqlError> {
    let mut place = 0;
    while let Some(TokenWithSpan { token, span }) = tokens.get(place) {
        let span = *span;
        let follows = tokens.get(place + 1).filter(|next| next.span.start == span.end);
        let word = follows.and_then(|next| match &next.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.as_str()),
            _ => None,
        });
        let (literal, words) = match token {
            Token::Number(digits, false) if word.is_some() => {
                (Some(in_base(digits, word.unwrap_or_default(), span)?), 1)
            }
            Token::HexStringLiteral(digits) if is_number(digits, span) => {
                (Some(in_base("0", &format!("x{digits}{}", word.unwrap_or_default()), span)?), {
                    usize::from(word.is_some())
                })
            }
            Token::UnicodeStringLiteral(_)
                if tokens.get(place + 1).is_some_and(|next| is_word(&next.token, "UESCAPE")) =>
            {
                let advice = "write the characters with a backslash, as in U&'caf\\00e9'";
                return Err(SqlError::unsupported("UESCAPE", advice).at(position_of(span)));
            }
            Token::UnicodeStringLiteral(text) | Token::NationalStringLiteral(text) => {
                (Some(Token::SingleQuotedString(text.clone())), 0)
            }
            Token::SingleQuotedByteStringLiteral(_) | Token::DoubleQuotedByteStringLiteral(_) => {
                let advice = "there are no bit strings; write a number, as in 0b101, or bytes, \
                              as in X'05'";
                return Err(SqlError::unsupported("B'…'", advice).at(position_of(span)));
            }
            Token::SingleQuotedRawStringLiteral(_) | Token::DoubleQuotedRawStringLiteral(_) => {
                let advice = "a backslash stands for itself in '…' already";
                return Err(SqlError::unsupported("R'…'", advice).at(position_of(span)));
            }
            _ => (None, 0),
        };
        if let Some(literal) = literal {
            if words == 1 {
                tokens.remove(place + 1);
            }
            if let Some(token) = tokens.get_mut(place) {
                token.token = literal;
            }
        }
        place += 1;
    }
    Ok(())
}

/// Whether hexadecimal digits were written as `0x1F`, not as `X'1F'`, which has a quote more.
fn is_number(digits: &str, span: Span) -> bool {
    span.end.column.saturating_sub(span.start.column) == digits.len() as u64 + 2
}

/// A number and the word right behind it: the base and the digits of an integer.
fn in_base(number: &str, word: &str, span: Span) -> Result<Token, SqlError> {
    let wrong = |message: String| SqlError::Syntax { message, position: position_of(span) };
    let (base, name) = match word.get(..1) {
        Some("b" | "B") if number == "0" => (2, "binary"),
        Some("o" | "O") if number == "0" => (8, "octal"),
        Some("x" | "X") if number == "0" => (16, "hexadecimal"),
        _ => {
            return Err(wrong(format!(
                "a name cannot stand right behind a number, write {number} {word} or {number} AS \
                 {word}"
            )));
        }
    };
    let digits = word.get(1..).unwrap_or_default();
    // One stands before each digit group, also before the first.
    let plain = digits.replace('_', "");
    let grouped = !digits.contains("__") && !digits.ends_with('_');
    if plain.is_empty() || !grouped || !plain.chars().all(|digit| digit.is_digit(base)) {
        return Err(wrong(format!("{number}{word} is no {name} number")));
    }
    match u64::from_str_radix(&plain, base) {
        Ok(value) => Ok(Token::Number(value.to_string(), false)),
        Err(_) => Err(SqlError::Coded {
            state: SqlState::NumericOutOfRange,
            message: format!("the number {number}{word} is out of range, it has 64 bits at most"),
            position: position_of(span),
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::Statement;

    fn read(sql: &str) -> String {
        match crate::parse(sql).unwrap().remove(0).statement {
            Statement::Query(query) => query.to_string(),
            other => panic!("{} is no query", other.name()),
        }
    }

    #[test]
    fn integers_of_other_bases_are_integers() {
        for (sql, wanted) in [
            ("SELECT 0b101, 0o17, 0x1F", "SELECT 5, 15, 31"),
            ("SELECT 0B1, 0O7, 0Xff, -0xFF", "SELECT 1, 7, 255, -255"),
            ("SELECT 0x_1F, 0b1_0", "SELECT 31, 2"),
            ("SELECT 0xFFFFFFFFFFFFFFFF", "SELECT 18446744073709551615"),
            ("SELECT X'1F', x'00'", "SELECT X'1F', X'00'"),
            ("SELECT 0 b101, 0 AS x1, 1e5", "SELECT 0 AS b101, 0 AS x1, 1e5"),
        ] {
            assert_eq!(read(sql), wanted);
        }
        for (sql, message) in [
            ("SELECT 0b102", "0b102 is no binary number (at line 1, column 8)"),
            ("SELECT 0x", "0x is no hexadecimal number"),
            ("SELECT 0xfg", "0xfg is no hexadecimal number"),
            ("SELECT 0o8", "0o8 is no octal number"),
            ("SELECT 0x1FFFFFFFFFFFFFFFF", "out of range"),
            ("SELECT 123abc", "a name cannot stand right behind a number, write 123 abc"),
        ] {
            let error = crate::parse(sql).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn texts_of_other_kinds_are_texts_or_refused() {
        assert_eq!(read("SELECT U&'caf\\00e9', N'a'"), "SELECT 'café', 'a'");
        for (sql, name) in [
            ("SELECT B'101'", "B'…'"),
            ("SELECT R'a'", "R'…'"),
            ("SELECT U&'a!0061' UESCAPE '!'", "UESCAPE"),
        ] {
            let error = crate::parse(sql).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
