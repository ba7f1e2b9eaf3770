//! INTERVAL as ISO 8601 text: `P14M2DT3.5S`, each part with a sign of its own.

use std::fmt::Write;

use arrow::datatypes::IntervalMonthDayNano;
use kalamdb_commons::{IntervalParts, interval_of_text};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Appends the value as text.
pub fn write(value: IntervalMonthDayNano, text: &mut String) -> std::fmt::Result {
    let IntervalMonthDayNano { months, days, nanoseconds } = value;
    text.push('P');
    if months != 0 {
        write!(text, "{months}M")?;
    }
    if days != 0 {
        write!(text, "{days}D")?;
    }
    if nanoseconds != 0 || (months == 0 && days == 0) {
        let sign = if nanoseconds < 0 { "-" } else { "" };
        let size = nanoseconds.unsigned_abs();
        let (whole, rest) =
            (size / NANOS_PER_SECOND.unsigned_abs(), size % NANOS_PER_SECOND.unsigned_abs());
        write!(text, "T{sign}{whole}")?;
        if rest != 0 {
            let digits = format!("{rest:09}");
            write!(text, ".{}", digits.trim_end_matches('0'))?;
        }
        text.push('S');
    }
    Ok(())
}

/// Reads what [`write`] writes and what the server reads; `None` for anything else.
pub fn parse(text: &str) -> Option<IntervalMonthDayNano> {
    let IntervalParts { months, days, nanoseconds } = interval_of_text(text)?;
    Some(IntervalMonthDayNano::new(months, days, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (months, days, nanos) in [
            (0, 0, 0),
            (-14, 0, 0),
            (1, 2, 3_500_000_000),
            (0, -1, -1),
            (i32::MIN, i32::MAX, i64::MIN),
            (i32::MAX, i32::MIN, i64::MAX),
        ] {
            let value = IntervalMonthDayNano::new(months, days, nanos);
            let mut text = String::new();
            write(value, &mut text).unwrap();
            assert_eq!(parse(&text), Some(value), "{text}");
        }
    }
}
