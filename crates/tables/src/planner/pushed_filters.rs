//! Keeps filters from being pushed past columns of one name.
//!
//! What a join or a top-k search finds while it runs is pushed down to the scans, and so are
//! conditions. On the way the query engine looks columns up by their names: below a join of two
//! tables with a column `id`, a filter of one `id` would reach the scan of the other.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::sorts::sort::SortExec;

/// A rule of the engine that pushes filters, for plans in which names are enough.
#[derive(Debug)]
pub struct PushedFilters {
    inner: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
}

impl PushedFilters {
    /// The rule, if it is one that pushes filters.
    pub fn guard(
        rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
    ) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
        if rule.name().starts_with("FilterPushdown") {
            Arc::new(Self { inner: rule })
        } else {
            rule
        }
    }
}

impl PhysicalOptimizerRule for PushedFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if mistakes_columns(plan.as_ref(), false) {
            return Ok(plan);
        }
        self.inner.optimize(plan, config)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema_check(&self) -> bool {
        self.inner.schema_check()
    }
}

/// Whether a filter on its way down would come to a node with two columns of one name. `filters`:
/// whether some come from above.
fn mistakes_columns(plan: &dyn ExecutionPlan, filters: bool) -> bool {
    let filters = filters || makes_filters(plan);
    plan.children().into_iter().any(|child| {
        filters && repeats_names(child.as_ref()) || mistakes_columns(child.as_ref(), filters)
    })
}

fn makes_filters(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<HashJoinExec>()
        || plan.is::<SortExec>()
        || plan.is::<AggregateExec>()
        || plan.is::<FilterExec>()
}

fn repeats_names(plan: &dyn ExecutionPlan) -> bool {
    let schema = plan.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    !schema.fields().iter().all(|field| names.insert(field.name()))
}
