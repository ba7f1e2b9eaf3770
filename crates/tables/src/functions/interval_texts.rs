//! Text that is written beside an INTERVAL, or added to a TIMESTAMP, is an INTERVAL.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::dml::{interval_of, no_interval};

/// Reads the texts.
#[derive(Debug)]
pub struct IntervalTexts;

impl ExprPlanner for IntervalTexts {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if !takes_interval(&expr.op) {
            return Ok(PlannerResult::Original(expr));
        }
        let adds = matches!(expr.op, BinaryOperator::Plus);
        let beside_interval = |other: &Expr| match other.get_type(schema) {
            Ok(DataType::Interval(IntervalUnit::MonthDayNano)) => true,
            // What is taken from a TIMESTAMP may be another one.
            Ok(DataType::Timestamp(..)) => adds,
            _ => false,
        };
        if let Some(text) = text_of(&expr.right)
            && beside_interval(&expr.left)
        {
            expr.right = interval(text)?;
        } else if let Some(text) = text_of(&expr.left)
            && beside_interval(&expr.right)
        {
            expr.left = interval(text)?;
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn takes_interval(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, Minus, NotEq, Plus};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | Plus | Minus)
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text),
        _ => None,
    }
}

fn interval(text: &str) -> Result<Expr> {
    let interval = interval_of(text).ok_or_else(|| no_interval(text))?;
    Ok(Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), None))
}
