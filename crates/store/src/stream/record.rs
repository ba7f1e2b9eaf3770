//! What `meta` keeps of a stream: its head and its pieces.
//!
//! Head, 33 bytes: version u8, next row id u64, then the options as of the last commit: lifetime
//! and width of a bucket in µs, bound on rows (0: none), each u64. Piece, 25 bytes: version u8,
//! rows u64, bytes of keys and values u64, time of its last row u64, µs. All big-endian. A piece
//! stands under the position of its first row.

use kalamdb_commons::StreamOptions;

use super::Position;
use crate::StoreError;

const VERSION: u8 = 1;

/// What is known of a stream as a whole, as of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The id the next row gets.
    pub(crate) next_row_id: u64,
    pub(crate) options: StreamOptions,
}

/// A run of rows that arrived one after the other, within one time bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where its first row is; row ids go up by one from there.
    pub(crate) start: Position,
    pub(crate) rows: u64,
    /// Encoded bytes of keys and values.
    pub(crate) bytes: u64,
    /// When its last row arrived.
    pub(crate) last_us: i64,
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let positive = |micros: i64| u64::try_from(micros).unwrap_or(0);
        fields([
            self.next_row_id,
            positive(self.options.ttl_us),
            positive(self.options.bucket_us),
            self.options.max_rows.unwrap_or(0),
        ])
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, StoreError> {
        let [next_row_id, ttl_us, bucket_us, max_rows] = read_fields(value)?;
        Ok(Self {
            next_row_id,
            options: StreamOptions {
                ttl_us: micros(ttl_us),
                bucket_us: micros(bucket_us),
                max_rows: (max_rows > 0).then_some(max_rows),
            },
        })
    }
}

impl Piece {
    pub(crate) fn encode(&self) -> Vec<u8> {
        fields([self.rows, self.bytes, u64::try_from(self.last_us).unwrap_or(0)])
    }

    pub(crate) fn decode(start: Position, value: &[u8]) -> Result<Self, StoreError> {
        let [rows, bytes, last_us] = read_fields(value)?;
        Ok(Self { start, rows, bytes, last_us: micros(last_us) })
    }

    /// The id of its last row.
    pub(crate) fn last_row_id(&self) -> u64 {
        (self.start.row_id + self.rows).saturating_sub(1)
    }
}

fn micros(stored: u64) -> i64 {
    i64::try_from(stored).unwrap_or(i64::MAX)
}

fn fields<const N: usize>(fields: [u64; N]) -> Vec<u8> {
    let mut out = vec![VERSION];
    fields.iter().for_each(|field| out.extend_from_slice(&field.to_be_bytes()));
    out
}

fn read_fields<const N: usize>(value: &[u8]) -> Result<[u64; N], StoreError> {
    let corrupt = || {
        StoreError::corrupt("stream record", format!("{value:02x?} is not {N} numbers of format 1"))
    };
    let (&version, rest) = value.split_first().ok_or_else(corrupt)?;
    let (numbers, tail) = rest.as_chunks::<8>();
    if version != VERSION || !tail.is_empty() {
        return Err(corrupt());
    }
    let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
    numbers.try_into().map_err(|_| corrupt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let options = StreamOptions { ttl_us: 256, bucket_us: 32, max_rows: Some(5) };
        let head = Head { next_row_id: 0x0102, options };
        let expected = [
            1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0,
            0, 0, 0, 5,
        ];
        assert_eq!(head.encode(), expected);
        assert_eq!(Head::decode(&expected).unwrap(), head);
        let unbounded = Head { options: StreamOptions { max_rows: None, ..options }, ..head };
        assert_eq!(Head::decode(&unbounded.encode()).unwrap(), unbounded);

        let start = Position { bucket: 1, time_us: 2, row_id: 3 };
        let piece = Piece { start, rows: 10, bytes: 0x0200, last_us: 7 };
        let expected = [1, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(piece.encode(), expected);
        assert_eq!(Piece::decode(start, &expected).unwrap(), piece);
        assert_eq!(piece.last_row_id(), 12);
        for damaged in [&[][..], &expected[1..], &expected[..24], &[2; 25]] {
            assert!(Piece::decode(start, damaged).is_err());
        }
    }
}
