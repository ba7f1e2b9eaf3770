//! Arrays in text, as PostgreSQL writes them: `{1,2}`, `{"a b",NULL}`, `{{1},{2}}`.

use std::iter::Peekable;
use std::str::Chars;

use datafusion::sql::sqlparser::ast::{Array, Expr, Value};

/// Brackets within brackets.
const DEPTH_MAX: usize = 8;

/// The array a text spells, its items as texts; `None` when it spells none.
pub(super) fn read(text: &str) -> Option<Expr> {
    let mut chars = text.trim().chars().peekable();
    let array = array(&mut chars, DEPTH_MAX)?;
    chars.next().is_none().then_some(array)
}

fn array(chars: &mut Peekable<Chars<'_>>, depth: usize) -> Option<Expr> {
    let depth = depth.checked_sub(1)?;
    if chars.next()? != '{' {
        return None;
    }
    let mut elem = Vec::new();
    skip_blanks(chars);
    if chars.next_if_eq(&'}').is_some() {
        return Some(Expr::Array(Array { elem, named: true }));
    }
    loop {
        skip_blanks(chars);
        elem.push(match chars.peek()? {
            '{' => array(chars, depth)?,
            '"' => quoted(chars)?,
            _ => bare(chars)?,
        });
        skip_blanks(chars);
        match chars.next()? {
            ',' => {}
            '}' => return Some(Expr::Array(Array { elem, named: true })),
            _ => return None,
        }
    }
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<Expr> {
    chars.next();
    let mut item = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(Expr::value(Value::SingleQuotedString(item))),
            '\\' => item.push(chars.next()?),
            other => item.push(other),
        }
    }
}

fn bare(chars: &mut Peekable<Chars<'_>>) -> Option<Expr> {
    let mut item = String::new();
    while let Some(next) = chars.next_if(|c| !matches!(c, ',' | '{' | '}' | '"')) {
        item.push(if next == '\\' { chars.next()? } else { next });
    }
    let item = item.trim_end();
    if item.is_empty() {
        return None;
    }
    let null = item.eq_ignore_ascii_case("null");
    let value = if null { Value::Null } else { Value::SingleQuotedString(item.to_owned()) };
    Some(Expr::value(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_arrays_are_read() {
        for (text, wanted) in [
            ("{1,2}", "ARRAY['1', '2']"),
            (" { a b , NULL, \"NULL\" } ", "ARRAY['a b', NULL, 'NULL']"),
            ("{\"a\\\"b,c\"}", "ARRAY['a\"b,c']"),
            ("{{1},{2}}", "ARRAY[ARRAY['1'], ARRAY['2']]"),
            ("{}", "ARRAY[]"),
        ] {
            assert_eq!(read(text).map(|array| array.to_string()).as_deref(), Some(wanted));
        }
        for text in ["", "1,2", "{1,2", "{1,,2}", "{1}x", "[1,2]", "{\"a}", "{1,}"] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
