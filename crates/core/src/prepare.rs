//! From SQL text to a [`Prepared`] statement.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::ParamValues;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use kalamdb_commons::{ErrorKind, Principal, SqlState};
use kalamdb_sql::{CatalogSnapshot, ParsedStatement, Statement};
use kalamdb_tables::FrameOffsets;

use crate::bound_values::BoundRow;
use crate::prepared::{PreparedPlan, StatementKind};
use crate::session::Session;
use crate::{Engine, EngineError, Prepared, listing, literals, parameters, wire_schema};

/// A text no longer than this is planned where it is asked for: that takes less time than the way
/// to another thread and back. Longer ones could keep other requests waiting.
const INLINE_TEXT_BYTES_MAX: usize = 1024;

impl Engine {
    /// Parses, plans and types one statement. Nothing is executed, whatever the statement is.
    ///
    /// # Errors
    /// `InvalidInput` for what is wrong in the text, `NotFound` for names that do not exist.
    pub async fn prepare(
        self: &Arc<Self>,
        session: &Session,
        sql: &str,
    ) -> Result<Arc<Prepared>, EngineError> {
        let statement = Arc::new(single(sql)?);
        self.prepare_parsed(session.principal(), &session.namespace(), statement).await
    }

    pub(crate) async fn prepare_parsed(
        self: &Arc<Self>,
        principal: &Principal,
        namespace: &Arc<str>,
        statement: Arc<ParsedStatement>,
    ) -> Result<Arc<Prepared>, EngineError> {
        if statement.text.len() <= INLINE_TEXT_BYTES_MAX {
            let catalog = self.catalog.snapshot();
            return self.plan(principal, namespace, &catalog, statement).map(Arc::new);
        }
        let engine = Arc::clone(self);
        let (principal, namespace) = (principal.clone(), Arc::clone(namespace));
        self.execution
            .run(async move {
                let catalog = engine.catalog.snapshot();
                engine.plan(&principal, &namespace, &catalog, statement).map(Arc::new)
            })
            .await
    }

    /// The prepared statement as it stands in today's catalog, and that catalog. A plan made
    /// before a definition changed is made again.
    ///
    /// # Errors
    /// `FailedPrecondition` when the result or the parameters look different now.
    pub(crate) fn refresh(
        &self,
        principal: &Principal,
        prepared: &Arc<Prepared>,
    ) -> Result<(Arc<Prepared>, Arc<CatalogSnapshot>), EngineError> {
        let catalog = self.catalog.snapshot();
        if catalog.version() == prepared.catalog_version {
            return Ok((Arc::clone(prepared), catalog));
        }
        let statement = Arc::clone(&prepared.statement);
        let again = self.plan(principal, &prepared.namespace, &catalog, statement);
        let again = again.map_err(|error| match error.kind() {
            // It was there when the statement was prepared.
            ErrorKind::NotFound => EngineError::new(
                ErrorKind::NotFound,
                format!(
                    "{error}; it was dropped or renamed meanwhile, prepare the statement again"
                ),
            ),
            _ => error,
        })?;
        if again.schema != prepared.schema || again.parameters != prepared.parameters {
            return Err(EngineError::new(
                ErrorKind::FailedPrecondition,
                "a table of this statement has changed since it was prepared, prepare it again",
            ));
        }
        Ok((Arc::new(again), catalog))
    }

    fn plan(
        &self,
        principal: &Principal,
        namespace: &Arc<str>,
        catalog: &Arc<CatalogSnapshot>,
        statement: Arc<ParsedStatement>,
    ) -> Result<Prepared, EngineError> {
        self.plan_parsed(principal, namespace, catalog, Arc::clone(&statement))
            .map_err(|error| self.explained(error, principal, namespace, catalog, &statement))
    }

