//! Arrow arrays to key bytes, column by column: first every key's length, then the bytes.

use arrow::array::ArrayRef;
use kalamdb_commons::ColumnType;

use super::{KeyOrder, KeyPart};
use crate::row_format::{Source, SourceValues, Width};
use crate::{ByteRows, StoreError};

/// What ends a TEXT or BYTES part.
pub(super) const TERMINATOR: [u8; 2] = [0x00, 0x01];
/// What follows a 00 that belongs to the value.
pub(super) const ESCAPE: u8 = 0xFF;

pub(super) fn encode(
    types: &[ColumnType],
    parts: &[KeyPart],
    columns: &[ArrayRef],
    prefix: &[u8],
    key_bytes_max: usize,
    out: &mut ByteRows,
) -> Result<(), StoreError> {
    let rows = columns.first().map_or(0, |column| column.len());
    let sources = open_sources(types, columns, rows)?;
    let lengths = key_lengths(parts, &sources, prefix.len(), rows)?;
    for (row, length) in lengths.iter().enumerate() {
        let bytes = length - prefix.len();
        if bytes > key_bytes_max {
            return Err(StoreError::KeyTooLong { row, bytes, bytes_max: key_bytes_max });
        }
    }
    let mut cursors = Vec::with_capacity(rows);
    let mut start = out.byte_len();
    out.extend_zeroed(&lengths);
    let bytes = out.buffer_mut();
    for length in lengths {
        bytes[start..start + prefix.len()].copy_from_slice(prefix);
        cursors.push(start + prefix.len());
        start += length;
    }
    for (part, source) in parts.iter().zip(&sources) {
        write_part(*part, source, &mut cursors, bytes);
    }
    Ok(())
}

fn open_sources(
    types: &[ColumnType],
    columns: &[ArrayRef],
    rows: usize,
) -> Result<Vec<Source>, StoreError> {
    let mut sources = Vec::with_capacity(columns.len());
    for (position, (column_type, column)) in types.iter().zip(columns).enumerate() {
        if column.len() != rows {
            return Err(StoreError::invalid("key columns differ in length"));
        }
        let source = Source::new(column, column_type)?;
        if let Some(row) = source.first_null() {
            return Err(StoreError::NullInKey { position, row });
        }
        sources.push(source);
    }
    Ok(sources)
}

fn key_lengths(
    parts: &[KeyPart],
    sources: &[Source],
    prefix_len: usize,
    rows: usize,
) -> Result<Vec<usize>, StoreError> {
    let fixed: usize = parts
        .iter()
        .map(|part| match part {
            KeyPart::Fixed(_, width) => width.bytes(),
            KeyPart::Escaped => 0,
        })
        .sum();
    let mut lengths = vec![prefix_len + fixed; rows];
    for (part, source) in parts.iter().zip(sources) {
        match (part, &source.values) {
            (KeyPart::Escaped, SourceValues::Bytes { .. }) => {
                for (row, length) in lengths.iter_mut().enumerate() {
                    let value = source.bytes_at(row);
                    let zeros = value.iter().filter(|byte| **byte == 0).count();
                    *length += value.len() + zeros + TERMINATOR.len();
                }
            }
            (KeyPart::Fixed(..), SourceValues::Fixed { .. } | SourceValues::Boolean(_)) => {}
            (part, _) => {
                return Err(StoreError::invalid(format!("{part:?} from another kind of array")));
            }
        }
    }
    Ok(lengths)
}

fn write_part(part: KeyPart, source: &Source, cursors: &mut [usize], out: &mut [u8]) {
    match (part, &source.values) {
        (_, SourceValues::Boolean(values)) => {
            for (cursor, value) in cursors.iter_mut().zip(values) {
                out[*cursor] = u8::from(value);
                *cursor += 1;
            }
        }
        (KeyPart::Fixed(order, width), SourceValues::Fixed { bytes, .. }) => match width {
            Width::W1 => write_fixed::<1>(order, bytes, cursors, out),
            Width::W2 => write_fixed::<2>(order, bytes, cursors, out),
            Width::W4 => write_fixed::<4>(order, bytes, cursors, out),
            Width::W8 => write_fixed::<8>(order, bytes, cursors, out),
            Width::W16 => write_fixed::<16>(order, bytes, cursors, out),
        },
        _ => {
            for (row, cursor) in cursors.iter_mut().enumerate() {
                *cursor += write_escaped(source.bytes_at(row), &mut out[*cursor..]);
            }
        }
    }
}

fn write_fixed<const W: usize>(
    order: KeyOrder,
    values: &[u8],
    cursors: &mut [usize],
    out: &mut [u8],
) {
    let (values, _) = values.as_chunks::<W>();
    for (cursor, value) in cursors.iter_mut().zip(values) {
        out[*cursor..*cursor + W].copy_from_slice(&order.encode(*value));
        *cursor += W;
    }
}

impl KeyOrder {
    /// A little-endian value to key bytes.
    fn encode<const W: usize>(self, mut value: [u8; W]) -> [u8; W] {
        if self == Self::Raw {
            return value;
        }
        value.reverse();
        match self {
            Self::Signed => value[0] ^= SIGN,
            Self::Float => encode_float(&mut value),
            Self::Unsigned | Self::Raw => {}
        }
        value
    }
}

/// The sign bit in the first byte of a big-endian value.
const SIGN: u8 = 0x80;

/// Big-endian IEEE 754 bits to key bytes.
fn encode_float(value: &mut [u8]) {
    let (exponent, nan): (&[u8], &[u8]) = match value.len() {
        4 => (&[0x7F, 0x80], &[0x7F, 0xC0, 0, 0]),
        _ => (&[0x7F, 0xF0], &[0x7F, 0xF8, 0, 0, 0, 0, 0, 0]),
    };
    let magnitude = value[0] & !SIGN;
    let rest_is_zero = value[2..].iter().all(|byte| *byte == 0);
    if magnitude == exponent[0]
        && (value[1] > exponent[1] || value[1] == exponent[1] && !rest_is_zero)
    {
        value.copy_from_slice(nan);
    } else if magnitude == 0 && value[1] == 0 && rest_is_zero {
        value[0] = 0;
    }
    if value[0] & SIGN == 0 {
        value[0] |= SIGN;
    } else {
        value.iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Appends a TEXT or BYTES part.
pub(crate) fn append_escaped(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        out.push(*byte);
        if *byte == 0 {
            out.push(ESCAPE);
        }
    }
    out.extend_from_slice(&TERMINATOR);
}

/// Writes a TEXT or BYTES part to the front of `out` and returns its length.
fn write_escaped(value: &[u8], out: &mut [u8]) -> usize {
    let (mut rest, mut at) = (value, 0);
    while let Some(zero) = super::decode::find_zero(rest) {
        out[at..=at + zero].copy_from_slice(&rest[..=zero]);
        out[at + zero + 1] = ESCAPE;
        at += zero + 2;
        rest = &rest[zero + 1..];
    }
    out[at..at + rest.len()].copy_from_slice(rest);
    at += rest.len();
    out[at..at + TERMINATOR.len()].copy_from_slice(&TERMINATOR);
    at + TERMINATOR.len()
}
