//! SQL behaviour as text: every `tests/slt/*.slt` runs over Flight SQL, as prepared statements,
//! the way the drivers send them, and in process, against an engine without a wire.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use kalamdb_core::{Engine, EngineError, EngineSettings, Session, StatementKind};
use kalamdb_server::status;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tonic::Status;

use crate::client::Client;
use crate::rows::{Row, Value, rows};
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

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self(status::from_engine(&error))
    }
}

#[async_trait]
impl AsyncDB for FlightSql {
    type Error = Refusal;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refusal> {
        let mut prepared = self.0.prepare(sql).await.map_err(Refusal)?;
        let output = if prepared.returns_rows() {
            let rows = prepared.query(None).await.map_err(Refusal)?;
            answer(prepared.columns(), &rows)
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

/// A session of an engine in this process.
struct InProcess {
    engine: Arc<Engine>,
    session: Arc<Session>,
}

#[async_trait]
impl AsyncDB for InProcess {
    type Error = Refusal;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refusal> {
        let prepared = self.engine.prepare(&self.session, sql).await?;
        if prepared.kind() == StatementKind::Update {
            let count = self.engine.execute(&self.session, &prepared, None).await?;
            return Ok(DBOutput::StatementComplete(count));
        }
        if prepared.kind() == StatementKind::Returning {
            let given = self.engine.execute_returning(&self.session, &prepared, None).await?;
            return Ok(answer(prepared.schema().fields().len(), &rows(&given.batches)));
        }
        let result = self.engine.query(&self.session, &prepared, None, None).await?;
        let batches: Vec<_> = result.batches.try_collect().await?;
        Ok(answer(prepared.schema().fields().len(), &rows(&batches)))
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "kalamdb"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn answer(columns: usize, rows: &[Row]) -> DBOutput<DefaultColumnType> {
    let types = vec![DefaultColumnType::Any; columns];
    DBOutput::Rows { types, rows: rows.iter().map(show).collect() }
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
async fn every_file_holds_over_flight_sql() {
    let server = Server::start();
    run_files(async || FlightSql(server.root().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_holds_in_process() {
    let data_dir = tempfile::tempdir().unwrap();
    let mut settings = EngineSettings::new(data_dir.path());
    settings.root_password = Some("nobody signs in here".into());
    let engine = Engine::open(settings).unwrap();
    let root = engine.principal("root").unwrap();
    run_files(async || InProcess {
        engine: Arc::clone(&engine),
        session: engine.session(root.clone()),
    })
    .await;
    engine.close();
}

/// Runs every file, each in a session of its own, and tells all that fail.
async fn run_files<D, F>(session: impl Fn() -> F)
where
    D: AsyncDB<Error = Refusal, ColumnType = DefaultColumnType>,
    F: Future<Output = D>,
{
    let mut files: Vec<PathBuf> = std::fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {DIRECTORY}");
    let mut faults = Vec::new();
    for file in &files {
        let mut runner = Runner::new(async || Ok(session().await));
        for record in sqllogictest::parse_file(file).unwrap() {
            if let Err(fault) = runner.run_async(record).await {
                faults.push(fault.display(false).to_string());
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
