//! Where in a statement's text a name stands that an error speaks of. Looked for only when there
//! is an error; when several places could be meant, none is told.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use kalamdb_commons::SqlState;

use crate::error::{ObjectKind, Position, SqlError};
use crate::parse::reader::{is_word, position_of};
use crate::parse::split::split;
use crate::parse::statement::ParsedStatement;
use crate::sought::Sought;

/// Words before the name of a table.
const BEFORE_TABLES: [&str; 9] =
    ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "EXISTS", "DESCRIBE", "DESC", "LATERAL"];

/// The place of `sought` in the text the statement came with. Of several places the one that
/// `hint`, a place the planner named, confirms; without one, none.
pub fn find_in_text(
    statement: &ParsedStatement,
    sought: &Sought,
    hint: Option<Position>,
) -> Option<Position> {
    let tokens = split(&statement.text).ok()?.into_iter().next()?.tokens;
    let places: Vec<Position> = places(&tokens, sought)
        .into_iter()
        .map(|place| from_start(place, statement.start))
        .collect();
    match (hint, places.as_slice()) {
        (Some(hint), _) if places.contains(&hint) => Some(hint),
        (_, [only]) => Some(*only),
        _ => None,
    }
}

/// A place in a part of a text as a place in the text.
fn from_start(place: Position, start: Position) -> Position {
    let column = if place.line == 1 { place.column + start.column - 1 } else { place.column };
    Position { line: place.line + start.line - 1, column }
}

/// Whether the number, with the sign before it, is the value.
fn is_number(tokens: &[TokenWithSpan], at: usize, digits: &str, value: &str) -> bool {
    match value.strip_prefix('-') {
        Some(unsigned) => {
            digits == unsigned
                && at.checked_sub(1).and_then(|at| token(tokens, at)) == Some(&Token::Minus)
        }
        None => digits == value,
    }
}

fn places(tokens: &[TokenWithSpan], sought: &Sought) -> Vec<Position> {
    let found = |matches: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..tokens.len()).filter(|at| matches(*at)).collect()
    };
    let at = match sought {
        Sought::Operator(operator) => found(&|at| {
            token(tokens, at).is_some_and(|token| {
                token.to_string().eq_ignore_ascii_case(operator) && name_of(token).is_none()
                    || is_word(token, operator)
            })
        }),
        Sought::Words(words) => found(&|at| {
            let follows = |(n, word): (usize, &String)| {
                token(tokens, at + n).is_some_and(|token| is_word(token, word))
            };
            !words.is_empty() && words.iter().enumerate().all(follows)
        }),
        Sought::Name(name) => found(&|at| {
            let text = |token: &Token| match token {
                Token::SingleQuotedString(text) => Some(text.clone()),
                other => name_of(other),
            };
            token(tokens, at).and_then(text).is_some_and(|found| found == *name)
        }),
        Sought::Value(value) => found(&|at| {
            token(tokens, at).is_some_and(|token| match token {
                Token::SingleQuotedString(_) => token.to_string() == *value,
                Token::Number(digits, _) => is_number(tokens, at, digits, value),
                _ => false,
            })
        }),
        Sought::Function(name) => found(&|at| {
            let called = token(tokens, at + 1) == Some(&Token::LParen);
            called && has_name(tokens, at, name) && !is_table(tokens, at, false)
        }),
        Sought::Column(name) => columns(tokens, name, &found),
        Sought::Table(namespace, name) => {
            let all = found(&|at| {
                let qualified = match (before_period(tokens, at), namespace) {
                    (Some(written), Some(namespace)) => written == *namespace,
                    _ => true,
                };
                has_name(tokens, at, name) && qualified
            });
            let certain: Vec<usize> =
                all.iter().copied().filter(|at| is_table(tokens, *at, true)).collect();
            if certain.is_empty() { all } else { certain }
        }
    };
    at.into_iter().filter_map(|at| position_of(tokens.get(begin(tokens, at))?.span)).collect()
}

