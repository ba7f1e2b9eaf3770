//! Takes out of a physical plan what merges the partitions of a node that has only one.
//!
//! A scan learns late that it may read in one partition: when a limit arrives. By then the plan
//! merges, and buffers what it merges, which for a few rows costs more than reading them.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::buffer::BufferExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// The rule; it runs last.
#[derive(Debug)]
pub struct OnePartition;

impl PhysicalOptimizerRule for OnePartition {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match unmerged(plan.as_ref()) {
                Some(input) => Transformed::yes(input),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "one_partition"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What a merge of one partition comes down to.
fn unmerged(plan: &dyn ExecutionPlan) -> Option<Arc<dyn ExecutionPlan>> {
    if !(plan.is::<SortPreservingMergeExec>() || plan.is::<CoalescePartitionsExec>()) {
        return None;
    }
    let [input] = plan.children()[..] else { return None };
    if input.output_partitioning().partition_count() != 1 {
        return None;
    }
    // The buffer was put there to keep several partitions going.
    let input = match (input.is::<BufferExec>(), &input.children()[..]) {
        (true, [buffered]) => Arc::clone(buffered),
        _ => Arc::clone(input),
    };
    match (plan.fetch(), input.fetch()) {
        (None, _) => Some(input),
        (Some(wanted), Some(given)) if given <= wanted => Some(input),
        (Some(wanted), _) => input.with_fetch(Some(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
    use datafusion::physical_plan::empty::EmptyExec;

    use super::*;

    /// merge ─ buffer ─ a leaf of so many partitions
    fn merged(partitions: usize, fetch: Option<usize>) -> Arc<dyn ExecutionPlan> {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let order = PhysicalSortExpr::new_default(col("id", &schema).unwrap());
        let leaf = Arc::new(EmptyExec::new(schema).with_partitions(partitions));
        let buffer = Arc::new(BufferExec::new(leaf, 1 << 20));
        let order = LexOrdering::new([order]).unwrap();
        Arc::new(SortPreservingMergeExec::new(order, buffer).with_fetch(fetch))
    }

    fn optimized(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        OnePartition.optimize(plan, &ConfigOptions::default()).unwrap()
    }

    #[test]
    fn one_partition_is_neither_merged_nor_buffered() {
        assert!(optimized(merged(1, None)).is::<EmptyExec>());
        assert!(optimized(merged(2, None)).is::<SortPreservingMergeExec>());
    }

    #[test]
    fn a_limit_is_never_lost() {
        // The leaf takes no limit, so the merge keeps its own.
        let kept = optimized(merged(1, Some(3)));
        assert!(kept.is::<SortPreservingMergeExec>());
        assert_eq!(kept.fetch(), Some(3));
    }
}
