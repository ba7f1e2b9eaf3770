//! MERGE as one source query: the source joined with the wide target, for every row the number of
//! its clause, and the values that clause gives it.
//!
//! ```text
//! source ─┐          ┌─ which clause ─┐  rows     ┌─ location, image, clause,   ┐
//!         ├─► join ──┤                ├─ with a ──┤  target as it is,           ├─► MergeSink
//! target ─┘          └─ (CASE)        ┘  clause   └─ values of clause 0, 1, …   ┘
//! ```
//!
//! Each clause has columns of its own, computed for its rows only: no type common to the clauses
//! stands between a value and its column.

use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{DmlStatement, LogicalPlan, WriteOp};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CaseWhen, Ident, Join, JoinConstraint, JoinOperator, SelectItem, SetExpr,
    TableAlias, TableFactor, TableWithJoins, UnaryOperator, Value,
};
use kalamdb_sql::{
    Assignment, MergeAction, MergeClause, MergeMatching, MergeStatement, TableEntry, TableName,
    is_default_keyword, stored_name,
};

use super::append_only;
use super::assign::AssignColumn;
use super::defaults::default_expr;
use super::lower_change::{Target, location_and_image};
use super::lower_insert::target_position;
use super::merge_scope::MergeScope;
use super::merge_sink::MergeSink;
use super::merge_writer::{ClauseRows, MergeClauses};
use super::set_returning;
use super::values::type_parameters;
use super::wide_reals::compute_reals_wide;
use crate::TablesError;
use crate::planner::{PlanContext, empty_select, full_reference, mark_source, query_of};

/// The name of a source that was given none.
const UNNAMED: &str = "source of merge";
/// The table, and its column, that is there where a row of the source is.
const PRESENT: &str = "in the source of merge";

/// Plans MERGE.
pub(crate) fn plan_merge(context: &PlanContext<'_>, merge: &MergeStatement) -> Result<LogicalPlan> {
    let entry = context.names().resolve_target(&merge.table)?;
    append_only::refuse_change(&entry, "MERGE")?;
    refuse_one_name(merge)?;
    let lowering = Lowering {
        target: Target { name: &merge.table, alias: merge.alias.as_ref() },
        scope: MergeScope::new(&entry, &source_columns(context, merge)?),
        entry: &entry,
        merge,
    };
    let mut list = SelectList::default();
    let clauses = lowering.select_list(&mut list)?;

    let mut select = empty_select()?;
    select.projection = list.items;
    select.from = vec![lowering.joined()?];
    let mut query = query_of(SetExpr::Select(Box::new(select)));
    query.with = merge.with.clone();
    let plan = type_parameters(context.plan_query(&query)?, &list.columns)?;
    let plan = compute_reals_wide(plan, &list.columns)?;
    let plan = lowering.by_clause(plan, &list.clauses)?;
    let sink = MergeSink::new(Arc::clone(&entry), MergeClauses(clauses));
    Ok(LogicalPlan::Dml(DmlStatement::new(
        full_reference(&entry),
        provider_as_source(Arc::new(sink)),
        WriteOp::Insert(InsertOp::Append),
        Arc::new(plan),
    )))
}

/// A plan with the columns of the source alone.
fn source_columns(context: &PlanContext<'_>, merge: &MergeStatement) -> Result<LogicalPlan> {
    let mut select = empty_select()?;
    select.projection = vec![SelectItem::Wildcard(Default::default())];
    select.from = vec![alone(named_source(merge))];
    let mut query = query_of(SetExpr::Select(Box::new(select)));
    query.with = merge.with.clone();
    context.plan_query(&query)
}

/// The source; a subquery without an alias is given one.
fn named_source(merge: &MergeStatement) -> TableFactor {
    let mut source = merge.source.clone();
    if let TableFactor::Derived { alias: alias @ None, .. } = &mut source {
        *alias = Some(alias_of(UNNAMED));
    }
    source
}

