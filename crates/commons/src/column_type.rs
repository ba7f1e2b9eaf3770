//! The column types of KalamDB, each with one Arrow type it is stored and sent as.
//!
//! This is our own enumeration, not Arrow's: it is written into the catalog, so its serialized
//! form must not change with a library's release.

use std::fmt;
use std::sync::Arc;

use arrow_schema::extension::{EXTENSION_TYPE_NAME_KEY, Json, Uuid};
use arrow_schema::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{EMBEDDING_DIMENSIONS_MAX, TYPE_DEPTH_MAX};

/// The time zone every TIMESTAMPTZ column has on the wire.
const UTC: &str = "UTC";
/// The length of a UUID.
const UUID_BYTES: i32 = 16;
/// Most digits of a DECIMAL (Decimal128).
const DECIMAL_PRECISION_MAX: u8 = 38;

/// The finest unit a timestamp column keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimePrecision {
    /// TIMESTAMP(0)
    Seconds,
    /// TIMESTAMP(3)
    Millis,
    /// TIMESTAMP(6), what TIMESTAMP without a precision means
    Micros,
    /// TIMESTAMP(9)
    Nanos,
}

impl TimePrecision {
    /// Digits after the second, as in `TIMESTAMP(n)`.
    pub fn digits(self) -> u8 {
        match self {
            Self::Seconds => 0,
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }

    fn unit(self) -> TimeUnit {
        match self {
            Self::Seconds => TimeUnit::Second,
            Self::Millis => TimeUnit::Millisecond,
            Self::Micros => TimeUnit::Microsecond,
            Self::Nanos => TimeUnit::Nanosecond,
        }
    }

    fn from_unit(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::Second => Self::Seconds,
            TimeUnit::Millisecond => Self::Millis,
            TimeUnit::Microsecond => Self::Micros,
            TimeUnit::Nanosecond => Self::Nanos,
        }
    }
}

/// One field of a STRUCT.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StructField {
    /// The field's name.
    pub name: Arc<str>,
    /// The field's type.
    pub field_type: ColumnType,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// BOOLEAN
    Boolean,
    /// TINYINT
    Int8,
    /// SMALLINT
    Int16,
    /// INT
    Int32,
    /// BIGINT
    Int64,
    /// TINYINT UNSIGNED
    UInt8,
    /// SMALLINT UNSIGNED
    UInt16,
    /// INT UNSIGNED
    UInt32,
    /// BIGINT UNSIGNED
    UInt64,
    /// REAL
    Float32,
    /// DOUBLE
    Float64,
    /// DECIMAL(p, s), stored as Decimal128
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: i8,
    },
    /// TEXT (Utf8)
    Text,
    /// BYTES (Binary)
    Bytes,
    /// DATE (Date32)
    Date,
    /// TIME (Time64 µs)
    Time,
    /// TIMESTAMP (no zone) and TIMESTAMPTZ (an instant, shown in UTC)
    Timestamp {
        /// The unit stored.
        precision: TimePrecision,
        /// True for TIMESTAMPTZ.
        utc: bool,
    },
    /// INTERVAL (months, days, nanoseconds)
    Interval,
    /// UUID (16 bytes, extension `arrow.uuid`)
    Uuid,
    /// JSON (Utf8, extension `arrow.json`)
    Json,
    /// `T[]`; items may be NULL
    List(Box<ColumnType>),
    /// STRUCT(name type, …)
    Struct(Vec<StructField>),
    /// EMBEDDING(n): n 32-bit floats
    Embedding(u32),
}

/// A type that cannot be a column's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TypeError {
    /// No column type holds values of this Arrow type.
    #[error("no column holds values of the type {arrow_type}, make them JSON or lists of STRUCTs")]
    NotStorable {
        /// The Arrow type's name.
        arrow_type: String,
    },
    /// A number in the type is out of its range.
    #[error("{type_name} is out of range: {reason}")]
    OutOfRange {
        /// The type as written.
        type_name: String,
        /// What would be right.
        reason: String,
    },
}

