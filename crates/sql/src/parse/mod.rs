//! SQL text → statements: tokens, parameters, bounds, then our grammar.

mod alter_table;
mod column_types;
mod comments;
mod complexity;
mod constraints;
mod create_table;
mod create_table_as;
mod default_values;
mod definitions;
mod dialect;
mod dispatch;
mod dml;
mod explain;
mod insert_target;
mod literal_tokens;
mod locate;
mod merge;
mod names;
mod namespaces;
mod on_conflict;
mod options;
mod placeholders;
mod query_guard;
mod reader;
mod refused_forms;
mod row_subquery;
mod settings;
mod shorthand;
mod show;
mod show_create_table;
mod split;
mod standard_forms;
mod statement;
mod stream_tables;
mod table_checks;
mod users;
mod views;

#[cfg(test)]
mod tests;

pub use column_types::{column_type_from_ast, parse_column_type};
pub use complexity::{OPERATORS_MAX, SET_OPERATORS_MAX};
pub use constraints::check_expression;
pub(crate) use constraints::{added_check, columns_of_check, renamed_in_check};
pub use default_values::{DEFAULT_FUNCTIONS, is_default_keyword, parse_default};
pub use definitions::{
    AlterAction, AlterOperation, AlterTable, CommentObject, CreateTable, CreateTableAs,
    CreateTableLike, CreateView, NamespaceChange, NewColumn,
};
pub use locate::find_in_text;
pub use merge::{MergeAction, MergeClause, MergeMatching, MergeStatement};
pub use names::{
    CATALOG_NAME, TableName, check_catalog, check_new_name, not_found, quote_name, stored_name,
};
pub use placeholders::PARAMETERS_MAX;
pub use query_guard::{PLAN_TABLES_MAX, TABLES_PER_SELECT_MAX};
pub use reader::NESTING_MAX;
pub use show_create_table::{show_create_table, show_create_view};
pub use statement::{
    AlterUser, Assignment, ConflictAction, CreateUser, DeleteStatement, Explain, ExplainFormat,
    InsertSource, InsertStatement, OnConflict, ParsedStatement, Password, SessionSetting,
    Statement, UpdateStatement,
};
pub(crate) use stream_tables::no_files;
pub use table_checks::check_create_table;
pub use users::parse_statement_timeout;

use datafusion::sql::sqlparser::ast;
use kalamdb_commons::limits::SQL_BYTES_MAX;

use crate::error::SqlError;
use crate::parse::dialect::KalamDialect;

/// Parses the query of a view, as it was stored.
///
/// # Errors
/// When it is no single query any more.
pub(crate) fn parse_view_query(sql: &str) -> Result<Box<ast::Query>, SqlError> {
    let mut statements = parse(sql)?;
    match (statements.pop().map(|parsed| parsed.statement), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => Ok(query),
        _ => Err(SqlError::invalid("the text is no query")),
    }
}

/// Parses a text of one or more statements, separated by `;`.
///
/// # Errors
/// A text without a statement, a text over [`SQL_BYTES_MAX`], anything our grammar does not
/// know, and statements that are known but not offered (`ErrorKind::Unsupported`).
pub fn parse(sql: &str) -> Result<Vec<ParsedStatement>, SqlError> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(SqlError::TooLarge {
            what: "the SQL text in bytes",
            limit: SQL_BYTES_MAX,
            advice: "use parameters or ingest for data",
        });
    }
    let mut statements = Vec::new();
    for mut part in split::split(sql)? {
        complexity::check_complexity(&part.tokens)?;
        refused_forms::refuse(&mut part.tokens)?;
        let parameter_count = placeholders::number_parameters(&mut part.tokens)?;
        let frame_parameters = placeholders::in_frames(&part.tokens);
        let alias = insert_target::take_alias(&mut part.tokens);
        shorthand::write_out(&mut part.tokens);
        let dialect = KalamDialect::for_tokens(part.tokens.len());
        let begins = part.tokens.first().map(|token| token.span.start);
        let mut reader = reader::Reader::new(&dialect, part.tokens);
        let mut statement = dispatch::statement(&mut reader)
            .and_then(|statement| reader.expect_end().map(|()| statement))
            .map_err(|error| locate::sharpen(error, sql, part.start))?;
        if let Statement::CreateView(view) = &mut statement {
            view.text = split::text_from(&part.text, begins, view.query_begins);
        }
        if let Some(alias) = alias {
            insert_target::set_alias(&mut statement, alias)?;
        }
        dispatch::check_parameters(&statement, parameter_count)?;
        let (text, start) = (part.text, part.start);
        let parsed = ParsedStatement { statement, text, start, parameter_count, frame_parameters };
        statements.push(parsed);
    }
    if statements.is_empty() {
        return Err(SqlError::Syntax {
            message: "the text holds no statement".to_owned(),
            position: None,
        });
    }
    Ok(statements)
}
