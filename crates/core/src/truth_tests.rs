//! `IS TRUE` and its like are never NULL.
//!
//! The query engine says so when it plans and forgets it when it runs them as
//! `IS NOT DISTINCT FROM true`; where rows are grouped it then refuses its own plan. So after types
//! are settled they become functions whose answer is not nullable on either side.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{not, prep_null_mask_filter};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::keep_names::rewrite_expressions;

/// Puts the functions in the place of the tests.
#[derive(Debug)]
pub(crate) struct TruthTests;

impl AnalyzerRule for TruthTests {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            if !tests_truth(&node)? {
                return Ok(Transformed::no(node));
            }
            rewrite_expressions(node, |expr| Ok(as_function(expr)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "truth_tests"
    }
}

fn tests_truth(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found = expr.exists(|expr| {
            Ok(matches!(
                expr,
                Expr::IsTrue(_)
                    | Expr::IsFalse(_)
                    | Expr::IsUnknown(_)
                    | Expr::IsNotTrue(_)
                    | Expr::IsNotFalse(_)
                    | Expr::IsNotUnknown(_)
            ))
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn as_function(expr: Expr) -> Transformed<Expr> {
    let call = |test: &'static LazyLock<Arc<ScalarUDF>>, argument: Expr| {
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(test), vec![argument]))
    };
    Transformed::yes(match expr {
        Expr::IsTrue(inner) => call(&IS_TRUE, *inner),
        Expr::IsFalse(inner) => call(&IS_FALSE, *inner),
        Expr::IsNotTrue(inner) => Expr::Not(Box::new(call(&IS_TRUE, *inner))),
        Expr::IsNotFalse(inner) => Expr::Not(Box::new(call(&IS_FALSE, *inner))),
        Expr::IsUnknown(inner) => Expr::IsNull(inner),
        Expr::IsNotUnknown(inner) => Expr::IsNotNull(inner),
        other => return Transformed::no(other),
    })
}

static IS_TRUE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(true));
static IS_FALSE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| made(false));

fn made(wanted: bool) -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Boolean], Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Is { wanted, signature }))
}

/// True where the argument is `wanted`, false elsewhere.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Is {
    wanted: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Is {
    fn name(&self) -> &str {
        if self.wanted { "is_true" } else { "is_false" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), DataType::Boolean, false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(argument) = args.args.into_iter().next() else {
            let reason = format!("{} takes one argument", self.name());
            return Err(DataFusionError::Internal(reason));
        };
        let values = argument.into_array(args.number_rows)?;
        let answer = is(values.as_boolean(), self.wanted)?;
        Ok(ColumnarValue::Array(Arc::new(answer)))
    }
}

fn is(values: &BooleanArray, wanted: bool) -> Result<BooleanArray> {
    let holds = if wanted { values.clone() } else { not(values)? };
    Ok(if holds.nulls().is_some() { prep_null_mask_filter(&holds) } else { holds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_neither_true_nor_false() {
        let values = BooleanArray::from(vec![Some(true), Some(false), None]);
        assert_eq!(is(&values, true).unwrap(), BooleanArray::from(vec![true, false, false]));
        assert_eq!(is(&values, false).unwrap(), BooleanArray::from(vec![false, true, false]));
        let sliced = values.slice(1, 2);
        assert_eq!(is(&sliced, false).unwrap(), BooleanArray::from(vec![true, false]));
    }
}
