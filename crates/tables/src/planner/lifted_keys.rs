//! A subquery of equalities with the outer row, computed once for all outer rows.
//!
//! `WHERE u.a = t.a` below a window, a LIMIT or a UNION means: windows, limits and unions of the
//! rows of one `t.a`. So every node of the subquery carries what its rows are compared with as
//! columns, the keys, and does its work per key; what is left is one condition, on top:
//!
//! ```text
//!  Limit: 2                         Projection: u.b
//!    Sort: u.b              ──►       Filter: key = outer(t.a)
//!      Projection: u.b                  Filter: number <= 2
//!        Filter: u.a = outer(t.a)         Window: row_number, PARTITION BY key ORDER BY u.b
//!          u                                Projection: u.b, u.a AS key
//!                                             u
//! ```

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprFunctionExt, ExprSchemable, FetchType, Filter, Join,
    Limit, LogicalPlan, Operator, Projection, SkipType, Sort, SortExpr, SubqueryAlias, Union,
    Window, cast, lit,
};

/// What the columns are called by which rows belong to an outer row; a number follows.
const KEY: &str = "__correlated_";

/// Whether a subquery names columns of the query it stands in; a LATERAL one within it names
/// columns of this subquery.
pub(super) fn names_outer(plan: &LogicalPlan) -> bool {
    if matches!(plan, LogicalPlan::Subquery(_)) {
        return false;
    }
    plan.contains_outer_reference() || plan.inputs().into_iter().any(names_outer)
}

/// The two sides of an equality with the outer row, the subquery's first.
pub(super) fn equality(condition: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
        return None;
    };
    let is_outer = |expr: &Expr| expr.contains_outer() && expr.column_refs().is_empty();
    match (left.contains_outer(), right.contains_outer()) {
        (false, true) if is_outer(right) => Some((left, right)),
        (true, false) if is_outer(left) => Some((right, left)),
        _ => None,
    }
}

/// The subquery's side of an equality as it is compared, cast where the other side has another
/// type.
pub(super) fn compared(inner: &Expr, outer: &Expr, input: &LogicalPlan) -> Option<Expr> {
    let schema = input.schema();
    let (own, other) = (inner.get_type(schema).ok()?, outer.get_type(schema).ok()?);
    let (common, _) = BinaryTypeCoercer::new(&own, &Operator::Eq, &other).get_input_types().ok()?;
    let exact = common == own || (own.is_signed_integer() && common.is_signed_integer());
    Some(if exact { inner.clone() } else { cast(inner.clone(), common) })
}

/// The subquery with its equalities on top; `None` when something in it cannot be done per key.
pub(super) fn lift(plan: &LogicalPlan, numbers: &Cell<usize>) -> Result<Option<LogicalPlan>> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let Some(Keyed { plan, keys }) = (Lifting { numbers }).node(plan)? else { return Ok(None) };
    let equalities = keys.into_iter().map(|(key, outer)| Expr::Column(key).eq(outer));
    let Some(condition) = conjunction(equalities) else { return Ok(None) };
    let rows = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(rows))?)))
}

/// A plan without outer columns, and which of its own each outer expression is compared with.
struct Keyed {
    plan: LogicalPlan,
    keys: Vec<(Column, Expr)>,
}

impl Keyed {
    fn key_columns(&self) -> impl Iterator<Item = Expr> {
        self.keys.iter().map(|(key, _)| Expr::Column(key.clone()))
    }

    fn with(self, plan: LogicalPlan) -> Self {
        Self { plan, ..self }
    }
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

struct Lifting<'a> {
    numbers: &'a Cell<usize>,
}

