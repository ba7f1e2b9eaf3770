//! Finds values inside a JSON text without building anything: what is taken out is a piece of the
//! text, so numbers keep all their digits and objects their order.
//!
//! Stored JSON was checked when it was written. Other text is checked as far as it is read.

use std::borrow::Cow;

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

type Found<'a> = Result<Option<&'a str>, NotJson>;

/// One step of a path into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<'p> {
    /// The value of an object under this key; digits are an index where an array is met.
    Key(Cow<'p, str>),
    /// The item of an array, counted from 0; negative ones from its end.
    Index(i64),
}

/// What a value is, as PostgreSQL's `json_typeof` says.
pub(super) fn type_of(value: &str) -> Result<&'static str, NotJson> {
    let value = value.trim_ascii();
    Ok(match (value.bytes().next(), value) {
        (Some(b'{'), _) => "object",
        (Some(b'['), _) => "array",
        (Some(b'"'), _) => "string",
        (_, "true" | "false") => "boolean",
        (_, "null") => "null",
        (Some(b'-' | b'0'..=b'9'), _) => "number",
        _ => return Err(NotJson),
    })
}

/// The value one step into another.
pub(super) fn step<'a>(value: &'a str, step: &Step<'_>) -> Found<'a> {
    match (type_of(value)?, step) {
        ("object", Step::Key(key)) => member(value, key),
        ("array", Step::Key(key)) => match key.parse() {
            Ok(index) => item(value, index),
            Err(_) => Ok(None),
        },
        ("array", Step::Index(index)) => item(value, *index),
        ("object", Step::Index(index)) => member(value, &index.to_string()),
        _ => Ok(None),
    }
}

/// The last value under a key, as PostgreSQL takes it when a key is there twice.
fn member<'a>(object: &'a str, key: &str) -> Found<'a> {
    let mut found = None;
    for entry in entries(object) {
        let (name, value) = entry?;
        if unescaped(name)? == key {
            found = Some(value);
        }
    }
    Ok(found)
}

fn item(array: &str, index: i64) -> Found<'_> {
    let index = if index < 0 {
        let length = i64::try_from(items(array).count()).map_err(|_| NotJson)?;
        length.saturating_add(index)
    } else {
        index
    };
    let Ok(index) = usize::try_from(index) else { return Ok(None) };
    items(array).nth(index).transpose()
}

/// A value as text: strings without their quotes, null as none.
pub(super) fn text(value: &str) -> Result<Option<Cow<'_, str>>, NotJson> {
    match type_of(value)? {
        "string" => unescaped(value).map(Some),
        "null" => Ok(None),
        _ => Ok(Some(Cow::Borrowed(value))),
    }
}

/// The characters of a string that is written with its quotes.
pub(super) fn unescaped(string: &str) -> Result<Cow<'_, str>, NotJson> {
    let inner = string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let inner = inner.ok_or(NotJson)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(string).map(Cow::Owned).map_err(|_| NotJson)
}

/// The items of an array.
pub(super) fn items(array: &str) -> impl Iterator<Item = Result<&str, NotJson>> {
    let mut cursor = Cursor::inside(array, b'[');
    std::iter::from_fn(move || cursor.next_value(b']').transpose())
}

/// The entries of an object: the key with its quotes, and the value.
pub(super) fn entries(object: &str) -> impl Iterator<Item = Result<(&str, &str), NotJson>> {
    let mut cursor = Cursor::inside(object, b'{');
    std::iter::from_fn(move || {
        let key = match cursor.next_value(b'}').transpose()? {
            Ok(key) => key,
            Err(error) => return Some(Err(error)),
        };
        Some(cursor.after_colon().map(|value| (key, value)))
    })
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// No value has been read yet: no comma is due.
    first: bool,
    /// Nothing more is read: the end, or a fault that was told.
    done: bool,
}

impl<'a> Cursor<'a> {
    /// Behind the bracket that opens `text`.
    fn inside(text: &'a str, open: u8) -> Self {
        let mut cursor = Self { text, at: 0, first: true, done: false };
        cursor.blank();
        cursor.done = !cursor.eat(open);
        cursor
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// The next value before `close`.
    fn next_value(&mut self, close: u8) -> Found<'a> {
        if self.done {
            return Ok(None);
        }
        self.blank();
        if self.eat(close) {
            self.done = true;
            return Ok(None);
        }
        if !self.first && !self.eat(b',') {
            self.done = true;
            return Err(NotJson);
        }
        self.first = false;
        self.value().map(Some)
    }

