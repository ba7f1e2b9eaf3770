//! Walks a query's tree and refuses the clauses the planner would silently ignore, rewrites the
//! ones that only have another spelling, and bounds the size of the plan.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, JoinConstraint, JoinOperator, LimitClause, ObjectName, Query, Select,
    SelectFlavor, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned,
    Statement as AstStatement, TableFactor, TableWithJoins, UpdateTableFromKind, Value,
    ValueWithSpan, VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions,
};

use crate::error::SqlError;
use crate::parse::merge::{MergeAction, MergeStatement};
use crate::parse::names::stored_name;
use crate::parse::reader::position_of;

/// Tables and joins in one FROM.
pub const TABLES_PER_SELECT_MAX: usize = 256;
/// Tables in a query once every WITH query stands in the place of each of its names.
pub const PLAN_TABLES_MAX: usize = 1_024;

/// Checks a query in place: FETCH FIRST becomes LIMIT.
pub(crate) fn check_query(query: &mut Query) -> Result<(), SqlError> {
    check(query, None)
}

/// Checks the queries and expressions of one INSERT, UPDATE or DELETE.
pub(crate) fn check_dml(statement: &mut AstStatement) -> Result<(), SqlError> {
    check(statement, Some(1))
}

/// As [`check_dml`], with queries in front: the statement is the body of one that holds them.
pub(crate) fn check_dml_with_queries(query: &mut Query) -> Result<(), SqlError> {
    check(query, Some(2))
}

