//! Moments that are finer than the column they meet: `at = '2025-01-01 10:00:00.9'` where `at` is a
//! TIMESTAMP(0).
//!
//! The engine takes the column for one of the finer unit, and then, so that no row has to be
//! converted, the moment for one of the column's. That cuts its fraction off, and another moment is
//! compared. Here such a moment becomes bounds in the column's own unit first: what is before it
//! is at most the last moment before it that the column can hold, and nothing is equal to it.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast, binary_expr, lit,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::joined;

/// Whether a moment is converted somewhere in the expression.
pub(super) fn converts_moments(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| {
        Ok(matches!(expr, Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. })
            if is_moment(field.data_type())))
    })
}

/// The expression with its moments compared in the units of their columns. `constants` computes
/// what has no columns.
pub(super) fn in_own_units(
    expr: Expr,
    schema: &DFSchema,
    constants: &ExprSimplifier,
) -> Result<Transformed<Expr>> {
    let units = Units { schema, constants };
    expr.transform_up(|expr| match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            Ok(match units.compared(&left, op, &right)? {
                Some(compared) => Transformed::yes(compared),
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            })
        }
        Expr::Between(between) => units.between(between),
        Expr::InList(list) => units.in_list(list),
        other => Ok(Transformed::no(other)),
    })
}

fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..))
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

struct Units<'a> {
    schema: &'a DFSchema,
    constants: &'a ExprSimplifier,
}

impl Units<'_> {
    /// The comparison in the unit of the side that is converted, if the other is a moment that it
    /// cannot hold.
    fn compared(&self, left: &Expr, op: Operator, right: &Expr) -> Result<Option<Expr>> {
        if let Some((own, unit)) = self.converted(left)
            && let Some(moment) = self.moment(right)?
        {
            return Ok(self.beside(own, &unit, op, &moment));
        }
        if let Some((own, unit)) = self.converted(right)
            && let Some(op) = op.swap()
            && let Some(moment) = self.moment(left)?
        {
            return Ok(self.beside(own, &unit, op, &moment));
        }
        Ok(None)
    }

    /// `own op moment` for a moment between two of the unit of `own`.
    fn beside(
        &self,
        own: &Expr,
        of: &DataType,
        op: Operator,
        moment: &ScalarValue,
    ) -> Option<Expr> {
        let (before, is_exact) = at_or_before(moment, of)?;
        if is_exact {
            return None;
        }
        // It may have been converted before, from a unit that is coarser still.
        let compared = |op| match self.converted(own) {
            Some((inner, of)) => self
                .beside(inner, &of, op, &before)
                .unwrap_or_else(|| binary_expr(own.clone(), op, lit(before.clone()))),
            None => binary_expr(own.clone(), op, lit(before.clone())),
        };
        Some(match op {
            Operator::Lt | Operator::LtEq => compared(Operator::LtEq),
            Operator::Gt | Operator::GtEq => compared(Operator::Gt),
            Operator::IsDistinctFrom => lit(true),
            Operator::IsNotDistinctFrom => lit(false),
            // Never both, always one of them; NULL for NULL.
            Operator::Eq => {
                binary_expr(compared(Operator::Gt), Operator::And, compared(Operator::LtEq))
            }
            Operator::NotEq => {
                binary_expr(compared(Operator::Gt), Operator::Or, compared(Operator::LtEq))
            }
            _ => return None,
        })
    }

    fn between(&self, between: Between) -> Result<Transformed<Expr>> {
        let Between { expr, negated, low, high } = between;
        let (above, below, join) = match negated {
            false => (Operator::GtEq, Operator::LtEq, Operator::And),
            true => (Operator::Lt, Operator::Gt, Operator::Or),
        };
        let from = self.compared(&expr, above, &low)?;
        let to = self.compared(&expr, below, &high)?;
        if from.is_none() && to.is_none() {
            return Ok(Transformed::no(Expr::Between(Between { expr, negated, low, high })));
        }
        let from = from.unwrap_or_else(|| binary_expr(expr.as_ref().clone(), above, *low));
        let to = to.unwrap_or_else(|| binary_expr(*expr, below, *high));
        Ok(Transformed::yes(binary_expr(from, join, to)))
    }

    fn in_list(&self, InList { expr, list, negated }: InList) -> Result<Transformed<Expr>> {
        let (compare, join) = match negated {
            true => (Operator::NotEq, Operator::And),
            false => (Operator::Eq, Operator::Or),
        };
        let mut own = Vec::new();
        let mut rest = Vec::with_capacity(list.len());
        for item in list {
            match self.compared(&expr, compare, &item)? {
                // All of them say the same.
                Some(compared) if self.converted(&expr).is_some() => own = vec![compared],
                Some(compared) => own.push(compared),
                None => rest.push(item),
            }
        }
        if own.is_empty() {
            return Ok(Transformed::no(Expr::InList(InList { expr, list: rest, negated })));
        }
        if !rest.is_empty() {
            own.push(Expr::InList(InList { expr, list: rest, negated }));
        }
        Ok(Transformed::yes(joined(own, join)))
    }

    /// What is converted to a finer unit, and its own type.
    fn converted<'a>(&self, expr: &'a Expr) -> Option<(&'a Expr, DataType)> {
        let (Expr::Cast(Cast { expr: own, field }) | Expr::TryCast(TryCast { expr: own, field })) =
            expr
        else {
            return None;
        };
        let DataType::Timestamp(to, _) = field.data_type() else { return None };
        let of = own.get_type(self.schema).ok()?;
        let finer =
            matches!(of, DataType::Timestamp(from, _) if per_second(from) < per_second(*to));
        (finer && !own.is_volatile()).then_some((own.as_ref(), of))
    }

    /// The moment an expression without columns is.
    fn moment(&self, expr: &Expr) -> Result<Option<ScalarValue>> {
        if let Expr::Literal(value, _) = expr {
            return Ok(Some(value.clone()));
        }
        let is_moment = || expr.get_type(self.schema).is_ok_and(|of| is_moment(&of));
        if expr.any_column_refs() || has_subquery(expr)? || !is_moment() {
            return Ok(None);
        }
        // What cannot be computed is for the statement to report.
        match self.constants.simplify(expr.clone()) {
            Ok(Expr::Literal(value, _)) => Ok(Some(value)),
            _ => Ok(None),
        }
    }
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    })
}

