//! Reads one statement's tokens: a thin layer over sqlparser's parser that also knows words
//! sqlparser has no keyword for, and that gives every error its place in the text.

use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

use kalamdb_commons::SqlState;

use crate::TableName;
use crate::error::{Position, SqlError};
use crate::parse::dialect::KalamDialect;
use crate::parse::names::stored_name;

/// Shown characters of a token in an error message.
const SHOWN_TOKEN_CHARS_MAX: usize = 60;

/// How sqlparser refuses an operator it does not know, in our style.
const NO_INFIX: &str = "no infix parser for token";

/// Brackets open at one place, and the parser's own recursion.
pub const NESTING_MAX: usize = 64;

/// The place a token begins at; `None` for the end of the text.
pub(crate) fn position_of(span: Span) -> Option<Position> {
    let Location { line, column } = span.start;
    (line > 0).then_some(Position { line, column })
}

/// A cursor over the tokens of one statement.
pub(crate) struct Reader<'a> {
    parser: Parser<'a>,
    /// Where the statement ends, for errors at its end.
    end: Option<Position>,
}

impl<'a> Reader<'a> {
    /// A reader of one statement; `dialect` is made for its number of tokens.
    pub(crate) fn new(dialect: &'a KalamDialect, tokens: Vec<TokenWithSpan>) -> Self {
        let end = tokens.last().and_then(|token| {
            let Location { line, column } = token.span.end;
            (line > 0).then_some(Position { line, column })
        });
        let parser = Parser::new(dialect)
            .with_recursion_limit(NESTING_MAX * 2)
            .with_tokens_with_locations(tokens);
        Self { parser, end }
    }

    /// The next token; `EOF` at the end.
    pub(crate) fn peek(&self) -> &Token {
        &self.parser.peek_token_ref().token
    }

    /// The token after `n` others.
    pub(crate) fn peek_nth(&self, n: usize) -> &Token {
        &self.parser.peek_nth_token_ref(n).token
    }

    /// Where the next token begins, or where the statement ends.
    pub(crate) fn position(&self) -> Option<Position> {
        position_of(self.parser.peek_token_ref().span).or(self.end)
    }

