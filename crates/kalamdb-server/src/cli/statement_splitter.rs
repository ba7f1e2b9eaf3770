//! Cuts a stream of SQL text into statements and backslash commands.
//!
//! It knows only what may hide a semicolon: quoted text, quoted names, dollar-quoted text and
//! comments. Whether a statement is right is for the server to say.

use std::mem;

/// One thing to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A SQL statement without its semicolon.
    Statement(Located),
    /// A line that starts with a backslash.
    Command(Located),
}

/// Text and the line of the input it starts on, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The text, without surrounding white space.
    pub text: String,
    /// The line its first character stands on.
    pub line: usize,
    /// The place of that character in its line, in characters from 1.
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Plain,
    /// Inside `'…'`, `"…"` or `` `…` ``; a doubled delimiter closes and opens again.
    Quoted(u8),
    /// Inside `E'…'`, where a backslash takes the next character along.
    Escaped,
    /// Inside `$tag$…$tag$`; holds the whole delimiter.
    Dollar(Vec<u8>),
    LineComment,
    /// Block comments nest; holds the depth.
    BlockComment(usize),
    /// A backslash command, up to the end of its line.
    Command,
}

/// Collects text until pieces are complete. Text is pushed in whole lines: no token but a quoted
/// one crosses from one call to the next.
#[derive(Debug)]
pub struct StatementSplitter {
    buffer: String,
    scanned: usize,
    state: State,
    /// Where the current piece begins, once something other than space and comments was seen.
    content: Option<usize>,
    /// Line of `content`, and the place in it.
    content_at: (usize, usize),
    line: usize,
    /// Characters of the current line before `buffer`.
    column: usize,
}

impl Default for StatementSplitter {
    fn default() -> Self {
        Self {
            buffer: String::new(),
            scanned: 0,
            state: State::Plain,
            content: None,
            content_at: (1, 1),
            line: 1,
            column: 0,
        }
    }
}

impl StatementSplitter {
    /// Takes `text` and appends the pieces it completes to `pieces`.
    pub fn push(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        self.buffer.push_str(text);
        while self.scanned < self.buffer.len() {
            if let Some(width) = self.step(pieces) {
                let end = self.scanned + width;
                if self.buffer.as_bytes()[self.scanned..end].contains(&b'\n') {
                    self.line += 1;
                }
                self.scanned = end;
            }
        }
    }

    /// What is left at the end of the input: a last statement needs no semicolon.
    pub fn finish(&mut self) -> Option<Piece> {
        self.content?;
        let is_command = self.state == State::Command;
        let rest = self.cut(self.buffer.len(), 0);
        self.state = State::Plain;
        Some(if is_command { Piece::Command(rest) } else { Piece::Statement(rest) })
    }

    /// True when nothing is waiting for its end.
    pub fn is_idle(&self) -> bool {
        self.content.is_none() && !matches!(self.state, State::BlockComment(_))
    }

