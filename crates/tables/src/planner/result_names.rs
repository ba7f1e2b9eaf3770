//! Columns without a name of their own are called as they are written: `SELECT a+1, COUNT(*)`
//! gives `a + 1` and `count(*)`.
//!
//! Keywords are upper case, names that are not quoted lower case, blanks as they should be. The
//! same holds for the columns of subqueries in FROM and WITH, which can be named by it: `SELECT
//! "count(*)" FROM (SELECT count(*) FROM t)`.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectNamePart, Query, Select, SelectItem, SetExpr, SetQuantifier, TableFactor,
    VisitMut, VisitorMut, visit_expressions_mut,
};
use kalamdb_sql::stored_name;

use super::several_columns;

/// Characters a name has at most; of longer expressions it is the beginning.
const NAME_CHARS_MAX: usize = 120;

/// The names of a query's columns by position; `None` where the plan's own is right.
pub(super) fn of(query: &Query, columns: usize) -> Vec<Option<String>> {
    let mut names = vec![None; columns];
    let Some(select) = first_select(&query.body) else { return names };
    let items = &select.projection;
    let is_wildcard = |item: &SelectItem| {
        matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
    };
    let Some(first) = items.iter().position(is_wildcard) else {
        // Otherwise one item has become several columns.
        if items.len() == columns {
            names = items.iter().map(result_name).collect();
        }
        return names;
    };
    let last = items.iter().rposition(is_wildcard).unwrap_or(first);
    for (name, item) in names.iter_mut().zip(&items[..first]) {
        *name = result_name(item);
    }
    for (name, item) in names.iter_mut().rev().zip(items[last + 1..].iter().rev()) {
        *name = result_name(item);
    }
    names
}

/// The name of an item of the result that has none; a field of a STRUCT has its own.
fn result_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(stored_name),
        item => shown_name(item),
    }
}

/// Gives the columns of subqueries in FROM and WITH their names; false when there was none to give.
pub(super) fn name_inner<N: VisitMut>(node: &mut N) -> bool {
    let mut inner = Inner { named: false };
    let _: ControlFlow<()> = node.visit(&mut inner);
    inner.named
}

struct Inner {
    named: bool,
}

impl VisitorMut for Inner {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            self.name_items(&mut cte.query.body);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor {
            self.name_items(&mut subquery.body);
        }
        ControlFlow::Continue(())
    }
}

impl Inner {
    fn name_items(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => self.name_items_of(select),
            SetExpr::Query(query) => self.name_items(&mut query.body),
            // The left side names the columns of both.
            SetExpr::SetOperation { left, right, set_quantifier, .. }
                if !by_name(*set_quantifier) =>
            {
                self.name_items(left);
                self.tell_apart(right);
            }
            _ => {}
        }
    }

    /// Gives others to names that are there already: they are ambiguous only where they are used.
    fn tell_apart(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => self.tell_items_apart(select),
            SetExpr::Query(query) => self.tell_apart(&mut query.body),
            SetExpr::SetOperation { left, right, set_quantifier, .. }
                if !by_name(*set_quantifier) =>
            {
                self.tell_apart(left);
                self.tell_apart(right);
            }
            _ => {}
        }
    }

    fn tell_items_apart(&mut self, select: &mut Select) {
        let all: Vec<_> = select.projection.iter().map(written_name).collect();
        let mut uses: HashMap<String, (usize, usize)> = HashMap::new();
        for name in all.iter().flatten() {
            uses.entry(name.clone()).or_default().0 += 1;
        }
        for (item, name) in select.projection.iter_mut().zip(all) {
            let Some(name) = name else { continue };
            let Some((2.., number)) = uses.get_mut(&name) else { continue };
            *number += 1;
            let other = several_columns::given(&name, *number);
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item
            else {
                continue;
            };
            let alias = Ident::with_quote('"', other);
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            self.named = true;
        }
    }

    fn name_items_of(&mut self, select: &mut Select) {
        self.tell_items_apart(select);
        let mut names: HashSet<String> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(stored_name(alias)),
                _ => None,
            })
            .collect();
        let select_items = select.projection.len();
        for item in &mut select.projection {
            let Some(name) = shown_name(item) else { continue };
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            // As DuckDB does, the second of two of one name has a number.
            let numbered = (1..=select_items).map(|number| format!("{name}_{number}"));
            let free = std::iter::once(name.clone()).chain(numbered);
            let Some(name) = free.into_iter().find(|name| !names.contains(name)) else { continue };
            names.insert(name.clone());
            let alias = Ident::with_quote('"', name);
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            self.named = true;
        }
    }
}

/// The name an item has without being given one: its alias, or that of the column it is.
pub(super) fn written_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(stored_name(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(stored_name(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(stored_name),
        _ => None,
    }
}

fn by_name(quantifier: SetQuantifier) -> bool {
    use SetQuantifier::{AllByName, ByName, DistinctByName};
    matches!(quantifier, ByName | AllByName | DistinctByName)
}

/// The SELECT that names the columns of a result.
pub(super) fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, set_quantifier, .. } if !by_name(*set_quantifier) => {
            first_select(left)
        }
        _ => None,
    }
}

