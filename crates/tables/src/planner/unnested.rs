//! `FROM t, unnest(t.tags) AS x`: the items of an array beside the row it is in.
//!
//! The query engine unnests in select lists, not from a table that stands before in FROM. So both
//! become one relation that goes by the table's name:
//!
//! ```text
//! t, unnest(t.tags) AS x   ──►   (SELECT t.*, unnest(t.tags) AS x FROM t) AS t
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, JoinOperator, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, visit_expressions, visit_expressions_mut,
};
use kalamdb_sql::stored_name;

use super::function_forms::call;
use super::marked_tables::is_marked;
use super::system_columns::factor_name;
use super::wide_scopes::{empty_select, query_of};

/// The column of items that are given no name.
const ITEMS: &str = "unnest";

/// Rewrites the tables of a query.
pub(super) fn rewrite<N: VisitMut>(node: &mut N) {
    let _: ControlFlow<()> = node.visit(&mut Unnested);
}

struct Unnested;

impl VisitorMut for Unnested {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut named = None;
        if let SetExpr::Select(select) = query.body.as_mut() {
            named = joined(select);
        }
        if let Some(Named { table, items, column }) = named {
            // The items have lost the name of their relation.
            let _: ControlFlow<()> = visit_expressions_mut(query, |expr| {
                if let Expr::CompoundIdentifier(parts) = expr
                    && let [relation, name] = parts.as_mut_slice()
                    && stored_name(relation) == items
                    && stored_name(name) == stored_name(&column)
                {
                    *relation = table.clone();
                }
                ControlFlow::Continue(())
            });
        }
        ControlFlow::Continue(())
    }
}

/// How what was in two relations is called in one.
struct Named {
    table: Ident,
    /// What the relation of the items was called.
    items: String,
    column: Ident,
}

/// Joins the first table of FROM with the unnested array that follows it.
fn joined(select: &mut Select) -> Option<Named> {
    let first = select.from.first()?;
    let in_joins = match first.joins.first() {
        Some(join) if matches!(join.join_operator, JoinOperator::CrossJoin(_)) => {
            array_of(&join.relation)
        }
        _ => None,
    };
    let follows = match (&in_joins, select.from.get(1)) {
        (None, Some(next)) if first.joins.is_empty() && next.joins.is_empty() => {
            array_of(&next.relation)
        }
        _ => None,
    };
    let by_comma = follows.is_some();
    let (array, alias) = in_joins.or(follows)?;
    let (relation, named) = with_items(&first.relation, array, alias)?;
    let first = select.from.first_mut()?;
    first.relation = relation;
    if by_comma {
        select.from.remove(1);
    } else {
        first.joins.remove(0);
    }
    Some(named)
}

/// The array a relation unnests, when columns are in it, and the relation's alias.
fn array_of(factor: &TableFactor) -> Option<(Expr, Option<TableAlias>)> {
    let (array, alias) = match factor {
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: false,
        } => match array_exprs.as_slice() {
            [array] => (array, alias),
            _ => return None,
        },
        TableFactor::Function { name, args, alias, .. } => {
            let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else { return None };
            match args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))]
                    if name.value.eq_ignore_ascii_case(ITEMS) =>
                {
                    (array, alias)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    let found = visit_expressions(array, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break().then(|| (array.clone(), alias.clone()))
}

fn with_items(
    table: &TableFactor,
    array: Expr,
    alias: Option<TableAlias>,
) -> Option<(TableFactor, Named)> {
    let TableFactor::Table { name, args: None, .. } = table else { return None };
    if is_marked(name) {
        return None;
    }
    let known_as = Ident::with_quote('"', factor_name(table)?);
    let (items, column) = match alias {
        Some(TableAlias { name, columns, .. }) => match columns.as_slice() {
            [] => (stored_name(&name), name),
            [column] => (stored_name(&name), column.name.clone()),
            _ => return None,
        },
        None => (String::from(ITEMS), Ident::new(ITEMS)),
    };
    let mut select = empty_select().ok()?;
    let whole = ObjectName(vec![ObjectNamePart::Identifier(known_as.clone())]);
    select.projection = vec![
        SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(whole),
            Default::default(),
        ),
        SelectItem::ExprWithAlias { expr: call(ITEMS, vec![array]), alias: column.clone() },
    ];
    select.from = vec![TableWithJoins { relation: table.clone(), joins: Vec::new() }];
    let name = known_as.clone();
    let derived = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias: Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None }),
        sample: None,
    };
    Some((derived, Named { table: known_as, items, column }))
}
