//! To windows, too, 0.0 and -0.0 are one value: PARTITION BY and ORDER BY of OVER.
//!
//! The query engine compares floating-point keys by their bits there. Adding 0.0 makes 0.0 of
//! -0.0, and leaves everything else as it is.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::AnalyzerRule;

use crate::keep_names::rewrite_expressions;

/// Makes one zero of two in the keys of windows. To run when types are settled.
#[derive(Debug)]
pub(crate) struct WindowKeys;

impl AnalyzerRule for WindowKeys {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Window(window) = &node else { return Ok(Transformed::no(node)) };
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
        "window_keys"
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
        if let Some(zero) = zero_of(key, schema) {
            let zero = Expr::Literal(zero, None);
            *key = binary_expr(std::mem::take(key), Operator::Plus, zero);
        }
    }
    Transformed::yes(Expr::WindowFunction(function))
}