/// The places of the sought word that a condition holds for.
type Found<'a> = &'a dyn Fn(&dyn Fn(usize) -> bool) -> Vec<usize>;

/// Places of a column, which may be written `name` or `qualifier.name`.
fn columns(tokens: &[TokenWithSpan], sought: &str, found: Found<'_>) -> Vec<usize> {
    let is_column = |at: usize| {
        let called = token(tokens, at + 1) == Some(&Token::LParen) && !is_inserted_into(tokens, at);
        let qualifies = token(tokens, at + 1) == Some(&Token::Period);
        let alias = at.checked_sub(1).and_then(|at| token(tokens, at));
        let alias = alias.is_some_and(|token| is_word(token, "AS"));
        !called && !qualifies && !alias && !is_table(tokens, begin(tokens, at), true)
    };
    // A name may hold periods itself.
    let whole = found(&|at| has_name(tokens, at, sought) && is_column(at));
    let Some((qualifier, name)) = sought.rsplit_once('.').filter(|_| whole.is_empty()) else {
        return whole;
    };
    let qualifier = qualifier.rsplit_once('.').map_or(qualifier, |(_, last)| last);
    let bare = found(&|at| {
        has_name(tokens, at, name) && is_column(at) && before_period(tokens, at).is_none()
    });
    let qualified = found(&|at| {
        let written = before_period(tokens, at);
        has_name(tokens, at, name) && is_column(at) && written.as_deref() == Some(qualifier)
    });
    if qualified.is_empty() { bare } else { qualified }
}

/// The first token of the dotted name that ends at `at`.
fn begin(tokens: &[TokenWithSpan], mut at: usize) -> usize {
    while at >= 2 && before_period(tokens, at).is_some() {
        at -= 2;
    }
    at
}

/// Whether the token names a table: a word before it says so. A list in FROM does only count
/// where the name is not called.
fn is_table(tokens: &[TokenWithSpan], at: usize, with_reads: bool) -> bool {
    let Some(before) = begin(tokens, at).checked_sub(1).and_then(|at| token(tokens, at)) else {
        return false;
    };
    let words: &[&str] = if with_reads { &BEFORE_TABLES } else { &["INTO", "TABLE", "EXISTS"] };
    words.iter().any(|word| is_word(before, word))
}

fn is_inserted_into(tokens: &[TokenWithSpan], at: usize) -> bool {
    is_table(tokens, at, false)
}

fn token(tokens: &[TokenWithSpan], at: usize) -> Option<&Token> {
    tokens.get(at).map(|token| &token.token)
}

fn has_name(tokens: &[TokenWithSpan], at: usize, name: &str) -> bool {
    token(tokens, at).and_then(name_of).is_some_and(|found| found == name)
}

/// The name before a period before this token.
fn before_period(tokens: &[TokenWithSpan], at: usize) -> Option<String> {
    let period = at.checked_sub(1)?;
    if token(tokens, period) != Some(&Token::Period) {
        return None;
    }
    token(tokens, period.checked_sub(1)?).and_then(name_of)
}

/// A word in its stored form.
fn name_of(token: &Token) -> Option<String> {
    let Token::Word(word) = token else { return None };
    Some(if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() })
}

