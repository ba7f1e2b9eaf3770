//! The scan of a table's hot rows: what DataFusion plans with, and what it executes.

mod display;
mod key_access;
mod key_constraint;
mod order;
mod row_filter;
mod row_source;
#[cfg(test)]
mod same_rows;
mod statistics;
mod stream_access;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ScalarValue, Statistics};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::{
    EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ExecutionPlan, PlanProperties, ReplaceChildrenOptions, SortOrderPushdownResult,
    apply_expression_roots,
};
use kalamdb_commons::{TableType, UserId};
use kalamdb_store::{KeyRange, TableCounts, TableLayout};

use self::key_access::KeyAccess;
pub(crate) use self::key_access::{ChosenAccess, choose, split};
use self::row_source::RowSource;
use crate::StatementContext;

/// A fetch of at most so many rows without filters is served by one partition, so that it reads
/// no row more than it gives.
const SINGLE_PARTITION_FETCH_MAX: usize = 64 << 10;
/// A scan that reads at most so many rows runs where it is polled; larger ones on the scan pool.
const INLINE_ROWS_MAX: usize = 4096;
/// The same for keys that are looked up, each of which costs as much as many rows of a scan.
const INLINE_KEYS_MAX: usize = 1024;

/// Which rows of which table, as planned. Plain data: the view is found at execution.
#[derive(Debug, Clone)]
pub(crate) struct HotRows {
    pub layout: Arc<TableLayout>,
    /// Whose rows, for a USER table.
    pub owner: Option<UserId>,
    /// Whether tombstones are shown.
    pub include_deleted: bool,
    /// What stands there in all, at the view the plan was made for.
    pub counts: TableCounts,
}

impl HotRows {
    fn is_stream(&self) -> bool {
        self.layout.definition().table_type == TableType::Stream
    }
}

/// Where a partition of the scan looks.
#[derive(Debug, Clone)]
enum Part {
    Keys(kalamdb_store::ByteRows),
    Ranges(Vec<KeyRange>),
}

