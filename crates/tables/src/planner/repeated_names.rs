//! Results with several columns of one name: `SELECT 1, 1`, `SELECT *, id`.
//!
//! To SQL the items of a select list are positions; the query engine wants each to have a name of
//! its own. So items that repeat a name are given another while the query is planned, and theirs
//! back in the result, where fields of one name differ by what they are qualified with.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, SetQuantifier,
    Subscript,
};
use kalamdb_sql::stored_name;

use super::named_casts;
use super::plan_context::PlanContext;
use super::result_names;
use super::several_columns::shared_name;

/// How the names begin that are given while planning.
const GIVEN: &str = "repeated column ";

impl PlanContext<'_> {
    /// Plans the query of a statement; its result may have several columns of one name.
    pub(crate) fn plan_result(&self, query: &Query) -> Result<LogicalPlan> {
        let (plan, renamed) = self.plan_renamed(query)?;
        let fields = plan.schema().fields().iter();
        let shared = |name: &String| shared_name(name).map(str::to_owned);
        let shown: Vec<_> = result_names::of(query, fields.len())
            .into_iter()
            .zip(fields.clone())
            .map(|(shown, field)| shown.or_else(|| shared(field.name())))
            .collect();
        let same = fields
            .zip(&shown)
            .all(|(field, shown)| shown.as_ref().is_none_or(|shown| shown == field.name()));
        if renamed.is_empty() && same { Ok(plan) } else { named_back(plan, &renamed, shown) }
    }

    /// Plans a query whose columns go by position: their names are any.
    pub(crate) fn plan_positions(&self, query: &Query) -> Result<LogicalPlan> {
        Ok(self.plan_renamed(query)?.0)
    }

    fn plan_renamed(&self, query: &Query) -> Result<(LogicalPlan, Renamed)> {
        let mut named = None;
        if named_casts::groups_alike(query) {
            named_casts::name_casts(named.insert(query.clone()));
        }
        let query = named.as_ref().unwrap_or(query);
        let error = match self.plan_query(query) {
            Ok(plan) => return Ok((plan, Renamed::new())),
            Err(error) => error,
        };
        // Those that are spelled alike first; then all, for the engine may call alike what is not.
        for all in [false, true] {
            let mut query = query.clone();
            let mut renaming =
                Renaming { ordered_by: ordered_by(&query), all, renamed: Renamed::new() };
            renaming.body(&mut query.body);
            if !renaming.renamed.is_empty()
                && let Ok(plan) = self.plan_query(&query)
            {
                return Ok((plan, renaming.renamed));
            }
            if named_casts::is_repetition(&error)
                && named_casts::name_casts(&mut query)
                && let Ok(plan) = self.plan_query(&query)
            {
                return Ok((plan, renaming.renamed));
            }
        }
        // Something else is wrong with what was written.
        Err(error)
    }
}

/// The alias each given name took the place of; `None` where there was none.
type Renamed = HashMap<String, Option<String>>;

/// The names ORDER BY mentions.
fn ordered_by(query: &Query) -> Vec<String> {
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|by| &by.kind) else {
        return Vec::new();
    };
    keys.iter()
        .filter_map(|key| match &key.expr {
            ast::Expr::Identifier(name) => Some(stored_name(name)),
            _ => None,
        })
        .collect()
}

/// What is renamed, and how far that went.
struct Renaming {
    ordered_by: Vec<String>,
    /// Every item without a name is given one.
    all: bool,
    renamed: Renamed,
}

