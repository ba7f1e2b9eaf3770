//! The SQL name of a column's type without its arguments, as it also stands in GetXdbcTypeInfo:
//! tools look one up in the other.

use arrow::datatypes::Field;
use kalamdb_commons::ColumnType;

/// The name for a column type.
pub(super) fn base_name(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Int8 => "TINYINT",
        ColumnType::Int16 => "SMALLINT",
        ColumnType::Int32 => "INT",
        ColumnType::Int64 => "BIGINT",
        ColumnType::UInt8 => "TINYINT UNSIGNED",
        ColumnType::UInt16 => "SMALLINT UNSIGNED",
        ColumnType::UInt32 => "INT UNSIGNED",
        ColumnType::UInt64 => "BIGINT UNSIGNED",
        ColumnType::Float32 => "REAL",
        ColumnType::Float64 => "DOUBLE",
        ColumnType::Decimal { .. } => "DECIMAL",
        ColumnType::Text => "TEXT",
        ColumnType::Bytes => "BYTES",
        ColumnType::Date => "DATE",
        ColumnType::Time => "TIME",
        ColumnType::Timestamp { utc: false, .. } => "TIMESTAMP",
        ColumnType::Timestamp { utc: true, .. } => "TIMESTAMPTZ",
        ColumnType::Interval => "INTERVAL",
        ColumnType::Uuid => "UUID",
        ColumnType::Json => "JSON",
        ColumnType::List(_) => "ARRAY",
        ColumnType::Struct(_) => "STRUCT",
        ColumnType::Embedding(_) => "EMBEDDING",
    }
}

/// The column type of a field; `None` for what no column can have.
pub(super) fn column_type(field: &Field) -> Option<ColumnType> {
    ColumnType::from_arrow(field).ok()
}

/// Decimal digits (or characters of the text form) of a type's values.
pub(super) fn precision(column_type: &ColumnType) -> Option<i32> {
    Some(match column_type {
        ColumnType::Boolean => 1,
        ColumnType::Int8 | ColumnType::UInt8 => 3,
        ColumnType::Int16 | ColumnType::UInt16 => 5,
        ColumnType::Int32 | ColumnType::UInt32 => 10,
        ColumnType::Int64 => 19,
        ColumnType::UInt64 => 20,
        ColumnType::Float32 => 7,
        ColumnType::Float64 => 15,
        ColumnType::Decimal { precision, .. } => i32::from(*precision),
        ColumnType::Date => 10,
        ColumnType::Time => 15,
        ColumnType::Timestamp { precision, .. } => 20 + i32::from(precision.digits()),
        ColumnType::Uuid => 16,
        _ => return None,
    })
}

/// Digits after the point or after the second.
pub(super) fn scale(column_type: &ColumnType) -> Option<i32> {
    Some(match column_type {
        ColumnType::Decimal { scale, .. } => i32::from(*scale),
        ColumnType::Time => 6,
        ColumnType::Timestamp { precision, .. } => i32::from(precision.digits()),
        ColumnType::Int8
        | ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::UInt8
        | ColumnType::UInt16
        | ColumnType::UInt32
        | ColumnType::UInt64 => 0,
        _ => return None,
    })
}

/// True when values can stand in a WHERE clause with any comparison.
pub(super) fn is_searchable(column_type: &ColumnType) -> bool {
    !matches!(column_type, ColumnType::List(_) | ColumnType::Struct(_) | ColumnType::Embedding(_))
}
