//! Parameters: every `?` becomes `$1`, `$2`, … before the text is parsed.
//!
//! This works on tokens, so question marks in strings, quoted names and comments stay what
//! they are.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use kalamdb_commons::SqlState;

use crate::error::{Position, SqlError};
use crate::parse::reader::{is_word, position_of};

/// Parameters of one statement.
pub const PARAMETERS_MAX: usize = 65_535;

/// Numbers the parameters of one statement's tokens in place and returns how many there are.
/// Either all are `?` or all are `$n`; numbered ones start at `$1` and leave no gap.
pub(crate) fn number_parameters(tokens: &mut [TokenWithSpan]) -> Result<usize, SqlError> {
    let mut question_marks = 0;
    let mut numbered: Option<Vec<bool>> = None;
    for token in tokens {
        let Token::Placeholder(text) = &mut token.token else { continue };
        let position = position_of(token.span);
        if text == "?" {
            question_marks += 1;
            *text = format!("${question_marks}");
        } else {
            let number = number_in(text, position)?;
            let seen = numbered.get_or_insert_default();
            if seen.len() < number {
                seen.resize(number, false);
            }
            seen[number - 1] = true;
        }
        if question_marks > PARAMETERS_MAX {
            return Err(too_many());
        }
        if question_marks > 0 && numbered.is_some() {
            return Err(invalid("? and $n are mixed in one statement, use one of them", position));
        }
    }
    let Some(seen) = numbered else { return Ok(question_marks) };
    match seen.iter().position(|seen| !seen) {
        None => Ok(seen.len()),
        Some(gap) => Err(invalid(
            format!(
                "parameter ${} is never used though ${} is, number parameters from $1 without gaps",
                gap + 1,
                seen.len()
            ),
            None,
        )),
    }
}

/// The ordinals of the parameters before PRECEDING or FOLLOWING, after [`number_parameters`]. One
/// that is given such a name, without AS, is taken for one of a frame and is a number, too.
pub(crate) fn in_frames(tokens: &[TokenWithSpan]) -> Vec<usize> {
    let mut ordinals = Vec::new();
    let mut before = None;
    for TokenWithSpan { token, .. } in tokens {
        match token {
            Token::Whitespace(_) => {}
            Token::Placeholder(name) => before = name.strip_prefix('$'),
            token => {
                if let Some(ordinal) = before.take().and_then(|digits| digits.parse().ok())
                    && (is_word(token, "PRECEDING") || is_word(token, "FOLLOWING"))
                    && !ordinals.contains(&ordinal)
                {
                    ordinals.push(ordinal);
                }
            }
        }
    }
    ordinals
}

fn number_in(text: &str, position: Option<Position>) -> Result<usize, SqlError> {
    let digits = text.strip_prefix('$').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("'{text}' is no parameter, use ? or $1, $2, …");
        return Err(invalid(message, position));
    }
    match digits.parse::<usize>() {
        Ok(0) => Err(invalid("parameters are numbered from $1", position)),
        Ok(number) if number <= PARAMETERS_MAX => Ok(number),
        _ => Err(too_many()),
    }
}

fn too_many() -> SqlError {
    SqlError::TooLarge {
        what: "the number of parameters",
        limit: PARAMETERS_MAX,
        advice: "bind rows in batches instead",
    }
}

fn invalid(message: impl Into<String>, position: Option<Position>) -> SqlError {
    SqlError::Coded { state: SqlState::UndefinedParameter, message: message.into(), position }
}
