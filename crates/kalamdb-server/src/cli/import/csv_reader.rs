//! CSV (RFC 4180) that keeps NULL and empty text apart: an empty field is NULL, `""` is not.

use std::io::{self, Read};
use std::path::PathBuf;

use super::text_batch::{
    BATCH_BYTES_MAX, BATCH_ROWS_MAX, RECORD_BYTES_MAX, TextBatch, TextColumnBuilder, TextReader,
    ValueKind,
};
use crate::cli::error::ShellError;

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Stands between fields.
    pub delimiter: u8,
    /// Stands around fields.
    pub quote: u8,
    /// The first line names the columns.
    pub header: bool,
    /// Unquoted fields that mean NULL, beside the empty one.
    pub nulls: Vec<String>,
}

/// One field of a record.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    quoted: bool,
    /// There are quotes within.
    doubled: bool,
}

/// What stands at the beginning of some bytes.
enum Scanned {
    /// A record, and where the next one begins.
    Record(usize),
    /// More bytes are needed to tell.
    Incomplete,
    /// It is no CSV.
    Bad(&'static str),
}

/// Reads records.
pub struct CsvReader<R> {
    input: R,
    file: String,
    dialect: Dialect,
    names: Vec<String>,
    buffer: Vec<u8>,
    start: usize,
    at_end: bool,
    line: u64,
    skip: u64,
    spans: Vec<Span>,
}

impl<R: Read + Send> CsvReader<R> {
    /// Reads the header. `names` replaces what it says; without either, columns are numbered.
    pub fn open(
        input: R,
        file: &str,
        dialect: Dialect,
        names: Option<Vec<String>>,
        skip: u64,
    ) -> Result<Self, ShellError> {
        let mut reader = Self {
            input,
            file: file.to_owned(),
            dialect,
            names: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            at_end: false,
            line: 1,
            skip,
            spans: Vec::new(),
        };
        reader.fill()?;
        if reader.buffer.starts_with(BYTE_ORDER_MARK) {
            reader.start = BYTE_ORDER_MARK.len();
        }
        let (start, line) = (reader.start, reader.line);
        let found = match reader.record()? {
            Some(_) => reader.texts()?,
            None if names.is_none() => {
                return Err(ShellError::Data(format!("{file} is empty, it has no header line")));
            }
            None => names.clone().unwrap_or_default(),
        };
        // A return within the first line ends it for whom wrote the file.
        if found.iter().any(|text| text.contains('\r')) && reader.dialect.header {
            let reason = "the lines end with a carriage return alone, which is not read; make them \
                          end with a line feed, as in tr '\\r' '\\n' < old.csv > new.csv";
            return Err(reader.error(1, reason));
        }
        let width = found.len();
        if reader.dialect.header {
            reader.names = found;
        } else {
            // Records are found again: nothing is thrown away before the next one is asked for.
            (reader.start, reader.line) = (start, line);
            reader.names = (1..=width).map(|number| format!("column{number}")).collect();
        }
        if let Some(names) = names {
            if names.len() != width {
                let (given, named) = (width, names.len());
                let message =
                    format!("{file} has {given} columns, --columns names {named} of them");
                return Err(ShellError::Data(message));
            }
            reader.names = names;
        }
        Ok(reader)
    }

    /// The fields of the record found last, as text.
    fn texts(&self) -> Result<Vec<String>, ShellError> {
        let not_text = |_| ShellError::Data(format!("{}: line 1 is not UTF-8 text", self.file));
        let field = |span: &Span| {
            let mut bytes = Vec::new();
            self.value(span, |part| bytes.extend_from_slice(part));
            String::from_utf8(bytes).map(|text| text.trim().to_owned()).map_err(not_text)
        };
        self.spans.iter().map(field).collect()
    }

    /// A field's bytes without its quotes, in parts.
    fn value(&self, span: &Span, mut push: impl FnMut(&[u8])) {
        let mut rest = self.buffer.get(span.start..span.end).unwrap_or_default();
        if span.doubled {
            let quote = self.dialect.quote;
            while let Some(at) = rest.iter().position(|byte| *byte == quote) {
                push(rest.get(..=at).unwrap_or_default());
                rest = rest.get(at + 2..).unwrap_or_default();
            }
        }
        push(rest);
    }

