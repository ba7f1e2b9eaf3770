//! CREATE VIEW and DROP VIEW.
//!
//! A view is created by service and above, as a SHARED table is, and dropped by who created it or
//! by dba and above. It gives no rights: it is planned for whoever reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kalamdb_commons::limits::TABLE_COLUMNS_MAX;
use kalamdb_commons::{ColumnDefinition, Principal, Role, TableId, UserId, ViewDefinition, intern};
use kalamdb_store::CommitRequest;

use super::access::{refuse_reserved, require};
use super::entities::{TableEntry, ViewEntry};
use super::ids::Counter;
use super::{Catalog, CatalogSnapshot};
use crate::TableName;
use crate::error::{ObjectKind, SqlError};
use crate::parse::{CreateView, check_new_name, quote_name};

/// Views that stand on each other, the outermost included.
pub const VIEW_DEPTH_MAX: usize = 16;
/// Views an error names.
const NAMED_VIEWS_MAX: usize = 5;

/// What planning found out about a view that is to be created.
#[derive(Debug, Clone)]
pub struct NewView {
    /// The columns it gives.
    pub columns: Vec<ColumnDefinition>,
    /// The tables and views it names.
    pub reads: Vec<TableId>,
}

impl Catalog {
    /// Creates a view, or with OR REPLACE gives it another query. `planned` was made in
    /// `snapshot`. Returns false when it existed and IF NOT EXISTS says that is fine.
    ///
    /// # Errors
    /// PermissionDenied below service, AlreadyExists, NotFound for the namespace, Conflict when
    /// what it reads has changed since `snapshot`, and what cannot be: columns of one name, views
    /// that read themselves, too many on each other, a replacement that takes columns away from
    /// other views.
    pub fn create_view(
        &self,
        principal: &Principal,
        default_namespace: &str,
        view: &CreateView,
        planned: NewView,
        snapshot: &CatalogSnapshot,
    ) -> Result<bool, SqlError> {
        self.check_new_view(principal, default_namespace, view)?;
        check_columns(&planned.columns)?;
        let namespace_name = view.name.namespace_or(default_namespace);
        let _changing = self.changing.lock();
        let current = self.snapshot();
        let namespace = current.resolve_namespace(principal, namespace_name)?;
        if let Some(table) = current.table(namespace_name, &view.name.table) {
            let (object, name) = (ObjectKind::Table, table.definition.qualified_name());
            return Err(SqlError::AlreadyExists { object, name });
        }
        let existing = current.view(namespace_name, &view.name.table);
        match existing {
            Some(_) if view.if_not_exists => return Ok(false),
            Some(existing) if !view.or_replace => return Err(already_exists(existing)),
            Some(existing) => authorize_change(principal, existing)?,
            None => {}
        }
        let name = format!("{namespace_name}.{}", view.name.table);
        if !unchanged(&planned.reads, snapshot, &current) {
            return Err(SqlError::ViewSourceChanged { view: name });
        }
        let (id, take_id) = match existing {
            Some(existing) => (existing.definition.id, None),
            None => {
                let (id, take_id) = Counter::Tables.take(&*self.view()?)?;
                (TableId(id), Some(take_id))
            }
        };
        let entry = Arc::new(ViewEntry::new(ViewDefinition {
            id,
            namespace_id: namespace.id,
            namespace: Arc::clone(&namespace.name),
            name: intern(&view.name.table),
            column_names: view.columns.clone(),
            columns: planned.columns,
            query: view.text.clone(),
            search_namespace: intern(default_namespace),
            columns_below: columns_below(&planned.reads, &current),
            reads: planned.reads,
            created_by: principal.user_id.clone(),
            created_at_us: self.clock.now_us(),
            comment: view.comment.clone(),
        }));
        let mut next = CatalogSnapshot::clone(&current);
        next.put_view(Arc::clone(&entry))?;
        check_place(&current, &next, existing, &entry)?;
        let mut request = CommitRequest::default();
        request.catalog.extend(take_id);
        request.catalog.push(self.views.put_op(&id, &entry.definition)?);
        self.commit(request, next)?;
        tracing::info!(
            view = name, id = id.0, user = %principal.user_name, replaced = existing.is_some(),
            "view created"
        );
        Ok(true)
    }