/// How many of a unit are in a second.
fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The last moment of the coarser type that is not after this one, and whether it is the same.
fn at_or_before(moment: &ScalarValue, of: &DataType) -> Option<(ScalarValue, bool)> {
    let (units, unit) = match moment {
        ScalarValue::TimestampSecond(Some(units), _) => (*units, TimeUnit::Second),
        ScalarValue::TimestampMillisecond(Some(units), _) => (*units, TimeUnit::Millisecond),
        ScalarValue::TimestampMicrosecond(Some(units), _) => (*units, TimeUnit::Microsecond),
        ScalarValue::TimestampNanosecond(Some(units), _) => (*units, TimeUnit::Nanosecond),
        _ => return None,
    };
    let DataType::Timestamp(to, zone) = of else { return None };
    let each = per_second(unit) / per_second(*to);
    if each <= 1 {
        return None;
    }
    let (before, zone) = (Some(units.div_euclid(each)), zone.clone());
    let before = match to {
        TimeUnit::Second => ScalarValue::TimestampSecond(before, zone),
        TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(before, zone),
        TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(before, zone),
        TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(before, zone),
    };
    Some((before, units.rem_euclid(each) == 0))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::simplify::SimplifyContext;
    use datafusion::logical_expr::{cast, col};

    use super::*;

    fn rewritten(expr: Expr) -> Option<Expr> {
        let of = DataType::Timestamp(TimeUnit::Second, None);
        let schema = Schema::new(vec![Field::new("t", of, true)]);
        let schema = DFSchema::try_from(schema).unwrap();
        let constants = ExprSimplifier::new(SimplifyContext::builder().build());
        let rewritten = in_own_units(expr, &schema, &constants).unwrap();
        rewritten.transformed.then_some(rewritten.data)
    }

    fn finer() -> Expr {
        cast(col("t"), DataType::Timestamp(TimeUnit::Microsecond, None))
    }

    fn micros(micros: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(Some(micros), None))
    }

    fn second(second: i64) -> Expr {
        lit(ScalarValue::TimestampSecond(Some(second), None))
    }

    #[test]
    fn a_finer_moment_is_a_bound_and_equal_to_none() {
        let t = || col("t");
        let cases = [
            (finer().lt(micros(1_900_000)), t().lt_eq(second(1))),
            (finer().lt_eq(micros(1_900_000)), t().lt_eq(second(1))),
            (finer().gt(micros(-100_000)), t().gt(second(-1))),
            (micros(1_900_000).gt(finer()), t().lt_eq(second(1))),
            (micros(1_900_000).lt_eq(finer()), t().gt(second(1))),
            (finer().eq(micros(1_900_000)), t().gt(second(1)).and(t().lt_eq(second(1)))),
            (finer().not_eq(micros(1_900_000)), t().gt(second(1)).or(t().lt_eq(second(1)))),
            (
                finer().between(micros(1_500_000), micros(2_500_000)),
                t().gt(second(1)).and(t().lt_eq(second(2))),
            ),
            (
                finer().in_list(vec![micros(1_500_000), micros(2_000_000)], false),
                t().gt(second(1))
                    .and(t().lt_eq(second(1)))
                    .or(finer().in_list(vec![micros(2_000_000)], false)),
            ),
        ];
        for (expr, expected) in cases {
            assert_eq!(rewritten(expr.clone()), Some(expected), "{expr}");
        }
    }

    #[test]
    fn what_the_column_can_hold_stays() {
        let all = [
            finer().eq(micros(2_000_000)),
            finer().lt(lit(ScalarValue::TimestampMicrosecond(None, None))),
            col("t").eq(second(1)),
            finer().in_list(vec![micros(2_000_000)], true),
        ];
        for expr in all {
            assert_eq!(rewritten(expr.clone()), None, "{expr}");
        }
    }
}
