//! RETURNING as a query over the rows the statement changes.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableWithJoins, Visit, Visitor, WildcardAdditionalOptions, With,
};
use kalamdb_commons::system_columns::is_system_column;
use kalamdb_sql::{CATALOG_NAME, TableEntry, stored_name};

use super::lower_change::Target;
use super::statement_rows::{RowsOf, place_column};
use crate::TablesError;
use crate::planner::{PlanContext, empty_select, mark_rows, query_of};

/// The refusal of aggregates.
const AGGREGATE: &str =
    "aggregate functions are not allowed in RETURNING, it gives back single rows";

/// Plans RETURNING: a row's place, then what is given back of it. `None` without items.
pub(super) fn plan_returning(
    context: &PlanContext<'_>,
    entry: &TableEntry,
    target: &Target<'_>,
    rows: RowsOf,
    items: &[SelectItem],
    with: Option<&With>,
) -> Result<Option<LogicalPlan>> {
    if items.is_empty() {
        return Ok(None);
    }
    let names = context.names();
    names.catalog.authorize_read(&names.principal, entry).map_err(TablesError::from)?;
    refuse_unknown_values(entry, rows, items)?;
    let mut select = empty_select()?;
    select.projection =
        vec![SelectItem::UnnamedExpr(Expr::Identifier(quoted(&place_column(&entry.layout))))];
    for item in items {
        match item {
            SelectItem::Wildcard(options) => {
                select.projection.extend(all_columns(entry, target, options)?);
            }
            SelectItem::QualifiedWildcard(qualifier, options) => {
                check_qualifier(entry, target, qualifier)?;
                select.projection.extend(all_columns(entry, target, options)?);
            }
            other => select.projection.push(other.clone()),
        }
    }
    let relation = target.factor(|name| mark_rows(name, rows));
    select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    let mut query = query_of(SetExpr::Select(Box::new(select)));
    query.with = with.cloned();
    let plan = context.plan_result(&query).map_err(|error| {
        // There is a column beside the items: the row's place.
        let groups = error.to_string().contains("must appear in the GROUP BY clause");
        if groups { TablesError::invalid(AGGREGATE).into() } else { error }
    })?;
    check_row_by_row(&plan)?;
    Ok(Some(plan))
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// `*`: the declared columns.
fn all_columns(
    entry: &TableEntry,
    target: &Target<'_>,
    options: &WildcardAdditionalOptions,
) -> Result<Vec<SelectItem>, TablesError> {
    if *options != WildcardAdditionalOptions::default() {
        return Err(TablesError::invalid(
            "EXCLUDE, EXCEPT, REPLACE, RENAME and ILIKE are not supported after * in RETURNING, \
             name the columns",
        ));
    }
    let columns = entry.definition.columns.iter();
    Ok(columns.map(|column| SelectItem::UnnamedExpr(target.column(&column.name))).collect())
}

/// Refuses `u.*` where `u` is not what the target goes by.
fn check_qualifier(
    entry: &TableEntry,
    target: &Target<'_>,
    qualifier: &SelectItemQualifiedWildcardKind,
) -> Result<(), TablesError> {
    let SelectItemQualifiedWildcardKind::ObjectName(name) = qualifier else {
        return Err(TablesError::invalid("name a table before .* in RETURNING"));
    };
    let definition = &entry.definition;
    let whole = match target.alias {
        Some(alias) => vec![stored_name(alias)],
        None => [CATALOG_NAME, &definition.namespace, &definition.name].map(str::to_owned).to_vec(),
    };
    match parts(name) {
        Some(parts) if whole.ends_with(&parts) => Ok(()),
        _ => Err(TablesError::invalid(format!(
            "there is no table {name} in RETURNING, the statement writes {}",
            whole.join(".")
        ))),
    }
}

fn parts(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(stored_name)).collect()
}

/// Refuses system columns whose values come to be with the commit, which is later.
fn refuse_unknown_values(
    entry: &TableEntry,
    rows: RowsOf,
    items: &[SelectItem],
) -> Result<(), TablesError> {
    struct Search<'a> {
        entry: &'a TableEntry,
        rows: RowsOf,
        queries: usize,
    }
    impl Visitor for Search<'_> {
        type Break = String;

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<String> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<String> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
            let name = match expr {
                Expr::Identifier(name) => Some(name),
                Expr::CompoundIdentifier(parts) => parts.last(),
                _ => None,
            };
            match name.map(stored_name) {
                Some(name)
                    if self.queries == 0
                        && is_system_column(&name)
                        && !self.rows.has(&self.entry.layout, &name) =>
                {
                    ControlFlow::Break(name)
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let mut search = Search { entry, rows, queries: 0 };
    let table = entry.definition.qualified_name();
    for item in items {
        if let ControlFlow::Break(name) = item.visit(&mut search) {
            let has_key = !entry.definition.primary_key.is_empty();
            let is_row_id = name == kalamdb_commons::system_columns::ROW_ID;
            return Err(TablesError::invalid(if is_row_id && has_key {
                format!("table {table} has a primary key and no {name}, return the key")
            } else {
                format!(
                    "the {name} of a row is not known before its commit, RETURNING cannot give \
                     it; select it afterwards"
                )
            }));
        }
    }
    Ok(())
}

/// Each row changed gives one row: nothing is summed up, nothing multiplied.
fn check_row_by_row(plan: &LogicalPlan) -> Result<(), TablesError> {
    let mut node = plan;
    loop {
        node = match node {
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::TableScan(_) => return Ok(()),
            LogicalPlan::Aggregate(_) => {
                return Err(TablesError::invalid(AGGREGATE));
            }
            LogicalPlan::Window(_) => {
                return Err(TablesError::invalid(
                    "window functions are not allowed in RETURNING, it gives back single rows",
                ));
            }
            _ => {
                return Err(TablesError::invalid(
                    "functions that return rows are not allowed in RETURNING",
                ));
            }
        };
    }
}
