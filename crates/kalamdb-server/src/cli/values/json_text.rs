//! JSON text, read without losing a digit: numbers stay the text they are.

use std::borrow::Cow;

/// How deep arrays and objects may nest.
const DEPTH_MAX: usize = 128;

/// A JSON value that borrows from its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as it is written.
    Number(&'a str),
    /// A string without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object's entries in their order.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// What is wrong with a text that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Bytes before the place.
    pub at: usize,
    /// What was expected there.
    pub reason: &'static str,
}

/// Reads one whole value.
pub fn parse(text: &str) -> Result<Json<'_>, JsonError> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value(0)?;
    scanner.end()?;
    Ok(value)
}

/// True for the text of one JSON value.
pub fn is_valid(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.skip(0).is_ok() && scanner.end().is_ok()
}

/// Appends `text` as a JSON string.
pub fn push_string(text: &str, out: &mut String) {
    out.push('"');
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(text.get(start..at).unwrap_or_default());
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        start = at + 1;
    }
    out.push_str(text.get(start..).unwrap_or_default());
    out.push('"');
}

impl Json<'_> {
    /// Appends the value's text.
    pub fn push_to(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => push_string(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.push_to(out);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    push_string(key, out);
                    out.push(':');
                    value.push_to(out);
                }
                out.push('}');
            }
        }
    }
}

/// Reads JSON from left to right.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is not white space, not taken.
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes `wanted` if it comes next.
    pub fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    /// An error unless everything has been read.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("something follows the value")),
        }
    }

    /// An error at this place.
    pub fn error(&self, reason: &'static str) -> JsonError {
        JsonError { at: self.at, reason }
    }

    /// Takes a value.
    pub fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'[') => {
                self.deeper(depth)?;
                let mut items = Vec::new();
                self.items(b']', |scanner| {
                    items.push(scanner.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Json::Array(items))
            }
            Some(b'{') => {
                self.deeper(depth)?;
                let mut entries = Vec::new();
                self.items(b'}', |scanner| {
                    let key = scanner.key()?;
                    entries.push((key, scanner.value(depth + 1)?));
                    Ok(())
                })?;
                Ok(Json::Object(entries))
            }
            _ => match self.word()? {
                "null" => Ok(Json::Null),
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                number => Ok(Json::Number(number)),
            },
        }
    }

    /// Takes a value and gives its text.
    pub fn raw(&mut self) -> Result<&'a str, JsonError> {
        self.peek();
        let start = self.at;
        self.skip(0)?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn skip(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'[') => {
                self.deeper(depth)?;
                self.items(b']', |scanner| scanner.skip(depth + 1))
            }
            Some(b'{') => {
                self.deeper(depth)?;
                self.items(b'}', |scanner| {
                    scanner.key()?;
                    scanner.skip(depth + 1)
                })
            }
            _ => self.word().map(drop),
        }
    }

    fn deeper(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth >= DEPTH_MAX {
            return Err(self.error("arrays and objects nest too deeply"));
        }
        self.at += 1;
        Ok(())
    }

    /// What stands between the brackets, the first of which is taken.
    pub fn items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.take(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.take(close) {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.error("a comma or the closing bracket is missing"));
            }
        }
    }

    /// Takes a key and its colon.
    pub fn key(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("a key in double quotes is missing"));
        }
        let key = self.string()?;
        if !self.take(b':') {
            return Err(self.error("a colon is missing"));
        }
        Ok(key)
    }

    /// A number, `true`, `false` or `null`.
    pub fn word(&mut self) -> Result<&'a str, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        if !matches!(word, "null" | "true" | "false") && !is_number(word) {
            return Err(self.error("a value is missing or is not JSON"));
        }
        self.at += end;
        Ok(word)
    }

    /// Takes a string; its quote comes next.
    pub fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut plain = true;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    at += 2;
                }
                Some(0..0x20) => {
                    self.at = at;
                    return Err(self.error("a control character stands in a string"));
                }
                Some(_) => at += 1,
                None => return Err(self.error("the string is not closed")),
            }
        }
        let inside = self.text.get(start..at).unwrap_or_default();
        let text = match plain {
            true => Cow::Borrowed(inside),
            false => Cow::Owned(unescape(inside).ok_or_else(|| self.error("a bad escape"))?),
        };
        self.at = at + 1;
        Ok(text)
    }
}

fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|text| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            c @ ('"' | '\\' | '/') => out.push(c),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'u' => {
                let first = unit(&mut chars)?;
                let units = if (0xd800..0xdc00).contains(&first) {
                    if (chars.next(), chars.next()) != (Some('\\'), Some('u')) {
                        return None;
                    }
                    vec![first, unit(&mut chars)?]
                } else {
                    vec![first]
                };
                for decoded in char::decode_utf16(units) {
                    out.push(decoded.ok()?);
                }
            }
            _ => return None,
        }
    }
    Some(out)
}

fn unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let mut value = 0;
    for _ in 0..4 {
        value = value * 16 + chars.next()?.to_digit(16)?;
    }
    u16::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_written() {
        for (text, same) in [
            ("null", None),
            (
                " [1, 2.50 , -0e+5, 123456789012345678901234567890]",
                Some("[1,2.50,-0e+5,123456789012345678901234567890]"),
            ),
            (r#"{"a":{"b":[true,false,null,"x"]},"":[]}"#, None),
            (r#""\u00e9\ud83d\ude00\/\b\n\"""#, Some("\"é😀/\\u0008\\n\\\"\"")),
        ] {
            let mut out = String::new();
            parse(text).unwrap().push_to(&mut out);
            assert_eq!(out, same.unwrap_or(text));
            assert!(is_valid(text));
        }
    }

    #[test]
    fn what_is_not_json_is_refused_where_it_ends() {
        for text in [
            "",
            "[",
            "[1,]",
            "{\"a\"}",
            "{a:1}",
            "01",
            "1.",
            "+1",
            "nul",
            "\"\\x\"",
            "\"a",
            "1 2",
            "\"\\ud800\"",
            "\"\n\"",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("[1 2]").unwrap_err().at, 3);
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