    /// Looks at the byte at `scanned`, and returns how many bytes were understood; none when a
    /// piece, and the byte that ended it, were cut off the front of the buffer.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> Option<usize> {
        let bytes = self.buffer.as_bytes();
        let (byte, next) = (bytes[self.scanned], bytes.get(self.scanned + 1).copied());
        match &mut self.state {
            State::Plain => return self.step_plain(byte, next, pieces),
            State::Quoted(delimiter) => {
                if byte == *delimiter {
                    self.state = State::Plain;
                }
            }
            State::Escaped => match (byte, next) {
                (b'\\', Some(escaped)) if escaped != b'\n' => return Some(2),
                (b'\'', _) => self.state = State::Plain,
                _ => {}
            },
            State::Dollar(delimiter) => {
                if bytes[self.scanned..].starts_with(delimiter) {
                    let width = delimiter.len();
                    self.state = State::Plain;
                    return Some(width);
                }
            }
            State::LineComment => {
                if byte == b'\n' {
                    self.state = State::Plain;
                }
            }
            State::BlockComment(depth) => match (byte, next) {
                (b'/', Some(b'*')) => {
                    *depth += 1;
                    return Some(2);
                }
                (b'*', Some(b'/')) => {
                    *depth -= 1;
                    if *depth == 0 {
                        self.state = State::Plain;
                    }
                    return Some(2);
                }
                _ => {}
            },
            State::Command => {
                if byte == b'\n' {
                    self.state = State::Plain;
                    let command = self.cut(self.scanned, 1);
                    self.line += 1;
                    pieces.push(Piece::Command(command));
                    return None;
                }
            }
        }
        Some(1)
    }

    fn step_plain(&mut self, byte: u8, next: Option<u8>, pieces: &mut Vec<Piece>) -> Option<usize> {
        match (byte, next) {
            (b'-', Some(b'-')) => {
                self.state = State::LineComment;
                return Some(2);
            }
            (b'/', Some(b'*')) => {
                self.state = State::BlockComment(1);
                return Some(2);
            }
            (b';', _) => {
                let has_content = self.content.is_some();
                let statement = self.cut(self.scanned, 1);
                if has_content {
                    pieces.push(Piece::Statement(statement));
                }
                return None;
            }
            _ if byte.is_ascii_whitespace() => return Some(1),
            _ => {}
        }
        let is_first = self.content.is_none();
        if is_first {
            self.content = Some(self.scanned);
            self.content_at = (self.line, self.column_of(self.scanned) + 1);
        }
        match byte {
            b'\\' if is_first => self.state = State::Command,
            b'\'' if self.follows_escape_prefix() => self.state = State::Escaped,
            b'\'' | b'"' | b'`' => self.state = State::Quoted(byte),
            b'$' if !self.follows_word() => {
                if let Some(delimiter) = dollar_delimiter(&self.buffer.as_bytes()[self.scanned..]) {
                    let width = delimiter.len();
                    self.state = State::Dollar(delimiter);
                    return Some(width);
                }
            }
            _ => {}
        }
        Some(1)
    }

    /// True when the quote at `scanned` stands right after a lone `E`.
    fn follows_escape_prefix(&self) -> bool {
        let before = &self.buffer.as_bytes()[..self.scanned];
        match before {
            [.., previous, b'e' | b'E'] => !is_word_byte(*previous),
            [b'e' | b'E'] => true,
            _ => false,
        }
    }

    fn follows_word(&self) -> bool {
        self.buffer.as_bytes()[..self.scanned].last().is_some_and(|byte| is_word_byte(*byte))
    }

    /// Takes the current piece, which ends before `end`, and drops `end + skipped` bytes.
    fn cut(&mut self, end: usize, skipped: usize) -> Located {
        let rest = self.buffer.split_off(end + skipped);
        let mut head = mem::replace(&mut self.buffer, rest);
        self.column = self.columns_after(&head);
        head.truncate(end);
        let start = self.content.take().unwrap_or(end);
        self.scanned = 0;
        let (line, column) = self.content_at;
        Located { text: head[start..].trim_end().to_string(), line, column }
    }

    /// Characters before the byte at `at` in its line.
    fn column_of(&self, at: usize) -> usize {
        self.columns_after(&self.buffer[..at])
    }

    /// Characters of the last line once `text` is read, which begins where the buffer does.
    fn columns_after(&self, text: &str) -> usize {
        match text.rsplit_once('\n') {
            Some((_, last)) => last.chars().count(),
            None => self.column + text.chars().count(),
        }
    }
}

/// Splits a whole text; the last statement needs no semicolon.
pub fn split(text: &str) -> Vec<Piece> {
    let mut splitter = StatementSplitter::default();
    let mut pieces = Vec::new();
    splitter.push(text, &mut pieces);
    pieces.extend(splitter.finish());
    pieces
}

