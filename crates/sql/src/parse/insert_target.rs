//! `INSERT INTO t AS x …` and `INSERT INTO t TABLE u`, which sqlparser's grammar for us does not
//! have: the alias is taken out of the tokens and kept, `TABLE u` becomes `SELECT * FROM u`.

use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::error::SqlError;
use crate::parse::reader::is_word;
use crate::parse::statement::Statement;

/// Rewrites the tokens of one statement; the alias of INSERT's target if it has one.
pub(crate) fn take_alias(tokens: &mut Vec<TokenWithSpan>) -> Option<Ident> {
    let mut next = after_target(tokens)?;
    let mut alias = None;
    if word_at(tokens, next, "AS")
        && let Some(TokenWithSpan { token: Token::Word(word), span }) = tokens.get(next + 1)
    {
        alias = Some(word.clone().into_ident(*span));
        tokens.drain(next..next + 2);
    }
    if token_at(tokens, next) == Some(&Token::LParen) {
        next = after_brackets(tokens, next);
    }
    if word_at(tokens, next, "TABLE") && matches!(token_at(tokens, next + 1), Some(Token::Word(_)))
    {
        let span = tokens[next].span;
        let select = [keyword("SELECT", Keyword::SELECT), Token::Mul];
        let select = select.into_iter().chain([keyword("FROM", Keyword::FROM)]);
        tokens.splice(next..=next, select.map(|token| TokenWithSpan { token, span }));
    }
    alias
}

/// Gives INSERT the alias its target was written with.
pub(crate) fn set_alias(statement: &mut Statement, alias: Ident) -> Result<(), SqlError> {
    match statement {
        Statement::Insert(insert) => insert.alias = Some(alias),
        Statement::Explain(explain) => return set_alias(&mut explain.inner, alias),
        _ => return Err(SqlError::unsupported("an alias after INSERT INTO here", "leave it out")),
    }
    Ok(())
}

/// The place after `INSERT INTO [TABLE] name`, outside all brackets.
fn after_target(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0_usize;
    let into = tokens.iter().enumerate().position(|(place, token)| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && is_word(&token.token, "INSERT") && word_at(tokens, place + 1, "INTO")
    })?;
    let mut next = into + 2;
    if word_at(tokens, next, "TABLE") && matches!(token_at(tokens, next + 1), Some(Token::Word(_)))
    {
        next += 1;
    }
    next += 1;
    while token_at(tokens, next) == Some(&Token::Period) {
        next += 2;
    }
    Some(next)
}

/// The place after the bracket that closes the one at `open`.
fn after_brackets(tokens: &[TokenWithSpan], open: usize) -> usize {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    tokens.len()
}

fn token_at(tokens: &[TokenWithSpan], place: usize) -> Option<&Token> {
    tokens.get(place).map(|token| &token.token)
}

fn word_at(tokens: &[TokenWithSpan], place: usize, word: &str) -> bool {
    token_at(tokens, place).is_some_and(|token| is_word(token, word))
}

fn keyword(text: &str, keyword: Keyword) -> Token {
    Token::Word(Word { value: text.to_owned(), quote_style: None, keyword })
}
