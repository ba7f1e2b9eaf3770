//! A simplified condition says the same of every row, NULL included.

use std::ops::Not;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{EmptyRelation, LogicalPlanBuilder, col};
use datafusion::optimizer::OptimizerContext;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const PREDICATES: usize = 4_000;

/// Every combination of the values of two columns that may be NULL and one that may not.
fn rows() -> RecordBatch {
    let values = [None, Some(1), Some(2), Some(3)];
    let (mut v, mut w, mut n, mut t) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (left, text) in values.into_iter().zip([None, Some("one"), Some("two"), Some("")]) {
        for right in values {
            for key in 1..=3 {
                v.push(left);
                w.push(right);
                n.push(key);
                t.push(text);
            }
        }
    }
    let schema = Schema::new(vec![
        Field::new("v", DataType::Int32, true),
        Field::new("w", DataType::Int32, true),
        Field::new("n", DataType::Int32, false),
        Field::new("t", DataType::Utf8, true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(Int32Array::from(v)),
            Arc::new(Int32Array::from(w)),
            Arc::new(Int32Array::from(n)),
            Arc::new(StringArray::from(t)),
        ],
    )
    .unwrap()
}

struct Judge {
    rows: RecordBatch,
    schema: Arc<DFSchema>,
    state: datafusion::execution::SessionState,
}

impl Judge {
    fn new() -> Self {
        let rows = rows();
        let schema = Arc::new(DFSchema::try_from(rows.schema()).unwrap());
        Self { rows, schema, state: SessionStateBuilder::new_with_default_features().build() }
    }

    /// What an expression says of each row.
    fn says(&self, expr: Expr) -> Vec<Option<bool>> {
        let physical = self.state.create_physical_expr(expr, &self.schema).unwrap();
        let values = physical.evaluate(&self.rows).unwrap();
        let values = values.into_array(self.rows.num_rows()).unwrap();
        values.as_boolean().iter().collect()
    }

    /// The predicate after three passes of `rule`.
    fn simplified(&self, rule: &dyn OptimizerRule, predicate: Expr) -> Expr {
        let schema = Arc::clone(&self.schema);
        let input = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema });
        let mut plan = LogicalPlanBuilder::from(input).filter(predicate).unwrap().build().unwrap();
        for _ in 0..3 {
            plan = rule.rewrite(plan, &OptimizerContext::new()).unwrap().data;
        }
        match plan {
            LogicalPlan::Filter(filter) => filter.predicate,
            other => panic!("{other}"),
        }
    }

    fn check(&self, predicate: Expr) -> Expr {
        let shown = predicate.to_string();
        let expected = self.says(predicate.clone());
        let simplified = self.simplified(&guarded(), predicate);
        assert_eq!(self.says(simplified.clone()), expected, "{shown} became {simplified}");
        let disguised = simplified.exists(|expr| {
            Ok(matches!(expr, Expr::ScalarFunction(call) if call.func.inner().is::<Place>()))
        });
        assert!(!disguised.unwrap(), "{simplified}");
        simplified
    }
}

fn guarded() -> GuardedSimplification {
    GuardedSimplification { inner: SimplifyExpressions::new() }
}

fn one_of(column: &str, values: &[i32]) -> Expr {
    col(column).in_list(values.iter().map(|value| lit(*value)).collect(), false)
}

fn none_of(column: &str, values: &[i32]) -> Expr {
    col(column).in_list(values.iter().map(|value| lit(*value)).collect(), true)
}

fn null() -> Expr {
    lit(ScalarValue::Int32(None))
}

#[test]
fn lists_without_a_common_value_stay_unknown_for_null() {
    let judge = Judge::new();
    let equal = |value: i32| col("v").eq(lit(value));
    let not_equal = |value: i32| col("v").not_eq(lit(value));
    let shapes = [
        one_of("v", &[1, 2, 4, 5]).and(one_of("v", &[3, 6, 7, 8])),
        one_of("v", &[1]).and(one_of("v", &[2])),
        one_of("v", &[1, 2]).and(none_of("v", &[2, 1])),
        none_of("v", &[1, 2]).and(one_of("v", &[1])),
        none_of("v", &[1]).or(none_of("v", &[2])),
        equal(1).or(equal(2)).and(equal(3).or(equal(4))),
        (not_equal(1).and(not_equal(2))).not().and((not_equal(3).and(not_equal(4))).not()),
        equal(1).or(equal(2)).eq(lit(false)).or(equal(3).or(equal(4)).eq(lit(false))),
        one_of("v", &[1]).and(one_of("v", &[1]).not()),
        equal(1).and(equal(2)),
    ];
    for shape in shapes {
        judge.check(shape.clone());
        judge.check(shape.not());
    }
}

