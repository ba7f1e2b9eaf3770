//! ON CONFLICT DO UPDATE as a query over the rows that stand in the way, each beside the row that
//! was to be inserted.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, TableWithJoins, VisitMut, VisitorMut, With,
};
use kalamdb_commons::TableDefinition;
use kalamdb_commons::system_columns::{COMMIT_SEQ, UPDATED};
use kalamdb_sql::{ConflictAction, OnConflict, TableEntry, stored_name};

use super::assign::AssignColumn;
use super::lower_change::{Target, new_values};
use super::lower_insert::target_position;
use super::statement_rows::{EXCLUDED, RowsOf, place_column};
use super::values::type_parameters;
use super::wide_reals::compute_reals_wide;
use crate::TablesError;
use crate::planner::{PlanContext, empty_select, mark_rows, query_of};

/// Plans what DO UPDATE makes of the rows in the way: the row's place, then the declared columns
/// as they become; rows its WHERE leaves alone are not there. `None` for DO NOTHING.
pub(super) fn plan_conflict(
    context: &PlanContext<'_>,
    entry: &TableEntry,
    target: &Target<'_>,
    on_conflict: &OnConflict,
    with: Option<&With>,
) -> Result<Option<LogicalPlan>> {
    let definition = &entry.definition;
    check_columns(definition, on_conflict.columns.as_deref())?;
    let ConflictAction::Update { assignments, predicate } = &on_conflict.action else {
        return Ok(None);
    };
    let names = context.names();
    names.catalog.authorize_read(&names.principal, entry).map_err(TablesError::from)?;
    let known_as = target.alias.map_or_else(|| target.name.table.clone(), stored_name);
    if known_as == EXCLUDED {
        return Err(TablesError::invalid(
            "ON CONFLICT calls the rows that were to be inserted excluded, give the table another \
             name: INSERT INTO … AS t",
        )
        .into());
    }
    let mut select = empty_select()?;
    select.projection = vec![SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote(
        '"',
        place_column(&entry.layout),
    )))];
    let mut columns = vec![None];
    let new_values = new_values(definition, assignments)?;
    let assign = AssignColumn::of_table(definition);
    for ((column, value), assign) in definition.columns.iter().zip(new_values).zip(assign) {
        columns.push(value.is_some().then_some(assign));
        let mut expr = value.unwrap_or_else(|| target.column(&column.name));
        qualify(&mut expr, definition, target);
        let alias = Ident::with_quote('"', format!("new {}", column.name));
        select.projection.push(SelectItem::ExprWithAlias { expr, alias });
    }
    let relation = target.factor(|name| mark_rows(name, RowsOf::Conflicts));
    select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    select.selection = predicate.clone().map(|mut predicate| {
        qualify(&mut predicate, definition, target);
        predicate
    });
    let mut query = query_of(SetExpr::Select(Box::new(select)));
    query.with = with.cloned();
    let plan = context.plan_query(&query)?;
    let plan = compute_reals_wide(type_parameters(plan, &columns)?, &columns)?;
    Ok(Some(plan))
}

/// The columns of a conflict are those of the primary key: nothing else is unique.
fn check_columns(
    definition: &TableDefinition,
    columns: Option<&[String]>,
) -> Result<(), TablesError> {
    let table = definition.qualified_name();
    if definition.has_hidden_key() {
        return Err(TablesError::invalid(format!(
            "table {table} has no primary key, so no row can conflict; leave ON CONFLICT out"
        )));
    }
    let Some(columns) = columns else { return Ok(()) };
    let named = columns
        .iter()
        .map(|column| target_position(definition, column))
        .collect::<Result<BTreeSet<_>, _>>()?;
    let keys = definition.key_positions();
    if named == keys.iter().copied().collect() {
        return Ok(());
    }
    let keys = keys.iter().filter_map(|position| definition.columns.get(*position));
    let keys: Vec<String> = keys.map(|column| kalamdb_sql::quote_name(&column.name)).collect();
    Err(TablesError::invalid(format!(
        "ON CONFLICT must name the primary key of {table}, ({}): nothing else is unique",
        keys.join(", ")
    )))
}

/// Makes names that stand alone those of the target; both it and [`EXCLUDED`] have them.
fn qualify(expr: &mut Expr, definition: &TableDefinition, target: &Target<'_>) {
    struct Qualify<'a> {
        definition: &'a TableDefinition,
        target: &'a Target<'a>,
        queries: usize,
    }
    impl VisitorMut for Qualify<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.queries += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.queries -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.queries == 0
                && let Expr::Identifier(name) = expr
            {
                let name = stored_name(name);
                let system = [UPDATED, COMMIT_SEQ].contains(&name.as_str());
                if system || self.definition.column(&name).is_some() {
                    *expr = self.target.column(&name);
                }
            }
            ControlFlow::Continue(())
        }
    }
    // The visitor never breaks off.
    let _ = expr.visit(&mut Qualify { definition, target, queries: 0 });
}
