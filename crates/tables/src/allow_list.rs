//! Which plans may run: those that read our tables, or write them through our sink.

use datafusion::catalog::TableProvider;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{DmlStatement, LogicalPlan, TableScan, WriteOp};

use crate::TablesError;
use crate::dml::{DmlSink, LiteralRows, MergeSink, RowsTable, WritePlan};
use crate::system_tables::SystemTable;
use crate::table_provider::KalamTable;

/// Refuses every plan that could do more than read and write tables of ours: COPY, definitions,
/// session statements, external tables and files, nodes nobody has looked at.
///
/// # Errors
/// `Unsupported`, naming the first node that is not allowed.
pub fn check_plan(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        check_node(node)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn check_node(node: &LogicalPlan) -> Result<(), TablesError> {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => Ok(()),
        LogicalPlan::TableScan(scan) => check_scan(scan),
        LogicalPlan::Dml(dml) => check_dml(dml),
        LogicalPlan::Extension(extension) if extension.node.as_any().is::<WritePlan>() => Ok(()),
        LogicalPlan::Extension(extension) => refuse(extension.node.name()),
        LogicalPlan::Copy(_) => refuse("COPY"),
        LogicalPlan::Ddl(ddl) => refuse(ddl.name()),
        LogicalPlan::Statement(statement) => refuse(statement.name()),
        LogicalPlan::DescribeTable(_) => refuse("DESCRIBE inside a plan"),
    }
}

fn check_scan(scan: &TableScan) -> Result<(), TablesError> {
    let known = source_as_provider(&scan.source).is_ok_and(|provider| {
        let provider: &dyn TableProvider = provider.as_ref();
        provider.is::<KalamTable>()
            || provider.is::<SystemTable>()
            || provider.is::<LiteralRows>()
            || provider.is::<RowsTable>()
            || provider.is::<CteWorkTable>()
            || provider.is::<GenerateSeriesTable>()
    });
    if known {
        return Ok(());
    }
    refuse(&format!("reading {}", scan.table_name))
}

fn check_dml(dml: &DmlStatement) -> Result<(), TablesError> {
    let ours = matches!(dml.op, WriteOp::Insert(InsertOp::Append))
        && source_as_provider(&dml.target).is_ok_and(|provider| {
            let provider: &dyn TableProvider = provider.as_ref();
            provider.is::<DmlSink>() || provider.is::<MergeSink>()
        });
    if ours { Ok(()) } else { refuse(&format!("{} of {}", dml.op, dml.table_name)) }
}

fn refuse(what: &str) -> Result<(), TablesError> {
    Err(TablesError::NotSupported { what: what.to_owned() })
}
