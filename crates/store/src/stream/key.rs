//! The keys of stream rows.
//!
//! ```text
//! table id u32 │ time bucket u32 │ time u64, µs since 1970 │ row id, an Int64 of the key codec
//! ```
//!
//! Numbers are big-endian. Time and row id are the committer's to give: until then a key holds
//! zeros and the row's number within its statement.

use kalamdb_commons::{StreamOptions, TableId};

/// What stands before the row id.
pub(crate) const PREFIX_BYTES: usize = 4 + 4 + 8;
/// A complete key.
pub(crate) const KEY_BYTES: usize = PREFIX_BYTES + 8;
/// A key without the table.
pub(crate) const POSITION_BYTES: usize = KEY_BYTES - TABLE_BYTES;
const TABLE_BYTES: usize = 4;
/// The key codec writes an Int64 with its sign flipped.
const SIGN: u64 = 1 << 63;

/// A place in the order of a stream's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) bucket: u32,
    pub(crate) time_us: u64,
    pub(crate) row_id: u64,
}

impl Position {
    /// Where a row is that arrives at `time_us`.
    pub(crate) fn new(options: &StreamOptions, time_us: i64, row_id: u64) -> Self {
        let bucket = options.bucket_of(time_us);
        Self { bucket, time_us: u64::try_from(time_us).unwrap_or(0), row_id }
    }

    /// Before every row that arrives at `time_us` or later, behind all earlier ones.
    pub(crate) fn of_time(options: &StreamOptions, time_us: i64) -> Self {
        Self::new(options, time_us, 0)
    }

    /// The key without its table.
    pub(crate) fn encode(&self) -> [u8; POSITION_BYTES] {
        let mut bytes = [0; POSITION_BYTES];
        let (bucket, rest) = bytes.split_at_mut(4);
        let (time, row_id) = rest.split_at_mut(8);
        bucket.copy_from_slice(&self.bucket.to_be_bytes());
        time.copy_from_slice(&self.time_us.to_be_bytes());
        row_id.copy_from_slice(&(self.row_id ^ SIGN).to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bucket, rest) = bytes.split_first_chunk::<4>()?;
        let (time_us, rest) = rest.split_first_chunk::<8>()?;
        let row_id = <[u8; 8]>::try_from(rest).ok()?;
        Some(Self {
            bucket: u32::from_be_bytes(*bucket),
            time_us: u64::from_be_bytes(*time_us),
            row_id: u64::from_be_bytes(row_id) ^ SIGN,
        })
    }

    /// The complete key.
    pub(crate) fn key(&self, table: TableId) -> Vec<u8> {
        [table.0.to_be_bytes().as_slice(), &self.encode()].concat()
    }

    /// A bound that is no row's key: behind all rows before this one, before this one itself.
    /// RocksDB takes the end of a range of files for a part of the range.
    pub(crate) fn key_before(&self, table: TableId) -> Vec<u8> {
        match self.row_id.checked_sub(1) {
            Some(row_id) => [Self { row_id, ..*self }.key(table).as_slice(), &[0]].concat(),
            // No row has the id 0.
            None => self.key(table),
        }
    }

    /// Writes time and row id into a complete key of the table.
    pub(crate) fn write(&self, key: &mut [u8]) {
        if let Some(position) = key.get_mut(TABLE_BYTES..KEY_BYTES) {
            position.copy_from_slice(&self.encode());
        }
    }
}

/// What the key of a row begins with that has no time yet.
pub(crate) fn placeholder_prefix(table: TableId) -> Vec<u8> {
    let mut prefix = table.0.to_be_bytes().to_vec();
    prefix.resize(PREFIX_BYTES, 0);
    prefix
}

/// The row id of a complete key; 0 when it is cut off.
#[inline]
pub(crate) fn row_id_of(key: &[u8]) -> u64 {
    key.get(PREFIX_BYTES..)
        .and_then(|id| id.first_chunk::<8>())
        .map_or(0, |id| u64::from_be_bytes(*id) ^ SIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: StreamOptions =
        StreamOptions { ttl_us: 8_000_000, bucket_us: 1_000_000, max_rows: None };

    #[test]
    fn golden_bytes() {
        let position = Position::new(&OPTIONS, 0x0102_0304_0506, 7);
        let mut expected = vec![0, 0, 0, 9];
        expected.extend([0x00, 0x10, 0xE8, 0xB8]);
        expected.extend([0, 0, 1, 2, 3, 4, 5, 6]);
        expected.extend([0x80, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(position.key(TableId(9)), expected);
        assert_eq!(expected.len(), KEY_BYTES);
        assert_eq!(row_id_of(&expected), 7);
        assert_eq!(Position::decode(&expected[4..]), Some(position));
        assert_eq!(Position::decode(&expected[5..]), None);
        assert_eq!(Position::decode(&expected), None);
        let mut key = placeholder_prefix(TableId(9));
        key.extend([0; 8]);
        position.write(&mut key);
        assert_eq!(key, expected);
    }

    #[test]
    fn the_bound_before_a_row_is_between_its_neighbours() {
        let key = |row_id| Position::new(&OPTIONS, 5, row_id).key(TableId(1));
        let bound = Position::new(&OPTIONS, 5, 9).key_before(TableId(1));
        assert!(key(8) < bound && bound < key(9));
        let first = Position::of_time(&OPTIONS, 5).key_before(TableId(1));
        assert!(Position::new(&OPTIONS, 4, 8).key(TableId(1)) < first && first < key(1));
    }

    #[test]
    fn keys_stand_in_the_order_of_arrival() {
        let arrivals = [(0, 1), (0, 2), (999_999, 3), (1_000_000, 4), (1_000_000, 5), (1 << 50, 6)];
        let keys: Vec<_> =
            arrivals.iter().map(|(at, id)| Position::new(&OPTIONS, *at, *id).encode()).collect();
        assert!(keys.is_sorted());
        let from = Position::of_time(&OPTIONS, 1_000_000).encode();
        assert_eq!(keys.iter().filter(|key| **key < from).count(), 3);
    }
}
