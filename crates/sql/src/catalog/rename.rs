//! ALTER NAMESPACE … RENAME TO: ids and rows stay where they are.

use std::sync::Arc;

use kalamdb_commons::{Principal, Role, TableDefinition, intern};
use kalamdb_store::CommitRequest;

use super::access::{refuse_reserved, require};
use super::entities::Namespace;
use super::views::refuse_named_by_views;
use super::{Catalog, CatalogSnapshot, DEFAULT_NAMESPACE};
use crate::error::{ObjectKind, SqlError};
use crate::parse::{NamespaceChange, check_new_name};

impl Catalog {
    /// Changes a namespace.
    ///
    /// # Errors
    /// PermissionDenied below dba, NotFound, AlreadyExists for the new name, FailedPrecondition for
    /// a new name while views stand in the namespace or read what does.
    pub fn alter_namespace(
        &self,
        principal: &Principal,
        name: &str,
        change: &NamespaceChange,
    ) -> Result<(), SqlError> {
        match change {
            NamespaceChange::Rename(new_name) => self.rename_namespace(principal, name, new_name),
            NamespaceChange::Comment(comment) => {
                self.comment_on_namespace(principal, name, comment.clone())
            }
        }
    }

    fn rename_namespace(
        &self,
        principal: &Principal,
        name: &str,
        new_name: &str,
    ) -> Result<(), SqlError> {
        require(principal, Role::Dba, || format!("rename the namespace {name}"))?;
        check_new_name(ObjectKind::Namespace, new_name)?;
        refuse_reserved(name)?;
        refuse_reserved(new_name)?;
        if name == DEFAULT_NAMESPACE {
            return Err(SqlError::invalid("the namespace default cannot be renamed"));
        }
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let namespace = snapshot.resolve_namespace(principal, name)?;
        if snapshot.namespace(new_name).is_some() {
            let (object, name) = (ObjectKind::Namespace, new_name.to_owned());
            return Err(SqlError::AlreadyExists { object, name });
        }
        refuse_named_by_views(&snapshot, name)?;
        let namespace = Namespace { name: intern(new_name), ..Namespace::clone(namespace) };
        let mut request = CommitRequest::default();
        request.catalog.push(self.namespaces.put_op(&namespace.id, &namespace)?);
        let mut next = CatalogSnapshot::clone(&snapshot);
        next.remove_namespace(name);
        let new_name = Arc::clone(&namespace.name);
        next.put_namespace(Arc::new(namespace));
        for table in snapshot.tables_in(name) {
            let mut definition = TableDefinition::clone(&table.definition);
            definition.namespace = Arc::clone(&new_name);
            let older = self.rename_older_versions(&table.older, &new_name, &mut request)?;
            next.put_table(self.put_definition(definition, older, &mut request)?)?;
        }
        self.commit(request, next)?;
        tracing::info!(
            namespace = name, new_name = &*new_name, user = %principal.user_name,
            "namespace renamed"
        );
        Ok(())
    }

    /// Adds to a commit the older versions of a table under its new namespace's name.
    fn rename_older_versions(
        &self,
        older: &[Arc<TableDefinition>],
        namespace: &Arc<str>,
        request: &mut CommitRequest,
    ) -> Result<Vec<Arc<TableDefinition>>, SqlError> {
        let mut renamed = Vec::with_capacity(older.len());
        for version in older {
            let namespace = Arc::clone(namespace);
            let version = TableDefinition { namespace, ..TableDefinition::clone(version) };
            let key = (version.id, version.schema_version);
            request.catalog.push(self.tables.put_op(&key, &version)?);
            renamed.push(Arc::new(version));
        }
        Ok(renamed)
    }
}
