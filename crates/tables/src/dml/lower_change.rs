//! UPDATE and DELETE as one source query over the wide table: where each row is, what it is now,
//! and what it becomes.

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LimitClause, ObjectName, ObjectNamePart, OrderBy, OrderByExpr, OrderByKind,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, With,
};
use kalamdb_sql::{DeleteStatement, TableEntry, TableName, UpdateStatement};

use super::assign::AssignColumn;
use super::defaults::default_expr;
use super::lower_insert::{into_sink, target_position};
use super::set_returning;
use super::sink::Write;
use super::values::type_parameters;
use super::wide_reals::compute_reals_wide;
use crate::TablesError;
use crate::planner::{PlanContext, empty_select, mark_source, query_of};

/// Plans UPDATE.
pub(crate) fn plan_update(
    context: &PlanContext<'_>,
    update: &UpdateStatement,
) -> Result<LogicalPlan> {
    let entry = context.names().resolve_target(&update.table)?;
    let definition = &entry.definition;
    let keys = definition.key_positions();
    let mut new_values: Vec<Option<Expr>> = definition.columns.iter().map(|_| None).collect();
    for assignment in &update.assignments {
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
    Ok(into_sink(entry, write, source))
}

/// Plans DELETE.
pub(crate) fn plan_delete(
    context: &PlanContext<'_>,
    delete: &DeleteStatement,
) -> Result<LogicalPlan> {
    let entry = context.names().resolve_target(&delete.table)?;
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
    Ok(into_sink(entry, write, source))
}

/// The table a statement changes, as the statement names it.
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

    /// The target in FROM, read with locations and images.
    pub(super) fn factor(&self) -> TableFactor {
        let parts = self.name_parts().into_iter().map(ObjectNamePart::Identifier);
        let mut name = ObjectName(parts.collect());
        mark_source(&mut name);
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
        select.from = vec![TableWithJoins { relation: self.target.factor(), joins: Vec::new() }];
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
