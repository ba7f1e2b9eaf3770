//! Functions in FROM: their one column goes by their alias, or else by their own name, as in
//! PostgreSQL. `generate_series(1, 3) AS g` is a table `g` of a column `g`.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, TableAlias, TableAliasColumnDef,
    TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};
use kalamdb_sql::SqlError;

use super::function_forms::call;
use super::unnested;
use crate::TablesError;

/// The functions of an array's items.
const ITEMS: &str = "unnest";
/// The functions that are rows in FROM and arrays elsewhere.
pub(super) const SERIES: [&str; 2] = ["generate_series", "range"];
/// The functions that are arrays elsewhere and have a column `value` in FROM, with any alias.
pub(super) const JSON_ITEMS: [&str; 2] = ["json_array_elements", "jsonb_array_elements"];
/// The column of those.
pub(super) const VALUE: &str = "value";

/// Refuses what cannot stand in FROM. LATERAL is left out where it says nothing, and any function
/// WITH ORDINALITY becomes a subquery of items and numbers.
///
/// # Errors
/// Arguments that name columns, and WITH ORDINALITY after what has no items.
pub(super) fn check<N: VisitMut>(node: &mut N) -> Result<()> {
    match node.visit(&mut Check) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

/// Names the columns that are given no name; false when there was none.
pub(super) fn name_columns<N: VisitMut>(node: &mut N) -> bool {
    let mut naming = Naming { named: false };
    let _: ControlFlow<()> = node.visit(&mut naming);
    naming.named
}

struct Check;

impl VisitorMut for Check {
    type Break = TablesError;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<TablesError> {
        match checked(factor) {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(form)) => {
                *factor = form;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn checked(factor: &TableFactor) -> Result<Option<TableFactor>, TablesError> {
    let numbered = matches!(
        factor,
        TableFactor::Table { with_ordinality: true, .. }
            | TableFactor::UNNEST { with_ordinality: true, .. }
    );
    let Some((name, arguments, alias)) = function(factor) else {
        if numbered {
            let advice = "number the rows by row_number() OVER (…)";
            return Err(SqlError::unsupported("WITH ORDINALITY after a table", advice).into());
        }
        return Ok(None);
    };
    if arguments.iter().any(names_columns) {
        let what = format!("{name} in FROM of columns of another table");
        let advice = "write it right after the first table of FROM, or in the select list";
        return Err(SqlError::unsupported(what, advice).into());
    }
    if numbered {
        let array = array_of(&name, &arguments);
        let numbered = array.and_then(|array| unnested::numbered(name.clone(), array, alias));
        return numbered.map(Some).ok_or_else(|| {
            let advice = "it numbers the items of unnest, generate_series and json_array_elements";
            SqlError::unsupported(format!("WITH ORDINALITY after {name}"), advice).into()
        });
    }
    if let TableFactor::Function { lateral: true, name, args, alias, .. } = factor
        && let Some(array) = array_of(&name.to_string().to_lowercase(), &arguments)
    {
        // Nothing of it comes from another table.
        let alias = alias.clone();
        return Ok(Some(if name.to_string().eq_ignore_ascii_case(ITEMS) {
            TableFactor::UNNEST {
                alias,
                array_exprs: vec![array],
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: false,
            }
        } else {
            let (name, args) = (name.clone(), args.clone());
            TableFactor::Function { lateral: false, name, args, with_ordinality: false, alias }
        }));
    }
    Ok(None)
}

/// Name, arguments and alias of a function in FROM.
pub(super) fn function(factor: &TableFactor) -> Option<(String, Vec<Expr>, &Option<TableAlias>)> {
    let (name, args, alias) = match factor {
        TableFactor::UNNEST { alias, array_exprs, .. } => {
            return Some((String::from(ITEMS), array_exprs.clone(), alias));
        }
        TableFactor::Table { name, args: Some(args), alias, .. } => (name, &args.args, alias),
        TableFactor::Function { name, args, alias, .. } => (name, args, alias),
        _ => return None,
    };
    let arguments = args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    Some((name_of(name)?, arguments.collect::<Option<_>>()?, alias))
}

fn name_of(name: &ObjectName) -> Option<String> {
    let [part] = name.0.as_slice() else { return None };
    Some(part.as_ident()?.value.to_lowercase())
}

/// The array whose items are the rows; `None` for any other function.
pub(super) fn array_of(name: &str, arguments: &[Expr]) -> Option<Expr> {
    match (name, arguments) {
        (ITEMS, [array]) => Some(array.clone()),
        _ if SERIES.contains(&name) || JSON_ITEMS.contains(&name) => {
            let name = name.replace("jsonb_", "json_");
            Some(call(&name, arguments.to_vec()))
        }
        _ => None,
    }
}

/// Whether an argument names columns, those of its own subqueries aside.
pub(super) fn names_columns(argument: &Expr) -> bool {
    argument.visit(&mut Columns { inside: 0 }).is_break()
}

struct Columns {
    /// Queries open around what is visited.
    inside: usize,
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) if self.inside == 0 => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

struct Naming {
    named: bool,
}

impl VisitorMut for Naming {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let Some((name, arguments, _)) = function(factor) else {
            return ControlFlow::Continue(());
        };
        let columns = match name.as_str() {
            ITEMS => arguments.len(),
            series if SERIES.contains(&series) => 1,
            _ => return ControlFlow::Continue(()),
        };
        let (TableFactor::Table { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }) = factor
        else {
            return ControlFlow::Continue(());
        };
        let alias = alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: Ident::new(name.as_str()),
            columns: Vec::new(),
            at: None,
        });
        if alias.columns.is_empty() {
            self.named = true;
            alias.columns = match columns {
                1 => vec![column(alias.name.clone())],
                _ => (0..columns).map(|number| column(numbered(&name, number))).collect(),
            };
        }
        ControlFlow::Continue(())
    }
}

fn column(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name, data_type: None }
}

/// As DuckDB does, the second of two of one name has a number.
fn numbered(name: &str, number: usize) -> Ident {
    if number == 0 { Ident::new(name) } else { Ident::new(format!("{name}_{number}")) }
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

    #[test]
    fn one_column_goes_by_the_alias() {
        for (sql, wanted) in [
            ("SELECT g FROM generate_series(1, 3) g", "g (g)"),
            ("SELECT 1 FROM range(3) AS R", "R (R)"),
            ("SELECT 1 FROM generate_series(1, 3)", "AS generate_series (generate_series)"),
            ("SELECT 1 FROM unnest([1])", "AS unnest (unnest)"),
            ("SELECT 1 FROM unnest([1], [2]) AS u", "AS u (unnest, unnest_1)"),
        ] {
            let mut named = query(sql);
            assert!(name_columns(&mut named));
            assert!(named.to_string().ends_with(wanted), "{named}");
        }
        assert!(!name_columns(&mut query("SELECT x FROM generate_series(1, 3) AS g (x)")));
        assert!(!name_columns(&mut query("SELECT * FROM t, unnest_all(1) AS u")));
    }

    #[test]
    fn columns_of_other_tables_are_refused_by_name() {
        let refused = |sql: &str| check(&mut query(sql)).unwrap_err().to_string();
        let error = refused("SELECT 1 FROM a JOIN b ON true, generate_series(1, b.c) s");
        assert!(error.contains("generate_series in FROM of columns of another table"), "{error}");
        assert!(
            refused("SELECT 1 FROM t WITH ORDINALITY").contains("WITH ORDINALITY after a table")
        );
        let own = "SELECT 1 FROM generate_series(1, (SELECT max(id) FROM t)) s";
        assert!(check(&mut query(own)).is_ok());
    }
}
