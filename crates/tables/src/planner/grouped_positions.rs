//! What GROUP BY may name. A number is an item of the select list, in `ROLLUP (1, 2)`, CUBE and
//! GROUPING SETS as well: the query engine knows them outside of sets only, and would group by the
//! constant. Other constants, aggregates and window functions are refused.

use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Spanned, UnaryOperator, Value, Visit,
    VisitMut, Visitor, VisitorMut,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::{Position, SqlError};

use super::grouped_sets;
use crate::TablesError;

/// Puts the items in the places of their numbers, in every SELECT of a query, and spells out the
/// sets that the query engine does not know.
///
/// # Errors
/// What nothing can be grouped by.
pub(super) fn resolve(state: &SessionState, query: &mut Query) -> Result<()> {
    match query.visit(&mut Positions { state }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Positions<'a> {
    state: &'a SessionState,
}

impl VisitorMut for Positions<'_> {
    type Break = DataFusionError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        self.resolve_in(&mut query.body).map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

impl Positions<'_> {
    fn resolve_in(&self, body: &mut SetExpr) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.resolve_groups(select),
            // A query in parentheses is visited as one.
            SetExpr::SetOperation { left, right, .. } => {
                self.resolve_in(left)?;
                self.resolve_in(right)
            }
            _ => Ok(()),
        }
    }

    fn resolve_groups(&self, select: &mut Select) -> Result<()> {
        let Select { group_by, projection, from, .. } = select;
        let GroupByExpr::Expressions(groups, _) = group_by else { return Ok(()) };
        grouped_sets::flatten(groups);
        for group in groups {
            grouped_sets::spell_out_nested(group)?;
            let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = group else {
                // The query engine puts the item in its place.
                self.grouped(group, projection)?;
                continue;
            };
            for member in sets.iter_mut().flatten() {
                match self.grouped(member, projection)? {
                    Grouped::Item(item) => *member = item,
                    Grouped::Itself => {}
                    Grouped::Unknown => return Err(beside_wildcard()),
                }
            }
            grouped_sets::spell_out(group, from)?;
        }
        Ok(())
    }

    /// Checks what is grouped by.
    fn grouped(&self, member: &Expr, items: &[SelectItem]) -> Result<Grouped> {
        let refused = |state, message| {
            let error = SqlError::Coded { state, message, position: begin_of(member) };
            Err(TablesError::from(error).into())
        };
        let (what, grouped) = match constant(member) {
            None => (String::new(), Grouped::Itself),
            Some(Constant::Position(number)) => {
                let what = format!("column {number} of the select list is ");
                let item = item(items, number)?;
                (what, item.map_or(Grouped::Unknown, Grouped::Item))
            }
            // One value for all rows, as the result shows.
            Some(Constant::Value) if is_item(member, items) => return Ok(Grouped::Itself),
            Some(Constant::Beyond(number)) => return Err(no_item(&number, items)),
            Some(Constant::Value) => {
                let message = format!(
                    "{member} is a constant, GROUP BY takes columns, expressions of them, and \
                     numbers of items of the select list"
                );
                return refused(SqlState::Syntax, message);
            }
        };
        let computed = match &grouped {
            Grouped::Item(item) => self.computed(item),
            _ => self.computed(member),
        };
        let (state, kind) = match computed {
            None => return Ok(grouped),
            Some(Computed::Aggregate) => (SqlState::Grouping, "an aggregate"),
            Some(Computed::Window) => (SqlState::WindowError, "a window function (OVER)"),
        };
        let which = if what.is_empty() { "" } else { ", which" };
        let message = format!(
            "{what}{kind}{which} cannot stand in GROUP BY, compute it in a subquery and group by \
             that"
        );
        refused(state, message)
    }

    /// What in an expression, outside of its subqueries, is computed of many rows.
    fn computed(&self, expr: &Expr) -> Option<Computed> {
        match expr.visit(&mut Calls { state: self.state, inside: 0 }) {
            ControlFlow::Break(computed) => Some(computed),
            ControlFlow::Continue(()) => None,
        }
    }
}

/// What a member of GROUP BY stands for.
enum Grouped {
    /// What is written.
    Itself,
    /// This item of the select list.
    Item(Expr),
    /// An item that is not known yet.
    Unknown,
}

fn beside_wildcard() -> DataFusionError {
    let what = "a number in ROLLUP, CUBE or GROUPING SETS beside a * in the select list";
    TablesError::NotSupported { what: what.to_owned() }.into()
}

enum Constant {
    /// A number from 1.
    Position(usize),
    /// A number that no item has.
    Beyond(String),
    /// Anything else.
    Value,
}

fn constant(member: &Expr) -> Option<Constant> {
    match member {
        Expr::Nested(inner) => constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(expr)? {
            Constant::Position(number) => Some(Constant::Beyond(format!("-{number}"))),
            Constant::Beyond(number) => Some(Constant::Beyond(format!("-{number}"))),
            Constant::Value => Some(Constant::Value),
        },
        Expr::Value(value) => match &value.value {
            Value::Placeholder(_) => None,
            Value::Number(number, _) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(match number.parse() {
                    Ok(position @ 1..) => Constant::Position(position),
                    _ => Constant::Beyond(number.to_string()),
                })
            }
            _ => Some(Constant::Value),
        },
        _ => None,
    }
}

/// The item at a position; `None` when it stands at or after a `*`: what that is, is not known yet.
fn item(items: &[SelectItem], position: usize) -> Result<Option<Expr>> {
    let before = position.checked_sub(1).and_then(|index| items.get(..=index));
    if items.iter().take(position).any(is_wildcard) {
        return Ok(None);
    }
    match before.and_then(<[SelectItem]>::last) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            Ok(Some(expr.clone()))
        }
        Some(_) => Ok(None),
        None => Err(no_item(&position.to_string(), items)),
    }
}

fn no_item(number: &str, items: &[SelectItem]) -> DataFusionError {
    DataFusionError::Plan(format!(
        "Cannot find column with position {number} in SELECT clause. Valid columns: 1 to {}",
        items.len()
    ))
}

fn is_item(member: &Expr, items: &[SelectItem]) -> bool {
    items.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr == member,
        _ => false,
    })
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

enum Computed {
    Aggregate,
    Window,
}

/// Finds aggregates and window functions.
struct Calls<'a> {
    state: &'a SessionState,
    /// How many subqueries it is in: what they compute is theirs.
    inside: usize,
}

impl Visitor for Calls<'_> {
    type Break = Computed;

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<Computed> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Computed> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Computed> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        if self.inside > 0 {
            return ControlFlow::Continue(());
        }
        if function.over.is_some() {
            return ControlFlow::Break(Computed::Window);
        }
        let name = function.name.to_string().to_lowercase();
        let state = self.state;
        let is_aggregate = state.aggregate_functions().contains_key(&name)
            && !state.scalar_functions().contains_key(&name);
        if is_aggregate {
            return ControlFlow::Break(Computed::Aggregate);
        }
        ControlFlow::Continue(())
    }
}

/// A token made by a rewrite stands nowhere.
fn begin_of(member: &Expr) -> Option<Position> {
    let start = member.span().start;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}