#[test]
fn items_that_are_no_constants_are_compared() {
    let judge = Judge::new();
    let among = |items: Vec<Expr>| col("v").in_list(items, false);
    let shapes = [
        among(vec![col("w"), lit(1)]).and(among(vec![col("n"), lit(1)])),
        among(vec![col("w")]).and(among(vec![col("n")]).not()),
        lit(1).in_list(vec![col("v")], false).and(lit(1).in_list(vec![col("w")], false)),
        among(vec![lit(1), null()]).and(among(vec![lit(1), lit(2)])),
        among(vec![lit(1)]).and(col("v").in_list(vec![lit(2), null()], true)),
        col("n").in_list(vec![col("v")], true).or(col("n").in_list(vec![col("w")], true)),
    ];
    for shape in shapes {
        judge.check(shape.clone());
        judge.check(shape.not());
    }
}

#[test]
fn a_pattern_that_matches_everything_is_unknown_for_null() {
    let judge = Judge::new();
    let matches = binary_expr(col("t"), Operator::RegexMatch, lit(".*"));
    judge.check(matches.clone());
    judge.check(matches.not());
}

#[test]
fn random_conditions_say_the_same_before_and_after() {
    let judge = Judge::new();
    let mut rng = StdRng::seed_from_u64(12);
    for _ in 0..PREDICATES {
        judge.check(random(&mut rng, 3));
    }
}

/// When this fails, the engine has learnt it, and the guard can go.
#[test]
fn the_engine_alone_takes_null_for_false() {
    let judge = Judge::new();
    let shape = one_of("v", &[1]).and(one_of("v", &[2])).not();
    let alone = judge.simplified(&SimplifyExpressions::new(), shape.clone());
    assert_ne!(judge.says(alone), judge.says(shape));
}

#[test]
fn what_is_not_in_danger_is_still_simplified() {
    let judge = Judge::new();
    // A column that is never NULL: no list is left.
    let never = judge.check(one_of("n", &[1, 2]).and(one_of("n", &[3])));
    assert_eq!(never, lit(false));
    let equal = |value: i32| col("v").eq(lit(value));
    let list = judge.check((1..9).map(equal).reduce(Expr::or).unwrap());
    assert!(matches!(list, Expr::InList(_)), "{list}");
}

#[test]
fn the_engines_rules_have_the_guarded_one_and_none_that_drops_sort_keys() {
    let rules = optimizer_rules();
    let name = |rule: &Arc<dyn OptimizerRule + Send + Sync>| rule.name().to_owned();
    let mut names: Vec<String> = Optimizer::new().rules.iter().map(name).collect();
    names.retain(|name| name != DROPS_SORT_KEYS);
    assert_eq!(rules.iter().map(name).collect::<Vec<_>>(), names);
    assert_eq!(names.len() + 1, Optimizer::new().rules.len());
    let shown: Vec<String> = rules.iter().map(|rule| format!("{rule:?}")).collect();
    assert_eq!(shown.iter().filter(|rule| rule.contains("GuardedSimplification")).count(), 1);
    assert!(!shown.iter().any(|rule| rule.starts_with("SimplifyExpressions")), "{shown:?}");
}

fn random(rng: &mut StdRng, depth: u32) -> Expr {
    let kinds = if depth > 0 { 13 } else { 7 };
    match rng.random_range(0..kinds) {
        0 => column(rng).eq(constant(rng)),
        1 => column(rng).not_eq(constant(rng)),
        2..4 => {
            let items = (0..rng.random_range(1..4)).map(|_| constant(rng)).collect();
            column(rng).in_list(items, rng.random_bool(0.3))
        }
        4 => {
            let items = (0..rng.random_range(1..3)).map(|_| value(rng)).collect();
            value(rng).in_list(items, rng.random_bool(0.3))
        }
        5 => column(rng).between(constant(rng), constant(rng)),
        6 => column(rng).is_null(),
        7 => random(rng, depth - 1).not(),
        8..10 => random(rng, depth - 1).and(random(rng, depth - 1)),
        10..12 => random(rng, depth - 1).or(random(rng, depth - 1)),
        _ => Expr::Case(Case::new(
            None,
            vec![(Box::new(random(rng, depth - 1)), Box::new(random(rng, depth - 1)))],
            Some(Box::new(random(rng, depth - 1))),
        )),
    }
}

fn column(rng: &mut StdRng) -> Expr {
    // Mostly the same one: what is merged are places of one column.
    col(["v", "v", "v", "w", "n"][rng.random_range(0..5)])
}

fn constant(rng: &mut StdRng) -> Expr {
    if rng.random_ratio(1, 10) { null() } else { lit(rng.random_range(1..=4_i32)) }
}

fn value(rng: &mut StdRng) -> Expr {
    if rng.random_bool(0.5) { column(rng) } else { constant(rng) }
}
