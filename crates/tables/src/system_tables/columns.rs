//! `information_schema.columns`: the declared columns of the tables and views the principal
//! may know of, and those of the system tables.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use kalamdb_commons::{ColumnType, TimePrecision};
use kalamdb_sql::CATALOG_NAME;

use super::{
    SystemTable, int, ints, optional_int, optional_ints, optional_text, optional_texts, text, texts,
};
use crate::StatementContext;

pub(super) fn columns() -> Vec<Field> {
    vec![
        text("table_catalog"),
        text("table_schema"),
        text("table_name"),
        text("column_name"),
        int("ordinal_position"),
        optional_text("column_default"),
        text("is_nullable"),
        text("data_type"),
        optional_int("character_maximum_length"),
        optional_int("character_octet_length"),
        optional_int("numeric_precision"),
        optional_int("numeric_precision_radix"),
        optional_int("numeric_scale"),
        optional_int("datetime_precision"),
        optional_text("interval_type"),
    ]
}

struct Row {
    namespace: String,
    table: String,
    column: String,
    ordinal: i64,
    default: Option<String>,
    nullable: bool,
    column_type: Option<ColumnType>,
    type_name: String,
    length_max: Option<u32>,
}

pub(super) fn rows(context: &StatementContext) -> Vec<ArrayRef> {
    let mut rows = Vec::new();
    for table in context.catalog.visible_tables(&context.principal) {
        for (position, column) in table.definition.columns.iter().enumerate() {
            rows.push(Row {
                namespace: table.definition.namespace.to_string(),
                table: table.definition.name.to_string(),
                column: column.name.to_string(),
                ordinal: position as i64 + 1,
                default: column.default.clone(),
                nullable: column.nullable,
                type_name: column.declared_type(),
                length_max: column.length_max,
                column_type: Some(column.column_type.clone()),
            });
        }
    }
    for view in context.catalog.visible_views(&context.principal) {
        let view = &view.definition;
        for (position, column) in view.columns.iter().enumerate() {
            rows.push(Row {
                namespace: view.namespace.to_string(),
                table: view.name.to_string(),
                column: column.name.to_string(),
                ordinal: position as i64 + 1,
                default: None,
                nullable: column.nullable,
                type_name: column.declared_type(),
                length_max: column.length_max,
                column_type: Some(column.column_type.clone()),
            });
        }
    }
    for table in SystemTable::all() {
        for (position, field) in table.columns().fields().iter().enumerate() {
            let column_type = ColumnType::from_arrow(field).ok();
            rows.push(Row {
                namespace: table.namespace().to_owned(),
                table: table.name().to_owned(),
                column: field.name().clone(),
                ordinal: position as i64 + 1,
                default: None,
                nullable: field.is_nullable(),
                type_name: column_type
                    .as_ref()
                    .map_or_else(|| field.data_type().to_string(), ToString::to_string),
                column_type,
                length_max: None,
            });
        }
    }
    as_columns(&rows)
}

fn as_columns(rows: &[Row]) -> Vec<ArrayRef> {
    let number = |of: fn(&ColumnType) -> Option<i64>| {
        optional_ints(rows.iter().map(|row| row.column_type.as_ref().and_then(of)))
    };
    vec![
        texts(rows.iter().map(|_| CATALOG_NAME)),
        texts(rows.iter().map(|row| &row.namespace)),
        texts(rows.iter().map(|row| &row.table)),
        texts(rows.iter().map(|row| &row.column)),
        ints(rows.iter().map(|row| row.ordinal)),
        optional_texts(rows.iter().map(|row| row.default.as_deref())),
        texts(rows.iter().map(|row| if row.nullable { "YES" } else { "NO" })),
        texts(rows.iter().map(|row| &row.type_name)),
        optional_ints(rows.iter().map(|row| {
            let text = row.column_type == Some(ColumnType::Text);
            row.length_max.filter(|_| text).map(i64::from)
        })),
        optional_ints(rows.iter().map(|row| match (&row.column_type, row.length_max) {
            (Some(ColumnType::Bytes), Some(length)) => Some(i64::from(length)),
            (column_type, _) => column_type.as_ref().and_then(octet_length),
        })),
        number(precision),
        number(radix),
        number(scale),
        number(datetime_precision),
        optional_texts(rows.iter().map(|_| None::<&str>)),
    ]
}

fn octet_length(column_type: &ColumnType) -> Option<i64> {
    matches!(column_type, ColumnType::Text | ColumnType::Bytes | ColumnType::Json)
        .then_some(i64::from(i32::MAX))
}

/// Bits of binary numbers, digits of decimal ones.
fn precision(column_type: &ColumnType) -> Option<i64> {
    match column_type {
        ColumnType::Decimal { precision, .. } => Some(i64::from(*precision)),
        ColumnType::Float32 => Some(24),
        ColumnType::Float64 => Some(53),
        other => match other.to_arrow() {
            data_type if data_type.is_integer() => {
                data_type.primitive_width().map(|bytes| bytes as i64 * 8)
            }
            _ => None,
        },
    }
}

fn radix(column_type: &ColumnType) -> Option<i64> {
    match column_type.to_arrow() {
        DataType::Decimal128(..) => Some(10),
        data_type if data_type.is_integer() || data_type.is_floating() => Some(2),
        _ => None,
    }
}

fn scale(column_type: &ColumnType) -> Option<i64> {
    match column_type {
        ColumnType::Decimal { scale, .. } => Some(i64::from(*scale)),
        other => other.to_arrow().is_integer().then_some(0),
    }
}

fn datetime_precision(column_type: &ColumnType) -> Option<i64> {
    match column_type {
        ColumnType::Timestamp { precision, .. } => Some(i64::from(precision.digits())),
        ColumnType::Time => Some(i64::from(TimePrecision::Micros.digits())),
        ColumnType::Date => Some(0),
        _ => None,
    }
}
