//! What DataFusion's SQL planner asks for: tables, functions, types, settings.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableFunctionArgs;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, DFSchemaRef, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, EmptyRelation, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF,
    TableSource, WindowUDF,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast;

use super::marked_tables::MarkedTables;
use super::names::{Names, Resolved, table_name};
use super::several_columns::{self, SeveralColumns};
use super::shifted_dates::ShiftedDates;
use super::truth_texts::TruthTexts;
use super::type_planner::ColumnTypes;
use super::uuid_text::UuidOperators;
use super::wide_scopes::widen_scopes;
use super::{
    counted_sets, exact_numbers, expression_forms, frame_parameters, function_forms,
    grouped_positions, merged_joins, order_names, result_names, row_values, series, spelled_values,
    table_functions, unknown_functions, unnested, value_rows,
};
use crate::TablesError;
use crate::functions::{SESSION_VALUES, session_value};
use crate::table_provider::TableShape;

/// Plans statements of one principal against one snapshot of the catalog.
pub(crate) struct PlanContext<'a> {
    pub(super) state: &'a SessionState,
    pub(super) names: Names,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    type_planner: Arc<dyn TypePlanner>,
}

impl<'a> PlanContext<'a> {
    pub(crate) fn new(state: &'a SessionState, names: Names) -> Self {
        let mut relation_planners: Vec<Arc<dyn RelationPlanner>> =
            vec![Arc::new(MarkedTables::new(names.clone())), Arc::new(SeveralColumns)];
        relation_planners.extend(state.relation_planners().iter().cloned());
        let mut expr_planners: Vec<Arc<dyn ExprPlanner>> =
            vec![Arc::new(UuidOperators), Arc::new(TruthTexts), Arc::new(ShiftedDates)];
        expr_planners.extend(state.expr_planners().iter().cloned());
        let type_planner = Arc::new(ColumnTypes);
        Self { state, names, relation_planners, expr_planners, type_planner }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Plans a query as it was written.
    pub(crate) fn plan_query(&self, query: &ast::Query) -> Result<LogicalPlan> {
        self.plan_ordered(query).or_else(|error| {
            let spelled = spelled_values::cast(query);
            spelled.and_then(|query| self.plan_ordered(&query).ok()).ok_or(error)
        })
    }

    fn plan_ordered(&self, query: &ast::Query) -> Result<LogicalPlan> {
        if let Some((query, renamed)) = order_names::rename(query)
            && let Ok(plan) = self.plan_named(&query)
        {
            return order_names::named_back(plan, &renamed);
        }
        self.plan_named(query)
    }

    fn plan_named(&self, query: &ast::Query) -> Result<LogicalPlan> {
        let mut named = query.clone();
        if result_names::name_inner(&mut named)
            && let Ok(plan) = self.plan_written(named)
        {
            return Ok(plan);
        }
        self.plan_written(query.clone())
    }

    fn plan_written(&self, mut query: ast::Query) -> Result<LogicalPlan> {
        unnested::rewrite(&mut query);
        super::named_windows::write_out(&mut query)?;
        table_functions::check(&mut query)?;
        super::unnested_rows::rewrite(&mut query);
        let mut named = query.clone();
        if !table_functions::name_columns(&mut named) {
            return self.plan_forms(query);
        }
        // A series may also be asked for its column `value`.
        self.plan_forms(named).or_else(|error| self.plan_forms(query).map_err(|_| error))
    }

    fn plan_forms(&self, mut query: ast::Query) -> Result<LogicalPlan> {
        super::order_keys::rewrite(&mut query);
        super::table_wildcards::complete(&mut query)?;
        row_values::rewrite(&mut query)?;
        value_rows::rewrite(&mut query);
        series::rewrite(&mut query);
        grouped_positions::resolve(self.state, &mut query)?;
        super::ordered_sets::rewrite(&mut query)?;
        several_columns::rewrite(&mut query)?;
        expression_forms::write_out(&mut query)?;
        function_forms::write_out(&mut query)?;
        exact_numbers::mark(&mut query)?;
        merged_joins::write_out(self, &mut query)?;
        super::replaced_columns::check(self, &mut query)?;
        widen_scopes(self, &mut query)?;
        let plan = counted_sets::number(self.plan_prepared(query)?)?;
        let plan = super::correlated_subqueries::rewrite(super::uuid_text::rewrite(plan)?)?;
        super::one_row_subqueries::rewrite(plan)
    }

    /// Plans a query whose scopes are widened already.
    pub(crate) fn plan_prepared(&self, mut query: ast::Query) -> Result<LogicalPlan> {
        frame_parameters::write_out(self.state, &mut query).map_err(TablesError::from)?;
        let statement = ast::Statement::Query(Box::new(query));
        let plan = self.planner().sql_statement_to_plan(statement);
        plan.map_err(unknown_functions::explained)
    }

    /// Plans an expression that stands on its own: one of VALUES, a DEFAULT.
    pub(crate) fn plan_expression(&self, mut expression: ast::Expr) -> Result<Expr> {
        expression_forms::write_out(&mut expression)?;
        function_forms::write_out(&mut expression)?;
        exact_numbers::mark(&mut expression)?;
        let mut context = PlannerContext::new();
        let expr = self
            .planner()
            .sql_to_expr(expression, &DFSchema::empty(), &mut context)
            .map_err(unknown_functions::explained)?;
        super::uuid_text::rewrite_expression(expr, &DFSchema::empty())
    }

    /// Plans an expression over the columns of `schema`: a projection of it alone.
    pub(crate) fn plan_over(
        &self,
        mut expression: ast::Expr,
        schema: &DFSchemaRef,
    ) -> Result<LogicalPlan> {
        expression_forms::write_out(&mut expression)?;
        function_forms::write_out(&mut expression)?;
        exact_numbers::mark(&mut expression)?;
        let mut context = PlannerContext::new();
        let expr = self.planner().sql_to_expr(expression, schema, &mut context)?;
        let expr = super::uuid_text::rewrite_expression(expr, schema)?;
        let input = LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::clone(schema),
        });
        LogicalPlanBuilder::from(input).project([expr])?.build()
    }

    fn planner(&self) -> SqlToRel<'_, Self> {
        let options = &self.state.config_options().sql_parser;
        let options = ParserOptions {
            parse_float_as_decimal: options.parse_float_as_decimal,
            enable_ident_normalization: options.enable_ident_normalization,
            support_varchar_with_length: options.support_varchar_with_length,
            enable_options_value_normalization: options.enable_options_value_normalization,
            collect_spans: options.collect_spans,
            map_string_types_to_utf8view: options.map_string_types_to_utf8view,
            default_null_ordering: options.default_null_ordering.as_str().into(),
        };
        SqlToRel::new_with_options(self, options)
    }
}

