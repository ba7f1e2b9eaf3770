//! From a parsed statement to a logical plan.
//!
//! Plans come out as DataFusion's SQL planner makes them, not yet analyzed. What is done on top:
//! names are resolved against what the principal may see, scopes that name a system column read
//! wide tables, and INSERT, UPDATE, DELETE, MERGE become one source SELECT feeding a sink.

mod array_texts;
mod correlated_subqueries;
mod counted_sets;
mod date_differences;
mod exact_numbers;
mod explain_verbs;
mod expression_forms;
mod frame_parameters;
mod function_forms;
mod grouped_positions;
mod grouped_sets;
mod hoisted_subqueries;
mod interval_texts;
mod kept_json;
mod lifted_keys;
mod marked_tables;
mod merged_joins;
mod merged_order;
mod named_casts;
mod named_windows;
mod names;
mod one_aggregate_row;
mod one_partition;
mod one_row_subqueries;
mod open_slices;
mod order_keys;
mod order_names;
mod ordered_sets;
mod pattern_lists;
mod plan_context;
mod pushed_filters;
mod repeated_names;
mod replaced_columns;
mod result_names;
mod row_comparisons;
mod row_values;
mod scopes;
mod series;
mod several_columns;
mod shifted_dates;
mod spelled_values;
mod subquery_arrays;
mod system_columns;
mod table_functions;
mod table_wildcards;
#[cfg(test)]
mod tests;
mod text_formats;
mod text_patterns;
mod time_forms;
mod truth_texts;
mod type_planner;
mod unknown_functions;
mod unnested;
mod unnested_rows;
mod uuid_text;
mod value_rows;
mod views;
mod wide_scopes;

use std::sync::Arc;

use datafusion::common::ToDFSchema;
use datafusion::common::format::ExplainFormat;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    Analyze, Explain, LogicalPlan, PlanType, StringifiedPlan, ToStringifiedPlan,
};
use datafusion::sql::sqlparser::ast;
use kalamdb_commons::Principal;
use kalamdb_sql::{CatalogSnapshot, Statement};

pub use self::exact_numbers::exact_decimal;
pub(crate) use self::exact_numbers::{as_double, rounded_decimal};
pub use self::explain_verbs::name_verb;
pub use self::frame_parameters::FrameOffsets;
pub use self::function_forms::other_function_names;
pub(crate) use self::marked_tables::{mark_rows, mark_source, mark_source_with_deleted};
pub use self::merged_order::MergedOrder;
pub(crate) use self::named_casts::named_cast;
pub use self::names::write_to_view;
pub(crate) use self::names::{Names, full_reference};
pub use self::one_partition::OnePartition;
pub(crate) use self::plan_context::PlanContext;
pub use self::pushed_filters::PushedFilters;
pub use self::several_columns::shared_name;
pub use self::views::{PlannedView, plan_view};
pub(crate) use self::wide_scopes::{empty_select, query_of};
use crate::{TablesError, dml};

/// Plans a query (not yet analyzed, not optimized). Tables come from `catalog`, checked against
/// what `principal` may read; unqualified names stand in `default_namespace`.
///
/// # Errors
/// What DataFusion says of the query; names that do not exist, or that the principal may not
/// know, are [`TablesError::Sql`].
pub fn plan_query(
    state: &SessionState,
    catalog: &Arc<CatalogSnapshot>,
    principal: &Principal,
    default_namespace: &str,
    query: &ast::Query,
) -> Result<LogicalPlan> {
    let context = PlanContext::new(state, Names::new(catalog, principal, default_namespace));
    let plan = context.plan_result(query)?;
    views::check_size(&plan, catalog)?;
    Ok(plan)
}

/// Plans INSERT, UPDATE, DELETE or MERGE: one source SELECT feeding a sink. The plan's result is one
/// row, `count` UInt64, the number of rows written.
///
/// # Errors
/// As [`plan_query`]; besides, wrong statements ([`TablesError::InvalidStatement`]) and missing
/// rights.
pub fn plan_dml(
    state: &SessionState,
    catalog: &Arc<CatalogSnapshot>,
    principal: &Principal,
    default_namespace: &str,
    statement: &Statement,
) -> Result<LogicalPlan> {
    let context = PlanContext::new(state, Names::new(catalog, principal, default_namespace));
    let plan = match statement {
        Statement::Insert(insert) => dml::plan_insert(&context, insert),
        Statement::Update(update) => dml::plan_update(&context, update),
        Statement::Delete(delete) => dml::plan_delete(&context, delete),
        Statement::Truncate { tables } => dml::plan_truncate(&context, tables),
        Statement::Merge(merge) => dml::plan_merge(&context, merge),
        other => Err(TablesError::NotSupported { what: format!("{} here", other.name()) }.into()),
    }?;
    views::check_size(&plan, catalog)?;
    Ok(plan)
}

/// Plans a query, INSERT, UPDATE, DELETE, MERGE, or EXPLAIN of one of them.
///
/// # Errors
/// As [`plan_query`] and [`plan_dml`]; any other statement is `Unsupported`.
pub fn plan_statement(
    state: &SessionState,
    catalog: &Arc<CatalogSnapshot>,
    principal: &Principal,
    default_namespace: &str,
    statement: &Statement,
) -> Result<LogicalPlan> {
    match statement {
        Statement::Query(query) => plan_query(state, catalog, principal, default_namespace, query),
        Statement::CreateTableAs(create) => {
            plan_query(state, catalog, principal, default_namespace, &create.query)
        }
        Statement::Explain(explain) => {
            let inner =
                plan_statement(state, catalog, principal, default_namespace, &explain.inner)?;
            explain_plan(explain, inner)
        }
        dml => plan_dml(state, catalog, principal, default_namespace, dml),
    }
}

fn explain_plan(explain: &kalamdb_sql::Explain, inner: LogicalPlan) -> Result<LogicalPlan> {
    let plan = Arc::new(inner);
    if explain.analyze {
        let schema = LogicalPlan::explain_schema().to_dfschema_ref()?;
        return Ok(LogicalPlan::Analyze(Analyze {
            verbose: explain.verbose,
            input: plan,
            schema,
            format: format(explain.format),
            analyze_level: None,
            analyze_categories: None,
        }));
    }
    let schema = LogicalPlan::explain_schema().to_dfschema_ref()?;
    let stringified_plans: Vec<StringifiedPlan> =
        vec![plan.to_stringified(PlanType::InitialLogicalPlan)];
    Ok(LogicalPlan::Explain(Explain {
        verbose: explain.verbose,
        explain_format: format(explain.format),
        plan,
        stringified_plans,
        schema,
        logical_optimization_succeeded: false,
        show_statistics: None,
    }))
}

fn format(format: kalamdb_sql::ExplainFormat) -> ExplainFormat {
    match format {
        kalamdb_sql::ExplainFormat::Indent => ExplainFormat::Indent,
        kalamdb_sql::ExplainFormat::Tree => ExplainFormat::Tree,
        kalamdb_sql::ExplainFormat::PgJson => ExplainFormat::PostgresJSON,
        kalamdb_sql::ExplainFormat::Graphviz => ExplainFormat::Graphviz,
    }
}
