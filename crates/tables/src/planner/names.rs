//! Which table a name means, for one principal.

use std::sync::Arc;

use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableSource};
use kalamdb_commons::{Principal, TableId, ViewDefinition};
use kalamdb_sql::{
    CATALOG_NAME, CatalogSnapshot, RESERVED_NAMESPACES, SqlError, TableEntry, TableName, ViewEntry,
    check_catalog,
};

use super::views::planned_source;
use crate::TablesError;
use crate::system_tables::SystemTable;
use crate::table_provider::{KalamTable, TableShape};

/// Resolves names against one snapshot of the catalog, showing what one principal may see.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) catalog: Arc<CatalogSnapshot>,
    pub(crate) principal: Principal,
    pub(crate) default_namespace: Arc<str>,
    /// The views whose queries are being planned, outermost first.
    pub(super) views_around: Vec<TableId>,
    /// Of tables the innermost of them reads: the first id that no column had when it was made.
    pub(super) columns_below: Vec<(TableId, u32)>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// What a name stands for.
pub(crate) enum Resolved {
    /// A table of a namespace.
    Table(Arc<TableEntry>),
    /// A table of `system` or `information_schema`.
    System(SystemTable),
    /// A view of a namespace.
    View(Arc<ViewEntry>),
}

impl Names {
    pub(crate) fn new(
        catalog: &Arc<CatalogSnapshot>,
        principal: &Principal,
        default_namespace: &str,
    ) -> Self {
        Self {
            catalog: Arc::clone(catalog),
            principal: principal.clone(),
            default_namespace: Arc::from(default_namespace),
            views_around: Vec::new(),
            columns_below: Vec::new(),
        }
    }

    /// The table called `name`; what the principal may not read is like what is not there.
    pub(crate) fn resolve(&self, name: &TableName) -> Result<Resolved, TablesError> {
        if let Some(catalog) = &name.catalog {
            check_catalog(catalog)?;
        }
        let namespace = name.namespace_or(&self.default_namespace);
        if RESERVED_NAMESPACES.contains(&namespace) {
            return Ok(Resolved::System(SystemTable::find(namespace, &name.table)?));
        }
        let (principal, default) = (&self.principal, &self.default_namespace);
        if self.is_view(name) {
            return Ok(Resolved::View(Arc::clone(
                self.catalog.shown_view(principal, default, name)?,
            )));
        }
        Ok(Resolved::Table(Arc::clone(self.catalog.shown_table(principal, default, name)?)))
    }

    /// True when the name is a view's, whoever may read it.
    pub(crate) fn is_view(&self, name: &TableName) -> bool {
        let namespace = name.namespace_or(&self.default_namespace);
        self.catalog.view(namespace, &name.table).is_some()
    }

    /// The table called `name`, when it is one that rows are written to.
    pub(crate) fn resolve_target(&self, name: &TableName) -> Result<Arc<TableEntry>, TablesError> {
        match self.resolve(name)? {
            Resolved::Table(entry) => {
                self.catalog.authorize_write(&self.principal, &entry)?;
                Ok(entry)
            }
            Resolved::System(_) => Err(TablesError::NotSupported {
                what: format!("writing to the system table {name}"),
            }),
            Resolved::View(view) => Err(write_to_view(&view.definition).into()),
        }
    }

    /// The table of a namespace called `name`.
    pub(crate) fn table(&self, name: &TableReference) -> Result<Arc<TableEntry>, TablesError> {
        match self.resolve(&table_name(name))? {
            Resolved::Table(entry) => Ok(entry),
            Resolved::System(_) | Resolved::View(_) => Err(TablesError::Internal {
                reason: format!("the rows of {name} are not a statement's"),
            }),
        }
    }

    /// The table as DataFusion plans with it.
    pub(crate) fn source(
        &self,
        name: &TableReference,
        shape: TableShape,
    ) -> Result<Arc<dyn TableSource>> {
        Ok(match self.resolve(&table_name(name))? {
            Resolved::Table(entry) => {
                let later = self.later_columns(&entry);
                let source = provider_as_source(KalamTable::new(entry, shape));
                if later.is_empty() { source } else { without_columns(name, source, &later)? }
            }
            Resolved::System(table) => provider_as_source(Arc::new(table)),
            // Nothing is marked that is a view.
            Resolved::View(view) => {
                let reason = format!("{} is read like a table", view.definition.qualified_name());
                return Err(TablesError::Internal { reason }.into());
            }
        })
    }

    /// The columns of a table that the view being planned does not know.
    fn later_columns(&self, entry: &TableEntry) -> Vec<Arc<str>> {
        let definition = &entry.definition;
        let known = self.columns_below.iter().find(|(table, _)| *table == definition.id);
        let Some((_, below)) = known else { return Vec::new() };
        let later = definition.columns.iter().filter(|column| column.id.0 >= *below);
        later.map(|column| Arc::clone(&column.name)).collect()
    }
}

/// A table with some of its columns left out.
fn without_columns(
    name: &TableReference,
    source: Arc<dyn TableSource>,
    out: &[Arc<str>],
) -> Result<Arc<dyn TableSource>> {
    let table = LogicalPlanBuilder::scan(name.clone(), source, None)?;
    let kept = table
        .schema()
        .iter()
        .filter(|(_, field)| !out.iter().any(|column| **column == **field.name()));
    let kept: Vec<Expr> = kept.map(|field| Expr::Column(Column::from(field))).collect();
    Ok(planned_source(table.project(kept)?.build()?))
}

/// The refusal of INSERT, UPDATE, DELETE or ingest into a view.
pub fn write_to_view(view: &ViewDefinition) -> SqlError {
    SqlError::unsupported(
        format!("writing to the view {}", view.qualified_name()),
        "write to the tables it reads",
    )
}

/// DataFusion's form of a name as ours.
pub(super) fn table_name(name: &TableReference) -> TableName {
    TableName {
        catalog: name.catalog().map(str::to_owned),
        namespace: name.schema().map(str::to_owned),
        table: name.table().to_owned(),
    }
}

/// The full name of a table.
pub(crate) fn full_reference(entry: &TableEntry) -> TableReference {
    TableReference::full(CATALOG_NAME, &*entry.definition.namespace, &*entry.definition.name)
}