impl ContextProvider for PlanContext<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let named = table_name(&name);
        if self.names.is_view(&named)
            && let Resolved::View(view) = self.names.resolve(&named)?
        {
            return self.view_source(&view);
        }
        self.names.source(&name, TableShape::Narrow)
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        let name = name.to_lowercase();
        let function = self.state.table_functions().get(&name).cloned().ok_or_else(|| {
            DataFusionError::Plan(match function_forms::advice(&name) {
                Some(advice) => format!("Invalid function '{name}', {advice}"),
                None => format!("table function '{name}' does not exist"),
            })
        })?;
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(
                self.state.execution_props().query_execution_start_time,
            )
            .build();
        let simplifier = ExprSimplifier::new(context);
        let schema = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| simplifier.coerce(arg, &schema).and_then(|arg| simplifier.simplify(arg)))
            .collect::<Result<Vec<_>>>()?;
        let args = TableFunctionArgs::new(&args, self.state);
        Ok(provider_as_source(function.create_table_provider_with_args(args)?))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::clone(&self.type_planner))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        session_value(name, &self.names.principal, &self.names.default_namespace)
            .or_else(|| self.state.scalar_functions().get(name).cloned())
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        let session_values = SESSION_VALUES.map(str::to_owned);
        self.state.scalar_functions().keys().cloned().chain(session_values).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
