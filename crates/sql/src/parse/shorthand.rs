//! Ways of writing a query that sqlparser does not read, brought into its form token by token:
//!
//! ```text
//!  FROM t WHERE …             ──►   SELECT * FROM t WHERE …
//!  SELECT a, b, FROM t        ──►   SELECT a, b FROM t
//!  WITH w AS MATERIALIZED (…) ──►   WITH w AS (…)
//!  trim(LEADING FROM x)       ──►   trim(LEADING x)
//! ```

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::parse::reader::is_word;

/// Words after which FROM begins a query.
const BEFORE_QUERY: [&str; 5] = ["ALL", "DISTINCT", "EXCEPT", "INTERSECT", "UNION"];
const SET_OPERATORS: [&str; 3] = ["EXCEPT", "INTERSECT", "UNION"];
/// Words that end a select list, or are a statement without one.
const NO_SELECT_LIST: [&str; 10] =
    ["DELETE", "FROM", "GROUP", "HAVING", "INSERT", "MERGE", "ORDER", "UPDATE", "VALUES", "WHERE"];
/// EXPLAIN and its options: FROM begins a query after them, too.
const EXPLAIN: [&str; 4] = ["EXPLAIN", "ANALYZE", "VERBOSE", "PLAN"];

/// Rewrites the tokens of one statement.
pub(crate) fn write_out(tokens: &mut Vec<TokenWithSpan>) {
    let has = |word: &str| tokens.iter().any(|token| is_word(&token.token, word));
    if !has("FROM") && !has("MATERIALIZED") && !has("SELECT") {
        return;
    }
    let given = std::mem::take(tokens);
    let mut scopes = vec![Scope::default()];
    for (place, token) in given.iter().enumerate() {
        if is_left_out(&given, place, &scopes) {
            continue;
        }
        if begins_query(&given, place, &scopes) && !selects(&given, place) {
            let word =
                Word { value: String::from("SELECT"), quote_style: None, keyword: Keyword::SELECT };
            let added = [Token::Word(word), Token::Mul];
            let span = token.span;
            tokens.extend(added.map(|token| TokenWithSpan { token, span }));
        }
        note(&token.token, &mut scopes);
        tokens.push(token.clone());
    }
}

/// What stands between a pair of brackets, or outside all of them.
#[derive(Default)]
struct Scope {
    /// Nothing but WITH and EXPLAIN has come in it so far.
    fresh: bool,
    /// Its first word is WITH.
    with: bool,
    /// What comes is the select list.
    in_select: bool,
    tokens: usize,
}

fn note(token: &Token, scopes: &mut Vec<Scope>) {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => {
            if let Some(scope) = scopes.last_mut() {
                scope.tokens += 1;
            }
            scopes.push(Scope::default());
            return;
        }
        Token::RParen | Token::RBracket | Token::RBrace if scopes.len() > 1 => {
            scopes.pop();
            return;
        }
        _ => {}
    }
    let Some(scope) = scopes.last_mut() else { return };
    if scope.tokens == 0 {
        scope.with = is_word(token, "WITH");
        scope.fresh = scope.with || is_any(token, &EXPLAIN);
    } else if scope.fresh && !scope.with {
        scope.fresh = is_any(token, &EXPLAIN) || is_word(token, "WITH");
        scope.with = is_word(token, "WITH");
    }
    if is_word(token, "SELECT") {
        (scope.in_select, scope.fresh) = (true, false);
    } else if is_any(token, &NO_SELECT_LIST) {
        (scope.in_select, scope.fresh) = (false, false);
    }
    scope.tokens += 1;
}

/// Whether the token is one of those that the other form does without.
fn is_left_out(tokens: &[TokenWithSpan], place: usize, scopes: &[Scope]) -> bool {
    let at = |place: usize| tokens.get(place).map(|token| &token.token);
    let word = |place: usize, word| at(place).is_some_and(|token| is_word(token, word));
    let before = |n: usize| place.checked_sub(n);
    if word(place, "MATERIALIZED") && at(place + 1) == Some(&Token::LParen) {
        let negated = before(1).is_some_and(|before| word(before, "NOT"));
        return before(if negated { 2 } else { 1 }).is_some_and(|before| word(before, "AS"));
    }
    if word(place, "NOT") && word(place + 1, "MATERIALIZED") {
        return at(place + 2) == Some(&Token::LParen)
            && before(1).is_some_and(|before| word(before, "AS"));
    }
    if word(place, "FROM") {
        let side = |token: &Token| is_any(token, &["LEADING", "TRAILING", "BOTH"]);
        let sided = before(1).and_then(at).is_some_and(side);
        let open = before(if sided { 2 } else { 1 });
        let called = before(if sided { 3 } else { 2 });
        return open.and_then(at) == Some(&Token::LParen)
            && called.is_some_and(|called| word(called, "TRIM"));
    }
    at(place) == Some(&Token::Comma)
        && scopes.last().is_some_and(|scope| scope.in_select)
        && match at(place + 1) {
            None | Some(Token::RParen) => true,
            Some(token) => is_word(token, "FROM"),
        }
}

