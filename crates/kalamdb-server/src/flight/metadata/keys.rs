//! GetPrimaryKeys, and the schema of the foreign-key commands, which have no rows: there are no
//! foreign keys.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::Result;
use arrow_flight::sql::CommandGetPrimaryKeys;
use kalamdb_core::TableInfo;

use super::catalog_passes;
use crate::flight::CATALOG;

/// The schema of GetPrimaryKeys.
pub(super) static PRIMARY_KEYS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("key_name", true),
    ]))
});

/// The schema of GetImportedKeys, GetExportedKeys and GetCrossReference.
pub(super) static FOREIGN_KEYS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

/// The key columns of the tables the command names, in key order. Names are exact here; without a
/// schema every table of the name counts.
pub(super) fn primary_keys(
    command: &CommandGetPrimaryKeys,
    tables: &[TableInfo],
) -> Result<RecordBatch> {
    let wanted = tables.iter().filter(|table| {
        catalog_passes(command.catalog.as_deref())
            && command.db_schema.as_deref().is_none_or(|schema| schema == &*table.namespace)
            && command.table == *table.name
    });
    let (mut namespaces, mut names, mut columns, mut positions) = (vec![], vec![], vec![], vec![]);
    for table in wanted {
        for (position, column) in (1..).zip(&table.primary_key) {
            namespaces.push(&*table.namespace);
            names.push(&*table.name);
            columns.push(&**column);
            positions.push(position);
        }
    }
    let rows = names.len();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![CATALOG; rows])),
        Arc::new(StringArray::from(namespaces)),
        Arc::new(StringArray::from(names)),
        Arc::new(StringArray::from(columns)),
        Arc::new(Int32Array::from(positions)),
        // Keys have no names of their own.
        Arc::new(StringArray::from(vec![None::<&str>; rows])),
    ];
    Ok(RecordBatch::try_new(Arc::clone(&PRIMARY_KEYS_SCHEMA), arrays)?)
}
