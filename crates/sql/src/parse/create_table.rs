//! CREATE [USER | SHARED | STREAM] TABLE.

use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::tokenizer::Token;
use kalamdb_commons::limits::TABLE_COLUMNS_MAX;
use kalamdb_commons::{ColumnType, SqlState, TableDefinition, TableOptions, TableType};

use crate::TableName;
use crate::error::{Position, SqlError};
use crate::parse::column_types::declared_type;
use crate::parse::constraints::{Constraints, constraint_name, refuse_others};
use crate::parse::create_table_as::{Head, create_table_as, create_table_like, takes_query};
use crate::parse::default_values::default_clause;
use crate::parse::definitions::{CreateTable, NewColumn};
use crate::parse::names::quote_name;
use crate::parse::options;
use crate::parse::reader::{Reader, is_word};
use crate::parse::statement::Statement;
use crate::parse::stream_tables;
use crate::parse::table_checks::{check_create_table, too_many_columns};

/// True when, after CREATE, a table's definition begins. `CREATE USER TABLE` makes a USER table;
/// a user of that name is written `CREATE USER "table"`.
pub(crate) fn is_create_table(reader: &Reader<'_>) -> bool {
    let typed = ["USER", "SHARED", "STREAM"].iter().any(|word| reader.peek_word(word));
    is_word(reader.peek_nth(usize::from(typed)), "TABLE")
}

/// The rest of the statement after CREATE.
pub(crate) fn create_table(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let start = reader.position();
    let written_type = if reader.eat_word("SHARED") {
        Some(TableType::Shared)
    } else if reader.eat_word("USER") {
        Some(TableType::User)
    } else if reader.eat_word("STREAM") {
        Some(TableType::Stream)
    } else {
        None
    };
    reader.expect_word("TABLE")?;
    let if_not_exists = reader.if_not_exists();
    let name = reader.table_name()?;
    if reader.peek_word("CLONE") {
        let advice = "use CREATE TABLE … LIKE or CREATE TABLE … AS";
        return Err(reader.unsupported("CREATE TABLE … CLONE", advice));
    }
    let in_brackets = matches!(reader.peek(), Token::LParen)
        && is_word(reader.peek_nth(1), "LIKE")
        && matches!(reader.peek_nth(2), Token::Word(_));
    if reader.peek_word("LIKE") || in_brackets {
        return create_table_like(reader, Head { name, if_not_exists, written_type });
    }
    if takes_query(reader)? {
        return create_table_as(reader, Head { name, if_not_exists, written_type }, tail)
            .map_err(|error| error.at(start));
    }
    let Body { columns, primary_key, constraints } = body(reader)?;
    let checks = constraints.finish(&name.table, &columns, &primary_key)?;
    let tail = tail(reader, written_type)?;
    let mut table = CreateTable {
        name,
        if_not_exists,
        table_type: tail.table_type(written_type).map_err(|error| error.at(start))?,
        columns,
        primary_key,
        options: tail.options.options.clone(),
        comment: tail.comment,
        checks,
    };
    stream_tables::complete(&mut table, &tail.options).map_err(|error| error.at(start))?;
    let table = with_not_null_keys(table);
    check_create_table(&table).map_err(|error| error.at(start))?;
    Ok(Statement::CreateTable(Box::new(table)))
}

fn merge_types(
    written: Option<TableType>,
    option: Option<TableType>,
) -> Result<TableType, SqlError> {
    match (written, option) {
        (Some(written), Some(option)) if written != option => Err(SqlError::invalid(format!(
            "the table is {} by its statement and {} by its TYPE option, say it once",
            written.as_str(),
            option.as_str()
        ))),
        (written, option) => Ok(written.or(option).unwrap_or(TableType::Shared)),
    }
}

/// What stands between the table's brackets.
#[derive(Default)]
struct Body {
    columns: Vec<NewColumn>,
    primary_key: Vec<String>,
    constraints: Constraints,
}

