//! Text stands for a UUID, and for BYTES as `\x00ff`, wherever one is compared with it, and CAST
//! goes between them. A CAST of text to JSON checks it.
//!
//! DataFusion knows a UUID as 16 bytes and text as the bytes of its characters: the comparison
//! would be false for every row, without an error. JSON it knows as text.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, InList, Placeholder, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF,
};
use kalamdb_commons::ColumnType;

use crate::dml::uuid_placeholder;
use crate::functions;

static TO_UUID: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::to_uuid()));
static UUID_TEXT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::uuid_text()));
static JSON_OF_TEXT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(functions::json_of_text()));
static BYTES_OF_TEXT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(functions::bytes_of_text()));

/// Rewrites the expressions of a plan, when one of these types is in it at all.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !concerns_types(&plan)? {
        return Ok(plan);
    }
    let rewritten = plan.transform_up_with_subqueries(|node| {
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
        if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    Ok(rewritten.data)
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

fn is_json(field: &Field) -> bool {
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
        found |= node.schema().fields().iter().any(|field| is_spelled(field.data_type()));
        if !found {
            node.apply_expressions(|expr| {
                found |= expr
                    .exists(|expr| Ok(matches!(expr, Expr::Cast(cast) if is_read(&cast.field))))?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
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
        Expr::Cast(Cast { expr, field }) => {
            let from = kind(&expr, schema);
            if is_uuid(field.data_type()) && matches!(from, Kind::Text | Kind::Parameter) {
                return Ok(Transformed::yes(as_uuid(*expr)));
            }
            if is_text(field.data_type()) && from == Kind::Uuid {
                return Ok(Transformed::yes(call(&UUID_TEXT, *expr)));
            }
            if is_json(&field) && from == Kind::Text {
                return Ok(Transformed::yes(call(&JSON_OF_TEXT, *expr)));
            }
            if is_bytes(field.data_type()) && from == Kind::Text {
                return Ok(Transformed::yes(call(&BYTES_OF_TEXT, *expr)));
            }
            Ok(Transformed::no(Expr::Cast(Cast { expr, field })))
        }
        other => Ok(Transformed::no(other)),
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
