//! ALTER TABLE: the next version of a table is planned, held against its rows and the views that
//! read it by whoever can run queries, and then committed.
//!
//! ```text
//! plan_alter ──► PlannedAlter ──► are the rows as they must be, do the views still stand?
//!                     │                                  │
//!                     └────────► commit_alter ◄──────────┘ Conflict: planned anew
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use kalamdb_commons::{CheckConstraint, ColumnId, CommitSeq, FillValue, Principal, TableId};
use kalamdb_store::CommitRequest;

use super::access::{Access, refuse_reserved};
use super::entities::{TableEntry, ViewEntry};
use super::schema_evolution::{ColumnWithoutValue, Evolution, evolve};
use super::views::{authorize_cascade, named, refuse_view};
use super::{Catalog, CatalogSnapshot};
use crate::error::{ObjectKind, SqlError};
use crate::parse::{AlterAction, AlterTable};

/// What ALTER TABLE is about to make of a table.
#[derive(Debug)]
pub struct PlannedAlter {
    /// The catalog in which it was planned.
    pub catalog: Arc<CatalogSnapshot>,
    /// The same catalog with the table's next version.
    pub staged: Arc<CatalogSnapshot>,
    /// The table's present version.
    pub before: Arc<TableEntry>,
    /// The table's next version.
    pub after: Arc<TableEntry>,
    /// Columns of the present version in which no row may have NULL.
    pub needs_check_not_null: Vec<ColumnId>,
    /// Conditions, in the names of the present version, that no row may make false.
    pub needs_checks: Vec<CheckConstraint>,
    /// Columns of the next version for which there may be no row at all.
    pub needs_no_rows: Vec<ColumnWithoutValue>,
    /// The views that read the table, themselves or through others, by id: each must stand in
    /// `staged` as it does in `catalog`.
    pub readers: BTreeMap<TableId, Arc<ViewEntry>>,
    /// Views that go with the columns they need.
    dropped: BTreeMap<TableId, Arc<ViewEntry>>,
    /// Whether CASCADE could be added to the statement.
    drops_column: bool,
    cascade: bool,
}

impl PlannedAlter {
    /// True when all rows of the table must be looked at before the commit.
    pub fn needs_rows(&self) -> bool {
        !self.needs_check_not_null.is_empty()
            || !self.needs_checks.is_empty()
            || !self.needs_no_rows.is_empty()
    }

    /// Says which of `readers` cannot be read any more, and why the first of them cannot: with
    /// DROP COLUMN … CASCADE they are dropped in the same commit.
    ///
    /// # Errors
    /// FailedPrecondition without CASCADE.
    pub fn set_broken(
        &mut self,
        broken: BTreeMap<TableId, Arc<ViewEntry>>,
        reason: &str,
    ) -> Result<(), SqlError> {
        if broken.is_empty() || self.cascade {
            self.dropped = broken;
            return Ok(());
        }
        let them = if broken.len() == 1 { "it" } else { "them" };
        let cascade = if self.drops_column { ", or add CASCADE to DROP COLUMN" } else { "" };
        Err(SqlError::BreaksViews {
            advice: format!("drop {them} first and create {them} again afterwards{cascade}"),
            table: self.before.definition.qualified_name(),
            views: named(broken.values()),
            reason: reason.to_owned(),
        })
    }
}

