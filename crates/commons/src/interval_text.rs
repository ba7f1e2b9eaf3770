//! INTERVAL from text: `1 day 02:00:00`, `-3 days ago`, `1-2` and ISO 8601, as PostgreSQL reads them.

use std::fmt;

/// Months, days and nanoseconds: units of which none is a fixed number of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntervalParts {
    /// Years are twelve of them.
    pub months: i32,
    /// Weeks are seven of them.
    pub days: i32,
    /// What is shorter than a day.
    pub nanoseconds: i64,
}

/// As PostgreSQL writes it: `1 year 2 mons -3 days 04:05:06.7`; what [`interval_of_text`] reads.
impl fmt::Display for IntervalParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut empty = true;
        for (number, one, many) in [
            (self.months / 12, "year", "years"),
            (self.months % 12, "mon", "mons"),
            (self.days, "day", "days"),
        ] {
            if number != 0 {
                let gap = if empty { "" } else { " " };
                write!(f, "{gap}{number} {}", if number == 1 { one } else { many })?;
                empty = false;
            }
        }
        if self.nanoseconds == 0 && !empty {
            return Ok(());
        }
        let (gap, sign) =
            (if empty { "" } else { " " }, if self.nanoseconds < 0 { "-" } else { "" });
        let nanos = self.nanoseconds.unsigned_abs();
        let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{gap}{sign}{hours:02}:{minutes:02}:{seconds:02}")?;
        if fraction == 0 {
            return Ok(());
        }
        let digits = format!("{fraction:09}");
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

/// Billionths: numbers are counted in them.
const ONE: i128 = 1_000_000_000;
/// Digits after the point that count; those that follow are left out.
const FRACTION_DIGITS: usize = 9;
const SECOND: i128 = 1_000_000_000;
const DAY_SECONDS: i128 = 86_400;
const MONTH_DAYS: i128 = 30;

/// A unit of a duration.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Months(i128),
    Days(i128),
    Nanos(i128),
}

/// Units by their names, with a number of their own: none is named twice.
const UNITS: [(u16, Unit, &[&str]); 13] = [
    (0, Unit::Months(12_000), &["millennium", "millennia", "mil", "mils"]),
    (1, Unit::Months(1_200), &["century", "centuries", "cent", "c"]),
    (2, Unit::Months(120), &["decade", "decades", "dec", "decs"]),
    (3, Unit::Months(12), &["year", "years", "yr", "yrs", "y"]),
    (4, Unit::Months(1), &["month", "months", "mon", "mons"]),
    (5, Unit::Days(7), &["week", "weeks", "w"]),
    (6, Unit::Days(1), &["day", "days", "d"]),
    (HOUR, Unit::Nanos(3_600 * SECOND), &["hour", "hours", "hr", "hrs", "h"]),
    (MINUTE, Unit::Nanos(60 * SECOND), &["minute", "minutes", "min", "mins", "m"]),
    (SECONDS, Unit::Nanos(SECOND), &["second", "seconds", "sec", "secs", "s"]),
    (10, Unit::Nanos(1_000_000), &["millisecond", "milliseconds", "msec", "msecs", "ms"]),
    (11, Unit::Nanos(1_000), &["microsecond", "microseconds", "usec", "usecs", "us"]),
    (12, Unit::Nanos(1), &["nanosecond", "nanoseconds", "ns"]),
];
const HOUR: u16 = 7;
const MINUTE: u16 = 8;
const SECONDS: u16 = 9;
const MONTH: u16 = 4;
const DAY: u16 = 6;

/// The interval a text spells; `None` when it spells none, or one too long.
///
/// A number without a unit is seconds, before a time of day it is days. What is left of a month
/// are its days, thirty of them; what is left of a day are its hours. `ago` turns all signs.
pub fn interval_of_text(text: &str) -> Option<IntervalParts> {
    let text = text.trim();
    let sum = match text.strip_prefix('P') {
        Some(rest) => iso(rest)?,
        None => words(text)?,
    };
    Some(IntervalParts {
        months: i32::try_from(sum.months).ok()?,
        days: i32::try_from(sum.days).ok()?,
        nanoseconds: i64::try_from(sum.nanos).ok()?,
    })
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    months: i128,
    days: i128,
    nanos: i128,
}

