//! A subquery in the place of a value is NULL when it finds no row, whatever its column allows.
//!
//! The query engine takes such an expression for as nullable as the subquery's column, and then
//! refuses its own NULL. So where the column is NOT NULL the subquery becomes the argument of a
//! function that returns it as it is, but may return NULL.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Union, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// Makes scalar subqueries nullable. To run when types are settled, before others ask what is
/// nullable.
#[derive(Debug)]
pub(crate) struct NullableSubqueries;

impl AnalyzerRule for NullableSubqueries {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !concerned(&plan)? {
            return Ok(plan);
        }
        let changed = Cell::new(false);
        plan.transform_up_with_subqueries(|node| {
            let node = node.map_expressions(|expr| {
                expr.transform_up(|expr| {
                    if !never_null(&expr) {
                        return Ok(Transformed::no(expr));
                    }
                    changed.set(true);
                    let function = Arc::clone(&OR_NULL);
                    let call = ScalarFunction::new_udf(function, vec![expr]);
                    Ok(Transformed::yes(Expr::ScalarFunction(call)))
                })
            })?;
            // What is computed from it may be NULL as well, up to the result.
            if changed.get() { with_own_schema(node.data) } else { Ok(node) }
        })
        .data()
    }

    fn name(&self) -> &str {
        "nullable_subqueries"
    }
}

fn concerned(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found = found || expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether the engine takes it for a subquery that is never NULL.
fn never_null(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarSubquery(subquery) => !subquery.subquery.schema().field(0).is_nullable(),
        _ => false,
    }
}

fn with_own_schema(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let node = match node {
        // Its schema is otherwise kept as long as the number of columns is the same.
        LogicalPlan::Union(Union { inputs, .. }) => LogicalPlan::Union(Union::try_new(inputs)?),
        other => other.recompute_schema()?,
    };
    Ok(Transformed::yes(node))
}

static OR_NULL: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(OrNull { signature }))
});

/// Its argument, and nullable.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OrNull {
    signature: Signature,
}

fn misused<T>() -> Result<T> {
    Err(DataFusionError::Internal(String::from("or_null takes one argument")))
}

impl ScalarUDFImpl for OrNull {
    fn name(&self) -> &str {
        "or_null"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// As its argument: a column of a result is named after what was written.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [one] => Ok(one.schema_name().to_string()),
            _ => misused(),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [one] => Ok(one.clone()),
            _ => misused(),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [one] => {
                let field = Field::new(self.name(), one.data_type().clone(), true);
                Ok(Arc::new(field.with_metadata(one.metadata().clone())))
            }
            _ => misused(),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut args = args.args.into_iter();
        match (args.next(), args.next()) {
            (Some(one), None) => Ok(one),
            _ => misused(),
        }
    }
}
