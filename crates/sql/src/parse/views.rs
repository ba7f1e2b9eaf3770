//! CREATE VIEW and DROP VIEW.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::parse::definitions::CreateView;
use crate::parse::dispatch::query;
use crate::parse::reader::{Reader, is_word};
use crate::parse::statement::Statement;

/// True when, after CREATE, a view's definition begins.
pub(crate) fn is_create_view(reader: &Reader<'_>) -> bool {
    let replaces = reader.peek_word("OR") && is_word(reader.peek_nth(1), "REPLACE");
    is_word(reader.peek_nth(if replaces { 2 } else { 0 }), "VIEW")
}

/// `CREATE [OR REPLACE] VIEW [IF NOT EXISTS] v [(columns)] [COMMENT 'c'] AS query`, after CREATE.
pub(crate) fn create_view(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let start = reader.position();
    let or_replace = reader.eat_words(&["OR", "REPLACE"]);
    reader.expect_word("VIEW")?;
    let if_not_exists = reader.if_not_exists();
    if or_replace && if_not_exists {
        return Err(SqlError::invalid("OR REPLACE and IF NOT EXISTS exclude each other").at(start));
    }
    let name = reader.table_name()?;
    let mut columns = Vec::new();
    if reader.eat(&Token::LParen) {
        loop {
            columns.push(reader.name("a column name")?);
            if !reader.eat(&Token::Comma) {
                break;
            }
        }
        reader.expect(&Token::RParen)?;
    }
    let comment = if reader.eat_word("COMMENT") {
        reader.eat(&Token::Eq);
        Some(reader.string("the comment as a string literal")?)
    } else {
        None
    };
    if reader.peek_word("WITH") {
        return Err(reader.unsupported("an option of a view", "leave WITH out"));
    }
    reader.expect_word("AS")?;
    let query_begins = reader.position();
    let query = only_query(reader)?;
    if reader.peek_word("WITH") {
        return Err(reader.unsupported("WITH … after a view's query", "leave it out"));
    }
    let text = String::new();
    Ok(Statement::CreateView(Box::new(CreateView {
        name,
        or_replace,
        if_not_exists,
        columns,
        comment,
        query,
        query_begins,
        text,
    })))
}

/// A query and nothing else, in a statement that keeps it or stores its rows.
pub(crate) fn only_query(reader: &mut Reader<'_>) -> Result<Box<ast::Query>, SqlError> {
    let position = reader.position();
    let begins = matches!(reader.peek(), Token::LParen)
        || ["SELECT", "WITH", "VALUES", "FROM", "TABLE"].iter().any(|word| reader.peek_word(word));
    if !begins {
        return Err(reader.expected("a query"));
    }
    match query(reader)? {
        Statement::Query(query) => Ok(query),
        other => Err(SqlError::unsupported(
            format!("{} in the place of a query", other.name()),
            "write SELECT or VALUES",
        )
        .at(position)),
    }
}

/// `DROP VIEW [IF EXISTS] v [CASCADE | RESTRICT]`, after VIEW.
pub(crate) fn drop_view(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let if_exists = reader.if_exists();
    let name = reader.table_name()?;
    let cascade = reader.cascade();
    if matches!(reader.peek(), Token::Comma) {
        return Err(reader.unsupported("DROP VIEW of several views", "drop them one by one"));
    }
    Ok(Statement::DropView { name, if_exists, cascade })
}

/// `TRUNCATE [TABLE] [ONLY] t [, [ONLY] t …] [CONTINUE IDENTITY] [CASCADE | RESTRICT]`.
pub(crate) fn truncate(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect_word("TRUNCATE")?;
    before_name(reader, "TABLE");
    let mut tables = Vec::new();
    loop {
        before_name(reader, "ONLY");
        tables.push(reader.table_name()?);
        if !reader.eat(&Token::Comma) {
            break;
        }
    }
    if reader.peek_word("WHERE") {
        return Err(reader.unsupported("TRUNCATE … WHERE", "use DELETE FROM"));
    }
    if reader.peek_word("RESTART") {
        let advice = "generated numbers are never given twice, leave it out";
        return Err(reader.unsupported("TRUNCATE … RESTART IDENTITY", advice));
    }
    reader.eat_words(&["CONTINUE", "IDENTITY"]);
    // No rows of other tables hang on a table's.
    reader.cascade();
    Ok(Statement::Truncate { tables })
}

/// Takes a word that may stand before a table's name; a table may itself be called so.
fn before_name(reader: &mut Reader<'_>, word: &str) {
    if reader.peek_word(word) && matches!(reader.peek_nth(1), Token::Word(_)) {
        reader.next();
    }
}
