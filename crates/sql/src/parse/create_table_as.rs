//! CREATE TABLE … AS query, and CREATE TABLE … LIKE another.

use std::collections::HashSet;

use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Token;
use kalamdb_commons::{TableOptions, TableType};

use crate::TableName;
use crate::error::SqlError;
use crate::parse::create_table::{Tail, key_columns};
use crate::parse::definitions::{CreateTable, CreateTableAs, CreateTableLike};
use crate::parse::names::quote_name;
use crate::parse::reader::{Reader, is_word};
use crate::parse::statement::Statement;
use crate::parse::views::only_query;

/// What stands before the columns of a CREATE TABLE.
pub(crate) struct Head {
    pub(crate) name: TableName,
    pub(crate) if_not_exists: bool,
    pub(crate) written_type: Option<TableType>,
}

/// True when the rest of a CREATE TABLE has AS outside of brackets.
pub(crate) fn takes_query(reader: &mut Reader<'_>) -> Result<bool, SqlError> {
    let mut found = false;
    reader.parse_with(|parser| {
        // Always put back to where it stands: an error says so.
        parser.maybe_parse(|parser| -> Result<(), ParserError> {
            let mut depth = 0_usize;
            loop {
                match parser.next_token().token {
                    Token::EOF => break,
                    Token::LParen => depth += 1,
                    Token::RParen => depth = depth.saturating_sub(1),
                    token if depth == 0 && is_word(&token, "AS") => {
                        found = true;
                        break;
                    }
                    _ => {}
                }
            }
            Err(ParserError::ParserError(String::new()))
        })
    })?;
    Ok(found)
}

/// `[(names [, PRIMARY KEY (…)])] [PRIMARY KEY (…)] [COMMENT …] [WITH (…)] AS query
/// [WITH [NO] DATA]`.
pub(crate) fn create_table_as(
    reader: &mut Reader<'_>,
    head: Head,
    tail: impl Fn(&mut Reader<'_>, Option<TableType>) -> Result<Tail, SqlError>,
) -> Result<Statement, SqlError> {
    let start = reader.position();
    let (mut columns, mut primary_key) = (Vec::new(), Vec::new());
    if reader.eat(&Token::LParen) {
        loop {
            if reader.eat_words(&["PRIMARY", "KEY"]) {
                set_key(&mut primary_key, key_columns(reader)?).map_err(|e| e.at(start))?;
            } else {
                let name = column_name(reader)?;
                if reader.eat_words(&["PRIMARY", "KEY"]) {
                    let key = vec![name.clone()];
                    set_key(&mut primary_key, key).map_err(|e| e.at(start))?;
                }
                columns.push(name);
            }
            if !reader.eat(&Token::Comma) {
                break;
            }
        }
        reader.expect(&Token::RParen)?;
    }
    if reader.eat_words(&["PRIMARY", "KEY"]) {
        set_key(&mut primary_key, key_columns(reader)?).map_err(|e| e.at(start))?;
    }
    let tail = tail(reader, head.written_type)?;
    let table_type = tail.table_type(head.written_type).map_err(|error| error.at(start))?;
    if table_type == TableType::Stream {
        let advice = "create the stream, then INSERT … SELECT";
        return Err(SqlError::unsupported("CREATE STREAM TABLE … AS", advice).at(start));
    }
    reader.expect_word("AS")?;
    let query = only_query(reader)?;
    let with_data = !reader.eat_words(&["WITH", "NO", "DATA"]);
    if with_data {
        reader.eat_words(&["WITH", "DATA"]);
    }
    Ok(Statement::CreateTableAs(Box::new(CreateTableAs {
        name: head.name,
        if_not_exists: head.if_not_exists,
        table_type,
        columns,
        primary_key,
        options: tail.options.options,
        comment: tail.comment,
        query,
        with_data,
    })))
}

fn column_name(reader: &mut Reader<'_>) -> Result<String, SqlError> {
    let name = reader.name("a column name")?;
    let ends =
        matches!(reader.peek(), Token::Comma | Token::RParen) || is_word(reader.peek(), "PRIMARY");
    if ends {
        return Ok(name);
    }
    let advice = "types come from the query, write CAST there";
    Err(reader.unsupported("a column definition before AS", advice))
}

fn set_key(key: &mut Vec<String>, columns: Vec<String>) -> Result<(), SqlError> {
    if !key.is_empty() {
        return Err(SqlError::invalid("the table has two primary keys, say which one it is"));
    }
    *key = columns;
    Ok(())
}

/// `LIKE source` or `(LIKE source [INCLUDING ALL])`.
pub(crate) fn create_table_like(
    reader: &mut Reader<'_>,
    head: Head,
) -> Result<Statement, SqlError> {
    let bracket = reader.eat(&Token::LParen);
    reader.expect_word("LIKE")?;
    let source = reader.table_name()?;
    if bracket {
        reader.eat_words(&["INCLUDING", "ALL"]);
        if reader.peek_word("INCLUDING") || reader.peek_word("EXCLUDING") {
            let advice = "columns, defaults and the key are copied together";
            return Err(reader.unsupported("a choice in LIKE", advice));
        }
        if matches!(reader.peek(), Token::Comma) {
            return Err(reader.unsupported("LIKE beside other columns", "write the columns out"));
        }
        reader.expect(&Token::RParen)?;
    }
    Ok(Statement::CreateTableLike(Box::new(CreateTableLike {
        name: head.name,
        if_not_exists: head.if_not_exists,
        table_type: head.written_type,
        source,
    })))
}

impl CreateTableAs {
    /// The table for a query whose result is `schema`.
    ///
    /// # Errors
    /// As [`CreateTable::for_schema`]; more or fewer names than columns, key columns that are
    /// none of them.
    pub fn definition(&self, schema: &Schema) -> Result<CreateTable, SqlError> {
        let given = schema.fields().len();
        if !self.columns.is_empty() && self.columns.len() != given {
            return Err(SqlError::invalid(format!(
                "{} column names are given for a query of {given} columns",
                self.columns.len()
            )));
        }
        let mut fields = Vec::with_capacity(given);
        let mut seen = HashSet::with_capacity(given);
        for (position, field) in schema.fields().iter().enumerate() {
            let name = self.columns.get(position).unwrap_or_else(|| field.name());
            if !seen.insert(name.clone()) {
                return Err(SqlError::invalid(format!(
                    "column {} would stand twice in the table, give one of them another name \
                     with AS",
                    quote_name(name)
                )));
            }
            fields.push(field.as_ref().clone().with_name(name));
        }
        let mut table = CreateTable::for_schema(self.name.clone(), &Schema::new(fields))?;
        for column in &mut table.columns {
            column.nullable = !self.primary_key.contains(&column.name);
        }
        table.if_not_exists = self.if_not_exists;
        table.table_type = self.table_type;
        table.primary_key.clone_from(&self.primary_key);
        table.options = TableOptions::clone(&self.options);
        table.comment.clone_from(&self.comment);
        crate::parse::check_create_table(&table)?;
        Ok(table)
    }
}
