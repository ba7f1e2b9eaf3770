//! One statement with the answer it must get.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use tonic::{Code, Status};

use crate::client::Client;
use crate::rows::{Row, Value};

/// How a statement is sent.
pub enum Call {
    /// By the update path.
    Update(String),
    /// By the query path.
    Query(String),
    /// Prepared, with bound rows, as an update.
    PreparedUpdate(String, Parameters),
    /// Prepared, with bound rows, as a query.
    PreparedQuery(String, Parameters),
}

/// Rows to bind; integers are bound as BIGINT whatever the column's width.
pub struct Parameters {
    /// For each parameter whether it is text.
    pub is_text: Vec<bool>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// What must come back.
#[derive(Debug)]
pub enum Expected {
    /// So many rows were affected.
    Count(i64),
    /// The statement is refused for what it says, and nothing is written.
    Refused,
    /// These rows in this order.
    Rows(Vec<Row>),
    /// These rows in any order.
    Bag(Vec<Row>),
    /// So many of these rows.
    Some(usize, Vec<Row>),
}

/// A statement and its answer.
pub struct Step {
    /// What is sent.
    pub call: Call,
    /// What must come back.
    pub expected: Expected,
}

/// Codes that tell the client to change its statement.
const REFUSALS: [Code; 3] = [Code::InvalidArgument, Code::AlreadyExists, Code::Unimplemented];

impl Step {
    /// An update.
    pub fn update(sql: String, expected: Expected) -> Self {
        Self { call: Call::Update(sql), expected }
    }

    /// A query.
    pub fn query(sql: String, expected: Expected) -> Self {
        Self { call: Call::Query(sql), expected }
    }

    /// The statement for a message.
    pub fn describe(&self) -> String {
        match &self.call {
            Call::Update(sql) | Call::Query(sql) => sql.clone(),
            Call::PreparedUpdate(sql, parameters) | Call::PreparedQuery(sql, parameters) => {
                let rows = parameters.rows.iter().map(|row| show(row)).collect::<Vec<_>>();
                format!("{sql} <- {}", rows.join(" "))
            }
        }
    }

    /// Sends the statement and compares.
    pub async fn run(self, client: &Client) -> Result<(), String> {
        match &self.call {
            Call::Update(sql) => self.compare_count(client.update(sql).await),
            Call::Query(sql) => self.compare_rows(client.rows(sql).await),
            Call::PreparedUpdate(sql, parameters) => {
                let answer = async {
                    let mut prepared = client.prepare(sql).await?;
                    let count = prepared.update(Some(parameters.batch())).await;
                    prepared.close().await?;
                    count
                };
                self.compare_count(answer.await)
            }
            Call::PreparedQuery(sql, parameters) => {
                let answer = async {
                    let mut prepared = client.prepare(sql).await?;
                    let rows = prepared.query(Some(parameters.batch())).await;
                    prepared.close().await?;
                    rows
                };
                self.compare_rows(answer.await)
            }
        }
    }

    fn compare_count(&self, answer: Result<i64, Status>) -> Result<(), String> {
        match (&self.expected, answer) {
            (Expected::Count(expected), Ok(count)) if *expected == count => Ok(()),
            (Expected::Refused, Err(error)) if REFUSALS.contains(&error.code()) => Ok(()),
            (expected, Ok(count)) => {
                Err(format!("expected {expected:?}, got {count} rows affected"))
            }
            (expected, Err(error)) => Err(format!("expected {expected:?}, got {error}")),
        }
    }

    fn compare_rows(&self, answer: Result<Vec<Row>, Status>) -> Result<(), String> {
        let rows = answer.map_err(|error| format!("expected {:?}, got {error}", self.expected))?;
        let agrees = match &self.expected {
            Expected::Rows(expected) => rows == *expected,
            Expected::Bag(expected) => sorted(&rows) == sorted(expected),
            Expected::Some(count, of) => rows.len() == *count && is_part_of(&rows, of),
            Expected::Count(_) | Expected::Refused => false,
        };
        if agrees { Ok(()) } else { Err(format!("expected {:?}, got {rows:?}", self.expected)) }
    }
}

impl Parameters {
    fn batch(&self) -> RecordBatch {
        let column = |position: usize| -> ArrayRef {
            let values = self.rows.iter().map(|row| &row[position]);
            if self.is_text[position] {
                Arc::new(StringArray::from_iter(values.map(|value| match value {
                    Value::Text(text) => Some(text.as_str()),
                    _ => None,
                })))
            } else {
                Arc::new(Int64Array::from_iter(values.map(|value| match value {
                    Value::Int(number) => Some(*number),
                    _ => None,
                })))
            }
        };
        let columns = (0..self.is_text.len()).map(|at| (format!("${}", at + 1), column(at), true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }
}

/// A row as a VALUES tuple.
pub fn show(row: &[Value]) -> String {
    format!("({})", row.iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
}

fn sorted(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.sort();
    rows
}

fn is_part_of(rows: &[Row], of: &[Row]) -> bool {
    let mut left = of.to_vec();
    rows.iter().all(|row| {
        let at = left.iter().position(|candidate| candidate == row);
        at.map(|at| left.swap_remove(at)).is_some()
    })
}
