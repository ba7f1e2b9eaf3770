//! A table's name as it is typed after `--table`.

use std::fmt;

use super::error::ShellError;

/// A table, its names as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// The catalog, where one was named.
    pub catalog: Option<String>,
    /// The namespace; the session's when not given.
    pub namespace: Option<String>,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Reads `table`, `namespace.table` and `"Quoted".table`; unquoted names are lower-cased.
    pub fn parse(text: &str) -> Result<Self, ShellError> {
        let mut parts = vec![String::new()];
        let mut quoted = false;
        let mut chars = text.trim().chars().peekable();
        while let Some(c) = chars.next() {
            let part = parts.last_mut().ok_or_else(|| bad_name(text))?;
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    part.push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                c if quoted => part.push(c),
                c if c.is_whitespace() => return Err(bad_name(text)),
                c => part.extend(c.to_lowercase()),
            }
        }
        if quoted || parts.len() > 3 || parts.iter().any(String::is_empty) {
            return Err(bad_name(text));
        }
        let mut parts = parts.into_iter().rev();
        let table = parts.next().ok_or_else(|| bad_name(text))?;
        Ok(Self { table, namespace: parts.next(), catalog: parts.next() })
    }
}

fn bad_name(text: &str) -> ShellError {
    ShellError::Usage(format!("'{text}' is not a table's name: write table or namespace.table"))
}

/// A name as SQL takes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// As SQL takes it.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.catalog, &self.namespace].into_iter().flatten() {
            write!(f, "{}.", quoted(part))?;
        }
        f.write_str(&quoted(&self.table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_reads_them() {
        for (text, shown) in [
            ("t", "\"t\""),
            ("Chat.Messages", "\"chat\".\"messages\""),
            ("a.\"My.\"\"T\"", "\"a\".\"My.\"\"T\""),
            ("kalam.a.b", "\"kalam\".\"a\".\"b\""),
        ] {
            assert_eq!(TableName::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "a.", ".a", "\"open", "a.b.c.d", "a b"] {
            assert!(TableName::parse(text).is_err(), "{text}");
        }
    }
}
