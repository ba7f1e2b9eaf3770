//! `t.*` of a table that FROM names with its namespace: `SELECT t.* FROM ns.t`.
//!
//! A column may be qualified with the last part of its table's name. The query engine takes a
//! wildcard's qualifier literally, so here it becomes the whole name, as FROM has it.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, TableFactor, VisitMut,
    VisitorMut,
};
use kalamdb_sql::stored_name;

use super::system_columns::factor_name;
use super::wide_scopes::factors;
use crate::TablesError;

/// Completes the qualifiers of all wildcards in a query.
pub(super) fn complete(query: &mut Query) -> Result<()> {
    match query.visit(&mut Completion) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

struct Completion;

impl VisitorMut for Completion {
    type Break = TablesError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<TablesError> {
        let Select { projection, from, .. } = select;
        for item in projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item
                && (options.opt_ilike.is_some() || options.opt_alias.is_some())
            {
                // The query engine would pass over it.
                let what = String::from("ILIKE or AS after * in a select list");
                return ControlFlow::Break(TablesError::NotSupported { what });
            }
            let SelectItem::QualifiedWildcard(kind, _) = item else { continue };
            let SelectItemQualifiedWildcardKind::ObjectName(qualifier) = kind else { continue };
            let relations = from.iter().flat_map(factors);
            match meant(qualifier, relations) {
                Ok(Some(name)) => *qualifier = name,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// The name in FROM of the table that `qualifier` shortens; `None` when it is none.
fn meant<'a>(
    qualifier: &ObjectName,
    relations: impl Iterator<Item = &'a TableFactor>,
) -> Result<Option<ObjectName>, TablesError> {
    let Some(wanted) = parts(qualifier) else { return Ok(None) };
    let mut found = None;
    for relation in relations {
        if let [one] = wanted.as_slice()
            && name_of_its_own(relation).as_ref() == Some(one)
        {
            return Ok(None);
        }
        let TableFactor::Table { name, alias: None, args: None, .. } = relation else { continue };
        let Some(whole) = parts(name) else { continue };
        if whole == wanted {
            return Ok(None);
        }
        if whole.ends_with(&wanted) && found.replace(name).is_some() {
            return Err(TablesError::invalid(format!(
                "several tables in FROM are called {qualifier}, give them aliases"
            )));
        }
    }
    Ok(found.cloned())
}

/// The alias of a relation, or its name when that has one part.
fn name_of_its_own(relation: &TableFactor) -> Option<String> {
    match relation {
        TableFactor::Table { name, alias: None, .. } if name.0.len() > 1 => None,
        other => factor_name(other),
    }
}

/// The parts of a name as they are stored; `None` when one is no plain name.
fn parts(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(stored_name)).collect()
}
