//! Running statements that answer with a count: DML with its retries, definitions, session
//! changes.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Values, cast};
use datafusion::sql::sqlparser::ast::SetExpr;
use futures::StreamExt;
use kalamdb_commons::limits::{RETURNED_BYTES_MAX, STATEMENT_ATTEMPTS_MAX};
use kalamdb_commons::{ErrorKind, Principal};
use kalamdb_sql::{InsertSource, Statement};

use crate::bound_values::{BoundRow, BoundRows};
use crate::prepared::PreparedPlan;
use crate::query::{ComputeClock, unbound};
use crate::session::Session;
use crate::{
    Engine, EngineError, Prepared, StatementKind, bound_values, definition, view_age, wire_schema,
};

/// The rows of a statement with RETURNING, which has run and is committed.
#[derive(Debug)]
pub struct Returned {
    /// The schema of every batch, equal to [`Prepared::schema`].
    pub schema: SchemaRef,
    /// The rows, in the order of the statement's; those of several executions follow one another.
    pub batches: Vec<RecordBatch>,
}

impl Returned {
    /// The number of rows, which is that of the affected ones.
    pub fn num_rows(&self) -> u64 {
        self.batches.iter().map(|batch| batch.num_rows() as u64).sum()
    }

    /// The bytes the rows need.
    pub fn byte_len(&self) -> usize {
        self.batches.iter().map(RecordBatch::get_array_memory_size).sum()
    }
}

/// What an execution leaves: the affected rows, and those given back.
#[derive(Debug, Default)]
struct Outcome {
    affected: u64,
    batches: Vec<RecordBatch>,
}

/// The first wait before a statement is run again; it doubles, and is jittered.
const BACKOFF_FIRST: Duration = Duration::from_micros(200);

impl Engine {
    /// Runs a statement that answers with a count of affected rows. Each execution is atomic
    /// and durable (as its tables are) when this returns. With several bound rows, a single-row
    /// `INSERT … VALUES` writes them all in one commit; other statements run once per row. What a
    /// statement with RETURNING gives back is dropped.
    ///
    /// # Errors
    /// `Conflict` when concurrent writers won on every attempt; nothing was written then.
    pub async fn execute(
        self: &Arc<Self>,
        session: &Session,
        prepared: &Arc<Prepared>,
        bound: Option<&RecordBatch>,
    ) -> Result<u64, EngineError> {
        if prepared.kind == StatementKind::Query {
            return Err(EngineError::invalid(format!(
                "{} returns rows, run it as a query",
                prepared.name()
            )));
        }
        match &prepared.statement.statement {
            Statement::CreateTableAs(_) => {
                return self.create_table_as(session, prepared, bound).await;
            }
            Statement::AlterTable(_) => return self.alter_table(session, prepared).await,
            _ => {}
        }
        match &prepared.plan {
            PreparedPlan::Relational(_) => {
                Ok(self.execute_dml(session, prepared, bound).await?.affected)
            }
            PreparedPlan::SessionChange => definition::change_session(self, session, prepared)
                .map_err(|error| error.placed(&prepared.statement, None)),
            PreparedPlan::Definition => {
                let engine = Arc::clone(self);
                let (principal, prepared) = (session.principal().clone(), Arc::clone(prepared));
                self.execution
                    .run_blocking(move || {
                        definition::run(&engine, &principal, &prepared)
                            .map_err(|error| error.placed(&prepared.statement, None))
                    })
                    .await
            }
            PreparedPlan::Listing => {
                Err(EngineError::new(ErrorKind::Internal, "a listing is no update"))
            }
        }
    }

    /// Runs a statement with RETURNING as [`Engine::execute`] does, and gives back its rows.
    ///
    /// # Errors
    /// As [`Engine::execute`]; `ResourceExhausted` when they are too many bytes.
    pub async fn execute_returning(
        self: &Arc<Self>,
        session: &Session,
        prepared: &Arc<Prepared>,
        bound: Option<&RecordBatch>,
    ) -> Result<Returned, EngineError> {
        if prepared.kind != StatementKind::Returning {
            return Err(EngineError::invalid(format!(
                "this {} gives no rows back",
                prepared.name()
            )));
        }
        let batches = self.execute_dml(session, prepared, bound).await?.batches;
        Ok(Returned { schema: Arc::clone(&prepared.schema), batches })
    }

