//! 0.0 and -0.0 are one value to windows, PARTITION BY and ORDER BY of OVER, to ORDER BY, NULLIF,
//! `CASE x WHEN y` and aggregates of DISTINCT values.
//!
//! The query engine compares floating-point keys by their bits there. Adding 0.0 makes 0.0 of
//! -0.0, and leaves everything else as it is. Nothing is sorted by after the last key of ORDER BY:
//! that one may tell the two apart, and stays as it is.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::AnalyzerRule;

use crate::keep_names::rewrite_expressions;

/// The engine's function that gives NULL for two equal values.
const NULLIF: &str = "nullif";

/// Makes one zero of two where the engine would tell them apart. To run when types are settled.
#[derive(Debug)]
pub(crate) struct RealKeys;

impl AnalyzerRule for RealKeys {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let node = with_one_zero_compared(node)?.data;
            let window = match node {
                LogicalPlan::Sort(mut sort) => {
                    let schema = Arc::clone(sort.input.schema());
                    if let Some((_, earlier)) = sort.expr.split_last_mut() {
                        earlier.iter_mut().for_each(|key| to_one_zero(&mut key.expr, &schema));
                    }
                    return Ok(Transformed::yes(LogicalPlan::Sort(sort)));
                }
                LogicalPlan::Window(ref window) => window,
                other => return Ok(Transformed::no(other)),
            };
            let schema = merge_schema(&[window.input.as_ref()]);
            let concerned = window.window_expr.iter().any(|expr| has_real_key(expr, &schema));
            if !concerned {
                return Ok(Transformed::no(node));
            }
            rewrite_expressions(node, |expr| Ok(with_one_zero(expr, &schema)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "real_keys"
    }
}

/// The node with one zero in what NULLIF, `CASE x WHEN y` and DISTINCT compare.
fn with_one_zero_compared(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut concerned = false;
    node.apply_expressions(|expr| {
        concerned = expr.exists(|expr| Ok(compares_inside(expr)))?;
        Ok(if concerned { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !concerned {
        return Ok(Transformed::no(node));
    }
    let schema = merge_schema(&node.inputs());
    rewrite_expressions(node, |expr| {
        Ok(match expr {
            Expr::ScalarFunction(mut call) if call.func.name() == NULLIF => {
                call.args.iter_mut().for_each(|value| to_one_zero(value, &schema));
                Transformed::yes(Expr::ScalarFunction(call))
            }
            Expr::AggregateFunction(mut call) if call.params.distinct => {
                call.params.args.iter_mut().for_each(|value| to_one_zero(value, &schema));
                Transformed::yes(Expr::AggregateFunction(call))
            }
            Expr::Case(mut case) => {
                if let Some(compared) = &mut case.expr {
                    to_one_zero(compared, &schema);
                    for (value, _) in &mut case.when_then_expr {
                        to_one_zero(value, &schema);
                    }
                }
                Transformed::yes(Expr::Case(case))
            }
            other => Transformed::no(other),
        })
    })
}

fn compares_inside(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.func.name() == NULLIF,
        Expr::AggregateFunction(call) => call.params.distinct,
        Expr::Case(case) => case.expr.is_some(),
        _ => false,
    }
}

fn has_real_key(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Alias(alias) => has_real_key(&alias.expr, schema),
        Expr::WindowFunction(function) => {
            let ordered = function.params.order_by.iter().map(|key| &key.expr);
            let mut keys = function.params.partition_by.iter().chain(ordered);
            keys.any(|key| zero_of(key, schema).is_some())
        }
        _ => false,
    }
}

/// The zero of a key's type, when that is a floating-point one.
fn zero_of(key: &Expr, schema: &DFSchema) -> Option<ScalarValue> {
    match key.get_type(schema).ok()? {
        DataType::Float32 => Some(ScalarValue::Float32(Some(0.0))),
        DataType::Float64 => Some(ScalarValue::Float64(Some(0.0))),
        _ => None,
    }
}

fn with_one_zero(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::WindowFunction(mut function) = expr else { return Transformed::no(expr) };
    let params = &mut function.params;
    let ordered = params.order_by.iter_mut().map(|key| &mut key.expr);
    for key in params.partition_by.iter_mut().chain(ordered) {
        to_one_zero(key, schema);
    }
    Transformed::yes(Expr::WindowFunction(function))
}

fn to_one_zero(key: &mut Expr, schema: &DFSchema) {
    if let Some(zero) = zero_of(key, schema) {
        let zero = Expr::Literal(zero, None);
        *key = binary_expr(std::mem::take(key), Operator::Plus, zero);
    }
}
