//! Which lexical and syntactic liberties we allow: sqlparser's generic dialect, less what would
//! read ordinary SQL differently from what its writer meant.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::parse::standard_forms;

/// The dialect every text is read with. `?` is a parameter, never an operator; only `"…"` and
/// `` `…` `` quote names; `#` and `@` start no names; comments are comments, whatever they hold.
///
/// It also bounds the work of one statement. sqlparser reads a word such as CAST first as the
/// keyword and, when that fails, as a function's name, arguments included: a malformed
/// expression costs twice as much with every level it is nested. Well-formed SQL stays far below
/// the bound.
#[derive(Debug)]
pub(crate) struct KalamDialect {
    /// Operands that may still be begun.
    operands_left: Cell<usize>,
}

/// Operands begun for each token, and for a statement of no tokens.
const OPERANDS_PER_TOKEN: usize = 8;
const OPERANDS_LEAST: usize = 10_000;
/// How tightly the operators into JSON (`->`, `->>`, `#>`, `#>>`) bind: more than arithmetic, less
/// than a cast, so that `j ->> 'a' = 'x'` compares what was taken out of `j`.
const JSON_PRECEDENCE: u8 = 45;
/// `^` is a power and binds tighter than `*`, but not tighter than a sign: what a sign stands before
/// is read down to here.
const POWER: u8 = 40;
const PRODUCT: u8 = 39;
/// All operators that are no arithmetic: they are read from left to right.
const OTHER: u8 = 24;
/// BETWEEN, IN and LIKE bind tighter than comparisons.
const MEMBERSHIP: u8 = 21;
const COMPARISON: u8 = 20;
const IS: u8 = 17;

impl KalamDialect {
    /// The dialect for reading one statement of so many tokens.
    pub(crate) fn for_tokens(tokens: usize) -> Self {
        let operands = tokens.saturating_mul(OPERANDS_PER_TOKEN).saturating_add(OPERANDS_LEAST);
        Self { operands_left: Cell::new(operands) }
    }
}

macro_rules! supported {
    ($($method:ident),+ $(,)?) => {
        $(fn $method(&self) -> bool {
            true
        })+
    };
}

impl Dialect for KalamDialect {
    /// sqlparser asks for the generic dialect by type where it has no method to ask.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"' || ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    /// Called before every operand is read. The recursion error is the one that sqlparser does
    /// not answer with another attempt.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let left = self.operands_left.get().checked_sub(1);
        self.operands_left.set(left.unwrap_or(0));
        if left.is_none() {
            return Some(Err(ParserError::RecursionLimitExceeded));
        }
        standard_forms::operand(parser)
    }

    /// ON begins ON CONFLICT, it is no name for what a SELECT ends with.
    fn is_select_item_alias(&self, explicit: bool, word: &Keyword, parser: &mut Parser) -> bool {
        let conflict = *word == Keyword::ON && parser.peek_keyword(Keyword::CONFLICT);
        explicit || (!conflict && self.is_column_alias(word, parser))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::MulDivModOp => POWER,
            Precedence::Ampersand | Precedence::Caret | Precedence::Pipe | Precedence::PgOther => {
                OTHER
            }
            Precedence::Between | Precedence::Like => MEMBERSHIP,
            Precedence::Eq => COMPARISON,
            Precedence::Is => IS,
            other => GenericDialect {}.prec_value(other),
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.peek_token_ref().token {
            Token::Arrow | Token::LongArrow | Token::HashArrow | Token::HashLongArrow => {
                JSON_PRECEDENCE
            }
            Token::Caret => POWER,
            Token::Mul | Token::Div | Token::DuckIntDiv | Token::Mod => PRODUCT,
            Token::StringConcat
            | Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk => OTHER,
            token if is_isnull(token) => IS,
            _ => return None,
        };
        Some(Ok(precedence))
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if let Some(form) = standard_forms::after(parser, expr, MEMBERSHIP) {
            return Some(form);
        }
        let op = match &parser.peek_token_ref().token {
            Token::Caret => BinaryOperator::PGExp,
            Token::Sharp => BinaryOperator::PGBitwiseXor,
            token if is_isnull(token) => {
                parser.advance_token();
                return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
            }
            _ => return None,
        };
        parser.advance_token();
        let left = Box::new(expr.clone());
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| Expr::BinaryOp { left, op, right: Box::new(right) }))
    }

    supported!(
        allow_extract_custom,
        allow_extract_single_quotes,
        support_map_literal_syntax,
        supports_array_typedef_with_brackets,
        supports_bitwise_shift_operators,
        supports_comma_separated_trim,
        supports_dictionary_syntax,
        supports_extract_comma_syntax,
        supports_filter_during_aggregation,
        supports_from_first_select,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_interval_options,
        supports_left_associative_joins_without_parens,
        supports_limit_comma,
        supports_named_fn_args_with_assignment_operator,
        supports_nested_comments,
        supports_notnull_operator,
        supports_numeric_literal_underscores,
        supports_order_by_all,
        supports_parens_around_table_factor,
        supports_pipe_operator,
        supports_select_wildcard_except,
        supports_select_wildcard_exclude,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_select_wildcard_replace,
        supports_string_escape_constant,
        supports_struct_literal,
        supports_unicode_string_literal,
        supports_update_order_by,
        supports_values_as_table_factor,
        supports_window_clause_named_window_reference,
        supports_window_function_null_treatment_arg,
    );
}

/// Whether the token is the operator ISNULL, which is no keyword to the parser.
pub(crate) fn is_isnull(token: &Token) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression with all its brackets.
    fn bracketed(expr: &Expr) -> String {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                format!("({} {op} {})", bracketed(left), bracketed(right))
            }
            Expr::UnaryOp { op, expr } => format!("({op}{})", bracketed(expr)),
            Expr::Like { expr, pattern, .. } => {
                format!("({} LIKE {})", bracketed(expr), bracketed(pattern))
            }
            Expr::IsNull(expr) => format!("({} IS NULL)", bracketed(expr)),
            Expr::IsNotNull(expr) => format!("({} IS NOT NULL)", bracketed(expr)),
            other => other.to_string(),
        }
    }

    #[test]
    fn operators_bind_as_in_postgresql() {
        let cases = [
            ("2 * 3 ^ 2", "(2 * (3 ^ 2))"),
            ("2 ^ 3 ^ 2", "((2 ^ 3) ^ 2)"),
            ("-2 ^ 2", "((-2) ^ 2)"),
            ("10 ^ -2", "(10 ^ (-2))"),
            ("-a * b", "((-a) * b)"),
            ("5 | 3 & 2", "((5 | 3) & 2)"),
            ("1 # 2 << 3", "((1 # 2) << 3)"),
            ("'a' || 1 + 1", "('a' || (1 + 1))"),
            ("a || b = c || d", "((a || b) = (c || d))"),
            ("a LIKE 'x' || 'y' = b", "((a LIKE ('x' || 'y')) = b)"),
            ("a ~ 'x' = b", "((a ~ 'x') = b)"),
            ("a + 1 ISNULL AND b NOTNULL", "(((a + 1) IS NULL) AND (b IS NOT NULL))"),
            ("a = b ISNULL", "((a = b) IS NULL)"),
            ("j ->> 'a' = 'x'", "((j ->> 'a') = 'x')"),
        ];
        for (text, expected) in cases {
            let dialect = KalamDialect::for_tokens(20);
            let parser = Parser::new(&dialect).try_with_sql(text);
            let expr = parser.and_then(|mut parser| parser.parse_expr()).unwrap();
            assert_eq!(bracketed(&expr), expected, "{text}");
        }
    }
}
