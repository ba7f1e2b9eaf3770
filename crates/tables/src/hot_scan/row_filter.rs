//! Evaluates filters over batches of just the columns they name.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use datafusion::common::ScalarValue;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use kalamdb_store::{ScanFilter, StoreError};
use parking_lot::Mutex;

use crate::{CancelFlag, TablesError};

/// Why a predicate stopped a scan; the store carries only its own errors.
#[derive(Debug, Clone, Default)]
pub(super) struct FilterFailure(Arc<Mutex<Option<DataFusionError>>>);

impl FilterFailure {
    fn set(&self, error: DataFusionError) -> StoreError {
        *self.0.lock() = Some(error);
        StoreError::InvalidRequest { reason: String::from("a filter failed") }
    }

    /// The error to report for a scan that ended with `error`.
    pub(super) fn explain(&self, error: StoreError) -> DataFusionError {
        self.0.lock().take().unwrap_or_else(|| TablesError::Store(error).into())
    }
}

/// Filters over some columns of the wide schema, all of which must hold.
#[derive(Debug, Clone)]
pub(super) struct RowFilter {
    /// Wide indices of the columns the filters name, ascending.
    pub(super) columns: Vec<usize>,
    /// The filters, rewritten to a batch of just these columns.
    filters: Vec<Arc<dyn PhysicalExpr>>,
}

impl RowFilter {
    /// Filters given over the wide schema; `None` when there are none.
    pub(super) fn new(filters: &[Arc<dyn PhysicalExpr>]) -> Result<Option<Self>> {
        if filters.is_empty() {
            return Ok(None);
        }
        let named: BTreeSet<usize> =
            filters.iter().flat_map(collect_columns).map(|column| column.index()).collect();
        let columns: Vec<usize> = named.into_iter().collect();
        let filters = filters
            .iter()
            .map(|filter| {
                remap_columns(filter, |index| columns.iter().position(|column| *column == index))
            })
            .collect::<Result<_>>()?;
        Ok(Some(Self { columns, filters }))
    }

    /// The rows of `batch` (of exactly [`RowFilter::columns`]) that satisfy all filters.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut keep: Option<BooleanArray> = None;
        for filter in &self.filters {
            // A filter sees only rows that passed the ones before it, so that `a <> 0 AND
            // 1 / a > 2` does not divide by zero.
            let passed = match &keep {
                None => filter.evaluate(batch)?,
                Some(keep) if keep.has_true() => filter.evaluate_selection(batch, keep)?,
                Some(_) => break,
            };
            let passed = passed.into_array(batch.num_rows())?;
            let passed = without_nulls(as_boolean_array(&passed)?);
            keep = Some(match keep {
                None => passed,
                Some(keep) => arrow::compute::and(&keep, &passed)?,
            });
        }
        Ok(keep.unwrap_or_else(|| BooleanArray::from(vec![true; batch.num_rows()])))
    }

    /// The filter as a scan of the store takes it; looks at `cancel` once per batch.
    pub(super) fn for_scan(&self, cancel: CancelFlag, failure: FilterFailure) -> ScanFilter {
        let filter = self.clone();
        ScanFilter {
            columns: self.columns.clone(),
            predicate: Box::new(move |batch| {
                if cancel.is_cancelled() {
                    return Err(failure.set(TablesError::Cancelled.into()));
                }
                filter.evaluate(batch).map_err(|error| failure.set(error))
            }),
        }
    }
}

fn without_nulls(mask: &BooleanArray) -> BooleanArray {
    if mask.null_count() == 0 { mask.clone() } else { prep_null_mask_filter(mask) }
}

/// The expression with every column's index replaced.
pub(super) fn remap_columns(
    expr: &Arc<dyn PhysicalExpr>,
    index_of: impl Fn(usize) -> Option<usize>,
) -> Result<Arc<dyn PhysicalExpr>> {
    Arc::clone(expr)
        .transform_down(|expr| {
            let Some(column) = expr.downcast_ref::<Column>() else {
                return Ok(Transformed::no(expr));
            };
            let index = index_of(column.index()).ok_or_else(|| TablesError::Internal {
                reason: format!("a filter names column {column}, which the scan does not have"),
            })?;
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), index))))
        })
        .data()
}

/// The expressions as EXPLAIN shows them: column names without positions.
pub(super) fn display(filters: &[Arc<dyn PhysicalExpr>]) -> Vec<String> {
    filters.iter().map(|filter| fmt_sql(quoted(filter).as_ref()).to_string()).collect()
}

/// The expression with its texts in quotes, to be shown: unlike columns.
fn quoted(filter: &Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let quoted = Arc::clone(filter).transform_up(|expr| {
        let Some(ScalarValue::Utf8(Some(text))) =
            expr.downcast_ref::<Literal>().map(|literal| literal.value())
        else {
            return Ok(Transformed::no(expr));
        };
        let text = format!("'{}'", text.replace('\'', "''"));
        Ok(Transformed::yes(Arc::new(Literal::new(ScalarValue::Utf8(Some(text))))))
    });
    quoted.data().unwrap_or_else(|_| Arc::clone(filter))
}