    fn plan_parsed(
        &self,
        principal: &Principal,
        namespace: &Arc<str>,
        catalog: &Arc<CatalogSnapshot>,
        statement: Arc<ParsedStatement>,
    ) -> Result<Prepared, EngineError> {
        let kind = match statement.statement.returns_rows() {
            false => StatementKind::Update,
            true if statement.statement.returning().is_empty() => StatementKind::Query,
            true => StatementKind::Returning,
        };
        let mut destinations = Vec::new();
        let (plan, schema, parameters) = match &statement.statement {
            Statement::Query(_)
            | Statement::Explain(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)
            | Statement::Truncate { .. }
            | Statement::CreateTableAs(_) => {
                let state = &self.planning;
                let plan =
                    plan_relational(state, principal, namespace, catalog, &statement.statement)?;
                let plan = literals::fit(plan)?;
                let (count, in_frames) = (statement.parameter_count, &statement.frame_parameters);
                let (plan, (parameters, places)) = parameters::resolve(plan, count, in_frames)?;
                let plan = self.analyze(plan)?;
                let schema = wire_schema::of_plan(plan.schema());
                destinations = places;
                (PreparedPlan::Relational(plan), schema, parameters)
            }
            Statement::ShowNamespaces { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowViews { .. }
            | Statement::ShowStats { .. }
            | Statement::ShowFunctions { .. }
            | Statement::ShowSettings
            | Statement::Describe { .. }
            | Statement::DescribeHistory { .. }
            | Statement::ShowCreateTable { .. }
            | Statement::ShowUsers
            | Statement::ShowSetting { .. } => (
                PreparedPlan::Listing,
                listing::schema(&statement.statement),
                Arc::new(Schema::empty()),
            ),
            Statement::Use { .. } | Statement::Set { .. } => {
                (PreparedPlan::SessionChange, Arc::new(Schema::empty()), Arc::new(Schema::empty()))
            }
            Statement::CreateNamespace { .. }
            | Statement::AlterNamespace { .. }
            | Statement::CommentOn { .. }
            | Statement::DropNamespace { .. }
            | Statement::CreateTable(_)
            | Statement::CreateTableLike(_)
            | Statement::AlterTable(_)
            | Statement::DropTable { .. }
            | Statement::CreateView(_)
            | Statement::DropView { .. }
            | Statement::CreateUser(_)
            | Statement::AlterUser(_)
            | Statement::DropUser { .. } => {
                (PreparedPlan::Definition, Arc::new(Schema::empty()), Arc::new(Schema::empty()))
            }
        };
        if parameters.fields().is_empty() && statement.parameter_count > 0 {
            return Err(EngineError::invalid(format!(
                "{} takes no parameters, write the value into the statement",
                statement.statement.name()
            )));
        }
        Ok(Prepared {
            plan,
            kind,
            schema: match kind {
                StatementKind::Query | StatementKind::Returning => schema,
                StatementKind::Update => Arc::new(Schema::empty()),
            },
            parameters,
            destinations,
            namespace: Arc::clone(namespace),
            catalog_version: catalog.version(),
            statement,
        })
    }

    /// The plan for one row of bound values, and those that are left to put into it. It is made
    /// anew when the declared types do not hold the values: what they meet is then coerced as if
    /// they had been written. So it is when some stand in window frames, which are of the plan.
    ///
    /// # Errors
    /// `InvalidInput` when the result would be another than the prepared one, and for values that
    /// bound no frame.
    pub(crate) fn plan_bound<'a>(
        &self,
        principal: &Principal,
        catalog: &Arc<CatalogSnapshot>,
        prepared: &Prepared,
        plan: &LogicalPlan,
        bound: Option<&'a BoundRow>,
    ) -> Result<(LogicalPlan, Option<&'a ParamValues>), EngineError> {
        let in_frames = &prepared.statement.frame_parameters;
        let is_made_for = |bound: &BoundRow| bound.own_types || !in_frames.is_empty();
        let Some(bound) = bound.filter(|bound| is_made_for(bound)) else {
            return Ok((plan.clone(), bound.map(|bound| &bound.values)));
        };
        let mut with_offsets = None;
        if !in_frames.is_empty() {
            let offsets = FrameOffsets::bound(in_frames, &bound.values);
            let state = with_offsets.insert(self.planning.clone());
            state.config_mut().set_extension(Arc::new(offsets));
        }
        let state = with_offsets.as_ref().unwrap_or(&self.planning);
        let (namespace, statement) = (&prepared.namespace, &prepared.statement.statement);
        let plan = plan_relational(state, principal, namespace, catalog, statement)?;
        let plan = literals::fit(plan.replace_params_with_values(&bound.values)?)?;
        let plan = self.analyze(plan)?;
        let schema = wire_schema::of_plan(plan.schema());
        if prepared.kind != StatementKind::Update && !holds(&prepared.schema, &schema) {
            return Err(EngineError::invalid(
                "the declared types of the parameters do not hold the bound values, and with \
                 their own types the result has other columns; cast the parameters",
            ));
        }
        Ok((plan, None))
    }

    /// Coercion and function rewriting; what comes out has its final types.
    pub(crate) fn analyze(&self, plan: LogicalPlan) -> Result<LogicalPlan, EngineError> {
        let state = &self.planning;
        Ok(state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?)
    }
}

/// Whether rows of `schema` are rows of the announced one: what is never NULL may be announced as
/// if it were.
fn holds(announced: &Schema, schema: &Schema) -> bool {
    let fields = announced.fields().iter().zip(schema.fields());
    announced.fields().len() == schema.fields().len()
        && fields.into_iter().all(|(announced, field)| {
            let nullable = announced.is_nullable() || field.is_nullable();
            *announced.as_ref() == field.as_ref().clone().with_nullable(nullable)
        })
}

fn plan_relational(
    state: &SessionState,
    principal: &Principal,
    namespace: &str,
    catalog: &Arc<CatalogSnapshot>,
    statement: &Statement,
) -> Result<LogicalPlan, EngineError> {
    let plan = kalamdb_tables::plan_statement(state, catalog, principal, namespace, statement)?;
    kalamdb_tables::check_plan(&plan)?;
    Ok(plan)
}

/// The one statement of a text.
fn single(sql: &str) -> Result<ParsedStatement, EngineError> {
    let mut statements = kalamdb_sql::parse(sql)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => {
            Err(EngineError::invalid("the text holds no statement").coded(SqlState::Syntax))
        }
        (Some(_), false) => Err(EngineError::invalid(
            "the text holds several statements, send them one by one or as an update script",
        )
        .coded(SqlState::Syntax)),
    }
}