    /// Reads on; what is not yet used moves to the front.
    fn fill(&mut self) -> Result<(), ShellError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let used = self.buffer.len();
        self.buffer.resize(used + READ_BYTES.max(used), 0);
        let read = loop {
            match self.input.read(self.buffer.get_mut(used..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let path = || PathBuf::from(&self.file);
        let read = read.map_err(|source| ShellError::File { path: path(), source })?;
        self.buffer.truncate(used + read);
        self.at_end = read == 0;
        Ok(())
    }

    /// Finds the next record: its fields are in `spans`; gives the line it begins in.
    fn record(&mut self) -> Result<Option<u64>, ShellError> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            if rest.is_empty() && self.at_end {
                return Ok(None);
            }
            match scan(rest, self.at_end, &self.dialect, &mut self.spans) {
                Scanned::Record(length) => {
                    let line = self.line;
                    let record = rest.get(..length).unwrap_or_default();
                    let breaks = record.iter().filter(|byte| **byte == b'\n').count();
                    self.line += u64::try_from(breaks).unwrap_or_default();
                    for span in &mut self.spans {
                        span.start += self.start;
                        span.end += self.start;
                    }
                    self.start += length;
                    return Ok(Some(line));
                }
                Scanned::Incomplete if rest.len() > RECORD_BYTES_MAX => {
                    let mib = RECORD_BYTES_MAX >> 20;
                    let reason =
                        format!("a record is longer than {mib} MiB, is a quote left open?");
                    return Err(self.error(self.line, &reason));
                }
                Scanned::Incomplete => self.fill()?,
                Scanned::Bad(reason) => return Err(self.error(self.line, reason)),
            }
        }
    }

    fn error(&self, line: u64, reason: &str) -> ShellError {
        ShellError::Data(format!("{}: line {line}: {reason}", self.file))
    }

    /// True for a line without anything in it; in a file of one column that is a NULL.
    fn is_blank(&self) -> bool {
        self.names.len() > 1
            && matches!(self.spans.as_slice(), [span] if !span.quoted && span.start == span.end)
    }

    fn check_width(&self, line: u64) -> Result<(), ShellError> {
        let (found, wanted) = (self.spans.len(), self.names.len());
        if found == wanted {
            return Ok(());
        }
        let fields = if found == 1 { "field" } else { "fields" };
        Err(self.error(line, &format!("it has {found} {fields}, the file has {wanted} columns")))
    }

    fn is_null(&self, span: &Span) -> bool {
        let text = self.buffer.get(span.start..span.end).unwrap_or_default();
        !span.quoted
            && (text.is_empty() || self.dialect.nulls.iter().any(|null| null.as_bytes() == text))
    }
}

impl<R: Read + Send> TextReader for CsvReader<R> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn freeze(&mut self) {}

