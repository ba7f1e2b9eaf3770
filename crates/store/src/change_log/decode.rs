//! Reading the change log.

use super::{FORMAT, LogKey, PART_HEADER_BYTES};
use crate::{ChangeOp, StoreError};

/// One decoded part of a commit's changes to a table.
pub struct ChangeLogEntry<'a> {
    /// Where it stands.
    pub key: LogKey,
    /// What it says.
    pub part: ChangeLogPart<'a>,
}

impl<'a> ChangeLogEntry<'a> {
    /// Decodes a stored key and value.
    pub fn decode(key: &[u8], value: &'a [u8]) -> Result<Self, StoreError> {
        Ok(Self { key: LogKey::decode(key)?, part: ChangeLogPart::decode(value)? })
    }
}

/// The value of a part: a header, and changes to iterate over.
#[derive(Debug, Clone, Copy)]
pub struct ChangeLogPart<'a> {
    /// The version of the table its images were written with, unless they say otherwise.
    pub schema_version: u32,
    /// The commit's time, µs since the Unix epoch.
    pub updated_us: i64,
    changes: &'a [u8],
}

/// One change of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedChange<'a> {
    /// What happened.
    pub op: ChangeOp,
    /// The row's key without the table's prefix.
    pub key: &'a [u8],
    /// The row's value after the change; `None` for a delete.
    pub new: Option<&'a [u8]>,
    /// The row's value before the change; `None` for an insert.
    pub old: Option<&'a [u8]>,
}

impl<'a> ChangeLogPart<'a> {
    /// Decodes a stored value.
    pub fn decode(value: &'a [u8]) -> Result<Self, StoreError> {
        let Some((header, changes)) = value.split_first_chunk::<PART_HEADER_BYTES>() else {
            return Err(corrupt(format!("{} bytes are no header", value.len())));
        };
        let [format, v0, v1, v2, v3, time @ ..] = *header;
        if format != FORMAT {
            return Err(corrupt(format!("unknown format {format}")));
        }
        Ok(Self {
            schema_version: u32::from_le_bytes([v0, v1, v2, v3]),
            updated_us: i64::from_le_bytes(time),
            changes,
        })
    }

    /// The changes, in the order the statement made them. Ends after the first error.
    pub fn changes(&self) -> impl Iterator<Item = Result<LoggedChange<'a>, StoreError>> + use<'a> {
        let mut rest = self.changes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let change = take_change(&mut rest);
            if change.is_err() {
                rest = &[];
            }
            Some(change)
        })
    }
}

fn take_change<'a>(rest: &mut &'a [u8]) -> Result<LoggedChange<'a>, StoreError> {
    let op = match take(rest, 1)? {
        [1] => ChangeOp::Insert,
        [2] => ChangeOp::Update,
        [3] => ChangeOp::Delete,
        [4] => ChangeOp::Truncate,
        other => return Err(corrupt(format!("unknown operation {other:?}"))),
    };
    let [key_len, new_len, old_len] = [take_len(rest)?, take_len(rest)?, take_len(rest)?];
    let key = take(rest, key_len)?;
    let new = take(rest, new_len)?;
    let old = take(rest, old_len)?;
    let present = |image: &'a [u8]| Some(image).filter(|image| !image.is_empty());
    Ok(LoggedChange { op, key, new: present(new), old: present(old) })
}

fn take_len(rest: &mut &[u8]) -> Result<usize, StoreError> {
    let (len, tail) =
        rest.split_first_chunk::<4>().ok_or_else(|| corrupt("a length is cut off".to_owned()))?;
    *rest = tail;
    usize::try_from(u32::from_le_bytes(*len)).map_err(|error| corrupt(error.to_string()))
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], StoreError> {
    let (taken, tail) = rest
        .split_at_checked(len)
        .ok_or_else(|| corrupt(format!("{len} bytes are wanted, {} are left", rest.len())))?;
    *rest = tail;
    Ok(taken)
}

fn corrupt(detail: String) -> StoreError {
    StoreError::Corrupt { what: "change log entry", detail }
}