/// Scans the hot rows of one table.
///
/// ```text
/// keys ─► get_rows ──────────────┐
///                                ├─► projected columns and the filters' ─► filters ─► batches
/// ranges (forward or reverse) ───┘
/// ```
#[derive(Debug, Clone)]
pub(crate) struct HotScanExec {
    rows: HotRows,
    /// Wide indices of the output's columns.
    projection: Vec<usize>,
    schema: SchemaRef,
    parts: Vec<Part>,
    /// Conditions the keys and ranges take care of, for EXPLAIN.
    bounds: Vec<String>,
    /// Columns (wide indices) with one value.
    constants: Vec<(usize, ScalarValue)>,
    /// Filters over the wide schema.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// Filters that joins and top-k sharpen while the query runs, over the wide schema.
    dynamic_filters: Vec<Arc<dyn PhysicalExpr>>,
    reverse: bool,
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl HotScanExec {
    /// A forward scan. `filters` are over the wide schema and include everything `chosen` left;
    /// `partitions` are the ranges of each partition and are ignored for key lookups.
    pub(crate) fn new(
        rows: HotRows,
        projection: Vec<usize>,
        chosen: ChosenAccess,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        partitions: Vec<Vec<KeyRange>>,
    ) -> Result<Self> {
        let wide = match rows.include_deleted {
            true => rows.layout.wide_schema_with_deleted(),
            false => rows.layout.wide_schema(),
        };
        let schema: SchemaRef = Arc::new(wide.project(&projection)?);
        let parts = match chosen.access {
            KeyAccess::Nothing => vec![Part::Ranges(Vec::new())],
            KeyAccess::Keys(keys) => vec![Part::Keys(keys)],
            KeyAccess::Ranges(_) => partitions.into_iter().map(Part::Ranges).collect(),
        };
        let mut scan = Self {
            rows,
            projection,
            properties: Arc::new(properties(EquivalenceProperties::new(Arc::clone(&schema)), 1)),
            schema,
            parts,
            bounds: chosen.bounds,
            constants: chosen.constants,
            filters,
            dynamic_filters: Vec::new(),
            reverse: false,
            fetch: None,
            metrics: ExecutionPlanMetricsSet::new(),
        };
        scan.derive_properties()?;
        Ok(scan)
    }

    /// Sets what follows from the other fields.
    fn derive_properties(&mut self) -> Result<()> {
        let equivalences = order::equivalences(self)?;
        self.properties = Arc::new(properties(equivalences, self.parts.len()));
        Ok(())
    }

    /// The same scan, giving at most `fetch` rows per partition.
    pub(crate) fn fetching(&self, fetch: Option<usize>) -> Result<Self> {
        let mut scan = self.clone();
        scan.fetch = fetch;
        let unfiltered = scan.filters.is_empty() && scan.dynamic_filters.is_empty();
        if unfiltered && fetch.is_some_and(|fetch| fetch <= SINGLE_PARTITION_FETCH_MAX) {
            scan.merge_parts();
            scan.derive_properties()?;
        }
        Ok(scan)
    }

    /// Puts all ranges into one partition, in order.
    fn merge_parts(&mut self) {
        let ranges = |part: &Part| match part {
            Part::Ranges(ranges) => ranges.clone(),
            Part::Keys(_) => Vec::new(),
        };
        if self.parts.len() > 1 {
            self.parts = vec![Part::Ranges(self.parts.iter().flat_map(ranges).collect())];
        }
    }

    fn reversed(&self) -> Result<Self> {
        let mut scan = self.clone();
        scan.reverse = !scan.reverse;
        scan.derive_properties()?;
        Ok(scan)
    }

    /// True when so few rows are read that handing them to another thread costs more.
    fn is_small(&self) -> bool {
        let filtered = !self.filters.is_empty() || !self.dynamic_filters.is_empty();
        let stored = self.rows.counts.live_rows + self.rows.counts.tombstones;
        stored <= INLINE_ROWS_MAX as u64
            || (!filtered && self.fetch.is_some_and(|fetch| fetch <= INLINE_ROWS_MAX))
    }

    fn partition_is_small(&self, partition: usize) -> bool {
        match self.parts.get(partition) {
            Some(Part::Keys(keys)) => keys.len() <= INLINE_KEYS_MAX,
            Some(Part::Ranges(ranges)) => ranges.is_empty() || self.is_small(),
            None => true,
        }
    }
}

fn properties(equivalences: EquivalenceProperties, partitions: usize) -> PlanProperties {
    PlanProperties::new(
        equivalences,
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    )
    .with_scheduling_type(SchedulingType::Cooperative)
}

impl ExecutionPlan for HotScanExec {
    fn name(&self) -> &str {
        "HotScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.filters.iter().chain(&self.dynamic_filters), f)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        // A node above that is reset makes new dynamic filters; the old ones speak of an earlier
        // run.
        let mut scan = Self::clone(&self);
        scan.dynamic_filters.clear();
        scan.metrics = ExecutionPlanMetricsSet::new();
        Ok(Arc::new(scan))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let statement = StatementContext::of(context.session_config())?;
        let source = RowSource::new(self, partition, &statement, &context)?;
        let schema = Arc::clone(&self.schema);
        let stream: SendableRecordBatchStream = if self.partition_is_small(partition) {
            Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(source)))
        } else {
            Box::pin(RecordBatchStreamAdapter::new(schema, statement.scan_pool.stream(source)))
        };
        Ok(make_cooperative(stream))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _input_stats: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::new(statistics::of_scan(self, args.partition().is_some())))
    }

    // `supports_limit_pushdown` stays false: on a leaf it would keep the limit from arriving.
    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let scan = self.fetching(limit).ok()?;
        Some(Arc::new(scan))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let offered = child_pushdown_result.parent_filters;
        // Whoever made a dynamic filter still checks its rows: it is an offer, not a duty.
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(vec![
                PushedDown::No;
                offered.len()
            ]);
        if !matches!(phase, FilterPushdownPhase::Post) || self.fetch.is_some() {
            return Ok(propagation);
        }
        let mut scan = self.clone();
        for offer in offered {
            if is_dynamic(&offer.filter)? && !compares_reals(&offer.filter, &self.schema)? {
                let filter = row_filter::remap_columns(&offer.filter, |index| {
                    self.projection.get(index).copied()
                })?;
                scan.dynamic_filters.push(filter);
            }
        }
        if scan.dynamic_filters.is_empty() {
            return Ok(propagation);
        }
        let scan: Arc<dyn ExecutionPlan> = Arc::new(scan);
        Ok(propagation.with_updated_node(scan))
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        if self.properties.equivalence_properties().ordering_satisfy(order.iter().cloned())? {
            let inner: Arc<dyn ExecutionPlan> = Arc::new(self.clone());
            return Ok(SortOrderPushdownResult::Exact { inner });
        }
        let reversed = self.reversed()?;
        if reversed.properties.equivalence_properties().ordering_satisfy(order.iter().cloned())? {
            let inner: Arc<dyn ExecutionPlan> = Arc::new(reversed);
            return Ok(SortOrderPushdownResult::Exact { inner });
        }
        Ok(SortOrderPushdownResult::Unsupported)
    }
}

fn is_dynamic(filter: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    filter.exists(|expr| Ok(expr.is::<DynamicFilterPhysicalExpr>()))
}

/// Whether a dynamic filter compares floating-point numbers: it tells 0.0 from -0.0, which to a
/// join are one value, and would take rows away that the join wants.
fn compares_reals(filter: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<bool> {
    filter.exists(|expr| {
        if !expr.is::<DynamicFilterPhysicalExpr>() {
            return Ok(false);
        }
        for compared in expr.children() {
            if compared.data_type(schema)?.is_floating() {
                return Ok(true);
            }
        }
        Ok(false)
    })
}