    /// Runs every statement of a text in order and adds up the affected rows; stops at the first
    /// error, statements before it stay done.
    pub async fn execute_script(
        self: &Arc<Self>,
        session: &Session,
        sql: &str,
    ) -> Result<u64, EngineError> {
        let statements = kalamdb_sql::parse(sql)?;
        let mut affected = 0;
        for statement in statements {
            let namespace = session.namespace();
            let statement = Arc::new(statement);
            let prepared = self.prepare_parsed(session.principal(), &namespace, statement).await?;
            affected += match prepared.kind {
                StatementKind::Update | StatementKind::Returning => {
                    self.execute(session, &prepared, None).await?
                }
                // Rows nobody asked for are still computed: errors in them are errors.
                StatementKind::Query => {
                    let mut result = self.query(session, &prepared, None, None).await?;
                    while let Some(batch) = result.batches.next().await {
                        batch?;
                    }
                    0
                }
            };
        }
        Ok(affected)
    }

    async fn execute_dml(
        self: &Arc<Self>,
        session: &Session,
        prepared: &Arc<Prepared>,
        bound: Option<&RecordBatch>,
    ) -> Result<Outcome, EngineError> {
        let run = DmlRun {
            engine: Arc::clone(self),
            principal: session.principal().clone(),
            prepared: Arc::clone(prepared),
            timeout: session.statement_timeout(),
        };
        let wanted = prepared.parameters.fields().len();
        let bound = match bound {
            _ if wanted == 0 => None,
            Some(bound) => {
                let destinations = &prepared.destinations;
                Some(bound_values::conform(bound, &prepared.parameters, destinations)?)
            }
            None => return Err(unbound(wanted)),
        };
        self.execution.run(run.run(bound)).await
    }
}

struct DmlRun {
    engine: Arc<Engine>,
    principal: Principal,
    prepared: Arc<Prepared>,
    timeout: Option<Duration>,
}

impl DmlRun {
    async fn run(self, bound: Option<BoundRows>) -> Result<Outcome, EngineError> {
        let Some(bound) = bound else {
            return self.retried(None, None).await;
        };
        let has_one_plan = self.prepared.statement.frame_parameters.is_empty();
        let inserts = has_one_plan && self.inserts_values();
        if bound.num_rows() > 1 && inserts && inserts_one_row(&self.prepared.plan) {
            match self.retried(Some(bound.all()?), None).await {
                // One after the other, each finds the row as the one before it left it.
                Err(error) if error.affects_a_row_twice() => {}
                outcome => return outcome,
            }
        }
        let mut all = Outcome::default();
        let mut bytes = 0;
        for row in 0..bound.num_rows() {
            let one = self.retried(None, Some(&bound.row(row)?)).await?;
            bytes += one.batches.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
            if bytes > RETURNED_BYTES_MAX {
                return Err(EngineError::new(
                    ErrorKind::ResourceExhausted,
                    format!(
                        "RETURNING gives more than {RETURNED_BYTES_MAX} bytes; the rows bound up \
                         to row {} are written, bind fewer at once",
                        row + 1
                    ),
                ));
            }
            all.affected += one.affected;
            all.batches.extend(one.batches);
        }
        Ok(all)
    }

    /// True for INSERT … VALUES. What another statement does with a row may depend on those it
    /// has changed before.
    fn inserts_values(&self) -> bool {
        let Statement::Insert(insert) = &self.prepared.statement.statement else { return false };
        match &insert.source {
            InsertSource::Query(query) => matches!(*query.body, SetExpr::Values(_)),
            InsertSource::DefaultValues => false,
        }
    }

    /// Runs one execution until no concurrent writer is in its way.
    async fn retried(
        &self,
        rows: Option<&RecordBatch>,
        bound: Option<&BoundRow>,
    ) -> Result<Outcome, EngineError> {
        let mut clock = ComputeClock::new(self.timeout);
        let mut backoff = BACKOFF_FIRST;
        for attempt in 1.. {
            match self.once(rows, bound, &mut clock).await {
                Err(error)
                    if error.kind() == ErrorKind::Conflict && attempt < STATEMENT_ATTEMPTS_MAX =>
                {
                    metrics::counter!("kalamdb_statement_retries_total").increment(1);
                    tokio::time::sleep(backoff.mul_f64(rand::random_range(0.5..1.5))).await;
                    backoff *= 2;
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    return Err(EngineError::new(
                        ErrorKind::Conflict,
                        format!(
                            "concurrent writers changed the same rows in each of {attempt} \
                             attempts, run the statement again ({error})"
                        ),
                    ));
                }
                other => return other,
            }
        }
        Err(EngineError::new(ErrorKind::Conflict, "the attempts ran out"))
    }