/// Refuses a source that goes by the name of the target.
fn refuse_one_name(merge: &MergeStatement) -> Result<(), TablesError> {
    let TableFactor::Table { name, alias, .. } = &merge.source else { return Ok(()) };
    let known_as = match alias {
        Some(alias) => stored_name(&alias.name),
        None => TableName::from_ast(name)?.table,
    };
    let target = merge.alias.as_ref().map_or_else(|| merge.table.table.clone(), stored_name);
    let both_plain = alias.is_none() && merge.alias.is_none();
    if known_as == target && (!both_plain || TableName::from_ast(name)? == merge.table) {
        return Err(TablesError::invalid(format!(
            "the source and the target of MERGE are both called {target}, give one an alias"
        )));
    }
    Ok(())
}

fn alias_of(name: &str) -> TableAlias {
    let name = Ident::with_quote('"', name);
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

fn alone(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: Vec::new() }
}

/// The select list of the source query.
#[derive(Default)]
struct SelectList {
    items: Vec<SelectItem>,
    /// The column each item is assigned to.
    columns: Vec<Option<Arc<AssignColumn>>>,
    /// The clause each item is computed for; `None` for what all rows have.
    clauses: Vec<Option<usize>>,
}

impl SelectList {
    /// Adds an item and tells its position.
    fn push(
        &mut self,
        expr: ast::Expr,
        column: Option<Arc<AssignColumn>>,
        clause: Option<usize>,
    ) -> usize {
        let position = self.items.len();
        let alias = Ident::with_quote('"', format!("merge {position}"));
        self.items.push(SelectItem::ExprWithAlias { expr, alias });
        self.columns.push(column);
        self.clauses.push(clause);
        position
    }
}

pub(super) struct Lowering<'a> {
    entry: &'a Arc<TableEntry>,
    pub(super) merge: &'a MergeStatement,
    target: Target<'a>,
    scope: MergeScope,
}

