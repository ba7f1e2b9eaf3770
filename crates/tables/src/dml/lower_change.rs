//! UPDATE and DELETE as one source query over the wide table: where each row is, what it is now,
//! and what it becomes.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LimitClause, ObjectName, ObjectNamePart, OrderBy, OrderByExpr, OrderByKind,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, With,
};
use kalamdb_commons::{TableDefinition, TableType};
use kalamdb_sql::{Assignment, DeleteStatement, SqlError, TableEntry, TableName, UpdateStatement};

use super::append_only;
use super::assign::AssignColumn;
use super::defaults::default_expr;
use super::lower_insert::{into_sink, sunk, target_position};
use super::lower_returning::plan_returning;
use super::set_returning;
use super::sink::{DmlSink, Write};
use super::statement_rows::RowsOf;
use super::values::type_parameters;
use super::wide_reals::compute_reals_wide;
use super::write_plan::{OnTaken, WritePlan, WriteSpec};
use crate::TablesError;
use crate::planner::{
    PlanContext, empty_select, full_reference, mark_source, mark_source_with_deleted, query_of,
};

/// Plans UPDATE.
pub(crate) fn plan_update(
    context: &PlanContext<'_>,
    update: &UpdateStatement,
) -> Result<LogicalPlan> {
    let entry = context.names().resolve_target(&update.table)?;
    append_only::refuse_change(&entry, "UPDATE")?;
    let definition = &entry.definition;
    let new_values = new_values(definition, &update.assignments)?;
    let target = Target { name: &update.table, alias: update.alias.as_ref() };
    let mut items = location_and_image(&entry, &target);
    let mut columns = vec![None; items.len()];
    let assign = AssignColumn::of_table(definition);
    for ((column, value), assign) in definition.columns.iter().zip(new_values).zip(assign) {
        columns.push(value.is_some().then_some(assign));
        let expr = value.unwrap_or_else(|| target.column(&column.name));
        // Not the column's own name: ORDER BY is to see the old value.
        let alias = Ident::with_quote('"', format!("new {}", column.name));
        items.push(SelectItem::ExprWithAlias { expr, alias });
    }
    let source = Source {
        items,
        target,
        others: &update.from,
        predicate: update.predicate.as_ref(),
        order_by: &update.order_by,
        limit: update.limit.as_ref(),
        with: update.with.as_ref(),
    };
    let source = type_parameters(source.plan(context)?, &columns)?;
    let source = compute_reals_wide(source, &columns)?;
    let write = Write::Update { repeated: !update.from.is_empty() };
    let items = &update.returning;
    let returning =
        plan_returning(context, &entry, &target, RowsOf::Written, items, update.with.as_ref())?;
    into_write(entry, write, source, returning)
}

/// Plans DELETE.
pub(crate) fn plan_delete(
    context: &PlanContext<'_>,
    delete: &DeleteStatement,
) -> Result<LogicalPlan> {
    let entry = context.names().resolve_target(&delete.table)?;
    append_only::refuse_change(&entry, "DELETE")?;
    let target = Target { name: &delete.table, alias: delete.alias.as_ref() };
    let source = Source {
        items: location_and_image(&entry, &target),
        target,
        others: &delete.using,
        predicate: delete.predicate.as_ref(),
        order_by: &delete.order_by,
        limit: delete.limit.as_ref(),
        with: delete.with.as_ref(),
    };
    let source = source.plan(context)?;
    let write = Write::Delete { repeated: !delete.using.is_empty() };
    let items = &delete.returning;
    let returning =
        plan_returning(context, &entry, &target, RowsOf::Deleted, items, delete.with.as_ref())?;
    into_write(entry, write, source, returning)
}

/// The statement: a plain sink, or one that gives rows back.
fn into_write(
    entry: Arc<TableEntry>,
    write: Write,
    source: LogicalPlan,
    returning: Option<LogicalPlan>,
) -> Result<LogicalPlan> {
    if returning.is_none() {
        return Ok(into_sink(entry, write, source));
    }
    let spec = WriteSpec { entry, write, on_taken: OnTaken::Refuse, returning: true };
    WritePlan::plan(spec, source, None, returning)
}

/// What the declared columns are set to; `None` for those that stay.
pub(super) fn new_values(
    definition: &TableDefinition,
    assignments: &[Assignment],
) -> Result<Vec<Option<Expr>>> {
    let keys = definition.key_positions();
    let mut new_values: Vec<Option<Expr>> = definition.columns.iter().map(|_| None).collect();
    for assignment in assignments {
        let position = target_position(definition, &assignment.column)?;
        if keys.contains(&position) {
            return Err(TablesError::invalid(format!(
                "column {} belongs to the primary key of {} and cannot be updated, insert a new \
                 row and delete the old one",
                assignment.column,
                definition.qualified_name()
            ))
            .into());
        }
        new_values[position] = Some(if kalamdb_sql::is_default_keyword(&assignment.value) {
            default_expr(&definition.columns[position])?
        } else {
            set_returning::refuse(&assignment.value, &assignment.column)?;
            assignment.value.clone()
        });
    }
    Ok(new_values)
}

