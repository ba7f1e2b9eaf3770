//! Memcomparable keys, version 1: encoded keys compare byte by byte as the values do, column by
//! column. Keys carry no version: another encoding is another format of the data directory.
//!
//! | type | bytes |
//! |---|---|
//! | BOOLEAN | 1 byte, 0 or 1 |
//! | signed integers, DATE, TIME, TIMESTAMP, DECIMAL | big-endian, sign bit flipped |
//! | unsigned integers | big-endian |
//! | REAL, DOUBLE | big-endian IEEE 754 bits: all flipped when negative, else the sign bit; -0.0 is written as 0.0 and every NaN as one NaN, which comes last |
//! | UUID | its 16 bytes |
//! | TEXT, BYTES | the bytes, 00 written as 00 FF; then 00 01 |
//!
//! Key columns are NOT NULL, so there is no byte for NULL. A key decodes column by column from
//! its front; nothing of it is stored a second time in the row.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef};
use kalamdb_commons::ColumnType;
use kalamdb_commons::limits::KEY_BYTES_MAX;

pub(crate) use self::decode::{append_unescaped, skip_escaped, take};
pub(crate) use self::encode::append_escaped;
use crate::row_format::{Width, fixed_width};
use crate::{ByteRows, StoreError};

/// How the bits of a fixed-width value become bytes that compare as the values do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyOrder {
    /// Big-endian.
    Unsigned,
    /// Big-endian, sign bit flipped.
    Signed,
    /// IEEE 754 total order without -0.0 and with a single NaN.
    Float,
    /// The bytes as they are.
    Raw,
}

/// The encoding of one key column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPart {
    /// Always the same number of bytes.
    Fixed(KeyOrder, Width),
    /// TEXT and BYTES: escaped and terminated.
    Escaped,
}

/// Encodes the key columns of a table into bytes that compare as the values do.
#[derive(Debug, Clone)]
pub struct KeyCodec {
    types: Vec<ColumnType>,
    parts: Vec<KeyPart>,
}

impl KeyCodec {
    /// A codec for key columns of these types, in key order.
    ///
    /// # Errors
    /// [`StoreError::NotAKeyType`] for INTERVAL, JSON and nested types.
    pub fn new(types: &[ColumnType]) -> Result<Self, StoreError> {
        let parts = types
            .iter()
            .enumerate()
            .map(|(position, column_type)| {
                key_part(column_type).ok_or_else(|| StoreError::NotAKeyType {
                    position,
                    type_name: column_type.to_string(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { types: types.to_vec(), parts })
    }

    /// The types of the key columns, in key order.
    pub fn types(&self) -> &[ColumnType] {
        &self.types
    }

    pub(crate) fn parts(&self) -> &[KeyPart] {
        &self.parts
    }

    /// Appends `prefix` and the encoded key of every row to `out`, one string a row. `columns`
    /// are the key columns in key order, all of one length. On an error `out` is as before.
    ///
    /// # Errors
    /// [`StoreError::NullInKey`] naming column and row, [`StoreError::KeyTooLong`] naming the row
    /// whose key bytes (without the prefix) exceed [`KEY_BYTES_MAX`].
    pub fn encode(
        &self,
        columns: &[ArrayRef],
        prefix: &[u8],
        out: &mut ByteRows,
    ) -> Result<(), StoreError> {
        if columns.len() != self.parts.len() {
            return Err(StoreError::invalid(format!(
                "{} key columns were given, the key has {}",
                columns.len(),
                self.parts.len()
            )));
        }
        encode::encode(&self.types, &self.parts, columns, prefix, KEY_BYTES_MAX, out)
    }

    /// Appends the encoding of the first `columns.len()` key columns of row `row` to `out`: every
    /// key that starts with these values starts with these bytes, and no other does.
    ///
    /// # Errors
    /// [`StoreError::NullInKey`] when one of the values is NULL.
    pub fn encode_leading(
        &self,
        columns: &[ArrayRef],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let leading = columns.len();
        if leading > self.parts.len() || columns.iter().any(|column| row >= column.len()) {
            return Err(StoreError::invalid(format!(
                "row {row} of {leading} leading key columns was asked for, the key has {}",
                self.parts.len()
            )));
        }
        let row_only: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
        let mut keys = ByteRows::new();
        let (types, parts) = (&self.types[..leading], &self.parts[..leading]);
        encode::encode(types, parts, &row_only, &[], usize::MAX, &mut keys)?;
        out.extend(keys.iter().flatten());
        Ok(())
    }
}

fn key_part(column_type: &ColumnType) -> Option<KeyPart> {
    let order = match column_type {
        ColumnType::Text | ColumnType::Bytes => return Some(KeyPart::Escaped),
        ColumnType::Boolean
        | ColumnType::UInt8
        | ColumnType::UInt16
        | ColumnType::UInt32
        | ColumnType::UInt64 => KeyOrder::Unsigned,
        ColumnType::Int8
        | ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Decimal { .. }
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::Timestamp { .. } => KeyOrder::Signed,
        ColumnType::Float32 | ColumnType::Float64 => KeyOrder::Float,
        ColumnType::Uuid => KeyOrder::Raw,
        ColumnType::Interval
        | ColumnType::Json
        | ColumnType::List(_)
        | ColumnType::Struct(_)
        | ColumnType::Embedding(_) => return None,
    };
    fixed_width(column_type).map(|width| KeyPart::Fixed(order, width))
}