fn body(reader: &mut Reader<'_>) -> Result<Body, SqlError> {
    reader.expect(&Token::LParen)?;
    let mut body = Body::default();
    loop {
        if matches!(reader.peek(), Token::RParen) {
            // A comma may stand after the last column.
            break;
        }
        if !constraint(reader, &mut body)? {
            column(reader, &mut body)?;
        }
        if body.columns.len() > TABLE_COLUMNS_MAX {
            return Err(too_many_columns());
        }
        if !reader.eat(&Token::Comma) {
            break;
        }
    }
    reader.expect(&Token::RParen)?;
    Ok(body)
}

/// A table constraint; false when a column comes next.
fn constraint(reader: &mut Reader<'_>, body: &mut Body) -> Result<bool, SqlError> {
    let name = constraint_name(reader)?;
    let position = reader.position();
    let bracket_follows = matches!(reader.peek_nth(1), Token::LParen);
    if reader.eat_words(&["PRIMARY", "KEY"]) {
        let columns = key_columns(reader)?;
        set_primary_key(body, columns).map_err(|error| error.at(position))?;
        return Ok(true);
    }
    if reader.peek_word("UNIQUE") && bracket_follows {
        reader.next();
        body.constraints.unique(key_columns(reader)?, position);
        return Ok(true);
    }
    if reader.peek_word("CHECK") && bracket_follows {
        reader.next();
        body.constraints.check(reader, name)?;
        return Ok(true);
    }
    if !reader.peek_word("REFERENCES") && !reader.peek_word("COLLATE") {
        refuse_others(reader)?;
    }
    if name.is_some() {
        return Err(reader.expected("PRIMARY KEY, UNIQUE or CHECK after the constraint's name"));
    }
    Ok(false)
}

/// `(a, b, …)`.
pub(crate) fn key_columns(reader: &mut Reader<'_>) -> Result<Vec<String>, SqlError> {
    reader.expect(&Token::LParen)?;
    let mut columns = vec![key_column(reader)?];
    while reader.eat(&Token::Comma) {
        columns.push(key_column(reader)?);
    }
    reader.expect(&Token::RParen)?;
    Ok(columns)
}

fn key_column(reader: &mut Reader<'_>) -> Result<String, SqlError> {
    let name = reader.name("a key column")?;
    if reader.peek_word("DESC") {
        return Err(reader.unsupported("a descending key", "keys are read in both directions"));
    }
    reader.eat_word("ASC");
    Ok(name)
}

fn set_primary_key(body: &mut Body, columns: Vec<String>) -> Result<(), SqlError> {
    if !body.primary_key.is_empty() {
        return Err(SqlError::coded(
            SqlState::InvalidTableDefinition,
            "the table has two primary keys, write PRIMARY KEY (a, b) for a key of two columns",
        ));
    }
    body.primary_key = columns;
    Ok(())
}

fn column(reader: &mut Reader<'_>, body: &mut Body) -> Result<(), SqlError> {
    let name = reader.name("a column name")?;
    let position = reader.position();
    let (column_type, length_max, mut column_default) =
        column_type_and_default(reader).map_err(|error| of_column(error, &name, position))?;
    let mut column = NewColumn {
        nullable: column_default.is_none(),
        length_max,
        ..NewColumn::new(name, column_type)
    };
    let mut null_written = false;
    loop {
        let position = reader.position();
        let constraint = constraint_name(reader)?;
        if reader.eat_words(&["NOT", "NULL"]) {
            column.nullable = false;
        } else if reader.eat_word("NULL") {
            null_written = true;
        } else if reader.eat_words(&["PRIMARY", "KEY"]) {
            set_primary_key(body, vec![column.name.clone()]).map_err(|e| e.at(position))?;
        } else if reader.eat_word("UNIQUE") {
            body.constraints.unique(vec![column.name.clone()], position);
        } else if reader.eat_word("CHECK") {
            body.constraints.check(reader, constraint)?;
        } else if reader.eat_word("DEFAULT") {
            if column_default.is_some() {
                return Err(
                    SqlError::coded(SqlState::Syntax, "the column has two defaults").at(position)
                );
            }
            column_default = Some(default_clause(reader)?);
        } else if is_generated(reader) {
            generated(reader, &column.column_type).map_err(|error| error.at(position))?;
            if column_default.replace(SERIAL_DEFAULT.to_owned()).is_some() {
                return Err(SqlError::invalid("the column has two defaults").at(position));
            }
        } else if reader.eat_word("COMMENT") {
            column.comment = Some(reader.string("the comment as a string literal")?);
        } else {
            refuse_others(reader)?;
            if constraint.is_some() {
                return Err(reader.expected("a constraint after its name"));
            }
            break;
        }
        if null_written && !column.nullable {
            return Err(SqlError::invalid(format!(
                "column {} is both NULL and NOT NULL, say one of them",
                quote_name(&column.name)
            ))
            .at(position));
        }
    }
    column.default = column_default;
    body.columns.push(column);
    Ok(())
}

