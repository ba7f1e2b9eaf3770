//! Cuts a text into its statements at every `;` outside strings, names and comments.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{
    Location, Token, TokenWithSpan, Tokenizer, TokenizerError,
};

use crate::error::{Position, SqlError};
use crate::parse::dialect::KalamDialect;
use crate::parse::literal_tokens;
use crate::parse::reader::{from_parser_error, position_of};

/// The tokens of one statement, whitespace and comments left out, and its text.
pub(crate) struct StatementTokens {
    pub(crate) tokens: Vec<TokenWithSpan>,
    pub(crate) text: String,
    /// Where the text begins.
    pub(crate) start: Position,
}

/// The statements of `sql` in order; empty ones are left out.
pub(crate) fn split(sql: &str) -> Result<Vec<StatementTokens>, SqlError> {
    let tokens = Tokenizer::new(&KalamDialect::for_tokens(0), sql)
        .tokenize_with_location()
        .map_err(|TokenizerError { message, location }| {
            let position = (location.line > 0)
                .then_some(Position { line: location.line, column: location.column });
            from_parser_error(
                &datafusion::sql::sqlparser::parser::ParserError::TokenizerError(message),
                position,
            )
        })?;
    let mut cursor = TextCursor::new(sql);
    let mut parts = Vec::new();
    let mut current: Vec<TokenWithSpan> = Vec::new();
    for token in tokens {
        match token.token {
            Token::Whitespace(_) => {}
            Token::SemiColon => finish(&mut cursor, &mut current, &mut parts),
            // Names the planner gives begin so: a statement could name what only it may.
            Token::Word(ref word) if word.value.contains('\u{1}') => {
                let message = "a name cannot have the control character U+0001 in it".to_owned();
                return Err(SqlError::Syntax { message, position: position_of(token.span) });
            }
            _ => push(&mut current, token),
        }
    }
    finish(&mut cursor, &mut current, &mut parts);
    for part in &mut parts {
        literal_tokens::read(&mut part.tokens)?;
    }
    Ok(parts)
}

/// Adds a token, where sqlparser's keywords would not do what is meant:
/// `user` is a column's name, and `CURRENT_USER()` is the same as `CURRENT_USER` (likewise
/// SESSION_USER and CURRENT_CATALOG).
fn push(tokens: &mut Vec<TokenWithSpan>, mut token: TokenWithSpan) {
    if let Token::Word(word) = &mut token.token
        && word.keyword == Keyword::USER
    {
        word.keyword = Keyword::NoKeyword;
    }
    let is_call = matches!(token.token, Token::RParen)
        && matches!(
            tokens.as_slice(),
            [.., TokenWithSpan { token: Token::Word(word), .. }, bracket]
                if bracket.token == Token::LParen
                    && matches!(
                        word.keyword,
                        Keyword::CURRENT_USER | Keyword::SESSION_USER | Keyword::CURRENT_CATALOG
                    )
        );
    if is_call {
        tokens.pop();
    } else {
        tokens.push(token);
    }
}

fn finish(
    cursor: &mut TextCursor<'_>,
    current: &mut Vec<TokenWithSpan>,
    parts: &mut Vec<StatementTokens>,
) {
    let tokens = std::mem::take(current);
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
    let Location { line, column } = first.span.start;
    let start = cursor.advance_to(first.span.start);
    let end = cursor.advance_to(last.span.end);
    let text = cursor.text.get(start..end).unwrap_or_default().to_owned();
    parts.push(StatementTokens { tokens, text, start: Position { line, column } });
}

/// What of a statement's text stands at and after a place; the text begins at `begins`.
pub(crate) fn text_from(text: &str, begins: Option<Location>, from: Option<Position>) -> String {
    let (Some(begins), Some(from)) = (begins, from) else { return text.to_owned() };
    let mut cursor = TextCursor { text, byte: 0, line: begins.line, column: begins.column };
    let byte = cursor.advance_to(Location { line: from.line, column: from.column });
    text.get(byte..).unwrap_or_default().to_owned()
}

/// Finds byte offsets of ascending places in one pass over the text.
struct TextCursor<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
    column: u64,
}

impl<'a> TextCursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, byte: 0, line: 1, column: 1 }
    }

    /// The offset of the character at `place`, which must not lie before the last one asked for.
    fn advance_to(&mut self, place: Location) -> usize {
        let rest = self.text.get(self.byte..).unwrap_or_default();
        for c in rest.chars() {
            if (self.line, self.column) >= (place.line, place.column) {
                break;
            }
            self.byte += c.len_utf8();
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.byte
    }
}
