//! Bulk ingest: a stream of batches becomes rows of a table in one atomic commit.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use kalamdb_commons::limits::STATEMENT_ATTEMPTS_MAX;
use kalamdb_commons::{ColumnType, ErrorKind, Principal, TableOptions, TableType};
use kalamdb_sql::{CreateTable, NewColumn, TableEntry, TableName};

use crate::session::Session;
use crate::{BatchStream, Engine, EngineError};

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
        let (entry, created) = self.target().await?;
        let written = self.write(&entry, batches).await;
        if written.is_err() && created {
            // The table came with this ingest and goes with it.
            self.blocking(|run| {
                Ok(run.engine.catalog.drop_table(&run.principal, "", &run.name, true)?)
            })
            .await?;
        }
        written
    }

    async fn write(
        &self,
        entry: &Arc<TableEntry>,
        batches: BatchStream,
    ) -> Result<u64, EngineError> {
        let engine = &self.engine;
        let catalog = engine.catalog.snapshot();
        let state = engine.session_state(&self.principal, &catalog);
        let context = engine.statement_context(&self.principal, catalog)?;
        let batches = batches.map_err(|error| DataFusionError::External(Box::new(error))).boxed();
        Ok(kalamdb_tables::insert_batches(&state, &context, entry, batches).await?)
    }

    /// The table to write to, and whether this ingest has created it.
    async fn target(&self) -> Result<(Arc<TableEntry>, bool), EngineError> {
        let request = &self.request;
        for _ in 0..STATEMENT_ATTEMPTS_MAX {
            let catalog = self.engine.catalog.snapshot();
            let found = catalog.resolve_table(&self.principal, "", &self.name);
            match (found, request.if_exists, request.if_missing) {
                (Ok(entry), IngestIfExists::Append, _) => {
                    catalog.authorize_write(&self.principal, entry)?;
                    return Ok((Arc::clone(entry), false));
                }
                (Ok(_), IngestIfExists::Replace, _) => {
                    let entry = self.blocking(Self::replace).await?;
                    return Ok((entry, false));
                }
                (Ok(_), IngestIfExists::Fail, _) => {
                    return Err(EngineError::new(
                        ErrorKind::AlreadyExists,
                        format!("table '{}' already exists, append to it or replace it", self.name),
                    ));
                }
                (Err(error), _, _) if error.kind() != ErrorKind::NotFound => {
                    return Err(error.into());
                }
                (Err(error), _, IngestIfMissing::Fail) => {
                    return Err(error.into());
                }
                (Err(_), _, _) => {
                    let created = self.blocking(Self::create).await;
                    match created {
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                        other => return other.map(|entry| (entry, true)),
                    }
                }
            }
        }
        Err(EngineError::new(
            ErrorKind::Conflict,
            format!("table '{}' is created and dropped by others all the time", self.name),
        ))
    }

    fn create(&self) -> Result<Arc<TableEntry>, EngineError> {
        Ok(self.engine.catalog.create_table(&self.principal, "", &self.definition()?)?)
    }

    fn replace(&self) -> Result<Arc<TableEntry>, EngineError> {
        Ok(self.engine.catalog.replace_table(&self.principal, "", &self.definition()?)?)
    }

    /// The table the stream's schema describes.
    fn definition(&self) -> Result<CreateTable, EngineError> {
        let columns = self.request.schema.fields().iter().map(|field| {
            Ok(NewColumn {
                name: field.name().clone(),
                column_type: ColumnType::from_arrow(field).map_err(|error| {
                    EngineError::invalid(format!("column '{}': {error}", field.name()))
                })?,
                nullable: true,
                default: None,
                comment: None,
            })
        });
        Ok(CreateTable {
            name: self.name.clone(),
            if_not_exists: false,
            table_type: TableType::Shared,
            columns: columns.collect::<Result<_, EngineError>>()?,
            primary_key: Vec::new(),
            options: TableOptions::default(),
            comment: None,
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let run = Self {
            engine: Arc::clone(&self.engine),
            principal: self.principal.clone(),
            name: self.name.clone(),
            request: self.request.clone(),
        };
        self.engine.execution.run_blocking(move || work(&run)).await
    }
}
