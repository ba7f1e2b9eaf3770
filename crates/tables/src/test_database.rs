//! A database in a temporary directory, and statements run on it as the engine runs them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;
use kalamdb_commons::{Principal, Role, SystemClock, UserId};
use kalamdb_sql::{AlterAction, Catalog, Statement, TableEntry, fill_value};
use kalamdb_store::{Store, StoreOptions};

use crate::{
    CheckPlans, ScanPool, StatementContext, WritePlanner, catalog_list, check_plan, default_value,
    plan_statement, scalar_functions,
};

pub(crate) struct Database {
    pub(crate) store: Arc<Store>,
    pub(crate) catalog: Catalog,
    pub(crate) template: SessionState,
    pub(crate) scan_pool: Arc<ScanPool>,
    checks: Arc<CheckPlans>,
    _directory: tempfile::TempDir,
}

pub(crate) fn principal(name: &str, role: Role) -> Principal {
    Principal { user_id: UserId::new(name), user_name: Arc::from(name), role }
}

pub(crate) fn root() -> Principal {
    principal("root", Role::System)
}

impl Database {
    pub(crate) fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
        let catalog = Catalog::open(Arc::clone(&store)).unwrap();
        let mut config = SessionConfig::new()
            .with_target_partitions(2)
            .with_default_catalog_and_schema("kalam", "default")
            .with_create_default_catalog_and_schema(false);
        let options = config.options_mut();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.time_zone = Some(String::from("UTC"));
        let mut template = SessionStateBuilder::new_with_default_features()
            .with_config(config)
            .with_query_planner(Arc::new(WritePlanner))
            .build();
        for function in scalar_functions(Arc::new(SystemClock)) {
            let name = function.name().to_owned();
            use datafusion::execution::FunctionRegistry;
            template.register_udf(function).unwrap_or_else(|_| panic!("register {name}"));
        }
        let checks = CheckPlans::new(template.clone(), Ok);
        let scan_pool = ScanPool::new(2);
        Self { store, catalog, template, scan_pool, checks, _directory: directory }
    }

    /// With tables made by these statements.
    pub(crate) fn with_tables(statements: &[&str]) -> Self {
        let database = Self::open();
        for statement in statements {
            database.define(statement);
        }
        database
    }

    pub(crate) fn define(&self, sql: &str) {
        match kalamdb_sql::parse(sql).unwrap().remove(0).statement {
            Statement::CreateTable(table) => {
                self.catalog.create_table(&root(), "default", &table).unwrap();
            }
            Statement::CreateNamespace { name, .. } => {
                self.catalog.create_namespace(&root(), &name, false).unwrap();
            }
            Statement::DropTable { names, .. } => {
                self.catalog.drop_tables(&root(), "default", &names, false, false).unwrap();
            }
            other => panic!("no definition: {}", other.name()),
        }
    }

    /// Runs an ALTER TABLE that says nothing of the rows there are.
    pub(crate) fn alter(&self, sql: &str) {
        let statement = kalamdb_sql::parse(sql).unwrap().remove(0).statement;
        let Statement::AlterTable(alter) = statement else { panic!("alters no table: {sql}") };
        let snapshot = self.catalog.snapshot();
        let fills: Vec<_> = alter
            .operations
            .iter()
            .map(|operation| {
                let AlterAction::AddColumn { column, .. } = &operation.action else { return None };
                let (state, name) = (&self.template, &alter.name);
                let value =
                    default_value(state, &snapshot, &root(), "default", name, column).unwrap();
                value.and_then(|value| fill_value(&value).unwrap())
            })
            .collect();
        let planned = self.catalog.plan_alter(&root(), "default", &alter, &fills).unwrap();
        let planned = planned.unwrap_or_else(|| panic!("changes nothing: {sql}"));
        assert!(!planned.needs_rows(), "{sql}");
        self.catalog.commit_alter(&root(), &planned, None).unwrap();
    }

    pub(crate) fn table(&self, name: &str) -> Arc<TableEntry> {
        Arc::clone(self.catalog.snapshot().table("default", name).unwrap())
    }

    pub(crate) fn context(&self, principal: &Principal) -> Arc<StatementContext> {
        StatementContext::new(
            self.store.view().unwrap(),
            principal.clone(),
            self.catalog.snapshot(),
            Arc::clone(&self.scan_pool),
            Arc::clone(&self.checks),
        )
    }

    /// A state for one execution at the newest view.
    pub(crate) fn state(&self, context: &Arc<StatementContext>) -> SessionState {
        let mut state = self.template.clone();
        state.register_catalog_list(catalog_list(
            Arc::clone(&context.catalog),
            context.principal.clone(),
        ));
        state.config_mut().set_extension(Arc::clone(context));
        state.mark_start_execution();
        state
    }

    pub(crate) fn plan(&self, principal: &Principal, sql: &str) -> Result<LogicalPlan> {
        let mut statements =
            kalamdb_sql::parse(sql).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let statement = statements.remove(0).statement;
        let catalog = self.catalog.snapshot();
        let plan = plan_statement(&self.template, &catalog, principal, "default", &statement)?;
        check_plan(&plan)?;
        let options = self.template.config_options();
        self.template.analyzer().execute_and_check(plan, options, |_, _| {})
    }

    pub(crate) async fn physical(
        &self,
        context: &Arc<StatementContext>,
        plan: LogicalPlan,
    ) -> Result<(Arc<dyn ExecutionPlan>, SessionState)> {
        let state = self.state(context);
        Ok((state.create_physical_plan(&plan).await?, state))
    }

    pub(crate) async fn run_as(
        &self,
        principal: &Principal,
        sql: &str,
    ) -> Result<Vec<RecordBatch>> {
        let plan = self.plan(principal, sql)?;
        let context = self.context(principal);
        let (plan, state) = self.physical(&context, plan).await?;
        collect(plan, state.task_ctx()).await
    }

    /// The rows of a query, as lines of `value|value`.
    pub(crate) async fn rows_as(&self, principal: &Principal, sql: &str) -> Vec<String> {
        let batches = self.run_as(principal, sql).await;
        lines(&batches.unwrap_or_else(|error| panic!("{sql}: {error}")))
    }

    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        self.rows_as(&root(), sql).await
    }

    /// The number of rows a statement has written.
    pub(crate) async fn execute(&self, sql: &str) -> u64 {
        let rows = self.rows(sql).await;
        rows[0].parse().unwrap()
    }

    /// The error a statement ends with.
    pub(crate) async fn error(&self, sql: &str) -> DataFusionError {
        match self.run_as(&root(), sql).await {
            Ok(batches) => panic!("{sql} gave {:?}", lines(&batches)),
            Err(error) => error,
        }
    }

    /// The optimized physical plan as EXPLAIN shows it.
    pub(crate) async fn explain(&self, sql: &str) -> String {
        let context = self.context(&root());
        let plan = self.plan(&root(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let (plan, _) = self.physical(&context, plan).await.unwrap();
        datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string()
    }

    /// Runs a query and gives what its scan nodes report as `output_rows`, summed.
    pub(crate) async fn scanned_rows(&self, sql: &str) -> usize {
        let context = self.context(&root());
        let plan = self.plan(&root(), sql).unwrap();
        let (plan, state) = self.physical(&context, plan).await.unwrap();
        collect(Arc::clone(&plan), state.task_ctx()).await.unwrap();
        scan_output(&plan)
    }
}

fn scan_output(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = match plan.name() {
        "HotScanExec" => plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0),
        _ => 0,
    };
    own + plan.children().into_iter().map(scan_output).sum::<usize>()
}

/// Batches as lines of `value|value`, NULL as nothing.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(batches).unwrap().to_string();
    table
        .lines()
        .skip(3)
        .filter(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|').map(str::trim);
            cells.collect::<Vec<_>>().join("|")
        })
        .collect()
}
