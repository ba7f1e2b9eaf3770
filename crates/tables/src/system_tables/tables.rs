//! `system.tables`: the tables the principal may know of, in their newest version.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use kalamdb_commons::{Durability, TableDefinition, TableType};

use super::{
    int, ints, optional_int, optional_ints, optional_text, optional_texts, text, texts, time, times,
};
use crate::StatementContext;

pub(super) fn columns() -> Vec<Field> {
    vec![
        int("table_id"),
        int("namespace_id"),
        text("namespace"),
        text("table_name"),
        text("table_type"),
        int("current_schema_version"),
        optional_text("access_level"),
        text("durability"),
        int("deleted_retention_hours"),
        optional_int("ttl_seconds"),
        optional_int("max_rows"),
        optional_text("flush_policy"),
        optional_text("compression"),
        optional_text("comment"),
        text("created_by"),
        time("created_at"),
        time("updated_at"),
    ]
}

pub(super) fn rows(context: &StatementContext) -> Vec<ArrayRef> {
    let tables = context.catalog.visible_tables(&context.principal);
    let definitions: Vec<&TableDefinition> =
        tables.iter().map(|table| table.definition.as_ref()).collect();
    let each = || definitions.iter();
    vec![
        ints(each().map(|table| i64::from(table.id.0))),
        ints(each().map(|table| i64::from(table.namespace_id.0))),
        texts(each().map(|table| &*table.namespace)),
        texts(each().map(|table| &*table.name)),
        texts(each().map(|table| table.table_type.as_str())),
        ints(each().map(|table| i64::from(table.schema_version))),
        optional_texts(each().map(|table| {
            let shared = table.table_type == TableType::Shared;
            shared.then(|| table.options.access_level.as_str())
        })),
        texts(each().map(|table| durability(table.options.durability))),
        ints(each().map(|table| i64::from(table.options.deleted_retention_hours))),
        optional_ints(
            each().map(|table| table.options.ttl_seconds.and_then(|s| i64::try_from(s).ok())),
        ),
        optional_ints(
            each().map(|table| table.options.max_rows.and_then(|rows| i64::try_from(rows).ok())),
        ),
        optional_texts(
            each().map(|table| table.options.flush_policy.map(|policy| policy.to_string())),
        ),
        optional_texts(
            each().map(|table| table.options.compression.map(|compression| compression.as_str())),
        ),
        optional_texts(each().map(|table| table.comment.as_deref())),
        texts(each().map(|table| table.created_by.as_str())),
        times(each().map(|table| table.created_at_us)),
        times(each().map(|table| table.updated_at_us)),
    ]
}

/// As the WITH option is written.
fn durability(durability: Durability) -> String {
    match durability {
        Durability::Sync => String::from("sync"),
        Durability::Interval { interval_ms } => format!("interval:{interval_ms}ms"),
    }
}
