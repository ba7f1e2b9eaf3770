//! 0.0 and -0.0 are one value to windows, PARTITION BY and ORDER BY of OVER, to ORDER BY, also that
//! of an aggregate and of DISTINCT ON, to IN, ANY and OR, NULLIF, `CASE x WHEN y`, to rows that are
//! compared, and to aggregates of DISTINCT values.
//!
//! The query engine compares floating-point keys by their bits there. Adding 0.0 makes 0.0 of
//! -0.0, and leaves everything else as it is. Nothing is sorted by after the last key of ORDER BY:
//! that one may tell the two apart, and stays as it is. A list of IN with one of the zeros gets the
//! other beside it: what it is compared with stays a column that scans know.

mod written_zeros;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Distinct, DistinctOn, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr,
};
use datafusion::optimizer::AnalyzerRule;

use self::written_zeros::{
    any_of_both_zeros, compared_with_one_zero, compares_zero, equal_to_both_zeros, with_both_zeros,
};
use crate::keep_names::rewrite_expressions;

/// The engine's function that gives NULL for two equal values.
const NULLIF: &str = "nullif";
/// The engine's function that `x = ANY (list)` is.
const ARRAY_HAS: &str = "array_has";
/// The engine's function that `ARRAY[a, b]` is.
const ARRAY: &str = "make_array";
/// The engine's function that a row is, `(a, b)`.
const ROW: &str = "struct";

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
                    sorted_with_one_zero(&mut sort.expr, &schema);
                    return Ok(Transformed::yes(LogicalPlan::Sort(sort)));
                }
                LogicalPlan::Distinct(Distinct::On(mut on)) => {
                    first_with_one_zero(&mut on);
                    return Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(on))));
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

/// The keys with one zero, but for the last.
fn sorted_with_one_zero(keys: &mut [Sort], schema: &DFSchema) {
    if let Some((_, earlier)) = keys.split_last_mut() {
        earlier.iter_mut().for_each(|key| to_one_zero(&mut key.expr, schema));
    }
}

/// One zero in what DISTINCT ON finds the first row by. Its first keys are what it is ON, and have
/// to stay that.
fn first_with_one_zero(distinct: &mut DistinctOn) {
    let Some(keys) = &mut distinct.sort_expr else { return };
    sorted_with_one_zero(keys, distinct.input.schema());
    for (on, key) in distinct.on_expr.iter_mut().zip(keys) {
        on.clone_from(&key.expr);
    }
}

/// The node with one zero in what IN, NULLIF, `CASE x WHEN y`, rows and aggregates compare.
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
                // They can only be ordered by themselves.
                let keys = call.params.order_by.iter_mut().map(|key| &mut key.expr);
                call.params.args.iter_mut().chain(keys).for_each(|key| to_one_zero(key, &schema));
                Transformed::yes(Expr::AggregateFunction(call))
            }
            Expr::AggregateFunction(mut call) if !call.params.order_by.is_empty() => {
                sorted_with_one_zero(&mut call.params.order_by, &schema);
                Transformed::yes(Expr::AggregateFunction(call))
            }
            Expr::InList(list) => with_both_zeros(list, &schema),
            Expr::ScalarFunction(call) if call.func.name() == ARRAY_HAS => {
                any_of_both_zeros(call, &schema)
            }
            Expr::BinaryExpr(mut or) if or.op == Operator::Or => {
                equal_to_both_zeros(&mut or.left, Operator::Eq);
                equal_to_both_zeros(&mut or.right, Operator::Eq);
                Transformed::yes(Expr::BinaryExpr(or))
            }
            Expr::Not(mut denied) => {
                equal_to_both_zeros(&mut denied, Operator::NotEq);
                Transformed::yes(Expr::Not(denied))
            }
            Expr::BinaryExpr(mut compared) if compares_zero(&compared) => {
                compared_with_one_zero(&mut compared);
                Transformed::yes(Expr::BinaryExpr(compared))
            }
            Expr::BinaryExpr(mut compared) if compares_rows(&compared) => {
                row_to_one_zero(&mut compared.left, &schema);
                row_to_one_zero(&mut compared.right, &schema);
                Transformed::yes(Expr::BinaryExpr(compared))
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
        Expr::ScalarFunction(call) => [NULLIF, ARRAY_HAS].contains(&call.func.name()),
        Expr::AggregateFunction(call) => call.params.distinct || !call.params.order_by.is_empty(),
        Expr::Case(case) => case.expr.is_some(),
        Expr::InList(_) => true,
        Expr::BinaryExpr(compared) => compares_zero(compared) || compares_rows(compared),
        _ => false,
    }
}

fn compares_rows(expr: &BinaryExpr) -> bool {
    expr.op.supports_propagation()
        && (row_of(&expr.left).is_some() || row_of(&expr.right).is_some())
}

/// The values of a row, where `expr` is one.
fn row_of(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Cast(Cast { expr, .. }) => row_of(expr),
        Expr::ScalarFunction(call) if call.func.name() == ROW => Some(&call.args),
        _ => None,
    }
}

fn row_to_one_zero(expr: &mut Expr, schema: &DFSchema) {
    match expr {
        Expr::Cast(Cast { expr, .. }) => row_to_one_zero(expr, schema),
        Expr::ScalarFunction(call) if call.func.name() == ROW => {
            call.args.iter_mut().for_each(|value| to_one_zero(value, schema));
        }
        _ => {}
    }
}

fn has_real_key(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Alias(alias) => has_real_key(&alias.expr, schema),
        Expr::WindowFunction(function) => {
            let params = &function.params;
            let ordered = params.order_by.iter().map(|key| &key.expr);
            let compared = params.args.iter().filter(|_| params.distinct);
            let mut keys = params.partition_by.iter().chain(ordered).chain(compared);
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
    let distinct = params.distinct;
    let compared = params.args.iter_mut().filter(|_| distinct);
    let ordered = params.order_by.iter_mut().map(|key| &mut key.expr);
    for key in params.partition_by.iter_mut().chain(ordered).chain(compared) {
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