impl ColumnType {
    /// The Arrow type values are stored, computed and sent as.
    pub fn to_arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt8 => DataType::UInt8,
            Self::UInt16 => DataType::UInt16,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Text | Self::Json => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { precision, utc } => {
                DataType::Timestamp(precision.unit(), utc.then(|| UTC.into()))
            }
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => DataType::FixedSizeBinary(UUID_BYTES),
            Self::List(item) => {
                DataType::List(Arc::new(item.to_field(Field::LIST_FIELD_DEFAULT_NAME, true)))
            }
            Self::Struct(fields) => DataType::Struct(
                fields
                    .iter()
                    .map(|field| field.field_type.to_field(&field.name, field.nullable))
                    .collect::<Fields>(),
            ),
            Self::Embedding(dimensions) => DataType::FixedSizeList(
                Arc::new(Field::new(Field::LIST_FIELD_DEFAULT_NAME, DataType::Float32, false)),
                i32::try_from(*dimensions).unwrap_or(i32::MAX),
            ),
        }
    }

    /// An Arrow field of this type, carrying the extension type of UUID and JSON.
    pub fn to_field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.to_arrow(), nullable);
        match self {
            Self::Uuid => field.with_extension_type(Uuid),
            Self::Json => field.with_extension_type(Json::default()),
            _ => field,
        }
    }

    /// The field of a statement's result with every 16 bytes in it as a UUID: no other value that a
    /// statement computes has that type, and functions forget that it was one.
    pub fn with_uuids(field: &Field) -> Field {
        let inner = |field: &FieldRef| Arc::new(Self::with_uuids(field));
        let data_type = match field.data_type() {
            DataType::FixedSizeBinary(UUID_BYTES) => {
                return field.clone().with_extension_type(Uuid);
            }
            DataType::List(item) => DataType::List(inner(item)),
            DataType::LargeList(item) => DataType::LargeList(inner(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
            _ => return field.clone(),
        };
        field.clone().with_data_type(data_type)
    }

    /// The column type that holds the values of an Arrow field; views, large and dictionary
    /// encodings become the plain type, Float16 becomes REAL.
    pub fn from_arrow(field: &Field) -> Result<Self, TypeError> {
        Self::from_arrow_at(field, 0)
    }

    fn from_arrow_at(field: &Field, depth: usize) -> Result<Self, TypeError> {
        let refused = || {
            let arrow_type = match field.data_type() {
                DataType::Map(..) => String::from("MAP"),
                DataType::Union(..) => String::from("UNION"),
                other => other.to_string(),
            };
            TypeError::NotStorable { arrow_type }
        };
        if depth > TYPE_DEPTH_MAX {
            return Err(refused());
        }
        let extension = field.metadata().get(EXTENSION_TYPE_NAME_KEY).map(String::as_str);
        let plain = |data_type: &DataType| {
            Self::from_arrow_at(
                &Field::new(field.name(), data_type.clone(), true)
                    .with_metadata(field.metadata().clone()),
                depth + 1,
            )
        };
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            // A column of nothing but NULLs can become anything later; TEXT takes every literal.
            DataType::Null => Self::Text,
            DataType::Int64 => Self::Int64,
            DataType::UInt8 => Self::UInt8,
            DataType::UInt16 => Self::UInt16,
            DataType::UInt32 => Self::UInt32,
            DataType::UInt64 => Self::UInt64,
            DataType::Float16 | DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Decimal32(p, s)
            | DataType::Decimal64(p, s)
            | DataType::Decimal128(p, s)
            | DataType::Decimal256(p, s) => Self::decimal(*p, *s)?,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                if extension == Some("arrow.json") { Self::Json } else { Self::Text }
            }
            DataType::FixedSizeBinary(UUID_BYTES) if extension == Some("arrow.uuid") => Self::Uuid,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Self::Bytes,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(unit, zone) => {
                Self::Timestamp { precision: TimePrecision::from_unit(*unit), utc: zone.is_some() }
            }
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            DataType::FixedSizeList(item, size) => match (item.data_type(), u32::try_from(*size)) {
                (DataType::Float32, Ok(size)) if (1..=EMBEDDING_DIMENSIONS_MAX).contains(&size) => {
                    Self::Embedding(size)
                }
                _ => Self::List(Box::new(Self::from_arrow_at(item, depth + 1)?)),
            },
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => {
                Self::List(Box::new(Self::from_arrow_at(item, depth + 1)?))
            }
            DataType::Struct(fields) => Self::Struct(
                fields
                    .iter()
                    .map(|inner| {
                        Ok(StructField {
                            name: crate::intern(inner.name()),
                            field_type: Self::from_arrow_at(inner, depth + 1)?,
                            nullable: inner.is_nullable(),
                        })
                    })
                    .collect::<Result<_, TypeError>>()?,
            ),
            DataType::Dictionary(_, value) => plain(value)?,
            DataType::RunEndEncoded(_, value) => plain(value.data_type())?,
            DataType::Map(_, _) | DataType::Union(_, _) => return Err(refused()),
        })
    }

    /// DECIMAL(precision, scale), when both are in range.
    pub fn decimal(precision: u8, scale: i8) -> Result<Self, TypeError> {
        let scale_fits = u8::try_from(scale).is_ok_and(|scale| scale <= precision);
        if (1..=DECIMAL_PRECISION_MAX).contains(&precision) && scale_fits {
            return Ok(Self::Decimal { precision, scale });
        }
        Err(TypeError::OutOfRange {
            type_name: format!("DECIMAL({precision}, {scale})"),
            reason: format!(
                "use a precision of 1 to {DECIMAL_PRECISION_MAX} and a scale of 0 to the precision"
            ),
        })
    }

    /// TIMESTAMP: microseconds, no zone.
    pub fn timestamp() -> Self {
        Self::Timestamp { precision: TimePrecision::Micros, utc: false }
    }

    /// TIMESTAMPTZ: microseconds, an instant.
    pub fn timestamptz() -> Self {
        Self::Timestamp { precision: TimePrecision::Micros, utc: true }
    }

    /// True when values of the type have an order that keys can keep: everything but INTERVAL,
    /// JSON and the nested types.
    pub fn can_be_key(&self) -> bool {
        !matches!(
            self,
            Self::Interval | Self::Json | Self::List(_) | Self::Struct(_) | Self::Embedding(_)
        )
    }
}

