//! `* REPLACE (e AS c)` of a column that is not there: the query engine passes over it.

use datafusion::common::{Column, SchemaError};
use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    OrderByExpr, Query, Select, SelectItem, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use kalamdb_sql::stored_name;
use std::ops::ControlFlow;

use super::plan_context::PlanContext;
use super::scopes::{ScopeRewrite, Scopes};
use super::wide_scopes::bare_select;

/// Checks all scopes of a query.
///
/// # Errors
/// A column that is replaced and not among those of the wildcard.
pub(super) fn check(context: &PlanContext<'_>, query: &mut Query) -> Result<()> {
    if query.visit(&mut Replaces).is_break() {
        Check { scopes: Scopes::new(context) }.query(query)?;
    }
    Ok(())
}

struct Replaces;

impl VisitorMut for Replaces {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let replaces = |item: &SelectItem| options(item).is_some_and(|of| of.opt_replace.is_some());
        if select.projection.iter().any(replaces) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

fn options(item: &SelectItem) -> Option<&WildcardAdditionalOptions> {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => Some(options),
        _ => None,
    }
}

struct Check<'a> {
    scopes: Scopes<'a>,
}

impl<'a> ScopeRewrite<'a> for Check<'a> {
    fn scopes(&mut self) -> &mut Scopes<'a> {
        &mut self.scopes
    }

    fn select(&mut self, select: &mut Select, _order_by: &mut Vec<OrderByExpr>) -> Result<()> {
        self.nested(select)?;
        for item in &select.projection {
            let Some(replaced) = options(item).and_then(|options| options.opt_replace.as_ref())
            else {
                continue;
            };
            let mut all = item.clone();
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) =
                &mut all
            {
                options.opt_replace = None;
            }
            let mut bare = bare_select(select);
            bare.projection = vec![all];
            // A subquery that names columns around it is planned with them only.
            let Ok(columns) = self.scopes.columns_of(bare) else { continue };
            for replaced in &replaced.items {
                let name = stored_name(&replaced.column_name);
                if !columns.iter().any(|(_, column)| *column == name) {
                    let valid_fields = columns
                        .into_iter()
                        .map(|(relation, column)| Column::new(relation, column))
                        .collect();
                    let field = Box::new(Column::new_unqualified(name));
                    let missing = SchemaError::FieldNotFound { field, valid_fields };
                    return Err(DataFusionError::SchemaError(
                        Box::new(missing),
                        Box::new(Some(String::new())),
                    ));
                }
            }
        }
        Ok(())
    }
}
