//! Forms of other systems inside a statement that are refused by name: sqlparser would stumble over
//! a word in the middle of them.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::SqlError;
use crate::parse::reader::{is_word, position_of};

/// Refuses EXCLUDE of a window frame, and the JSON operators that are written with a question mark.
/// `EXCLUDE NO OTHERS` excludes nothing and is taken out.
pub(crate) fn refuse(tokens: &mut Vec<TokenWithSpan>) -> Result<(), SqlError> {
    let mut place = 0;
    while let Some(TokenWithSpan { token, span }) = tokens.get(place) {
        let position = position_of(*span);
        if is_frame_exclusion(tokens, place) {
            let what = word_at(tokens, place + 1).unwrap_or_default();
            if what == "NO" {
                tokens.drain(place..(place + 3).min(tokens.len()));
                continue;
            }
            let what = match what.as_str() {
                "CURRENT" => "EXCLUDE CURRENT ROW in a window frame",
                "GROUP" => "EXCLUDE GROUP in a window frame",
                _ => "EXCLUDE TIES in a window frame",
            };
            let advice = "use two frames, one before the row and one after it";
            return Err(SqlError::unsupported(what, advice).at(position));
        }
        if *token == Token::Placeholder(String::from("?")) && is_between_values(tokens, place) {
            let advice = "? is a parameter; ask j -> 'key' IS NOT NULL, or array_has(\
                          json_object_keys(j), 'key')";
            return Err(SqlError::unsupported("the JSON operator ?", advice).at(position));
        }
        place += 1;
    }
    Ok(())
}

/// EXCLUDE after the bound of a frame; elsewhere it belongs to `*`.
fn is_frame_exclusion(tokens: &[TokenWithSpan], place: usize) -> bool {
    let bound = place.checked_sub(1).and_then(|before| word_at(tokens, before));
    let follows = word_at(tokens, place + 1);
    tokens.get(place).is_some_and(|token| is_word(&token.token, "EXCLUDE"))
        && bound.is_some_and(|word| ["ROW", "PRECEDING", "FOLLOWING"].contains(&&*word))
        && follows.is_some_and(|word| ["CURRENT", "GROUP", "TIES", "NO"].contains(&&*word))
}

/// Whether a value ends before the token and a text or an array begins after it, or after `|` or
/// `&` besides: a parameter has neither beside it.
fn is_between_values(tokens: &[TokenWithSpan], place: usize) -> bool {
    let at = |place: usize| tokens.get(place).map(|token| &token.token);
    let before = |n: usize| place.checked_sub(n).and_then(at);
    let value_ends = match before(1) {
        Some(Token::SingleQuotedString(_) | Token::RParen | Token::RBracket) => true,
        Some(Token::Word(word)) => {
            word.quote_style.is_some()
                || word.keyword == Keyword::NoKeyword
                || matches!(before(2), Some(Token::DoubleColon | Token::Period))
        }
        _ => false,
    };
    let several = matches!(at(place + 1), Some(Token::Pipe | Token::Ampersand));
    let follows = at(place + 1 + usize::from(several));
    let begins = match follows {
        Some(Token::SingleQuotedString(_)) => true,
        Some(Token::LBracket) => several,
        Some(token) => several && is_word(token, "ARRAY"),
        None => false,
    };
    value_ends && begins
}

fn word_at(tokens: &[TokenWithSpan], place: usize) -> Option<String> {
    match &tokens.get(place)?.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    fn refusal(sql: &str) -> String {
        crate::parse(sql).unwrap_err().to_string()
    }

    #[test]
    fn frames_exclude_nothing() {
        let frame = "SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW";
        for what in ["CURRENT ROW", "GROUP", "TIES"] {
            let error = refusal(&format!("{frame} EXCLUDE {what}) FROM t"));
            assert!(
                error.starts_with(&format!("EXCLUDE {what} in a window frame is not")),
                "{error}"
            );
        }
        for sql in
            [format!("{frame} EXCLUDE NO OTHERS) FROM t"), "SELECT * EXCLUDE ties FROM t".into()]
        {
            assert!(crate::parse(&sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn question_marks_between_values_are_no_parameters() {
        for sql in [
            "SELECT j ? 'a' FROM t",
            "SELECT '{}'::jsonb ?| array['a']",
            "SELECT (j) ?& ['a', 'b'] FROM t",
        ] {
            assert!(refusal(sql).starts_with("the JSON operator ? is not supported"), "{sql}");
        }
        for sql in [
            "SELECT ? 'a'",
            "SELECT a FROM t WHERE b = ? AND c IN (?, 'a') LIMIT ?",
            "SELECT CASE WHEN ? THEN 'a' END, ? || 'a'",
        ] {
            assert!(crate::parse(sql).is_ok(), "{sql}");
        }
    }
}
