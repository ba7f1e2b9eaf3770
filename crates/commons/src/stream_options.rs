//! How long the rows of a STREAM table live, and how many of them: worked out from its options.

use crate::{TableDefinition, TableType};

/// A stream's rows are stored in time buckets of about this part of their lifetime: so much longer
/// than it has to, at most, an expired row takes up space.
const BUCKETS_PER_TTL: u64 = 8;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// The options of a STREAM table, in the units storage uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// How long a row is shown after it arrived, µs.
    pub ttl_us: i64,
    /// The width of a time bucket, µs. At least a second and never more than `ttl_us`.
    pub bucket_us: i64,
    /// How many rows are shown at most, the newest; `None` is no bound.
    pub max_rows: Option<u64>,
}

/// The width of a stream's time buckets, seconds: chosen once, when the table is created.
pub fn stream_bucket_seconds(ttl_seconds: u64) -> u32 {
    u32::try_from((ttl_seconds / BUCKETS_PER_TTL).max(1)).unwrap_or(u32::MAX)
}

impl TableDefinition {
    /// The options of a STREAM table; `None` for the other types.
    ///
    /// A definition without TTL, which no statement makes, keeps its rows.
    pub fn stream_options(&self) -> Option<StreamOptions> {
        if self.table_type != TableType::Stream {
            return None;
        }
        let options = &self.options;
        let micros = |seconds: u64| {
            i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_SECOND)
        };
        let ttl_seconds = options.ttl_seconds.unwrap_or(u64::MAX);
        let bucket = options.bucket_seconds.unwrap_or_else(|| stream_bucket_seconds(ttl_seconds));
        Some(StreamOptions {
            ttl_us: micros(ttl_seconds),
            bucket_us: micros(u64::from(bucket.max(1))),
            max_rows: options.max_rows,
        })
    }
}

impl StreamOptions {
    /// The number of the bucket a time belongs to. Times before 1970 count as 1970.
    pub fn bucket_of(&self, time_us: i64) -> u32 {
        u32::try_from(time_us.max(0) / self.bucket_us.max(1)).unwrap_or(u32::MAX)
    }

    /// The earliest arrival that is still shown at `now_us`: a row goes exactly `ttl_us` after
    /// it arrived.
    pub fn shown_from_us(&self, now_us: i64) -> i64 {
        now_us.saturating_sub(self.ttl_us).saturating_add(1).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_an_eighth_of_the_lifetime_and_at_least_a_second() {
        let widths: Vec<u32> =
            [1, 7, 8, 60, 86_400].into_iter().map(stream_bucket_seconds).collect();
        assert_eq!(widths, [1, 1, 1, 7, 10_800]);
    }

    #[test]
    fn a_row_is_shown_for_its_lifetime_to_the_microsecond() {
        let options = StreamOptions { ttl_us: 1_000_000, bucket_us: 1_000_000, max_rows: None };
        let arrived = 5_000_000;
        assert!(arrived >= options.shown_from_us(5_999_999));
        assert!(arrived < options.shown_from_us(6_000_000));
        assert_eq!((options.bucket_of(arrived - 1), options.bucket_of(arrived)), (4, 5));
        assert_eq!((options.bucket_of(-1), options.bucket_of(i64::MAX)), (0, u32::MAX));
        assert_eq!(options.shown_from_us(i64::MIN), 0);
    }
}
