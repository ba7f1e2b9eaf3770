//! Row counters, kept by RocksDB's merge operator: a commit adds its difference without reading.
//!
//! Format 1 of an operand and of a value, 33 bytes: version u8, then four i64 LE: live rows,
//! tombstones, bytes (keys and values), greatest `_updated`. Three are summed, the last is a
//! maximum; both are associative, so operands may be merged with each other in any grouping.

use rocksdb::MergeOperands;

use crate::StoreError;

const VERSION: u8 = 1;
const FIELDS: usize = 4;
const ENCODED_BYTES: usize = 1 + FIELDS * 8;

/// What stands in a table, or in one owner's part of it, as of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableCounts {
    /// Rows that are not deleted.
    pub live_rows: u64,
    /// Deleted rows still kept.
    pub tombstones: u64,
    /// Encoded bytes of keys and values, tombstones included, before compression.
    pub bytes: u64,
}

/// A difference of counters, or their sum from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CounterDelta {
    pub(crate) live_rows: i64,
    pub(crate) tombstones: i64,
    pub(crate) bytes: i64,
    pub(crate) updated_us_max: i64,
}

impl Default for CounterDelta {
    fn default() -> Self {
        Self { live_rows: 0, tombstones: 0, bytes: 0, updated_us_max: i64::MIN }
    }
}

impl CounterDelta {
    pub(crate) fn add(&mut self, other: &Self) {
        self.live_rows = self.live_rows.saturating_add(other.live_rows);
        self.tombstones = self.tombstones.saturating_add(other.tombstones);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.updated_us_max = self.updated_us_max.max(other.updated_us_max);
    }

    /// The difference that takes this one back; times stay.
    pub(crate) fn negated(&self) -> Self {
        Self {
            live_rows: self.live_rows.saturating_neg(),
            tombstones: self.tombstones.saturating_neg(),
            bytes: self.bytes.saturating_neg(),
            ..Self::default()
        }
    }

    /// Counts a key's image away (`weight` -1) or in (+1).
    pub(crate) fn count_image(&mut self, weight: i64, deleted: bool, bytes: usize) {
        if deleted {
            self.tombstones += weight;
        } else {
            self.live_rows += weight;
        }
        self.bytes += weight * i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    pub(crate) fn encode(&self) -> [u8; ENCODED_BYTES] {
        let mut out = [VERSION; ENCODED_BYTES];
        let fields = [self.live_rows, self.tombstones, self.bytes, self.updated_us_max];
        for (slot, field) in out[1..].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let (&version, fields) = value.split_first()?;
        let (fields, rest) = fields.as_chunks::<8>();
        let [live_rows, tombstones, bytes, updated_us_max] = fields else { return None };
        if version != VERSION || !rest.is_empty() {
            return None;
        }
        Some(Self {
            live_rows: i64::from_le_bytes(*live_rows),
            tombstones: i64::from_le_bytes(*tombstones),
            bytes: i64::from_le_bytes(*bytes),
            updated_us_max: i64::from_le_bytes(*updated_us_max),
        })
    }

    /// Decodes a stored value, absent meaning zero.
    pub(crate) fn decode_stored(value: Option<&[u8]>) -> Result<Self, StoreError> {
        let Some(value) = value else { return Ok(Self::default()) };
        Self::decode(value).ok_or_else(|| StoreError::Corrupt {
            what: "table counters",
            detail: format!("{} bytes are not counters", value.len()),
        })
    }

    pub(crate) fn counts(&self) -> TableCounts {
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        TableCounts {
            live_rows: unsigned(self.live_rows),
            tombstones: unsigned(self.tombstones),
            bytes: unsigned(self.bytes),
        }
    }
}

/// The merge operator's name on disk.
pub(crate) const MERGE_OPERATOR: &str = "kalamdb.counters.v1";

/// Adds operands to the existing value. `None` (an unreadable value) makes RocksDB report
/// corruption to the reader.
pub(crate) fn merge(
    _key: &[u8],
    existing: Option<&[u8]>,
    operands: &MergeOperands,
) -> Option<Vec<u8>> {
    let mut sum = match existing {
        Some(value) => CounterDelta::decode(value)?,
        None => CounterDelta::default(),
    };
    for operand in operands {
        sum.add(&CounterDelta::decode(operand)?);
    }
    Some(sum.encode().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let delta =
            CounterDelta { live_rows: 2, tombstones: -1, bytes: 256, updated_us_max: 0x0102 };
        let mut expected = vec![1, 2, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([0xFF; 8]);
        expected.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        expected.extend([2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(delta.encode().to_vec(), expected);
        assert_eq!(CounterDelta::decode(&expected), Some(delta));
        assert_eq!(CounterDelta::decode(&expected[1..]), None);
    }
}