impl Catalog {
    /// What a table is to become. `fills` has the fill value of each operation that adds a column
    /// with a default, at the operation's place, as [`crate::fill_value`] makes them. Returns
    /// `None` when nothing changes: the operations have no effect, or there is no such table and
    /// IF EXISTS says that is fine.
    ///
    /// # Errors
    /// NotFound, PermissionDenied, AlreadyExists for new names, and changes that cannot be; a view
    /// is refused.
    pub fn plan_alter(
        &self,
        principal: &Principal,
        default_namespace: &str,
        alter: &AlterTable,
        fills: &[Option<FillValue>],
    ) -> Result<Option<PlannedAlter>, SqlError> {
        refuse_reserved(alter.name.namespace_or(default_namespace))?;
        let catalog = self.snapshot();
        if let Ok(view) = catalog.shown_view(principal, default_namespace, &alter.name) {
            return Err(SqlError::WrongObject {
                name: view.definition.qualified_name(),
                found: ObjectKind::View,
                advice: "use CREATE OR REPLACE VIEW",
            });
        }
        let before = match catalog.shown_table(principal, default_namespace, &alter.name) {
            Ok(table) => Arc::clone(table),
            Err(_) if alter.if_exists => return Ok(None),
            Err(error) => return Err(error),
        };
        before.authorize(principal, Access::Ddl)?;
        let (by, now_us) = (&principal.user_id, self.clock.now_us());
        let evolved = evolve(&before.definition, &alter.operations, fills, by, now_us)?;
        let Some(evolution) = evolved else { return Ok(None) };
        let Evolution { definition, needs_check_not_null, needs_checks, needs_no_rows, cascade } =
            evolution;
        refuse_taken_name(&catalog, &before, &definition.name)?;
        let mut older = before.older.to_vec();
        older.push(Arc::clone(&before.definition));
        let after = Arc::new(TableEntry::new(Arc::new(definition), older)?);
        let mut staged = CatalogSnapshot::clone(&catalog);
        staged.remove_table(&before);
        staged.put_table(Arc::clone(&after))?;
        let readers = catalog.dependents([before.definition.id]);
        Ok(Some(PlannedAlter {
            catalog,
            staged: Arc::new(staged),
            before,
            after,
            needs_check_not_null,
            needs_checks,
            needs_no_rows,
            readers,
            dropped: BTreeMap::new(),
            drops_column: alter
                .operations
                .iter()
                .any(|operation| matches!(operation.action, AlterAction::DropColumn { .. })),
            cascade,
        }))
    }

    /// Makes the next version the table's newest. `rows_read_at` is the commit seq of the view in
    /// which the rows were found as they must be, when the plan needs it.
    ///
    /// # Errors
    /// Conflict when the table, a view that reads it, or a row that was looked at has changed
    /// since: then it is to be planned anew. PermissionDenied for a view that would go, too.
    pub fn commit_alter(
        &self,
        principal: &Principal,
        planned: &PlannedAlter,
        rows_read_at: Option<CommitSeq>,
    ) -> Result<(), SqlError> {
        authorize_cascade(principal, &planned.dropped)?;
        let (before, after) = (&planned.before, &planned.after);
        let table = before.definition.qualified_name();
        let _changing = self.changing.lock();
        let current = self.snapshot();
        let now = current.table_by_id(before.definition.id);
        let readers = current.dependents([before.definition.id]);
        let same = now.is_some_and(|now| Arc::ptr_eq(now, before))
            && readers.len() == planned.readers.len()
            && readers.values().zip(planned.readers.values()).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same || (planned.needs_rows() && rows_read_at.is_none()) {
            return Err(SqlError::AlteredMeanwhile { table });
        }
        refuse_taken_name(&current, before, &after.definition.name)?;
        let mut request = CommitRequest::default();
        if let Some(seq) = rows_read_at {
            request.read_seq = seq;
            request.tables_as_read.push(Arc::clone(&before.definition));
        }
        let key = (after.definition.id, after.definition.schema_version);
        request.catalog.push(self.tables.put_op(&key, &after.definition)?);
        request.tables_changed.push((key.0, Some(key.1)));
        let mut next = CatalogSnapshot::clone(&current);
        for view in planned.dropped.values() {
            self.add_view_drop(view, &mut request, &mut next);
        }
        next.remove_table(before);
        next.put_table(Arc::clone(after))?;
        self.commit(request, next)?;
        tracing::info!(
            table, version = key.1, user = %principal.user_name,
            change = after.definition.change.as_ref().map_or("", |change| change.what.as_str()),
            "table altered"
        );
        Ok(())
    }
}

/// Refuses a new name that a table or a view of the namespace has.
fn refuse_taken_name(
    catalog: &CatalogSnapshot,
    before: &TableEntry,
    name: &str,
) -> Result<(), SqlError> {
    let definition = &before.definition;
    if *definition.name == *name {
        return Ok(());
    }
    if let Some(taken) = catalog.table(&definition.namespace, name) {
        let (object, name) = (ObjectKind::Table, taken.definition.qualified_name());
        return Err(SqlError::AlreadyExists { object, name });
    }
    refuse_view(catalog, &definition.namespace, name)
}
