//! The tables and columns the signed-in user can see, asked of the server by metadata commands.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow_flight::IpcMessage;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables};
use kalamdb_commons::ColumnType;

use super::connection::{Connection, Metadata, is_unsupported};
use super::error::ShellError;

/// Tables whose names are kept for completion.
pub const COMPLETION_TABLES_MAX: usize = 5_000;
/// The kind of the server's own tables.
pub const SYSTEM_TABLE: &str = "SYSTEM TABLE";
/// Field metadata in which Flight SQL servers put a column's SQL type.
const TYPE_NAME_KEY: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";

/// A table as the server lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The catalog, where there is one.
    pub catalog: Option<String>,
    /// The namespace (schema).
    pub namespace: String,
    /// The table's name.
    pub name: String,
    /// TABLE, VIEW or SYSTEM TABLE.
    pub kind: String,
    /// Its columns, when they were asked for.
    pub columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The SQL type.
    pub type_name: String,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// Which tables are meant: names in LIKE form, none for any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TablePattern {
    /// The namespace.
    pub namespace: Option<String>,
    /// The table.
    pub table: Option<String>,
}

impl TablePattern {
    /// Reads `table`, `namespace.table`, `namespace.*`, `"Quoted Name"`; unquoted names are
    /// lower-cased and `*` stands for anything.
    pub fn parse(text: &str) -> Result<Self, ShellError> {
        let mut parts = vec![String::new()];
        let mut quoted = false;
        let mut chars = text.trim().trim_end_matches(';').chars().peekable();
        while let Some(c) = chars.next() {
            let part = parts.last_mut().ok_or_else(|| bad_name(text))?;
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    part.push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                '*' if !quoted => part.push('%'),
                '%' | '_' | '\\' => part.extend(['\\', c]),
                c if quoted => part.push(c),
                c => part.extend(c.to_lowercase()),
            }
        }
        if quoted || parts.iter().any(String::is_empty) {
            return Err(bad_name(text));
        }
        let mut parts = parts.into_iter().rev();
        Ok(Self { table: parts.next(), namespace: parts.next() })
    }
}

fn bad_name(text: &str) -> ShellError {
    ShellError::Usage(format!("'{text}' is not a table's name: write table or namespace.table"))
}

/// The names of the namespaces, sorted.
pub async fn namespaces(connection: &mut Connection) -> Result<Vec<String>, ShellError> {
    let command = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: None };
    let mut names = Vec::new();
    for batch in &connection.metadata(&Metadata::Namespaces(command)).await? {
        names.extend(texts(batch, "db_schema_name")?.into_iter().flatten());
    }
    names.sort();
    Ok(names)
}

/// The tables that match, sorted by namespace and name.
pub async fn tables(
    connection: &mut Connection,
    pattern: &TablePattern,
    with_columns: bool,
) -> Result<Vec<Table>, ShellError> {
    let command = Metadata::Tables(CommandGetTables {
        catalog: None,
        db_schema_filter_pattern: pattern.namespace.clone(),
        table_name_filter_pattern: pattern.table.clone(),
        table_types: Vec::new(),
        include_schema: with_columns,
    });
    let batches = connection.metadata(&command).await?;
    let mut tables = Vec::new();
    for batch in &batches {
        read_tables(batch, &mut tables)?;
    }
    tables.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(tables)
}

/// The names of a table's key columns, in key order.
pub async fn primary_key(
    connection: &mut Connection,
    table: &Table,
) -> Result<Vec<String>, ShellError> {
    let command = Metadata::PrimaryKeys(CommandGetPrimaryKeys {
        catalog: table.catalog.clone(),
        db_schema: Some(table.namespace.clone()),
        table: table.name.clone(),
    });
    let batches = match connection.metadata(&command).await {
        Err(error) if is_unsupported(&error) => return Ok(Vec::new()),
        answer => answer?,
    };
    let mut keyed = Vec::new();
    for batch in &batches {
        let names = texts(batch, "column_name")?;
        let order = batch
            .column_by_name("key_sequence")
            .and_then(|column| column.as_primitive_opt::<arrow::datatypes::Int32Type>().cloned());
        for (row, name) in names.into_iter().enumerate() {
            let position = order.as_ref().map_or(0, |order| order.value(row));
            keyed.push((position, name.unwrap_or_default()));
        }
    }
    keyed.sort();
    Ok(keyed.into_iter().map(|(_, name)| name).collect())
}

fn read_tables(batch: &RecordBatch, tables: &mut Vec<Table>) -> Result<(), ShellError> {
    let catalogs = texts(batch, "catalog_name")?;
    let namespaces = texts(batch, "db_schema_name")?;
    let names = texts(batch, "table_name")?;
    let kinds = texts(batch, "table_type")?;
    let schemas = batch.column_by_name("table_schema").and_then(|c| c.as_binary_opt::<i32>());
    let rows = catalogs.into_iter().zip(namespaces).zip(names).zip(kinds);
    for (row, (((catalog, namespace), name), kind)) in rows.enumerate() {
        let columns = match schemas.filter(|schemas| schemas.is_valid(row)) {
            Some(schemas) => read_columns(schemas.value(row))?,
            None => Vec::new(),
        };
        tables.push(Table {
            catalog,
            namespace: namespace.unwrap_or_default(),
            name: name.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            columns,
        });
    }
    Ok(())
}

fn read_columns(message: &[u8]) -> Result<Vec<Column>, ShellError> {
    let schema = Schema::try_from(IpcMessage(message.to_vec().into()))?;
    Ok(schema
        .fields()
        .iter()
        .map(|field| Column {
            name: field.name().clone(),
            type_name: type_name(field),
            nullable: field.is_nullable(),
        })
        .collect())
}

/// The type as it is declared; tables of the system have types of their own.
fn type_name(field: &Field) -> String {
    let named = field.metadata().get(TYPE_NAME_KEY).filter(|name| !name.is_empty());
    match (ColumnType::from_arrow(field), named) {
        (Ok(column_type), Some(name)) if column_type.to_string().starts_with(name.as_str()) => {
            column_type.to_string()
        }
        (Ok(ColumnType::List(item)), Some(name)) if name == "ARRAY" => {
            ColumnType::List(item).to_string()
        }
        (_, Some(name)) => name.clone(),
        (_, None) => field.data_type().to_string(),
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<Option<String>>, ShellError> {
    let column = batch
        .column_by_name(name)
        .and_then(|column| column.as_string_opt::<i32>())
        .ok_or_else(|| ShellError::Protocol(format!("the list has no text column '{name}'")))?;
    Ok(column.iter().map(|text| text.map(str::to_string)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(namespace: Option<&str>, table: &str) -> TablePattern {
        TablePattern { namespace: namespace.map(str::to_string), table: Some(table.to_string()) }
    }

    #[test]
    fn names_become_patterns_that_match_only_themselves() {
        for (text, expected) in [
            ("messages", pattern(None, "messages")),
            ("Chat.Messages;", pattern(Some("chat"), "messages")),
            ("chat.*", pattern(Some("chat"), "%")),
            ("kalam.chat.m_1", pattern(Some("chat"), "m\\_1")),
            ("\"My.Table\"", pattern(None, "My.Table")),
            ("a.\"q\"\"t%\"", pattern(Some("a"), "q\"t\\%")),
        ] {
            assert_eq!(TablePattern::parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "a.", ".a", "\"open"] {
            assert!(TablePattern::parse(text).is_err(), "{text}");
        }
    }
}
