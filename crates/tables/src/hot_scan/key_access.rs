//! From filters to keys: which part of a table's key space a scan has to look at.
//!
//! The key columns are taken in key order. As long as a column is bound by equality (`=`, `IN`),
//! the next one is looked at; the first that is not may still be bound by a range.
//!
//! ```text
//! key (a, b, c)    a = 1 AND b IN (2, 3) AND c = 4      two keys
//!                  a = 1 AND b > 2                      one range
//!                  b = 2                                everything, b = 2 stays a filter
//! ```

use std::ops::Bound;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use kalamdb_commons::{TableType, UserId};
use kalamdb_store::{ByteRows, KeyRange, ReadView, TableLayout};

use super::key_constraint::{Constraint, constraint_of};
use super::stream_access;
use crate::TablesError;

/// Keys looked up one by one; past that the table is scanned.
const KEYS_MAX: usize = 64 << 10;
/// Separate ranges of one scan; past that fewer key columns bound it.
const RANGES_MAX: usize = 1024;

/// Where a scan finds its rows.
#[derive(Debug, Clone)]
pub(crate) enum KeyAccess {
    /// No row can match.
    Nothing,
    /// Exactly these keys (complete storage keys, ascending, each once).
    Keys(ByteRows),
    /// These ranges, ascending and disjoint; keys without the table's prefix.
    Ranges(Vec<KeyRange>),
}

/// What the filters say about the keys, and what is left of them.
#[derive(Debug)]
pub(crate) struct ChosenAccess {
    pub access: KeyAccess,
    /// The conditions that `access` takes care of, for EXPLAIN.
    pub bounds: Vec<String>,
    /// Conditions still to be evaluated.
    pub residual: Vec<Expr>,
    /// Columns (wide indices) bound to one value.
    pub constants: Vec<(usize, ScalarValue)>,
}

impl ChosenAccess {
    /// The ranges to scan, when the rows are not looked up by key.
    pub(crate) fn ranges(&self) -> Option<&[KeyRange]> {
        match &self.access {
            KeyAccess::Ranges(ranges) => Some(ranges),
            KeyAccess::Nothing | KeyAccess::Keys(_) => None,
        }
    }
}

/// A column of the key.
#[derive(Debug, Clone)]
pub(crate) struct KeyColumn {
    pub name: String,
    /// Position in the wide schema.
    pub index: usize,
    pub data_type: DataType,
}

/// The key columns of a table, in key order; `_row_id` where none is declared.
pub(crate) fn key_columns(layout: &TableLayout) -> Vec<KeyColumn> {
    let positions = match layout.row_id_index() {
        Some(index) => vec![index],
        None => layout.definition().key_positions(),
    };
    positions
        .into_iter()
        .map(|index| {
            let field = layout.wide_schema().field(index);
            KeyColumn { name: field.name().clone(), index, data_type: field.data_type().clone() }
        })
        .collect()
}

