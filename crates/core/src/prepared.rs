//! A prepared statement: parsed, planned and typed, never executed by preparing it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use kalamdb_sql::ParsedStatement;

use crate::parameters::Destination;

/// Whether a statement answers with rows or with a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// Rows: SELECT, SHOW, DESCRIBE, EXPLAIN.
    Query,
    /// A count of affected rows: DML, DDL, USE, SET.
    Update,
    /// DML that gives rows back: each run changes something, none may come unasked.
    Returning,
}

/// How a prepared statement runs.
#[derive(Debug)]
pub(crate) enum PreparedPlan {
    /// An analyzed plan (not an optimized one: that would freeze `now()`).
    Relational(LogicalPlan),
    /// SHOW and DESCRIBE: answered from the catalog.
    Listing,
    /// DDL and user administration: changes the catalog.
    Definition,
    /// USE and SET: changes the session.
    SessionChange,
}

/// A statement ready to run, for the principal it was prepared for.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) statement: Arc<ParsedStatement>,
    pub(crate) plan: PreparedPlan,
    pub(crate) kind: StatementKind,
    pub(crate) schema: SchemaRef,
    pub(crate) parameters: SchemaRef,
    /// Where the value of each parameter goes.
    pub(crate) destinations: Vec<Destination>,
    /// What unqualified names meant.
    pub(crate) namespace: Arc<str>,
    /// The catalog the plan was made against.
    pub(crate) catalog_version: u64,
}

impl Prepared {
    /// Whether the statement answers with rows or with a count.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    /// The schema every result has, on every way to it; empty for updates.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// One nullable field per parameter, `$1`, `$2`, …, in order.
    pub fn parameters(&self) -> &SchemaRef {
        &self.parameters
    }

    /// The statement's text.
    pub fn sql(&self) -> &str {
        &self.statement.text
    }

    /// The text as logs may show it: passwords left out.
    pub fn sql_for_logs(&self) -> &str {
        self.statement.text_for_logs()
    }

    /// The statement's leading words: `SELECT`, `CREATE TABLE`, ….
    pub fn name(&self) -> &'static str {
        self.statement.statement.name()
    }

    /// The namespace unqualified names meant when the statement was prepared.
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }
}
