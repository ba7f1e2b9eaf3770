//! What two values of different types have in common.
//!
//! The query engine squeezes a DOUBLE that meets a DECIMAL into a DECIMAL of thirty digits, drops
//! the hours of an interval that is added to a DATE, and compares a DATE with a TIMESTAMP in
//! nanoseconds, which end in 2262. Before it settles types, a DECIMAL beside a DOUBLE becomes a
//! DOUBLE, and a DATE beside an interval or a TIMESTAMP becomes a TIMESTAMP. A number that is
//! written has the digits it was written with: beside a DECIMAL it is one.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, InList, InSubquery, ScalarFunction, SetComparison};
use datafusion::logical_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion::logical_expr::expr_schema::cast_subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Case, Cast, Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection, Subquery,
    Union,
};
use datafusion::optimizer::AnalyzerRule;
use kalamdb_tables::exact_decimal;

use crate::keep_names::rewrite_expressions;

/// Gives operands of different types their common one. To run before types are settled.
#[derive(Debug)]
pub(crate) struct MixedTypes;

/// The functions whose result is one of their arguments.
const CHOOSING: [&str; 8] =
    ["coalesce", "greatest", "ifnull", "least", "make_array", "nullif", "nvl", "nvl2"];

impl AnalyzerRule for MixedTypes {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        // Once a type has changed, what stands above has to hear of it.
        let changed = Cell::new(false);
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let node = rewrite_expressions(node, |expr| settled(expr, &schema))?;
            let node = node.transform_data(|node| match node {
                LogicalPlan::Union(union) => of_union(union),
                LogicalPlan::Join(join) => of_join(join),
                other => Ok(Transformed::no(other)),
            })?;
            changed.set(changed.get() || node.transformed);
            if changed.get() { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
        })
        .data()
    }

    fn name(&self) -> &str {
        "mixed_types"
    }
}

/// What values of different types become.
#[derive(Debug, Clone, PartialEq)]
enum Common {
    /// DECIMALs become DOUBLEs.
    Double,
    /// DATEs become TIMESTAMPs of this type.
    Timestamp(DataType),
}

impl Common {
    /// `None` when the query engine's own choice is right.
    fn of<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Option<Self> {
        let (mut floating, mut decimal, mut date, mut timestamp) = (false, false, false, None);
        for data_type in types {
            match data_type {
                DataType::Float32 | DataType::Float64 => floating = true,
                DataType::Decimal128(..) | DataType::Decimal256(..) => decimal = true,
                DataType::Date32 => date = true,
                DataType::Timestamp(..) => timestamp = timestamp.or(Some(data_type)),
                _ => {}
            }
        }
        match timestamp {
            _ if floating && decimal => Some(Self::Double),
            Some(timestamp) if date => Some(Self::Timestamp(timestamp.clone())),
            _ => None,
        }
    }

    /// What a value of the type is cast to.
    fn target(&self, data_type: &DataType) -> Option<DataType> {
        match (self, data_type) {
            (Self::Double, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
                Some(DataType::Float64)
            }
            (Self::Timestamp(timestamp), DataType::Date32) => Some(timestamp.clone()),
            _ => None,
        }
    }
}

