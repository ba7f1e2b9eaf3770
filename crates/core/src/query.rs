//! Running statements that answer with rows: a stream from the plan to the caller, nothing
//! collected on the way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{Stream, StreamExt};
use kalamdb_commons::limits::STATEMENT_ATTEMPTS_MAX;
use kalamdb_commons::{ErrorKind, Principal, SqlState};
use kalamdb_sql::{CatalogSnapshot, Statement};
use kalamdb_store::ReadView;
use kalamdb_tables::{CancelFlag, StatementContext};
use tokio::sync::mpsc;

use crate::bound_values::BoundRow;
use crate::prepared::PreparedPlan;
use crate::session::Session;
use crate::{
    Engine, EngineError, PinnedView, Prepared, StatementKind, bound_values, explain_text, listing,
    optimize, pace, show_functions, show_stats, view_age, wire_schema,
};

/// How long a query that met a change of the catalog waits at first for its publication.
const CATALOG_LAG: Duration = Duration::from_millis(1);

/// Record batches as they are made. Dropping the stream cancels the statement.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, EngineError>> + Send>>;

/// The rows of a statement.
pub struct QueryResult {
    /// The schema of every batch, equal to [`Prepared::schema`].
    pub schema: SchemaRef,
    /// The batches.
    pub batches: BatchStream,
}

impl Engine {
    /// Runs a statement that answers with rows. With bound parameters it runs once per bound
    /// row; the results follow one another. It reads the state `pinned` names, or else a fresh
    /// one in each execution.
    ///
    /// # Errors
    /// `InvalidInput` when the parameters do not fit or the statement is an update. What goes
    /// wrong while running comes out of the stream.
    pub async fn query(
        self: &Arc<Self>,
        session: &Session,
        prepared: &Arc<Prepared>,
        bound: Option<&RecordBatch>,
        pinned: Option<&PinnedView>,
    ) -> Result<QueryResult, EngineError> {
        if prepared.kind != StatementKind::Query {
            return Err(EngineError::invalid(format!(
                "{} is no query, run it as an update",
                prepared.name()
            )));
        }
        let schema = Arc::clone(&prepared.schema);
        if let PreparedPlan::Listing = prepared.plan {
            let statement = &prepared.statement.statement;
            let batch = match statement {
                Statement::ShowStats { .. } => show_stats::rows(self, session, prepared).await,
                Statement::ShowFunctions { like } => {
                    show_functions::rows(&self.planning, like.as_deref())
                }
                _ => {
                    let view = self.metadata(session.principal());
                    listing::rows(&view, session, &prepared.namespace, statement)
                }
            };
            let batch = batch.map_err(|error| error.placed(&prepared.statement, None))?;
            let batches = futures::stream::iter([Ok(batch)]).boxed();
            return Ok(QueryResult { schema, batches });
        }
        let bindings = bindings(prepared, bound)?;
        let run = QueryRun {
            engine: Arc::clone(self),
            principal: session.principal().clone(),
            prepared: Arc::clone(prepared),
            timeout: session.statement_timeout(),
            pinned: pinned.cloned(),
        };
        let batches = self.execution.stream(|sender| run.run(bindings, sender));
        Ok(QueryResult { schema, batches: Box::pin(batches) })
    }

    /// The physical plan of an analyzed plan on `view`, and the state that runs it.
    pub(crate) async fn physical_plan(
        &self,
        principal: &Principal,
        catalog: Arc<CatalogSnapshot>,
        plan: LogicalPlan,
        values: Option<&ParamValues>,
        view: Arc<ReadView>,
    ) -> Result<RunnablePlan, EngineError> {
        let mut state = self.running.clone();
        let context = self.statement_context(principal, catalog, view);
        let cancel = CancelOnDrop(context.cancel.clone());
        state.config_mut().set_extension::<StatementContext>(context);
        state.mark_start_execution();
        let plan = match values {
            Some(values) => plan.replace_params_with_values(values)?,
            None => plan,
        };
        let physical = if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
            // This way records the plan after every step, for EXPLAIN VERBOSE.
            let physical = state.create_physical_plan(&plan).await?;
            kalamdb_tables::name_verb(&plan, physical)
        } else {
            let plan = optimize::optimize(plan, &state, &self.optimizer_of_one_table)?;
            state.query_planner().create_physical_plan(&plan, &state).await?
        };
        let physical = pace::pace(physical)?;
        Ok(RunnablePlan { state, physical, _cancel: cancel })
    }
}

/// A plan with everything it runs with. Dropping it asks its scans to stop.
pub(crate) struct RunnablePlan {
    state: SessionState,
    physical: Arc<dyn ExecutionPlan>,
    _cancel: CancelOnDrop,
}

impl RunnablePlan {
    pub(crate) fn start(&self) -> Result<SendableRecordBatchStream, EngineError> {
        Ok(execute_stream(Arc::clone(&self.physical), self.state.task_ctx())?)
    }
}

struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The parameter values of each execution: one without values when the statement takes none.
fn bindings(
    prepared: &Prepared,
    bound: Option<&RecordBatch>,
) -> Result<Vec<Option<BoundRow>>, EngineError> {
    let wanted = prepared.parameters.fields().len();
    if wanted == 0 {
        return Ok(vec![None]);
    }
    let Some(bound) = bound else {
        return Err(unbound(wanted));
    };
    let bound = bound_values::conform(bound, &prepared.parameters, &prepared.destinations)?;
    (0..bound.num_rows()).map(|row| bound.row(row).map(Some)).collect()
}

pub(crate) fn unbound(wanted: usize) -> EngineError {
    EngineError::invalid(format!("the statement has {wanted} parameters, bind their values first"))
        .coded(SqlState::WrongParameters)
}

struct QueryRun {
    engine: Arc<Engine>,
    principal: Principal,
    prepared: Arc<Prepared>,
    timeout: Option<Duration>,
    pinned: Option<PinnedView>,
}

impl QueryRun {
    async fn run(
        self,
        bindings: Vec<Option<BoundRow>>,
        sender: mpsc::Sender<Result<RecordBatch, EngineError>>,
    ) -> Result<(), EngineError> {
        let mut clock = ComputeClock::new(self.timeout);
        for values in bindings {
            let mut attempt = 1_u32;
            loop {
                let mut answered = false;
                let done = self.run_once(values.as_ref(), &sender, &mut clock, &mut answered);
                match done.await {
                    // A table changed between the plan and its view: nothing was sent yet, so
                    // the statement is planned again.
                    Err(error)
                        if error.kind() == ErrorKind::Conflict
                            && !answered
                            && self.pinned.is_none()
                            && attempt < STATEMENT_ATTEMPTS_MAX as u32 =>
                    {
                        // The commit can be seen a moment before the catalog it brings.
                        tokio::time::sleep(CATALOG_LAG * attempt).await;
                        attempt += 1;
                    }
                    Err(error) if error.kind() == ErrorKind::Conflict && self.pinned.is_some() => {
                        return Err(EngineError::new(
                            ErrorKind::NotFound,
                            "a table of this result has changed since it was asked for, run the \
                             statement again",
                        ));
                    }
                    Err(error) => return Err(error),
                    Ok(true) => break,
                    Ok(false) => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// Runs the plan once; false when nobody listens any more. `answered` tells whether rows
    /// were sent.
    async fn run_once(
        &self,
        bound: Option<&BoundRow>,
        sender: &mpsc::Sender<Result<RecordBatch, EngineError>>,
        clock: &mut ComputeClock,
        answered: &mut bool,
    ) -> Result<bool, EngineError> {
        let (prepared, catalog) = self.engine.refresh(&self.principal, &self.prepared)?;
        let PreparedPlan::Relational(plan) = &prepared.plan else {
            return Err(EngineError::new(ErrorKind::Internal, "a listing has no plan to run"));
        };
        let view = match &self.pinned {
            Some(PinnedView(view)) => Arc::clone(view),
            None => self.engine.store.view()?,
        };
        let settings = &self.engine.settings;
        let (plan, values) =
            self.engine.plan_bound(&self.principal, &catalog, &prepared, plan, bound)?;
        let read = Arc::clone(&view);
        let explains = matches!(prepared.statement.statement, Statement::Explain(_));
        let work = async {
            let start = self.engine.physical_plan(&self.principal, catalog, plan, values, read);
            let runnable = clock.run(start).await??;
            let mut batches = runnable.start()?;
            while let Some(batch) = clock.run(batches.next()).await? {
                let batch = wire_schema::conform(batch?, &self.prepared.schema)?;
                if batch.num_rows() == 0 {
                    continue;
                }
                let batch = if explains { explain_text::readable(batch)? } else { batch };
                *answered = true;
                let sent = view_age::unless_stalled(settings.stall_max, sender.send(Ok(batch)));
                if sent.await?.is_err() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        view_age::within(&view, settings.view_age_max, work).await
    }
}

/// Measures the time a statement computes; the time a slow client takes is not the statement's.
pub(crate) struct ComputeClock {
    left: Option<Duration>,
    allowed: Option<Duration>,
}

impl ComputeClock {
    pub(crate) fn new(allowed: Option<Duration>) -> Self {
        Self { left: allowed, allowed }
    }

    /// Waits for `work` as long as the statement's time allows.
    pub(crate) async fn run<F: Future>(&mut self, work: F) -> Result<F::Output, EngineError> {
        let Some(left) = self.left else {
            return Ok(work.await);
        };
        let started = Instant::now();
        let output = tokio::time::timeout(left, work).await.map_err(|_| {
            EngineError::new(
                ErrorKind::DeadlineExceeded,
                format!(
                    "the statement computed longer than its statement_timeout of {:?}, \
                     narrow it or raise the limit",
                    self.allowed.unwrap_or_default()
                ),
            )
        })?;
        self.left = Some(left.saturating_sub(started.elapsed()));
        Ok(output)
    }
}
