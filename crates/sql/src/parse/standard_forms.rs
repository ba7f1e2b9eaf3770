//! Forms of the SQL standard and of PostgreSQL in expressions that sqlparser does not read:
//! BETWEEN SYMMETRIC, a list of subqueries after IN, session values without brackets, structs whose
//! first field is called as an ODBC literal.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DictionaryField, Expr, Function, FunctionArguments, ObjectName, UnaryOperator,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::parse::reader::is_word;

/// Words that are values of the session, with brackets after them or without.
const SESSION_VALUES: [&str; 2] = ["CURRENT_ROLE", "CURRENT_SCHEMA"];

/// The operand that begins here, when it is one of ours.
pub(super) fn operand(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let at = |place| &parser.peek_nth_token_ref(place).token;
    if matches!((at(0), at(1), at(2)), (Token::LBrace, Token::Word(_), Token::Colon)) {
        return Some(struct_literal(parser));
    }
    session_value(parser).map(Ok)
}

/// `{d: DATE '2025-01-01'}`: sqlparser takes the names `d`, `t` and `ts` for the beginnings of ODBC's
/// literals.
fn struct_literal(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LBrace)?;
    let fields = parser.parse_comma_separated(|parser| {
        let key = parser.parse_identifier()?;
        parser.expect_token(&Token::Colon)?;
        Ok(DictionaryField { key, value: Box::new(parser.parse_expr()?) })
    })?;
    parser.expect_token(&Token::RBrace)?;
    Ok(Expr::Dictionary(fields))
}

