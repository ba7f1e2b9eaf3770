//! CREATE TABLE and DROP TABLE.

use std::sync::Arc;

use kalamdb_commons::{
    ColumnDefinition, ColumnId, Principal, Role, TableDefinition, TableId, TableType, intern,
};
use kalamdb_store::{CommitRequest, TableLayout};

use super::access::{Access, refuse_reserved, require};
use super::entities::{Namespace, TableEntry};
use super::ids::Counter;
use super::{Catalog, CatalogSnapshot};
use crate::TableName;
use crate::error::{ObjectKind, SqlError};
use crate::parse::{CreateTable, check_create_table, parse_default};

impl Catalog {
    /// Creates a table; with `IF NOT EXISTS` an existing one is returned as it is.
    ///
    /// # Errors
    /// PermissionDenied (SHARED tables below service), AlreadyExists, NotFound for the
    /// namespace, and definitions that cannot be.
    pub fn create_table(
        &self,
        principal: &Principal,
        default_namespace: &str,
        table: &CreateTable,
    ) -> Result<Arc<TableEntry>, SqlError> {
        self.create(principal, default_namespace, table, false)
    }

    /// Creates a table in the place of one of the same name, which is dropped in the same commit.
    ///
    /// # Errors
    /// Those of [`Catalog::create_table`] and [`Catalog::drop_table`].
    pub fn replace_table(
        &self,
        principal: &Principal,
        default_namespace: &str,
        table: &CreateTable,
    ) -> Result<Arc<TableEntry>, SqlError> {
        self.create(principal, default_namespace, table, true)
    }

    fn create(
        &self,
        principal: &Principal,
        default_namespace: &str,
        table: &CreateTable,
        replace: bool,
    ) -> Result<Arc<TableEntry>, SqlError> {
        let namespace_name = table.name.namespace_or(default_namespace);
        refuse_reserved(namespace_name)?;
        check_create_table(table)?;
        let needed = if table.table_type == TableType::Shared { Role::Service } else { Role::User };
        let kind = table.table_type.as_str().to_uppercase();
        require(principal, needed, || format!("create the {kind} table {}", table.name))?;

        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let namespace = snapshot.resolve_namespace(principal, namespace_name)?;
        let existing = snapshot.table(namespace_name, &table.name.table);
        if let Some(existing) = existing.filter(|_| !replace) {
            if table.if_not_exists {
                return Ok(Arc::clone(existing));
            }
            let name = existing.definition.qualified_name();
            return Err(SqlError::AlreadyExists { object: ObjectKind::Table, name });
        }
        let mut request = CommitRequest::default();
        let mut next = CatalogSnapshot::clone(&snapshot);
        if let Some(existing) = existing {
            existing.authorize(principal, Access::Ddl)?;
            self.add_table_drop(&existing.definition, &mut request);
            next.remove_table(existing);
        }
        let (id, take_id) = Counter::Tables.take(&*self.view()?)?;
        let definition = self.definition(TableId(id), principal, namespace, table)?;
        request.catalog.push(take_id);
        request.catalog.push(self.tables.put_op(&(definition.id, 1), &definition)?);
        request.tables_changed.push((definition.id, Some(1)));
        let layout = Arc::new(TableLayout::new(Arc::clone(&definition))?);
        let entry = Arc::new(TableEntry { definition, layout });
        next.put_table(Arc::clone(&entry))?;
        self.commit(request, next)?;
        tracing::info!(
            table = %entry.definition.qualified_name(), id, user = %principal.user_name,
            "table created"
        );
        Ok(entry)
    }

    /// The first version of a new table.
    fn definition(
        &self,
        id: TableId,
        principal: &Principal,
        namespace: &Namespace,
        table: &CreateTable,
    ) -> Result<Arc<TableDefinition>, SqlError> {
        let mut columns = Vec::with_capacity(table.columns.len());
        for (column, id) in table.columns.iter().zip(1..) {
            columns.push(ColumnDefinition {
                id: ColumnId(id),
                name: intern(&column.name),
                column_type: column.column_type.clone(),
                nullable: column.nullable,
                default: column.default.as_deref().map(parse_default).transpose()?,
                comment: column.comment.clone(),
            });
        }
        let id_of = |name: &String| columns.iter().find(|c| *c.name == **name).map(|c| c.id);
        let primary_key = table.primary_key.iter().filter_map(id_of).collect();
        let now_us = self.clock.now_us();
        Ok(Arc::new(TableDefinition {
            id,
            namespace_id: namespace.id,
            namespace: Arc::clone(&namespace.name),
            name: intern(&table.name.table),
            table_type: table.table_type,
            created_by: principal.user_id.clone(),
            created_at_us: now_us,
            updated_at_us: now_us,
            schema_version: 1,
            next_column_id: u32::try_from(columns.len()).unwrap_or(u32::MAX).saturating_add(1),
            columns,
            primary_key,
            options: table.options.clone(),
            comment: table.comment.clone(),
        }))
    }

    /// Drops a table; its rows go once nothing reads them any more. Returns false when there was
    /// none and `if_exists` says that is fine.
    ///
    /// # Errors
    /// NotFound, PermissionDenied.
    pub fn drop_table(
        &self,
        principal: &Principal,
        default_namespace: &str,
        name: &TableName,
        if_exists: bool,
    ) -> Result<bool, SqlError> {
        refuse_reserved(name.namespace_or(default_namespace))?;
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let table = match snapshot.resolve_table(principal, default_namespace, name) {
            Ok(table) => table,
            Err(_) if if_exists => return Ok(false),
            Err(error) => return Err(error),
        };
        table.authorize(principal, Access::Ddl)?;
        let mut request = CommitRequest::default();
        self.add_table_drop(&table.definition, &mut request);
        let mut next = CatalogSnapshot::clone(&snapshot);
        next.remove_table(table);
        self.commit(request, next)?;
        tracing::info!(
            table = %table.definition.qualified_name(), user = %principal.user_name,
            "table dropped"
        );
        Ok(true)
    }

    /// Adds to a commit what drops a table: all its versions, and its rows.
    pub(super) fn add_table_drop(&self, table: &TableDefinition, request: &mut CommitRequest) {
        for version in 1..=table.schema_version {
            request.catalog.push(self.tables.delete_op(&(table.id, version)));
        }
        request.tables_changed.push((table.id, None));
    }
}
