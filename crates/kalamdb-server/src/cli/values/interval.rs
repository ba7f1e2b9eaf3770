//! INTERVAL as ISO 8601 text: `P14M2DT3.5S`, each part with a sign of its own.

use std::fmt::Write;

use arrow::datatypes::IntervalMonthDayNano;

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

/// Reads what [`write`] writes, and years, weeks, hours and minutes; `None` for anything else.
pub fn parse(text: &str) -> Option<IntervalMonthDayNano> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let (mut months, mut days, mut nanos) = (0_i64, 0_i64, 0_i64);
    for (number, unit) in parts(date)? {
        let number: i64 = number.parse().ok()?;
        match unit {
            'Y' => months = months.checked_add(number.checked_mul(12)?)?,
            'M' => months = months.checked_add(number)?,
            'W' => days = days.checked_add(number.checked_mul(7)?)?,
            'D' => days = days.checked_add(number)?,
            _ => return None,
        }
    }
    for (number, unit) in parts(time)? {
        let seconds = match unit {
            'H' => 3600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        nanos = nanos.checked_add(decimal_nanos(number)?.checked_mul(seconds)?)?;
    }
    let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
    Some(IntervalMonthDayNano::new(months, days, nanos))
}

/// Splits `14M2D` into numbers and units.
fn parts(text: &str) -> Option<Vec<(&str, char)>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if c.is_ascii_alphabetic() {
            found.push((text.get(start..at)?, c));
            start = at + 1;
        }
    }
    (start == text.len()).then_some(found)
}

/// A decimal number, such as `-3.5`, in billionths.
fn decimal_nanos(number: &str) -> Option<i64> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    let nanos = whole.parse::<i128>().ok()? * i128::from(NANOS_PER_SECOND) + fraction;
    i64::try_from(if negative { -nanos } else { nanos }).ok()
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

    #[test]
    fn other_units_add_up_and_nonsense_is_none() {
        let value = IntervalMonthDayNano::new(14, 15, 5_400_000_000_000);
        assert_eq!(parse("P1Y2M2W1DT1H30M"), Some(value));
        for text in ["", "P", "PT", "1D", "P1", "P1X", "PT1.S1", "P1.5D", "PT--1S", "P1DT"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
