//! COMMENT ON: text about tables, views, columns and namespaces. It makes no new version of a
//! table: rows are stored and read as before.

use std::sync::Arc;

use kalamdb_commons::{Principal, Role, TableDefinition, ViewDefinition};
use kalamdb_store::CommitRequest;

use super::access::{Access, refuse_reserved, require};
use super::entities::{Namespace, TableEntry, ViewEntry};
use super::views::{authorize_change, named_view};
use super::{Catalog, CatalogSnapshot};
use crate::TableName;
use crate::error::{ObjectKind, SqlError};
use crate::parse::{CommentObject, not_found};

impl Catalog {
    /// Sets or removes a comment.
    ///
    /// # Errors
    /// NotFound, PermissionDenied for whoever may not alter the object; a view where a table is
    /// named is refused, and the other way round.
    pub fn comment_on(
        &self,
        principal: &Principal,
        default_namespace: &str,
        object: &CommentObject,
        comment: Option<&str>,
    ) -> Result<(), SqlError> {
        let text = comment.map(str::to_owned);
        let (name, column) = match object {
            CommentObject::Namespace(name) => {
                return self.comment_on_namespace(principal, name, text);
            }
            CommentObject::View(name) => {
                return self.comment_on_view(principal, default_namespace, name, text);
            }
            CommentObject::Table(name) => (name, None),
            CommentObject::Column(name, column) => (name, Some(column)),
        };
        refuse_reserved(name.namespace_or(default_namespace))?;
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        if let Ok(view) = snapshot.shown_view(principal, default_namespace, name) {
            return Err(SqlError::WrongObject {
                name: view.definition.qualified_name(),
                found: ObjectKind::View,
                advice: match column {
                    None => "use COMMENT ON VIEW",
                    Some(_) => "comment on the columns of the tables it reads",
                },
            });
        }
        let table = snapshot.shown_table(principal, default_namespace, name)?;
        table.authorize(principal, Access::Ddl)?;
        let mut definition = TableDefinition::clone(&table.definition);
        match column {
            None => definition.comment = text,
            Some(column) => {
                let found = definition.columns.iter_mut().find(|known| *known.name == **column);
                let Some(found) = found else {
                    let known = table.definition.columns.iter().map(|column| &*column.name);
                    return Err(not_found(ObjectKind::Column, column, known));
                };
                found.comment = text;
            }
        }
        let mut request = CommitRequest::default();
        let entry = self.put_definition(definition, table.older.to_vec(), &mut request)?;
        let mut next = CatalogSnapshot::clone(&snapshot);
        next.put_table(entry)?;
        self.commit(request, next)
    }

    /// As [`Catalog::comment_on`], of a view.
    fn comment_on_view(
        &self,
        principal: &Principal,
        default_namespace: &str,
        name: &TableName,
        comment: Option<String>,
    ) -> Result<(), SqlError> {
        refuse_reserved(name.namespace_or(default_namespace))?;
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        if let Ok(table) = snapshot.shown_table(principal, default_namespace, name) {
            return Err(SqlError::WrongObject {
                name: table.definition.qualified_name(),
                found: ObjectKind::Table,
                advice: "use COMMENT ON TABLE",
            });
        }
        let view = named_view(&snapshot, principal, default_namespace, name)?;
        authorize_change(principal, view)?;
        let definition = ViewDefinition { comment, ..view.definition.clone() };
        let mut request = CommitRequest::default();
        request.catalog.push(self.views.put_op(&definition.id, &definition)?);
        let mut next = CatalogSnapshot::clone(&snapshot);
        next.put_view(Arc::new(ViewEntry::new(definition)))?;
        self.commit(request, next)
    }

    /// As [`Catalog::comment_on`], of a namespace.
    pub(super) fn comment_on_namespace(
        &self,
        principal: &Principal,
        name: &str,
        comment: Option<String>,
    ) -> Result<(), SqlError> {
        require(principal, Role::Dba, || format!("comment on the namespace {name}"))?;
        refuse_reserved(name)?;
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let namespace = snapshot.resolve_namespace(principal, name)?;
        let namespace = Namespace { comment, ..Namespace::clone(namespace) };
        let put = self.namespaces.put_op(&namespace.id, &namespace)?;
        let mut next = CatalogSnapshot::clone(&snapshot);
        next.update_namespace(Arc::new(namespace));
        self.commit(CommitRequest { catalog: vec![put], ..Default::default() }, next)
    }

    /// Adds to a commit what replaces the newest version of a table by `definition`, which stores
    /// rows as it does. The caller holds `changing`.
    pub(super) fn put_definition(
        &self,
        definition: TableDefinition,
        older: Vec<Arc<TableDefinition>>,
        request: &mut CommitRequest,
    ) -> Result<Arc<TableEntry>, SqlError> {
        let key = (definition.id, definition.schema_version);
        request.catalog.push(self.tables.put_op(&key, &definition)?);
        Ok(Arc::new(TableEntry::new(Arc::new(definition), older)?))
    }
}
