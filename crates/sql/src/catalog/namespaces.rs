//! CREATE NAMESPACE and DROP NAMESPACE.

use std::sync::Arc;

use kalamdb_commons::{NamespaceId, Principal, Role, UserId, intern};
use kalamdb_store::{CommitRequest, ReadView};

use super::access::{refuse_reserved, require};
use super::entities::Namespace;
use super::ids::Counter;
use super::{Catalog, CatalogSnapshot, DEFAULT_NAMESPACE, ROOT_USER};
use crate::error::{ObjectKind, SqlError};
use crate::parse::check_new_name;

impl Catalog {
    pub(super) fn view(&self) -> Result<Arc<ReadView>, SqlError> {
        Ok(self.store.view()?)
    }

    /// Creates a namespace; returns false when it existed and `if_not_exists` says that is fine.
    ///
    /// # Errors
    /// PermissionDenied below dba, AlreadyExists, and names that cannot be.
    pub fn create_namespace(
        &self,
        principal: &Principal,
        name: &str,
        if_not_exists: bool,
    ) -> Result<bool, SqlError> {
        self.create_namespace_with_comment(principal, name, if_not_exists, None)
    }

    /// As [`Catalog::create_namespace`], with a comment on the new namespace.
    pub fn create_namespace_with_comment(
        &self,
        principal: &Principal,
        name: &str,
        if_not_exists: bool,
        comment: Option<&str>,
    ) -> Result<bool, SqlError> {
        require(principal, Role::Dba, || format!("create the namespace {name}"))?;
        check_new_name(ObjectKind::Namespace, name)?;
        refuse_reserved(name)?;
        let _changing = self.changing.lock();
        if self.snapshot().namespace(name).is_some() {
            if if_not_exists {
                return Ok(false);
            }
            let (object, name) = (ObjectKind::Namespace, name.to_owned());
            return Err(SqlError::AlreadyExists { object, name });
        }
        self.put_new_namespace(name, principal.user_id.clone(), comment)?;
        tracing::info!(namespace = name, user = %principal.user_name, "namespace created");
        Ok(true)
    }

    pub(super) fn ensure_default_namespace(&self) -> Result<(), SqlError> {
        let _changing = self.changing.lock();
        if self.snapshot().namespace(DEFAULT_NAMESPACE).is_some() {
            return Ok(());
        }
        self.put_new_namespace(DEFAULT_NAMESPACE, UserId::new(ROOT_USER), None)
    }

    /// The caller holds `changing` and has checked the name.
    fn put_new_namespace(
        &self,
        name: &str,
        created_by: UserId,
        comment: Option<&str>,
    ) -> Result<(), SqlError> {
        let (id, take_id) = Counter::Namespaces.take(&*self.view()?)?;
        let namespace = Namespace {
            id: NamespaceId(id),
            name: intern(name),
            created_by,
            created_at_us: self.clock.now_us(),
            comment: comment.map(str::to_owned),
        };
        let put = self.namespaces.put_op(&namespace.id, &namespace)?;
        let mut next = CatalogSnapshot::clone(&self.snapshot());
        next.put_namespace(Arc::new(namespace));
        self.commit(CommitRequest { catalog: vec![take_id, put], ..Default::default() }, next)
    }

    /// Drops a namespace, with `cascade` its tables and views too, and views elsewhere that read
    /// them, all in one commit. Returns false when
    /// there was none and `if_exists` says that is fine.
    ///
    /// # Errors
    /// PermissionDenied below dba, NotFound, FailedPrecondition when it holds tables or views.
    pub fn drop_namespace(
        &self,
        principal: &Principal,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<bool, SqlError> {
        require(principal, Role::Dba, || format!("drop the namespace {name}"))?;
        refuse_reserved(name)?;
        if name == DEFAULT_NAMESPACE {
            return Err(SqlError::invalid("the namespace default cannot be dropped"));
        }
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let namespace = match snapshot.resolve_namespace(principal, name) {
            Ok(namespace) => namespace,
            Err(_) if if_exists => return Ok(false),
            Err(error) => return Err(error),
        };
        let tables = snapshot.tables_in(name).count() + snapshot.views_in(name).count();
        if tables > 0 && !cascade {
            return Err(SqlError::NamespaceNotEmpty { namespace: name.to_owned(), tables });
        }
        let mut request = CommitRequest::default();
        for table in snapshot.tables_in(name) {
            self.add_table_drop(&table.definition, &mut request);
        }
        request.catalog.push(self.namespaces.delete_op(&namespace.id));
        let mut next = CatalogSnapshot::clone(&snapshot);
        let views: Vec<_> = snapshot.views_in(name).cloned().collect();
        let own = views.iter().map(|view| view.definition.id);
        let read = snapshot.tables_in(name).map(|table| table.definition.id).chain(own);
        for view in snapshot.dependents(read).values().chain(&views) {
            self.add_view_drop(view, &mut request, &mut next);
        }
        next.remove_namespace(name);
        self.commit(request, next)?;
        tracing::info!(namespace = name, tables, user = %principal.user_name, "namespace dropped");
        Ok(true)
    }
}
