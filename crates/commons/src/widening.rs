//! Which types a column may be given without a change to any value it has.
//!
//! Values stay as they are stored; whoever reads them computes the wider form. So a type is wider
//! only when *every* value of the narrower one has an equal value in it.

use crate::{ColumnType, TimePrecision};

/// Digits of a DECIMAL at most.
const DECIMAL_DIGITS_MAX: i16 = 38;

impl ColumnType {
    /// True when every value of this type has an equal value of `wider`; a type is not wider than
    /// itself.
    pub fn widens_to(&self, wider: &Self) -> bool {
        if let (Self::Float32, Self::Float64) = (self, wider) {
            return true;
        }
        if let (
            Self::Decimal { precision, scale },
            Self::Decimal { precision: wider_precision, scale: wider_scale },
        ) = (self, wider)
        {
            let before_point = i16::from(*precision) - i16::from(*scale);
            let wider_before_point = i16::from(*wider_precision) - i16::from(*wider_scale);
            return self != wider && wider_scale >= scale && wider_before_point >= before_point;
        }
        if let Self::Timestamp { precision, utc } = wider {
            return self.is_point_before(*precision, *utc);
        }
        let Some((signed, bits)) = self.integer_bits() else { return false };
        match wider {
            Self::Float32 => bits <= 16,
            Self::Float64 => bits <= 32,
            Self::Decimal { precision, scale } => {
                integer_digits(signed, bits) <= i16::from(*precision) - i16::from(*scale)
            }
            _ => wider.integer_bits().is_some_and(|(wider_signed, wider_bits)| {
                (wider_signed || !signed) && wider_bits > bits
            }),
        }
    }

    /// The types this one widens to, for messages; empty when there are none.
    pub fn wider_types(&self) -> String {
        const INTEGERS_AND_REALS: [ColumnType; 10] = [
            ColumnType::Int8,
            ColumnType::Int16,
            ColumnType::Int32,
            ColumnType::Int64,
            ColumnType::UInt8,
            ColumnType::UInt16,
            ColumnType::UInt32,
            ColumnType::UInt64,
            ColumnType::Float32,
            ColumnType::Float64,
        ];
        const PRECISIONS: [TimePrecision; 3] =
            [TimePrecision::Seconds, TimePrecision::Millis, TimePrecision::Micros];
        let utc = matches!(self, Self::Timestamp { utc: true, .. });
        let points = PRECISIONS.map(|precision| Self::Timestamp { precision, utc });
        let plain = INTEGERS_AND_REALS.iter().chain(&points).filter(|wider| self.widens_to(wider));
        let mut names: Vec<String> = plain.map(ToString::to_string).collect();
        if let Some((signed, bits)) = self.integer_bits() {
            let digits = integer_digits(signed, bits);
            names.push(format!("DECIMAL(p, s) with p - s of {digits} or more"));
        }
        if let Self::Decimal { precision, scale } = self
            && i16::from(*precision) < DECIMAL_DIGITS_MAX
        {
            let before_point = precision.saturating_sub(scale.unsigned_abs());
            names.push(format!(
                "DECIMAL(p, s) with s of {scale} or more and p - s of {before_point} or more"
            ));
        }
        names.join(", ")
    }

    /// True for a date (its midnight) and for points in time of a coarser unit than `wider`. The
    /// years 1 to 9999, which are all that is stored, fit into all units but nanoseconds.
    fn is_point_before(&self, wider: TimePrecision, wider_utc: bool) -> bool {
        if wider == TimePrecision::Nanos {
            return false;
        }
        match self {
            Self::Date => !wider_utc,
            Self::Timestamp { precision, utc } => *utc == wider_utc && *precision < wider,
            _ => false,
        }
    }

    /// Signedness and bits of an integer type.
    pub fn integer_bits(&self) -> Option<(bool, u32)> {
        Some(match self {
            Self::Int8 => (true, 8),
            Self::Int16 => (true, 16),
            Self::Int32 => (true, 32),
            Self::Int64 => (true, 64),
            Self::UInt8 => (false, 8),
            Self::UInt16 => (false, 16),
            Self::UInt32 => (false, 32),
            Self::UInt64 => (false, 64),
            _ => return None,
        })
    }
}

/// Decimal digits that hold every integer of that many bits.
pub fn integer_digits(signed: bool, bits: u32) -> i16 {
    match (signed, bits) {
        (_, 8) => 3,
        (_, 16) => 5,
        (_, 32) => 10,
        (true, _) => 19,
        (false, _) => 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: i8) -> ColumnType {
        ColumnType::Decimal { precision, scale }
    }

    fn point(precision: TimePrecision, utc: bool) -> ColumnType {
        ColumnType::Timestamp { precision, utc }
    }

    #[test]
    fn wider_types_hold_every_value() {
        for (narrow, wide) in [
            (ColumnType::Int8, ColumnType::Int16),
            (ColumnType::Int16, ColumnType::Int32),
            (ColumnType::Int32, ColumnType::Int64),
            (ColumnType::UInt8, ColumnType::UInt16),
            (ColumnType::UInt32, ColumnType::Int64),
            (ColumnType::Float32, ColumnType::Float64),
            (ColumnType::Int16, ColumnType::Float32),
            (ColumnType::Int32, ColumnType::Float64),
            (ColumnType::Int32, decimal(12, 2)),
            (ColumnType::UInt64, decimal(20, 0)),
            (decimal(10, 2), decimal(12, 2)),
            (decimal(10, 2), decimal(12, 4)),
            (ColumnType::Date, ColumnType::timestamp()),
            (point(TimePrecision::Seconds, true), ColumnType::timestamptz()),
        ] {
            assert!(narrow.widens_to(&wide), "{narrow} → {wide}");
            assert!(!wide.widens_to(&narrow), "{wide} → {narrow}");
            assert!(!narrow.widens_to(&narrow), "{narrow}");
        }
    }

    #[test]
    fn types_that_lose_a_value_are_not_wider() {
        for (from, to) in [
            (ColumnType::Int64, ColumnType::Float64),
            (ColumnType::Int32, ColumnType::Float32),
            (ColumnType::Int32, ColumnType::UInt64),
            (ColumnType::UInt32, ColumnType::Int32),
            (ColumnType::Int32, decimal(10, 2)),
            (decimal(10, 2), decimal(11, 4)),
            (decimal(10, 2), decimal(12, 1)),
            (ColumnType::Text, ColumnType::Int32),
            (ColumnType::Int32, ColumnType::Text),
            (ColumnType::Date, ColumnType::timestamptz()),
            (ColumnType::Date, point(TimePrecision::Nanos, false)),
            (ColumnType::timestamp(), point(TimePrecision::Nanos, false)),
            (ColumnType::timestamp(), ColumnType::timestamptz()),
        ] {
            assert!(!from.widens_to(&to), "{from} → {to}");
        }
    }

    #[test]
    fn messages_name_the_wider_types() {
        assert_eq!(
            ColumnType::Int32.wider_types(),
            "BIGINT, DOUBLE, DECIMAL(p, s) with p - s of 10 or more"
        );
        assert_eq!(ColumnType::Float32.wider_types(), "DOUBLE");
        assert_eq!(ColumnType::Date.wider_types(), "TIMESTAMP(0), TIMESTAMP(3), TIMESTAMP");
        assert_eq!(
            decimal(10, 2).wider_types(),
            "DECIMAL(p, s) with s of 2 or more and p - s of 8 or more"
        );
        assert_eq!(ColumnType::Text.wider_types(), "");
        assert_eq!(decimal(38, 2).wider_types(), "");
    }
}