    /// What can be said of a new view before its query is planned; an existing one of its name
    /// that IF NOT EXISTS takes for it is not looked at.
    ///
    /// # Errors
    /// PermissionDenied, and names that cannot be.
    pub fn check_new_view(
        &self,
        principal: &Principal,
        default_namespace: &str,
        view: &CreateView,
    ) -> Result<(), SqlError> {
        require(principal, Role::Service, || format!("create the view {}", view.name))?;
        refuse_reserved(view.name.namespace_or(default_namespace))?;
        check_new_name(ObjectKind::View, &view.name.table)
    }

    /// Drops a view, with `cascade` the views that read it too. Returns false when there was none
    /// and `if_exists` says that is fine. One the principal may not read is like none.
    ///
    /// # Errors
    /// NotFound, PermissionDenied (for one view of those that would go, too), FailedPrecondition
    /// while other views read it; a table is refused.
    pub fn drop_view(
        &self,
        principal: &Principal,
        default_namespace: &str,
        name: &TableName,
        if_exists: bool,
        cascade: bool,
    ) -> Result<bool, SqlError> {
        refuse_reserved(name.namespace_or(default_namespace))?;
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        if let Ok(table) = snapshot.shown_table(principal, default_namespace, name) {
            return Err(wrong_object(&table.definition.qualified_name(), ObjectKind::Table));
        }
        let view = match named_view(&snapshot, principal, default_namespace, name) {
            Ok(view) => view,
            Err(_) if if_exists => return Ok(false),
            Err(error) => return Err(error),
        };
        authorize_change(principal, view)?;
        let dependents = snapshot.dependents([view.definition.id]);
        if !dependents.is_empty() && !cascade {
            return Err(SqlError::ReadByViews {
                object: ObjectKind::View,
                name: view.definition.qualified_name(),
                views: named(dependents.values()),
            });
        }
        authorize_cascade(principal, &dependents)?;
        let mut request = CommitRequest::default();
        let mut next = CatalogSnapshot::clone(&snapshot);
        for view in dependents.values().chain([view]) {
            self.add_view_drop(view, &mut request, &mut next);
        }
        self.commit(request, next)?;
        tracing::info!(
            view = %view.definition.qualified_name(), user = %principal.user_name, "view dropped"
        );
        Ok(true)
    }

    /// Adds to a commit, and to the snapshot it makes, that a view is no more.
    pub(super) fn add_view_drop(
        &self,
        view: &ViewEntry,
        request: &mut CommitRequest,
        next: &mut CatalogSnapshot,
    ) {
        request.catalog.push(self.views.delete_op(&view.definition.id));
        next.remove_view(view);
    }
}

/// The view a statement names as one.
pub(super) fn named_view<'a>(
    snapshot: &'a CatalogSnapshot,
    principal: &Principal,
    default_namespace: &str,
    name: &TableName,
) -> Result<&'a Arc<ViewEntry>, SqlError> {
    snapshot.shown_view(principal, default_namespace, name).map_err(|error| match error {
        SqlError::NotFound { object: ObjectKind::Table, name, suggestion } => {
            SqlError::NotFound { object: ObjectKind::View, name, suggestion }
        }
        error => error,
    })
}

/// Refuses a table in the place of a view.
pub(super) fn refuse_view(
    snapshot: &CatalogSnapshot,
    namespace: &str,
    name: &str,
) -> Result<(), SqlError> {
    snapshot.view(namespace, name).map_or(Ok(()), |view| Err(already_exists(view)))
}

/// Refuses the end of a table that views read.
pub(super) fn refuse_read_by_views(
    snapshot: &CatalogSnapshot,
    table: &TableEntry,
) -> Result<(), SqlError> {
    let views = snapshot.dependents([table.definition.id]);
    if views.is_empty() {
        return Ok(());
    }
    Err(SqlError::ReadByViews {
        object: ObjectKind::Table,
        name: table.definition.qualified_name(),
        views: named(views.values()),
    })
}

/// Refuses another name for a namespace that the texts of views have: those of its own views and
/// of all that read its tables and views.
pub(super) fn refuse_named_by_views(
    snapshot: &CatalogSnapshot,
    namespace: &str,
) -> Result<(), SqlError> {
    let own: Vec<_> =
        snapshot.views_in(namespace).map(|view| (view.definition.id, Arc::clone(view))).collect();
    let tables = snapshot.tables_in(namespace).map(|table| table.definition.id);
    let mut views = snapshot.dependents(tables.chain(own.iter().map(|(id, _)| *id)));
    views.extend(own);
    if views.is_empty() {
        return Ok(());
    }
    Err(SqlError::NamedByViews { namespace: namespace.to_owned(), views: named(views.values()) })
}