fn settled(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (left, right) = (*left, *right);
            let [left, right] = match beside_interval(&left, op, &right, schema) {
                Some(Side::Left) => [timestamp(left), right],
                Some(Side::Right) => [left, timestamp(right)],
                None if computes(op) || op.supports_propagation() => {
                    let Some(common) = common(&[&left, &right], schema) else {
                        return Ok(Transformed::no(binary(left, op, right)));
                    };
                    if op == Operator::Minus && common != Common::Double {
                        // The engine's own difference of a DATE and a TIMESTAMP.
                        return Ok(Transformed::no(binary(left, op, right)));
                    }
                    [cast(left, &common, schema)?, cast(right, &common, schema)?]
                }
                None => return Ok(Transformed::no(binary(left, op, right))),
            };
            Ok(Transformed::yes(binary(left, op, right)))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let settled = all(vec![*expr, *low, *high], schema)?;
            Ok(settled.update_data(|mut all| {
                let high = Box::new(all.pop().unwrap_or_default());
                let low = Box::new(all.pop().unwrap_or_default());
                let expr = Box::new(all.pop().unwrap_or_default());
                Expr::Between(Between { expr, negated, low, high })
            }))
        }
        Expr::InList(InList { expr, mut list, negated }) => {
            list.push(*expr);
            let settled = all(list, schema)?;
            Ok(settled.update_data(|mut list| {
                let expr = Box::new(list.pop().unwrap_or_default());
                Expr::InList(InList { expr, list, negated })
            }))
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let settled = with_subquery(*expr, subquery, schema)?;
            Ok(settled.update_data(|(expr, subquery)| {
                Expr::InSubquery(InSubquery { expr: Box::new(expr), subquery, negated })
            }))
        }
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
            let settled = with_subquery(*expr, subquery, schema)?;
            Ok(settled.update_data(|(expr, subquery)| {
                let expr = Box::new(expr);
                Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })
            }))
        }
        Expr::Case(case) => of_case(case, schema),
        Expr::ScalarFunction(ScalarFunction { func, args }) if CHOOSING.contains(&func.name()) => {
            let args = all(args, schema)?;
            Ok(args.update_data(|args| Expr::ScalarFunction(ScalarFunction { func, args })))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn computes(op: Operator) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

enum Side {
    Left,
    Right,
}

/// The DATE that an interval is added to or taken from.
fn beside_interval(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Option<Side> {
    let date = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Date32));
    let interval = |expr: &Expr| {
        matches!(expr.get_type(schema), Ok(DataType::Interval(_) | DataType::Duration(_)))
    };
    match op {
        Operator::Plus | Operator::Minus if date(left) && interval(right) => Some(Side::Left),
        Operator::Plus if interval(left) && date(right) => Some(Side::Right),
        _ => None,
    }
}

fn timestamp(date: Expr) -> Expr {
    Expr::Cast(Cast::new(Box::new(date), DataType::Timestamp(TimeUnit::Microsecond, None)))
}

fn common(exprs: &[&Expr], schema: &DFSchema) -> Option<Common> {
    let types: Vec<_> = exprs.iter().filter_map(|expr| expr.get_type(schema).ok()).collect();
    Common::of(&types)
}

fn cast(expr: Expr, common: &Common, schema: &DFSchema) -> Result<Expr> {
    match common.target(&expr.get_type(schema)?) {
        Some(target) => Ok(Expr::Cast(Cast::new(Box::new(expr), target))),
        None => Ok(expr),
    }
}