fn session_value(parser: &mut Parser<'_>) -> Option<Expr> {
    let token = parser.peek_token_ref();
    if !SESSION_VALUES.iter().any(|word| is_word(&token.token, word)) {
        return None;
    }
    if matches!(parser.peek_nth_token_ref(1).token, Token::LParen | Token::Period) {
        return None;
    }
    let Token::Word(word) = &token.token else { return None };
    let name = ObjectName::from(vec![word.clone().into_ident(token.span)]);
    parser.advance_token();
    Some(Expr::Function(Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

/// What follows `expr`, when it is a form of ours; `bound` is how tightly BETWEEN and IN bind.
pub(super) fn after(
    parser: &mut Parser<'_>,
    expr: &Expr,
    bound: u8,
) -> Option<Result<Expr, ParserError>> {
    let negated = is_word(&parser.peek_token_ref().token, "NOT");
    let first = usize::from(negated);
    let word = &parser.peek_nth_token_ref(first).token;
    let between = is_word(word, "BETWEEN") && is_symmetry(parser, first + 1);
    let list = is_word(word, "IN") && is_list_of_queries(parser, first + 1);
    if !between && !list {
        return None;
    }
    (0..=first).for_each(|_| parser.advance_token());
    Some(if between {
        self::between(parser, expr, negated, bound)
    } else {
        in_list(parser, expr, negated)
    })
}

fn is_symmetry(parser: &Parser<'_>, place: usize) -> bool {
    let token = &parser.peek_nth_token_ref(place).token;
    (is_word(token, "SYMMETRIC") || is_word(token, "ASYMMETRIC"))
        // It may also be a column's name.
        && !is_word(&parser.peek_nth_token_ref(place + 1).token, "AND")
}

/// `BETWEEN SYMMETRIC a AND b` holds between a and b and between b and a.
fn between(
    parser: &mut Parser<'_>,
    expr: &Expr,
    negated: bool,
    bound: u8,
) -> Result<Expr, ParserError> {
    let symmetric = is_word(&parser.peek_token_ref().token, "SYMMETRIC");
    parser.advance_token();
    let low = parser.parse_subexpr(bound)?;
    parser.expect_keyword_is(Keyword::AND)?;
    let high = parser.parse_subexpr(bound)?;
    let within = |low: &Expr, high: &Expr, negated| Expr::Between {
        expr: Box::new(expr.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    if !symmetric {
        return Ok(within(&low, &high, negated));
    }
    let either = Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(within(&low, &high, false)),
        op: BinaryOperator::Or,
        right: Box::new(within(&high, &low, false)),
    }));
    if !negated {
        return Ok(either);
    }
    let negation = Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(either) };
    Ok(Expr::Nested(Box::new(negation)))
}

/// Whether `((SELECT …), …` comes there: sqlparser takes the first of the list for all of it.
fn is_list_of_queries(parser: &Parser<'_>, place: usize) -> bool {
    let at = |place| &parser.peek_nth_token_ref(place).token;
    let begins = ["SELECT", "WITH", "VALUES", "FROM"];
    if !matches!((at(place), at(place + 1)), (Token::LParen, Token::LParen))
        || !begins.iter().any(|word| is_word(at(place + 2), word))
    {
        return false;
    }
    let mut depth = 0_usize;
    let mut after_first = false;
    for index in parser.index().. {
        match &parser.token_at(index).token {
            Token::EOF => return false,
            Token::Whitespace(_) => {}
            token if after_first => return !continues_query(token),
            Token::LParen => depth += 1,
            Token::RParen => {
                depth = depth.saturating_sub(1);
                after_first = depth == 1;
            }
            _ => {}
        }
    }
    false
}

/// Whether the token belongs to the query whose first part, or all of it, stood in brackets.
fn continues_query(token: &Token) -> bool {
    const WORDS: [&str; 8] =
        ["UNION", "EXCEPT", "INTERSECT", "MINUS", "ORDER", "LIMIT", "OFFSET", "FETCH"];
    *token == Token::RParen || WORDS.iter().any(|word| is_word(token, word))
}

fn in_list(parser: &mut Parser<'_>, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let list = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::InList { expr: Box::new(expr.clone()), list, negated })
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
    fn symmetric_ranges_hold_either_way() {
        for (sql, wanted) in [
            (
                "SELECT a BETWEEN SYMMETRIC 3 AND 1 AND b",
                "SELECT (a BETWEEN 3 AND 1 OR a BETWEEN 1 AND 3) AND b",
            ),
            (
                "SELECT a NOT BETWEEN SYMMETRIC b AND 1 OR c",
                "SELECT (NOT (a BETWEEN b AND 1 OR a BETWEEN 1 AND b)) OR c",
            ),
            ("SELECT a BETWEEN ASYMMETRIC 3 AND 1", "SELECT a BETWEEN 3 AND 1"),
            ("SELECT a BETWEEN 1 AND 3", "SELECT a BETWEEN 1 AND 3"),
        ] {
            assert_eq!(read(sql), wanted);
        }
    }

    #[test]
    fn subqueries_stand_in_lists() {
        for same in [
            "SELECT a IN ((SELECT 5), 2)",
            "SELECT a NOT IN ((SELECT 5) + 1, (SELECT 2)) FROM t",
            "SELECT a IN ((SELECT 5))",
            "SELECT a IN ((SELECT 5) UNION (SELECT 6))",
            "SELECT a IN (1, (SELECT 5))",
        ] {
            assert_eq!(read(same), same);
        }
    }

    #[test]
    fn fields_of_structs_may_be_called_as_odbc_literals() {
        for same in [
            "SELECT {d: DATE '2025-01-01'}",
            "SELECT {t: 1, ts: {d: 2}}",
            "SELECT {x: TIMESTAMP '2025-01-01 10:00:00', 'd': 1}",
        ] {
            assert_eq!(read(same), same);
        }
    }

    #[test]
    fn on_conflict_follows_a_select_without_from() {
        let sql = "INSERT INTO t SELECT 1, 'a' ON CONFLICT (id) DO NOTHING";
        let Statement::Insert(insert) = crate::parse(sql).unwrap().remove(0).statement else {
            panic!("it is no INSERT");
        };
        assert!(insert.on_conflict.is_some());
        assert_eq!(read("SELECT 1 on"), "SELECT 1 AS on");
    }
}
