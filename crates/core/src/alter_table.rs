//! ALTER TABLE: what the catalog plans is held against the rows and the views before it commits.
//!
//! Nothing is rewritten. Rows are read only when the next version says something of all of them
//! (SET NOT NULL, ADD CHECK, a NOT NULL column without a value for them): in one view, and the commit holds only if none was written since.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::StreamExt;
use kalamdb_commons::limits::STATEMENT_ATTEMPTS_MAX;
use kalamdb_commons::{
    ColumnType, CommitSeq, ErrorKind, FillValue, Principal, Role, SqlState, TableType, UserId,
};
use kalamdb_sql::{
    AlterAction, AlterTable, CatalogSnapshot, CreateTable, PlannedAlter, Position, Statement,
    TableEntry, ViewEntry, fill_value, quote_name,
};
use kalamdb_store::ReadView;

use crate::query::ComputeClock;
use crate::session::Session;
use crate::{Engine, EngineError, Prepared, literals, messages, view_age, wire_schema};

impl Engine {
    /// Runs ALTER TABLE. It is one synced commit, or none when nothing changes.
    ///
    /// # Errors
    /// `ConstraintViolation` when rows stand against it, `Conflict` when other statements got in
    /// the way in every attempt.
    pub(crate) async fn alter_table(
        self: &Arc<Self>,
        session: &Session,
        prepared: &Arc<Prepared>,
    ) -> Result<u64, EngineError> {
        let run = AlterRun {
            engine: Arc::clone(self),
            principal: session.principal().clone(),
            prepared: Arc::clone(prepared),
            clock: ComputeClock::new(session.statement_timeout()),
        };
        let altered = self.execution.run(run.run()).await;
        altered.map_err(|error| error.placed(&prepared.statement, None))?;
        Ok(0)
    }
}

struct AlterRun {
    engine: Arc<Engine>,
    principal: Principal,
    prepared: Arc<Prepared>,
    clock: ComputeClock,
}

