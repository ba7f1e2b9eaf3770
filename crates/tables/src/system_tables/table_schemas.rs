//! `system.table_schemas`: every version of the tables the principal may know of, by the names the
//! tables have now.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use kalamdb_commons::TableDefinition;

use super::{int, ints, text, texts, time, times};
use crate::StatementContext;

pub(super) fn columns() -> Vec<Field> {
    vec![
        int("table_id"),
        text("namespace"),
        text("table_name"),
        int("version"),
        text("schema"),
        time("created_at"),
        text("created_by"),
        text("change"),
    ]
}

pub(super) fn rows(context: &StatementContext) -> Vec<ArrayRef> {
    let mut tables = context.catalog.visible_tables(&context.principal);
    tables.sort_unstable_by_key(|table| table.definition.id);
    let versions = tables
        .iter()
        .flat_map(|table| table.versions().map(|version| (&table.definition, version.as_ref())));
    let versions: Vec<_> = versions.collect();
    let each = || versions.iter().copied();
    vec![
        ints(each().map(|(table, _)| i64::from(table.id.0))),
        texts(each().map(|(table, _)| &*table.namespace)),
        texts(each().map(|(table, _)| &*table.name)),
        ints(each().map(|(_, version)| i64::from(version.schema_version))),
        texts(each().map(|(_, version)| schema_json(version))),
        times(each().map(|(_, version)| version.updated_at_us)),
        texts(each().map(|(_, version)| {
            version.change.as_ref().map_or(&version.created_by, |change| &change.by).as_str()
        })),
        texts(each().map(|(_, version)| {
            version.change.as_ref().map_or("created", |change| change.what.as_str())
        })),
    ]
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