/// Whether the token is a FROM before which no SELECT has come.
fn begins_query(tokens: &[TokenWithSpan], place: usize, scopes: &[Scope]) -> bool {
    let is =
        |place: usize, word| tokens.get(place).is_some_and(|token| is_word(&token.token, word));
    let Some(scope) = scopes.last() else { return false };
    if !is(place, "FROM") {
        return false;
    }
    let Some(before) = place.checked_sub(1) else { return true };
    let Some(token) = tokens.get(before).map(|token| &token.token) else { return false };
    if scope.tokens == 0 {
        // `extract(FROM …)` and the like are calls.
        let called = before.checked_sub(1).and_then(|called| tokens.get(called));
        let called = called.map(|called| &called.token);
        return !matches!(called, Some(Token::Word(word)) if word.keyword == Keyword::NoKeyword);
    }
    let after_with = scope.with && *token == Token::RParen;
    scope.fresh && (after_with || is_any(token, &EXPLAIN))
        || is_any(token, &BEFORE_QUERY) && !is_distinct_from(tokens, before)
        || is(before, "AS") && is(0, "CREATE")
}

/// Whether the word belongs to `IS [NOT] DISTINCT FROM`, or is that of `SELECT DISTINCT`.
fn is_distinct_from(tokens: &[TokenWithSpan], place: usize) -> bool {
    let token = |place: usize| tokens.get(place).map(|token| &token.token);
    let Some(before) = place.checked_sub(1).and_then(token) else { return true };
    match token(place) {
        Some(word) if is_any(word, &["ALL", "DISTINCT"]) => !is_any(before, &SET_OPERATORS),
        _ => false,
    }
}

/// Whether SELECT follows in the query that the FROM at `place` begins.
fn selects(tokens: &[TokenWithSpan], place: usize) -> bool {
    let mut depth = 0_usize;
    for token in tokens.iter().skip(place) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return false,
            Token::RParen => depth -= 1,
            token if depth == 0 && is_any(token, &SET_OPERATORS) => return false,
            token if depth == 0 && is_word(token, "SELECT") => return true,
            _ => {}
        }
    }
    false
}

fn is_any(token: &Token, words: &[&str]) -> bool {
    words.iter().any(|word| is_word(token, word))
}

#[cfg(test)]
mod tests {
    use crate::Statement;

    fn read(sql: &str) -> String {
        match crate::parse(sql).unwrap().remove(0).statement {
            Statement::Query(query) => query.to_string(),
            Statement::Explain(explain) => match *explain.inner {
                Statement::Query(query) => query.to_string(),
                other => panic!("{} is no query", other.name()),
            },
            other => panic!("{} is no query", other.name()),
        }
    }

    #[test]
    fn from_alone_selects_all_columns() {
        for (sql, wanted) in [
            ("FROM t WHERE a > 1", "SELECT * FROM t WHERE a > 1"),
            ("FROM t", "SELECT * FROM t"),
            ("FROM t SELECT a WHERE b", "FROM t SELECT a WHERE b"),
            ("EXPLAIN FROM t LIMIT 1", "SELECT * FROM t LIMIT 1"),
            ("SELECT a IN (FROM u WHERE b) FROM t", "SELECT a IN (SELECT * FROM u WHERE b) FROM t"),
            (
                "WITH w AS (FROM t) FROM w ORDER BY 1",
                "WITH w AS (SELECT * FROM t) SELECT * FROM w ORDER BY 1",
            ),
            (
                "FROM t WHERE a UNION ALL FROM u",
                "SELECT * FROM t WHERE a UNION ALL SELECT * FROM u",
            ),
            ("SELECT a IS DISTINCT FROM b FROM t", "SELECT a IS DISTINCT FROM b FROM t"),
            ("SELECT extract(year FROM a) FROM t", "SELECT EXTRACT(YEAR FROM a) FROM t"),
        ] {
            assert_eq!(read(sql), wanted);
        }
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        for (sql, wanted) in [
            ("SELECT a, b, FROM t", "SELECT a, b FROM t"),
            ("SELECT (SELECT 1,), 2,", "SELECT (SELECT 1), 2"),
            (
                "WITH w AS MATERIALIZED (SELECT 1) SELECT * FROM w",
                "WITH w AS (SELECT 1) SELECT * FROM w",
            ),
            (
                "WITH w (a) AS NOT MATERIALIZED (SELECT 1) SELECT * FROM w",
                "WITH w (a) AS (SELECT 1) SELECT * FROM w",
            ),
            ("SELECT trim(LEADING FROM a)", "SELECT TRIM(LEADING a)"),
            ("SELECT trim(FROM a)", "SELECT TRIM(a)"),
            ("SELECT trim(BOTH 'x' FROM a)", "SELECT TRIM(BOTH 'x' FROM a)"),
        ] {
            assert_eq!(read(sql), wanted);
        }
        for sql in ["SELECT a FROM t WHERE b IN (1,)", "VALUES (1,)", "SELECT f(a,) FROM t"] {
            assert!(crate::parse(sql).is_err(), "{sql}");
        }
    }
}
