//! Which system columns a SELECT scope names, and of which of its tables.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, TableAlias, TableFactor, Visit, Visitor,
};
use kalamdb_commons::system_columns::{DELETED, is_system_column};
use kalamdb_sql::stored_name;

/// Whether anything in a query could be a system column's name.
pub(super) fn names_any(query: &Query) -> bool {
    struct Search;
    impl Visitor for Search {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let named = match expr {
                Expr::Identifier(column) => system_column(column),
                Expr::CompoundIdentifier(parts) => parts.last().and_then(system_column),
                _ => None,
            };
            if named.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    query.visit(&mut Search).is_break()
}

/// The system columns one scope names.
#[derive(Debug, Default)]
pub(super) struct NamedSystemColumns {
    /// A system column stands without a qualifier.
    unqualified: bool,
    /// `_deleted` stands without a qualifier.
    unqualified_deleted: bool,
    /// Tables or aliases a system column is qualified with.
    qualifiers: HashSet<String>,
    /// Those whose `_deleted` is named.
    deleted_qualifiers: HashSet<String>,
}

impl NamedSystemColumns {
    /// Looks through all clauses of `select` and the ORDER BY that belongs to it.
    ///
    /// A name in a nested query counts for this scope only when it is qualified by something
    /// that the nested queries do not define: then it is a reference from within.
    pub(super) fn of_scope<O: Visit>(select: &Select, order_by: &O) -> Self {
        let mut finder = Finder::default();
        // The visitor never breaks off.
        let _ = select.visit(&mut finder);
        let _ = order_by.visit(&mut finder);
        let mut found = finder.own;
        for (qualifier, deleted) in finder.nested {
            if finder.nested_tables.contains(&qualifier) {
                continue;
            }
            if deleted {
                found.deleted_qualifiers.insert(qualifier.clone());
            }
            found.qualifiers.insert(qualifier);
        }
        found
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.unqualified && self.qualifiers.is_empty()
    }

    /// Whether the table called `name` in FROM has to be wide.
    pub(super) fn concern(&self, name: &str) -> bool {
        self.unqualified || self.qualifiers.contains(name)
    }

    /// Whether the deleted rows of the table called `name` are shown.
    pub(super) fn show_deleted(&self, name: &str) -> bool {
        self.unqualified_deleted || self.deleted_qualifiers.contains(name)
    }

    fn add(&mut self, qualifier: Option<String>, deleted: bool) {
        match qualifier {
            None => {
                self.unqualified = true;
                self.unqualified_deleted |= deleted;
            }
            Some(qualifier) => {
                if deleted {
                    self.deleted_qualifiers.insert(qualifier.clone());
                }
                self.qualifiers.insert(qualifier);
            }
        }
    }
}

#[derive(Default)]
struct Finder {
    /// Queries entered below the scope.
    depth: usize,
    own: NamedSystemColumns,
    /// Qualified system columns in nested queries: the qualifier, and whether it is `_deleted`.
    nested: Vec<(String, bool)>,
    /// Names of tables in nested queries.
    nested_tables: HashSet<String>,
}

impl Visitor for Finder {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        if self.depth > 0
            && let Some(name) = factor_name(factor)
        {
            self.nested_tables.insert(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        let named = match expr {
            Expr::Identifier(column) => system_column(column).map(|column| (None, column)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., qualifier, column] => {
                    system_column(column).map(|column| (Some(stored_name(qualifier)), column))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some((qualifier, column)) = named {
            let deleted = column == DELETED;
            match (self.depth, qualifier) {
                (0, qualifier) => self.own.add(qualifier, deleted),
                (_, Some(qualifier)) => self.nested.push((qualifier, deleted)),
                // Without a qualifier it is of the nested query.
                (_, None) => {}
            }
        }
        ControlFlow::Continue(())
    }
}

fn system_column(ident: &Ident) -> Option<String> {
    let name = stored_name(ident);
    is_system_column(&name).then_some(name)
}

/// The name a relation in FROM goes by.
pub(super) fn factor_name(factor: &TableFactor) -> Option<String> {
    let (alias, own) = match factor {
        TableFactor::Table { name, alias, .. } => {
            (alias, name.0.last().and_then(|part| part.as_ident()))
        }
        TableFactor::Derived { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::TableFunction { alias, .. } => (alias, None),
        _ => return None,
    };
    alias.as_ref().map(|TableAlias { name, .. }| name).or(own).map(stored_name)
}
