//! Row values, format version 1.
//!
//! ```text
//! offset  0        1       2        4                8            16          24
//!         ┌────────┬───────┬────────┬────────────────┬────────────┬───────────┐
//! header  │ format │ flags │ 0    0 │ schema version │ commit_seq │ updated µs│
//!         └────────┴───────┴────────┴────────────────┴────────────┴───────────┘
//!         ┌─────────────┬────────────┬──────────────────────┬────────────────┐
//! tuple   │ null bitmap │ fixed slots│ ends of var values   │ var values     │
//!         └─────────────┴────────────┴──────────────────────┴────────────────┘
//! ```
//!
//! - Numbers are little-endian. flags: 1 = the row is deleted, 2 = some value is NULL.
//! - The columns of a row are those outside the key, in the order of their stable ids. Which
//!   place each has follows from the table's definition at the row's schema version alone.
//! - Bit `i` of the null bitmap is set when column `i` is NULL; its slot is then zeros, its var
//!   value empty.
//! - A fixed slot holds the value as Arrow does (BOOLEAN: one byte). Everything else is a var
//!   value: it ends where its `u32` says, counted from the first var value, and starts where the
//!   one before it ends.
//! - TEXT, JSON, BYTES: the bytes. EMBEDDING: its floats. STRUCT: a tuple of its fields in
//!   declared order. A list: `u32` count, null bitmap, then the items' slots, or their ends and
//!   bytes.
//!
//! So any column is found without reading another, and a slot goes into an Arrow buffer as it
//! stands.

#[cfg(test)]
pub(crate) mod arbitrary;
mod encode;
mod fill_bytes;
mod layout;
mod nested;
mod source;
#[cfg(test)]
mod tests;

use kalamdb_commons::{ColumnType, CommitSeq};

pub(crate) use self::encode::encode_rows;
pub(crate) use self::fill_bytes::fill_bytes;
pub(crate) use self::layout::{Place, RowLayout, TupleLayout, var_value};
pub(crate) use self::source::{Source, SourceValues};
use crate::{ByteRows, StoreError};

#[cfg(target_endian = "big")]
compile_error!("slots go into Arrow buffers as they are stored: little-endian machines only");

/// The version of the row format, the first byte of every row value.
pub const ROW_FORMAT_VERSION: u8 = 1;
/// Bytes of a row value before its null bitmap.
pub const HEADER_BYTES: usize = 24;

/// The row is deleted; it is kept as the last image under its key.
pub(crate) const FLAG_DELETED: u8 = 1;
/// Some value of the row is NULL; without it the null bitmap holds zeros only.
pub(crate) const FLAG_NULLS: u8 = 2;
pub(crate) const FLAGS_AT: usize = 1;
const SCHEMA_VERSION_AT: usize = 4;
pub(crate) const COMMIT_SEQ_AT: usize = 8;
pub(crate) const UPDATED_AT: usize = 16;
/// Bytes of the number that says where a var value ends.
pub(crate) const END_BYTES: usize = 4;

/// Bytes of a value that always takes the same number of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// 1 byte
    W1,
    /// 2 bytes
    W2,
    /// 4 bytes
    W4,
    /// 8 bytes
    W8,
    /// 16 bytes
    W16,
}

impl Width {
    /// The number of bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::W1 => 1,
            Self::W2 => 2,
            Self::W4 => 4,
            Self::W8 => 8,
            Self::W16 => 16,
        }
    }
}

