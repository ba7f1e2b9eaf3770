//! Bulk ingest: a stream of batches becomes rows of a table in one atomic commit.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use futures::{Stream, StreamExt, TryFutureExt, stream};
use kalamdb_commons::{ErrorKind, Principal};
use kalamdb_sql::{CatalogSnapshot, CreateTable, RESERVED_NAMESPACES, TableEntry, TableName};

use crate::session::Session;
use crate::{BatchStream, Engine, EngineError, view_age};

/// What to do when the table does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestIfMissing {
    /// Create it with the stream's schema, without a primary key.
    Create,
    /// Refuse.
    Fail,
}

/// What to do when the table exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestIfExists {
    /// Refuse.
    Fail,
    /// Add the rows.
    Append,
    /// Drop it and create it anew with the stream's schema.
    Replace,
}

/// A bulk ingest.
#[derive(Debug, Clone)]
pub struct IngestRequest {
    /// The namespace; the session's when not given.
    pub namespace: Option<String>,
    /// The table's name, as it is stored.
    pub table: String,
    /// The schema of the batches.
    pub schema: SchemaRef,
    /// What to do when the table does not exist.
    pub if_missing: IngestIfMissing,
    /// What to do when the table exists.
    pub if_exists: IngestIfExists,
}

impl Engine {
    /// Writes every batch of the stream, all or none, and returns the number of rows. Columns
    /// are matched by name; missing ones get their default.
    ///
    /// # Errors
    /// `NotFound` / `AlreadyExists` as the request asks; what is wrong with a value names the
    /// table, column and row.
    pub async fn ingest(
        self: &Arc<Self>,
        session: &Session,
        request: IngestRequest,
        batches: BatchStream,
    ) -> Result<u64, EngineError> {
        let run = IngestRun {
            engine: Arc::clone(self),
            principal: session.principal().clone(),
            name: TableName {
                catalog: None,
                namespace: Some(
                    request.namespace.clone().unwrap_or_else(|| session.namespace().to_string()),
                ),
                table: request.table.clone(),
            },
            request,
        };
        self.execution.run(run.run(batches)).await
    }
}

struct IngestRun {
    engine: Arc<Engine>,
    principal: Principal,
    name: TableName,
    request: IngestRequest,
}

impl IngestRun {
    async fn run(self, batches: BatchStream) -> Result<u64, EngineError> {
        if self.name.namespace.as_deref().is_some_and(|name| RESERVED_NAMESPACES.contains(&name)) {
            return Err(EngineError::new(
                ErrorKind::PermissionDenied,
                format!("table '{}' belongs to the server and cannot be written", self.name),
            ));
        }
        self.engine.store.check_writable()?;
        let catalog = self.engine.catalog.snapshot();
        if let Ok(view) = catalog.shown_view(&self.principal, "", &self.name) {
            return Err(kalamdb_tables::write_to_view(&view.definition).into());
        }
        let existing = catalog.shown_table(&self.principal, "", &self.name);
        match (existing, self.request.if_exists, self.request.if_missing) {
            (Ok(entry), IngestIfExists::Append, _) => {
                let entry = Arc::clone(entry);
                self.append(&entry, catalog, batches).await
            }
            (Ok(_), IngestIfExists::Fail, _) => Err(self.already_exists()),
            (Err(error), _, _) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            (Err(error), _, IngestIfMissing::Fail) => Err(error.into()),
            (Ok(_), IngestIfExists::Replace, _) | (Err(_), _, IngestIfMissing::Create) => {
                self.create(batches).await
            }
        }
    }

    fn already_exists(&self) -> EngineError {
        EngineError::new(
            ErrorKind::AlreadyExists,
            format!("table '{}' already exists, append to it or replace it", self.name),
        )
    }

    async fn append(
        &self,
        entry: &Arc<TableEntry>,
        catalog: Arc<CatalogSnapshot>,
        batches: BatchStream,
    ) -> Result<u64, EngineError> {
        let state = &self.engine.planning;
        let view = self.engine.store.view()?;
        let context = self.engine.statement_context(&self.principal, catalog, Arc::clone(&view));
        let batches = rows(batches, self.engine.settings.stall_max);
        let insert = kalamdb_tables::insert_batches(state, &context, entry, batches);
        let age_max = self.engine.settings.view_age_max;
        view_age::within(&view, age_max, insert.map_err(EngineError::from)).await
    }

    /// Creates the table together with its rows: others see both or neither.
    async fn create(self, batches: BatchStream) -> Result<u64, EngineError> {
        let definition = CreateTable::for_schema(self.name.clone(), &self.request.schema)?;
        let (run, (entry, catalog)) = self
            .blocking(move |run| {
                Ok(run.engine.catalog.stage_table(&run.principal, "", &definition)?)
            })
            .await?;
        let state = &run.engine.planning;
        let view = run.engine.store.view()?;
        let context = run.engine.statement_context(&run.principal, catalog, Arc::clone(&view));
        let batches = rows(batches, run.engine.settings.stall_max);
        let encode = kalamdb_tables::encode_batches(state, &context, &entry, batches);
        let age_max = run.engine.settings.view_age_max;
        let changes = view_age::within(&view, age_max, encode.map_err(EngineError::from)).await?;
        let count = changes.as_ref().map_or(0, |changes| changes.keys.len() as u64);
        let replace = run.request.if_exists == IngestIfExists::Replace;
        run.blocking(move |run| {
            Ok(run.engine.catalog.publish_table(&run.principal, &entry, changes, replace)?)
        })
        .await?;
        Ok(count)
    }

    /// Runs `work`, which commits, on a blocking thread; gives the run back with its result.
    async fn blocking<T: Send + 'static>(
        self,
        work: impl FnOnce(&Self) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<(Self, T), EngineError> {
        let engine = Arc::clone(&self.engine);
        engine.execution.run_blocking(move || work(&self).map(|done| (self, done))).await
    }
}

/// The upload's batches, until the client sends none for `stall_max`.
fn rows(
    batches: BatchStream,
    stall_max: Duration,
) -> impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send {
    stream::unfold(Some(batches), move |batches| async move {
        let mut batches = batches?;
        let next = view_age::unless_stalled(stall_max, batches.next()).await;
        match next.transpose()?.flatten() {
            Ok(batch) => Some((Ok(batch), Some(batches))),
            Err(error) => Some((Err(DataFusionError::External(Box::new(error))), None)),
        }
    })
}