/// Refuses CASCADE to who may not drop each of the views that would go along.
pub(super) fn authorize_cascade(
    principal: &Principal,
    views: &BTreeMap<TableId, Arc<ViewEntry>>,
) -> Result<(), SqlError> {
    views.values().try_for_each(|view| authorize_change(principal, view))
}

/// DROP TABLE of a view, DROP VIEW of a table.
pub(super) fn wrong_object(name: &str, found: ObjectKind) -> SqlError {
    let advice = match found {
        ObjectKind::View => "use DROP VIEW",
        _ => "use DROP TABLE",
    };
    SqlError::WrongObject { name: name.to_owned(), found, advice }
}

fn already_exists(view: &ViewEntry) -> SqlError {
    SqlError::AlreadyExists { object: ObjectKind::View, name: view.definition.qualified_name() }
}

pub(super) fn named<'a>(views: impl ExactSizeIterator<Item = &'a Arc<ViewEntry>>) -> String {
    let count = views.len();
    let names: Vec<String> =
        views.take(NAMED_VIEWS_MAX).map(|view| view.definition.qualified_name()).collect();
    let kind = if count == 1 { "view" } else { "views" };
    let more = match count.saturating_sub(NAMED_VIEWS_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{kind} {}{more}", names.join(", "))
}

pub(super) fn authorize_change(principal: &Principal, view: &ViewEntry) -> Result<(), SqlError> {
    let own: &UserId = &view.definition.created_by;
    let needed = if *own == principal.user_id { Role::Service } else { Role::Dba };
    require(principal, needed, || {
        format!("drop, replace or comment on the view {}", view.definition.qualified_name())
    })
}

/// Whether all of `ids` are in both snapshots the same.
fn unchanged(ids: &[TableId], before: &CatalogSnapshot, now: &CatalogSnapshot) -> bool {
    ids.iter().all(|id| match (before.table_by_id(*id), now.table_by_id(*id)) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        (None, None) => match (before.view_by_id(*id), now.view_by_id(*id)) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            _ => false,
        },
        _ => false,
    })
}

/// The first id that no column has yet, for each table among `reads`.
fn columns_below(reads: &[TableId], current: &CatalogSnapshot) -> Vec<(TableId, u32)> {
    let tables = reads.iter().filter_map(|id| current.table_by_id(*id));
    tables.map(|table| (table.definition.id, table.definition.next_column_id)).collect()
}

/// Names of a view's columns: each its own, each one a column may have.
fn check_columns(columns: &[ColumnDefinition]) -> Result<(), SqlError> {
    if columns.len() > TABLE_COLUMNS_MAX {
        return Err(SqlError::TooLarge {
            what: "the number of columns",
            limit: TABLE_COLUMNS_MAX,
            advice: "name the columns that are needed",
        });
    }
    let mut seen = std::collections::HashSet::with_capacity(columns.len());
    for column in columns {
        check_new_name(ObjectKind::Column, &column.name)?;
        if !seen.insert(&column.name) {
            return Err(SqlError::invalid(format!(
                "column {} would stand twice in the view, give one of them another name with AS",
                quote_name(&column.name)
            )));
        }
    }
    Ok(())
}

/// Whether the view fits among the others: below them and above them.
fn check_place(
    current: &CatalogSnapshot,
    next: &CatalogSnapshot,
    existing: Option<&Arc<ViewEntry>>,
    view: &ViewEntry,
) -> Result<(), SqlError> {
    let definition = &view.definition;
    let above = next.dependents([definition.id]);
    if above.contains_key(&definition.id) {
        return Err(SqlError::invalid(format!(
            "view {} would read itself",
            definition.qualified_name()
        )));
    }
    let too_deep = |entry: &ViewEntry| next.depth_of(entry) > VIEW_DEPTH_MAX;
    if too_deep(view) || above.values().any(|entry| too_deep(entry)) {
        return Err(SqlError::TooLarge {
            what: "the number of views that read each other",
            limit: VIEW_DEPTH_MAX,
            advice: "name the tables themselves",
        });
    }
    let Some(existing) = existing else { return Ok(()) };
    let readers = current.dependents([definition.id]);
    let kept = existing
        .definition
        .columns
        .iter()
        .zip(&definition.columns)
        .all(|(old, new)| old.name == new.name && old.column_type == new.column_type)
        && existing.definition.columns.len() <= definition.columns.len();
    if readers.is_empty() || kept {
        return Ok(());
    }
    Err(SqlError::ViewInUse {
        name: definition.qualified_name(),
        reason: format!(
            "its columns are read by {}, keep their order, names and types, or drop those first",
            named(readers.values())
        ),
    })
}
