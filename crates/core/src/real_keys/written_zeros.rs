//! Zeros among the numbers that are written where values are compared.
//!
//! The query engine takes `x = 0.0 AND x = -0.0` for a contradiction, and makes a list of many
//! `x = 1 OR x = 2`, which it looks values up in by their bits. So a zero that is compared with
//! is 0.0, and lists have both.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator, cast, in_list};

use super::{ARRAY, row_of, row_to_one_zero, to_one_zero, zero_of};

/// The list with both zeros where it has one. Where that is not known yet, of what is computed,
/// one zero on both sides.
pub(super) fn with_both_zeros(mut list: InList, schema: &DFSchema) -> Transformed<Expr> {
    if row_of(&list.expr).is_some() {
        row_to_one_zero(&mut list.expr, schema);
        list.list.iter_mut().for_each(|row| row_to_one_zero(row, schema));
        return Transformed::yes(Expr::InList(list));
    }
    let Some(zero) = zero_of(&list.expr, schema) else {
        return Transformed::no(Expr::InList(list));
    };
    let Ok(other) = zero.arithmetic_negate() else { return Transformed::no(Expr::InList(list)) };
    let constants = list.list.iter().map(constant).collect::<Option<Vec<_>>>();
    match constants {
        None => {
            to_one_zero(&mut list.expr, schema);
            list.list.iter_mut().for_each(|value| to_one_zero(value, schema));
        }
        Some(values) if values.iter().any(|value| *value == zero || *value == other) => {
            list.list.extend([zero, other].map(|zero| Expr::Literal(zero, None)));
        }
        Some(_) => return Transformed::no(Expr::InList(list)),
    }
    Transformed::yes(Expr::InList(list))
}

/// `x = ANY (ARRAY[…])` as IN, which the query engine makes of it too, where zeros need that.
pub(super) fn any_of_both_zeros(call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let list = match call.args.as_slice() {
        [array, value] if zero_of(value, schema).is_some() => items_of(array).map(|items| {
            with_both_zeros(InList::new(Box::new(value.clone()), items, false), schema)
        }),
        _ => None,
    };
    match list {
        Some(list) if list.transformed => list,
        _ => Transformed::no(Expr::ScalarFunction(call)),
    }
}

/// The items of an array that is written in the statement or bound to it.
fn items_of(array: &Expr) -> Option<Vec<Expr>> {
    match array {
        Expr::ScalarFunction(call) if call.func.name() == ARRAY => Some(call.args.clone()),
        Expr::Cast(Cast { expr, field }) => {
            let DataType::List(item) = field.data_type() else { return None };
            let items = items_of(expr)?.into_iter();
            Some(items.map(|value| cast(value, item.data_type().clone())).collect())
        }
        Expr::Literal(list @ ScalarValue::List(_), _) => {
            let lists = ScalarValue::convert_array_to_scalar_vec(&list.to_array().ok()?).ok()?;
            let items = lists.into_iter().next()??.into_iter();
            Some(items.map(|value| Expr::Literal(value, None)).collect())
        }
        _ => None,
    }
}

/// The value of a number as it is written, signed and of the type it was brought to.
fn constant(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Negative(inner) => constant(inner)?.arithmetic_negate().ok(),
        Expr::Cast(Cast { expr, field }) => constant(expr)?.cast_to(field.data_type()).ok(),
        _ => None,
    }
}

/// Whether a value is compared with a zero that is written.
pub(super) fn compares_zero(expr: &BinaryExpr) -> bool {
    expr.op.supports_propagation()
        && (written_zero(&expr.left).is_some() || written_zero(&expr.right).is_some())
}

/// The comparison with 0.0 in the place of any zero.
pub(super) fn compared_with_one_zero(compared: &mut BinaryExpr) {
    for side in [&mut compared.left, &mut compared.right] {
        if let Some(zero) = written_zero(side) {
            **side = Expr::Literal(zero, None);
        }
    }
}

/// Equalities of a column and zero that may end up in a list, as lists with both zeros: those
/// below OR, and what is not equal below NOT.
pub(super) fn equal_to_both_zeros(expr: &mut Expr, equality: Operator) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if *op == Operator::And || (*op == Operator::Or && equality == Operator::NotEq) =>
        {
            equal_to_both_zeros(left, equality);
            equal_to_both_zeros(right, equality);
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == equality => {
            let (column, zero) = match (written_zero(left), written_zero(right)) {
                (None, Some(zero)) if is_column(left) => (left, zero),
                (Some(zero), None) if is_column(right) => (right, zero),
                _ => return,
            };
            let Ok(other) = zero.arithmetic_negate() else { return };
            let zeros = [zero, other].map(|zero| Expr::Literal(zero, None));
            let column = std::mem::take(column.as_mut());
            *expr = in_list(column, zeros.to_vec(), equality == Operator::NotEq);
        }
        _ => {}
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Cast(Cast { expr, .. }) => is_column(expr),
        _ => false,
    }
}

