//! Integer and DECIMAL arithmetic that does not fit its type is an error, not another number.
//!
//! The query engine's own operators wrap around, wherever they stand, and so does its folding of
//! constants; DECIMALs they give more digits than their type has. So after types are settled every
//! `+`, `-`, `*` of them in a statement, every quotient of DECIMALs and every negation of an integer
//! becomes a function that does not, and `sum` is one that adds up in a wider type.

mod arithmetic;
mod dates;
mod sum;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use self::arithmetic::Operation;
pub(crate) use self::sum::checked_sum;
use crate::keep_names::rewrite_expressions;

/// Puts checked arithmetic in the place of the operators. To run when types are settled.
#[derive(Debug)]
pub(crate) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if !computes(&node)? {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            rewrite_expressions(node, |expr| Ok(checked(expr, &schema)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "checked_arithmetic"
    }
}

/// Whether a node's own expressions have arithmetic in them, of whatever type.
fn computes(node: &LogicalPlan) -> Result<bool> {
    let mut computes = false;
    node.apply_expressions(|expr| {
        computes = expr.exists(|expr| {
            Ok(match expr {
                Expr::BinaryExpr(BinaryExpr { op, .. }) => Operation::of(*op).is_some(),
                Expr::Negative(_) => true,
                _ => false,
            })
        })?;
        Ok(if computes { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(computes)
}

fn checked(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let integer = |expr: &Expr| expr.get_type(schema).ok().filter(|of| of.is_integer());
    let decimal = |expr: &Expr| {
        let of = expr.get_type(schema);
        matches!(of, Ok(DataType::Decimal128(_, scale)) if scale >= 0)
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if let Some(operation) = Operation::of(op)
                && operation != Operation::Divide
                && let Some(left_type) = integer(&left)
                && integer(&right) == Some(left_type)
            {
                return Transformed::yes(call(operation, vec![*left, *right]));
            }
            if let Some(operation) = Operation::of(op)
                && decimal(&left)
                && decimal(&right)
            {
                return Transformed::yes(call(operation, vec![*left, *right]));
            }
            let computed = Expr::BinaryExpr(BinaryExpr { left, op, right });
            // A DATE and a number of days.
            let dates = matches!(computed.get_type(schema), Ok(DataType::Date32));
            if dates && Operation::of(op).is_some() {
                return Transformed::yes(dates::within(computed));
            }
            Transformed::no(computed)
        }
        Expr::Negative(inner) if integer(&inner).is_some_and(|of| of.is_signed_integer()) => {
            Transformed::yes(call(Operation::Negate, vec![*inner]))
        }
        other => Transformed::no(other),
    }
}

fn call(operation: Operation, arguments: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(operation.function()), arguments))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn schema() -> DFSchema {
        let field = |name, data_type| Field::new(name, data_type, true);
        let schema = Schema::new(vec![
            field("i", DataType::Int64),
            field("s", DataType::Int16),
            field("d", DataType::Float64),
            field("m", DataType::Decimal128(38, 10)),
            field("n", DataType::Decimal128(10, 2)),
        ]);
        DFSchema::try_from(schema).unwrap()
    }

    #[test]
    fn integers_and_decimals_are_checked_and_keep_their_type_and_name() {
        let schema = schema();
        let small = || lit(ScalarValue::Int16(Some(3)));
        let all = [
            col("i") + lit(1_i64),
            lit(1_i64) - col("i"),
            col("s") * small(),
            Expr::Negative(Box::new(col("s"))),
            col("m") + col("n"),
            col("n") * col("n"),
            col("m") - col("m"),
            col("m") / col("n"),
        ];
        for expr in all {
            let becomes = checked(expr.clone(), &schema);
            assert!(becomes.transformed, "{expr}");
            let becomes = becomes.data;
            assert_eq!(becomes.schema_name().to_string(), expr.schema_name().to_string());
            assert_eq!(becomes.get_type(&schema).unwrap(), expr.get_type(&schema).unwrap());
            assert_eq!(becomes.nullable(&schema).unwrap(), expr.nullable(&schema).unwrap());
        }
    }

    #[test]
    fn other_arithmetic_stays() {
        let schema = schema();
        let all = [
            col("d") + lit(1.5),
            col("i") / lit(2_i64),
            col("i") % lit(2_i64),
            col("i").gt(lit(2_i64)),
            Expr::Negative(Box::new(col("d"))),
        ];
        for expr in all {
            assert!(!checked(expr.clone(), &schema).transformed, "{expr}");
        }
    }
}
