//! CREATE TABLE … AS: a table and the rows of a query come into being in one commit; and CREATE
//! TABLE … LIKE, which copies a definition.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt, stream};
use kalamdb_commons::limits::STATEMENT_ATTEMPTS_MAX;
use kalamdb_commons::{ErrorKind, Principal};
use kalamdb_sql::{
    CatalogSnapshot, CreateTable, CreateTableAs, CreateTableLike, ObjectKind, SqlError, Statement,
    TableEntry,
};
use kalamdb_store::RowChanges;

use crate::bound_values::BoundRow;
use crate::prepared::PreparedPlan;
use crate::query::{ComputeClock, unbound};
use crate::session::Session;
use crate::{Engine, EngineError, Prepared, bound_values, view_age, wire_schema};

impl Engine {
    /// Runs CREATE TABLE … AS; the number of rows. Others see table and rows, or neither.
    pub(crate) async fn create_table_as(
        self: &Arc<Self>,
        session: &Session,
        prepared: &Arc<Prepared>,
        bound: Option<&RecordBatch>,
    ) -> Result<u64, EngineError> {
        let wanted = prepared.parameters.fields().len();
        let bound = match bound {
            _ if wanted == 0 => None,
            None => return Err(unbound(wanted)),
            Some(bound) => {
                let rows =
                    bound_values::conform(bound, &prepared.parameters, &prepared.destinations)?;
                if rows.num_rows() != 1 {
                    return Err(EngineError::invalid(format!(
                        "CREATE TABLE AS runs once, {} rows of values are bound",
                        rows.num_rows()
                    )));
                }
                Some(rows.row(0)?)
            }
        };
        let run = TableAsRun {
            engine: Arc::clone(self),
            principal: session.principal().clone(),
            prepared: Arc::clone(prepared),
            clock: ComputeClock::new(session.statement_timeout()),
        };
        self.execution.run(run.run(bound)).await
    }
}

struct TableAsRun {
    engine: Arc<Engine>,
    principal: Principal,
    prepared: Arc<Prepared>,
    clock: ComputeClock,
}

