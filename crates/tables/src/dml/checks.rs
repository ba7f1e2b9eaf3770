//! CHECK constraints: planned once per version of a table, computed over whole batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use kalamdb_commons::{CheckConstraint, Principal, Role, TableDefinition, TableId, UserId};
use kalamdb_sql::{
    CatalogSnapshot, CreateTable, DEFAULT_NAMESPACE, TableEntry, check_expression, quote_name,
};
use parking_lot::Mutex;

use crate::TablesError;
use crate::functions::{SESSION_VALUES, is_told, texts};
use crate::plain_words::in_sql_types;
use crate::planner::{Names, PlanContext};

/// Tables whose planned checks are kept.
const KEPT_TABLES_MAX: usize = 1024;
/// Characters of a value an error message shows.
const SHOWN_CHARS_MAX: usize = 80;

/// What is done to a plan of checks before it is analyzed.
type Fit = fn(LogicalPlan) -> Result<LogicalPlan>;

/// Plans checks, and keeps the plans.
pub struct CheckPlans {
    state: SessionState,
    fit: Fit,
    kept: Mutex<HashMap<TableId, (u32, Arc<TableChecks>)>>,
}

impl CheckPlans {
    /// `state` supplies functions and rules; `fit` is what statements' plans go through first.
    pub fn new(state: SessionState, fit: Fit) -> Arc<Self> {
        Arc::new(Self { state, fit, kept: Mutex::default() })
    }

    /// The checks of a table, in the version of `entry`.
    ///
    /// # Errors
    /// A check that cannot be planned any more.
    pub(super) fn of(&self, entry: &TableEntry) -> Result<Arc<TableChecks>, TablesError> {
        let definition = &entry.definition;
        if definition.checks.is_empty() {
            return Ok(Arc::default());
        }
        if let Some((version, checks)) = self.kept.lock().get(&definition.id)
            && *version == definition.schema_version
        {
            return Ok(Arc::clone(checks));
        }
        let checks = Arc::new(TableChecks(
            self.plan(definition.arrow_schema().as_ref(), &definition.checks)?,
        ));
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_TABLES_MAX {
            kept.clear();
        }
        kept.insert(definition.id, (definition.schema_version, Arc::clone(&checks)));
        Ok(checks)
    }

    fn plan(&self, schema: &Schema, checks: &[CheckConstraint]) -> Result<Vec<TableCheck>> {
        // Checks see no table and nothing of a session.
        let nobody =
            Principal { user_id: UserId::new(""), user_name: Arc::from(""), role: Role::User };
        let catalog = Arc::new(CatalogSnapshot::default());
        let names = Names::new(&catalog, &nobody, DEFAULT_NAMESPACE);
        let plans = PlanContext::new(&self.state, names);
        let schema = Arc::new(DFSchema::try_from(schema.clone())?);
        let planned = checks.iter().map(|check| {
            Ok(TableCheck {
                name: check.name.clone(),
                condition: check.expression.clone(),
                expr: self.plan_one(&plans, &schema, check)?,
            })
        });
        planned.collect()
    }

    fn plan_one(
        &self,
        plans: &PlanContext<'_>,
        schema: &DFSchemaRef,
        check: &CheckConstraint,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let condition = check_expression(&check.expression).map_err(TablesError::from)?;
        let plan = (self.fit)(plans.plan_over(condition, schema)?)?;
        let options = self.state.config_options();
        let plan = self.state.analyzer().execute_and_check(plan, options, |_, _| {})?;
        let LogicalPlan::Projection(projection) = plan else {
            return Err(refused(check, "it is no condition").into());
        };
        let expr = projection.expr.into_iter().next().unwrap_or_default();
        refuse_changing(check, &expr)?;
        let expr = self.state.create_physical_expr(expr, schema)?;
        match expr.data_type(schema.as_arrow())? {
            DataType::Boolean | DataType::Null => Ok(expr),
            other => Err(refused(
                check,
                &format!(
                    "it gives {}, not BOOLEAN; compare it with something",
                    in_sql_types(&other.to_string())
                ),
            )
            .into()),
        }
    }
}

impl std::fmt::Debug for CheckPlans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckPlans").finish_non_exhaustive()
    }
}