impl Sum {
    /// Adds so many billionths of a unit.
    fn add(&mut self, billionths: i128, unit: Unit) -> Option<()> {
        match unit {
            Unit::Months(1) => {
                self.months += billionths / ONE;
                self.add_days(billionths % ONE * MONTH_DAYS);
            }
            Unit::Months(months) => {
                let months = billionths.checked_mul(months)?;
                self.months += rounded(months);
            }
            Unit::Days(days) => self.add_days(billionths.checked_mul(days)?),
            Unit::Nanos(nanos) => self.nanos += billionths.checked_mul(nanos)? / ONE,
        }
        Some(())
    }

    fn add_days(&mut self, billionths: i128) {
        self.days += billionths / ONE;
        self.nanos += billionths % ONE * DAY_SECONDS;
    }
}

fn rounded(billionths: i128) -> i128 {
    (billionths + billionths.signum() * (ONE / 2)) / ONE
}

/// What was named already.
#[derive(Default)]
struct Named(u16);

impl Named {
    fn add(&mut self, number: u16) -> Option<()> {
        let bit = 1_u16.checked_shl(number.into())?;
        let again = self.0 & bit != 0;
        self.0 |= bit;
        (!again).then_some(())
    }
}

/// `1 year 2 mons -3 days 04:05:06.789 ago`.
fn words(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut named = Named::default();
    let mut tokens = tokens(text)?.into_iter().peekable();
    tokens.peek()?;
    while let Some(token) = tokens.next() {
        let number = match token {
            Token::Number(number) => number,
            Token::Word(word) if word.eq_ignore_ascii_case("ago") && tokens.peek().is_none() => {
                let Sum { months, days, nanos } = sum;
                // An "ago" alone says nothing.
                return (named.0 != 0).then_some(Sum {
                    months: -months,
                    days: -days,
                    nanos: -nanos,
                });
            }
            Token::Word(_) => return None,
        };
        if number.contains(':') {
            for unit in [HOUR, MINUTE, SECONDS] {
                named.add(unit)?;
            }
            sum.nanos += time(number)?;
        } else if let Some(months) = years_and_months(number) {
            named.add(3)?;
            named.add(MONTH)?;
            sum.months += months?;
        } else {
            let (place, unit) = match tokens.peek() {
                Some(Token::Word(word)) if !word.eq_ignore_ascii_case("ago") => {
                    let unit = unit_of(word)?;
                    tokens.next();
                    unit
                }
                Some(Token::Number(next)) if next.contains(':') => (DAY, Unit::Days(1)),
                Some(Token::Number(_)) => return None,
                Some(Token::Word(_)) | None => (SECONDS, Unit::Nanos(SECOND)),
            };
            named.add(place)?;
            sum.add(billionths(number)?, unit)?;
        }
    }
    Some(sum)
}

fn unit_of(word: &str) -> Option<(u16, Unit)> {
    UNITS.iter().find_map(|(place, unit, names)| {
        names.iter().any(|name| word.eq_ignore_ascii_case(name)).then_some((*place, *unit))
    })
}

enum Token<'a> {
    /// A number, a time of day, or years and months; with its sign.
    Number(&'a str),
    Word(&'a str),
}

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut found = Vec::new();
    let mut rest = text.strip_prefix('@').unwrap_or(text).trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = first.is_ascii_alphabetic();
        let in_number = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
        let end = if is_word {
            rest.find(|c: char| !c.is_ascii_alphabetic())
        } else if in_number(first) || first == '-' || first == '+' {
            let mut last = first;
            rest.char_indices().skip(1).find_map(|(at, c)| {
                let years_end = c == '-' && last.is_ascii_digit();
                last = c;
                (!in_number(c) && !years_end).then_some(at)
            })
        } else {
            return None;
        };
        let (token, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        found.push(if is_word { Token::Word(token) } else { Token::Number(token) });
        rest = after.trim_start();
    }
    Some(found)
}

