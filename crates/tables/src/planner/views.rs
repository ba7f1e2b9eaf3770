//! Views: where a query names one, the view's own query stands in its place.
//!
//! It is planned for whoever runs the statement, with the names meaning what they meant when the
//! view was made. Filters, orders and limits find their way through it as through a subquery.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::source_as_provider;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, TableSource};
use datafusion::sql::sqlparser::ast;
use kalamdb_commons::limits::THREAD_STACK_BYTES;
use kalamdb_commons::{Principal, TableId, ViewDefinition};
use kalamdb_sql::{
    CatalogSnapshot, CreateView, PLAN_TABLES_MAX, SqlError, VIEW_DEPTH_MAX, ViewEntry,
};

use super::names::Names;
use super::plan_context::PlanContext;
use crate::TablesError;
use crate::error::own_error;
use crate::table_provider::KalamTable;

/// The catalog in the name that a view's query goes by in plans. No statement can name anything
/// in it: aliases have one part, and the only catalog is another.
const VIEW_MARK: &str = "view";

/// The plan of a view that is to be created.
#[derive(Debug)]
pub struct PlannedView {
    /// Its query, not analyzed, with the columns' final names.
    pub plan: LogicalPlan,
    /// The tables and views it names.
    pub reads: Vec<TableId>,
}

/// Plans the query of a view that is to be created.
///
/// # Errors
/// As [`super::plan_query`]; more or fewer names than columns.
pub fn plan_view(
    state: &SessionState,
    catalog: &Arc<CatalogSnapshot>,
    principal: &Principal,
    default_namespace: &str,
    view: &CreateView,
) -> Result<PlannedView> {
    let context = PlanContext::new(state, Names::new(catalog, principal, default_namespace));
    let plan = context.plan_result(&view.query)?;
    check_size(&plan, catalog)?;
    let given = plan.schema().fields().len();
    if !view.columns.is_empty() && view.columns.len() != given {
        return Err(TablesError::invalid(format!(
            "{} column names are given for a query of {given} columns",
            view.columns.len()
        ))
        .into());
    }
    for (position, name) in view.columns.iter().enumerate() {
        if view.columns[..position].contains(name) {
            return Err(TablesError::invalid(format!(
                "column {name} would stand twice in the view, give one of them another name"
            ))
            .into());
        }
    }
    let reads = reads(&plan, catalog)?;
    Ok(PlannedView { plan: renamed(plan, &view.columns)?, reads })
}

impl PlanContext<'_> {
    /// A view as the planner takes it: it puts the plan in the place of the name.
    pub(super) fn view_source(&self, view: &ViewEntry) -> Result<Arc<dyn TableSource>> {
        let definition = &view.definition;
        let around = &self.names.views_around;
        if around.len() >= VIEW_DEPTH_MAX || around.contains(&definition.id) {
            return Err(TablesError::from(SqlError::TooLarge {
                what: "the number of views that read each other",
                limit: VIEW_DEPTH_MAX,
                advice: "name the tables themselves",
            })
            .into());
        }
        let plan = self.plan_of(view).map_err(|error| broken(definition, error))?;
        check_size(&plan, &self.names.catalog)?;
        let (namespace, name) = (&*definition.namespace, &*definition.name);
        let mark = TableReference::full(VIEW_MARK, namespace, name);
        let plan = LogicalPlanBuilder::new(plan).alias(mark)?.build()?;
        Ok(planned_source(plan))
    }

    /// Planning a query takes much of a stack, and queries within queries take as much again: every
    /// second one is given a thread, and so a stack, of its own.
    fn plan_of(&self, view: &ViewEntry) -> Result<LogicalPlan> {
        let mut names = self.names.clone();
        let own_stack = names.views_around.len() % 2 == 1;
        names.default_namespace = Arc::clone(&view.definition.search_namespace);
        names.views_around.push(view.definition.id);
        names.columns_below.clone_from(&view.definition.columns_below);
        let state = self.state;
        if !own_stack {
            return plan_inside(state, names, view);
        }
        let failed = |reason: String| TablesError::Internal { reason };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("kalamdb-view".to_owned())
                .stack_size(THREAD_STACK_BYTES)
                .spawn_scoped(scope, || plan_inside(state, names, view))
                .map_err(|error| failed(format!("start a thread to plan a view: {error}")))?;
            let planned = thread.join();
            planned.map_err(|_| failed("planning a view ended early".to_owned()))?
        })
    }
}