/// The column that ALTER TABLE adds: its definition reads as in CREATE TABLE, constraints of the
/// table apart.
pub(crate) fn added_column(reader: &mut Reader<'_>) -> Result<NewColumn, SqlError> {
    let position = reader.position();
    let mut body = Body::default();
    column(reader, &mut body)?;
    let refused = |what: &str, advice: &str| Err(SqlError::unsupported(what, advice).at(position));
    if !body.primary_key.is_empty() {
        return refused(
            "ADD COLUMN … PRIMARY KEY",
            "rows are stored by their key: create a new table with it and fill it with INSERT … \
             SELECT",
        );
    }
    if body.constraints.has_unique() {
        return refused(
            "ADD COLUMN … UNIQUE",
            "only the primary key is unique, and it is given when the table is created",
        );
    }
    if !body.constraints.is_empty() {
        return refused(
            "ADD COLUMN with CHECK",
            "add the column first, then ALTER TABLE … ADD CHECK (…)",
        );
    }
    body.columns.pop().ok_or_else(|| reader.expected("a column name"))
}

/// The error with its place and the column, when it is about a type alone.
fn of_column(error: SqlError, name: &str, position: Option<Position>) -> SqlError {
    match error {
        SqlError::Type(of_type) => {
            let message = format!("column {}: {of_type}", quote_name(name));
            SqlError::coded(SqlState::InvalidTableDefinition, message).at(position)
        }
        other => other,
    }
}

/// What AUTO_INCREMENT and SERIAL stand for.
const SERIAL_DEFAULT: &str = "SNOWFLAKE_ID()";

/// A type with its greatest length; SERIAL brings its default along.
fn column_type_and_default(
    reader: &mut Reader<'_>,
) -> Result<(ColumnType, Option<u32>, Option<String>), SqlError> {
    if ["SERIAL", "BIGSERIAL", "SERIAL8"].iter().any(|word| reader.eat_word(word)) {
        return Ok((ColumnType::Int64, None, Some(SERIAL_DEFAULT.to_owned())));
    }
    let (column_type, length_max) = declared_type(reader)?;
    Ok((column_type, length_max, None))
}

fn is_generated(reader: &Reader<'_>) -> bool {
    let words = ["AUTO_INCREMENT", "AUTOINCREMENT", "IDENTITY", "GENERATED"];
    words.iter().any(|word| reader.peek_word(word))
        || (reader.peek_word("AS") && matches!(reader.peek_nth(1), Token::LParen))
}

