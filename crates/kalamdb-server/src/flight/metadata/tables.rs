//! GetDbSchemas and GetTables.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{GetDbSchemasBuilder, GetTablesBuilder};
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use kalamdb_core::TableInfo;

use super::{catalog_passes, column_metadata, like};
use crate::flight::CATALOG;

/// A builder without filters: what reaches it has passed ours.
pub(super) fn db_schemas_builder() -> GetDbSchemasBuilder {
    GetDbSchemasBuilder::new(None::<String>, None::<String>)
}

/// A builder without filters: what reaches it has passed ours.
pub(super) fn tables_builder(include_schema: bool) -> GetTablesBuilder {
    let all_types: [String; 0] = [];
    GetTablesBuilder::new(None::<String>, None::<String>, None::<String>, all_types, include_schema)
}

/// The namespaces that pass the command's filters.
pub(super) fn db_schemas(
    command: &CommandGetDbSchemas,
    namespaces: &[Arc<str>],
) -> Result<RecordBatch> {
    let mut builder = db_schemas_builder();
    if catalog_passes(command.catalog.as_deref()) {
        for namespace in namespaces {
            if like_passes(command.db_schema_filter_pattern.as_deref(), namespace) {
                builder.append(CATALOG, namespace);
            }
        }
    }
    builder.build()
}

/// The tables that pass the command's filters.
pub(super) fn tables(command: &CommandGetTables, tables: &[TableInfo]) -> Result<RecordBatch> {
    let mut builder = tables_builder(command.include_schema);
    for table in tables.iter().filter(|table| table_passes(command, table)) {
        let kind = table.kind.as_str();
        if command.include_schema {
            let schema = column_metadata::annotated_schema(table);
            builder.append(CATALOG, &table.namespace, &table.name, kind, &schema)?;
        } else {
            builder.append(CATALOG, &table.namespace, &table.name, kind, &table.schema)?;
        }
    }
    builder.build()
}

fn table_passes(command: &CommandGetTables, table: &TableInfo) -> bool {
    let types = &command.table_types;
    catalog_passes(command.catalog.as_deref())
        && like_passes(command.db_schema_filter_pattern.as_deref(), &table.namespace)
        && like_passes(command.table_name_filter_pattern.as_deref(), &table.name)
        && (types.is_empty() || types.iter().any(|kind| kind == table.kind.as_str()))
}

fn like_passes(pattern: Option<&str>, name: &str) -> bool {
    pattern.is_none_or(|pattern| like::matches(pattern, name))
}