impl Lowering<'_> {
    pub(super) fn has(&self, matching: MergeMatching) -> bool {
        self.merge.clauses.iter().any(|clause| clause.matching == matching)
    }

    /// `clause 2 of MERGE, WHEN NOT MATCHED`.
    pub(super) fn named(&self, number: usize) -> String {
        match self.merge.clauses.get(number) {
            Some(clause) => format!("clause {} of MERGE, {}", number + 1, clause.matching),
            None => String::from("MERGE"),
        }
    }

    /// Location, image, clause, the target's columns, and the values of every clause.
    fn select_list(&self, list: &mut SelectList) -> Result<Vec<ClauseRows>> {
        for item in location_and_image(self.entry, &self.target) {
            if let SelectItem::UnnamedExpr(expr) = item {
                list.push(expr, None, None);
            }
        }
        list.push(self.which_clause()?, None, None);
        let definition = &self.entry.definition;
        let updates = |clause: &MergeClause| matches!(clause.action, MergeAction::Update(_));
        let mut now = Vec::new();
        if self.merge.clauses.iter().any(updates) {
            for column in &definition.columns {
                now.push(list.push(self.target.column(&column.name), None, None));
            }
        }
        let rows = self.merge.clauses.iter().enumerate().map(|(number, clause)| {
            let rows = match &clause.action {
                MergeAction::Update(set) => self.update(number, set, now.clone(), list),
                MergeAction::Insert { columns, values } => {
                    self.insert(number, columns, values.as_deref(), list)
                }
                MergeAction::Delete => Ok(ClauseRows::Delete),
                MergeAction::Nothing => Ok(ClauseRows::Nothing),
            };
            rows.map_err(|error| self.in_clause(error, number))
        });
        Ok(rows.collect::<Result<Vec<_>, TablesError>>()?)
    }

    /// A wrong statement's reason, with the clause.
    fn in_clause(&self, error: TablesError, number: usize) -> TablesError {
        match error {
            TablesError::InvalidStatement { reason } => {
                TablesError::invalid(format!("{reason} ({})", self.named(number)))
            }
            other => other,
        }
    }

    fn update(
        &self,
        number: usize,
        assignments: &[Assignment],
        mut columns: Vec<usize>,
        list: &mut SelectList,
    ) -> Result<ClauseRows, TablesError> {
        let definition = &self.entry.definition;
        let keys = definition.key_positions();
        for assignment in assignments {
            let position = target_position(definition, &assignment.column)?;
            if keys.contains(&position) {
                return Err(TablesError::invalid(format!(
                    "column {} belongs to the primary key of {} and cannot be updated, insert a \
                     new row and delete the old one",
                    assignment.column,
                    definition.qualified_name()
                )));
            }
            let item = self.value(number, position, &assignment.value, list)?;
            if let Some(column) = columns.get_mut(position) {
                *column = item;
            }
        }
        Ok(ClauseRows::Update { columns })
    }

    fn insert(
        &self,
        number: usize,
        names: &[String],
        values: Option<&[ast::Expr]>,
        list: &mut SelectList,
    ) -> Result<ClauseRows, TablesError> {
        let definition = &self.entry.definition;
        let default = ast::Expr::Identifier(Ident::new("DEFAULT"));
        let mut given: Vec<&ast::Expr> = definition.columns.iter().map(|_| &default).collect();
        if let Some(values) = values {
            let targets: Vec<usize> = match names {
                [] => (0..definition.columns.len()).collect(),
                names => names
                    .iter()
                    .map(|name| target_position(definition, name))
                    .collect::<Result<_, _>>()?,
            };
            if targets.len() != values.len() {
                return Err(TablesError::invalid(format!(
                    "INSERT names {} columns of {} and gives {} values",
                    targets.len(),
                    definition.qualified_name(),
                    values.len()
                )));
            }
            for (target, value) in targets.into_iter().zip(values) {
                if let Some(given) = given.get_mut(target) {
                    *given = value;
                }
            }
        }
        let columns = given.into_iter().enumerate();
        let columns = columns.map(|(position, value)| self.value(number, position, value, list));
        Ok(ClauseRows::Insert { columns: columns.collect::<Result<_, _>>()? })
    }

    /// Adds the value that a clause gives to a column.
    fn value(
        &self,
        number: usize,
        position: usize,
        value: &ast::Expr,
        list: &mut SelectList,
    ) -> Result<usize, TablesError> {
        let no_column = || TablesError::invalid("a value has no column to go to");
        let column = self.entry.definition.columns.get(position).ok_or_else(no_column)?;
        let value = if is_default_keyword(value) {
            default_expr(column)?
        } else {
            set_returning::refuse(value, &column.name)?;
            self.resolved(number, value)
        };
        let assign = Arc::new(AssignColumn::new(&self.entry.definition, column));
        Ok(list.push(value, Some(assign), Some(number)))
    }

    fn resolved(&self, number: usize, expr: &ast::Expr) -> ast::Expr {
        match self.merge.clauses.get(number) {
            Some(clause) => self.scope.resolve(expr.clone(), clause.matching, &self.target),
            None => expr.clone(),
        }
    }

    /// The number of the first clause that fits; -1 where none does, or where it does nothing.
    fn which_clause(&self) -> Result<ast::Expr> {
        let number = |number: &str| ast::Expr::value(Value::Number(number.to_owned(), false));
        let none = || ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(number("1")) };
        let conditions = self.merge.clauses.iter().enumerate().map(|(position, clause)| {
            let mut condition = self.fits(clause.matching);
            if let Some(given) = &clause.condition {
                set_returning::refuse(given, "clause")?;
                condition = in_turn(condition, self.resolved(position, given));
            }
            let result = match clause.action {
                MergeAction::Nothing => none(),
                _ => number(&position.to_string()),
            };
            Ok(CaseWhen { condition, result })
        });
        Ok(ast::Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: conditions.collect::<Result<Vec<_>, TablesError>>()?,
            else_result: Some(Box::new(none())),
        })
    }

    /// Whether a row of the join is one that clauses of this kind are for.
    fn fits(&self, matching: MergeMatching) -> ast::Expr {
        let wide = self.entry.layout.wide_schema();
        let location = wide.field(self.entry.layout.location_index()).name();
        let target = Box::new(self.target.column(location));
        let present = [PRESENT, PRESENT].map(|part| Ident::with_quote('"', part));
        let source = Box::new(ast::Expr::CompoundIdentifier(present.to_vec()));
        match matching {
            MergeMatching::NotMatched => ast::Expr::IsNull(target),
            MergeMatching::NotMatchedBySource => ast::Expr::IsNull(source),
            MergeMatching::Matched => {
                let with_target = ast::Expr::IsNotNull(target);
                match self.has(MergeMatching::NotMatchedBySource) {
                    true => and(with_target, ast::Expr::IsNotNull(source)),
                    false => with_target,
                }
            }
        }
    }

    /// The source and the target, joined as the clauses need it.
    fn joined(&self) -> Result<TableWithJoins> {
        let mut source = named_source(self.merge);
        let by_source = self.has(MergeMatching::NotMatchedBySource);
        if by_source {
            source = TableFactor::NestedJoin {
                table_with_joins: Box::new(TableWithJoins {
                    relation: source,
                    joins: vec![joined(present()?, JoinOperator::CrossJoin(JoinConstraint::None))],
                }),
                alias: None,
            };
        }
        let on = JoinConstraint::On(self.merge.on.clone());
        let operator = match (self.has(MergeMatching::NotMatched), by_source) {
            (false, false) => JoinOperator::Inner(on),
            (true, false) => JoinOperator::LeftOuter(on),
            (false, true) => JoinOperator::RightOuter(on),
            (true, true) => JoinOperator::FullOuter(on),
        };
        let joins = vec![joined(self.target.factor(mark_source), operator)];
        Ok(TableWithJoins { relation: source, joins })
    }
}