/// Whether a number is negative, and what follows its sign.
fn signed(number: &str) -> (bool, &str) {
    match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    }
}

fn with_sign(negative: bool, value: i128) -> i128 {
    if negative { -value } else { value }
}

fn digits(text: &str) -> Option<i128> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // 64 bits: what is computed of it has room in 128.
    if all { text.parse::<u64>().ok().map(i128::from) } else { None }
}

/// A number with its fraction, in billionths.
fn billionths(number: &str) -> Option<i128> {
    let (negative, unsigned) = signed(number);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (unsigned, ""),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { digits(whole)? };
    let of_fraction = if fraction.is_empty() { 0 } else { fraction_of(fraction)? };
    Some(with_sign(negative, whole * ONE + of_fraction))
}

fn fraction_of(fraction: &str) -> Option<i128> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let counted: String = fraction.chars().take(FRACTION_DIGITS).collect();
    digits(&format!("{counted:0<FRACTION_DIGITS$}"))
}

/// `hours:minutes[:seconds]`; with a fraction two parts are minutes and seconds. In nanoseconds.
fn time(text: &str) -> Option<i128> {
    let (negative, unsigned) = signed(text);
    let parts: Vec<&str> = unsigned.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [minutes, seconds] if seconds.contains('.') => ("0", *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, "0"),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    if seconds.starts_with(['.', '-', '+']) {
        return None;
    }
    let nanos = billionths(seconds)?;
    if minutes > 59 || nanos > 60 * SECOND {
        return None;
    }
    Some(with_sign(negative, (hours * 3_600 + minutes * 60) * SECOND + nanos))
}

/// `1-2`, a year and two months: not of this form is `None`, of this form but wrong `Some(None)`.
fn years_and_months(text: &str) -> Option<Option<i128>> {
    let (negative, unsigned) = signed(text);
    let (years, months) = unsigned.split_once('-')?;
    let read = || {
        let (years, months) = (digits(years)?, digits(months)?);
        (months < 12).then(|| with_sign(negative, years * 12 + months))
    };
    Some(read())
}

