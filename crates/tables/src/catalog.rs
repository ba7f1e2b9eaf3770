//! The catalog as DataFusion sees it: `kalam` → namespaces → tables, each only what the
//! principal may see.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use kalamdb_commons::Principal;
use kalamdb_sql::{CATALOG_NAME, CatalogSnapshot, RESERVED_NAMESPACES};

use crate::TablesError;
use crate::system_tables::SystemTable;
use crate::table_provider::{KalamTable, TableShape};

/// The catalog list of one principal: catalog `kalam`, whose schemas are the namespaces,
/// `system` and `information_schema`.
///
/// Statements are planned by [`crate::plan_statement`], which looks names up itself; this is for
/// whoever asks a DataFusion session.
pub fn catalog_list(
    catalog: Arc<CatalogSnapshot>,
    principal: Principal,
) -> Arc<dyn CatalogProviderList> {
    Arc::new(Catalogs(Arc::new(Namespaces { catalog, principal })))
}

#[derive(Debug)]
struct Catalogs(Arc<Namespaces>);

impl CatalogProviderList for Catalogs {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG_NAME.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let catalog: Arc<dyn CatalogProvider> = Arc::<Namespaces>::clone(&self.0);
        (name == CATALOG_NAME).then_some(catalog)
    }
}

#[derive(Debug)]
struct Namespaces {
    catalog: Arc<CatalogSnapshot>,
    principal: Principal,
}

impl CatalogProvider for Namespaces {
    fn schema_names(&self) -> Vec<String> {
        let visible = self.catalog.visible_namespaces(&self.principal);
        let names = visible.iter().map(|namespace| namespace.name.to_string());
        names.chain(RESERVED_NAMESPACES.map(str::to_owned)).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if RESERVED_NAMESPACES.contains(&name) {
            return Some(Arc::new(SystemNamespace { name: name.to_owned() }));
        }
        let visible = self.catalog.visible_namespaces(&self.principal);
        let found = visible.into_iter().find(|namespace| &*namespace.name == name)?;
        Some(Arc::new(NamespaceTables {
            catalog: Arc::clone(&self.catalog),
            principal: self.principal.clone(),
            name: Arc::clone(&found.name),
        }))
    }
}

/// The tables of one namespace.
#[derive(Debug)]
struct NamespaceTables {
    catalog: Arc<CatalogSnapshot>,
    principal: Principal,
    name: Arc<str>,
}

#[async_trait]
impl SchemaProvider for NamespaceTables {
    fn table_names(&self) -> Vec<String> {
        self.catalog
            .tables_in(&self.name)
            .filter(|table| table.is_visible_to(&self.principal))
            .map(|table| table.definition.name.to_string())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(entry) = self.catalog.table(&self.name, name) else { return Ok(None) };
        self.catalog.authorize_read(&self.principal, entry).map_err(TablesError::from)?;
        Ok(Some(KalamTable::new(Arc::clone(entry), TableShape::Narrow)))
    }

    fn table_exist(&self, name: &str) -> bool {
        let found = self.catalog.table(&self.name, name);
        found.is_some_and(|table| table.is_visible_to(&self.principal))
    }
}

/// The tables of `system` or of `information_schema`.
#[derive(Debug)]
struct SystemNamespace {
    name: String,
}

#[async_trait]
impl SchemaProvider for SystemNamespace {
    fn table_names(&self) -> Vec<String> {
        SystemTable::all()
            .iter()
            .filter(|table| table.namespace() == self.name)
            .map(|table| table.name().to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match SystemTable::find(&self.name, name) {
            Ok(table) => Ok(Some(Arc::new(table))),
            Err(_) => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        SystemTable::find(&self.name, name).is_ok()
    }
}