impl Renaming {
    fn body(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => self.items(select),
            SetExpr::SetOperation { left, right, set_quantifier, .. } => {
                use SetQuantifier::{AllByName, ByName, DistinctByName};
                // There a column's name decides with which one it goes.
                if !matches!(set_quantifier, ByName | AllByName | DistinctByName) {
                    self.body(left);
                    self.body(right);
                }
            }
            SetExpr::Query(query) => self.body(&mut query.body),
            _ => {}
        }
    }

    fn items(&mut self, select: &mut Select) {
        let with_wildcard = select.projection.iter().any(|item| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
        });
        // The name of each item so far, and what has it.
        let mut seen: HashMap<String, Seen> = HashMap::new();
        for item in &mut select.projection {
            let (name, alias, expr) = match item {
                SelectItem::UnnamedExpr(expr) => (name_of(expr), None, expr),
                SelectItem::ExprWithAlias { expr, alias } => {
                    (stored_name(alias), Some(stored_name(alias)), expr)
                }
                _ => continue,
            };
            let named = alias.is_some() || is_name(expr);
            let sorts = named && self.ordered_by.contains(&name);
            let shown = expr.to_string();
            let repeats = match seen.entry(name) {
                // By which of the two to sort nobody knows.
                Entry::Occupied(first)
                    if sorts && first.get().named && first.get().shown != shown =>
                {
                    continue;
                }
                Entry::Occupied(_) => true,
                Entry::Vacant(place) => {
                    place.insert(Seen { shown, named });
                    self.all && !named
                }
            };
            // A wildcard may stand for a column of any name.
            let may_repeat = with_wildcard && !(sorts && alias.is_some());
            if repeats || may_repeat {
                let name = format!("{GIVEN}{}", self.renamed.len() + 1);
                let given = Ident::with_quote('"', name.as_str());
                // A column that a join merged is an expression by then.
                let alias = alias.or_else(|| is_name(expr).then(|| name_of(expr)));
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: given };
                self.renamed.insert(name, alias);
            }
        }
    }
}

/// An item of the select list.
struct Seen {
    shown: String,
    /// Whether ORDER BY can mean it by its name.
    named: bool,
}

fn is_name(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_))
}

/// What an item without an alias is called, near enough to find repetitions: a conversion as what
/// it converts, a field of a struct as the field.
fn name_of(expr: &ast::Expr) -> String {
    match expr {
        ast::Expr::Nested(inner) | ast::Expr::Cast { expr: inner, .. } => name_of(inner),
        ast::Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Subscript(Subscript::Index { index: ast::Expr::Value(value) })) => {
                match &value.value {
                    ast::Value::SingleQuotedString(field) => field.clone(),
                    _ => expr.to_string().to_lowercase(),
                }
            }
            Some(AccessExpr::Dot(field)) => name_of(field),
            _ => expr.to_string().to_lowercase(),
        },
        ast::Expr::Identifier(name) => stored_name(name),
        ast::Expr::CompoundIdentifier(parts) => parts.last().map(stored_name).unwrap_or_default(),
        other => other.to_string().to_lowercase(),
    }
}

/// The plan with the names that were written; `shown` are those of columns without one.
fn named_back(
    plan: LogicalPlan,
    renamed: &Renamed,
    shown: Vec<Option<String>>,
) -> Result<LogicalPlan> {
    let schema = plan.schema();
    let mut names = Vec::with_capacity(schema.fields().len());
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (field, shown) in schema.fields().iter().zip(shown) {
        let name = match (renamed.get(field.name()), shown) {
            (_, Some(shown)) => shown,
            (Some(Some(alias)), None) => alias.clone(),
            (Some(None), None) => own_name(&plan, field.name())?,
            (None, None) => field.name().clone(),
        };
        *uses.entry(name.clone()).or_default() += 1;
        names.push(name);
    }
    let columns = names.into_iter().enumerate().map(|(position, name)| {
        let field = schema.qualified_field(position);
        let given = field.1.name() != &name;
        let column = Expr::Column(Column::from(field));
        if uses.get(&name).is_some_and(|uses| *uses > 1) {
            let qualifier = TableReference::bare(format!("column {}", position + 1));
            column.alias_qualified(Some(qualifier), name)
        } else if given {
            column.alias(name)
        } else {
            column
        }
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// What the column called `given` would be called without an alias.
fn own_name(plan: &LogicalPlan, given: &str) -> Result<String> {
    let mut name = None;
    plan.apply(|node| {
        if let LogicalPlan::Projection(projection) = node {
            name = projection.expr.iter().find_map(|expr| match expr {
                Expr::Alias(alias) if alias.name == given => Some(match alias.expr.as_ref() {
                    Expr::Column(column) => column.name.clone(),
                    other => other.schema_name().to_string(),
                }),
                _ => None,
            });
        }
        Ok(if name.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(name.unwrap_or_else(|| given.to_owned()))
}
