//! What drivers read about columns from the metadata of the fields in `table_schema`.

use arrow::datatypes::{Field, Schema};
use kalamdb_commons::ColumnType;
use kalamdb_core::{TableInfo, TableKind};

use super::type_names;
use crate::flight::CATALOG;

/// What every key of the protocol begins with.
const PREFIX: &str = "ARROW:FLIGHT:SQL:";

/// The table's schema with the protocol's metadata on every field.
pub(super) fn annotated_schema(table: &TableInfo) -> Schema {
    let fields: Vec<Field> = table
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| annotated_field(table, position, field))
        .collect();
    let remarks = table.comment.clone().map(|comment| (format!("{PREFIX}REMARKS"), comment));
    Schema::new_with_metadata(fields, remarks.into_iter().collect())
}

fn annotated_field(table: &TableInfo, position: usize, field: &Field) -> Field {
    let flag = |set: bool| String::from(if set { "1" } else { "0" });
    let column_type = type_names::column_type(field);
    let mut metadata = field.metadata().clone();
    let mut put = |key: &str, value: String| {
        metadata.insert(format!("{PREFIX}{key}"), value);
    };
    put("CATALOG_NAME", CATALOG.to_owned());
    put("DB_SCHEMA_NAME", table.namespace.to_string());
    // The Java driver looks under another key than the protocol names.
    put("SCHEMA_NAME", table.namespace.to_string());
    put("TABLE_NAME", table.name.to_string());
    put("IS_AUTO_INCREMENT", flag(false));
    put("IS_READ_ONLY", flag(table.kind == TableKind::SystemTable));
    match &column_type {
        Some(column_type) => {
            put("TYPE_NAME", type_names::base_name(column_type).to_owned());
            let text = matches!(column_type, ColumnType::Text | ColumnType::Json);
            put("IS_CASE_SENSITIVE", flag(text));
            put("IS_SEARCHABLE", flag(type_names::is_searchable(column_type)));
            if let Some(precision) = type_names::precision(column_type) {
                put("PRECISION", precision.to_string());
            }
            if let Some(scale) = type_names::scale(column_type) {
                put("SCALE", scale.to_string());
            }
        }
        None => {
            let type_name = table.type_names.get(position);
            put("TYPE_NAME", type_name.cloned().unwrap_or_default());
            put("IS_CASE_SENSITIVE", flag(false));
            put("IS_SEARCHABLE", flag(false));
        }
    }
    if let Some(Some(comment)) = table.column_comments.get(position) {
        put("REMARKS", comment.clone());
    }
    field.clone().with_metadata(metadata)
}
