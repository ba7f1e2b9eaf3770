//! SHOW and DESCRIBE.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::parse::reader::{Reader, is_word};
use crate::parse::settings;
use crate::parse::statement::Statement;

/// `SHOW NAMESPACES | TABLES [IN ns] | VIEWS [IN ns] | COLUMNS FROM t | CREATE TABLE t | STATS FOR TABLE t |
/// FUNCTIONS | USERS | ALL | setting`, lists of names with `[LIKE 'pattern']`.
pub(crate) fn show(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect_word("SHOW")?;
    let Some(word) = reader.peek_any_word() else {
        return Err(reader.expected(
            "NAMESPACES, TABLES, VIEWS, COLUMNS, CREATE TABLE, STATS, FUNCTIONS, USERS, ALL or a \
             setting",
        ));
    };
    match word.as_str() {
        "NAMESPACES" | "SCHEMAS" | "DATABASES" => {
            reader.next();
            Ok(Statement::ShowNamespaces { like: like(reader)? })
        }
        "USERS" => {
            reader.next();
            Ok(Statement::ShowUsers)
        }
        "TABLES" => {
            reader.next();
            let namespace = namespace(reader)?;
            Ok(Statement::ShowTables { namespace, all: false, like: like(reader)? })
        }
        "VIEWS" => {
            reader.next();
            Ok(Statement::ShowViews { namespace: namespace(reader)?, like: like(reader)? })
        }
        "COLUMNS" => {
            reader.next();
            if !reader.eat_word("FROM") && !reader.eat_word("IN") {
                return Err(reader.expected("FROM and a table name"));
            }
            Ok(Statement::Describe { table: reader.table_name()? })
        }
        "CREATE" => {
            reader.next();
            if !reader.eat_word("VIEW") {
                reader.expect_word("TABLE")?;
            }
            Ok(Statement::ShowCreateTable { table: reader.table_name()? })
        }
        "ALL" => {
            reader.next();
            if reader.eat_word("TABLES") {
                return Ok(Statement::ShowTables {
                    namespace: None,
                    all: true,
                    like: like(reader)?,
                });
            }
            Ok(Statement::ShowSettings)
        }
        "FUNCTIONS" => {
            reader.next();
            Ok(Statement::ShowFunctions { like: like(reader)? })
        }
        "STATS" => {
            reader.next();
            if reader.eat_word("FOR") {
                reader.expect_word("TABLE")?;
            } else {
                reader.eat_word("TABLE");
            }
            Ok(Statement::ShowStats { table: reader.table_name()? })
        }
        "INDEXES" | "STATUS" | "VARIABLES" => {
            Err(reader.unsupported(&format!("SHOW {word}"), "look into information_schema"))
        }
        _ => Ok(Statement::ShowSetting { setting: settings::setting(reader)? }),
    }
}

/// `IN ns`, when it comes next.
fn namespace(reader: &mut Reader<'_>) -> Result<Option<String>, SqlError> {
    if !reader.eat_word("IN") && !reader.eat_word("FROM") {
        return Ok(None);
    }
    reader.namespace_name().map(Some)
}

/// `LIKE 'pattern'`, when it comes next.
fn like(reader: &mut Reader<'_>) -> Result<Option<String>, SqlError> {
    if !reader.eat_word("LIKE") {
        return Ok(None);
    }
    reader.string("a pattern as a string literal").map(Some)
}

/// `DESCRIBE | DESC [TABLE] t [HISTORY]`.
pub(crate) fn describe(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.next();
    for word in ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"] {
        if reader.peek_word(word) {
            let what = format!("DESCRIBE of {word}");
            return Err(reader.unsupported(&what, "use EXPLAIN"));
        }
    }
    // A table may itself be called "table".
    let word_comes = is_word(reader.peek(), "TABLE");
    if word_comes && !matches!(reader.peek_nth(1), Token::EOF | Token::Period) {
        reader.next();
    }
    let table = reader.table_name()?;
    if reader.eat_word("HISTORY") {
        return Ok(Statement::DescribeHistory { table });
    }
    Ok(Statement::Describe { table })
}
