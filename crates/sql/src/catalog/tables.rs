//! CREATE TABLE and DROP TABLE.

use std::collections::BTreeMap;
use std::sync::Arc;

use kalamdb_commons::{
    ColumnDefinition, ColumnId, Principal, Role, TableDefinition, TableId, TableType, intern,
};
use kalamdb_store::{CommitRequest, RowChanges};

use super::access::{Access, refuse_reserved, require};
use super::entities::{Namespace, TableEntry};
use super::ids::Counter;
use super::views::{authorize_cascade, refuse_read_by_views, refuse_view, wrong_object};
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
        let namespace_name = table.name.namespace_or(default_namespace);
        check_new_table(principal, namespace_name, table)?;
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let namespace = snapshot.resolve_namespace(principal, namespace_name)?;
        if let Some(existing) = snapshot.table(namespace_name, &table.name.table) {
            if table.if_not_exists {
                return Ok(Arc::clone(existing));
            }
            return Err(already_exists(existing));
        }
        refuse_view(&snapshot, namespace_name, &table.name.table)?;
        let (id, take_id) = Counter::Tables.take(&*self.view()?)?;
        let entry = self.new_entry(TableId(id), principal, namespace, table)?;
        let mut request = CommitRequest::default();
        request.catalog.push(take_id);
        self.publish(principal, &snapshot, &entry, request)?;
        Ok(entry)
    }

    /// Defines a table that does not exist yet: [`Catalog::publish_table`] brings it into being
    /// together with its first rows. The snapshot returned shows it as if it existed; dropping
    /// it leaves nothing behind but an unused id.
    ///
    /// # Errors
    /// Those of [`Catalog::create_table`], but for a table of the same name: that is a matter of
    /// the publication.
    pub fn stage_table(
        &self,
        principal: &Principal,
        default_namespace: &str,
        table: &CreateTable,
    ) -> Result<(Arc<TableEntry>, Arc<CatalogSnapshot>), SqlError> {
        let namespace_name = table.name.namespace_or(default_namespace);
        check_new_table(principal, namespace_name, table)?;
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let namespace = snapshot.resolve_namespace(principal, namespace_name)?;
        refuse_view(&snapshot, namespace_name, &table.name.table)?;
        let (id, take_id) = Counter::Tables.take(&*self.view()?)?;
        let entry = self.new_entry(TableId(id), principal, namespace, table)?;
        let request = CommitRequest { catalog: vec![take_id], ..CommitRequest::default() };
        self.store.committer().commit_blocking(request)?;
        let mut staged = CatalogSnapshot::clone(&snapshot);
        if let Some(existing) = snapshot.table(namespace_name, &table.name.table) {
            staged.remove_table(existing);
        }
        staged.put_table(Arc::clone(&entry))?;
        Ok((entry, Arc::new(staged)))
    }

    /// Brings a staged table into being with its first rows, in one commit. With `replace`, a
    /// table of the same name is dropped in the same commit.
    ///
    /// # Errors
    /// AlreadyExists without `replace`; PermissionDenied when the table in the way may not be
    /// dropped; NotFound when the namespace has gone, Conflict when another has its name now.
    pub fn publish_table(
        &self,
        principal: &Principal,
        entry: &Arc<TableEntry>,
        rows: Option<RowChanges>,
        replace: bool,
    ) -> Result<(), SqlError> {
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let definition = &entry.definition;
        let namespace = snapshot.resolve_namespace(principal, &definition.namespace)?;
        if namespace.id != definition.namespace_id {
            return Err(SqlError::NamespaceReplaced { namespace: namespace.name.to_string() });
        }
        if let Some(existing) = snapshot.table(&definition.namespace, &definition.name)
            && !replace
        {
            return Err(already_exists(existing));
        }
        refuse_view(&snapshot, &definition.namespace, &definition.name)?;
        let changes = rows.into_iter().collect();
        let request = CommitRequest { changes, ..CommitRequest::default() };
        self.publish(principal, &snapshot, entry, request)
    }

    /// Commits `request` with the definition of `entry`, in the place of a table of its name.
    fn publish(
        &self,
        principal: &Principal,
        snapshot: &CatalogSnapshot,
        entry: &Arc<TableEntry>,
        mut request: CommitRequest,
    ) -> Result<(), SqlError> {
        let definition = &entry.definition;
        let mut next = CatalogSnapshot::clone(snapshot);
        if let Some(existing) = snapshot.table(&definition.namespace, &definition.name) {
            existing.authorize(principal, Access::Ddl)?;
            refuse_read_by_views(snapshot, existing)?;
            self.add_table_drop(&existing.definition, &mut request);
            next.remove_table(existing);
        }
        request.catalog.push(self.tables.put_op(&(definition.id, 1), definition)?);
        request.tables_changed.push((definition.id, Some(1)));
        next.put_table(Arc::clone(entry))?;
        self.commit(request, next)?;
        tracing::info!(
            table = %definition.qualified_name(), id = definition.id.0,
            user = %principal.user_name, "table created"
        );
        Ok(())
    }

    fn new_entry(
        &self,
        id: TableId,
        principal: &Principal,
        namespace: &Namespace,
        table: &CreateTable,
    ) -> Result<Arc<TableEntry>, SqlError> {
        let definition = self.definition(id, principal, namespace, table)?;
        Ok(Arc::new(TableEntry::new(definition, Vec::new())?))
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
                length_max: column.length_max,
                default: column.default.as_deref().map(parse_default).transpose()?,
                fill: None,
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
            checks: table.checks.clone(),
            change: None,
        }))
    }

    /// As [`Catalog::drop_tables`], of one.
    pub fn drop_table(
        &self,
        principal: &Principal,
        default_namespace: &str,
        name: &TableName,
        if_exists: bool,
        cascade: bool,
    ) -> Result<bool, SqlError> {
        let names = std::slice::from_ref(name);
        self.drop_tables(principal, default_namespace, names, if_exists, cascade)
    }

    /// Drops tables in one commit, all or none; their rows go once nothing reads them any more.
    /// With `cascade` the views that read them go in the same commit. Returns false when there was
    /// none of them and `if_exists` says that is fine. One the principal may not read is like none.
    ///
    /// # Errors
    /// NotFound, PermissionDenied (for one view of those that would go, too), FailedPrecondition
    /// while views read one; a view is refused.
    pub fn drop_tables(
        &self,
        principal: &Principal,
        default_namespace: &str,
        names: &[TableName],
        if_exists: bool,
        cascade: bool,
    ) -> Result<bool, SqlError> {
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let mut tables = BTreeMap::new();
        for name in names {
            refuse_reserved(name.namespace_or(default_namespace))?;
            if let Ok(view) = snapshot.shown_view(principal, default_namespace, name) {
                return Err(wrong_object(&view.definition.qualified_name(), ObjectKind::View));
            }
            let table = match snapshot.shown_table(principal, default_namespace, name) {
                Ok(table) => table,
                Err(_) if if_exists => continue,
                Err(error) => return Err(error),
            };
            table.authorize(principal, Access::Ddl)?;
            if !cascade {
                refuse_read_by_views(&snapshot, table)?;
            }
            tables.insert(table.definition.id, table);
        }
        if tables.is_empty() {
            return Ok(false);
        }
        let dependents = snapshot.dependents(tables.keys().copied());
        authorize_cascade(principal, &dependents)?;
        let mut request = CommitRequest::default();
        let mut next = CatalogSnapshot::clone(&snapshot);
        for view in dependents.values() {
            self.add_view_drop(view, &mut request, &mut next);
        }
        for table in tables.values() {
            self.add_table_drop(&table.definition, &mut request);
            next.remove_table(table);
        }
        self.commit(request, next)?;
        for table in tables.values() {
            let table = table.definition.qualified_name();
            tracing::info!(table, user = %principal.user_name, "table dropped");
        }
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

/// What can be said of a new table without looking at what exists.
fn check_new_table(
    principal: &Principal,
    namespace: &str,
    table: &CreateTable,
) -> Result<(), SqlError> {
    refuse_reserved(namespace)?;
    check_create_table(table)?;
    let needed = if table.table_type == TableType::Shared { Role::Service } else { Role::User };
    let kind = table.table_type.as_str().to_uppercase();
    require(principal, needed, || format!("create the {kind} table {}", table.name))
}

fn already_exists(table: &TableEntry) -> SqlError {
    SqlError::AlreadyExists { object: ObjectKind::Table, name: table.definition.qualified_name() }
}