impl Lifting<'_> {
    fn node(&self, plan: &LogicalPlan) -> Result<Option<Keyed>> {
        if !names_outer(plan) {
            return Ok(Some(Keyed { plan: plan.clone(), keys: Vec::new() }));
        }
        match plan {
            LogicalPlan::Filter(filter) => self.filter(&filter.predicate, &filter.input),
            _ if plan.contains_outer_reference() => match plan {
                LogicalPlan::Join(join) => self.join(join),
                _ => Ok(None),
            },
            LogicalPlan::Projection(projection) => {
                let Some(inner) = self.node(&projection.input)? else { return Ok(None) };
                self.projected(projection.expr.clone(), inner).map(Some)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(inner) = self.node(&alias.input)? else { return Ok(None) };
                let inner = self.projected(columns_of(&alias.input), inner)?;
                let name = alias.alias.clone();
                let plan = SubqueryAlias::try_new(Arc::new(inner.plan), name.clone())?;
                let renamed = |(key, outer): (Column, Expr)| {
                    (Column::new(Some(name.clone()), key.name), outer)
                };
                let keys = inner.keys.into_iter().map(renamed).collect();
                Ok(Some(Keyed { plan: LogicalPlan::SubqueryAlias(plan), keys }))
            }
            // The order matters to nobody but a LIMIT.
            LogicalPlan::Sort(Sort { input, fetch: None, .. }) => self.node(input),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(inner) = self.node(input)? else { return Ok(None) };
                let rows = Distinct::All(Arc::new(inner.plan.clone()));
                Ok(Some(inner.with(LogicalPlan::Distinct(rows))))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            _ => Ok(None),
        }
    }

    fn new_key(&self) -> String {
        self.numbers.set(self.numbers.get() + 1);
        format!("{KEY}{}", self.numbers.get())
    }

    /// These columns and the keys, each key under a name of its own.
    fn projected(&self, mut columns: Vec<Expr>, inner: Keyed) -> Result<Keyed> {
        let mut keys = Vec::with_capacity(inner.keys.len());
        for (key, outer) in inner.keys {
            let name = self.new_key();
            columns.push(Expr::Column(key).alias(name.clone()));
            keys.push((Column::new_unqualified(name), outer));
        }
        let plan = Projection::try_new(columns, Arc::new(inner.plan))?;
        Ok(Keyed { plan: LogicalPlan::Projection(plan), keys })
    }

    fn filter(&self, predicate: &Expr, input: &LogicalPlan) -> Result<Option<Keyed>> {
        let Some(Keyed { mut plan, mut keys }) = self.node(input)? else { return Ok(None) };
        let (outer, own): (Vec<_>, Vec<_>) =
            split_conjunction(predicate).into_iter().partition(|one| one.contains_outer());
        if let Some(condition) = conjunction(own.into_iter().cloned()) {
            plan = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
        }
        let mut columns = columns_of(&plan);
        let before = columns.len();
        for condition in outer {
            let Some((inner, outer)) = equality(condition) else { return Ok(None) };
            let Some(value) = compared(inner, outer, input) else { return Ok(None) };
            if value.is_volatile() || value.exists(|expr| Ok(is_subquery(expr)))? {
                return Ok(None);
            }
            let key = match value {
                Expr::Column(column) => column,
                value => {
                    let name = self.new_key();
                    columns.push(value.alias(name.clone()));
                    Column::new_unqualified(name)
                }
            };
            keys.push((key, outer.clone()));
        }
        if columns.len() > before {
            plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?);
        }
        Ok(Some(Keyed { plan, keys }))
    }

    /// So many rows of each key.
    fn limit(&self, limit: &Limit) -> Result<Option<Keyed>> {
        if let LogicalPlan::Projection(projection) = limit.input.as_ref() {
            // The order is that of the rows below.
            let below = Limit { input: Arc::clone(&projection.input), ..limit.clone() };
            let below = Arc::new(LogicalPlan::Limit(below));
            let rows = Projection::try_new(projection.expr.clone(), below)?;
            return self.node(&LogicalPlan::Projection(rows));
        }
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        let (input, order): (_, &[SortExpr]) = match limit.input.as_ref() {
            LogicalPlan::Sort(Sort { expr, input, fetch: None }) => (input, expr),
            _ => (&limit.input, &[]),
        };
        if order.iter().any(|key| key.expr.contains_outer()) {
            return Ok(None);
        }
        let Some(inner) = self.node(input)? else { return Ok(None) };
        let columns = columns_of(&inner.plan);
        let number = row_number().partition_by(inner.key_columns().collect());
        // An order of nothing would be one, and frames over it a contradiction.
        let number =
            if order.is_empty() { number } else { number.order_by(order.to_vec()) }.build()?;
        let place = Expr::Column(Column::new_unqualified(number.schema_name().to_string()));
        let numbered = Window::try_new(vec![number], Arc::new(inner.plan.clone()))?;
        let after = place.clone().gt(lit(skip as u64));
        let condition = match fetch {
            None => after,
            Some(fetch) => after.and(place.lt_eq(lit(skip.saturating_add(fetch) as u64))),
        };
        let numbered = Arc::new(LogicalPlan::Window(numbered));
        let rows = Arc::new(LogicalPlan::Filter(Filter::try_new(condition, numbered)?));
        let rows = Projection::try_new(columns, rows)?;
        Ok(Some(inner.with(LogicalPlan::Projection(rows))))
    }

    fn window(&self, window: &Window) -> Result<Option<Keyed>> {
        let Some(inner) = self.node(&window.input)? else { return Ok(None) };
        let mut columns = columns_of(&inner.plan);
        let mut functions = Vec::with_capacity(window.window_expr.len());
        let first = window.input.schema().fields().len();
        for (position, function) in window.window_expr.iter().enumerate() {
            let function = partitioned(function.clone(), &inner)?;
            let name = window.schema.field(first + position).name();
            let column = Column::new_unqualified(function.schema_name().to_string());
            columns.push(Expr::Column(column).alias(name));
            functions.push(function);
        }
        let rows = Window::try_new(functions, Arc::new(inner.plan.clone()))?;
        let rows = Projection::try_new(columns, Arc::new(LogicalPlan::Window(rows)))?;
        Ok(Some(inner.with(LogicalPlan::Projection(rows))))
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<Option<Keyed>> {
        let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
        if aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(is_set) {
            return Ok(None);
        }
        let Some(inner) = self.node(&aggregate.input)? else { return Ok(None) };
        let mut groups = aggregate.group_expr.clone();
        for key in inner.key_columns() {
            if !groups.contains(&key) {
                groups.push(key);
            }
        }
        let input = Arc::new(inner.plan.clone());
        let rows = Aggregate::try_new(input, groups, aggregate.aggr_expr.clone())?;
        Ok(Some(inner.with(LogicalPlan::Aggregate(rows))))
    }

    fn join(&self, join: &Join) -> Result<Option<Keyed>> {
        let possible = match join.join_type {
            JoinType::Inner => true,
            // A row without a match would be one of every key.
            JoinType::Left => !names_outer(&join.right),
            JoinType::Right => !names_outer(&join.left),
            _ => false,
        };
        if !possible || join.on.iter().any(|(a, b)| a.contains_outer() || b.contains_outer()) {
            return Ok(None);
        }
        if let Some(filter) = join.filter.as_ref().filter(|filter| filter.contains_outer()) {
            if join.join_type != JoinType::Inner {
                return Ok(None);
            }
            // What an inner join compares may as well be compared later.
            let rows = Join { filter: None, ..join.clone() };
            return self.filter(filter, &LogicalPlan::Join(rows));
        }
        let (Some(left), Some(right)) = (self.node(&join.left)?, self.node(&join.right)?) else {
            return Ok(None);
        };
        let rows = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            join.on.clone(),
            join.filter.clone(),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        let keys = left.keys.into_iter().chain(right.keys).collect();
        Ok(Some(Keyed { plan: LogicalPlan::Join(rows), keys }))
    }

    /// All queries must be compared with the same.
    fn union(&self, union: &Union) -> Result<Option<Keyed>> {
        let mut inputs = Vec::with_capacity(union.inputs.len());
        let mut first: Option<Vec<(Column, Expr)>> = None;
        for input in &union.inputs {
            let Some(inner) = self.node(input)? else { return Ok(None) };
            let mut columns = columns_of(input);
            let outers = first.get_or_insert_with(|| {
                let named = |(_, outer): &(Column, Expr)| {
                    (Column::new_unqualified(self.new_key()), outer.clone())
                };
                inner.keys.iter().map(named).collect()
            });
            if outers.len() != inner.keys.len() {
                return Ok(None);
            }
            for (name, wanted) in outers.iter() {
                let key = inner.keys.iter().find(|(_, outer)| outer == wanted);
                let Some((key, _)) = key else { return Ok(None) };
                columns.push(Expr::Column(key.clone()).alias(&name.name));
            }
            let rows = Projection::try_new(columns, Arc::new(inner.plan))?;
            inputs.push(Arc::new(LogicalPlan::Projection(rows)));
        }
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
        Ok(first.map(|keys| Keyed { plan, keys }))
    }
}

/// A window function that sees the rows of one key only.
fn partitioned(function: Expr, inner: &Keyed) -> Result<Expr> {
    function
        .transform_down(|expr| match expr {
            Expr::WindowFunction(mut function) => {
                function.params.partition_by.extend(inner.key_columns());
                let expr = Expr::WindowFunction(function);
                Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_)
    )
}