/// Plans TRUNCATE. The rows of SHARED tables go at once, however many there are, in one commit; of a
/// USER table the principal's own are looked up one by one.
pub(crate) fn plan_truncate(
    context: &PlanContext<'_>,
    tables: &[TableName],
) -> Result<LogicalPlan> {
    let mut entries: Vec<Arc<TableEntry>> = Vec::with_capacity(tables.len());
    for table in tables {
        let entry = context.names().resolve_target(table)?;
        if entries.iter().all(|known| known.definition.id != entry.definition.id) {
            entries.push(entry);
        }
    }
    let is_shared = |entry: &TableEntry| entry.definition.table_type == TableType::Shared;
    let Some(entry) = entries.iter().find(|entry| !is_shared(entry)).cloned() else {
        let mut shared = entries.into_iter();
        let first = shared.next().ok_or_else(|| TablesError::invalid("TRUNCATE names no table"))?;
        let nothing = LogicalPlanBuilder::empty(false).build()?;
        let name = full_reference(&first);
        return Ok(sunk(name, DmlSink::truncating(first, shared.collect()), nothing));
    };
    let (1, Some(table)) = (entries.len(), tables.first()) else {
        let error = SqlError::Unsupported {
            what: format!(
                "TRUNCATE of several tables with {}, which is no SHARED one",
                entry.definition.qualified_name()
            ),
            advice: String::from("empty it by itself"),
            position: None,
        };
        return Err(TablesError::from(error).into());
    };
    let target = Target { name: table, alias: None };
    let mut select = empty_select()?;
    select.projection = location_and_image(&entry, &target);
    let relation = target.factor(mark_source_with_deleted);
    select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    let source = context.plan_query(&query_of(SetExpr::Select(Box::new(select))))?;
    Ok(into_sink(entry, Write::Erase, source))
}

/// The table a statement changes, as the statement names it.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) name: &'a TableName,
    pub(super) alias: Option<&'a Ident>,
}

impl Target<'_> {
    fn name_parts(&self) -> Vec<Ident> {
        [self.name.catalog.as_deref(), self.name.namespace.as_deref(), Some(&self.name.table)]
            .into_iter()
            .flatten()
            .map(|part| Ident::with_quote('"', part))
            .collect()
    }

    /// A column of the target, qualified.
    pub(super) fn column(&self, name: &str) -> Expr {
        let mut parts = match self.alias {
            Some(alias) => vec![alias.clone()],
            None => self.name_parts(),
        };
        parts.push(Ident::with_quote('"', name));
        Expr::CompoundIdentifier(parts)
    }

    /// The target in FROM, its name marked.
    pub(super) fn factor(&self, mark: impl FnOnce(&mut ObjectName)) -> TableFactor {
        let parts = self.name_parts().into_iter().map(ObjectNamePart::Identifier);
        let mut name = ObjectName(parts.collect());
        mark(&mut name);
        TableFactor::Table {
            name,
            alias: self.alias.map(|alias| TableAlias {
                explicit: true,
                name: alias.clone(),
                columns: Vec::new(),
                at: None,
            }),
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        }
    }
}

pub(super) fn location_and_image(entry: &TableEntry, target: &Target<'_>) -> Vec<SelectItem> {
    let wide = entry.layout.wide_schema();
    [entry.layout.location_index(), entry.layout.image_index()]
        .into_iter()
        .map(|index| SelectItem::UnnamedExpr(target.column(wide.field(index).name())))
        .collect()
}

/// The source query of UPDATE or DELETE.
struct Source<'a> {
    items: Vec<SelectItem>,
    target: Target<'a>,
    others: &'a [TableWithJoins],
    predicate: Option<&'a Expr>,
    order_by: &'a [OrderByExpr],
    limit: Option<&'a Expr>,
    with: Option<&'a With>,
}

impl Source<'_> {
    fn plan(self, context: &PlanContext<'_>) -> Result<LogicalPlan> {
        let mut select = empty_select()?;
        select.projection = self.items;
        select.from =
            vec![TableWithJoins { relation: self.target.factor(mark_source), joins: Vec::new() }];
        select.from.extend(self.others.iter().cloned());
        select.selection = self.predicate.cloned();
        let mut query = query_of(SetExpr::Select(Box::new(select)));
        query.with = self.with.cloned();
        if !self.order_by.is_empty() {
            query.order_by = Some(OrderBy {
                kind: OrderByKind::Expressions(self.order_by.to_vec()),
                interpolate: None,
            });
        }
        if let Some(limit) = self.limit {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(limit.clone()),
                offset: None,
                limit_by: Vec::new(),
            });
        }
        context.plan_query(&query)
    }
}
