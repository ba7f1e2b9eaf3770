//! A cast of a number with a fraction to an integer rounds, as storing it in a column does.
//!
//! The query engine cuts the fraction off. Only the casts of a statement are meant, not those that
//! settling the types puts in; but of what types theirs are, of a CASE or a UNION, is known after
//! that only. So the casts to integers become functions before, and casts again after it, but for
//! those of fractions.

mod cast;

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;
use kalamdb_tables::{item_of, loses_fraction};

use self::cast::RoundedCast;
use crate::keep_names::rewrite_expressions;

/// Makes functions of casts to integers. To run before types are settled.
#[derive(Debug)]
pub(crate) struct WrittenCasts;

impl AnalyzerRule for WrittenCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if !any(&node, |expr| cast_to_integers(expr).is_some())? {
                return Ok(Transformed::no(node));
            }
            let named = !matches!(node, LogicalPlan::Join(_) | LogicalPlan::Filter(_));
            rewrite_expressions(node, |expr| Ok(as_function(expr, named)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "written_casts"
    }
}

/// Makes casts again of the functions that round nothing. To run when types are settled.
#[derive(Debug)]
pub(crate) struct RoundedCasts;

impl AnalyzerRule for RoundedCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if !any(&node, |expr| RoundedCast::of(expr).is_some())? {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            rewrite_expressions(node, |expr| Ok(as_cast(expr, &schema)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "rounded_casts"
    }
}

/// Whether a node's own expressions have such a part.
fn any(node: &LogicalPlan, wanted: impl Fn(&Expr) -> bool) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found = expr.exists(|expr| Ok(wanted(expr)))?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// What is cast, if something is cast to integers or to lists of them.
fn cast_to_integers(expr: &Expr) -> Option<&Expr> {
    let (Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })) = expr else {
        return None;
    };
    item_of(field.data_type()).is_integer().then_some(expr)
}

fn as_function(expr: Expr, named: bool) -> Transformed<Expr> {
    if cast_to_integers(&expr).is_none() {
        return Transformed::no(expr);
    }
    match expr {
        Expr::Cast(Cast { expr, field }) => {
            Transformed::yes(RoundedCast::new(field, false, named).call(*expr))
        }
        Expr::TryCast(TryCast { expr, field }) => {
            Transformed::yes(RoundedCast::new(field, true, named).call(*expr))
        }
        other => Transformed::no(other),
    }
}

fn as_cast(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Some((function, value)) = RoundedCast::of(&expr) else { return Transformed::no(expr) };
    match value.get_type(schema) {
        Ok(from) if !loses_fraction(&from, function.target()) => {
            Transformed::yes(function.as_cast(value.clone()))
        }
        // Of a type that is not known it decides when it runs.
        _ => Transformed::no(expr),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::{cast, col, lit, try_cast};

    use super::*;

    fn schema() -> DFSchema {
        let field = |name, data_type| Field::new(name, data_type, true);
        let schema = Schema::new(vec![
            field("i", DataType::Int64),
            field("t", DataType::Utf8),
            field("r", DataType::Float32),
            field("d", DataType::Float64),
            field("m", DataType::Decimal128(10, 2)),
        ]);
        DFSchema::try_from(schema).unwrap()
    }

    /// The cast once types are settled.
    fn settled(expr: &Expr) -> Expr {
        let function = as_function(expr.clone(), true);
        assert!(function.transformed, "{expr}");
        as_cast(function.data, &schema()).data
    }

    #[test]
    fn casts_of_fractions_become_functions_and_keep_their_type_and_name() {
        let schema = schema();
        let casts = [
            cast(col("r"), DataType::Int8),
            cast(col("d"), DataType::UInt64),
            cast(col("m"), DataType::Int32),
            try_cast(col("d"), DataType::Int64),
            cast(lit(2.5), DataType::Int32),
        ];
        for expr in casts {
            let becomes = settled(&expr);
            assert!(RoundedCast::of(&becomes).is_some(), "{expr}");
            assert_eq!(becomes.schema_name().to_string(), expr.schema_name().to_string());
            assert_eq!(becomes.get_type(&schema).unwrap(), expr.get_type(&schema).unwrap());
            assert_eq!(becomes.nullable(&schema).unwrap(), expr.nullable(&schema).unwrap());
        }
    }

    #[test]
    fn other_casts_are_casts_in_the_end() {
        let casts = [
            cast(col("i"), DataType::Int32),
            cast(col("t"), DataType::Int32),
            try_cast(col("t"), DataType::Int16),
            cast(lit(7_i64), DataType::UInt8),
        ];
        for expr in casts {
            assert_eq!(settled(&expr), expr);
        }
        for expr in [
            cast(col("d"), DataType::Decimal128(10, 2)),
            cast(col("d"), DataType::Float32),
            cast(col("m"), DataType::Utf8),
            col("d"),
        ] {
            assert!(!as_function(expr.clone(), true).transformed, "{expr}");
        }
    }
}
