//! EXPLAIN.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::parse::dispatch;
use crate::parse::reader::{Reader, is_word};
use crate::parse::statement::{Explain, ExplainFormat, Statement};

/// What stands between EXPLAIN and its statement.
#[derive(Default)]
struct Options {
    analyze: bool,
    verbose: bool,
    format: ExplainFormat,
}

/// Options PostgreSQL has besides.
const OTHER_OPTIONS: [&str; 9] = [
    "BUFFERS",
    "COSTS",
    "GENERIC_PLAN",
    "MEMORY",
    "SERIALIZE",
    "SETTINGS",
    "SUMMARY",
    "TIMING",
    "WAL",
];

/// `EXPLAIN [ANALYZE] [VERBOSE] [FORMAT f] statement`, the options in brackets or not.
pub(crate) fn explain(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let begins = reader.position();
    reader.expect_word("EXPLAIN")?;
    reader.eat_word("PLAN");
    let Options { analyze, verbose, format } = options(reader)?;
    let position = reader.position();
    if analyze && matches!(format, ExplainFormat::Tree | ExplainFormat::Graphviz) {
        let what = match format {
            ExplainFormat::Tree => "EXPLAIN ANALYZE FORMAT tree",
            _ => "EXPLAIN ANALYZE FORMAT graphviz",
        };
        let advice = "use FORMAT indent or json, or leave ANALYZE out";
        return Err(SqlError::unsupported(what, advice).at(begins));
    }
    if reader.peek_word("EXPLAIN") {
        return Err(reader.expected("a query or INSERT, UPDATE, DELETE, MERGE"));
    }
    let inner = Box::new(dispatch::statement(reader)?);
    if !(matches!(*inner, Statement::Query(_)) || inner.is_dml()) {
        let what = format!("EXPLAIN {}", inner.name());
        let advice = "explain a query or INSERT, UPDATE, DELETE, MERGE";
        return Err(SqlError::unsupported(what, advice).at(position));
    }
    Ok(Statement::Explain(Explain { analyze, verbose, format, inner }))
}

fn options(reader: &mut Reader<'_>) -> Result<Options, SqlError> {
    let mut options = Options::default();
    // A bracket may also open the query itself.
    if !matches!(reader.peek(), Token::LParen) || !is_option(reader.peek_nth(1)) {
        while option(reader, &mut options)? {}
        return Ok(options);
    }
    reader.expect(&Token::LParen)?;
    loop {
        if let Some(other) = OTHER_OPTIONS.iter().find(|word| reader.peek_word(word)) {
            let what = format!("EXPLAIN ({other} …)");
            return Err(reader.unsupported(&what, "use ANALYZE, VERBOSE and FORMAT"));
        }
        if !option(reader, &mut options)? {
            return Err(reader.expected("ANALYZE, VERBOSE or FORMAT"));
        }
        if !reader.eat(&Token::Comma) {
            break;
        }
    }
    reader.expect(&Token::RParen)?;
    Ok(options)
}

fn is_option(token: &Token) -> bool {
    let known = ["ANALYZE", "VERBOSE", "FORMAT"];
    known.iter().chain(&OTHER_OPTIONS).any(|word| is_word(token, word))
}

/// Reads one option; false when none comes next.
fn option(reader: &mut Reader<'_>, options: &mut Options) -> Result<bool, SqlError> {
    if reader.eat_word("ANALYZE") {
        options.analyze = !is_off(reader);
    } else if reader.eat_word("VERBOSE") {
        options.verbose = !is_off(reader);
    } else if reader.eat_word("FORMAT") {
        options.format = format(reader)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Takes the value of an option that is on or off; without one it is on.
fn is_off(reader: &mut Reader<'_>) -> bool {
    let off = ["OFF", "FALSE"].iter().any(|word| reader.eat_word(word));
    if !off {
        let _on = ["ON", "TRUE"].iter().any(|word| reader.eat_word(word));
    }
    off
}

fn format(reader: &mut Reader<'_>) -> Result<ExplainFormat, SqlError> {
    let wrong = reader.expected("indent, tree, json or graphviz");
    match reader.name_or_string("a format")?.to_ascii_lowercase().as_str() {
        "indent" | "text" => Ok(ExplainFormat::Indent),
        "tree" => Ok(ExplainFormat::Tree),
        "pgjson" | "json" => Ok(ExplainFormat::PgJson),
        "graphviz" => Ok(ExplainFormat::Graphviz),
        _ => Err(wrong),
    }
}
