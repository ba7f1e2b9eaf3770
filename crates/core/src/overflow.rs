//! Integer arithmetic that does not fit its type is an error, not another number.
//!
//! The query engine's operators wrap around unless each is told not to. Told so here: the
//! computed columns of every projection, and so everything a statement answers or stores.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

/// The plan with checked arithmetic in its projections.
pub(crate) fn check(
    plan: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    plan.transform_up(|node| {
        let Some(projection) = node.downcast_ref::<ProjectionExec>() else {
            return Ok(Transformed::no(node));
        };
        let mut changed = false;
        let mut exprs = Vec::with_capacity(projection.expr().len());
        for ProjectionExpr { expr, alias } in projection.expr() {
            let checked = checked(Arc::clone(expr))?;
            changed |= checked.transformed;
            exprs.push(ProjectionExpr { expr: checked.data, alias: alias.clone() });
        }
        if !changed {
            return Ok(Transformed::no(node));
        }
        let input = Arc::clone(projection.input());
        Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(exprs, input)?)))
    })
    .data()
}

fn checked(
    expr: Arc<dyn PhysicalExpr>,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>, DataFusionError> {
    expr.transform_up(|expr| match expr.downcast_ref::<BinaryExpr>() {
        Some(binary) if binary.op().is_numerical_operators() => {
            Ok(Transformed::yes(Arc::new(binary.clone().with_fail_on_overflow(true))))
        }
        _ => Ok(Transformed::no(expr)),
    })
}
