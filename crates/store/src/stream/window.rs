//! Which part of a stream a view shows: from the first row that has not expired by the view's
//! own time and is not beyond the bound on rows, to the end.

use std::sync::Arc;

use kalamdb_commons::{StreamOptions, TableId};

use super::{Head, Position, row_id_of};
use crate::families::Family;
use crate::view::OwnedIter;
use crate::{ReadView, StoreError, TableLayout, meta};

/// The beginning of what is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// The complete key from which on rows are shown: exact as to time. As to the bound on rows
    /// it is the start of a piece, and rows before `first_row_id` may follow.
    pub(crate) lower: Vec<u8>,
    /// The id of the first row shown.
    pub(crate) first_row_id: u64,
}

impl Window {
    /// What `view` shows of a stream.
    pub(crate) fn of(
        view: &ReadView,
        table: TableId,
        options: &StreamOptions,
    ) -> Result<Self, StoreError> {
        let mut start = Position::of_time(options, options.shown_from_us(view.now_us()));
        let mut first_row_id = 0;
        if let Some(rows) = options.max_rows {
            // As of the view: a row that came later pushes none of its rows out.
            first_row_id = next_row_id(view, table)?.saturating_sub(rows);
            let streams = &view.store().database().streams;
            if let Some(piece) = streams.piece_with(table, first_row_id) {
                start = start.max(piece);
            }
        }
        Ok(Self { lower: start.key(table), first_row_id })
    }
}

/// How many rows of a stream a view shows; `None` for other tables. Row ids have no gaps, so the
/// first one shown tells: no other row is looked at.
///
/// # Errors
/// Those of reading a key.
pub fn stream_rows(view: &Arc<ReadView>, layout: &TableLayout) -> Result<Option<u64>, StoreError> {
    let definition = layout.definition();
    let Some(options) = definition.stream_options() else { return Ok(None) };
    let next_row_id = next_row_id(view, definition.id)?;
    let window = Window::of(view, definition.id, &options)?;
    let upper = meta::prefix_successor(&definition.id.0.to_be_bytes());
    let family = Family::StreamTable;
    let mut first = OwnedIter::new(Arc::clone(view), family, window.lower, upper, true)?;
    first.seek_to_first();
    let Some((key, _)) = first.item()? else { return Ok(Some(0)) };
    let first_row_id = row_id_of(key).max(window.first_row_id);
    Ok(Some(next_row_id.saturating_sub(first_row_id)))
}

/// The id of the row that comes next; 0 when there never was one.
fn next_row_id(view: &ReadView, table: TableId) -> Result<u64, StoreError> {
    let head = view.get(Family::Meta, &meta::stream_head_key(table))?;
    Ok(head.as_deref().map(Head::decode).transpose()?.map_or(0, |head| head.next_row_id))
}