/// Values of which one is chosen, or that are compared with each other.
fn all(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Transformed<Vec<Expr>>> {
    let Some(common) = common(&exprs.iter().collect::<Vec<_>>(), schema) else {
        return Ok(Transformed::no(exprs));
    };
    if common == Common::Double {
        let written: Option<Vec<_>> = exprs.iter().map(|expr| as_written(expr, schema)).collect();
        if let Some(written) = written {
            return Ok(Transformed::yes(written));
        }
    }
    let exprs = exprs.into_iter().map(|expr| cast(expr, &common, schema));
    exprs.collect::<Result<_>>().map(Transformed::yes)
}

/// The value, as a DECIMAL if it is a number that was written. `None` for other DOUBLEs.
fn as_written(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr.get_type(schema) {
        Ok(DataType::Float32 | DataType::Float64) => exact_decimal(expr),
        _ => Some(expr.clone()),
    }
}

fn with_subquery(
    expr: Expr,
    subquery: Subquery,
    schema: &DFSchema,
) -> Result<Transformed<(Expr, Subquery)>> {
    let rows = subquery.subquery.schema().fields().first().map(|rows| rows.data_type().clone());
    let (Ok(of_expr), Some(of_rows)) = (expr.get_type(schema), rows) else {
        return Ok(Transformed::no((expr, subquery)));
    };
    let Some(common) = Common::of([&of_expr, &of_rows]) else {
        return Ok(Transformed::no((expr, subquery)));
    };
    let expr = cast(expr, &common, schema)?;
    let subquery = match common.target(&of_rows) {
        Some(target) => cast_subquery(subquery, &target)?,
        None => subquery,
    };
    Ok(Transformed::yes((expr, subquery)))
}

fn of_case(mut case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (whens, mut results): (Vec<_>, Vec<_>) =
        case.when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
    let with_else = case.else_expr.is_some();
    results.extend(case.else_expr.take().map(|result| *result));
    let results = all(results, schema)?;
    // Without an operand the conditions are truth values.
    let compared: Vec<_> = whens.into_iter().chain(case.expr.take().map(|expr| *expr)).collect();
    let count = results.data.len() - usize::from(with_else);
    let compared = all(compared, schema)?;
    let changed = results.transformed || compared.transformed;
    let (mut results, mut compared) = (results.data, compared.data);
    if with_else {
        case.else_expr = results.pop().map(Box::new);
    }
    if compared.len() > count {
        case.expr = compared.pop().map(Box::new);
    }
    let pairs = compared.into_iter().zip(results);
    case.when_then_expr = pairs.map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    Ok(Transformed::new_transformed(Expr::Case(case), changed))
}

/// The sides of every equality a join is made by.
fn of_join(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    let (left_schema, right_schema) = (Arc::clone(join.left.schema()), join.right.schema());
    for (left, right) in &mut join.on {
        let (of_left, of_right) = (left.get_type(&left_schema)?, right.get_type(right_schema)?);
        if let Some(common) = Common::of([&of_left, &of_right]) {
            *left = cast(left.clone(), &common, &left_schema)?;
            *right = cast(right.clone(), &common, right_schema)?;
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
}

/// The columns of all inputs of a union that stand in one place.
fn of_union(mut union: Union) -> Result<Transformed<LogicalPlan>> {
    let mut columns = HashSet::new();
    for column in 0..union.schema.fields().len() {
        let types: Vec<_> =
            union.inputs.iter().map(|input| input.schema().field(column).data_type()).collect();
        let Some(common) = Common::of(types) else { continue };
        if common == Common::Double
            && let Some(written) =
                union.inputs.iter().map(|input| column_as_written(input, column)).collect()
        {
            union.inputs = written;
        } else {
            let inputs = union.inputs.iter().map(|input| {
                let target = common.target(input.schema().field(column).data_type());
                target.map_or(Ok(Arc::clone(input)), |target| with_type(input, column, &target))
            });
            union.inputs = inputs.collect::<Result<_>>()?;
        }
        columns.insert(column);
    }
    if columns.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    // The names are those of the union; types are settled for good afterwards.
    let first = union.inputs.first().map(|input| Arc::clone(input.schema()));
    if let Some(first) = first {
        for column in columns {
            let wider = union.inputs.iter().map(|input| input.schema().field(column).data_type());
            let of = wider.clone().find(|of| of.is_floating()).or_else(|| wider.clone().next());
            let of = of.unwrap_or(first.field(column).data_type()).clone();
            union.schema = retyped(&union.schema, column, &of)?;
        }
    }
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

fn with_type(
    input: &Arc<LogicalPlan>,
    column: usize,
    target: &DataType,
) -> Result<Arc<LogicalPlan>> {
    let schema = retyped(input.schema(), column, target)?;
    coerce_plan_expr_for_schema(input.as_ref().clone(), &schema).map(Arc::new)
}

/// The schema with another type of one column.
fn retyped(schema: &DFSchemaRef, column: usize, target: &DataType) -> Result<DFSchemaRef> {
    let fields = schema.iter().enumerate().map(|(place, (qualifier, field))| {
        let field = if place == column {
            Arc::new(Field::clone(field).with_data_type(target.clone()))
        } else {
            Arc::clone(field)
        };
        (qualifier.cloned(), field)
    });
    let metadata = schema.as_arrow().metadata().clone();
    DFSchema::new_with_metadata(fields.collect(), metadata).map(Arc::new)
}

/// The input of a union with a written number of the column as a DECIMAL. `None` where the column
/// is another DOUBLE.
fn column_as_written(input: &Arc<LogicalPlan>, column: usize) -> Option<Arc<LogicalPlan>> {
    if !input.schema().field(column).data_type().is_floating() {
        return Some(Arc::clone(input));
    }
    let LogicalPlan::Projection(Projection { expr, input: rows, .. }) = input.as_ref() else {
        return None;
    };
    let name = input.schema().field(column).name();
    let mut exprs = expr.clone();
    let number = exprs.get_mut(column)?;
    *number = exact_decimal(&number.clone().unalias())?.alias(name);
    let projection = Projection::try_new(exprs, Arc::clone(rows)).ok()?;
    Some(Arc::new(LogicalPlan::Projection(projection)))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::{cast as cast_to, col, lit, when};

    use super::*;

    fn schema() -> DFSchema {
        let field = |name, data_type| Field::new(name, data_type, true);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let fields = vec![
            field("m", DataType::Decimal128(10, 2)),
            field("f", DataType::Float64),
            field("r", DataType::Float32),
            field("i", DataType::Int64),
            field("d", DataType::Date32),
            field("t", micros),
        ];
        DFSchema::try_from(Schema::new(fields)).unwrap()
    }

    fn becomes(expr: Expr) -> Expr {
        settled(expr, &schema()).unwrap().data
    }

    fn double() -> Expr {
        cast_to(col("m"), DataType::Float64)
    }

    #[test]
    fn a_decimal_beside_a_double_is_a_double() {
        assert_eq!(becomes(col("m").lt(col("f"))), double().lt(col("f")));
        assert_eq!(becomes(col("r") * col("m")), col("r") * double());
        let between = becomes(col("m").between(lit(1_i64), col("f")));
        assert_eq!(between, double().between(lit(1_i64), col("f")));
        let list = becomes(col("f").in_list(vec![col("m"), lit(1_i64)], true));
        assert_eq!(list, col("f").in_list(vec![double(), lit(1_i64)], true));
        for same in [col("m") + col("i"), col("f").eq(col("i")), col("m").eq(col("m"))] {
            assert_eq!(becomes(same.clone()), same);
        }
    }

    #[test]
    fn a_written_number_beside_a_decimal_is_one() {
        let half = || Expr::Literal(ScalarValue::Decimal128(Some(5), 1, 1), None);
        let of = |result| when(lit(true), col("m")).otherwise(result).unwrap();
        assert_eq!(becomes(of(lit(0.5))), of(half()));
        let as_double = when(lit(true), double()).otherwise(col("f")).unwrap();
        assert_eq!(becomes(of(col("f"))), as_double);
    }

    #[test]
    fn a_date_beside_an_interval_or_a_timestamp_is_one() {
        let hour = || lit(ScalarValue::new_interval_mdn(0, 0, 3_600_000_000_000));
        let moment = || cast_to(col("d"), DataType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(becomes(col("d") + hour()), moment() + hour());
        assert_eq!(becomes(hour() + col("d")), hour() + moment());
        assert_eq!(becomes(col("d") - hour()), moment() - hour());
        assert_eq!(becomes(col("t").gt(col("d"))), col("t").gt(moment()));
        for same in [col("d") + lit(1_i64), col("d") - col("d"), col("d").eq(col("d"))] {
            assert_eq!(becomes(same.clone()), same);
        }
    }
}