/// The slot width of a type, or `None` when its values vary in length.
pub(crate) fn fixed_width(column_type: &ColumnType) -> Option<Width> {
    match column_type {
        ColumnType::Boolean | ColumnType::Int8 | ColumnType::UInt8 => Some(Width::W1),
        ColumnType::Int16 | ColumnType::UInt16 => Some(Width::W2),
        ColumnType::Int32 | ColumnType::UInt32 | ColumnType::Float32 | ColumnType::Date => {
            Some(Width::W4)
        }
        ColumnType::Int64
        | ColumnType::UInt64
        | ColumnType::Float64
        | ColumnType::Time
        | ColumnType::Timestamp { .. } => Some(Width::W8),
        ColumnType::Decimal { .. } | ColumnType::Interval | ColumnType::Uuid => Some(Width::W16),
        ColumnType::Text
        | ColumnType::Json
        | ColumnType::Bytes
        | ColumnType::List(_)
        | ColumnType::Struct(_)
        | ColumnType::Embedding(_) => None,
    }
}

/// Writes the commit's number and time into an encoded row.
///
/// # Errors
/// [`StoreError::Corrupt`] when `row` is shorter than a header.
pub fn patch(row: &mut [u8], commit_seq: CommitSeq, updated_us: i64) -> Result<(), StoreError> {
    let length = row.len();
    let header = row.first_chunk_mut::<HEADER_BYTES>().ok_or_else(|| no_header(length))?;
    header[COMMIT_SEQ_AT..UPDATED_AT].copy_from_slice(&commit_seq.0.to_le_bytes());
    header[UPDATED_AT..].copy_from_slice(&updated_us.to_le_bytes());
    Ok(())
}

/// True when the row is marked deleted. Bytes too short for a row are not: decoding reports them.
#[inline]
pub fn is_deleted(row: &[u8]) -> bool {
    row.get(FLAGS_AT).is_some_and(|flags| flags & FLAG_DELETED != 0)
}

/// The commit that wrote the row.
///
/// # Errors
/// [`StoreError::Corrupt`] when `row` is shorter than a header.
pub fn commit_seq(row: &[u8]) -> Result<CommitSeq, StoreError> {
    Ok(CommitSeq(u64::from_le_bytes(header_field(row, COMMIT_SEQ_AT)?)))
}

/// When the row was written, µs since the Unix epoch.
///
/// # Errors
/// [`StoreError::Corrupt`] when `row` is shorter than a header.
pub fn updated_us(row: &[u8]) -> Result<i64, StoreError> {
    Ok(i64::from_le_bytes(header_field(row, UPDATED_AT)?))
}

/// The version of the table's schema the row was written with.
///
/// # Errors
/// [`StoreError::Corrupt`] when `row` is shorter than a header or of another format.
pub fn schema_version(row: &[u8]) -> Result<u32, StoreError> {
    read_schema_version(row).ok_or_else(|| match row.first() {
        Some(format) if *format != ROW_FORMAT_VERSION => {
            StoreError::corrupt("row", format!("it has the unknown format {format}"))
        }
        _ => no_header(row.len()),
    })
}

/// The same, `None` instead of an error.
#[inline]
pub(crate) fn read_schema_version(row: &[u8]) -> Option<u32> {
    let header = row.first_chunk::<HEADER_BYTES>()?;
    let version = header[SCHEMA_VERSION_AT..].first_chunk()?;
    (header[0] == ROW_FORMAT_VERSION).then(|| u32::from_le_bytes(*version))
}

/// Appends the same row, marked deleted.
///
/// # Errors
/// [`StoreError::Corrupt`] when `row` is shorter than a header.
pub fn as_tombstone(row: &[u8], out: &mut ByteRows) -> Result<(), StoreError> {
    if row.len() < HEADER_BYTES {
        return Err(no_header(row.len()));
    }
    out.push(row);
    out.get_mut(out.len() - 1)[FLAGS_AT] |= FLAG_DELETED;
    Ok(())
}

fn header_field(row: &[u8], at: usize) -> Result<[u8; 8], StoreError> {
    row.get(at..)
        .and_then(|rest| rest.first_chunk::<8>())
        .copied()
        .ok_or_else(|| no_header(row.len()))
}

fn no_header(length: usize) -> StoreError {
    StoreError::corrupt("row", format!("{length} bytes are too few for its header"))
}
