//! The engine's simplification of expressions, kept from mistaking NULL for true or false.
//!
//! It merges two lists that one value is looked up in: `v IN (1) AND v IN (2)` and
//! `v IN (1) AND v NOT IN (1)` become false, `v NOT IN (1) OR v NOT IN (2)` true, though all of
//! them are NULL where `v` is. And it tells the items of lists apart by how they are written: two
//! columns that hold the same value are different to it, and NULL is a value like any other.
//!
//! So before it gets an expression, items that are no constants are taken out of the lists, and
//! a column in two lists goes by another name in each place. Moments that are finer than the column
//! they meet become ones of its unit, see [`moments`].

mod moments;
mod place;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit,
};
use datafusion::optimizer::simplify_expressions::{ExprSimplifier, SimplifyExpressions};
use datafusion::optimizer::{ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};

use self::place::{Place, reveal};

/// A rule of the engine that leaves out what ORDER BY names after a key. After a join a key of one
/// side stands in several rows, and the rule does not know. Plans over one table have it.
const DROPS_SORT_KEYS: &str = "eliminate_duplicated_expr";

/// The engine's optimizer rules, with its simplification guarded.
pub(crate) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let rules = Optimizer::new().rules.into_iter();
    rules
        .filter(|rule| rule.name() != DROPS_SORT_KEYS)
        .map(|rule| -> Arc<dyn OptimizerRule + Send + Sync> {
            let inner = SimplifyExpressions::new();
            if rule.name() == inner.name() {
                Arc::new(GuardedSimplification { inner })
            } else {
                rule
            }
        })
        .collect()
}

#[derive(Debug)]
struct GuardedSimplification {
    inner: SimplifyExpressions,
}