/// `AUTO_INCREMENT`, `IDENTITY` and `GENERATED BY DEFAULT AS IDENTITY`.
fn generated(reader: &mut Reader<'_>, column_type: &ColumnType) -> Result<(), SqlError> {
    if reader.eat_words(&["GENERATED", "ALWAYS", "AS", "IDENTITY"]) {
        return Err(SqlError::unsupported(
            "GENERATED ALWAYS AS IDENTITY",
            "use GENERATED BY DEFAULT AS IDENTITY: it also takes the numbers a statement gives",
        ));
    }
    if reader.peek_word("AS") || reader.eat_words(&["GENERATED", "ALWAYS"]) {
        return Err(SqlError::unsupported(
            "a column computed from others",
            "compute it in the query, or write it with the row",
        ));
    }
    if reader.eat_word("GENERATED") {
        if !reader.eat_words(&["BY", "DEFAULT", "AS", "IDENTITY"]) {
            return Err(reader.expected("BY DEFAULT AS IDENTITY"));
        }
    } else {
        reader.next();
    }
    if matches!(reader.peek(), Token::LParen) {
        return Err(SqlError::unsupported(
            "the start or the step of generated numbers",
            "leave it out, the numbers ascend by themselves and have gaps",
        ));
    }
    if *column_type != ColumnType::Int64 {
        return Err(SqlError::invalid(format!(
            "generated numbers have 64 bits and need a BIGINT column, the column is {column_type}"
        )));
    }
    Ok(())
}

/// What stands after the table's brackets.
pub(crate) struct Tail {
    pub(crate) options: options::WrittenOptions,
    pub(crate) comment: Option<String>,
}

impl Tail {
    /// The table's type, and whether the options go with it.
    pub(crate) fn table_type(&self, written: Option<TableType>) -> Result<TableType, SqlError> {
        let table_type = merge_types(written, self.options.table_type)?;
        if table_type == TableType::User && self.options.access_level_written {
            return Err(SqlError::invalid(
                "ACCESS_LEVEL is for SHARED tables, rows of a USER table are their owner's alone",
            ));
        }
        Ok(table_type)
    }
}

fn tail(reader: &mut Reader<'_>, written_type: Option<TableType>) -> Result<Tail, SqlError> {
    let mut tail = Tail { options: options::WrittenOptions::of(written_type), comment: None };
    loop {
        if reader.peek_word("WITH") && matches!(reader.peek_nth(1), Token::LParen) {
            reader.next();
            options::with_options(reader, &mut tail.options)?;
        } else if tail.comment.is_none() && reader.eat_word("COMMENT") {
            reader.eat(&Token::Eq);
            tail.comment = Some(reader.string("the comment as a string literal")?);
        } else {
            return Ok(tail);
        }
    }
}

/// Key columns are NOT NULL whether they say so or not.
fn with_not_null_keys(mut table: CreateTable) -> CreateTable {
    for column in &mut table.columns {
        if table.primary_key.contains(&column.name) {
            column.nullable = false;
        }
    }
    table
}

impl CreateTable {
    /// A SHARED table without a key whose columns hold what `schema` describes. Every column may
    /// be NULL: the rows to come decide, not the first batch's schema.
    ///
    /// # Errors
    /// Types no column can hold, and names no column may have.
    pub fn for_schema(name: TableName, schema: &Schema) -> Result<Self, SqlError> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let column_type = ColumnType::from_arrow(field).map_err(|error| {
                    let column = quote_name(field.name());
                    SqlError::invalid(format!("column {column}: {error}"))
                })?;
                Ok(NewColumn::new(field.name().clone(), column_type))
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        let table = Self {
            name,
            if_not_exists: false,
            table_type: TableType::Shared,
            columns,
            primary_key: Vec::new(),
            options: TableOptions::default(),
            comment: None,
            checks: Vec::new(),
        };
        check_create_table(&table)?;
        Ok(table)
    }

    /// The statement that would define the same table.
    pub fn of(definition: &TableDefinition) -> Self {
        let columns = definition
            .columns
            .iter()
            .map(|column| NewColumn {
                name: column.name.to_string(),
                column_type: column.column_type.clone(),
                nullable: column.nullable,
                length_max: column.length_max,
                default: column.default.clone(),
                comment: column.comment.clone(),
            })
            .collect();
        let key_name =
            |position: usize| definition.columns.get(position).map(|c| c.name.to_string());
        Self {
            name: TableName::qualified(&*definition.namespace, &*definition.name),
            if_not_exists: false,
            table_type: definition.table_type,
            columns,
            primary_key: definition.key_positions().into_iter().filter_map(key_name).collect(),
            options: definition.options.clone(),
            comment: definition.comment.clone(),
            checks: definition.checks.clone(),
        }
    }
}