/// `1Y2M3DT4H5M6.7S` after the `P`, or `0001-02-03T04:05:06`.
fn iso(rest: &str) -> Option<Sum> {
    let (date, time_part) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (rest, ""),
    };
    if date.is_empty() && time_part.is_empty() {
        return None;
    }
    let mut sum = Sum::default();
    let mut fields = date.split('-');
    if let (Some(years), Some(months), Some(days), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
        && let (Some(years), Some(months), Some(days)) =
            (digits(years), digits(months), digits(days))
    {
        sum.months = years * 12 + months;
        sum.days = days;
    } else {
        for (number, letter) in lettered(date)? {
            let unit = match letter {
                'Y' => Unit::Months(12),
                'M' => Unit::Months(1),
                'W' => Unit::Days(7),
                'D' => Unit::Days(1),
                _ => return None,
            };
            sum.add(billionths(number)?, unit)?;
        }
    }
    if time_part.contains(':') {
        sum.nanos += time(time_part)?;
        return Some(sum);
    }
    for (number, letter) in lettered(time_part)? {
        let seconds = match letter {
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        sum.add(billionths(number)?, Unit::Nanos(seconds * SECOND))?;
    }
    Some(sum)
}

/// `14M2D` as numbers and letters.
fn lettered(text: &str) -> Option<Vec<(&str, char)>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NANOS: i64 = 3_600_000_000_000;
    const SECOND_NANOS: i64 = 1_000_000_000;

    #[test]
    fn intervals_are_read_as_postgresql_reads_them() {
        let clock = 4 * HOUR_NANOS + 5 * 60 * SECOND_NANOS + 6 * SECOND_NANOS;
        let all = [
            ("30", (0, 0, 30 * SECOND_NANOS)),
            ("-1.5", (0, 0, -1_500_000_000)),
            ("04:05:06", (0, 0, clock)),
            ("-04:05:06", (0, 0, -clock)),
            ("1:30", (0, 0, 90 * 60 * SECOND_NANOS)),
            ("1:30.5", (0, 0, 90_500_000_000)),
            ("1 day 02:00:00", (0, 1, 2 * HOUR_NANOS)),
            ("1 02:00:00", (0, 1, 2 * HOUR_NANOS)),
            ("1 year 2 mons -3 days 04:05:06.789", (14, -3, clock + 789_000_000)),
            (
                "1 years 2 mons -3 days 4 hours 5 mins 6.789000000 secs",
                (14, -3, clock + 789_000_000),
            ),
            ("1-2 3 4:05:06", (14, 3, clock)),
            ("-1-2", (-14, 0, 0)),
            ("P1Y2M", (14, 0, 0)),
            ("P14M-3DT14405.5S", (14, -3, 14_405_500_000_000)),
            ("P2W1DT1H30M", (0, 15, 90 * 60 * SECOND_NANOS)),
            ("P1.5D", (0, 1, 12 * HOUR_NANOS)),
            ("P0001-02-03T04:05:06", (14, 3, clock)),
            ("1 week ago", (0, -7, 0)),
            ("@ 1 day -2 hours ago", (0, -1, 2 * HOUR_NANOS)),
            ("1day2h", (0, 1, 2 * HOUR_NANOS)),
            ("1.5 months", (1, 15, 0)),
            ("1.3 years", (16, 0, 0)),
            ("1.5 weeks", (0, 10, 12 * HOUR_NANOS)),
            ("1 century 1 decade", (1320, 0, 0)),
            ("-9223372036854775808 nanoseconds", (0, 0, i64::MIN)),
            (" 1 DAY ", (0, 1, 0)),
        ];
        for (text, (months, days, nanoseconds)) in all {
            let parts = IntervalParts { months, days, nanoseconds };
            assert_eq!(interval_of_text(text), Some(parts), "{text}");
        }
    }

    #[test]
    fn an_interval_is_written_as_it_is_read() {
        for (text, (months, days, nanoseconds)) in [
            ("00:00:00", (0, 0, 0)),
            ("1 year 3 mons", (15, 0, 0)),
            ("-1 years -2 mons", (-14, 0, 0)),
            ("1 mon 1 day", (1, 1, 0)),
            ("1 day 02:00:00", (0, 1, 2 * HOUR_NANOS)),
            ("-3 days 04:05:06.789", (0, -3, 4 * HOUR_NANOS + 306_789_000_000)),
            ("-00:01:30", (0, 0, -90_000_000_000)),
            ("00:00:00.000000001", (0, 0, 1)),
            ("100:00:00", (0, 0, 100 * HOUR_NANOS)),
        ] {
            let parts = IntervalParts { months, days, nanoseconds };
            assert_eq!(parts.to_string(), text);
            assert_eq!(interval_of_text(text), Some(parts), "{text}");
        }
    }

    #[test]
    fn what_is_no_interval_is_none() {
        for text in [
            "",
            "ago",
            "soon",
            "day",
            "1 2 days",
            "1 day 1 day",
            "1 day soon",
            "1:60",
            "1:2:3:4",
            "1 ago day",
            "P",
            "PT",
            "P1",
            "P1X",
            "PT1.S1",
            "PT--1S",
            "P1DT",
            "1e3",
            "1..5",
            "--1",
            "1-13",
            "3000000000 days",
            "99999999999999999999",
            "1 02:00:00 3 hours",
            ".",
            "-",
        ] {
            assert_eq!(interval_of_text(text), None, "{text}");
        }
    }
}
