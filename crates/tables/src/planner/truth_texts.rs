//! `active = 'true'`: a text that is compared with a BOOLEAN is one, as in PostgreSQL.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Reads the texts beside a BOOLEAN.
#[derive(Debug)]
pub(super) struct TruthTexts;

impl ExprPlanner for TruthTexts {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        if matches!(expr.op, Eq | NotEq | Lt | LtEq | Gt | GtEq) {
            let truth = |side: &Expr| matches!(side.get_type(schema), Ok(DataType::Boolean));
            if is_text(&expr.right) && truth(&expr.left) {
                expr.right = read(expr.right);
            } else if is_text(&expr.left) && truth(&expr.right) {
                expr.left = read(expr.left);
            }
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn is_text(side: &Expr) -> bool {
    matches!(side, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

/// The truth a text spells: `true`, `f`, `yes`, `off`, `1` and the like; any other text stays.
fn read(side: Expr) -> Expr {
    match &side {
        Expr::Literal(text, _) => match text.cast_to(&DataType::Boolean) {
            Ok(truth) if !truth.is_null() => Expr::Literal(truth, None),
            _ => side,
        },
        _ => side,
    }
}
