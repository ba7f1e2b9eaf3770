//! SQL behaviour as text: every `tests/slt/*.slt` runs over Flight SQL, as prepared statements,
//! the way the drivers send them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tonic::Status;

use crate::client::Client;
use crate::rows::{Row, Value};
use crate::server::Server;

/// Where the files are.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slt");

/// A connection as the runner wants it.
struct FlightSql(Client);

/// A refusal, as the files match it: `InvalidArgument: message`.
#[derive(Debug)]
struct Refusal(Status);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.code(), self.0.message())
    }
}

impl std::error::Error for Refusal {}

#[async_trait]
impl AsyncDB for FlightSql {
    type Error = Refusal;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refusal> {
        let mut prepared = self.0.prepare(sql).await.map_err(Refusal)?;
        let output = if prepared.returns_rows() {
            let rows = prepared.query(None).await.map_err(Refusal)?;
            let types = vec![DefaultColumnType::Any; prepared.columns()];
            DBOutput::Rows { types, rows: rows.iter().map(show).collect() }
        } else {
            let count = prepared.update(None).await.map_err(Refusal)?;
            DBOutput::StatementComplete(count.unsigned_abs())
        };
        prepared.close().await.map_err(Refusal)?;
        Ok(output)
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "kalamdb"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A row as the files show it.
fn show(row: &Row) -> Vec<String> {
    row.iter()
        .map(|value| match value {
            Value::Text(text) if text.is_empty() => "(empty)".to_owned(),
            Value::Text(text) => text.clone(),
            other => other.to_string(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_holds() {
    let server = Server::start();
    let mut files: Vec<PathBuf> = std::fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {DIRECTORY}");
    let mut faults = Vec::new();
    for file in &files {
        let root = server.root().await;
        let mut runner = Runner::new(|| {
            let root = root.clone();
            async move { Ok(FlightSql(root)) }
        });
        if let Err(fault) = runner.run_file_async(file).await {
            faults.push(fault.display(false).to_string());
        }
    }
    assert!(faults.is_empty(), "{} of {} files:\n{}", faults.len(), files.len(), faults.join("\n"));
}
