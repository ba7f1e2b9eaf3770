//! Texts of TIMESTAMPs as Arrow reads them: with seconds, and without the zone that a TIMESTAMP
//! does not have. Arrow would count a moment in that zone instead of what clocks show.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, StringArray};

/// Where hours and minutes end in `2024-12-31 23:59:59`.
const DATE_END: usize = 10;
const MINUTES_END: usize = 16;
const SECONDS_END: usize = 19;

/// The texts, for a type with a zone or without.
pub(super) fn for_arrow(texts: &StringArray, zoned: bool) -> ArrayRef {
    let texts = texts.iter().map(|text| text.map(|text| readable(text, zoned)));
    Arc::new(texts.collect::<StringArray>())
}

fn readable(text: &str, zoned: bool) -> Cow<'_, str> {
    let trimmed = text.trim();
    if !has_minutes(trimmed) {
        return Cow::Borrowed(text);
    }
    let (clock, after) = trimmed.split_at(MINUTES_END);
    let whole = if after.starts_with(':') {
        Cow::Borrowed(trimmed)
    } else {
        Cow::Owned(format!("{clock}:00{after}"))
    };
    if zoned {
        return whole;
    }
    let Some(after) = whole.get(SECONDS_END..) else { return whole };
    let zone = match after.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|char: char| char.is_ascii_digit()),
        None => after,
    };
    let clock = whole.len() - zone.len();
    if is_zone(zone.trim()) { Cow::Owned(whole[..clock].to_owned()) } else { whole }
}

/// Whether the text begins as `2024-12-31 23:59`.
fn has_minutes(text: &str) -> bool {
    let Some(head) = text.as_bytes().get(..MINUTES_END) else { return false };
    head.iter().enumerate().all(|(place, byte)| match place {
        4 | 7 => *byte == b'-',
        DATE_END => matches!(byte, b' ' | b'T' | b't'),
        13 => *byte == b':',
        _ => byte.is_ascii_digit(),
    })
}

/// `Z`, `+05`, `-05:30`, `+0530` and the names of zones.
fn is_zone(text: &str) -> bool {
    if let Some(offset) = text.strip_prefix(['+', '-']) {
        let digits = offset.bytes().filter(u8::is_ascii_digit).count();
        return matches!(digits, 1 | 2 | 4 | 6)
            && offset.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    }
    text.eq_ignore_ascii_case("z") || (!text.is_empty() && text.parse::<Tz>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_there_and_zones_of_no_meaning_are_not() {
        for (text, local, zoned) in [
            ("2024-01-01 10:00", "2024-01-01 10:00:00", "2024-01-01 10:00:00"),
            ("2024-01-01T10:00+05", "2024-01-01T10:00:00", "2024-01-01T10:00:00+05"),
            ("2024-01-01 10:00:01.5-03:30", "2024-01-01 10:00:01.5", "2024-01-01 10:00:01.5-03:30"),
            ("2024-01-01 10:00:01Z", "2024-01-01 10:00:01", "2024-01-01 10:00:01Z"),
            ("2024-01-01 10:00:01 UTC", "2024-01-01 10:00:01", "2024-01-01 10:00:01 UTC"),
            ("2024-01-01", "2024-01-01", "2024-01-01"),
            ("2024-01-01 10:00:01 nowhere", "2024-01-01 10:00:01 nowhere", ""),
            ("yesterday, as it was", "yesterday, as it was", ""),
        ] {
            assert_eq!(readable(text, false), local, "{text}");
            if !zoned.is_empty() {
                assert_eq!(readable(text, true), zoned, "{text}");
            }
        }
    }
}