impl AlterRun {
    async fn run(mut self) -> Result<(), EngineError> {
        let mut attempt = 1;
        loop {
            match self.once().await {
                Err(error)
                    if error.kind() == ErrorKind::Conflict && attempt < STATEMENT_ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn once(&mut self) -> Result<(), EngineError> {
        let engine = Arc::clone(&self.engine);
        let prepared = Arc::clone(&self.prepared);
        let Statement::AlterTable(alter) = &prepared.statement.statement else {
            return Err(EngineError::new(ErrorKind::Internal, "the statement alters no table"));
        };
        let namespace = &*prepared.namespace;
        engine.store.check_writable()?;
        let fills = fills(&engine, &self.principal, namespace, alter)?;
        let planned = engine.catalog.plan_alter(&self.principal, namespace, alter, &fills)?;
        let Some(mut planned) = planned else { return Ok(()) };
        check_expressions(&engine, &self.principal, namespace, &planned)?;
        let (broken, reason) = broken_views(&engine, &planned);
        planned.set_broken(broken, &reason)?;
        let rows_read_at = match planned.needs_rows() {
            true => Some(self.check_rows(&planned).await?),
            false => None,
        };
        let principal = self.principal.clone();
        let commit = move || {
            engine.catalog.commit_alter(&principal, &planned, rows_read_at).map_err(Into::into)
        };
        self.engine.execution.run_blocking(commit).await
    }

    /// Looks at all rows of the table, those of all users; the commit seq at which they were as
    /// they must be.
    async fn check_rows(&mut self, planned: &PlannedAlter) -> Result<CommitSeq, EngineError> {
        let view = self.engine.store.view()?;
        // Taken after the view: whose rows the view shows was a user before.
        let users = self.engine.catalog.snapshot();
        for condition in conditions(planned) {
            let sql = format!(
                "SELECT count(*) FROM {} WHERE {}",
                quoted_table(&planned.before),
                condition.sql
            );
            let mut rows = 0;
            for reader in readers(&users, &planned.before, &self.principal) {
                rows += self.count(planned, &reader, &sql, &view).await?;
            }
            if rows > 0 {
                return Err(condition.violated(&planned.before, rows));
            }
        }
        Ok(view.commit_seq())
    }

    /// The number that `sql` counts, for `reader`, in `view`.
    async fn count(
        &mut self,
        planned: &PlannedAlter,
        reader: &Principal,
        sql: &str,
        view: &Arc<ReadView>,
    ) -> Result<i64, EngineError> {
        let engine = Arc::clone(&self.engine);
        let plan = analyzed(&engine, &planned.catalog, reader, sql)?;
        let clock = &mut self.clock;
        let (catalog, read) = (Arc::clone(&planned.catalog), Arc::clone(view));
        let work = async {
            let start = engine.physical_plan(reader, catalog, plan, None, read);
            let runnable = clock.run(start).await??;
            let mut batches = runnable.start()?;
            let mut count = 0;
            while let Some(batch) = clock.run(batches.next()).await? {
                count += counted(&batch?);
            }
            Ok(count)
        };
        view_age::within(view, engine.settings.view_age_max, work).await
    }
}

/// The fill value of each operation that adds a column with a default, at its place: what the
/// default is now.
fn fills(
    engine: &Engine,
    principal: &Principal,
    namespace: &str,
    alter: &AlterTable,
) -> Result<Vec<Option<FillValue>>, EngineError> {
    let snapshot = engine.catalog.snapshot();
    let fill = |action: &AlterAction| {
        let AlterAction::AddColumn { column, .. } = action else { return Ok(None) };
        let state = &engine.planning;
        let value = kalamdb_tables::default_value(
            state,
            &snapshot,
            principal,
            namespace,
            &alter.name,
            column,
        )?;
        Ok(match value {
            Some(value) => fill_value(&value)?,
            None => None,
        })
    };
    alter
        .operations
        .iter()
        .map(|operation| fill(&operation.action).map_err(|e: EngineError| e.at(operation.position)))
        .collect()
}

/// Refuses defaults and checks that the next version could not compute.
fn check_expressions(
    engine: &Engine,
    principal: &Principal,
    namespace: &str,
    planned: &PlannedAlter,
) -> Result<(), EngineError> {
    let table = CreateTable::of(&planned.after.definition);
    let (state, snapshot) = (&engine.planning, &planned.catalog);
    kalamdb_tables::check_defaults(state, snapshot, principal, namespace, &table)?;
    kalamdb_tables::check_constraints(&engine.checks, &table)?;
    Ok(())
}

/// Something that no row may be.
struct Condition {
    /// True for rows that stand against the change.
    sql: String,
    state: SqlState,
    /// What is said of such rows.
    said: Said,
}

enum Said {
    /// How a row stands against the change.
    OfRows(String),
    /// All of it: what the statement asks for at this place, any row stands against.
    OfTheStatement(String, Option<Position>),
}

impl Condition {
    fn violated(&self, table: &TableEntry, rows: i64) -> EngineError {
        let said = match &self.said {
            Said::OfRows(said) => said,
            Said::OfTheStatement(said, position) => {
                let error = EngineError::new(ErrorKind::ConstraintViolation, said);
                return error.coded(self.state).at(*position);
            }
        };
        let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
        let message = format!(
            "{said} in {rows} of {}, UPDATE or DELETE them first",
            table.definition.qualified_name()
        );
        EngineError::new(ErrorKind::ConstraintViolation, message).coded(self.state)
    }
}

/// What must be of no row of the present version.
fn conditions(planned: &PlannedAlter) -> Vec<Condition> {
    let columns = &planned.before.definition.columns;
    let not_null = planned.needs_check_not_null.iter().filter_map(|id| {
        let column = columns.iter().find(|column| column.id == *id)?;
        let name = quote_name(&column.name);
        Some(Condition {
            sql: format!("{name} IS NULL"),
            state: SqlState::NotNull,
            said: Said::OfRows(format!("column {name} is NULL")),
        })
    });
    let checks = planned.needs_checks.iter().map(|check| Condition {
        sql: format!("NOT ({})", check.expression),
        state: SqlState::Check,
        said: Said::OfRows(format!(
            "the check constraint {} CHECK ({}) is false",
            quote_name(&check.name),
            check.expression
        )),
    });
    let none_at_all = planned.needs_no_rows.iter().map(|column| Condition {
        sql: "true".to_owned(),
        state: SqlState::NotNull,
        said: Said::OfTheStatement(column.refusal.clone(), column.position),
    });
    // A table without rows meets the others, too.
    none_at_all.chain(not_null).chain(checks).collect()
}

/// Who must read the table so that all rows are read: each user sees its own of a USER table.
fn readers(catalog: &CatalogSnapshot, table: &TableEntry, principal: &Principal) -> Vec<Principal> {
    match table.definition.table_type {
        TableType::User => catalog.users().map(|user| user.principal()).collect(),
        TableType::Shared | TableType::Stream => vec![system(principal)],
    }
}

/// One that may read every SHARED table: a view over tables that the one who alters may not read
/// is to stand all the same.
fn system(principal: &Principal) -> Principal {
    Principal { role: Role::System, ..principal.clone() }
}

/// The views that could be read before and cannot after, or that would show other columns, and
/// what is wrong with the first of them.
fn broken_views(
    engine: &Engine,
    planned: &PlannedAlter,
) -> (BTreeMap<kalamdb_commons::TableId, Arc<ViewEntry>>, String) {
    let nobody =
        Principal { user_id: UserId::new(""), user_name: Arc::from(""), role: Role::System };
    let mut broken = BTreeMap::new();
    let mut first = None;
    for (id, view) in &planned.readers {
        // One that was broken before is not broken by this.
        let Ok(before) = columns_of(engine, &planned.catalog, &nobody, view) else { continue };
        let said = match columns_of(engine, &planned.staged, &nobody, view) {
            Err(error) => messages::of_broken_view(&error),
            Ok(after) => match before.iter().zip(&after).find(|(before, after)| before != after) {
                None => continue,
                Some(((name, before), (_, after))) => {
                    format!("its column {} would be {after}, not {before}", quote_name(name))
                }
            },
        };
        if broken.is_empty() {
            first = Some((view, said));
        }
        broken.insert(*id, Arc::clone(view));
    }
    let reason = match first {
        Some((view, said)) if broken.len() > 1 => {
            format!("{}: {said}", view.definition.qualified_name())
        }
        Some((_, said)) => said,
        None => String::new(),
    };
    (broken, reason)
}

/// Names and types of a view's columns, as the catalog has what it reads.
fn columns_of(
    engine: &Engine,
    catalog: &Arc<CatalogSnapshot>,
    reader: &Principal,
    view: &ViewEntry,
) -> Result<Vec<(String, String)>, EngineError> {
    let definition = &view.definition;
    let sql = format!(
        "SELECT * FROM {}.{}",
        quote_name(&definition.namespace),
        quote_name(&definition.name)
    );
    let plan = analyzed(engine, catalog, reader, &sql)?;
    let schema = wire_schema::of_plan(plan.schema());
    let columns = schema.fields().iter().map(|field| {
        let type_name = ColumnType::from_arrow(field)
            .map_or_else(|_| field.data_type().to_string(), |column_type| column_type.to_string());
        (field.name().clone(), type_name)
    });
    Ok(columns.collect())
}

/// The analyzed plan of a query of ours.
fn analyzed(
    engine: &Engine,
    catalog: &Arc<CatalogSnapshot>,
    reader: &Principal,
    sql: &str,
) -> Result<datafusion::logical_expr::LogicalPlan, EngineError> {
    let mut statements = kalamdb_sql::parse(sql)?;
    let (Some(parsed), true) = (statements.pop(), statements.is_empty()) else {
        return Err(EngineError::new(ErrorKind::Internal, "a query of one statement is expected"));
    };
    let (state, namespace) = (&engine.planning, kalamdb_sql::DEFAULT_NAMESPACE);
    let plan =
        kalamdb_tables::plan_statement(state, catalog, reader, namespace, &parsed.statement)?;
    kalamdb_tables::check_plan(&plan)?;
    engine.analyze(literals::fit(plan)?)
}

fn quoted_table(table: &TableEntry) -> String {
    let definition = &table.definition;
    format!("{}.{}", quote_name(&definition.namespace), quote_name(&definition.name))
}

/// The one number of a count's answer.
fn counted(batch: &RecordBatch) -> i64 {
    let counts = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
    counts.map_or(0, |counts| counts.iter().flatten().sum())
}
