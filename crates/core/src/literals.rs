//! Literals take the type of the column they are compared with, when that loses nothing.
//!
//! The query engine would bring both sides to a common type instead: text and TIMESTAMP to
//! nanoseconds, which end in 2262, and a number and DECIMAL to a width that keeps the digits of
//! the number's nearest double, not those that were written.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan};

/// The plan with its compared literals fitted.
pub(crate) fn fit(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.map_expressions(|expr| expr.transform_up(|expr| Ok(fit_expr(expr, &schema))))
    })
    .data()
}

fn fit_expr(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let of = |expr: &Expr| expr.get_type(schema).ok();
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            let (left_type, right_type) = (of(&left), of(&right));
            let left = Box::new(fit_literal(*left, right_type.as_ref()));
            let right = Box::new(fit_literal(*right, left_type.as_ref()));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let wanted = of(&expr);
            let low = Box::new(fit_literal(*low, wanted.as_ref()));
            let high = Box::new(fit_literal(*high, wanted.as_ref()));
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let wanted = of(&expr);
            let list = list.into_iter().map(|item| fit_literal(item, wanted.as_ref())).collect();
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        other => Transformed::no(other),
    }
}

/// The literal as one of type `wanted`; anything else as it is.
fn fit_literal(expr: Expr, wanted: Option<&DataType>) -> Expr {
    let Expr::Literal(value, metadata) = expr else { return expr };
    let fitted = match (&value, wanted) {
        (ScalarValue::Utf8(Some(_)), Some(wanted @ DataType::Timestamp(_, _))) => {
            value.cast_to(wanted).ok()
        }
        (ScalarValue::Float64(Some(number)), Some(wanted @ DataType::Decimal128(_, scale))) => {
            // The shortest text that means this double is what was written, up to 15 digits
            // and mostly beyond.
            let written = number.to_string();
            let fraction = written.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            (fraction <= usize::try_from(*scale).unwrap_or_default())
                .then(|| ScalarValue::from(written.as_str()).cast_to(wanted).ok())
                .flatten()
        }
        _ => None,
    };
    match fitted {
        Some(fitted) if !fitted.is_null() => Expr::Literal(fitted, None),
        _ => Expr::Literal(value, metadata),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(value: ScalarValue, wanted: DataType) -> ScalarValue {
        match fit_literal(Expr::Literal(value, None), Some(&wanted)) {
            Expr::Literal(value, _) => value,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn digits_stay_as_they_were_written() {
        let decimal = DataType::Decimal128(12, 2);
        let value = fitted(ScalarValue::from(-9_999_999_999.99), decimal.clone());
        assert_eq!(value, ScalarValue::Decimal128(Some(-999_999_999_999), 12, 2));
        // More digits than the column has: the comparison decides, not a rounded literal.
        let finer = ScalarValue::from(0.125);
        assert_eq!(fitted(finer.clone(), decimal.clone()), finer);
        let larger = ScalarValue::from(1e30);
        assert_eq!(fitted(larger.clone(), decimal), larger);
    }

    #[test]
    fn moments_beyond_the_range_of_nanoseconds_are_found() {
        use arrow::datatypes::TimeUnit;
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let value = fitted(ScalarValue::from("9999-12-31 23:59:59"), micros.clone());
        assert_eq!(value, ScalarValue::TimestampMicrosecond(Some(253_402_300_799_000_000), None));
        let no_moment = ScalarValue::from("yesterday");
        assert_eq!(fitted(no_moment.clone(), micros), no_moment);
    }
}
