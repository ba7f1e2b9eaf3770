//! `(a, b) IN (SELECT x, y …)`, spelled out with EXISTS: the query engine compares one value.
//!
//! ```text
//!  match    EXISTS (rows whose columns equal a, b)
//!  unknown  EXISTS (rows for which that is NULL)
//!
//!  IN  ──►  match OR (unknown AND NULL)        NOT IN  ──►  NOT match AND (NOT unknown OR NULL)
//! ```

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Ident, Query, Select, SelectItem, SetExpr,
    TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, UnaryOperator, Value, VisitMut,
    VisitorMut,
};

use super::wide_scopes::{empty_select, query_of};
use crate::TablesError;

/// What the rows of the subquery are called; no statement uses such a name.
const ROWS: &str = "rows of the subquery";

/// Spells out the memberships of a query.
///
/// # Errors
/// A subquery whose number of columns is plainly another than that of the values.
pub(super) fn rewrite<N: VisitMut>(node: &mut N) -> Result<()> {
    match node.visit(&mut RowValues) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

struct RowValues;

impl VisitorMut for RowValues {
    type Break = TablesError;

    /// In a condition, under nothing but AND, NULL is as good as false.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<TablesError> {
        let Some(condition) = &mut select.selection else { return ControlFlow::Continue(()) };
        let mut conditions = vec![condition];
        while let Some(condition) = conditions.pop() {
            match condition {
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                    conditions.extend([left.as_mut(), right.as_mut()]);
                }
                Expr::Nested(inner) => conditions.push(inner.as_mut()),
                Expr::InSubquery { expr, subquery, negated: false } => {
                    if let Some(values) = row_of(expr) {
                        match exists(values, subquery, false) {
                            Ok(found) => *condition = found,
                            Err(error) => return ControlFlow::Break(error),
                        }
                    }
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<TablesError> {
        if let Expr::InSubquery { expr: left, subquery, negated } = expr
            && let Some(values) = row_of(left)
        {
            match spelled(values, subquery, *negated) {
                Ok(spelled) => *expr = spelled,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

fn row_of(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(values) if values.len() > 1 => Some(values),
        Expr::Nested(inner) => row_of(inner),
        _ => None,
    }
}

fn spelled(values: &[Expr], subquery: &Query, negated: bool) -> Result<Expr, TablesError> {
    let matching = exists(values, subquery, false)?;
    let unknown = exists(values, subquery, true)?;
    let null = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::value(Value::Null)),
        data_type: DataType::Boolean,
        array: false,
        format: None,
    };
    Ok(nested(if negated {
        let known = nested(binary(not(unknown), BinaryOperator::Or, null));
        binary(not(matching), BinaryOperator::And, known)
    } else {
        let unknown = nested(binary(unknown, BinaryOperator::And, null));
        binary(matching, BinaryOperator::Or, unknown)
    }))
}

/// Whether the subquery has rows equal to the values, or rows for which that is unknown.
fn exists(values: &[Expr], subquery: &Query, unknown: bool) -> Result<Expr, TablesError> {
    if let SetExpr::Select(select) = subquery.body.as_ref()
        && select.projection.len() != values.len()
        && !select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
    {
        return Err(TablesError::invalid(format!(
            "IN compares {} values, but its subquery has {} columns, name as many",
            values.len(),
            select.projection.len()
        )));
    }
    let column = |position: usize| Ident::with_quote('"', format!("column {}", position + 1));
    let rows = Ident::with_quote('"', ROWS);
    let columns = (0..values.len())
        .map(|position| TableAliasColumnDef { name: column(position), data_type: None })
        .collect();
    let equal = values.iter().enumerate().map(|(position, value)| {
        let of_row = Expr::CompoundIdentifier(vec![rows.clone(), column(position)]);
        binary(nested(value.clone()), BinaryOperator::Eq, of_row)
    });
    let equal = equal.reduce(|all, one| binary(all, BinaryOperator::And, one));
    let equal = equal.ok_or_else(|| TablesError::invalid("IN compares no value"))?;
    let mut select =
        empty_select().map_err(|error| TablesError::Internal { reason: error.to_string() })?;
    select.projection =
        vec![SelectItem::UnnamedExpr(Expr::value(Value::Number("1".into(), false)))];
    select.from = vec![TableWithJoins {
        relation: TableFactor::Derived {
            lateral: false,
            subquery: Box::new(subquery.clone()),
            alias: Some(TableAlias { explicit: true, name: rows.clone(), columns, at: None }),
            sample: None,
        },
        joins: Vec::new(),
    }];
    select.selection = Some(if unknown { Expr::IsNull(Box::new(nested(equal))) } else { equal });
    let subquery = Box::new(query_of(SetExpr::Select(Box::new(select))));
    Ok(Expr::Exists { subquery, negated: false })
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}
