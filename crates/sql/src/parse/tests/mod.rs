//! What is accepted, what is refused and how, and that nothing a client sends harms the parser.

mod accepted;
mod alter_table;
mod constraints;
mod create_table;
mod hostile;
mod placeholders;
mod queries;
mod refused;
mod stream_tables;
mod types;
mod upserts;

use crate::{ParsedStatement, SqlError, Statement, parse};

/// The only statement of a text.
fn one(sql: &str) -> ParsedStatement {
    let mut statements = match parse(sql) {
        Ok(statements) => statements,
        Err(error) => panic!("{sql}: {error}"),
    };
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0)
}

fn statement(sql: &str) -> Statement {
    one(sql).statement
}

fn refusal(sql: &str) -> SqlError {
    match parse(sql) {
        Ok(_) => panic!("{sql} was accepted"),
        Err(error) => error,
    }
}