/// A condition as EXPLAIN shows it: texts in quotes, unlike columns.
pub(super) fn shown(filter: &Expr) -> Result<String> {
    let quoted = filter.clone().transform_up(|expr| match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) => {
            let text = format!("'{}'", text.replace('\'', "''"));
            Ok(Transformed::yes(Expr::Literal(ScalarValue::Utf8(Some(text)), metadata)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(quoted.data.human_display().to_string())
}

/// Chooses how to reach the rows that match all `filters`.
pub(crate) fn choose(
    view: &ReadView,
    layout: &TableLayout,
    owner: Option<&UserId>,
    filters: &[Expr],
) -> Result<ChosenAccess> {
    if layout.definition().table_type == TableType::Stream {
        return stream_access::choose(view, layout, filters);
    }
    let columns = key_columns(layout);
    let mut bounds = KeyBounds::collect(&columns, filters);
    let equal = bounds.equal_columns();
    let mut taken = Vec::new();
    let all_equal = || equal.iter().map(|(_, filter)| Taken { filter: *filter, entirely: true });
    let access = if equal.iter().any(|(values, _)| values.is_empty()) {
        taken.extend(all_equal());
        KeyAccess::Nothing
    } else if equal.len() == columns.len() && product(&equal) <= KEYS_MAX {
        taken.extend(all_equal());
        let prefix = layout.key_prefix(view.generation(layout.definition().id), owner);
        KeyAccess::Keys(encode_keys(layout, &equal, &prefix)?)
    } else {
        ranges(layout, &columns, &mut bounds, equal.clone(), &mut taken)?
    };
    let constants = equal
        .iter()
        .zip(&columns)
        .filter(|((values, filter), _)| {
            values.len() == 1 && taken.iter().any(|taken| taken.filter == *filter)
        })
        .filter_map(|((values, _), column)| Some((column.index, values.first()?.clone())))
        .collect();
    let mut chosen = ChosenAccess { access, bounds: Vec::new(), residual: Vec::new(), constants };
    for (position, filter) in filters.iter().enumerate() {
        let taken: Vec<&Taken> = taken.iter().filter(|taken| taken.filter == position).collect();
        if !taken.is_empty() {
            chosen.bounds.push(shown(filter)?);
        }
        if !taken.iter().any(|taken| taken.entirely) {
            chosen.residual.push(filter.clone());
        }
    }
    if matches!(chosen.access, KeyAccess::Nothing) {
        chosen.residual.clear();
    }
    Ok(chosen)
}

/// Values a column may have, and the filter that says so.
type Equal = (Vec<ScalarValue>, usize);
/// Where a column's range begins or ends.
#[derive(Debug)]
struct Edge {
    value: ScalarValue,
    /// Whether the value itself is in the range.
    inclusive: bool,
    /// The filter that says so.
    filter: usize,
    /// False when the filter says more than that, and so stays.
    exact: bool,
}

/// A filter that the access takes care of.
struct Taken {
    filter: usize,
    /// Nothing of it is left to be evaluated.
    entirely: bool,
}

/// What the filters say about each key column.
struct KeyBounds {
    equal: Vec<Option<Equal>>,
    lower: Vec<Option<Edge>>,
    upper: Vec<Option<Edge>>,
}

impl KeyBounds {
    fn collect(columns: &[KeyColumn], filters: &[Expr]) -> Self {
        let mut bounds = Self {
            equal: columns.iter().map(|_| None).collect(),
            lower: columns.iter().map(|_| None).collect(),
            upper: columns.iter().map(|_| None).collect(),
        };
        for (position, filter) in filters.iter().enumerate() {
            let Some((column, constraint)) = constraint_of(filter, columns) else { continue };
            match constraint {
                // Of several conditions of one kind the first bounds the scan, the others stay
                // filters: `a = 1 AND a = 2` looks at the key 1 and finds that it is not 2.
                Constraint::In(values) => {
                    bounds.equal[column].get_or_insert((values, position));
                }
                Constraint::Lower(value, inclusive) => {
                    let edge = Edge { value, inclusive, filter: position, exact: true };
                    bounds.lower[column].get_or_insert(edge);
                }
                Constraint::Upper(value, inclusive) => {
                    let edge = Edge { value, inclusive, filter: position, exact: true };
                    bounds.upper[column].get_or_insert(edge);
                }
                Constraint::Implied { from, below } => {
                    let edge = |value, inclusive| Edge {
                        value,
                        inclusive,
                        filter: position,
                        exact: false,
                    };
                    bounds.lower[column].get_or_insert(edge(from, true));
                    if let Some(below) = below {
                        bounds.upper[column].get_or_insert(edge(below, false));
                    }
                }
            }
        }
        bounds
    }

    /// The leading key columns that are bound by equality.
    fn equal_columns(&self) -> Vec<Equal> {
        self.equal.iter().map_while(Clone::clone).collect()
    }
}

fn product(equal: &[Equal]) -> usize {
    equal.iter().fold(1, |product, (values, _)| product.saturating_mul(values.len()))
}

/// All combinations of the values, as columns of equal length.
fn combinations(equal: &[Equal]) -> Result<Vec<ArrayRef>> {
    let total = product(equal);
    let mut repeat = total;
    let mut columns = Vec::with_capacity(equal.len());
    for (values, _) in equal {
        repeat /= values.len().max(1);
        let column = (0..total).map(|row| values[(row / repeat.max(1)) % values.len()].clone());
        columns.push(ScalarValue::iter_to_array(column)?);
    }
    Ok(columns)
}

fn encode_keys(layout: &TableLayout, equal: &[Equal], prefix: &[u8]) -> Result<ByteRows> {
    let columns = combinations(equal)?;
    let mut encoded = ByteRows::new();
    layout.key_codec().encode(&columns, prefix, &mut encoded).map_err(TablesError::from)?;
    let mut sorted: Vec<&[u8]> = encoded.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut keys = ByteRows::with_capacity(sorted.len(), encoded.byte_len());
    for key in sorted {
        keys.push(key);
    }
    Ok(keys)
}

/// The ranges for the columns bound by equality, narrowed by a range on the column after them.
fn ranges(
    layout: &TableLayout,
    columns: &[KeyColumn],
    bounds: &mut KeyBounds,
    mut equal: Vec<Equal>,
    taken: &mut Vec<Taken>,
) -> Result<KeyAccess> {
    while product(&equal) > RANGES_MAX {
        equal.pop();
    }
    taken.extend(equal.iter().map(|(_, filter)| Taken { filter: *filter, entirely: true }));
    let next = equal.len();
    let lower = if next < columns.len() { bounds.lower[next].take() } else { None };
    let upper = if next < columns.len() { bounds.upper[next].take() } else { None };
    let edges_taken = [&lower, &upper].into_iter().flatten();
    taken.extend(edges_taken.map(|edge| Taken { filter: edge.filter, entirely: edge.exact }));

    let leading = combinations(&equal)?;
    let starts = edges(layout, &leading, product(&equal), &lower)?;
    let ends = edges(layout, &leading, product(&equal), &upper)?;
    let mut ranges: Vec<KeyRange> = starts
        .into_iter()
        .zip(ends)
        .map(|(start, end)| KeyRange { start, end })
        .filter(|range| !is_empty(range))
        .collect();
    ranges.sort_by(|a, b| start_key(a).cmp(start_key(b)));
    ranges.dedup();
    Ok(if ranges.is_empty() { KeyAccess::Nothing } else { KeyAccess::Ranges(ranges) })
}

/// One bound for each combination of leading values: at the edge, or at the values themselves.
fn edges(
    layout: &TableLayout,
    leading: &[ArrayRef],
    count: usize,
    edge: &Option<Edge>,
) -> Result<Vec<Bound<Vec<u8>>>> {
    let mut columns = leading.to_vec();
    let mut inclusive = true;
    if let Some(edge) = edge {
        columns.push(edge.value.to_array_of_size(count)?);
        inclusive = edge.inclusive;
    }
    if columns.is_empty() {
        return Ok(vec![Bound::Unbounded; count]);
    }
    (0..count)
        .map(|row| {
            let mut key = Vec::new();
            layout
                .key_codec()
                .encode_leading(&columns, row, &mut key)
                .map_err(TablesError::from)?;
            Ok(if inclusive { Bound::Included(key) } else { Bound::Excluded(key) })
        })
        .collect()
}

fn start_key(range: &KeyRange) -> &[u8] {
    match &range.start {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => &[],
    }
}

/// True when no key can lie in the range (`a > 5 AND a < 3`).
fn is_empty(range: &KeyRange) -> bool {
    let lower = match &range.start {
        Bound::Unbounded => return false,
        Bound::Included(key) => Some(key.clone()),
        Bound::Excluded(key) => after(key),
    };
    let upper = match &range.end {
        Bound::Unbounded => return false,
        Bound::Included(key) => after(key),
        Bound::Excluded(key) => Some(key.clone()),
    };
    match (lower, upper) {
        // No key comes after the greatest.
        (None, _) => true,
        (Some(_), None) => false,
        (Some(lower), Some(upper)) => lower >= upper,
    }
}

/// The least key after all that begin with `key`.
fn after(key: &[u8]) -> Option<Vec<u8>> {
    let mut key = key.to_vec();
    while let Some(last) = key.pop() {
        if let Some(next) = last.checked_add(1) {
            key.push(next);
            return Some(key);
        }
    }
    None
}

/// Splits ranges at the given keys into `parts` lists of about the same number of pieces, each
/// ascending, all disjoint. Keys are without the table's prefix.
pub(crate) fn split(ranges: &[KeyRange], points: &[Vec<u8>]) -> Vec<Vec<KeyRange>> {
    let mut parts = vec![Vec::new()];
    for range in ranges {
        let mut rest = range.clone();
        for point in points {
            if !lies_within(point, &rest) {
                continue;
            }
            let before = KeyRange { start: rest.start, end: Bound::Excluded(point.clone()) };
            if let Some(part) = parts.last_mut() {
                part.push(before);
            }
            parts.push(Vec::new());
            rest = KeyRange { start: Bound::Included(point.clone()), end: rest.end };
        }
        if let Some(part) = parts.last_mut() {
            part.push(rest);
        }
    }
    parts
}

/// True when a split at `point` leaves something on both sides.
fn lies_within(point: &[u8], range: &KeyRange) -> bool {
    let after_start = match &range.start {
        Bound::Unbounded => true,
        Bound::Included(start) => point > start.as_slice(),
        Bound::Excluded(start) => point > start.as_slice() && !point.starts_with(start),
    };
    let before_end = match &range.end {
        Bound::Unbounded => true,
        Bound::Included(end) => point < end.as_slice() || point.starts_with(end),
        Bound::Excluded(end) => point < end.as_slice(),
    };
    after_start && before_end
}
