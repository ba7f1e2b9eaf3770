//! From filters to the part of a stream a scan has to look at: rows stand in the order of their
//! arrival, so conditions on `_updated` and `_row_id` bound it.

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use kalamdb_store::{ReadView, StreamBounds, TableLayout, stream_range};

use super::key_access::{ChosenAccess, KeyAccess, KeyColumn, shown};
use super::key_constraint::{Constraint, constraint_of};

/// Positions of the two columns among those conditions are looked for on.
const UPDATED: usize = 0;
const ROW_ID: usize = 1;

/// Chooses the range of a stream's rows that match all `filters`. Every filter is still evaluated:
/// the range may hold more rows than it means.
pub(super) fn choose(
    view: &ReadView,
    layout: &TableLayout,
    filters: &[Expr],
) -> Result<ChosenAccess> {
    let columns = arrival_columns(layout);
    let mut bounds = StreamBounds::default();
    let mut shown_bounds = Vec::new();
    let mut nothing = false;
    for filter in filters {
        let Some((column, constraint)) = constraint_of(filter, &columns) else { continue };
        let Some((least, greatest)) = limits(&constraint) else { continue };
        nothing |= least.zip(greatest).is_some_and(|(least, greatest)| least > greatest);
        let (from, to) = match column {
            UPDATED => (&mut bounds.from_us, &mut bounds.until_us),
            _ => (&mut bounds.first_row_id, &mut bounds.last_row_id),
        };
        *from = (*from).max(least);
        *to = match (*to, greatest) {
            (Some(known), Some(greatest)) => Some(known.min(greatest)),
            (known, greatest) => known.or(greatest),
        };
        shown_bounds.push(shown(filter)?);
    }
    let range = if nothing { None } else { stream_range(view, layout, &bounds) };
    let access = range.map_or(KeyAccess::Nothing, |range| KeyAccess::Ranges(vec![range]));
    let residual = match access {
        KeyAccess::Nothing => Vec::new(),
        _ => filters.to_vec(),
    };
    Ok(ChosenAccess { access, bounds: shown_bounds, residual, constants: Vec::new() })
}

/// `_updated` and `_row_id`, in the order of [`UPDATED`] and [`ROW_ID`].
fn arrival_columns(layout: &TableLayout) -> Vec<KeyColumn> {
    let mut columns = Vec::with_capacity(ROW_ID + 1);
    for index in [Some(layout.updated_index()), layout.row_id_index()].into_iter().flatten() {
        let field = layout.wide_schema().field(index);
        let (name, data_type) = (field.name().clone(), field.data_type().clone());
        columns.push(KeyColumn { name, index, data_type });
    }
    columns
}

/// The least and the greatest value that satisfy a constraint; both where none does: a least one
/// that is greater. `None` when it says nothing.
fn limits(constraint: &Constraint) -> Option<(Option<i64>, Option<i64>)> {
    const NONE: (Option<i64>, Option<i64>) = (Some(1), Some(0));
    match constraint {
        Constraint::In(values) => {
            let values: Option<Vec<i64>> = values.iter().map(number).collect();
            let values = values?;
            if values.is_empty() {
                return Some(NONE);
            }
            Some((values.iter().min().copied(), values.iter().max().copied()))
        }
        Constraint::Lower(value, inclusive) => {
            let value = number(value)?;
            let least = if *inclusive { Some(value) } else { value.checked_add(1) };
            Some(least.map_or(NONE, |least| (Some(least), None)))
        }
        Constraint::Upper(value, inclusive) => {
            let value = number(value)?;
            let greatest = if *inclusive { Some(value) } else { value.checked_sub(1) };
            Some(greatest.map_or(NONE, |greatest| (None, Some(greatest))))
        }
        Constraint::Implied { .. } => None,
    }
}

fn number(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Int64(number) | ScalarValue::TimestampMicrosecond(number, _) => *number,
        _ => None,
    }
}