/// Refuses what gives another answer another time: what was checked once would have to be checked
/// again.
fn refuse_changing(check: &CheckConstraint, expr: &Expr) -> Result<(), TablesError> {
    let mut found = None;
    let walked = expr.exists(|part| {
        match part {
            Expr::ScalarFunction(function) => {
                let name = function.name();
                let of_session = SESSION_VALUES.contains(&name);
                if of_session || function.func.signature().volatility != Volatility::Immutable {
                    found = Some(format!(
                        "{name}() gives another value another time, use the row's values alone"
                    ));
                }
            }
            Expr::AggregateFunction(function) => {
                found =
                    Some(format!("{}() is over many rows, a check sees one", function.func.name()));
            }
            _ => {}
        }
        Ok(found.is_some())
    });
    debug_assert!(walked.is_ok());
    match found {
        Some(reason) => Err(refused(check, &reason)),
        None => Ok(()),
    }
}

fn refused(check: &CheckConstraint, reason: &str) -> TablesError {
    TablesError::invalid(format!(
        "the check constraint {} CHECK ({}) cannot be: {reason}",
        quote_name(&check.name),
        check.expression
    ))
}

/// Refuses CHECK constraints that cannot be computed: without this, every row would be refused.
///
/// # Errors
/// [`TablesError::InvalidStatement`], which names the constraint.
pub fn check_constraints(plans: &CheckPlans, table: &CreateTable) -> Result<(), TablesError> {
    if table.checks.is_empty() {
        return Ok(());
    }
    let fields = table
        .columns
        .iter()
        .map(|column| column.column_type.to_field(&column.name, column.nullable));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    for check in &table.checks {
        let computed = plans.plan(&schema, std::slice::from_ref(check)).and_then(|planned| {
            let nothing = RecordBatch::new_empty(Arc::new(schema.clone()));
            planned.iter().try_for_each(|check| check.expr.evaluate(&nothing).map(drop))
        });
        computed.map_err(|error| match error {
            DataFusionError::External(inner) if inner.is::<TablesError>() => {
                TablesError::from(DataFusionError::External(inner))
            }
            other => {
                let reason = other.strip_backtrace();
                let reason = reason.trim_start_matches("Error during planning: ");
                refused(check, reason.trim_start_matches("Arrow error: "))
            }
        })?;
    }
    Ok(())
}

/// The checks of one version of a table.
#[derive(Debug, Default)]
pub(super) struct TableChecks(Vec<TableCheck>);

#[derive(Debug)]
struct TableCheck {
    name: String,
    condition: String,
    expr: Arc<dyn PhysicalExpr>,
}

impl TableChecks {
    /// Refuses a batch of declared columns in which a row makes a check false. `first_row` is the
    /// 1-based row of the first.
    pub(super) fn enforce(
        &self,
        definition: &TableDefinition,
        batch: &RecordBatch,
        first_row: u64,
    ) -> Result<(), TablesError> {
        let mut first: Option<(usize, &TableCheck)> = None;
        for check in &self.0 {
            let met = check.expr.evaluate(batch)?.into_array(batch.num_rows())?;
            if met.data_type() != &DataType::Boolean {
                // NULL, whatever the row.
                continue;
            }
            let met: &BooleanArray = met.as_boolean();
            if !met.has_false() {
                continue;
            }
            let row = (0..met.len()).find(|row| met.is_valid(*row) && !met.value(*row));
            if let Some(row) = row.filter(|row| first.is_none_or(|(earlier, _)| *row < earlier)) {
                first = Some((row, check));
            }
        }
        match first {
            None => Ok(()),
            Some((row, check)) => Err(TablesError::CheckViolation {
                table: definition.qualified_name(),
                constraint: quote_name(&check.name),
                condition: check.condition.clone(),
                row: first_row + row as u64,
                values: values_of(check, batch, row),
            }),
        }
    }
}

/// The value as it is spelled in a statement, without its quotes.
fn shown_value(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_valid(row) && is_told(column.data_type()) {
        let text = texts(&column.slice(row, 1)).ok()?;
        return Some(text.value(0).to_owned());
    }
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(column, &options).ok()?;
    Some(formatter.value(row).to_string())
}

/// `a = 1, b = x`: what a row has in the columns a check uses.
fn values_of(check: &TableCheck, batch: &RecordBatch, row: usize) -> String {
    let mut positions: Vec<usize> =
        collect_columns(&check.expr).iter().map(|column| column.index()).collect();
    positions.sort_unstable();
    let shown = positions.into_iter().filter_map(|position| {
        let (field, column) =
            (batch.schema_ref().fields().get(position)?, batch.columns().get(position)?);
        let text = shown_value(column, row)?;
        let text = match text.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        };
        Some(format!("{} = {text}", quote_name(field.name())))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { String::from("any values") } else { shown.join(", ") }
}
