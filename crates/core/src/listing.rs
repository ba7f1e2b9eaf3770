//! SHOW and DESCRIBE: small results straight from the catalog, only what the principal may see.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use kalamdb_commons::{ErrorKind, TableDefinition};
use kalamdb_sql::{
    CatalogSnapshot, RESERVED_NAMESPACES, Statement, TableEntry, TableName, show_create_table,
};

use crate::EngineError;
use crate::session::Session;

/// The schema of what `statement` lists.
pub(crate) fn schema(statement: &Statement) -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(match statement {
        Statement::ShowNamespaces => vec![text("namespace", false)],
        Statement::ShowTables { .. } => vec![
            text("namespace", false),
            text("table_name", false),
            text("table_type", false),
            text("comment", true),
        ],
        Statement::Describe { .. } => vec![
            Field::new("ordinal", DataType::Int32, false),
            text("column_name", false),
            text("data_type", false),
            Field::new("nullable", DataType::Boolean, false),
            Field::new("key_position", DataType::Int32, true),
            text("default", true),
            text("comment", true),
        ],
        Statement::ShowCreateTable { .. } => {
            vec![text("table_name", false), text("statement", false)]
        }
        Statement::ShowUsers => {
            vec![text("user_name", false), text("role", false)]
        }
        Statement::ShowSetting { setting } => vec![text(setting.as_str(), false)],
        _ => Vec::new(),
    }))
}

/// The rows of what `statement` lists.
pub(crate) fn rows(
    catalog: &CatalogSnapshot,
    session: &Session,
    statement: &Statement,
) -> Result<RecordBatch, EngineError> {
    let principal = session.principal();
    let columns: Vec<ArrayRef> = match statement {
        Statement::ShowNamespaces => {
            vec![texts(catalog.visible_namespaces(principal).iter().map(|ns| Some(&*ns.name)))]
        }
        Statement::ShowTables { namespace } => {
            let namespace = namespace.clone().unwrap_or_else(|| session.namespace().to_string());
            if !RESERVED_NAMESPACES.contains(&&*namespace) {
                catalog.resolve_namespace(principal, &namespace)?;
            }
            let tables = catalog.visible_tables(principal);
            let listed: Vec<&TableDefinition> = tables
                .iter()
                .map(|entry| &*entry.definition)
                .filter(|table| *table.namespace == *namespace)
                .collect();
            vec![
                texts(listed.iter().map(|table| Some(&*table.namespace))),
                texts(listed.iter().map(|table| Some(&*table.name))),
                texts(listed.iter().map(|table| Some(table.table_type.as_str()))),
                texts(listed.iter().map(|table| table.comment.as_deref())),
            ]
        }
        Statement::Describe { table } => describe(&entry(catalog, session, table)?.definition),
        Statement::ShowCreateTable { table } => {
            let entry = entry(catalog, session, table)?;
            let name = entry.definition.qualified_name();
            let statement = show_create_table(&entry.definition);
            vec![texts([Some(name.as_str())]), texts([Some(statement.as_str())])]
        }
        Statement::ShowUsers => {
            let users = catalog.visible_users(principal);
            vec![
                texts(users.iter().map(|user| Some(&*user.name))),
                texts(users.iter().map(|user| Some(user.role.as_str()))),
            ]
        }
        Statement::ShowSetting { setting } => {
            vec![texts([Some(session.setting(*setting).as_str())])]
        }
        other => {
            let message = format!("{} is no listing", other.name());
            return Err(EngineError::new(ErrorKind::Internal, message));
        }
    };
    RecordBatch::try_new(schema(statement), columns)
        .map_err(|error| EngineError::internal("build a listing", error))
}

/// The table `name` means, when the principal may know of it.
fn entry<'a>(
    catalog: &'a CatalogSnapshot,
    session: &Session,
    name: &TableName,
) -> Result<&'a Arc<TableEntry>, EngineError> {
    let principal = session.principal();
    let entry = catalog.resolve_table(principal, &session.namespace(), name)?;
    catalog.authorize_read(principal, entry)?;
    Ok(entry)
}

fn describe(table: &TableDefinition) -> Vec<ArrayRef> {
    let columns = &table.columns;
    let key = |id| table.primary_key.iter().position(|key| *key == id);
    vec![
        Arc::new(Int32Array::from_iter_values((1..).take(columns.len()))),
        texts(columns.iter().map(|column| Some(&*column.name))),
        texts(columns.iter().map(|column| column.column_type.to_string()).map(Some)),
        Arc::new(BooleanArray::from_iter(columns.iter().map(|column| Some(column.nullable)))),
        Arc::new(Int32Array::from_iter(
            columns.iter().map(|column| key(column.id).map(|position| position as i32 + 1)),
        )),
        texts(columns.iter().map(|column| column.default.as_deref())),
        texts(columns.iter().map(|column| column.comment.as_deref())),
    ]
}

fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values))
}
