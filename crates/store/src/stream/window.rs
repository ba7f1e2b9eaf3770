//! Which part of a stream a view shows: from the first row that has not expired by the view's
//! own time and is not beyond the bound on rows, to the end.

use kalamdb_commons::{StreamOptions, TableId};

use super::{Head, Position};
use crate::families::Family;
use crate::{ReadView, StoreError, meta};

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
            let head = view.get(Family::Meta, &meta::stream_head_key(table))?;
            let head = head.as_deref().map(Head::decode).transpose()?;
            first_row_id = head.map_or(0, |head| head.next_row_id.saturating_sub(rows));
            let streams = &view.store().database().streams;
            if let Some(piece) = streams.piece_with(table, first_row_id) {
                start = start.max(piece);
            }
        }
        Ok(Self { lower: start.key(table), first_row_id })
    }
}
