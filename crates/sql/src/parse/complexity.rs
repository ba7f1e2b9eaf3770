//! Bounds on the shape of a statement, checked on its tokens before any tree is built.
//!
//! A long chain such as `1 + 1 + 1 …` is parsed by a loop, but gives a tree as deep as the chain
//! is long, and cloning or dropping such a tree recurses. So chains are bounded here, at a length
//! that a thread's ordinary stack bears, as brackets are.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use kalamdb_commons::SqlState;

use crate::error::{Position, SqlError};
use crate::parse::dialect::is_isnull;
use crate::parse::reader::{NESTING_MAX, position_of};

/// Operators in one expression, brackets apart.
pub const OPERATORS_MAX: usize = 1_000;
/// UNION, EXCEPT, INTERSECT and `|>` in one query, brackets apart.
pub const SET_OPERATORS_MAX: usize = 200;
/// The same word so many times in a row is no SQL (`NOT NOT NOT …`).
const REPEATED_WORDS_MAX: usize = 32;

/// What has been counted since the innermost open bracket.
#[derive(Default)]
struct Level {
    operators: usize,
    set_operators: usize,
    /// `<` of `ARRAY<…>` and the like that are still open.
    angles: usize,
}

/// Refuses statements whose tree would be too deep.
pub(crate) fn check_complexity(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut levels = vec![Level::default()];
    let mut last_word = Keyword::NoKeyword;
    let mut repeated = 0;
    for token in tokens {
        let position = position_of(token.span);
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => {
                if levels.len() > NESTING_MAX {
                    return Err(too_deep("brackets nested", NESTING_MAX, position));
                }
                // An opening bracket also lengthens the chain it stands in: f(1)(2)(3), a[1][2].
                count_operator(&mut levels, position)?;
                levels.push(Level::default());
            }
            Token::RParen | Token::RBracket | Token::RBrace if levels.len() > 1 => {
                levels.pop();
            }
            Token::Word(word) => {
                if word.keyword != Keyword::NoKeyword && word.keyword == last_word {
                    repeated += 1;
                    if repeated > REPEATED_WORDS_MAX {
                        let what = "the same keyword repeated";
                        return Err(too_deep(what, REPEATED_WORDS_MAX, position));
                    }
                } else {
                    repeated = 0;
                }
                last_word = word.keyword;
                if is_isnull(&token.token) {
                    count_operator(&mut levels, position)?;
                }
                count_word(&mut levels, word.keyword, position)?;
                continue;
            }
            Token::Comma => reset(&mut levels),
            Token::Lt => count_angle(&mut levels, position)?,
            Token::Gt | Token::ShiftRight => {
                if let Some(level) = levels.last_mut() {
                    level.angles = level.angles.saturating_sub(1);
                }
                count_operator(&mut levels, position)?;
            }
            Token::VerticalBarRightAngleBracket => count_set_operator(&mut levels, position)?,
            Token::Number(..)
            | Token::Placeholder(_)
            | Token::SingleQuotedString(_)
            | Token::Period => {}
            _ => count_operator(&mut levels, position)?,
        }
        last_word = Keyword::NoKeyword;
    }
    Ok(())
}

fn count_word(
    levels: &mut [Level],
    keyword: Keyword,
    position: Option<Position>,
) -> Result<(), SqlError> {
    match keyword {
        Keyword::SELECT
        | Keyword::FROM
        | Keyword::WHERE
        | Keyword::HAVING
        | Keyword::BY
        | Keyword::ON
        | Keyword::SET
        | Keyword::VALUES
        | Keyword::WHEN
        | Keyword::THEN
        | Keyword::ELSE => {
            reset(levels);
            Ok(())
        }
        Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
            count_set_operator(levels, position)
        }
        Keyword::AND
        | Keyword::OR
        | Keyword::XOR
        | Keyword::NOT
        | Keyword::IS
        | Keyword::NOTNULL
        | Keyword::IN
        | Keyword::LIKE
        | Keyword::ILIKE
        | Keyword::RLIKE
        | Keyword::REGEXP
        | Keyword::SIMILAR
        | Keyword::BETWEEN
        | Keyword::DIV
        | Keyword::COLLATE
        | Keyword::AT
        | Keyword::INTERVAL
        | Keyword::CASE
        | Keyword::PRIOR
        | Keyword::OVERLAPS => count_operator(levels, position),
        _ => Ok(()),
    }
}

fn reset(levels: &mut [Level]) {
    if let Some(level) = levels.last_mut() {
        level.operators = 0;
    }
}

fn count_operator(levels: &mut [Level], position: Option<Position>) -> Result<(), SqlError> {
    let Some(level) = levels.last_mut() else { return Ok(()) };
    level.operators += 1;
    if level.operators > OPERATORS_MAX {
        return Err(too_deep("operators in one expression", OPERATORS_MAX, position));
    }
    Ok(())
}

fn count_set_operator(levels: &mut [Level], position: Option<Position>) -> Result<(), SqlError> {
    let Some(level) = levels.last_mut() else { return Ok(()) };
    level.operators = 0;
    level.set_operators += 1;
    if level.set_operators > SET_OPERATORS_MAX {
        return Err(too_deep(
            "UNION, EXCEPT and INTERSECT in one query",
            SET_OPERATORS_MAX,
            position,
        ));
    }
    Ok(())
}

/// `<` may open the item type of a nested type: types nest by recursion.
fn count_angle(levels: &mut [Level], position: Option<Position>) -> Result<(), SqlError> {
    count_operator(levels, position)?;
    let Some(level) = levels.last_mut() else { return Ok(()) };
    level.angles += 1;
    if level.angles > OPERATORS_MAX.min(NESTING_MAX * 4) {
        return Err(too_deep("'<' left open", NESTING_MAX * 4, position));
    }
    Ok(())
}

fn too_deep(what: &str, limit: usize, position: Option<Position>) -> SqlError {
    SqlError::Coded {
        state: SqlState::TooComplex,
        message: format!(
            "the statement is too complex: more than {limit} {what}, \
             use IN (…), VALUES or a join with a table instead"
        ),
        position,
    }
}