fn and(left: ast::Expr, right: ast::Expr) -> ast::Expr {
    ast::Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) }
}

/// `first`, and where that holds `given`: of its parts joined by AND, each only where those before
/// it hold, for what comes later may fail there (`v <> 0 AND 1 / v > 2`). As AND, the query engine
/// would compute all of them for all rows.
fn in_turn(first: ast::Expr, given: ast::Expr) -> ast::Expr {
    let mut parts = vec![first];
    let mut pending = vec![given];
    while let Some(part) = pending.pop() {
        match part {
            ast::Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                pending.extend([*right, *left]);
            }
            ast::Expr::Nested(inner) => pending.push(*inner),
            // Anything but a BOOLEAN is refused beside AND; CASE would convert it.
            part => {
                let part = ast::Expr::Nested(Box::new(part));
                parts.push(and(part, ast::Expr::value(Value::Boolean(true))));
            }
        }
    }
    // No BOOLEAN, of which the query engine would make an AND again.
    let one = || ast::Expr::value(Value::Number(String::from("1"), false));
    let all = parts.into_iter().rev().fold(one(), |result, condition| ast::Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: None,
    });
    let (left, right) = (Box::new(all), Box::new(one()));
    ast::Expr::BinaryOp { left, op: BinaryOperator::Eq, right }
}

fn joined(relation: TableFactor, join_operator: JoinOperator) -> Join {
    Join { relation, global: false, join_operator }
}

/// A table of one row that is there.
fn present() -> Result<TableFactor> {
    let mut select = empty_select()?;
    let alias = Ident::with_quote('"', PRESENT);
    let expr = ast::Expr::value(Value::Boolean(true));
    select.projection = vec![SelectItem::ExprWithAlias { expr, alias }];
    Ok(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(SetExpr::Select(Box::new(select)))),
        alias: Some(alias_of(PRESENT)),
        sample: None,
    })
}