/// The SQL name, as SHOW CREATE TABLE prints it and CREATE TABLE reads it back.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Int8 => f.write_str("TINYINT"),
            Self::Int16 => f.write_str("SMALLINT"),
            Self::Int32 => f.write_str("INT"),
            Self::Int64 => f.write_str("BIGINT"),
            Self::UInt8 => f.write_str("TINYINT UNSIGNED"),
            Self::UInt16 => f.write_str("SMALLINT UNSIGNED"),
            Self::UInt32 => f.write_str("INT UNSIGNED"),
            Self::UInt64 => f.write_str("BIGINT UNSIGNED"),
            Self::Float32 => f.write_str("REAL"),
            Self::Float64 => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Text => f.write_str("TEXT"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp { precision, utc } => {
                f.write_str(if *utc { "TIMESTAMPTZ" } else { "TIMESTAMP" })?;
                match precision {
                    TimePrecision::Micros => Ok(()),
                    other => write!(f, "({})", other.digits()),
                }
            }
            Self::Interval => f.write_str("INTERVAL"),
            Self::Uuid => f.write_str("UUID"),
            Self::Json => f.write_str("JSON"),
            Self::List(item) => write!(f, "{item}[]"),
            Self::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "\"{}\" {}", field.name.replace('"', "\"\""), field.field_type)?;
                    if !field.nullable {
                        f.write_str(" NOT NULL")?;
                    }
                }
                f.write_str(")")
            }
            Self::Embedding(dimensions) => write!(f, "EMBEDDING({dimensions})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<ColumnType> {
        vec![
            ColumnType::Boolean,
            ColumnType::UInt64,
            ColumnType::Decimal { precision: 38, scale: 10 },
            ColumnType::timestamptz(),
            ColumnType::Timestamp { precision: TimePrecision::Nanos, utc: false },
            ColumnType::Uuid,
            ColumnType::Json,
            ColumnType::Embedding(3),
            ColumnType::List(Box::new(ColumnType::Struct(vec![StructField {
                name: "a \"b\"".into(),
                field_type: ColumnType::Uuid,
                nullable: false,
            }]))),
        ]
    }

    #[test]
    fn a_type_survives_arrow_and_the_catalog() {
        for column_type in samples() {
            let field = column_type.to_field("c", true);
            assert_eq!(ColumnType::from_arrow(&field).unwrap(), column_type);
            let stored = serde_json::to_string(&column_type).unwrap();
            assert_eq!(serde_json::from_str::<ColumnType>(&stored).unwrap(), column_type);
        }
    }

    #[test]
    fn other_encodings_become_the_plain_type() {
        let dictionary =
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8));
        for arrow in [DataType::Utf8View, DataType::LargeUtf8, dictionary] {
            let field = Field::new("c", arrow, true);
            assert_eq!(ColumnType::from_arrow(&field).unwrap(), ColumnType::Text);
        }
    }

    #[test]
    fn sixteen_bytes_of_a_result_are_a_uuid_also_in_lists_and_structs() {
        let bytes = || DataType::FixedSizeBinary(UUID_BYTES);
        let item = Arc::new(Field::new("item", bytes(), true));
        let of = |data_type| {
            let field = ColumnType::with_uuids(&Field::new("c", data_type, true));
            ColumnType::from_arrow(&field).unwrap().to_string()
        };
        assert_eq!(of(bytes()), "UUID");
        assert_eq!(of(DataType::List(Arc::clone(&item))), "UUID[]");
        assert_eq!(of(DataType::Struct(vec![item].into())), "STRUCT(\"item\" UUID)");
        assert_eq!(of(DataType::FixedSizeBinary(4)), "BYTES");
    }

    #[test]
    fn a_decimal_out_of_range_is_refused_with_the_range() {
        for (precision, scale) in [(0, 0), (39, 0), (5, 6), (5, -1)] {
            let error = ColumnType::decimal(precision, scale).unwrap_err().to_string();
            assert!(error.contains("1 to 38"), "{error}");
        }
    }
}
