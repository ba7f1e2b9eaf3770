//! Tables that a statement is planned with, but that no statement names: marked, in the syntax tree,
//! by a last part of their name.

use datafusion::common::TableReference;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, TableFactor};
use kalamdb_sql::stored_name;

use super::names::Names;
use crate::dml::{self, RowsOf};
use crate::table_provider::TableShape;

/// The last part of a marked table's name. No name of a user has a control character in it.
const MARKS: [(&str, TableShape); 4] = [
    ("\u{1}wide", TableShape::Wide { include_deleted: false }),
    ("\u{1}wide with deleted", TableShape::Wide { include_deleted: true }),
    ("\u{1}source", TableShape::Source),
    ("\u{1}source with deleted", TableShape::SourceWithDeleted),
];

/// Marks of tables that stand for rows of the running statement.
const ROW_MARKS: [(&str, RowsOf); 3] = [
    ("\u{1}conflicts", RowsOf::Conflicts),
    ("\u{1}written", RowsOf::Written),
    ("\u{1}deleted", RowsOf::Deleted),
];

/// Marks a table of a DML statement as the rows the statement has found out about.
pub(crate) fn mark_rows(name: &mut ObjectName, rows: RowsOf) {
    if let Some((mark, _)) = ROW_MARKS.iter().find(|(_, marked)| *marked == rows) {
        name.0.push(ObjectNamePart::Identifier(Ident::with_quote('"', *mark)));
    }
}

/// Takes such a mark off a name.
fn unmark_rows(name: &mut ObjectName) -> Option<RowsOf> {
    let last = name.0.last()?.as_ident()?;
    let (_, rows) = ROW_MARKS.iter().find(|(mark, _)| last.value == *mark)?;
    let rows = *rows;
    name.0.pop();
    Some(rows)
}

/// Marks a table of a DML statement as the one its source reads locations and images from.
pub(crate) fn mark_source(name: &mut ObjectName) {
    mark(name, TableShape::Source);
}

/// As [`mark_source`]; deleted rows are read too.
pub(crate) fn mark_source_with_deleted(name: &mut ObjectName) {
    mark(name, TableShape::SourceWithDeleted);
}

pub(super) fn mark(name: &mut ObjectName, shape: TableShape) {
    if let Some((mark, _)) = MARKS.iter().find(|(_, marked)| *marked == shape) {
        name.0.push(ObjectNamePart::Identifier(Ident::with_quote('"', *mark)));
    }
}

pub(super) fn is_marked(name: &ObjectName) -> bool {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|last| {
        MARKS.iter().any(|(mark, _)| last.value == *mark)
            || ROW_MARKS.iter().any(|(mark, _)| last.value == *mark)
    })
}

/// Takes the mark off a name.
fn unmark(name: &mut ObjectName) -> Option<TableShape> {
    let last = name.0.last()?.as_ident()?;
    let (_, shape) = MARKS.iter().find(|(mark, _)| last.value == *mark)?;
    let shape = *shape;
    name.0.pop();
    Some(shape)
}

/// Plans marked tables.
#[derive(Debug)]
pub(super) struct MarkedTables {
    names: Names,
}

impl MarkedTables {
    pub(super) fn new(names: Names) -> Self {
        Self { names }
    }
}

impl RelationPlanner for MarkedTables {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let TableFactor::Table { name, alias, .. } = &mut relation
            && let Some(shape) = unmark(name)
        {
            let reference: TableReference = context.object_name_to_table_reference(name.clone())?;
            let source = self.names.source(&reference, shape)?;
            let plan = LogicalPlanBuilder::scan(reference, source, None)?.build()?;
            let planned = PlannedRelation::new(plan, alias.take());
            return Ok(RelationPlanning::Planned(Box::new(planned)));
        }
        if let TableFactor::Table { name, alias, .. } = &mut relation
            && let Some(rows) = unmark_rows(name)
        {
            let reference: TableReference = context.object_name_to_table_reference(name.clone())?;
            let entry = self.names.table(&reference)?;
            let known_as = match alias.take() {
                Some(alias) => TableReference::bare(stored_name(&alias.name)),
                None => reference,
            };
            let plan = dml::relation(&entry, rows, known_as)?;
            let planned = PlannedRelation::new(plan, None);
            return Ok(RelationPlanning::Planned(Box::new(planned)));
        }
        Ok(RelationPlanning::Original(Box::new(relation)))
    }
}