/// Checks the queries and expressions of a MERGE.
pub(crate) fn check_merge(merge: &mut MergeStatement) -> Result<(), SqlError> {
    let mut outer = OpenQuery::default();
    if let Some(with) = &merge.with {
        let names = with.cte_tables.iter().map(|cte| stored_name(&cte.alias.name));
        outer.with_names = names.collect();
        if with.cte_tables.iter().any(|cte| cte.from.is_some()) {
            return Err(SqlError::unsupported("FROM after a WITH query", "leave it out"));
        }
    }
    let mut guard = Guard { statement_depth: None, queries: vec![outer] };
    let mut walk = || -> Walk {
        merge.with.visit(&mut guard)?;
        merge.source.visit(&mut guard)?;
        merge.on.visit(&mut guard)?;
        for clause in &mut merge.clauses {
            clause.condition.visit(&mut guard)?;
            match &mut clause.action {
                MergeAction::Update(assignments) => {
                    for assignment in assignments {
                        assignment.value.visit(&mut guard)?;
                    }
                }
                MergeAction::Insert { values, .. } => values.visit(&mut guard)?,
                MergeAction::Delete | MergeAction::Nothing => {}
            }
        }
        ControlFlow::Continue(())
    };
    match walk() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

fn check<V: VisitMut>(node: &mut V, statement_depth: Option<usize>) -> Result<(), SqlError> {
    let mut guard = Guard { statement_depth, queries: vec![OpenQuery::default()] };
    match node.visit(&mut guard) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

type Walk = ControlFlow<Box<SqlError>>;

struct Guard {
    /// Queries open around the statement that is checked; `None` when a query is. Any other
    /// statement stands inside a query.
    statement_depth: Option<usize>,
    /// Queries being walked, outermost first.
    queries: Vec<OpenQuery>,
}

/// What is known of a query while its parts are walked.
#[derive(Default)]
struct OpenQuery {
    /// Names of its WITH queries not yet walked; these are walked before all else.
    with_names: VecDeque<String>,
    /// Tables in each of the WITH queries walked.
    with_tables: HashMap<String, usize>,
    /// Tables of the query, WITH queries counted at every use.
    tables: usize,
}

impl Guard {
    fn count_tables(&mut self, tables: usize) -> Walk {
        let Some(query) = self.queries.last_mut() else { return ControlFlow::Continue(()) };
        query.tables = query.tables.saturating_add(tables);
        if query.tables > PLAN_TABLES_MAX {
            return refuse(SqlError::TooLarge {
                what: "the number of tables in the query, WITH queries counted at every use,",
                limit: PLAN_TABLES_MAX,
                advice: "split the query",
            });
        }
        ControlFlow::Continue(())
    }

    /// Tables behind a name: those of the innermost WITH query so called, or one.
    fn tables_of(&self, name: &ObjectName) -> usize {
        let [part] = name.0.as_slice() else { return 1 };
        let Some(ident) = part.as_ident() else { return 1 };
        let name = stored_name(ident);
        let found = self.queries.iter().rev().find_map(|query| query.with_tables.get(&name));
        found.copied().unwrap_or(1)
    }
}

impl VisitorMut for Guard {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Walk {
        if let Some(clause) = ignored_query_clause(query) {
            let advice = match *query.body {
                SetExpr::Table(_) => "use SELECT * FROM",
                _ => "leave it out",
            };
            return unsupported(clause, advice);
        }
        if let Some(operation) = operation_by_name(&query.body) {
            return unsupported(operation, "name the columns of both sides in one order");
        }
        if limits_by_query(query) {
            let advice = "run the subquery first, and give its value as a parameter";
            return unsupported("a subquery in LIMIT or OFFSET", advice);
        }
        if let Some(fetch) = query.fetch.take()
            && let Err(error) = fetch_as_limit(query, fetch)
        {
            return refuse(error);
        }
        let mut open = OpenQuery::default();
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                if cte.from.is_some() {
                    return unsupported("FROM after a WITH query", "leave it out");
                }
                open.with_names.push_back(stored_name(&cte.alias.name));
            }
        }
        self.queries.push(open);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> Walk {
        let Some(done) = self.queries.pop() else { return ControlFlow::Continue(()) };
        let Some(outer) = self.queries.last_mut() else { return ControlFlow::Continue(()) };
        match outer.with_names.pop_front() {
            Some(name) => {
                outer.with_tables.insert(name, done.tables.max(1));
                ControlFlow::Continue(())
            }
            None => self.count_tables(done.tables),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Walk {
        if let Some(clause) = ignored_select_clause(select) {
            let advice = if clause == "SELECT … INTO" {
                "use CREATE TABLE and INSERT … SELECT"
            } else {
                "leave it out"
            };
            return unsupported(clause, advice);
        }
        if matches!(select.flavor, SelectFlavor::FromFirstNoSelect) && select.projection.is_empty()
        {
            // FROM t alone means all its columns; the planner would take it for none.
            select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
            select.flavor = SelectFlavor::FromFirst;
        }
        let tables: usize = select.from.iter().map(|from| 1 + from.joins.len()).sum();
        if tables > TABLES_PER_SELECT_MAX {
            return refuse(SqlError::TooLarge {
                what: "the number of tables in one FROM",
                limit: TABLES_PER_SELECT_MAX,
                advice: "split the query",
            });
        }
        check_joins(&select.from)
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> Walk {
        if relation.0.iter().any(|part| part.as_ident().is_none()) {
            return unsupported("a function in the place of a name", "write the name itself");
        }
        let tables = self.tables_of(relation);
        self.count_tables(tables)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Walk {
        match ignored_table_clause(factor) {
            Some(clause @ "PIVOT") => {
                unsupported(clause, "use an aggregate with FILTER (WHERE …) for each column")
            }
            Some(clause @ "UNPIVOT") => {
                unsupported(clause, "use UNION ALL, a query for each column")
            }
            Some(clause) => unsupported(clause, "leave it out"),
            None => match factor {
                TableFactor::NestedJoin { table_with_joins, .. } => {
                    check_joins(std::slice::from_ref(table_with_joins))
                }
                _ => ControlFlow::Continue(()),
            },
        }
    }

    fn pre_visit_statement(&mut self, statement: &mut AstStatement) -> Walk {
        if self.statement_depth == Some(self.queries.len()) {
            return match statement {
                AstStatement::Update(update) => match &update.from {
                    Some(
                        UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from),
                    ) => check_joins(from),
                    None => ControlFlow::Continue(()),
                },
                AstStatement::Delete(delete) => {
                    check_joins(delete.using.as_deref().unwrap_or_default())
                }
                _ => ControlFlow::Continue(()),
            };
        }
        let what = match statement {
            AstStatement::Insert(_) => "INSERT inside a query",
            AstStatement::Update(_) => "UPDATE inside a query",
            AstStatement::Delete(_) => "DELETE inside a query",
            AstStatement::Merge(_) => "MERGE inside a query",
            _ => "a statement inside a query",
        };
        unsupported(what, "run it as a statement of its own")
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> Walk {
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let digits = name.strip_prefix('$').unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return ControlFlow::Continue(());
        }
        refuse(SqlError::invalid(format!("'{name}' is no parameter, use ? or $1, $2, …")))
    }
}

fn refuse(error: SqlError) -> Walk {
    ControlFlow::Break(Box::new(error))
}

fn unsupported(what: &str, advice: &str) -> Walk {
    refuse(SqlError::unsupported(what, advice))
}

/// Refuses an inner join without a condition, which planning would take for a CROSS JOIN.
fn check_joins(tables: &[TableWithJoins]) -> Walk {
    for join in tables.iter().flat_map(|table| &table.joins) {
        let (JoinOperator::Join(constraint) | JoinOperator::Inner(constraint)) =
            &join.join_operator
        else {
            continue;
        };
        if matches!(constraint, JoinConstraint::None) {
            let message = format!(
                "JOIN {} has no condition, write ON … or USING (…), or CROSS JOIN for all pairs",
                join.relation
            );
            return refuse(SqlError::Syntax { message, position: position_of(join.span()) });
        }
    }
    ControlFlow::Continue(())
}

/// The first clause of a query that planning would drop without a word.
fn ignored_query_clause(query: &Query) -> Option<&'static str> {
    if !query.locks.is_empty() {
        Some("SELECT … FOR UPDATE / FOR SHARE")
    } else if query.for_clause.is_some() {
        Some("FOR XML / JSON / BROWSE")
    } else if query.settings.is_some() {
        Some("SETTINGS")
    } else if query.format_clause.is_some() {
        Some("FORMAT")
    } else if matches!(*query.body, SetExpr::Table(_)) {
        Some("TABLE in the place of a query")
    } else {
        None
    }
}

/// Whether LIMIT or OFFSET takes its number from a subquery.
fn limits_by_query(query: &Query) -> bool {
    let has_query = |expr: &Expr| {
        let found = visit_expressions(expr, |expr| match expr {
            Expr::Subquery(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    };
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.as_ref().is_some_and(has_query)
                || offset.as_ref().is_some_and(|offset| has_query(&offset.value))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            has_query(limit) || has_query(offset)
        }
        None => false,
    }
}

/// INTERSECT or EXCEPT by the names of columns, which planning would take for one by position.
fn operation_by_name(body: &SetExpr) -> Option<&'static str> {
    use SetQuantifier::{AllByName, ByName, DistinctByName};
    let mut bodies = vec![body];
    while let Some(body) = bodies.pop() {
        let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { continue };
        if matches!(set_quantifier, ByName | AllByName | DistinctByName) {
            match op {
                SetOperator::Intersect => return Some("INTERSECT BY NAME"),
                SetOperator::Except | SetOperator::Minus => return Some("EXCEPT BY NAME"),
                SetOperator::Union => {}
            }
        }
        bodies.extend([left.as_ref(), right.as_ref()]);
    }
    None
}

/// As [`ignored_query_clause`], of one SELECT.
fn ignored_select_clause(select: &Select) -> Option<&'static str> {
    if select.into.is_some() {
        Some("SELECT … INTO")
    } else if select.prewhere.is_some() {
        Some("PREWHERE")
    } else if !select.connect_by.is_empty() {
        Some("CONNECT BY")
    } else if !select.cluster_by.is_empty() {
        Some("CLUSTER BY")
    } else if !select.distribute_by.is_empty() {
        Some("DISTRIBUTE BY")
    } else if !select.sort_by.is_empty() {
        Some("SORT BY")
    } else if !select.lateral_views.is_empty() {
        Some("LATERAL VIEW")
    } else if select.top.is_some() {
        Some("SELECT TOP")
    } else if select.value_table_mode.is_some() {
        Some("SELECT AS STRUCT / AS VALUE")
    } else if select.select_modifiers.is_some() {
        Some("a MySQL modifier after SELECT")
    } else {
        None
    }
}

/// As [`ignored_query_clause`], of one table in FROM.
fn ignored_table_clause(factor: &TableFactor) -> Option<&'static str> {
    match factor {
        TableFactor::Table {
            with_hints,
            version,
            partitions,
            json_path,
            sample,
            index_hints,
            ..
        } => {
            if !with_hints.is_empty() || !index_hints.is_empty() {
                Some("a table hint")
            } else if version.is_some() {
                Some("a table version (FOR SYSTEM_TIME …)")
            } else if !partitions.is_empty() {
                Some("PARTITION in FROM")
            } else if json_path.is_some() {
                Some("a path after a table name")
            } else if sample.is_some() {
                Some("TABLESAMPLE")
            } else {
                None
            }
        }
        TableFactor::Derived { sample: Some(_), .. } => Some("TABLESAMPLE"),
        TableFactor::Pivot { .. } => Some("PIVOT"),
        TableFactor::Unpivot { .. } => Some("UNPIVOT"),
        TableFactor::MatchRecognize { .. } => Some("MATCH_RECOGNIZE"),
        _ => None,
    }
}

/// FETCH FIRST n ROWS ONLY is LIMIT n.
fn fetch_as_limit(query: &mut Query, fetch: Fetch) -> Result<(), SqlError> {
    if fetch.with_ties || fetch.percent {
        return Err(SqlError::unsupported("FETCH … WITH TIES / PERCENT", "use ROWS ONLY"));
    }
    let quantity =
        fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    match &mut query.limit_clause {
        clause @ None => {
            *clause = Some(LimitClause::LimitOffset {
                limit: Some(quantity),
                offset: None,
                limit_by: Vec::new(),
            });
            Ok(())
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => {
            *limit = Some(quantity);
            Ok(())
        }
        Some(_) => Err(SqlError::invalid("LIMIT and FETCH stand in one query, use one of them")),
    }
}
