//! The table rows are imported into: its columns, and its creation.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use tonic::Code;

use super::arguments::TableType;
use super::columns::matched;
use crate::cli::connection::Connection;
use crate::cli::error::ShellError;
use crate::cli::table_name::{TableName, quoted};
use crate::cli::values::from_text::type_name;

/// The columns of a table; `None` when there is no such table.
pub async fn columns(
    connection: &mut Connection,
    table: &TableName,
) -> Result<Option<SchemaRef>, ShellError> {
    let prepared = match connection.prepare(&format!("SELECT * FROM {table} LIMIT 0")).await {
        Err(ShellError::Statement { code: Code::NotFound, .. }) => return Ok(None),
        prepared => prepared?,
    };
    let schema = prepared.dataset_schema().cloned();
    connection.close(prepared).await;
    let schema = schema.map_err(|error| ShellError::from_flight(&error, connection.uri()))?;
    Ok(Some(Arc::new(schema)))
}

/// What the server says of a table that does not exist.
pub async fn missing(connection: &mut Connection, table: &TableName) -> ShellError {
    match connection.prepare(&format!("SELECT * FROM {table} LIMIT 0")).await {
        Err(ShellError::Statement { message, code, sqlstate, position: _ }) => {
            let message = format!("{message}; --create creates the table");
            ShellError::Statement { message, code, sqlstate, position: None }
        }
        Err(other) => other,
        Ok(_) => ShellError::Data(format!("table {table} has just been created, try again")),
    }
}

/// Creates a table with a key or of a type, which an ingest alone cannot say.
pub async fn create(
    connection: &mut Connection,
    table: &TableName,
    schema: &Schema,
    key: &[String],
    table_type: Option<TableType>,
) -> Result<(), ShellError> {
    let sql = statement(table, schema, key, table_type)?;
    let mut prepared = connection.prepare(&sql).await?;
    let created = connection.execute(&mut prepared).await;
    connection.close(prepared).await;
    created.map(drop)
}

fn statement(
    table: &TableName,
    schema: &Schema,
    key: &[String],
    table_type: Option<TableType>,
) -> Result<String, ShellError> {
    let key = matched(key, schema, &table.to_string())?;
    let mut parts: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| {
            let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
            format!("{} {}{not_null}", quoted(field.name()), type_name(field))
        })
        .collect();
    if !key.is_empty() {
        let names: Vec<String> = key.iter().map(|field| quoted(field.name())).collect();
        parts.push(format!("PRIMARY KEY ({})", names.join(", ")));
    }
    let kind = match table_type {
        Some(TableType::User) => "USER ",
        Some(TableType::Shared) => "SHARED ",
        None => "",
    };
    Ok(format!("CREATE {kind}TABLE {table} ({})", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn a_table_is_created_with_its_key_and_type() {
        let schema = Schema::new(vec![
            Field::new("Id", DataType::Int64, false),
            Field::new("a \"b\"", DataType::Decimal128(38, 0), true),
        ]);
        let table = TableName::parse("ns.t").unwrap();
        let sql = statement(&table, &schema, &["id".into()], Some(TableType::User)).unwrap();
        assert_eq!(
            sql,
            "CREATE USER TABLE \"ns\".\"t\" (\"Id\" BIGINT NOT NULL, \"a \"\"b\"\"\" \
             DECIMAL(38, 0), PRIMARY KEY (\"Id\"))"
        );
        assert!(statement(&table, &schema, &["x".into()], None).is_err());
    }
}
