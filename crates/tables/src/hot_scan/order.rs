//! The order a scan gives its rows in, and the columns that have one value.

use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    AcrossPartitions, ConstExpr, EquivalenceProperties, PhysicalExpr, PhysicalSortExpr,
};

use super::HotScanExec;
use super::key_access::key_columns;

/// What DataFusion may rely on: rows come in the order of the key, as far as the key's leading
/// columns are in the output; a column bound by equality is constant.
///
/// A bound column that is not in the output does not end the order: all rows agree in it.
pub(super) fn equivalences(scan: &HotScanExec) -> Result<EquivalenceProperties> {
    let constant = |index: usize| scan.constants.iter().find(|(column, _)| *column == index);
    let mut ordering = Vec::new();
    for key in key_columns(&scan.rows.layout) {
        let Some(column) = output_column(scan, key.index) else {
            if constant(key.index).is_some() {
                continue;
            }
            break;
        };
        let options = SortOptions { descending: scan.reverse, nulls_first: scan.reverse };
        ordering.push(PhysicalSortExpr::new(column, options));
    }
    let mut equivalences = EquivalenceProperties::new(Arc::clone(&scan.schema));
    if !ordering.is_empty() {
        equivalences.add_ordering(ordering);
    }
    if scan.rows.is_stream()
        && let Some(updated) = output_column(scan, scan.rows.layout.updated_index())
    {
        // Times of arrival rise with the row ids.
        let options = SortOptions { descending: scan.reverse, nulls_first: scan.reverse };
        equivalences.add_ordering([PhysicalSortExpr::new(updated, options)]);
    }
    let constants = scan.constants.iter().filter_map(|(index, value)| {
        let column = output_column(scan, *index)?;
        Some(ConstExpr::new(column, AcrossPartitions::Uniform(Some(value.clone()))))
    });
    equivalences.add_constants(constants.collect::<Vec<_>>())?;
    Ok(equivalences)
}

fn output_column(scan: &HotScanExec, wide_index: usize) -> Option<Arc<dyn PhysicalExpr>> {
    let position = scan.projection.iter().position(|index| *index == wide_index)?;
    Some(Arc::new(Column::new(scan.schema.field(position).name(), position)))
}
