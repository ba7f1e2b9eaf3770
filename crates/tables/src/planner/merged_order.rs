//! Keeps sorts of partitions that are merged afterwards in the whole order of the merge.
//!
//! `SELECT 'a' AS k, x FROM a UNION ALL SELECT 'b', x FROM b ORDER BY k, x LIMIT 10`: in each
//! partition `k` is constant, so the query engine sorts it by `x` alone. But with a limit the
//! sorts of all partitions share what they have found, to skip rows that come too late, and by
//! `x` alone rows of 'b' would drop those of 'a'.
//!
//! And where in one branch of a union two columns of the order are the same, it forgets above the
//! union what it did not have to sort by.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;

/// The rule; it runs when sorts are in their places and before their findings reach the scans.
#[derive(Debug)]
pub struct MergedOrder;

impl PhysicalOptimizerRule for MergedOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            if let Some(merge) = in_whole_order(plan.as_ref()) {
                return Ok(Transformed::yes(merge));
            }
            Ok(match in_order(plan.as_ref())? {
                Some(merge) => Transformed::yes(merge),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "merged_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The merge over sorts by its own order; `None` when it is that already.
fn in_whole_order(plan: &dyn ExecutionPlan) -> Option<Arc<dyn ExecutionPlan>> {
    let merge = plan.downcast_ref::<SortPreservingMergeExec>()?;
    let sort = merge.input().downcast_ref::<SortExec>()?;
    let fetch = sort.fetch().or(merge.fetch())?;
    if !sort.preserve_partitioning() || sort.expr() == merge.expr() {
        return None;
    }
    let sort = SortExec::new(merge.expr().clone(), Arc::clone(sort.input()))
        .with_preserve_partitioning(true)
        .with_fetch(Some(fetch));
    let whole = SortPreservingMergeExec::new(merge.expr().clone(), Arc::new(sort));
    Some(Arc::new(whole.with_fetch(merge.fetch())))
}

/// The merge over inputs sorted by its own order; `None` when they are known to be that already.
fn in_order(plan: &dyn ExecutionPlan) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>() else { return Ok(None) };
    let properties = merge.input().properties().equivalence_properties();
    if properties.ordering_satisfy(merge.expr().iter().cloned())? {
        return Ok(None);
    }
    let sort = SortExec::new(merge.expr().clone(), Arc::clone(merge.input()))
        .with_preserve_partitioning(true)
        .with_fetch(merge.fetch());
    let merged = SortPreservingMergeExec::new(merge.expr().clone(), Arc::new(sort));
    Ok(Some(Arc::new(merged.with_fetch(merge.fetch()))))
}