/// An error that was placed at the statement's beginning, or nowhere, placed at the words it is
/// about when they stand in the text once.
pub(super) fn sharpen(error: SqlError, sql: &str, start: Position) -> SqlError {
    let (what, advice, position) = match error {
        SqlError::Unsupported { what, advice, position } => (what, advice, position),
        SqlError::Coded { state: SqlState::DuplicateColumn, message, position } => {
            let second = second_place(sql, start, &message).or(position);
            return SqlError::Coded { state: SqlState::DuplicateColumn, message, position: second };
        }
        SqlError::Invalid { message, position: Some(_) } if message.contains("is no parameter") => {
            let position = place_of_sign(sql, start, &message);
            return SqlError::Coded { state: SqlState::UndefinedParameter, message, position };
        }
        SqlError::NotFound { object: ObjectKind::Column, ref name, .. } => {
            let position = declared_place(sql, start, name);
            let message = error.to_string();
            return SqlError::Coded { state: SqlState::UndefinedColumn, message, position };
        }
        SqlError::Coded { state, message, position: Some(_) } if declares(&message).is_some() => {
            let position = declares(&message).and_then(|name| declared_place(sql, start, &name));
            return SqlError::Coded { state, message, position };
        }
        SqlError::Invalid { message, position: Some(_) } if declares(&message).is_some() => {
            let position = declares(&message).and_then(|name| declared_place(sql, start, &name));
            return SqlError::Invalid { message, position };
        }
        other => return other,
    };
    if position.is_some_and(|position| position != start) {
        return SqlError::Unsupported { what, advice, position };
    }
    let clause = what.rsplit('…').next().unwrap_or_default();
    let clause = clause.split('/').next().unwrap_or_default().trim();
    let words = clause.split(' ').map(str::to_owned).collect();
    let sharper = place_of_words(sql, start, &Sought::Words(words));
    SqlError::Unsupported { what, advice, position: sharper.or(position) }
}

/// The column a message about its declaration names; such an error was placed at the word TABLE.
fn declares(message: &str) -> Option<String> {
    const FAULTS: [(&str, &str); 5] = [
        ("the column name ", " is reserved for"),
        ("column ", " cannot be a key:"),
        ("column ", " is NOT NULL with DEFAULT NULL"),
        ("column ", " stands twice in the key"),
        ("key column ", " must be NOT NULL"),
    ];
    let name = FAULTS.iter().find_map(|(before, after)| {
        let (name, _) = message.strip_prefix(before)?.split_once(after)?;
        Some(name)
    })?;
    Some(name.trim_matches('"').replace("\"\"", "\""))
}

/// Where a column is declared in a definition, or where its name stands when it does so once.
fn declared_place(sql: &str, start: Position, name: &str) -> Option<Position> {
    let tokens = split(sql).ok()?.into_iter().find(|part| part.start == start)?.tokens;
    let begins = |at: &usize| {
        let before = at.checked_sub(1).and_then(|at| token(&tokens, at));
        has_name(&tokens, *at, name) && matches!(before, Some(Token::Comma | Token::LParen))
    };
    let all = places(&tokens, &Sought::Column(name.to_owned()));
    match ((0..tokens.len()).find(begins), all.as_slice()) {
        (Some(at), _) => position_of(tokens.get(at)?.span),
        (None, [only]) => Some(*only),
        _ => None,
    }
}

/// Where a column's name in a message stands for the second time in a list of columns or of
/// assignments, when it stands there twice.
fn second_place(sql: &str, start: Position, message: &str) -> Option<Position> {
    let name = message.strip_prefix("column ")?.split(" is ").next()?;
    let name = name.trim_matches('"').replace("\"\"", "\"");
    let tokens = split(sql).ok()?.into_iter().find(|part| part.start == start)?.tokens;
    let begins = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| token(&tokens, at));
        before.is_some_and(|token| {
            matches!(token, Token::Comma | Token::LParen) || is_word(token, "SET")
        })
    };
    let places: Vec<usize> =
        (0..tokens.len()).filter(|at| has_name(&tokens, *at, &name) && begins(*at)).collect();
    match places.as_slice() {
        [_, second] => position_of(tokens.get(*second)?.span),
        _ => None,
    }
}

/// Where `:name` or `@name` of a message stands, when it does so once.
fn place_of_sign(sql: &str, start: Position, message: &str) -> Option<Position> {
    let written = message.strip_prefix('\'')?.split('\'').next()?;
    let tokens = split(sql).ok()?.into_iter().find(|part| part.start == start)?.tokens;
    let is_it = |at: &usize| {
        let whole = token(&tokens, *at).is_some_and(|token| token.to_string() == written);
        let sign = token(&tokens, *at).map(Token::to_string).unwrap_or_default();
        let name = token(&tokens, at + 1).map(Token::to_string).unwrap_or_default();
        whole || !sign.is_empty() && format!("{sign}{name}") == written
    };
    let places: Vec<usize> = (0..tokens.len()).filter(is_it).collect();
    match places.as_slice() {
        [only] => position_of(tokens.get(*only)?.span),
        _ => None,
    }
}