    fn next(&mut self) -> Result<Option<TextBatch>, ShellError> {
        let mut builders: Vec<_> =
            self.names.iter().map(|_| TextColumnBuilder::with_nulls(0)).collect();
        let mut lines = Vec::new();
        let mut bytes = 0;
        while lines.len() < BATCH_ROWS_MAX && bytes < BATCH_BYTES_MAX {
            let Some(line) = self.record()? else { break };
            if self.is_blank() {
                continue;
            }
            self.check_width(line)?;
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            for (span, builder) in self.spans.iter().zip(&mut builders) {
                bytes += span.end - span.start;
                if self.is_null(span) {
                    builder.pad(lines.len() + 1);
                } else {
                    self.value(span, |part| builder.push_bytes(part));
                    builder.end_value(ValueKind::Word);
                }
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(builders.len());
        for (builder, name) in builders.into_iter().zip(&self.names) {
            columns.push(builder.finish().map_err(|row| {
                let line = lines.get(row).copied().unwrap_or_default();
                self.error(line, &format!("column '{name}' is not UTF-8 text"))
            })?);
        }
        Ok(Some(TextBatch { columns, lines }))
    }

    fn left_to_skip(&self) -> u64 {
        self.skip
    }
}

/// Finds the fields of the record at the beginning of `bytes`.
fn scan(bytes: &[u8], at_end: bool, dialect: &Dialect, spans: &mut Vec<Span>) -> Scanned {
    spans.clear();
    let mut at = 0;
    loop {
        let start = at;
        if bytes.get(at) == Some(&dialect.quote) {
            let (end, doubled) = match closing_quote(bytes, start + 1, at_end, dialect.quote) {
                Ok(Some(found)) => found,
                Ok(None) => return Scanned::Incomplete,
                Err(reason) => return Scanned::Bad(reason),
            };
            spans.push(Span { start: start + 1, end, quoted: true, doubled });
            at = end + 1;
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(byte), _) if *byte == dialect.delimiter => at += 1,
                (Some(b'\n'), _) => return Scanned::Record(at + 1),
                (Some(b'\r'), Some(b'\n')) => return Scanned::Record(at + 2),
                (None, _) | (Some(b'\r'), None) if !at_end => return Scanned::Incomplete,
                (None, _) => return Scanned::Record(at),
                (Some(b'\r'), None) => return Scanned::Record(at + 1),
                _ => return Scanned::Bad("text follows a closing quote"),
            }
            continue;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let stop = rest.iter().position(|byte| *byte == dialect.delimiter || *byte == b'\n');
        let end = match stop {
            Some(length) => at + length,
            None if at_end => bytes.len(),
            None => return Scanned::Incomplete,
        };
        let ends_field = bytes.get(end) == Some(&dialect.delimiter);
        let field = bytes.get(at..end).unwrap_or_default();
        let has_return = !ends_field && field.last() == Some(&b'\r');
        let span =
            Span { start, end: end - usize::from(has_return), quoted: false, doubled: false };
        spans.push(span);
        if !ends_field {
            return Scanned::Record((end + 1).min(bytes.len()));
        }
        at = end + 1;
    }
}

/// Where a quoted field ends and whether quotes are in it; `None` when that is not yet to be seen.
fn closing_quote(
    bytes: &[u8],
    start: usize,
    at_end: bool,
    quote: u8,
) -> Result<Option<(usize, bool)>, &'static str> {
    let mut at = start;
    let mut doubled = false;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == quote) else {
            return if at_end { Err("a quote is not closed") } else { Ok(None) };
        };
        at += length;
        match bytes.get(at + 1) {
            Some(next) if *next == quote => {
                doubled = true;
                at += 2;
            }
            None if !at_end => return Ok(None),
            _ => return Ok(Some((at, doubled))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, so that every record is cut everywhere.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let taken = self.0.len().min(1);
            buffer[..taken].copy_from_slice(&self.0[..taken]);
            self.0 = &self.0[taken..];
            Ok(taken)
        }
    }

    fn dialect() -> Dialect {
        Dialect { delimiter: b',', quote: b'"', header: true, nulls: vec!["NA".into()] }
    }

    fn rows(text: &[u8], dialect: Dialect) -> Result<Vec<Vec<Option<String>>>, ShellError> {
        let mut reader = CsvReader::open(Slow(text), "f.csv", dialect, None, 0)?;
        let mut rows = Vec::new();
        while let Some(batch) = reader.next()? {
            for row in 0..batch.lines.len() {
                let values = batch.columns.iter().map(|c| c.values.iter().nth(row).unwrap());
                rows.push(values.map(|value| value.map(str::to_owned)).collect());
            }
        }
        Ok(rows)
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn quotes_breaks_and_nulls() {
        let text =
            b"\xef\xbb\xbfa,b\r\n1,\"x \"\"y\"\"\r\n, z\"\r\n\r\n,\"\"\nNA,\"NA\"\n\"\",q\"r";
        let expected = vec![
            some(&["1", "x \"y\"\r\n, z"]),
            vec![None, Some(String::new())],
            vec![None, Some("NA".into())],
            some(&["", "q\"r"]),
        ];
        assert_eq!(rows(text, dialect()).unwrap(), expected);
    }

    #[test]
    fn a_blank_line_in_a_file_of_one_column_is_null() {
        assert_eq!(rows(b"a\n\n1\n", dialect()).unwrap(), [vec![None], some(&["1"])]);
    }

    #[test]
    fn other_delimiters_and_no_header() {
        let dialect = Dialect { delimiter: b'\t', header: false, ..dialect() };
        assert_eq!(
            rows(b"1\tx,y\n2\t", dialect).unwrap(),
            [some(&["1", "x,y"]), vec![Some("2".into()), None]]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, part) in [
            (&b""[..], "f.csv is empty"),
            (b"a,b\n1,2\n3\n", "line 3: it has 1 field, the file has 2 columns"),
            (b"a\n\"x\ny\"\n1,2\n", "line 4: it has 2 fields"),
            (b"a\n1\n\"x\n", "line 3: a quote is not closed"),
            (b"a\n\"x\"y\n", "line 2: text follows a closing quote"),
            (b"a,b\n1,2\n1,\xff\n", "line 3: column 'b' is not UTF-8 text"),
        ] {
            let error = rows(text, dialect()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn rows_are_skipped() {
        let mut reader = CsvReader::open(&b"a\n1\n2\n3\n"[..], "f", dialect(), None, 2).unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert_eq!((batch.lines, batch.columns[0].values.value(0)), (vec![4], "3"));
        assert_eq!(reader.left_to_skip(), 0);
    }
}
