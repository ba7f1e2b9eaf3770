//! `d + ?`, `ts - ?`: what is added to a date are days, what is added to a moment is an interval.
//!
//! The query engine gives such a parameter the type of the other side, and then has no operator for
//! two dates, or takes days for a date.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Gives parameters beside `+` and `-` of dates and moments their types.
#[derive(Debug)]
pub(super) struct ShiftedDates;

impl ExprPlanner for ShiftedDates {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let op = match expr.op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (left, right) = match (untyped(&expr.left), untyped(&expr.right)) {
            (None, Some(id)) => match shift(&expr.left, schema) {
                Some(by) => (expr.left, parameter(id, by)),
                None => return Ok(PlannerResult::Original(expr)),
            },
            (Some(id), None) if op == Operator::Plus => match shift(&expr.right, schema) {
                Some(by) => (parameter(id, by), expr.right),
                None => return Ok(PlannerResult::Original(expr)),
            },
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let shifted = BinaryExpr::new(Box::new(left), op, Box::new(right));
        Ok(PlannerResult::Planned(Expr::BinaryExpr(shifted)))
    }
}

/// The number of a parameter without a type.
fn untyped(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => Some(id.clone()),
        _ => None,
    }
}

/// What a value of the expression's type is moved by.
fn shift(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    match expr.get_type(schema).ok()? {
        DataType::Date32 => Some(DataType::Int64),
        DataType::Timestamp(..) => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        _ => None,
    }
}

fn parameter(id: String, data_type: DataType) -> Expr {
    let field = Field::new(&id, data_type, true);
    Expr::Placeholder(Placeholder::new_with_field(id, Some(Arc::new(field))))
}
