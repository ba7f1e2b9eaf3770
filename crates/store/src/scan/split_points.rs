//! Where to cut a scan into parts of about the same size.

use kalamdb_commons::UserId;

use super::{KeyRange, rows_of};
use crate::stream::{Piece, Window};
use crate::{ReadView, StoreError, TableLayout};

/// At most `parts - 1` keys, ascending, that cut the rows in `range` into parts of about the same
/// size; keys without the table's prefix, as [`KeyRange`] wants them. None at all for a small
/// table: it is not worth cutting.
pub fn split_points(
    view: &ReadView,
    layout: &TableLayout,
    owner: Option<&UserId>,
    range: &KeyRange,
    parts: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let table = layout.definition().id;
    let (_, prefix) = rows_of(layout, view.generation(table), owner)?;
    let (lower, upper) = range.storage_bounds(&prefix);
    let definition = layout.definition();
    if let Some(options) = definition.stream_options() {
        let window = Window::of(view, table, &options)?;
        let lower = lower.max(window.lower);
        let streams = &view.store().database().streams;
        let pieces = streams.pieces_between(table, &lower, upper.as_deref());
        return Ok(starts_of_parts(&pieces, parts));
    }
    let samples = view.store().database().key_samples.between(table, &lower, upper.as_deref());
    let parts = parts.max(1);
    let mut points: Vec<Vec<u8>> = (1..parts)
        // The samples cut the range into one piece more than they are.
        .map(|part| part * (samples.len() + 1) / parts)
        .filter(|pieces| *pieces > 0)
        .filter_map(|pieces| samples.get(pieces - 1)?.get(prefix.len()..).map(<[u8]>::to_vec))
        .collect();
    points.dedup();
    Ok(points)
}

/// Where to cut a stream whose pieces these are. Counts what stands in them, not the pieces.
fn starts_of_parts(pieces: &[Piece], parts: usize) -> Vec<Vec<u8>> {
    let rows: u64 = pieces.iter().map(|piece| piece.rows).sum();
    let rows_of_part = (rows / parts.max(1) as u64).max(1);
    let mut points = Vec::new();
    let mut before = 0;
    for piece in pieces {
        let wanted = rows_of_part * (points.len() as u64 + 1);
        if before >= wanted && points.len() + 1 < parts {
            points.push(piece.start.encode().to_vec());
        }
        before += piece.rows;
    }
    points
}
