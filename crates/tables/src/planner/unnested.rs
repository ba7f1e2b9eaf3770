//! `FROM t, unnest(t.tags) AS x`: the items of an array beside the row it is in. Likewise
//! `generate_series(1, t.n)` and `json_array_elements(t.j)`, with LATERAL or without.
//!
//! The query engine unnests in select lists, not from a table that stands before in FROM. So both
//! become one relation that goes by the table's name:
//!
//! ```text
//! t, unnest(t.tags) AS x   ──►   (SELECT t.*, unnest(t.tags) AS x FROM t) AS t
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins,
    Value, VisitMut, VisitorMut, visit_expressions_mut,
};
use kalamdb_sql::stored_name;

use super::function_forms::{call, formed};
use super::marked_tables::is_marked;
use super::system_columns::factor_name;
use super::table_functions::{self, JSON_ITEMS, VALUE};
use super::wide_scopes::{empty_select, query_of};

/// The function of an array's items.
const ITEMS: &str = "unnest";
/// The column of their numbers that is given no name.
const ORDINALITY: &str = "ordinality";
/// The numbers of an array's items.
const NUMBERS: &str = "generate_series(1, CAST(coalesce(array_length($1), 0) AS BIGINT))";

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
        if let Some(Named { table, items, columns }) = named {
            // The items have lost the name of their relation.
            let _: ControlFlow<()> = visit_expressions_mut(query, |expr| {
                if let Expr::CompoundIdentifier(parts) = expr
                    && let [relation, name] = parts.as_mut_slice()
                    && stored_name(relation) == items
                    && let Some(column) = meant(name, &columns)
                {
                    *relation = table.clone();
                    *name = column;
                }
                ControlFlow::Continue(())
            });
        }
        ControlFlow::Continue(())
    }
}

/// The column a name stands for: `value` is that of the items, whatever they are called.
fn meant(name: &Ident, columns: &[Ident]) -> Option<Ident> {
    let name = stored_name(name);
    let found = columns.iter().find(|column| stored_name(column) == name);
    found.or(columns.first().filter(|_| name == VALUE)).cloned()
}

/// How what was in two relations is called in one.
struct Named {
    table: Ident,
    /// What the relation of the items was called.
    items: String,
    columns: Vec<Ident>,
}

/// An array of the columns before it in FROM.
struct Array {
    items: Expr,
    /// The function that makes rows of them.
    function: String,
    alias: Option<TableAlias>,
    /// Whether the items are numbered.
    ordinality: bool,
}

/// Joins the first table of FROM with the unnested array that follows it.
fn joined(select: &mut Select) -> Option<Named> {
    let first = select.from.first()?;
    let in_joins = match first.joins.first() {
        Some(join) if joins_all(&join.join_operator) => array_of(&join.relation),
        _ => None,
    };
    let follows = match (&in_joins, select.from.get(1)) {
        (None, Some(next)) if first.joins.is_empty() && next.joins.is_empty() => {
            array_of(&next.relation)
        }
        _ => None,
    };
    let by_comma = follows.is_some();
    let (relation, named) = with_items(&first.relation, in_joins.or(follows)?)?;
    let first = select.from.first_mut()?;
    first.relation = relation;
    if by_comma {
        select.from.remove(1);
    } else {
        first.joins.remove(0);
    }
    Some(named)
}

/// CROSS JOIN and JOIN … ON true.
fn joins_all(operator: &JoinOperator) -> bool {
    match operator {
        JoinOperator::CrossJoin(_) => true,
        JoinOperator::Join(JoinConstraint::On(Expr::Value(value)))
        | JoinOperator::Inner(JoinConstraint::On(Expr::Value(value))) => {
            matches!(value.value, Value::Boolean(true))
        }
        _ => false,
    }
}

/// The array whose items a relation is, when columns are in it.
fn array_of(factor: &TableFactor) -> Option<Array> {
    let ordinality = match factor {
        TableFactor::UNNEST { with_offset: true, .. } => return None,
        TableFactor::UNNEST { with_ordinality, .. }
        | TableFactor::Table { with_ordinality, .. }
        | TableFactor::Function { with_ordinality, .. } => *with_ordinality,
        _ => return None,
    };
    let (function, arguments, alias) = table_functions::function(factor)?;
    let items = table_functions::array_of(&function, &arguments)?;
    let array = Array { items, function, alias: alias.clone(), ordinality };
    table_functions::names_columns(&array.items).then_some(array)
}

impl Array {
    /// What its relation and the columns of that are called.
    fn names(&self) -> Option<(String, Vec<Ident>)> {
        let count = 1 + usize::from(self.ordinality);
        let json = JSON_ITEMS.contains(&self.function.as_str());
        let own = if json { VALUE } else { self.function.as_str() };
        let (relation, first, given) = match &self.alias {
            Some(TableAlias { name, columns, .. }) => {
                let given = columns.iter().map(|column| column.name.clone()).collect();
                (stored_name(name), name.clone(), given)
            }
            None => (self.function.clone(), Ident::new(own), Vec::new()),
        };
        if given.len() > count {
            return None;
        }
        let mut columns = vec![first, Ident::new(ORDINALITY)];
        columns.truncate(count);
        columns.splice(..given.len(), given);
        Some((relation, columns))
    }

    /// The items, and their numbers where they are asked for, under those names.
    fn selected(&self, columns: &[Ident]) -> Option<Vec<SelectItem>> {
        let mut arrays = vec![self.items.clone()];
        if self.ordinality {
            arrays.push(formed(NUMBERS, std::slice::from_ref(&self.items)).ok()?);
        }
        let items = arrays.into_iter().zip(columns).map(|(array, name)| {
            SelectItem::ExprWithAlias { expr: call(ITEMS, vec![array]), alias: name.clone() }
        });
        Some(items.collect())
    }
}

/// A relation of an array's items and their numbers.
pub(super) fn numbered(
    function: String,
    items: Expr,
    alias: &Option<TableAlias>,
) -> Option<TableFactor> {
    let array = Array { items, function, alias: alias.clone(), ordinality: true };
    let (relation, columns) = array.names()?;
    let mut select = empty_select().ok()?;
    select.projection = array.selected(&columns)?;
    let name = Ident::with_quote('"', relation);
    Some(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias: Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None }),
        sample: None,
    })
}

fn with_items(table: &TableFactor, array: Array) -> Option<(TableFactor, Named)> {
    match table {
        TableFactor::Table { name, args: None, .. } if !is_marked(name) => {}
        TableFactor::Derived { lateral: false, alias: Some(_), .. } => {}
        _ => return None,
    }
    let known_as = Ident::with_quote('"', factor_name(table)?);
    let (items, columns) = array.names()?;
    let mut select = empty_select().ok()?;
    let whole = ObjectName(vec![ObjectNamePart::Identifier(known_as.clone())]);
    select.projection = vec![SelectItem::QualifiedWildcard(
        SelectItemQualifiedWildcardKind::ObjectName(whole),
        Default::default(),
    )];
    select.projection.extend(array.selected(&columns)?);
    select.from = vec![TableWithJoins { relation: table.clone(), joins: Vec::new() }];
    let name = known_as.clone();
    let derived = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias: Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None }),
        sample: None,
    };
    Some((derived, Named { table: known_as, items, columns }))
}