/// True when every statement of `text` is closed: nothing more needs to be typed.
pub fn is_complete(text: &str) -> bool {
    let mut splitter = StatementSplitter::default();
    splitter.push(text, &mut Vec::new());
    splitter.is_idle() || splitter.state == State::Command
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// `$$` or `$tag$` at the start of `bytes`; `$1` is a parameter.
fn dollar_delimiter(bytes: &[u8]) -> Option<Vec<u8>> {
    let tag = bytes.get(1..)?;
    let length = tag.iter().position(|byte| *byte == b'$')?;
    let tag = &tag[..length];
    let starts_well = tag.first().is_none_or(|byte| !byte.is_ascii_digit());
    (starts_well && tag.iter().all(|byte| is_word_byte(*byte)))
        .then(|| bytes[..length + 2].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<String> {
        split(text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Statement(located) => located.text,
                Piece::Command(located) => format!("<{}>", located.text),
            })
            .collect()
    }

    #[test]
    fn semicolons_end_statements_and_the_last_one_may_lack_it() {
        assert_eq!(
            statements("SELECT 1; SELECT 2;\nSELECT 3"),
            ["SELECT 1", "SELECT 2", "SELECT 3"]
        );
        assert_eq!(statements(";; SELECT 1 ;;"), ["SELECT 1"]);
        assert_eq!(statements("  \n "), Vec::<String>::new());
    }

    #[test]
    fn semicolons_in_quotes_and_comments_do_not() {
        for text in [
            "SELECT 'a;b'",
            "SELECT 'it''s; fine'",
            "SELECT \"odd;name\" FROM t",
            "SELECT \"a\"\"b;c\"",
            "SELECT 1 -- no; end\n + 1",
            "SELECT /* a; /* nested; */ b; */ 1",
            "SELECT $$ a; b $$",
            "SELECT $tag$ a; $$ b; $tag$",
            r"SELECT E'a\'; b'",
            "SELECT 'ünïcödé; ☃'",
        ] {
            assert_eq!(statements(&format!("{text}; SELECT 2")), [text, "SELECT 2"], "{text}");
        }
    }

    #[test]
    fn a_backslash_in_a_plain_string_escapes_nothing() {
        assert_eq!(statements(r"SELECT 'a\'; SELECT 2"), [r"SELECT 'a\'", "SELECT 2"]);
        assert_eq!(statements(r"SELECT tae'\'; SELECT 2"), [r"SELECT tae'\'", "SELECT 2"]);
    }

    #[test]
    fn parameters_are_not_dollar_quotes() {
        assert_eq!(statements("SELECT $1; SELECT $2"), ["SELECT $1", "SELECT $2"]);
        assert_eq!(statements("SELECT a$b$; SELECT 2"), ["SELECT a$b$", "SELECT 2"]);
    }

    #[test]
    fn comments_alone_are_no_statement() {
        assert_eq!(statements("-- nothing; here\n/* nor; here */ ;"), Vec::<String>::new());
        assert_eq!(statements("-- first\nSELECT 1;"), ["SELECT 1"]);
    }

    #[test]
    fn commands_run_to_the_end_of_their_line() {
        assert_eq!(statements("\\dt\nSELECT 1;\n\\d a;b"), ["<\\dt>", "SELECT 1", "<\\d a;b>"]);
        assert_eq!(statements("SELECT 1 \\d;"), ["SELECT 1 \\d"]);
    }

    #[test]
    fn pieces_know_their_line() {
        let lines: Vec<usize> =
            split("-- c\n\nSELECT\n 1;\n\\dt\n/* x\n */ SELECT 'a\nb'; SELECT 3;")
                .into_iter()
                .map(|piece| match piece {
                    Piece::Statement(located) | Piece::Command(located) => located.line,
                })
                .collect();
        assert_eq!(lines, [3, 5, 7, 8]);
    }

    #[test]
    fn pieces_know_their_place_in_the_line() {
        let text = "/* é */ SELECT 1; SELECT 2;\n  \\dt\nSELECT '\n'; SELECT 3;SELECT 4";
        let places: Vec<(usize, usize)> = split(text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Statement(located) | Piece::Command(located) => {
                    (located.line, located.column)
                }
            })
            .collect();
        assert_eq!(places, [(1, 9), (1, 19), (2, 3), (3, 1), (4, 4), (4, 13)]);
    }

    #[test]
    fn line_by_line_is_the_same_as_at_once() {
        let text = "SELECT 'a\n;b'; SELECT /* x\n; */ 2;\n\\dt\nSELECT $q$\n;\n$q$;\nSELECT 4";
        let mut splitter = StatementSplitter::default();
        let mut pieces = Vec::new();
        for line in text.split_inclusive('\n') {
            splitter.push(line, &mut pieces);
        }
        pieces.extend(splitter.finish());
        assert_eq!(pieces, split(text));
        assert_eq!(pieces.len(), 5);
    }

    #[test]
    fn typing_is_complete_at_the_semicolon() {
        for text in ["SELECT 1;", "", "  ", "\\dt", "SELECT 1; -- done", "-- just a remark"] {
            assert!(is_complete(text), "{text}");
        }
        for text in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "SELECT 1 -- ;", "/* open"] {
            assert!(!is_complete(text), "{text}");
        }
    }
}
