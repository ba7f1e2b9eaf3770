//! Values of rows older than an ALTER TABLE that widened their column.
//!
//! Which types widen is for `ColumnType::widens_to` to say; what it allows is read here. Besides,
//! dates are read as points in time (midnight, UTC), and these in finer units, though not in
//! nanoseconds, which end in 2262: what does not fit is an error of the row.

use kalamdb_commons::{ColumnType, TimePrecision, integer_digits};

use super::columns::{ColumnRef, Columns, Fault};
use super::null_bit::NullBit;
use crate::row_format::{Place, Width};

const SECONDS_PER_DAY: i128 = 24 * 60 * 60;

/// Reads a column's narrower slot and appends the value in the column's present type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WidenStep {
    pub(super) target: ColumnRef,
    pub(super) null: NullBit,
    at: usize,
    width: Width,
    from: Stored,
    to: Wanted,
}

/// What the slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Signed,
    Unsigned,
    Float32,
}

/// What the column holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// An integer of the column's width.
    Integer,
    Float32,
    Float64,
    /// An integer that many times larger.
    Scaled(i128),
    /// Time units since the epoch, that many times as many, in 8 bytes.
    Instant(i128),
}

impl WidenStep {
    /// `None` when values of `from` do not all have an equal value in `to`.
    pub(super) fn new(
        from: &ColumnType,
        to: &ColumnType,
        place: Place,
        null: NullBit,
        target: ColumnRef,
    ) -> Option<Self> {
        let Place::Fixed { at, width } = place else { return None };
        let stored = match from {
            ColumnType::Float32 => Stored::Float32,
            _ if from.integer_bits().is_some_and(|(signed, _)| !signed) => Stored::Unsigned,
            _ => Stored::Signed,
        };
        let wanted = wanted(from, to)?;
        Some(Self { target, null, at, width, from: stored, to: wanted })
    }

    /// Appends the row's value, which is not NULL.
    pub(super) fn append(&self, columns: &mut Columns, row: &[u8]) -> Result<(), Fault> {
        let slot = row.get(self.at..self.at + self.width.bytes());
        let number = slot.map(|slot| self.read(slot)).ok_or(Fault::Row)?;
        let bits: i128 = match (self.to, number) {
            (Wanted::Integer, Number::Integer(value)) => value,
            (Wanted::Scaled(factor), Number::Integer(value)) => {
                value.checked_mul(factor).ok_or(Fault::Range)?
            }
            (Wanted::Instant(factor), Number::Integer(value)) => {
                let units = value.checked_mul(factor).and_then(|units| i64::try_from(units).ok());
                i128::from(units.ok_or(Fault::Range)?)
            }
            (Wanted::Float32, Number::Integer(value)) => i128::from((value as f32).to_bits()),
            (Wanted::Float64, Number::Integer(value)) => i128::from((value as f64).to_bits()),
            (_, Number::Float(value)) => i128::from(f64::from(value).to_bits()),
        };
        match self.target {
            ColumnRef::W1(i) => columns.w1[i].values.push(bits as u8),
            ColumnRef::W2(i) => columns.w2[i].values.push(bits as u16),
            ColumnRef::W4(i) => columns.w4[i].values.push(bits as u32),
            ColumnRef::W8(i) => columns.w8[i].values.push(bits as u64),
            ColumnRef::W16(i) => columns.w16[i].values.push(bits),
            // A step that widens has a number for its target: `wanted` knows no other types.
            ColumnRef::Var(_) | ColumnRef::Nested(_) => return Err(Fault::Row),
        }
        Ok(())
    }

    fn read(&self, slot: &[u8]) -> Number {
        let mut bytes = [0; size_of::<i128>()];
        bytes[..slot.len()].copy_from_slice(slot);
        let value = i128::from_le_bytes(bytes);
        match self.from {
            Stored::Unsigned => Number::Integer(value),
            Stored::Signed => {
                let unused = i128::BITS - 8 * slot.len() as u32;
                Number::Integer(value << unused >> unused)
            }
            Stored::Float32 => Number::Float(f32::from_bits(value as u32)),
        }
    }
}

enum Number {
    Integer(i128),
    Float(f32),
}

fn wanted(from: &ColumnType, to: &ColumnType) -> Option<Wanted> {
    if let (ColumnType::Float32, ColumnType::Float64) = (from, to) {
        return Some(Wanted::Float64);
    }
    if let (
        ColumnType::Decimal { precision, scale },
        ColumnType::Decimal { precision: to_precision, scale: to_scale },
    ) = (from, to)
    {
        let grown = to_scale.checked_sub(*scale).filter(|grown| *grown >= 0)?;
        let digits = i16::from(*precision) + i16::from(grown);
        return (digits <= i16::from(*to_precision)).then(|| scaled(grown))?;
    }
    if let ColumnType::Timestamp { precision, utc } = to {
        return instant(from, *precision, *utc);
    }
    let (signed, bits) = from.integer_bits()?;
    match to {
        ColumnType::Float32 => (bits <= 16).then_some(Wanted::Float32),
        ColumnType::Float64 => (bits <= 32).then_some(Wanted::Float64),
        ColumnType::Decimal { precision, scale } => {
            let digits = integer_digits(signed, bits);
            let whole = i16::from(*precision) - i16::from(*scale);
            (digits <= whole).then(|| scaled(*scale))?
        }
        _ => {
            let (to_signed, to_bits) = to.integer_bits()?;
            let fits = match (signed, to_signed) {
                (true, false) => false,
                (false, true) => to_bits > bits,
                _ => to_bits >= bits,
            };
            fits.then_some(Wanted::Integer)
        }
    }
}

/// A point in time in a finer unit. Those of the calendar fit: it ends in the year 262,142, and
/// microseconds last 30,000 years longer.
fn instant(from: &ColumnType, to: TimePrecision, to_utc: bool) -> Option<Wanted> {
    if to == TimePrecision::Nanos {
        return None;
    }
    let finer = match from {
        ColumnType::Date => {
            return Some(Wanted::Instant(SECONDS_PER_DAY * 10_i128.pow(u32::from(to.digits()))));
        }
        ColumnType::Timestamp { precision, utc } if *utc == to_utc => {
            to.digits().checked_sub(precision.digits())?
        }
        _ => return None,
    };
    Some(Wanted::Instant(10_i128.pow(u32::from(finer))))
}

fn scaled(scale: i8) -> Option<Wanted> {
    10_i128.checked_pow(u32::try_from(scale).ok()?).map(Wanted::Scaled)
}
