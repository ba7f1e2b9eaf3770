//! NDJSON: one JSON object per line. Columns are found as their keys appear.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::PathBuf;

use super::text_batch::{
    BATCH_BYTES_MAX, BATCH_ROWS_MAX, RECORD_BYTES_MAX, TextBatch, TextColumnBuilder, TextReader,
    ValueKind,
};
use crate::cli::error::ShellError;
use crate::cli::values::json_text::{JsonError, Scanner};

/// Reads objects.
pub struct NdjsonReader<R> {
    input: R,
    file: String,
    names: Vec<String>,
    positions: HashMap<String, usize>,
    frozen: bool,
    line: u64,
    skip: u64,
    text: Vec<u8>,
}

impl<R: BufRead + Send> NdjsonReader<R> {
    /// With `names` only those columns are allowed.
    pub fn new(input: R, file: &str, names: Option<Vec<String>>, skip: u64) -> Self {
        let frozen = names.is_some();
        let names = names.unwrap_or_default();
        let positions = names.iter().cloned().enumerate().map(|(at, name)| (name, at)).collect();
        let file = file.to_owned();
        Self { input, file, names, positions, frozen, line: 0, skip, text: Vec::new() }
    }

    /// Reads a line; false at the end.
    fn read_line(&mut self) -> Result<bool, ShellError> {
        self.text.clear();
        let limit = u64::try_from(RECORD_BYTES_MAX).unwrap_or(u64::MAX);
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.text);
        let path = || PathBuf::from(&self.file);
        read.map_err(|source| ShellError::File { path: path(), source })?;
        self.line += 1;
        if self.text.len() == RECORD_BYTES_MAX {
            let mib = RECORD_BYTES_MAX >> 20;
            return Err(self.error(&format!("the line is longer than {mib} MiB")));
        }
        Ok(!self.text.is_empty())
    }

    fn error(&self, reason: &str) -> ShellError {
        ShellError::Data(format!("{}: line {}: {reason}", self.file, self.line))
    }

    fn json_error(&self, text: &str, error: &JsonError) -> ShellError {
        if text.trim_start().starts_with('[') {
            let reason = "the file is a JSON array, write one object per line";
            return self.error(&format!("{reason} (jq -c '.[]' does)"));
        }
        self.error(&format!("it is not a JSON object: at byte {} {}", error.at + 1, error.reason))
    }

    /// Adds a row to the builders.
    fn add(
        &mut self,
        text: &str,
        row: usize,
        builders: &mut Vec<TextColumnBuilder>,
    ) -> Result<(), ShellError> {
        let mut scanner = Scanner::new(text);
        let mut strange = None;
        let (names, positions, frozen) = (&mut self.names, &mut self.positions, self.frozen);
        let mut read = || -> Result<(), JsonError> {
            if !scanner.take(b'{') {
                return Err(scanner.error("an object is missing"));
            }
            scanner.items(b'}', |scanner| {
                let key = scanner.key()?;
                let position = match positions.get(key.as_ref()) {
                    Some(position) => *position,
                    None if frozen => {
                        strange = Some(key.into_owned());
                        return Err(scanner.error("unknown key"));
                    }
                    None => {
                        names.push(key.clone().into_owned());
                        positions.insert(key.into_owned(), names.len() - 1);
                        builders.push(TextColumnBuilder::with_nulls(row));
                        names.len() - 1
                    }
                };
                let builder = builders.get_mut(position);
                let builder = builder.ok_or_else(|| scanner.error("unknown key"))?;
                if builder.len() > row {
                    return Err(scanner.error("the key stands twice in the object"));
                }
                add_value(scanner, builder, row)
            })?;
            scanner.end()
        };
        match read() {
            Ok(()) => Ok(()),
            Err(error) => Err(match strange {
                Some(key) => self.error(&format!(
                    "the key '{key}' is not a column of this import: name all columns with \
                     --columns, or look at more rows with --infer-rows"
                )),
                None => self.json_error(text, &error),
            }),
        }
    }
}

