//! What a table's definition has to be, from whatever source it comes.

use std::collections::HashSet;

use kalamdb_commons::SqlState;
use kalamdb_commons::limits::TABLE_COLUMNS_MAX;

use crate::error::{ObjectKind, SqlError};
use crate::parse::constraints::check_constraints;
use crate::parse::definitions::CreateTable;
use crate::parse::names::{check_new_name, not_found, quote_name};
use crate::parse::stream_tables;

/// Names no declared column may have: system columns, and what storage adds beside them.
const RESERVED_COLUMNS: [&str; 8] =
    ["_row_id", "_updated", "_deleted", "_commit_seq", "_location", "_image", "_user_id", "_shard"];

pub(crate) fn too_many_columns() -> SqlError {
    SqlError::TooLarge {
        what: "the number of columns",
        limit: TABLE_COLUMNS_MAX,
        advice: "use STRUCT or JSON columns, or several tables",
    }
}

/// Checks a definition from whatever source: names, number and order of columns, the key.
pub fn check_create_table(table: &CreateTable) -> Result<(), SqlError> {
    check_new_name(ObjectKind::Table, &table.name.table)?;
    stream_tables::check(table)?;
    if table.columns.is_empty() {
        return Err(SqlError::invalid("a table needs at least one column"));
    }
    if table.columns.len() > TABLE_COLUMNS_MAX {
        return Err(too_many_columns());
    }
    let mut names = HashSet::with_capacity(table.columns.len());
    for column in &table.columns {
        check_new_name(ObjectKind::Column, &column.name)?;
        let shown = quote_name(&column.name);
        if RESERVED_COLUMNS.contains(&column.name.as_str()) {
            return Err(SqlError::coded(
                SqlState::ReservedName,
                format!("the column name {shown} is reserved for a system column, use another"),
            ));
        }
        if !names.insert(column.name.as_str()) {
            return Err(SqlError::coded(
                SqlState::DuplicateColumn,
                format!("column {shown} is declared twice, give each column its own name"),
            ));
        }
        if !column.nullable && column.default.as_deref() == Some("NULL") {
            return Err(SqlError::invalid(format!("column {shown} is NOT NULL with DEFAULT NULL")));
        }
    }
    check_primary_key(table)?;
    check_constraints(table)
}

fn check_primary_key(table: &CreateTable) -> Result<(), SqlError> {
    let mut seen = HashSet::new();
    for name in &table.primary_key {
        let Some(column) = table.columns.iter().find(|column| column.name == *name) else {
            let known = table.columns.iter().map(|column| column.name.as_str());
            return Err(not_found(ObjectKind::Column, name, known));
        };
        let shown = quote_name(name);
        if !seen.insert(name.as_str()) {
            return Err(SqlError::invalid(format!("column {shown} stands twice in the key")));
        }
        if !column.column_type.can_be_key() {
            return Err(SqlError::invalid(format!(
                "column {shown} cannot be a key: values of {} have no order, use another type",
                column.column_type
            )));
        }
        if column.nullable {
            return Err(SqlError::invalid(format!("key column {shown} must be NOT NULL")));
        }
    }
    Ok(())
}
