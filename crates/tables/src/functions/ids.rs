//! Functions that make new ids: a fresh one for every row.

use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, Int64Array, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use kalamdb_commons::{Clock, ColumnType};
use uuid::Uuid;

/// 2024-01-01T00:00:00Z, where snowflake ids count from; ms since the Unix epoch.
const SNOWFLAKE_EPOCH_MS: i64 = 1_704_067_200_000;
/// Low bits of a snowflake id: 10 for the node (0 here), 12 for the sequence.
const SNOWFLAKE_TIME_SHIFT: u32 = 22;
/// The sequence within one millisecond.
const SNOWFLAKE_SEQUENCE_MASK: i64 = (1 << 12) - 1;
/// The digits of a ULID (Crockford's base 32).
const ULID_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits of a ULID.
const ULID_LEN: u32 = 26;

/// The functions, each with its generator.
pub(super) fn functions(clock: &Arc<dyn Clock>) -> Vec<ScalarUDF> {
    [Kind::UuidV7, Kind::Uuid, Kind::Ulid, Kind::Snowflake]
        .into_iter()
        .map(|kind| {
            ScalarUDF::new_from_impl(NewId {
                kind,
                clock: Arc::clone(clock),
                last: Arc::new(AtomicI64::new(0)),
                signature: Signature::nullary(Volatility::Volatile),
            })
        })
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// A UUID, ordered by time.
    UuidV7,
    /// A UUID of chance; the query engine's own is text.
    Uuid,
    /// Text, ordered by time to the millisecond.
    Ulid,
    /// Int64, ascending.
    Snowflake,
}

#[derive(Debug)]
struct NewId {
    kind: Kind,
    clock: Arc<dyn Clock>,
    /// The last snowflake id given out.
    last: Arc<AtomicI64>,
    signature: Signature,
}

// There is one generator of each kind.
impl PartialEq for NewId {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for NewId {}

impl Hash for NewId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

impl NewId {
    fn now_ms(&self) -> i64 {
        self.clock.now_us().div_euclid(1_000)
    }

    fn snowflake(&self) -> i64 {
        let now = (self.now_ms() - SNOWFLAKE_EPOCH_MS).max(0) << SNOWFLAKE_TIME_SHIFT;
        let step = |last: i64| {
            let next = match last & SNOWFLAKE_SEQUENCE_MASK {
                // The millisecond is used up: go on in the next one.
                SNOWFLAKE_SEQUENCE_MASK => {
                    ((last >> SNOWFLAKE_TIME_SHIFT) + 1) << SNOWFLAKE_TIME_SHIFT
                }
                _ => last + 1,
            };
            next.max(now)
        };
        let last =
            self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(step(last)));
        // The update is never refused.
        step(last.unwrap_or_else(|last| last))
    }

    fn ulid(&self) -> u128 {
        let time = u128::from(self.now_ms().max(0).unsigned_abs());
        (time << 80) | (rand::random::<u128>() >> 48)
    }
}

/// 26 digits, most significant first.
fn ulid_text(ulid: u128) -> String {
    (0..ULID_LEN)
        .rev()
        .map(|digit| char::from(ULID_DIGITS[((ulid >> (5 * digit)) & 31) as usize]))
        .collect()
}

impl ScalarUDFImpl for NewId {
    fn name(&self) -> &str {
        match self.kind {
            Kind::UuidV7 => "uuid_v7",
            Kind::Uuid => "uuid",
            Kind::Ulid => "ulid",
            Kind::Snowflake => "snowflake_id",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::UuidV7 | Kind::Uuid => ColumnType::Uuid.to_arrow(),
            Kind::Ulid => DataType::Utf8,
            Kind::Snowflake => DataType::Int64,
        })
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(match self.kind {
            Kind::UuidV7 | Kind::Uuid => ColumnType::Uuid.to_field(self.name(), true),
            Kind::Ulid | Kind::Snowflake => Field::new(self.name(), self.return_type(&[])?, true),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let ids: ArrayRef = match self.kind {
            Kind::Snowflake => {
                Arc::new(Int64Array::from_iter_values((0..rows).map(|_| self.snowflake())))
            }
            Kind::Ulid => text_column(rows, |out| write!(out, "{}", ulid_text(self.ulid())))?,
            Kind::UuidV7 => uuid_column(rows, Uuid::now_v7)?,
            Kind::Uuid => uuid_column(rows, Uuid::new_v4)?,
        };
        Ok(ColumnarValue::Array(ids))
    }
}

fn uuid_column(rows: usize, new_id: impl Fn() -> Uuid) -> Result<ArrayRef> {
    let mut ids = FixedSizeBinaryBuilder::with_capacity(rows, 16);
    for _ in 0..rows {
        ids.append_value(new_id().as_bytes())?;
    }
    Ok(Arc::new(ids.finish()))
}

fn text_column(
    rows: usize,
    write_id: impl Fn(&mut StringBuilder) -> std::fmt::Result,
) -> Result<ArrayRef> {
    let mut ids = StringBuilder::with_capacity(rows, rows * 36);
    for _ in 0..rows {
        write_id(&mut ids).map_err(|error| DataFusionError::Internal(error.to_string()))?;
        ids.append_value("");
    }
    Ok(Arc::new(ids.finish()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use kalamdb_commons::ManualClock;

    use super::*;

    fn generator(kind: Kind, now_us: i64) -> (NewId, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(now_us));
        let id = NewId {
            kind,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            last: Arc::new(AtomicI64::new(0)),
            signature: Signature::nullary(Volatility::Volatile),
        };
        (id, clock)
    }

    #[test]
    fn snowflake_ids_ascend_even_when_the_clock_goes_back() {
        let (id, clock) = generator(Kind::Snowflake, (SNOWFLAKE_EPOCH_MS + 5) * 1_000);
        let mut last = id.snowflake();
        assert_eq!(last >> SNOWFLAKE_TIME_SHIFT, 5);
        for _ in 0..10_000 {
            let next = id.snowflake();
            assert!(next > last);
            assert_eq!((next >> 12) & 1023, 0, "the node's bits stay 0");
            last = next;
        }
        clock.advance_us(-3_000_000);
        assert!(id.snowflake() > last);
    }

    #[test]
    fn ulids_are_26_digits_and_ordered_by_time() {
        let (id, clock) = generator(Kind::Ulid, 1_700_000_000_000_000);
        let first = ulid_text(id.ulid());
        clock.advance_us(1_000);
        let second = ulid_text(id.ulid());
        assert_eq!(first.len(), 26);
        assert!(first < second);
        let many: HashSet<u128> = (0..10_000).map(|_| id.ulid()).collect();
        assert_eq!(many.len(), 10_000);
    }

    #[test]
    fn text_ids_are_complete_values() {
        let column = text_column(2, |out| write!(out, "abc")).unwrap();
        let column = arrow::array::AsArray::as_string::<i32>(&column).clone();
        assert_eq!(column.iter().collect::<Vec<_>>(), [Some("abc"), Some("abc")]);
    }
}
