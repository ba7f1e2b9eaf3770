//! Text stands for a UUID, and for BYTES as `\x00ff`, wherever one is compared with it, and CAST
//! goes between them. A CAST of text to JSON checks it. Beside a UUID in CASE and UNION text is read
//! as one, too. What else becomes text is spelled as it is shown.
//!
//! DataFusion knows a UUID as 16 bytes and text as the bytes of its characters: the comparison
//! would be false for every row, without an error. JSON it knows as text.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ExprSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Between, Case, InList, Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF,
    TryCast, Union,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use kalamdb_commons::ColumnType;

use super::kept_json;
use crate::dml::uuid_placeholder;
use crate::functions;

static TO_UUID: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::to_uuid()));
static UUID_TEXT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::uuid_text()));
static JSON_OF_TEXT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(functions::json_of_text()));
static BYTES_OF_TEXT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(functions::bytes_of_text()));
static TEXT_OF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::text_of()));

static TO_JSON: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::to_json()));

/// Functions whose arguments become text.
const OF_TEXTS: [&str; 2] = ["concat", "concat_ws"];

/// Rewrites the expressions of a plan, when one of these types is in it at all.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !concerns_types(&plan)? {
        return Ok(plan);
    }
    // Once a type has changed, what stands above has to hear of it.
    let changed = Cell::new(false);
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            return Ok(read_in_union(union)?.update_data(|union| {
                changed.set(true);
                LogicalPlan::Union(union)
            }));
        }
        let schema = merge_schema(&node.inputs());
        let node = node.map_expressions(|expr| {
            let name = expr.schema_name().to_string();
            let rewritten = expr.transform_up(|expr| rewrite_expr(expr, &schema))?;
            // A column of the output keeps its name.
            rewritten.map_data(|expr| {
                let renamed = !matches!(expr, Expr::Alias(_) | Expr::Column(_))
                    && expr.schema_name().to_string() != name;
                Ok(if renamed { expr.alias(name) } else { expr })
            })
        })?;
        changed.set(changed.get() || node.transformed);
        if changed.get() { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    Ok(rewritten.data)
}