fn add_value(
    scanner: &mut Scanner<'_>,
    builder: &mut TextColumnBuilder,
    row: usize,
) -> Result<(), JsonError> {
    let kind = match scanner.peek() {
        Some(b'"') => {
            builder.push_bytes(scanner.string()?.as_bytes());
            ValueKind::Text
        }
        Some(b'{' | b'[') => {
            builder.push_bytes(scanner.raw()?.as_bytes());
            ValueKind::Nested
        }
        _ => match scanner.word()? {
            "null" => {
                builder.pad(row + 1);
                return Ok(());
            }
            word => {
                builder.push_bytes(word.as_bytes());
                ValueKind::Word
            }
        },
    };
    builder.end_value(kind);
    Ok(())
}

impl<R: BufRead + Send> TextReader for NdjsonReader<R> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn freeze(&mut self) {
        self.frozen = true;
    }

    fn next(&mut self) -> Result<Option<TextBatch>, ShellError> {
        let mut builders: Vec<_> =
            self.names.iter().map(|_| TextColumnBuilder::with_nulls(0)).collect();
        let mut lines = Vec::new();
        let mut bytes = 0;
        while lines.len() < BATCH_ROWS_MAX && bytes < BATCH_BYTES_MAX {
            if !self.read_line()? {
                break;
            }
            let line = std::mem::take(&mut self.text);
            let text = str::from_utf8(&line).map_err(|_| self.error("it is not UTF-8 text"))?;
            let text = text.strip_prefix('\u{feff}').filter(|_| self.line == 1).unwrap_or(text);
            if !text.trim().is_empty() {
                if self.skip > 0 {
                    self.skip -= 1;
                } else {
                    self.add(text, lines.len(), &mut builders)?;
                    bytes += text.len();
                    lines.push(self.line);
                    builders.iter_mut().for_each(|builder| builder.pad(lines.len()));
                }
            }
            self.text = line;
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(builders.len());
        for builder in builders {
            // Pieces of UTF-8 text between quotes and brackets are UTF-8 text.
            columns.push(builder.finish().map_err(|_| self.error("it is not UTF-8 text"))?);
        }
        Ok(Some(TextBatch { columns, lines }))
    }

    fn left_to_skip(&self) -> u64 {
        self.skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<String>, TextBatch), ShellError> {
        let mut reader = NdjsonReader::new(text.as_bytes(), "f", None, 0);
        let batch = reader.next()?.unwrap();
        Ok((reader.names, batch))
    }

    #[test]
    fn columns_appear_with_their_keys() {
        let text = "\u{feff}{\"a\": 1.50, \"b\": null}\n\n{\"c\": [1, {}], \"a\": \"x\\n\"}\n";
        let (names, batch) = read(text).unwrap();
        assert_eq!((names.join(""), batch.lines), ("abc".to_owned(), vec![1, 3]));
        let column = |at: usize| batch.columns[at].values.iter().collect::<Vec<_>>();
        assert_eq!(column(0), [Some("1.50"), Some("x\n")]);
        assert_eq!(column(1), [None, None]);
        assert_eq!(column(2), [None, Some("[1, {}]")]);
        assert_eq!(batch.columns[0].kinds, [ValueKind::Word, ValueKind::Text]);
        assert_eq!(batch.columns[2].kinds[1], ValueKind::Nested);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, part) in [
            ("{}\n{\"a\": tru}\n", "line 2: it is not a JSON object: at byte 7"),
            ("{\"a\":1,\"a\":2}", "twice"),
            ("[{}]", "JSON array"),
            ("7", "an object is missing"),
            ("{} {}", "something follows"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let mut reader = NdjsonReader::new(&b"{\"b\":1}"[..], "f", Some(vec!["a".into()]), 0);
        assert!(reader.next().unwrap_err().to_string().contains("'b'"));
    }
}
