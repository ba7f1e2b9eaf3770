//! Which names a clause of MERGE may use: both tables' where rows matched, else those of the one
//! table that has a row.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{self, Ident, Query, VisitMut, VisitorMut};
use kalamdb_sql::{MergeMatching, TableEntry, stored_name};

use super::lower_change::Target;
use crate::TablesError;

/// The columns of the two tables of a MERGE.
pub(super) struct MergeScope {
    target: HashSet<String>,
    /// What stands for a column of the source; `None` where several have its name.
    source: HashMap<String, Option<ast::Expr>>,
}

impl MergeScope {
    /// `source` gives all columns of the source.
    pub(super) fn new(entry: &TableEntry, source: &LogicalPlan) -> Self {
        let mut columns: HashMap<String, Option<ast::Expr>> = HashMap::new();
        for (qualifier, field) in source.schema().iter() {
            let column = qualifier.map(|qualifier| qualified(qualifier, field.name()));
            columns.entry(field.name().clone()).and_modify(|one| *one = None).or_insert(column);
        }
        let wide = entry.layout.wide_schema();
        let target = wide.fields().iter().map(|field| field.name().clone()).collect();
        Self { target, source: columns }
    }

    /// Names that both tables have, and that can mean only one of them, become qualified.
    pub(super) fn resolve(
        &self,
        mut expr: ast::Expr,
        matching: MergeMatching,
        target: &Target<'_>,
    ) -> ast::Expr {
        if matching != MergeMatching::Matched {
            let mut names = Names { scope: self, target, matching, queries: 0 };
            let _ = expr.visit(&mut names);
        }
        expr
    }
}

fn qualified(qualifier: &TableReference, column: &str) -> ast::Expr {
    let parts = [qualifier.catalog(), qualifier.schema(), Some(qualifier.table()), Some(column)];
    let parts = parts.into_iter().flatten().map(|part| Ident::with_quote('"', part));
    ast::Expr::CompoundIdentifier(parts.collect())
}

struct Names<'a> {
    scope: &'a MergeScope,
    target: &'a Target<'a>,
    matching: MergeMatching,
    /// Subqueries around what is being looked at.
    queries: usize,
}

impl VisitorMut for Names<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Self::Break> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Self::Break> {
        let ast::Expr::Identifier(name) = expr else { return ControlFlow::Continue(()) };
        let name = stored_name(name);
        if self.queries == 0
            && self.scope.target.contains(&name)
            && let Some(of_source) = self.scope.source.get(&name)
        {
            match (self.matching, of_source) {
                (MergeMatching::NotMatched, Some(column)) => *expr = column.clone(),
                (MergeMatching::NotMatchedBySource, _) => *expr = self.target.column(&name),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// Refuses columns of the table that has no row where the clause applies.
pub(super) fn check_columns(
    expr: &Expr,
    matching: MergeMatching,
    target: Option<&TableReference>,
    clause: &str,
) -> Result<()> {
    if matching == MergeMatching::Matched {
        return Ok(());
    }
    let of_source_only = matching == MergeMatching::NotMatched;
    expr.apply(|expr| {
        let named = match expr {
            Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => vec![column],
            Expr::ScalarSubquery(query) => outer_columns(&query.outer_ref_columns),
            Expr::Exists(exists) => outer_columns(&exists.subquery.outer_ref_columns),
            Expr::InSubquery(query) => outer_columns(&query.subquery.outer_ref_columns),
            _ => Vec::new(),
        };
        let wrong = named.into_iter().find(|c| (c.relation.as_ref() == target) == of_source_only);
        match wrong {
            None => Ok(TreeNodeRecursion::Continue),
            Some(column) => {
                let (of, reason) = match of_source_only {
                    true => ("the target", "there is no row of the target yet"),
                    false => ("the source", "there is no row of the source"),
                };
                Err(TablesError::invalid(format!(
                    "column {} of {of} is used in {clause}, where {reason}",
                    column.flat_name()
                ))
                .into())
            }
        }
    })?;
    Ok(())
}

fn outer_columns(exprs: &[Expr]) -> Vec<&datafusion::common::Column> {
    let columns = exprs.iter().filter_map(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Some(column),
        _ => None,
    });
    columns.collect()
}
