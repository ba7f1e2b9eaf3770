//! EXPLAIN.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::parse::dispatch;
use crate::parse::reader::Reader;
use crate::parse::statement::{Explain, ExplainFormat, Statement};

/// `EXPLAIN [ANALYZE] [VERBOSE] [FORMAT f] statement`, the options in brackets or not.
pub(crate) fn explain(reader: &mut Reader) -> Result<Statement, SqlError> {
    reader.expect_word("EXPLAIN")?;
    reader.eat_word("PLAN");
    let mut explain = Explain {
        analyze: false,
        verbose: false,
        format: ExplainFormat::default(),
        inner: Box::new(Statement::ShowNamespaces),
    };
    let bracketed = matches!(reader.peek(), Token::LParen) && is_option(reader.peek_nth(1));
    if bracketed {
        reader.expect(&Token::LParen)?;
        loop {
            if !option(reader, &mut explain)? {
                return Err(reader.expected("ANALYZE, VERBOSE or FORMAT"));
            }
            if !reader.eat(&Token::Comma) {
                break;
            }
        }
        reader.expect(&Token::RParen)?;
    } else {
        while option(reader, &mut explain)? {}
    }
    let position = reader.position();
    if reader.peek_word("EXPLAIN") {
        return Err(reader.expected("a query or INSERT, UPDATE, DELETE"));
    }
    let inner = dispatch::statement(reader)?;
    if !(matches!(inner, Statement::Query(_)) || inner.is_dml()) {
        let what = format!("EXPLAIN {}", inner.name());
        return Err(
            SqlError::unsupported(what, "explain a query or INSERT, UPDATE, DELETE").at(position)
        );
    }
    explain.inner = Box::new(inner);
    Ok(Statement::Explain(explain))
}

fn is_option(token: &Token) -> bool {
    ["ANALYZE", "VERBOSE", "FORMAT"].iter().any(|word| crate::parse::reader::is_word(token, word))
}

/// Reads one option into `explain`; false when none comes next.
fn option(reader: &mut Reader, explain: &mut Explain) -> Result<bool, SqlError> {
    if reader.eat_word("ANALYZE") {
        explain.analyze = true;
    } else if reader.eat_word("VERBOSE") {
        explain.verbose = true;
    } else if reader.eat_word("FORMAT") {
        explain.format = format(reader)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn format(reader: &mut Reader) -> Result<ExplainFormat, SqlError> {
    let wrong = reader.expected("indent, tree, pgjson or graphviz");
    match reader.name_or_string("a format")?.to_ascii_lowercase().as_str() {
        "indent" | "text" => Ok(ExplainFormat::Indent),
        "tree" => Ok(ExplainFormat::Tree),
        "pgjson" | "json" => Ok(ExplainFormat::PgJson),
        "graphviz" => Ok(ExplainFormat::Graphviz),
        _ => Err(wrong),
    }
}
