//! `RANGE BETWEEN … PRECEDING AND …`: an offset is a number over numbers and an interval over dates
//! and times. Over anything else the query engine would compute with what it takes the offset for.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, WindowFrameBound, WindowFrameUnits,
};
use datafusion::optimizer::AnalyzerRule;
use kalamdb_commons::SqlState;
use kalamdb_sql::SqlError;
use kalamdb_tables::TablesError;

/// Refuses offsets that nothing can be counted by. To run before types are settled.
#[derive(Debug)]
pub(crate) struct RangeFrames;

impl AnalyzerRule for RangeFrames {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Window(window) = node {
                let schema = merge_schema(&node.inputs());
                for expr in &window.window_expr {
                    expr.apply(|expr| {
                        if let Expr::WindowFunction(function) = expr {
                            check(function, &schema)?;
                        }
                        Ok(TreeNodeRecursion::Continue)
                    })?;
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "range_frames"
    }
}

fn check(function: &WindowFunction, schema: &DFSchema) -> Result<()> {
    let frame = &function.params.window_frame;
    let Some(order) = function.params.order_by.first() else { return Ok(()) };
    if frame.units != WindowFrameUnits::Range {
        return Ok(());
    }
    let offsets = [&frame.start_bound, &frame.end_bound].into_iter().filter_map(offset_of);
    let ordered = order.expr.get_type(schema)?;
    for offset in offsets {
        check_offset(offset, &ordered)?;
    }
    Ok(())
}

/// The offset as it was written.
fn offset_of(bound: &WindowFrameBound) -> Option<&str> {
    match bound {
        WindowFrameBound::Preceding(ScalarValue::Utf8(Some(offset)))
        | WindowFrameBound::Following(ScalarValue::Utf8(Some(offset))) => Some(offset),
        _ => None,
    }
}

fn check_offset(offset: &str, ordered: &DataType) -> Result<(), TablesError> {
    let number = offset.trim().parse::<f64>().is_ok();
    let refused = if ordered.is_numeric() {
        (!number).then_some("over numbers the offset of RANGE is a number")
    } else if ordered.is_temporal() && !matches!(ordered, DataType::Interval(_)) {
        number.then_some(
            "over dates and times the offset of RANGE is an interval, write INTERVAL '1 day'",
        )
    } else if ordered.is_null() {
        None
    } else {
        Some(
            "RANGE with an offset is for windows ordered by numbers, dates or times, \
             use ROWS or GROUPS",
        )
    };
    match refused {
        Some(reason) => Err(SqlError::Coded {
            state: SqlState::FeatureNotSupported,
            message: reason.to_owned(),
            position: None,
        }
        .into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_of_what_is_ordered_by() {
        for (offset, ordered) in [
            ("1", DataType::Int64),
            ("1.5", DataType::Float64),
            ("1 day", DataType::Date32),
            ("1", DataType::Null),
        ] {
            assert!(check_offset(offset, &ordered).is_ok(), "{offset} {ordered}");
        }
        for (offset, ordered) in [
            ("1", DataType::Date32),
            ("1 day", DataType::Int64),
            ("1", DataType::Utf8),
            ("1 day", DataType::Utf8),
            ("1", DataType::Boolean),
        ] {
            assert!(check_offset(offset, &ordered).is_err(), "{offset} {ordered}");
        }
    }
}
