//! Windows that are written once: `OVER w`, `OVER (w ORDER BY b)`, `WINDOW w AS (PARTITION BY a),
//! v AS (w ORDER BY b)`.
//!
//! The query engine looks a name up in the select list only, and passes over the one a window
//! begins with. So every window is written out where it is used, also in QUALIFY and ORDER BY, by
//! PostgreSQL's rules: what begins with another window's name has its partitions, adds an order
//! when that has none, and has a frame of its own.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowExpr, Query, Select, SetExpr, VisitMut, VisitorMut, WindowSpec,
    WindowType,
};
use kalamdb_commons::SqlState;
use kalamdb_sql::{Position, SqlError, stored_name};

use crate::TablesError;

/// Writes out the named windows of every SELECT.
///
/// # Errors
/// A name that is none, or is given twice; a window that says again what the one it begins with
/// says; a frame in a window that others begin with.
pub(super) fn write_out(query: &mut Query) -> Result<()> {
    match query.visit(&mut Named) {
        ControlFlow::Break(error) => Err(TablesError::from(*error).into()),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Named;

impl VisitorMut for Named {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let Query { body, order_by, .. } = query;
        // A SELECT and its ORDER BY are one scope.
        if let (SetExpr::Select(select), Some(order_by)) = (body.as_ref(), order_by)
            && !select.named_window.is_empty()
        {
            let windows = Windows::of(select)?;
            order_by.visit(&mut Uses { windows: &windows, inside: 0 })?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        let windows = Windows::of(select)?;
        // What is not used is planned by nobody.
        select.named_window.clear();
        select.visit(&mut Uses { windows: &windows, inside: 0 })
    }
}

/// Writes windows out in one scope, not in the queries within it.
struct Uses<'a> {
    windows: &'a Windows,
    inside: usize,
}

impl VisitorMut for Uses<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if self.inside == 0
            && let Expr::Function(function) = expr
            && let Some(over) = &mut function.over
        {
            let spec = match over {
                WindowType::NamedWindow(name) => self.windows.named(name)?.clone(),
                WindowType::WindowSpec(spec) => self.windows.complete(spec.clone())?,
            };
            *over = WindowType::WindowSpec(spec);
        }
        ControlFlow::Continue(())
    }
}

/// The windows of a WINDOW clause, each complete.
#[derive(Default)]
struct Windows(HashMap<String, WindowSpec>);

type Found<T> = ControlFlow<Box<SqlError>, T>;

impl Windows {
    fn of(select: &Select) -> Found<Self> {
        let mut windows = Self::default();
        for window in &select.named_window {
            // It may begin with those before it.
            let spec = match &window.1 {
                NamedWindowExpr::NamedWindow(name) => windows.named(name)?.clone(),
                NamedWindowExpr::WindowSpec(spec) => windows.complete(spec.clone())?,
            };
            if windows.0.insert(stored_name(&window.0), spec).is_some() {
                let name = &window.0;
                let message = format!("there are two windows {name}, give one another name");
                return refused(SqlState::WindowError, message, name);
            }
        }
        Found::Continue(windows)
    }

    fn named(&self, name: &Ident) -> Found<&WindowSpec> {
        match self.0.get(&stored_name(name)) {
            Some(spec) => Found::Continue(spec),
            None => refused(
                SqlState::UndefinedObject,
                format!("there is no window {name}, define it with WINDOW {name} AS (…)"),
                name,
            ),
        }
    }

    /// The window with what it has from the one it begins with.
    fn complete(&self, mut spec: WindowSpec) -> Found<WindowSpec> {
        let Some(name) = spec.window_name.take() else { return Found::Continue(spec) };
        let base = self.named(&name)?;
        if !spec.partition_by.is_empty() {
            let message = format!(
                "a window that begins with window {name} has its PARTITION BY, write none of its \
                 own"
            );
            return refused(SqlState::WindowError, message, &name);
        }
        if !spec.order_by.is_empty() && !base.order_by.is_empty() {
            let message =
                format!("window {name} has an ORDER BY, what begins with it cannot have another");
            return refused(SqlState::WindowError, message, &name);
        }
        if base.window_frame.is_some() {
            let message = format!(
                "window {name} has a frame, so no other begins with it; use it as it is: OVER \
                 {name}"
            );
            return refused(SqlState::WindowError, message, &name);
        }
        spec.partition_by.clone_from(&base.partition_by);
        if spec.order_by.is_empty() {
            spec.order_by.clone_from(&base.order_by);
        }
        Found::Continue(spec)
    }
}

fn refused<T>(state: SqlState, message: String, name: &Ident) -> Found<T> {
    let start = name.span.start;
    // A token made by a rewrite stands nowhere.
    let position = (start.line > 0).then_some(Position { line: start.line, column: start.column });
    Found::Break(Box::new(SqlError::Coded { state, message, position }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_out(sql: &str) -> Result<String> {
        let mut query = match kalamdb_sql::parse(sql).unwrap().remove(0).statement {
            kalamdb_sql::Statement::Query(query) => *query,
            other => panic!("{} is no query", other.name()),
        };
        write_out(&mut query).map(|()| query.to_string())
    }

    #[test]
    fn windows_are_written_out_where_they_are_used() {
        for (sql, wanted) in [
            (
                "SELECT sum(a) OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY c)",
                "SELECT sum(a) OVER (PARTITION BY c ORDER BY b) FROM t",
            ),
            (
                "SELECT sum(a) OVER (W ROWS 1 PRECEDING), sum(a) OVER (w) FROM t \
                 WINDOW w AS (ORDER BY b)",
                "SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING), sum(a) OVER (ORDER BY b) \
                 FROM t",
            ),
            (
                "SELECT a FROM t QUALIFY rank() OVER v = 1 ORDER BY rank() OVER w",
                "there is no window v",
            ),
            (
                "SELECT a FROM t WINDOW w AS (PARTITION BY c), v AS (w ORDER BY b) \
                 QUALIFY rank() OVER v = 1 ORDER BY sum(a) OVER w",
                "SELECT a FROM t QUALIFY rank() OVER (PARTITION BY c ORDER BY b) = 1 \
                 ORDER BY sum(a) OVER (PARTITION BY c)",
            ),
            (
                "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY b ROWS 1 PRECEDING)",
                "SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING) FROM t",
            ),
        ] {
            match written_out(sql) {
                Ok(text) => assert_eq!(text, wanted),
                Err(error) => assert!(error.to_string().contains(wanted), "{sql}: {error}"),
            }
        }
    }

    #[test]
    fn a_window_says_nothing_again() {
        for (sql, part) in [
            ("OVER (w PARTITION BY a) FROM t WINDOW w AS (ORDER BY b)", "its PARTITION BY"),
            ("OVER (w ORDER BY a) FROM t WINDOW w AS (ORDER BY b)", "cannot have another"),
            ("OVER (w) FROM t WINDOW w AS (ORDER BY b ROWS 1 PRECEDING)", "OVER w"),
            ("OVER v FROM t WINDOW v AS (w), w AS (ORDER BY b)", "no window w"),
            ("OVER w FROM t WINDOW w AS (ORDER BY b), W AS (ORDER BY a)", "two windows"),
            (
                "OVER w, (SELECT sum(a) OVER w FROM t LIMIT 1) FROM t WINDOW w AS (ORDER BY b)",
                "no window w",
            ),
        ] {
            let error = written_out(&format!("SELECT sum(a) {sql}")).unwrap_err().to_string();
            assert!(error.contains(part), "{sql}: {error}");
        }
    }
}
