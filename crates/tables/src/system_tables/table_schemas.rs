//! `system.table_schemas`: every version of the tables the principal may know of.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use kalamdb_commons::{TableDefinition, TableId};
use kalamdb_store::{EntityStore, SystemFamily};

use super::{int, ints, text, texts, time, times};
use crate::{StatementContext, TablesError};

pub(super) fn columns() -> Vec<Field> {
    vec![
        int("table_id"),
        text("namespace"),
        text("table_name"),
        int("version"),
        text("schema"),
        time("created_at"),
    ]
}

pub(super) fn rows(context: &StatementContext) -> Result<Vec<ArrayRef>, TablesError> {
    let versions: EntityStore<(TableId, u32), TableDefinition> =
        EntityStore::new(Arc::clone(context.view.store()), SystemFamily::Tables);
    let mut definitions = Vec::new();
    for version in versions.scan_iter(Arc::clone(&context.view)) {
        let (_, definition) = version?;
        let known = context.catalog.table_by_id(definition.id);
        if known.is_some_and(|table| table.is_visible_to(&context.principal)) {
            definitions.push(definition);
        }
    }
    let each = || definitions.iter();
    Ok(vec![
        ints(each().map(|table| i64::from(table.id.0))),
        texts(each().map(|table| &*table.namespace)),
        texts(each().map(|table| &*table.name)),
        ints(each().map(|table| i64::from(table.schema_version))),
        texts(each().map(schema_json)),
        times(each().map(|table| table.updated_at_us)),
    ])
}

/// The version's columns as a JSON array, key columns marked.
fn schema_json(table: &TableDefinition) -> String {
    let columns: Vec<serde_json::Value> = table
        .columns
        .iter()
        .map(|column| {
            serde_json::json!({
                "name": column.name,
                "type": column.declared_type(),
                "nullable": column.nullable,
                "default": column.default,
                "primary_key": table.primary_key.contains(&column.id),
            })
        })
        .collect();
    serde_json::Value::Array(columns).to_string()
}
