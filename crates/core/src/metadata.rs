//! What there is, as drivers ask for it: namespaces, tables, columns, keys.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::CatalogProviderList;
use futures::FutureExt;
use kalamdb_commons::{ColumnType, Principal};
use kalamdb_sql::{CatalogSnapshot, ViewEntry};

use crate::session_state::CATALOG;

/// What kind of table drivers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// A table users made.
    Table,
    /// A query with a name.
    View,
    /// A table the server answers from its own state.
    SystemTable,
}

impl TableKind {
    /// Every kind, in the order drivers list them.
    pub const ALL: [Self; 3] = [Self::SystemTable, Self::Table, Self::View];

    /// The name Flight SQL and JDBC use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::SystemTable => "SYSTEM TABLE",
        }
    }
}

/// One table as drivers see it.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The table's name.
    pub name: Arc<str>,
    /// What kind of table.
    pub kind: TableKind,
    /// The declared columns.
    pub schema: SchemaRef,
    /// The SQL type of each column, as CREATE TABLE takes it.
    pub type_names: Vec<String>,
    /// The COMMENT ON text of each column.
    pub column_comments: Vec<Option<String>>,
    /// The names of the key columns in key order.
    pub primary_key: Vec<Arc<str>>,
    /// The COMMENT ON text of the table.
    pub comment: Option<String>,
}

impl TableInfo {
    /// A view as drivers see it.
    pub(crate) fn of_view(view: &Arc<ViewEntry>) -> Self {
        let view = &view.definition;
        Self {
            namespace: Arc::clone(&view.namespace),
            name: Arc::clone(&view.name),
            kind: TableKind::View,
            schema: view.arrow_schema(),
            type_names: view.columns.iter().map(|c| c.column_type.to_string()).collect(),
            column_comments: view.columns.iter().map(|c| c.comment.clone()).collect(),
            primary_key: Vec::new(),
            comment: view.comment.clone(),
        }
    }
}

/// What one principal may see, at one moment.
pub struct MetadataView {
    catalog: Arc<CatalogSnapshot>,
    principal: Principal,
    providers: Arc<dyn CatalogProviderList>,
}

impl MetadataView {
    pub(crate) fn new(
        catalog: Arc<CatalogSnapshot>,
        principal: Principal,
        providers: Arc<dyn CatalogProviderList>,
    ) -> Self {
        Self { catalog, principal, providers }
    }

    /// The one catalog's name.
    pub fn catalog(&self) -> &'static str {
        CATALOG
    }

    /// The visible namespaces, the system ones included, sorted.
    pub fn namespaces(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self
            .providers
            .catalog(CATALOG)
            .map(|catalog| catalog.schema_names())
            .unwrap_or_default()
            .iter()
            .map(|name| kalamdb_commons::intern(name))
            .collect();
        names.sort();
        names
    }

    /// The visible tables, the system ones included, sorted by namespace and name.
    pub fn tables(&self) -> Vec<TableInfo> {
        let mut tables: Vec<TableInfo> = self.user_tables();
        tables.extend(self.catalog.visible_views(&self.principal).iter().map(TableInfo::of_view));
        tables.extend(self.system_tables());
        tables.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        tables
    }

    /// The visible tables of one namespace, sorted by name.
    pub(crate) fn tables_in(&self, namespace: &str) -> Vec<TableInfo> {
        let mut tables = self.tables();
        tables.retain(|table| &*table.namespace == namespace);
        tables
    }

    /// The catalog the view is of.
    pub(crate) fn snapshot(&self) -> &CatalogSnapshot {
        &self.catalog
    }

    /// Who sees it.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    fn user_tables(&self) -> Vec<TableInfo> {
        let entries = self.catalog.visible_tables(&self.principal);
        let info = entries.iter().map(|entry| {
            let table = &entry.definition;
            TableInfo {
                namespace: Arc::clone(&table.namespace),
                name: Arc::clone(&table.name),
                kind: TableKind::Table,
                schema: table.arrow_schema(),
                type_names: table.columns.iter().map(|c| c.declared_type()).collect(),
                column_comments: table.columns.iter().map(|c| c.comment.clone()).collect(),
                primary_key: table
                    .key_positions()
                    .iter()
                    .map(|position| Arc::clone(&table.columns[*position].name))
                    .collect(),
                comment: table.comment.clone(),
            }
        });
        info.collect()
    }

    fn system_tables(&self) -> Vec<TableInfo> {
        let Some(catalog) = self.providers.catalog(CATALOG) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for namespace in ["information_schema", "system"] {
            let Some(provider) = catalog.schema(namespace) else {
                continue;
            };
            for name in provider.table_names() {
                // System tables come from memory: their futures are ready at once.
                let found = provider.table(&name).now_or_never();
                let Some(Ok(Some(table))) = found else {
                    continue;
                };
                let schema = table.schema();
                let type_names = schema
                    .fields()
                    .iter()
                    .map(|field| match ColumnType::from_arrow(field) {
                        Ok(column_type) => column_type.to_string(),
                        Err(_) => field.data_type().to_string(),
                    })
                    .collect();
                tables.push(TableInfo {
                    namespace: kalamdb_commons::intern(namespace),
                    name: kalamdb_commons::intern(&name),
                    kind: TableKind::SystemTable,
                    column_comments: vec![None; schema.fields().len()],
                    schema,
                    type_names,
                    primary_key: Vec::new(),
                    comment: None,
                });
            }
        }
        tables
    }
}
