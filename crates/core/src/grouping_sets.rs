//! ROLLUP, CUBE and GROUPING SETS make NULLs of values that are the same in every row.
//!
//! The query engine carries what it knows of the input's columns, that one is constant, or in
//! which order they come, over to the groups, and then leaves out an ORDER BY that is needed:
//! `WHERE a = 1 GROUP BY ROLLUP (a) ORDER BY a`. So what is grouped by passes through a function
//! of which nothing is known. It is computed before it is grouped by, too: the engine renames a set
//! when it simplifies what stands in it, and then finds it no more. What is computed goes by a
//! plain name meanwhile: the engine reads `CAST(t.a AS DATE)` as column `a AS DATE)` of `CAST(t`.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, HashSet, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, GroupingSet, LogicalPlan, Projection, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

/// Hides from grouping sets what is known of their columns.
#[derive(Debug)]
pub(crate) struct GroupingSets;

impl AnalyzerRule for GroupingSets {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) if has_sets(&aggregate) => {
                Ok(Transformed::yes(unknown_columns(aggregate)?))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "grouping_sets"
    }
}

fn has_sets(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)))
}

/// The aggregate over an input in which the columns it groups by are anything. Names stay.
fn unknown_columns(aggregate: Aggregate) -> Result<LogicalPlan> {
    let named_before = Arc::clone(&aggregate.schema);
    let mut columns = HashSet::new();
    let mut computed = Vec::new();
    for expr in aggregate.group_expr.iter().flat_map(grouped_by) {
        match expr {
            Expr::Column(column) => {
                columns.insert(column.clone());
            }
            other if computed.contains(other) => {}
            other => computed.push(other.clone()),
        }
    }
    let mut items: Vec<Expr> = Vec::new();
    for (qualifier, field) in aggregate.input.schema().iter() {
        let column = Column::from((qualifier, field));
        items.push(if columns.contains(&column) {
            anything(Expr::Column(column)).alias_qualified(qualifier.cloned(), field.name())
        } else {
            Expr::Column(column)
        });
    }
    for (place, expr) in computed.iter().enumerate() {
        items.push(anything(expr.clone()).alias(plain_name(place)));
    }
    let input = Arc::new(LogicalPlan::Projection(Projection::try_new(items, aggregate.input)?));
    let group_expr = aggregate.group_expr.into_iter().map(|set| {
        set.transform_down(|expr| {
            let Some(place) = computed.iter().position(|other| *other == expr) else {
                return Ok(Transformed::no(expr));
            };
            // What it consists of stands below.
            let column = Expr::Column(Column::new_unqualified(plain_name(place)));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })
        .data()
    });
    let group_expr = group_expr.collect::<Result<Vec<_>>>()?;
    let grouped = Aggregate::try_new(input, group_expr, aggregate.aggr_expr)?;
    if computed.is_empty() {
        return Ok(LogicalPlan::Aggregate(grouped));
    }
    let names = grouped.schema.columns().into_iter().zip(named_before.iter());
    let items = names.map(|(column, (qualifier, field))| {
        let same = column.name == *field.name();
        let expr = Expr::Column(column);
        if same { expr } else { expr.alias_qualified(qualifier.cloned(), field.name()) }
    });
    let items = items.collect();
    let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
    Ok(LogicalPlan::Projection(Projection::try_new(items, grouped)?))
}

/// The name under which the computed expression at `place` is grouped by.
fn plain_name(place: usize) -> String {
    format!("__grouped_{place}")
}

/// The expressions a part of GROUP BY names.
fn grouped_by(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::GroupingSet(GroupingSet::Rollup(items) | GroupingSet::Cube(items)) => {
            items.iter().collect()
        }
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.iter().flatten().collect(),
        other => vec![other],
    }
}

/// The value of `expr` as one of which nothing is known. A function is taken for constant when all
/// it is called with are: so it is called with something unknown, too.
fn anything(expr: Expr) -> Expr {
    let call = |function: &Arc<ScalarUDF>, arguments| {
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), arguments))
    };
    call(&GROUPED, vec![expr, call(&UNKNOWN, Vec::new())])
}

static GROUPED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| volatile("grouped", 2));
static UNKNOWN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| volatile("unknown", 0));

fn volatile(name: &'static str, arguments: usize) -> Arc<ScalarUDF> {
    let signature = match arguments {
        0 => Signature::nullary(Volatility::Volatile),
        more => Signature::any(more, Volatility::Volatile),
    };
    Arc::new(ScalarUDF::new_from_impl(Unforeseeable { name, signature }))
}

/// Its first argument; NULL without one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Unforeseeable {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Unforeseeable {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let null = || Arc::new(Field::new(self.name, DataType::Null, true));
        Ok(args.arg_fields.first().map_or_else(null, Arc::clone))
    }

    fn output_ordering(&self, _inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(SortProperties::Unordered)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let null = || ColumnarValue::Scalar(ScalarValue::Null);
        Ok(args.args.into_iter().next().unwrap_or_else(null))
    }
}