/// The plan of a view's query, `names` being those of the view.
fn plan_inside(state: &SessionState, names: Names, view: &ViewEntry) -> Result<LogicalPlan> {
    let definition = &view.definition;
    let query: &ast::Query = view.query().map_err(TablesError::invalid)?;
    let plan = PlanContext::new(state, names).plan_result(query)?;
    same_columns(renamed(plan, &definition.column_names)?, definition)
}

/// An error of a view's own query, said of the view. Bounds are the statement's matter.
fn broken(view: &ViewDefinition, error: DataFusionError) -> DataFusionError {
    let told = matches!(
        own_error(&error),
        Some(TablesError::Sql(SqlError::TooLarge { .. }) | TablesError::BrokenView { .. })
    );
    if told {
        return error;
    }
    TablesError::BrokenView { view: view.qualified_name(), source: Box::new(error) }.into()
}

/// The plan with its columns called `names`; as it is when there are none.
fn renamed(plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan> {
    if names.is_empty() {
        return Ok(plan);
    }
    let columns = names.iter().enumerate().map(|(position, name)| {
        Expr::Column(Column::from(plan.schema().qualified_field(position))).alias(name)
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// The columns the view was made with: what `*` has come to mean since is left out.
fn same_columns(plan: LogicalPlan, view: &ViewDefinition) -> Result<LogicalPlan> {
    let fields = plan.schema().fields();
    let same = fields.len() == view.columns.len()
        && fields.iter().zip(&view.columns).all(|(field, column)| *field.name() == *column.name);
    if same {
        return Ok(plan);
    }
    let mut columns = Vec::with_capacity(view.columns.len());
    for column in &view.columns {
        let found = fields.iter().position(|field| *field.name() == *column.name);
        let Some(position) = found else {
            let reason = format!("its query gives no column {} any more", column.name);
            return Err(TablesError::invalid(reason).into());
        };
        columns.push(Expr::Column(Column::from(plan.schema().qualified_field(position))));
    }
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// The tables and views a plan names, those within views left out.
fn reads(plan: &LogicalPlan, catalog: &CatalogSnapshot) -> Result<Vec<TableId>> {
    let mut found = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::SubqueryAlias(alias) => {
                let name = &alias.alias;
                if name.catalog() == Some(VIEW_MARK)
                    && let Some(view) =
                        catalog.view(name.schema().unwrap_or_default(), name.table())
                {
                    found.insert(view.definition.id);
                    return Ok(TreeNodeRecursion::Jump);
                }
            }
            LogicalPlan::TableScan(scan) => {
                if let Ok(provider) = source_as_provider(&scan.source) {
                    let provider: &dyn TableProvider = provider.as_ref();
                    found.extend(provider.downcast_ref::<KalamTable>().map(KalamTable::id));
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found.into_iter().collect())
}

/// Refuses plans that views have made too large: what stands in the text is bounded by the
/// parser, and a view is one name there.
pub(super) fn check_size(plan: &LogicalPlan, catalog: &CatalogSnapshot) -> Result<()> {
    if catalog.views().next().is_none() {
        return Ok(());
    }
    let mut tables = 0_usize;
    plan.apply_with_subqueries(|node| {
        tables += usize::from(matches!(node, LogicalPlan::TableScan(_)));
        if tables > PLAN_TABLES_MAX {
            Ok(TreeNodeRecursion::Stop)
        } else {
            Ok(TreeNodeRecursion::Continue)
        }
    })?;
    if tables <= PLAN_TABLES_MAX {
        return Ok(());
    }
    Err(TablesError::from(SqlError::TooLarge {
        what: "the number of tables in the query, those that its views read included,",
        limit: PLAN_TABLES_MAX,
        advice: "split the query",
    })
    .into())
}

/// A plan in the place of a table.
pub(super) fn planned_source(plan: LogicalPlan) -> Arc<dyn TableSource> {
    let schema = Arc::new(Schema::new(plan.schema().fields().clone()));
    Arc::new(PlannedSource { plan, schema })
}

struct PlannedSource {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for PlannedSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}