/// Text in a column that is a UUID elsewhere in the union is read as one.
fn read_in_union(union: Union) -> Result<Transformed<Union>> {
    let of = |input: &LogicalPlan, column: usize, is: fn(&DataType) -> bool| {
        input.schema().fields().get(column).is_some_and(|field| is(field.data_type()))
    };
    let is_mixed = |column: &usize| {
        union.inputs.iter().any(|input| of(input, *column, is_uuid))
            && union.inputs.iter().any(|input| of(input, *column, is_text))
    };
    let mixed: Vec<usize> = (0..union.schema.fields().len()).filter(is_mixed).collect();
    if mixed.is_empty() {
        return Ok(Transformed::no(union));
    }
    let inputs = union.inputs.iter().map(|input| {
        if !mixed.iter().any(|column| of(input, *column, is_text)) {
            return Ok(Arc::clone(input));
        }
        let columns = input.schema().columns().into_iter().enumerate();
        let columns = columns.map(|(place, column)| {
            let name = column.name.clone();
            let read = mixed.contains(&place) && of(input, place, is_text);
            let column = Expr::Column(column);
            if read { call(&TO_UUID, column).alias(name) } else { column }
        });
        let columns: Vec<Expr> = columns.collect();
        LogicalPlanBuilder::from(input.as_ref().clone()).project(columns)?.build().map(Arc::new)
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(Union::try_new_with_loose_types(inputs)?))
}

/// Rewrites an expression over the columns of `schema`.
pub(super) fn rewrite_expression(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(expr.transform_up(|expr| rewrite_expr(expr, schema))?.data)
}

fn is_uuid(data_type: &DataType) -> bool {
    *data_type == ColumnType::Uuid.to_arrow()
}

fn is_bytes(data_type: &DataType) -> bool {
    *data_type == DataType::Binary
}

/// Whether text beside the type spells a value of it.
fn is_spelled(data_type: &DataType) -> bool {
    is_uuid(data_type) || is_bytes(data_type)
}

pub(super) fn is_json(field: &Field) -> bool {
    is_text(field.data_type()) && ColumnType::from_arrow(field) == Ok(ColumnType::Json)
}

/// Whether a cast of text to this type reads it.
fn is_read(field: &Field) -> bool {
    is_spelled(field.data_type()) || is_json(field)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn concerns_types(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= node.schema().fields().iter().any(|field| {
            is_spelled(field.data_type()) || (!field.metadata().is_empty() && is_json(field))
        });
        if !found {
            node.apply_expressions(|expr| {
                found |= expr.exists(|expr| Ok(converts(expr)))?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether an expression reads text or makes some.
fn converts(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) => {
            is_read(field) || is_text(field.data_type())
        }
        Expr::BinaryExpr(BinaryExpr { op, .. }) => *op == Operator::StringConcat,
        Expr::ScalarFunction(call) => OF_TEXTS.contains(&call.func.name()),
        _ => false,
    }
}

/// What an expression is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Uuid,
    Bytes,
    Text,
    /// A parameter nobody has given a type yet, or one that DataFusion takes for a UUID.
    Parameter,
    Other,
}

fn kind(expr: &Expr, schema: &DFSchema) -> Kind {
    if matches!(expr, Expr::Placeholder(Placeholder { field, .. })
        if field.as_ref().is_none_or(|field| is_uuid(field.data_type())))
    {
        return Kind::Parameter;
    }
    match expr.get_type(schema as &dyn ExprSchema) {
        Ok(data_type) if is_uuid(&data_type) => Kind::Uuid,
        Ok(data_type) if is_bytes(&data_type) => Kind::Bytes,
        Ok(data_type) if is_text(&data_type) => Kind::Text,
        _ => Kind::Other,
    }
}

fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn rewrite_expr(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let kinds = (kind(&left, schema), kind(&right, schema));
            let (left, right) =
                (read_beside(*left, kinds.1, schema), read_beside(*right, kinds.0, schema));
            let changed = left.transformed || right.transformed;
            let (left, right) = (left.data, right.data);
            let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
            Ok(Transformed::new_transformed(expr, changed))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let beside = kind(&expr, schema);
            let mut changed = false;
            let list = list.into_iter().map(|item| {
                let item = read_beside(item, beside, schema);
                changed |= item.transformed;
                item.data
            });
            let list = list.collect();
            let expr = Expr::InList(InList::new(expr, list, negated));
            Ok(Transformed::new_transformed(expr, changed))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let beside = kind(&expr, schema);
            let (low, high) =
                (read_beside(*low, beside, schema), read_beside(*high, beside, schema));
            let changed = low.transformed || high.transformed;
            let between = Between::new(expr, negated, Box::new(low.data), Box::new(high.data));
            Ok(Transformed::new_transformed(Expr::Between(between), changed))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let nested = |expr: &Expr| expr.get_type(schema).is_ok_and(|of| of.is_nested());
            if nested(&left) || nested(&right) {
                // An item goes into a list as it is.
                let expr = BinaryExpr::new(left, Operator::StringConcat, right);
                return Ok(Transformed::no(Expr::BinaryExpr(expr)));
            }
            let left = told(*left, schema);
            let right = told(*right, schema);
            let changed = left.transformed || right.transformed;
            let (left, right) = (Box::new(left.data), Box::new(right.data));
            let expr = Expr::BinaryExpr(BinaryExpr::new(left, Operator::StringConcat, right));
            Ok(Transformed::new_transformed(expr, changed))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if OF_TEXTS.contains(&func.name()) => {
            let mut changed = false;
            let args = args.into_iter().map(|arg| {
                let arg = told(arg, schema);
                changed |= arg.transformed;
                arg.data
            });
            let args = args.collect();
            let expr = Expr::ScalarFunction(ScalarFunction { func, args });
            Ok(Transformed::new_transformed(expr, changed))
        }
        Expr::Case(case) => Ok(of_case(case, schema)
            .transform_data(|expr| Ok::<_, DataFusionError>(kept_json::keep(expr, schema)))?),
        Expr::TryCast(TryCast { expr, field }) if is_text(field.data_type()) => {
            Ok(match is_told_type(&expr, schema) {
                true => Transformed::yes(call(&TEXT_OF, *expr)),
                false => Transformed::no(Expr::TryCast(TryCast { expr, field })),
            })
        }
        Expr::Cast(Cast { expr, field }) => {
            let from = kind(&expr, schema);
            if is_uuid(field.data_type()) && matches!(from, Kind::Text | Kind::Parameter) {
                return Ok(Transformed::yes(as_uuid(*expr)));
            }
            if is_text(field.data_type()) && from == Kind::Uuid {
                return Ok(Transformed::yes(call(&UUID_TEXT, *expr)));
            }
            if is_text(field.data_type()) && !is_json(&field) && is_told_type(&expr, schema) {
                return Ok(Transformed::yes(call(&TEXT_OF, *expr)));
            }
            if is_json(&field) && from == Kind::Text {
                return Ok(Transformed::yes(call(&JSON_OF_TEXT, *expr)));
            }
            if is_json(&field) && from != Kind::Parameter {
                return Ok(Transformed::yes(call(&TO_JSON, *expr)));
            }
            if is_bytes(field.data_type()) && from == Kind::Text {
                return Ok(Transformed::yes(call(&BYTES_OF_TEXT, *expr)));
            }
            Ok(Transformed::no(Expr::Cast(Cast { expr, field })))
        }
        other => Ok(kept_json::keep(other, schema)),
    }
}

fn is_told_type(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|of| functions::is_told(&of))
}

/// A moment or a UUID that becomes a part of a text, as text.
fn told(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr.get_type(schema) {
        Ok(of)
            if is_uuid(&of)
                || matches!(
                    of,
                    DataType::Timestamp(..) | DataType::Time64(_) | DataType::Interval(_)
                ) =>
        {
            Transformed::yes(call(&TEXT_OF, expr))
        }
        _ => Transformed::no(expr),
    }
}

/// CASE with the texts beside UUIDs read as such.
fn of_case(case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let Case { expr, when_then_expr, else_expr } = case;
    let uuid = |expr: &Expr| kind(expr, schema) == Kind::Uuid;
    let results = when_then_expr.iter().map(|(_, then)| then).chain(else_expr.iter());
    let result = if results.clone().any(|then| uuid(then)) { Kind::Uuid } else { Kind::Other };
    let base = expr.as_ref().map_or(Kind::Other, |expr| kind(expr, schema));
    let mut changed = false;
    let mut read = |expr: Box<Expr>, beside: Kind| {
        let read = read_beside(*expr, beside, schema);
        changed |= read.transformed;
        Box::new(read.data)
    };
    let whens = when_then_expr.into_iter();
    let when_then_expr = whens.map(|(when, then)| (read(when, base), read(then, result))).collect();
    let else_expr = else_expr.map(|other| read(other, result));
    let case = Expr::Case(Case { expr, when_then_expr, else_expr });
    Transformed::new_transformed(case, changed)
}

/// A literal as JSON.
pub(super) fn json_of_literal(value: Expr) -> Expr {
    match &value {
        Expr::Literal(ScalarValue::Utf8(Some(_)), None) => call(&JSON_OF_TEXT, value),
        _ => value,
    }
}

/// Plans the operators between a UUID and text: the query engine's planner refuses them.
#[derive(Debug)]
pub(super) struct UuidOperators;

impl ExprPlanner for UuidOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let operator = match expr.op {
            BinaryOperator::Eq => Operator::Eq,
            BinaryOperator::NotEq => Operator::NotEq,
            BinaryOperator::Lt => Operator::Lt,
            BinaryOperator::LtEq => Operator::LtEq,
            BinaryOperator::Gt => Operator::Gt,
            BinaryOperator::GtEq => Operator::GtEq,
            BinaryOperator::StringConcat => Operator::StringConcat,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let kinds = (kind(&expr.left, schema), kind(&expr.right, schema));
        if !matches!(kinds, (Kind::Uuid, Kind::Text) | (Kind::Text, Kind::Uuid)) {
            return Ok(PlannerResult::Original(expr));
        }
        let RawBinaryExpr { left, right, .. } = expr;
        let (left, right) = match operator {
            Operator::StringConcat => (told(left, schema), told(right, schema)),
            _ => (read_beside(left, kinds.1, schema), read_beside(right, kinds.0, schema)),
        };
        let planned = BinaryExpr::new(Box::new(left.data), operator, Box::new(right.data));
        Ok(PlannerResult::Planned(Expr::BinaryExpr(planned)))
    }
}

/// The expression as what it spells if it is text beside a value of that kind.
fn read_beside(expr: Expr, beside: Kind, schema: &DFSchema) -> Transformed<Expr> {
    match (beside, kind(&expr, schema)) {
        (Kind::Uuid, Kind::Text | Kind::Parameter) => Transformed::yes(as_uuid(expr)),
        (Kind::Bytes, Kind::Text) => Transformed::yes(call(&BYTES_OF_TEXT, expr)),
        _ => Transformed::no(expr),
    }
}

/// The text as a UUID. Parameters are text: every client can bind that.
fn as_uuid(expr: Expr) -> Expr {
    let text = match expr {
        Expr::Placeholder(Placeholder { id, .. }) => uuid_placeholder(id),
        other => other,
    };
    call(&TO_UUID, text)
}

fn call(function: &Arc<ScalarUDF>, argument: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), vec![argument]))
}