impl OptimizerRule for GuardedSimplification {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.inner.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut concerned = false;
        plan.apply_expressions(|expr| {
            concerned |= has_lists(expr)? || moments::converts_moments(expr)?;
            Ok(if concerned { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !concerned {
            return self.inner.rewrite(plan, config);
        }
        let guard = Guard::new(&plan, config)?;
        let names = NamePreserver::new(&plan);
        let prepare = |expr: Expr| {
            let name = names.save(&expr);
            Ok(guard.prepare(expr)?.update_data(|expr| name.restore(expr)))
        };
        let simplified = plan
            .map_expressions(|expr| match expr {
                sets @ Expr::GroupingSet(_) => sets.map_children(prepare),
                expr => prepare(expr),
            })?
            .transform_data(|plan| self.inner.rewrite(plan, config))?;
        if guard.disguised.get() == 0 {
            return Ok(simplified);
        }
        simplified.transform_data(|plan| {
            plan.transform_down(|node| node.map_expressions(|expr| expr.transform_up(reveal)))
        })
    }
}

/// Whether there may be lists in the expression, or what becomes one.
fn has_lists(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| {
        Ok(match expr {
            // Lists, and where an equality and its negation turn into each other.
            Expr::InList(_)
            | Expr::Not(_)
            | Expr::Case(_)
            | Expr::Literal(ScalarValue::Boolean(_), _) => true,
            Expr::BinaryExpr(BinaryExpr { op, .. }) => *op == Operator::Or || is_regex(*op),
            _ => false,
        })
    })
}

fn is_regex(operator: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

/// Prepares the expressions of one plan node.
struct Guard {
    schema: DFSchema,
    /// For what has no columns.
    constants: ExprSimplifier,
    /// How many places have a name of their own.
    disguised: Cell<u64>,
}

impl Guard {
    fn new(plan: &LogicalPlan, config: &dyn OptimizerConfig) -> Result<Self> {
        let schema = match plan {
            LogicalPlan::TableScan(scan) => {
                DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?
            }
            plan => merge_schema(&plan.inputs()),
        };
        let context = SimplifyContext::builder()
            .with_config_options(config.options())
            .with_query_execution_start_time(config.query_execution_start_time())
            .build();
        Ok(Self { schema, constants: ExprSimplifier::new(context), disguised: Cell::new(0) })
    }

    fn prepare(&self, expr: Expr) -> Result<Transformed<Expr>> {
        moments::in_own_units(expr, &self.schema, &self.constants)?
            .transform_data(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::InList(list) => self.constants_only(list),
                    Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                        Ok(merged(left, right))
                    }
                    Expr::BinaryExpr(binary) => Ok(plain_pattern(binary)),
                    other => Ok(Transformed::no(other)),
                })
            })?
            .transform_data(|expr| self.disguise(expr))
    }

    /// The list with items that are constants and not NULL; the others are compared beside it.
    fn constants_only(&self, list: InList) -> Result<Transformed<Expr>> {
        if list.list.iter().all(is_constant) || !can_repeat(&list)? {
            return Ok(Transformed::no(Expr::InList(list)));
        }
        let InList { expr, list, negated } = list;
        let (mut constants, mut others, mut with_null) = (Vec::new(), Vec::new(), false);
        for item in list {
            let item = match item {
                item if item.any_column_refs() => item,
                item => self.constants.simplify(item)?,
            };
            match item {
                Expr::Literal(value, _) if value.is_null() => with_null = true,
                item if is_constant(&item) => constants.push(item),
                item => others.push(item),
            }
        }
        let (compare, join) = match negated {
            true => (Operator::NotEq, Operator::And),
            false => (Operator::Eq, Operator::Or),
        };
        let mut parts: Vec<Expr> = others
            .into_iter()
            .map(|item| binary_expr(expr.as_ref().clone(), compare, item))
            .collect();
        if with_null {
            parts.push(lit(ScalarValue::Boolean(None)));
        }
        if !constants.is_empty() || parts.is_empty() {
            parts.insert(0, Expr::InList(InList { expr, list: constants, negated }));
        }
        Ok(Transformed::yes(joined(parts, join)))
    }

    /// Gives each place of a column that stands in several lists a name of its own.
    fn disguise(&self, expr: Expr) -> Result<Transformed<Expr>> {
        let in_danger = self.in_danger(&expr)?;
        expr.transform_up(|expr| match expr {
            Expr::InList(InList { expr, list, negated })
                if !expr.any_column_refs() && !is_literal(&expr) =>
            {
                let expr = Box::new(self.place(*expr));
                Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
            }
            expr if !in_danger.is_empty()
                && column_of(&expr).is_some_and(|column| in_danger.contains_key(&column)) =>
            {
                Ok(Transformed::yes(self.place(expr)))
            }
            other => Ok(Transformed::no(other)),
        })
    }

    fn place(&self, expr: Expr) -> Expr {
        let number = self.disguised.get();
        self.disguised.set(number + 1);
        Place::disguise(number, expr)
    }

    /// The columns that lists could be merged over, and wrongly.
    fn in_danger(&self, expr: &Expr) -> Result<HashMap<ColumnKey, Uses>> {
        let mut columns: HashMap<ColumnKey, Uses> = HashMap::new();
        // `v IN (1) OR v IN (2)` is `v IN (1, 2)` under all circumstances.
        let mut only_or = true;
        expr.apply(|expr| {
            match expr {
                Expr::InList(InList { expr, negated, .. }) => {
                    only_or &= !negated;
                    let unsure = self.is_unsure(expr);
                    count_in(expr, &mut columns, unsure)?;
                }
                Expr::Like(Like { expr, .. }) => count_in(expr, &mut columns, false)?,
                Expr::BinaryExpr(BinaryExpr { left, op, .. }) if is_regex(*op) => {
                    count_in(left, &mut columns, false)?;
                }
                Expr::BinaryExpr(BinaryExpr { op: Operator::And, .. })
                | Expr::Literal(ScalarValue::Boolean(_), _)
                | Expr::Not(_)
                | Expr::Case(_) => only_or = false,
                column => {
                    if let Some(key) = column_of(column) {
                        let uses = columns.entry(key).or_default();
                        uses.weight += 1;
                        uses.unsure |= self.is_unsure(column);
                    }
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        columns.retain(|_, uses| !only_or && uses.unsure && uses.weight >= TWO_LISTS);
        Ok(columns)
    }

    /// Whether the value may be NULL, or equal to a constant that is written differently (0, -0).
    fn is_unsure(&self, expr: &Expr) -> bool {
        expr.nullable(&self.schema).unwrap_or(true)
            || expr.get_type(&self.schema).is_ok_and(|data_type| data_type.is_floating())
    }
}

/// A column, and whether it is one of an outer query.
type ColumnKey = (Column, bool);

#[derive(Debug, Default)]
struct Uses {
    /// A place in a list counts for two: two comparisons may become a list.
    weight: usize,
    unsure: bool,
}

/// The weight without which no two lists come together.
const TWO_LISTS: usize = 4;

fn column_of(expr: &Expr) -> Option<ColumnKey> {
    match expr {
        Expr::Column(column) => Some((column.clone(), false)),
        Expr::OuterReferenceColumn(_, column) => Some((column.clone(), true)),
        _ => None,
    }
}

/// Counts the columns below `expr` once more.
fn count_in(expr: &Expr, columns: &mut HashMap<ColumnKey, Uses>, unsure: bool) -> Result<()> {
    expr.apply(|expr| {
        if let Some(key) = column_of(expr) {
            let uses = columns.entry(key).or_default();
            uses.weight += 1;
            uses.unsure |= unsure;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if !value.is_null())
}

/// Whether what is looked up may be written more than once. A single subquery as the only item
/// is left to the engine.
fn can_repeat(InList { expr, list, .. }: &InList) -> Result<bool> {
    let subquery = expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
        ))
    })?;
    Ok(!subquery && !expr.is_volatile() && !matches!(list.as_slice(), [Expr::ScalarSubquery(_)]))
}

/// The expressions joined by `operator`, in a tree that is not deep.
fn joined(mut parts: Vec<Expr>, operator: Operator) -> Expr {
    while parts.len() > 1 {
        let mut next = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            next.push(match rest.next() {
                Some(right) => binary_expr(left, operator, right),
                None => left,
            });
        }
        parts = next;
    }
    parts.pop().unwrap_or_default()
}

