//! One cell takes one value: functions that return rows cannot stand where a value is assigned.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Query, Visit, Visitor};
use kalamdb_sql::stored_name;

use crate::TablesError;

/// The functions that make several rows of one.
const SET_RETURNING: [&str; 1] = ["unnest"];

/// Refuses such a function in the value of a column. In a subquery it may stand: there it makes
/// rows of the subquery.
pub(super) fn refuse(value: &ast::Expr, column: &str) -> Result<(), TablesError> {
    match value.visit(&mut Search { queries: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(function) => Err(TablesError::invalid(format!(
            "{function} returns rows and cannot give column {column} its value, select one value \
             in a subquery"
        ))),
    }
}

struct Search {
    /// Subqueries around what is being looked at.
    queries: usize,
}

impl Visitor for Search {
    type Break = String;

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<String> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<String> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<String> {
        if self.queries == 0
            && let ast::Expr::Function(function) = expr
            && let [part] = function.name.0.as_slice()
            && let Some(name) = part.as_ident().map(stored_name)
            && SET_RETURNING.contains(&name.as_str())
        {
            return ControlFlow::Break(name);
        }
        ControlFlow::Continue(())
    }
}