fn place_of_words(sql: &str, start: Position, words: &Sought) -> Option<Position> {
    let part = split(sql).ok()?.into_iter().find(|part| part.start == start)?;
    match places(&part.tokens, words).as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u64, column: u64) -> Position {
        Position { line, column }
    }

    fn found(sql: &str, sought: &Sought) -> Option<Position> {
        let statements = crate::parse(sql).unwrap();
        find_in_text(statements.last().unwrap(), sought, None)
    }

    #[test]
    fn places_are_those_of_the_text_that_was_sent() {
        let column = Sought::Column("nosuch".into());
        assert_eq!(found("SELECT nosuch FROM t", &column), Some(place(1, 8)));
        assert_eq!(found("SELECT 1; SELECT nosuch FROM t", &column), Some(place(1, 18)));
        assert_eq!(found("SELECT 1;\n\tSELECT 'ä', NoSuch", &column), Some(place(2, 14)));
        assert_eq!(found("SELECT ? ,\n  t.nosuch FROM t", &column), Some(place(2, 3)));
    }

    #[test]
    fn of_several_places_none_is_told_unless_one_is_confirmed() {
        let column = Sought::Column("a".into());
        let sql = "SELECT a, a FROM t";
        assert_eq!(found(sql, &column), None);
        let statement = crate::parse(sql).unwrap().remove(0);
        assert_eq!(find_in_text(&statement, &column, Some(place(1, 11))), Some(place(1, 11)));
        assert_eq!(find_in_text(&statement, &column, Some(place(1, 1))), None);
    }

    #[test]
    fn tables_functions_and_columns_of_one_name_are_told_apart() {
        let sql = "SELECT x(1), q.x FROM s.x JOIN y ON true";
        assert_eq!(found(sql, &Sought::Function("x".into())), Some(place(1, 8)));
        assert_eq!(found(sql, &Sought::Column("q.x".into())), Some(place(1, 14)));
        assert_eq!(found(sql, &Sought::table("s.x")), Some(place(1, 23)));
        assert_eq!(found(sql, &Sought::table("default.y")), Some(place(1, 32)));
        let insert = "INSERT INTO nosuch (a) VALUES (1)";
        assert_eq!(found(insert, &Sought::table("default.nosuch")), Some(place(1, 13)));
    }

    #[test]
    fn faults_of_a_definition_stand_at_the_column() {
        for (sql, message, column) in [
            (
                "CREATE TABLE x (a INT, _updated INT)",
                "the column name _updated is reserved for a system column, use another",
                24,
            ),
            (
                "CREATE TABLE x (id JSON PRIMARY KEY)",
                "column id cannot be a key: values of JSON have no order, use another type",
                17,
            ),
            ("CREATE TABLE x (a INT, PRIMARY KEY (foo))", "column 'foo' does not exist", 37),
            ("CREATE TABLE x (a INT, CHECK (1 < foo))", "column 'foo' does not exist", 35),
        ] {
            let error = crate::parse(sql).unwrap_err();
            assert_eq!(error.position(), Some(place(1, column)), "{sql}");
            assert_eq!(error.to_string(), format!("{message} (at line 1, column {column})"));
        }
    }

    #[test]
    fn operators_stand_where_they_are_written() {
        let sql = "SELECT a\n  AND b";
        assert_eq!(found(sql, &Sought::Operator("AND".into())), Some(place(2, 3)));
        assert_eq!(found("SELECT 1 + 'x'", &Sought::Operator("+".into())), Some(place(1, 10)));
    }
}
