//! STREAM tables: rows are appended in the order of their arrival and go by themselves.
//!
//! ```text
//! commit ─► append: time and row id into the keys ─► pieces ─► records in the same batch
//! view   ─► its own time ─► window: the first key still shown ─► lower bound of every scan
//! janitor ─► evict: pieces no later view shows ─► recorded removal ─► files, then the range
//! ```
//!
//! - `key`: where a row stands: time bucket, time, row id. Time and row id rise together, so the
//!   order of keys is the order of arrival, and what has expired is the beginning of the table.
//! - `pieces`: the rows in runs of a bucket or less: how many, how large, how old. What is known
//!   here need not be looked up in the table: eviction reads no row.
//! - `record`: pieces and the next row id as they stand in `meta`.
//! - `window`: which part of the table a view shows.
//! - `range`: which keys belong to conditions on arrival time and row id.
//!
//! Streams are synced at intervals unless they say otherwise: a machine that loses power may lose
//! the rows of the last interval. Their row ids are then given again, their commit seqs are not.
//!
//! Time never runs backwards here: views, commits and evictions all see the latest time any of
//! them ever saw, over restarts too. A row that has expired for one view has for all later ones.

mod key;
mod pieces;
mod range;
mod record;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use key::{KEY_BYTES, PREFIX_BYTES, Position, placeholder_prefix, row_id_of};
pub(crate) use pieces::{Eviction, Streams};
pub use range::{StreamBounds, stream_range};
pub(crate) use record::{Head, Piece};
pub(crate) use window::Window;
pub use window::stream_rows;
