//! Which lexical and syntactic liberties we allow: sqlparser's generic dialect, less what would
//! read ordinary SQL differently from what its writer meant.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

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
    fn parse_prefix(&self, _parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let left = self.operands_left.get().checked_sub(1);
        self.operands_left.set(left.unwrap_or(0));
        if left.is_some() { None } else { Some(Err(ParserError::RecursionLimitExceeded)) }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::Arrow | Token::LongArrow | Token::HashArrow | Token::HashLongArrow => {
                Some(Ok(JSON_PRECEDENCE))
            }
            _ => None,
        }
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