/// 0.0 of the type of a number, if that is a zero.
fn written_zero(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(ScalarValue::Float32(_) | ScalarValue::Float64(_), _)
        | Expr::Negative(_)
        | Expr::Cast(_) => {}
        _ => return None,
    }
    match constant(expr)? {
        // Both zeros are this pattern.
        ScalarValue::Float32(Some(0.0)) => Some(ScalarValue::from(0.0_f32)),
        ScalarValue::Float64(Some(0.0)) => Some(ScalarValue::from(0.0_f64)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn with_zeros(list: Expr) -> Transformed<Expr> {
        let field = |name, data_type| Field::new(name, data_type, true);
        let schema = Schema::new(vec![
            field("d", DataType::Float64),
            field("r", DataType::Float32),
            field("i", DataType::Int64),
        ]);
        let schema = DFSchema::try_from(schema).unwrap();
        let Expr::InList(list) = list else { panic!("{list}") };
        with_both_zeros(list, &schema)
    }

    #[test]
    fn a_list_with_one_zero_gets_the_other_and_the_column_stays() {
        let zero_first = |zero: Expr| {
            in_list(col("d"), vec![zero, lit(7.0), lit(ScalarValue::Float64(None))], false)
        };
        for zero in [lit(0.0), lit(-0.0), cast(lit(0_i64), DataType::Float64)] {
            let Expr::InList(list) = with_zeros(zero_first(zero)).data else { panic!() };
            assert_eq!(*list.expr, col("d"));
            assert_eq!(list.list[3..], [lit(0.0), lit(-0.0)]);
        }
        let list = in_list(col("r"), vec![lit(-0.0_f32)], true);
        let Expr::InList(list) = with_zeros(list).data else { panic!() };
        assert_eq!(list.list, [lit(-0.0_f32), lit(0.0_f32), lit(-0.0_f32)]);
        assert!(!with_zeros(zero_first(lit(1.0))).transformed);
        assert!(!with_zeros(in_list(col("i"), vec![lit(0_i64)], false)).transformed);
    }

    #[test]
    fn what_a_list_computes_is_brought_to_one_zero() {
        let list = in_list(col("d"), vec![lit(1.0) * lit(-0.0), lit(7.0)], false);
        let Expr::InList(list) = with_zeros(list).data else { panic!() };
        assert_eq!(*list.expr, col("d") + lit(0.0));
        assert_eq!(list.list, [lit(1.0) * lit(-0.0) + lit(0.0), lit(7.0) + lit(0.0)]);
    }

    #[test]
    fn a_zero_that_is_compared_with_is_one_and_both_below_or() {
        let compared = |expr: Expr| match expr {
            Expr::BinaryExpr(mut compared) if compares_zero(&compared) => {
                compared_with_one_zero(&mut compared);
                Expr::BinaryExpr(compared)
            }
            other => other,
        };
        assert_eq!(compared(col("d").gt(lit(-0.0))), col("d").gt(lit(0.0)));
        assert_eq!(compared(lit(-0.0_f32).eq(col("r"))), lit(0.0_f32).eq(col("r")));
        assert_eq!(compared(col("d").eq(lit(-1.0))), col("d").eq(lit(-1.0)));

        let both = |mut expr: Expr, equality| {
            equal_to_both_zeros(&mut expr, equality);
            expr
        };
        let zeros = || vec![lit(0.0), lit(-0.0)];
        let below_or = col("i").gt(lit(1_i64)).and(lit(0.0).eq(col("d")));
        let wanted = col("i").gt(lit(1_i64)).and(in_list(col("d"), zeros(), false));
        assert_eq!(both(below_or, Operator::Eq), wanted);
        let below_not = col("d").not_eq(lit(0.0)).or(col("d").not_eq(lit(7.0)));
        let wanted = in_list(col("d"), zeros(), true).or(col("d").not_eq(lit(7.0)));
        assert_eq!(both(below_not, Operator::NotEq), wanted);
        let other = col("d").eq(lit(7.0));
        assert_eq!(both(other.clone(), Operator::Eq), other);
    }
}