/// `left OR right` as one list, when both look one column up among constants.
fn merged(left: Box<Expr>, right: Box<Expr>) -> Transformed<Expr> {
    let column = match (looked_up(&left), looked_up(&right)) {
        (Some(left), Some(right)) if left == right => left.clone(),
        _ => return Transformed::no(binary_expr(*left, Operator::Or, *right)),
    };
    let mut list = items(*left);
    list.extend(items(*right));
    Transformed::yes(Expr::InList(InList { expr: Box::new(column), list, negated: false }))
}

/// The column of `column = constant` or `column IN (constants)`.
fn looked_up(expr: &Expr) -> Option<&Expr> {
    let column = match expr {
        Expr::InList(InList { expr, list, negated: false }) if list.iter().all(is_constant) => expr,
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            match (is_constant(left), is_constant(right)) {
                (false, true) => left,
                (true, false) => right,
                _ => return None,
            }
        }
        _ => return None,
    };
    matches!(column.as_ref(), Expr::Column(_)).then_some(column.as_ref())
}

/// The constants of what [`looked_up`] takes.
fn items(expr: Expr) -> Vec<Expr> {
    match expr {
        Expr::InList(InList { list, .. }) => list,
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
            vec![if is_constant(&left) { *left } else { *right }]
        }
        _ => Vec::new(),
    }
}

/// `v ~ '.*'` as `v LIKE '%'`, which is NULL where `v` is; the engine makes it `v IS NOT NULL`.
fn plain_pattern(BinaryExpr { left, op, right }: BinaryExpr) -> Transformed<Expr> {
    let any = matches!(
        right.as_ref(),
        Expr::Literal(ScalarValue::Utf8(Some(pattern)), _) if pattern == ".*"
    );
    if any && matches!(op, Operator::RegexMatch | Operator::RegexIMatch) {
        return Transformed::yes(Expr::Like(Like::new(
            false,
            left,
            Box::new(lit("%")),
            None,
            false,
        )));
    }
    Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))
}
