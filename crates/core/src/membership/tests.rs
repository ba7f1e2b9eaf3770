//! Which memberships are spelled out, and which the engine may keep.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::builder::table_scan;
use datafusion::logical_expr::{col, in_subquery, not_in_subquery, out_ref_col};

use super::*;

/// A table with the columns `k`, never NULL, and `v`, maybe NULL.
fn table(name: &str) -> LogicalPlanBuilder {
    let schema = Schema::new(vec![
        Field::new("k", DataType::Int32, false),
        Field::new("v", DataType::Int32, true),
    ]);
    table_scan(Some(name), &schema, None).unwrap()
}

fn column_of(name: &str, column: &str) -> Arc<LogicalPlan> {
    Arc::new(table(name).project(vec![col(column)]).unwrap().build().unwrap())
}

fn analyzed(condition: Expr) -> Result<Expr> {
    let plan = table("t").filter(condition).unwrap().build().unwrap();
    match Membership.analyze(plan, &ConfigOptions::default())? {
        LogicalPlan::Filter(filter) => Ok(filter.predicate),
        other => panic!("{other}"),
    }
}

fn keeps(condition: Expr) -> bool {
    analyzed(condition.clone()).unwrap() == condition
}

fn memberships_left(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_)))).unwrap()
}

#[test]
fn what_the_engines_joins_know_stays() {
    let nullable = || column_of("u", "v");
    let never = || column_of("u", "k");
    assert!(keeps(in_subquery(col("t.v"), nullable())));
    assert!(keeps(in_subquery(lit(1), nullable())));
    assert!(keeps(in_subquery(col("t.v"), nullable()).or(col("t.k").gt(lit(0)))));
    assert!(keeps(not_in_subquery(col("t.v"), nullable())));
    assert!(keeps(not_in_subquery(lit(1), never())));
    assert!(keeps(col("t.k").gt(lit(0)).and(not_in_subquery(col("t.v"), nullable()))));
    assert!(keeps(not_in_subquery(col("t.k"), never()).or(col("t.k").gt(lit(0))).is_null()));
}

#[test]
fn where_null_matters_no_membership_is_left() {
    let nullable = || column_of("u", "v");
    let never = || column_of("u", "k");
    let all = [
        not_in_subquery(lit(1), nullable()),
        not_in_subquery(col("t.k") + lit(1), nullable()),
        not_in_subquery(col("t.v") + lit(1), never()),
        Expr::Not(Box::new(in_subquery(lit(1), nullable()))),
        not_in_subquery(col("t.v"), nullable()).or(col("t.k").gt(lit(0))),
        in_subquery(col("t.v"), nullable()).is_null(),
        in_subquery(col("t.k"), nullable()).is_false(),
        not_in_subquery(col("t.v"), never()).is_true(),
    ];
    for expr in all {
        let becomes = analyzed(expr.clone()).unwrap();
        assert!(!memberships_left(&becomes), "{expr} became {becomes}");
    }
}

#[test]
fn what_would_mean_something_else_is_refused() {
    let same = col("u.k").eq(out_ref_col(DataType::Int32, "t.k"));
    let rows = table("u").filter(same).unwrap().project(vec![col("u.v")]).unwrap();
    let not_in = |rows: LogicalPlanBuilder| {
        let subquery = of_plan(rows.build().unwrap());
        Expr::InSubquery(InSubquery::new(Box::new(col("t.v")), subquery, true))
    };
    assert!(!memberships_left(&analyzed(not_in(rows.clone())).unwrap()));
    let refused = analyzed(not_in(rows.limit(0, Some(1)).unwrap())).unwrap_err();
    assert!(refused.to_string().contains("NOT EXISTS"), "{refused}");
}