    /// The tokens from the next one on.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &Token> {
        (self.parser.index()..)
            .map(|index| &self.parser.token_at(index).token)
            .take_while(|token| !matches!(token, Token::EOF))
            .filter(|token| !matches!(token, Token::Whitespace(_)))
    }

    pub(crate) fn at_end(&self) -> bool {
        matches!(self.peek(), Token::EOF)
    }

    /// Takes the next token with its place.
    pub(crate) fn next(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    /// True when the next token is the unquoted word `word`, in any case.
    pub(crate) fn peek_word(&self, word: &str) -> bool {
        is_word(self.peek(), word)
    }

    /// The next token as an upper-cased unquoted word.
    pub(crate) fn peek_any_word(&self) -> Option<String> {
        word_of(self.peek()).map(str::to_uppercase)
    }

    /// Takes `word` if it comes next.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek_word(word);
        if found {
            self.parser.next_token();
        }
        found
    }

    /// Takes all of `words` if they come next, or nothing.
    pub(crate) fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(n, word)| is_word(self.peek_nth(n), word));
        if found {
            for _ in words {
                self.parser.next_token();
            }
        }
        found
    }

    pub(crate) fn expect_word(&mut self, word: &str) -> Result<(), SqlError> {
        if self.eat_word(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    /// Takes `token` if it comes next.
    pub(crate) fn eat(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(crate) fn expect(&mut self, token: &Token) -> Result<(), SqlError> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(&format!("'{token}'"))) }
    }

    /// An identifier, quoted or not; keywords are fine too.
    pub(crate) fn identifier(&mut self, what: &str) -> Result<Ident, SqlError> {
        match self.peek() {
            Token::Word(word) => {
                let ident = word.clone().into_ident(self.parser.peek_token_ref().span);
                self.parser.next_token();
                Ok(ident)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// An identifier in its stored form.
    pub(crate) fn name(&mut self, what: &str) -> Result<String, SqlError> {
        Ok(stored_name(&self.identifier(what)?))
    }

    /// An identifier or a string literal: user names are written either way.
    pub(crate) fn name_or_string(&mut self, what: &str) -> Result<String, SqlError> {
        if matches!(self.peek(), Token::SingleQuotedString(_)) {
            return self.string(what);
        }
        self.name(what)
    }

    /// `[[kalam.]namespace.]table`.
    pub(crate) fn table_name(&mut self) -> Result<TableName, SqlError> {
        let position = self.position();
        let mut parts = vec![self.name("a table name")?];
        while self.eat(&Token::Period) {
            parts.push(self.name("a name after '.'")?);
        }
        TableName::from_parts(parts).map_err(|error| error.at(position))
    }

    /// `[kalam.]namespace`.
    pub(crate) fn namespace_name(&mut self) -> Result<String, SqlError> {
        let first = self.name("a namespace name")?;
        if !self.eat(&Token::Period) {
            return Ok(first);
        }
        crate::parse::names::check_catalog(&first)?;
        self.name("a namespace name")
    }

    /// A string literal.
    pub(crate) fn string(&mut self, what: &str) -> Result<String, SqlError> {
        match self.peek() {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text) => {
                let text = text.clone();
                self.parser.next_token();
                Ok(text)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A whole number without a sign.
    pub(crate) fn number(&mut self, what: &str) -> Result<u64, SqlError> {
        if let Token::Number(digits, false) = self.peek()
            && let Ok(number) = digits.parse()
        {
            self.parser.next_token();
            return Ok(number);
        }
        Err(self.expected(what))
    }

    /// `CASCADE | RESTRICT`: true for CASCADE.
    pub(crate) fn cascade(&mut self) -> bool {
        let cascade = self.eat_word("CASCADE");
        if !cascade {
            self.eat_word("RESTRICT");
        }
        cascade
    }

    pub(crate) fn if_exists(&mut self) -> bool {
        self.eat_words(&["IF", "EXISTS"])
    }

    pub(crate) fn if_not_exists(&mut self) -> bool {
        self.eat_words(&["IF", "NOT", "EXISTS"])
    }

    /// Hands the tokens to one of sqlparser's own productions.
    pub(crate) fn parse_with<T>(
        &mut self,
        production: impl FnOnce(&mut Parser<'a>) -> Result<T, ParserError>,
    ) -> Result<T, SqlError> {
        let start = self.position();
        let end = self.end;
        production(&mut self.parser).map_err(|error| {
            let at_end = error.to_string().contains("found: EOF");
            let refused = from_parser_error(&error, if at_end { end } else { start });
            match refused {
                // sqlparser names the token as its own code does.
                SqlError::Syntax { message, position } if message.starts_with(NO_INFIX) => {
                    let found = shown(&self.parser.get_current_token().token);
                    let message = format!("there is no operator {found} between two values");
                    SqlError::Syntax { message, position }
                }
                other => other,
            }
        })
    }

    /// "expected …, found …" at the next token.
    pub(crate) fn expected(&self, what: &str) -> SqlError {
        SqlError::Syntax {
            message: format!("expected {what}, found {}", shown(self.peek())),
            position: self.position(),
        }
    }

    /// An [`SqlError::Unsupported`] at the next token.
    pub(crate) fn unsupported(&self, what: &str, advice: &str) -> SqlError {
        SqlError::unsupported(what, advice).at(self.position())
    }

    /// Refuses anything left over.
    pub(crate) fn expect_end(&self) -> Result<(), SqlError> {
        if self.at_end() { Ok(()) } else { Err(self.expected("the end of the statement")) }
    }
}

/// The token as an unquoted word.
pub(crate) fn word_of(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

/// True when `token` is the unquoted word `word`, in any case.
pub(crate) fn is_word(token: &Token, word: &str) -> bool {
    word_of(token).is_some_and(|found| found.eq_ignore_ascii_case(word))
}

fn shown(token: &Token) -> String {
    if matches!(token, Token::EOF) {
        return "the end of the statement".to_owned();
    }
    one_line(&format!("'{token}'"))
}

/// One line of bounded length without control characters.
fn one_line(text: &str) -> String {
    let mut chars = text.chars();
    let mut line: String = chars
        .by_ref()
        .take(SHOWN_TOKEN_CHARS_MAX * 4)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// sqlparser's error as ours: its message ends with the place, which becomes a field.
pub(crate) fn from_parser_error(error: &ParserError, fallback: Option<Position>) -> SqlError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return SqlError::Coded {
                state: SqlState::TooComplex,
                message: format!(
                    "the statement is too complex: nested more than {NESTING_MAX} deep, or \
                     malformed deep inside, use fewer levels"
                ),
                position: fallback,
            };
        }
    };
    let (message, position) = split_place(message);
    SqlError::Syntax { message: house_style(message), position: position.or(fallback) }
}

/// Splits "… at Line: 3, Column: 14" into the message and the place.
fn split_place(message: &str) -> (&str, Option<Position>) {
    let Some((before, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let Some((line, column)) = place.split_once(", Column: ") else { return (message, None) };
    match (line.trim().parse(), column.trim().parse()) {
        (Ok(line), Ok(column)) if line > 0 => (before, Some(Position { line, column })),
        // sqlparser places errors at the end of the text nowhere.
        (Ok(_), Ok(_)) => (before, None),
        _ => (message, None),
    }
}

/// "Expected: an expression, found: EOF" → "expected an expression, found the end of the
/// statement".
fn house_style(message: &str) -> String {
    let text = message.replace("Expected: ", "expected ").replace(", found: ", ", found ");
    let text = text.replace("found EOF", "found the end of the statement");
    if let Some(sign) = text.strip_prefix("Expected close delimiter '")
        && let Some((sign, _)) = sign.split_once('\'')
    {
        return format!("the name that begins with {sign} has no {sign} at its end");
    }
    // A period that was found stays.
    let text = text.strip_suffix('.').filter(|rest| !rest.ends_with(' ')).unwrap_or(&text);
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    one_line(&format!("{first}{}", chars.as_str()))
}