/// The name of an item that has none.
pub(super) fn shown_name(item: &SelectItem) -> Option<String> {
    let SelectItem::UnnamedExpr(expr) = item else { return None };
    let mut expr = expr;
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return None;
    }
    let mut expr = expr.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |expr| {
        match expr {
            Expr::Identifier(name) => lower(name),
            Expr::CompoundIdentifier(parts) => parts.iter_mut().for_each(lower),
            Expr::Function(function) => {
                for part in &mut function.name.0 {
                    if let ObjectNamePart::Identifier(name) = part {
                        lower(name);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let text = lower_calls(&expr.to_string());
    let mut name: String = text.chars().take(NAME_CHARS_MAX).collect();
    if name.len() < text.len() {
        name.push('…');
    }
    Some(name)
}

/// The text with functions in lower case that the parser has a syntax of their own for.
fn lower_calls(text: &str) -> String {
    const CALLS: [&str; 7] =
        ["CEIL(", "FLOOR(", "OVERLAY(", "POSITION(", "SUBSTR(", "SUBSTRING(", "TRIM("];
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let begins = !out.ends_with(|before: char| before.is_alphanumeric() || before == '_');
        if quote.is_none()
            && begins
            && let Some(call) = CALLS.iter().find(|call| rest.starts_with(**call))
        {
            out.push_str(&call.to_lowercase());
            rest = &rest[call.len()..];
            continue;
        }
        quote = match quote {
            Some(open) if open == first => None,
            None if matches!(first, '\'' | '"') => Some(first),
            open => open,
        };
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

fn lower(name: &mut Ident) {
    if name.quote_style.is_none() {
        name.value = name.value.to_lowercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(sql: &str) -> Query {
        match kalamdb_sql::parse(sql).unwrap().remove(0).statement {
            kalamdb_sql::Statement::Query(query) => *query,
            other => panic!("{} is no query", other.name()),
        }
    }

    fn names(sql: &str, columns: usize) -> Vec<String> {
        of(&query(sql), columns).into_iter().map(|name| name.unwrap_or_default()).collect()
    }

    #[test]
    fn expressions_are_called_as_they_are_written() {
        let sql = "SELECT 1+1, COUNT( * ), Sum(A), a, t.a, (a), \"A\"||'x', a AS b FROM t";
        let wanted = ["1 + 1", "count(*)", "sum(a)", "", "a", "", "\"A\" || 'x'", ""];
        assert_eq!(names(sql, 8), wanted);
    }

    #[test]
    fn functions_are_lower_case_and_texts_stay() {
        let sql = "SELECT CEIL(a), Substring(b, 1, 2), 'CEIL(x)' || trim(c), MYTRIM(d) FROM t";
        let wanted = ["ceil(a)", "substring(b, 1, 2)", "'CEIL(x)' || trim(c)", "mytrim(d)"];
        assert_eq!(names(sql, 4), wanted);
    }

    #[test]
    fn what_stands_around_a_wildcard_keeps_its_place() {
        assert_eq!(names("SELECT 1, *, 2, 3 FROM t", 6), ["1", "", "", "", "2", "3"]);
        assert_eq!(names("SELECT a + 1 FROM t UNION SELECT 2", 1), ["a + 1"]);
        assert_eq!(names("SELECT unnest(s) FROM t", 2), ["", ""]);
    }

    #[test]
    fn long_expressions_make_bounded_names() {
        let sql = format!("SELECT '{}'", "é".repeat(500));
        let name = names(&sql, 1).remove(0);
        assert_eq!(name.chars().count(), NAME_CHARS_MAX + 1);
    }

    #[test]
    fn inner_columns_are_named_once() {
        let mut inner =
            query("WITH w AS (SELECT 1, 1, 2 AS \"2\", 2) SELECT * FROM (SELECT a+1 FROM w)");
        assert!(name_inner(&mut inner));
        let text = inner.to_string();
        assert!(
            text.contains("(SELECT 1 AS \"1\", 1 AS \"1_1\", 2 AS \"2\", 2 AS \"2_1\")"),
            "{text}"
        );
        assert!(text.contains("(SELECT a + 1 AS \"a + 1\" FROM w)"), "{text}");
        assert!(!name_inner(&mut query("SELECT a + 1 FROM (SELECT a FROM t)")));
    }

    #[test]
    fn inner_columns_of_one_name_are_told_apart() {
        let mut inner = query(
            "WITH w AS (SELECT a, t.a, b AS a_1 FROM t) SELECT 1 FROM (SELECT 1 AS a, 2 AS a)",
        );
        assert!(name_inner(&mut inner));
        let text = inner.to_string();
        let text = text.replace('\u{1}', "");
        assert!(text.contains("(SELECT a AS \"a:1\", t.a AS \"a:2\", b AS a_1 FROM t)"), "{text}");
        assert!(text.contains("(SELECT 1 AS \"a:1\", 2 AS \"a:2\")"), "{text}");
    }
}
