//! Statements that do more with their rows than write them: ON CONFLICT and RETURNING, as a node
//! of a plan.
//!
//! ```text
//! source ──────────────┐
//! ON CONFLICT's query ─┼─► WritePlan ─► what RETURNING gives, or a count
//! RETURNING's query ───┘
//! ```
//!
//! The two queries read the statement's own rows. As inputs of one node they are analyzed,
//! optimized and given their parameters like everything else.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::output_requirements::OutputRequirements;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use kalamdb_sql::TableEntry;

use super::sink::Write;
use super::write_exec::WriteExec;
use crate::TablesError;

/// What becomes of a new row whose key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum OnTaken {
    /// It is an error.
    Refuse,
    /// The row is left out.
    Skip,
    /// The row that is there is changed, as the second input says.
    Update,
}

/// What a statement does to its table.
#[derive(Debug, Clone)]
pub(super) struct WriteSpec {
    pub(super) entry: Arc<TableEntry>,
    pub(super) write: Write,
    pub(super) on_taken: OnTaken,
    /// Whether the last input says what is given back of the rows.
    pub(super) returning: bool,
}

impl fmt::Display for WriteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.write.verb(), self.entry.definition.qualified_name())?;
        f.write_str(match self.on_taken {
            OnTaken::Refuse => "",
            OnTaken::Skip => " on conflict do nothing",
            OnTaken::Update => " on conflict do update",
        })?;
        f.write_str(if self.returning { " returning" } else { "" })
    }
}

/// The node.
#[derive(Debug, Clone)]
pub(crate) struct WritePlan {
    spec: WriteSpec,
    /// The source, then the query of ON CONFLICT, then that of RETURNING.
    inputs: Vec<LogicalPlan>,
    schema: DFSchemaRef,
}

impl WritePlan {
    /// A plan of the statement.
    pub(super) fn plan(
        spec: WriteSpec,
        source: LogicalPlan,
        conflict: Option<LogicalPlan>,
        returning: Option<LogicalPlan>,
    ) -> Result<LogicalPlan> {
        let inputs = [Some(source), conflict, returning].into_iter().flatten().collect();
        let node = Arc::new(Self::new(spec, inputs)?);
        Ok(LogicalPlan::Extension(Extension { node }))
    }

    fn new(spec: WriteSpec, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let schema = match inputs.last() {
            Some(returning) if spec.returning => {
                // The first column is the row's place.
                let fields = returning.schema().iter().skip(1);
                let fields =
                    fields.map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
                DFSchema::new_with_metadata(fields.collect(), Default::default())?
            }
            _ => {
                let count = Field::new("count", DataType::UInt64, false);
                DFSchema::try_from(Schema::new(vec![count]))?
            }
        };
        Ok(Self { spec, inputs, schema: Arc::new(schema) })
    }

    fn identity(&self) -> impl Eq + Hash + '_ {
        let definition = &self.spec.entry.definition;
        let table = (definition.id, definition.schema_version);
        (table, self.spec.write, self.spec.on_taken, self.spec.returning, &self.inputs)
    }
}

impl PartialEq for WritePlan {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for WritePlan {}

impl Hash for WritePlan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for WritePlan {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for WritePlan {
    fn name(&self) -> &str {
        "Write"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Write: {}", self.spec)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        Self::new(self.spec.clone(), inputs)
    }

    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let all = |input: &LogicalPlan| (0..input.schema().fields().len()).collect();
        Some(self.inputs.iter().map(all).collect())
    }
}

/// Makes physical plans of logical ones, those with `WritePlan` included.
#[derive(Debug)]
pub struct WritePlanner;

#[async_trait]
impl QueryPlanner for WritePlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Self)]);
        planner.create_physical_plan(plan, session).await
    }
}

#[async_trait]
impl ExtensionPlanner for WritePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(write) = node.as_any().downcast_ref::<WritePlan>() else { return Ok(None) };
        let mut inputs = physical_inputs.to_vec();
        // The order a statement asks for is that of what it gives back; without this the source's
        // sort, which nothing above it needs, would be taken away.
        let keep_order = OutputRequirements::new_add_mode();
        if let Some(source) = inputs.first_mut() {
            *source = keep_order.optimize(Arc::clone(source), session.config_options())?;
        }
        let exec = WriteExec::new(write.spec.clone(), inputs)?;
        Ok(Some(Arc::new(exec)))
    }
}

pub(super) fn wrong_inputs() -> TablesError {
    TablesError::Internal { reason: String::from("a write has other inputs than it needs") }
}