impl TableAsRun {
    async fn run(mut self, bound: Option<BoundRow>) -> Result<u64, EngineError> {
        let mut attempt = 1;
        loop {
            match self.once(bound.as_ref()).await {
                // A table it reads, or its namespace, is another by now.
                Err(error)
                    if error.kind() == ErrorKind::Conflict && attempt < STATEMENT_ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn once(&mut self, bound: Option<&BoundRow>) -> Result<u64, EngineError> {
        let engine = Arc::clone(&self.engine);
        let (prepared, catalog) = engine.refresh(&self.principal, &self.prepared)?;
        let (Statement::CreateTableAs(create), PreparedPlan::Relational(plan)) =
            (&prepared.statement.statement, &prepared.plan)
        else {
            return Err(EngineError::new(ErrorKind::Internal, "the statement makes no table"));
        };
        if exists(&catalog, create, &prepared.namespace)? {
            return Ok(0);
        }
        engine.store.check_writable()?;
        let (plan, values) =
            engine.plan_bound(&self.principal, &catalog, &prepared, plan, bound)?;
        let definition = create.definition(&wire_schema::of_plan(plan.schema()))?;
        let (entry, staged) = self.stage(&prepared.namespace, definition).await?;
        let mut changes = None;
        if create.with_data {
            let view = engine.store.view()?;
            let context = engine.statement_context(&self.principal, staged, Arc::clone(&view));
            let (read, principal, clock) = (Arc::clone(&view), &self.principal, &mut self.clock);
            let work = async {
                let start = engine.physical_plan(principal, catalog, plan, values, read);
                let runnable = clock.run(start).await??;
                let rows = rows(runnable.start()?, named(&entry), clock);
                let state = &engine.planning;
                let encode = kalamdb_tables::encode_batches(state, &context, &entry, rows);
                Ok::<_, EngineError>(encode.await?)
            };
            changes = view_age::within(&view, engine.settings.view_age_max, work).await?;
        }
        let count = changes.as_ref().map_or(0, |changes| changes.keys.len() as u64);
        self.publish(entry, changes).await?;
        Ok(count)
    }

    async fn stage(
        &self,
        namespace: &Arc<str>,
        definition: CreateTable,
    ) -> Result<(Arc<TableEntry>, Arc<CatalogSnapshot>), EngineError> {
        let (engine, principal) = (Arc::clone(&self.engine), self.principal.clone());
        let namespace = Arc::clone(namespace);
        let stage = move || Ok(engine.catalog.stage_table(&principal, &namespace, &definition)?);
        self.engine.execution.run_blocking(stage).await
    }

    async fn publish(
        &self,
        entry: Arc<TableEntry>,
        changes: Option<RowChanges>,
    ) -> Result<(), EngineError> {
        let (engine, principal) = (Arc::clone(&self.engine), self.principal.clone());
        let publish =
            move || Ok(engine.catalog.publish_table(&principal, &entry, changes, false)?);
        self.engine.execution.run_blocking(publish).await
    }
}

/// Whether there is a table of the name and IF NOT EXISTS takes it for the new one.
fn exists(
    catalog: &CatalogSnapshot,
    create: &CreateTableAs,
    namespace: &str,
) -> Result<bool, EngineError> {
    let namespace = create.name.namespace_or(namespace);
    let Some(existing) = catalog.table(namespace, &create.name.table) else { return Ok(false) };
    if create.if_not_exists {
        return Ok(true);
    }
    let (object, name) = (ObjectKind::Table, existing.definition.qualified_name());
    Err(SqlError::AlreadyExists { object, name }.into())
}

/// The table's columns as its rows are to come.
fn named(entry: &TableEntry) -> Vec<String> {
    entry.definition.columns.iter().map(|column| column.name.to_string()).collect()
}

/// The query's batches with the table's column names, as long as the statement's time allows.
fn rows<'a>(
    batches: SendableRecordBatchStream,
    names: Vec<String>,
    clock: &'a mut ComputeClock,
) -> impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send + 'a {
    let fields = batches.schema().fields().clone();
    let fields = fields
        .iter()
        .zip(names)
        .map(|(field, name)| field.as_ref().clone().with_name(name).with_nullable(true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    stream::unfold(Some((batches, schema, clock)), |state| async move {
        let (mut batches, schema, clock) = state?;
        let next = match clock.run(batches.next()).await {
            Ok(next) => next?.map_err(EngineError::from),
            Err(error) => Err(error),
        };
        match next.and_then(|batch| wire_schema::conform(batch, &schema)) {
            Ok(batch) => Some((Ok(batch), Some((batches, schema, clock)))),
            Err(error) => Some((Err(DataFusionError::External(Box::new(error))), None)),
        }
    })
}

/// CREATE TABLE … LIKE. Blocking: one synced commit.
pub(crate) fn create_like(
    engine: &Engine,
    principal: &Principal,
    namespace: &str,
    like: &CreateTableLike,
) -> Result<(), EngineError> {
    let snapshot = engine.catalog.snapshot();
    if let Ok(view) = snapshot.shown_view(principal, namespace, &like.source) {
        return Err(EngineError::invalid(format!(
            "{} is a view, use CREATE TABLE … AS SELECT … WITH NO DATA",
            view.definition.qualified_name()
        )));
    }
    let source = snapshot.shown_table(principal, namespace, &like.source)?;
    let mut table = CreateTable::of(&source.definition);
    table.name = like.name.clone();
    table.if_not_exists = like.if_not_exists;
    if let Some(written) = like.table_type {
        table.table_type = written;
        if written != source.definition.table_type {
            table.options.access_level = Default::default();
        }
    }
    engine.catalog.create_table(principal, namespace, &table)?;
    Ok(())
}
