//! EXPLAIN calls a change by its name: to the query engine all of ours are insertions into a sink.

use std::sync::Arc;

use datafusion::common::display::StringifiedPlan;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::explain::ExplainExec;

use crate::dml::{DmlSink, MergeSink};

/// How logical plans show every change, as text and as JSON; the verb takes the place of the dots.
const SHOWN: [(&str, &str); 2] = [("Dml: op=[", "]"), ("\"Operation\": \"", "\"")];
/// What the query engine says there.
const INSERTION: &str = "Insert Into";

/// The physical plan of EXPLAIN with the verb of the statement in its logical plans.
pub fn name_verb(plan: &LogicalPlan, physical: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let verb = match plan {
        LogicalPlan::Explain(explain) => verb_of(&explain.plan),
        _ => None,
    };
    let (Some(verb), Some(explain)) = (verb, physical.downcast_ref::<ExplainExec>()) else {
        return physical;
    };
    let plans = explain.stringified_plans().iter().map(|plan| {
        let text = named(&plan.plan, verb);
        StringifiedPlan::new(plan.plan_type.clone(), text)
    });
    let plans = plans.collect();
    Arc::new(ExplainExec::new(explain.schema(), plans, explain.verbose()))
}

fn verb_of(plan: &LogicalPlan) -> Option<&'static str> {
    let LogicalPlan::Dml(change) = plan else { return None };
    let sink = source_as_provider(&change.target).ok()?;
    let sink: &dyn datafusion::catalog::TableProvider = sink.as_ref();
    match sink.downcast_ref::<DmlSink>() {
        Some(sink) => sink.verb(),
        None => sink.is::<MergeSink>().then_some("Merge Into"),
    }
}

/// The change stands at the top of a plan: what looks like it further down is someone's text.
fn named(text: &str, verb: &str) -> String {
    for (before, after) in SHOWN {
        let shown = format!("{before}{INSERTION}{after}");
        if let Some((start, rest)) = text.split_once(&shown) {
            return format!("{start}{before}{verb}{after}{rest}");
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_statement_itself_is_renamed() {
        let text = "Dml: op=[Insert Into] table=[t]\n  Filter: a = 'Dml: op=[Insert Into]'";
        let expected = "Dml: op=[Update] table=[t]\n  Filter: a = 'Dml: op=[Insert Into]'";
        assert_eq!(named(text, "Update"), expected);
        assert_eq!(named("\"Operation\": \"Insert Into\"", "Delete"), "\"Operation\": \"Delete\"");
        assert_eq!(named("Projection: 1", "Delete"), "Projection: 1");
    }
}