    async fn once(
        &self,
        rows: Option<&RecordBatch>,
        bound: Option<&BoundRow>,
        clock: &mut ComputeClock,
    ) -> Result<Outcome, EngineError> {
        let (prepared, catalog) = self.engine.refresh(&self.principal, &self.prepared)?;
        let PreparedPlan::Relational(plan) = &prepared.plan else {
            return Err(EngineError::new(ErrorKind::Internal, "the statement has no plan to run"));
        };
        let (plan, values) = match rows {
            Some(rows) => (insert_all(plan.clone(), rows)?, None),
            None => self.engine.plan_bound(&self.principal, &catalog, &prepared, plan, bound)?,
        };
        self.engine.store.check_writable()?;
        let view = self.engine.store.view()?;
        let read = Arc::clone(&view);
        let work = async {
            let start = self.engine.physical_plan(&self.principal, catalog, plan, values, read);
            let runnable = clock.run(start).await??;
            let mut batches = runnable.start()?;
            let mut outcome = Outcome::default();
            while let Some(batch) = clock.run(batches.next()).await? {
                let batch = batch?;
                if self.prepared.kind == StatementKind::Returning {
                    outcome.affected += batch.num_rows() as u64;
                    outcome.batches.push(wire_schema::conform(batch, &self.prepared.schema)?);
                } else {
                    outcome.affected += count(&batch);
                }
            }
            Ok(outcome)
        };
        view_age::within(&view, self.engine.settings.view_age_max, work).await
    }
}

/// The sink's answer: one UInt64.
fn count(batch: &RecordBatch) -> u64 {
    batch
        .columns()
        .first()
        .and_then(|column| column.as_any().downcast_ref::<UInt64Array>())
        .map_or(0, |counts| counts.iter().flatten().sum())
}

/// True for `INSERT … VALUES (one row)` whose parameters all stand in that row, and which reads
/// nothing that another bound row may have written: what is in the way of ON CONFLICT apart.
fn inserts_one_row(plan: &PreparedPlan) -> bool {
    let PreparedPlan::Relational(plan) = plan else {
        return false;
    };
    let (mut one_row, mut elsewhere) = (0, false);
    let walked = plan.apply_with_subqueries(|node| {
        let mut placeholders = false;
        node.apply_expressions(|expr| {
            placeholders |= expr.exists(|expr| Ok(matches!(expr, Expr::Placeholder(_))))?;
            elsewhere |= expr.exists(is_subquery)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        match node {
            LogicalPlan::Values(Values { values, .. }) if values.len() == 1 => one_row += 1,
            _ => elsewhere |= placeholders,
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && one_row == 1 && !elsewhere
}

fn is_subquery(expr: &Expr) -> Result<bool, DataFusionError> {
    Ok(matches!(
        expr,
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)
    ))
}

/// The plan of [`inserts_one_row`] with its one row of values evaluated for every bound row.
fn insert_all(plan: LogicalPlan, rows: &RecordBatch) -> Result<LogicalPlan, DataFusionError> {
    let replaced = plan.transform_up(|node| match node {
        LogicalPlan::Values(Values { schema, mut values }) if values.len() == 1 => {
            let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
            let exprs = values.remove(0).into_iter().zip(schema.fields()).map(|(expr, field)| {
                let expr = expr.transform_up(|expr| match expr {
                    Expr::Placeholder(Placeholder { id, field }) => {
                        let column = Expr::Column(Column::new(Some("bound"), id));
                        Ok(Transformed::yes(match field {
                            Some(field) => cast(column, field.data_type().clone()),
                            None => column,
                        }))
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(expr.data.alias(field.name()))
            });
            let exprs = exprs.collect::<Result<Vec<_>, DataFusionError>>()?;
            let source = provider_as_source(Arc::new(table));
            let scan = LogicalPlanBuilder::scan("bound", source, None)?.project(exprs)?.build()?;
            Ok(Transformed::yes(scan))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}
