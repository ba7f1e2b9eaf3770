//! The table rows are imported into: its columns, its creation, and its emptying.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
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

/// Refuses rows that leave out a column which takes no NULL and has no default.
pub async fn check_required(
    connection: &mut Connection,
    table: &TableName,
    given: &Schema,
) -> Result<(), ShellError> {
    let mut prepared = connection.prepare(&format!("DESCRIBE {table}")).await?;
    let mut rows = connection.query(&mut prepared).await?;
    let mut missing = Vec::new();
    while let Some(described) = rows.next().await? {
        missing.extend(left_out(&described, given));
    }
    drop(rows);
    connection.close(prepared).await;
    if missing.is_empty() {
        return Ok(());
    }
    let noun = if missing.len() == 1 { "column" } else { "columns" };
    Err(ShellError::Data(format!(
        "the file does not have the {noun} {} of table {table}, which {} no NULL and {} no default",
        missing.join(", "),
        if missing.len() == 1 { "takes" } else { "take" },
        if missing.len() == 1 { "has" } else { "have" },
    )))
}

/// The columns of a DESCRIBE that every row must give and that are not `given`.
fn left_out(described: &RecordBatch, given: &Schema) -> Vec<String> {
    let texts = |name| described.column_by_name(name)?.as_string_opt::<i32>();
    let nullable = described.column_by_name("nullable").and_then(|of| of.as_boolean_opt());
    let (Some(names), Some(nullable), Some(defaults)) =
        (texts("column_name"), nullable, texts("default"))
    else {
        // Of another server's answer nothing is known; it will say what it lacks.
        return Vec::new();
    };
    (0..described.num_rows())
        .filter(|row| !nullable.value(*row) && defaults.is_null(*row))
        .map(|row| names.value(row))
        .filter(|name| given.field_with_name(name).is_err())
        .map(str::to_owned)
        .collect()
}

/// Removes all rows of a table, of a USER table those of who signed in.
pub async fn empty(connection: &mut Connection, table: &TableName) -> Result<(), ShellError> {
    let mut prepared = connection.prepare(&format!("TRUNCATE TABLE {table}")).await?;
    let emptied = connection.execute(&mut prepared).await;
    connection.close(prepared).await;
    emptied.map(drop)
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
    use arrow::array::{ArrayRef, BooleanArray, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn only_columns_that_need_a_value_are_missed() {
        let names: ArrayRef = Arc::new(StringArray::from(vec!["id", "must", "may", "has"]));
        let nullable: ArrayRef = Arc::new(BooleanArray::from(vec![false, false, true, false]));
        let defaults: ArrayRef = Arc::new(StringArray::from(vec![None, None, None, Some("7")]));
        let columns = [("column_name", names), ("nullable", nullable), ("default", defaults)];
        let described = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, values)| (name, values, true)),
        );
        let given = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
        assert_eq!(left_out(&described.unwrap(), &given), ["must"]);
    }

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