    fn after_colon(&mut self) -> Result<&'a str, NotJson> {
        self.blank();
        if !self.eat(b':') {
            self.done = true;
            return Err(NotJson);
        }
        self.value()
    }

    /// The value that begins here, or after blanks.
    fn value(&mut self) -> Result<&'a str, NotJson> {
        self.blank();
        let start = self.at;
        let whole = match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') => self.brackets(),
            _ => {
                while self.peek().is_some_and(|byte| {
                    !matches!(byte, b',' | b']' | b'}' | b':') && !byte.is_ascii_whitespace()
                }) {
                    self.at += 1;
                }
                self.at > start
            }
        };
        let value = self.text.get(start..self.at).filter(|_| whole);
        self.done |= value.is_none();
        value.ok_or(NotJson)
    }

    /// Reads over a string; false when it does not end.
    fn string(&mut self) -> bool {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return true,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        false
    }

    /// Reads over all up to the bracket that closes the one here; false when it is not there.
    fn brackets(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    if !self.string() {
                        return false;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return true;
            }
        }
        false
    }
}

/// The steps of a path as DuckDB and MySQL write it: `$.a.b[0]."c d"`.
pub(super) fn dollar_path(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[") {
            let (index, after) = after.split_once(']')?;
            let index = index.trim();
            let index = match index.strip_prefix("#-") {
                Some(from_end) => -from_end.parse::<i64>().ok()?,
                None => index.parse().ok()?,
            };
            steps.push(Step::Index(index));
            rest = after;
        } else if let Some(after) = rest.strip_prefix(".\"") {
            let (key, after) = after.split_once('"')?;
            steps.push(Step::Key(Cow::Borrowed(key)));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at(end);
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(Cow::Borrowed(key)));
            rest = after;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Step<'_> {
        Step::Key(Cow::Borrowed(name))
    }

    #[test]
    fn values_are_pieces_of_the_text() {
        let json =
            r#" {"a": 12345678901234567890123, "b" : [1, {"c":"x,]}\"y"} , null],"a":1.50} "#;
        assert_eq!(step(json, &key("a")), Ok(Some("1.50")), "the last of two");
        let list = step(json, &key("b")).unwrap().unwrap();
        assert_eq!(step(list, &Step::Index(0)), Ok(Some("1")));
        assert_eq!(step(list, &Step::Index(-1)), Ok(Some("null")));
        assert_eq!(step(list, &key("1")), Ok(Some(r#"{"c":"x,]}\"y"}"#)));
        assert_eq!(step(list, &Step::Index(3)), Ok(None));
        assert_eq!(step(list, &Step::Index(-4)), Ok(None));
        let inner = step(list, &Step::Index(1)).unwrap().unwrap();
        let string = step(inner, &key("c")).unwrap().unwrap();
        assert_eq!(text(string).unwrap().unwrap(), "x,]}\"y");
    }

    #[test]
    fn keys_are_compared_without_their_escapes() {
        assert_eq!(step(r#"{"é\n":1}"#, &key("é\n")), Ok(Some("1")));
        assert_eq!(step(r#"{"\u00e9":1}"#, &key("é")), Ok(Some("1")));
    }

    #[test]
    fn nothing_is_found_in_scalars_and_empty_values() {
        for json in ["1", "\"a\"", "null", "true", "{}", "[]", " [ ] "] {
            assert_eq!(step(json, &key("a")), Ok(None), "{json}");
            assert_eq!(step(json, &Step::Index(0)), Ok(None), "{json}");
        }
    }

    #[test]
    fn broken_text_is_an_error_and_never_a_panic() {
        for json in [
            "",
            "  ",
            "nope",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":\"",
            "x",
            "{\"a\" 1}",
            "[1 2",
            "[\"\\",
        ] {
            let steps = [key("a"), Step::Index(5), Step::Index(-1)];
            let faults = steps.iter().filter(|one| step(json, one).is_err()).count();
            assert!(faults > 0, "{json}");
        }
    }

    #[test]
    fn paths_with_a_dollar_have_steps() {
        let steps = dollar_path(r#"$.a[0]."b c"[#-1]"#).unwrap();
        assert_eq!(steps, [key("a"), Step::Index(0), key("b c"), Step::Index(-1)]);
        assert_eq!(dollar_path("$"), Some(Vec::new()));
        for path in ["a", "$.", "$[", "$[x]", "$..a", "$a"] {
            assert_eq!(dollar_path(path), None, "{path}");
        }
    }
}
