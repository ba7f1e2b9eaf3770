//! Writing: INSERT, UPDATE, DELETE, MERGE and bulk ingest, all by one path.
//!
//! ```text
//! INSERT ─┐                                  ┌─ convert, check ─┐
//! UPDATE ─┼─► one source SELECT ─► DmlSink ──┤ encode           ├─► CommitRequest ─► committer
//! DELETE ─┤   (locations, images,            └─ check the keys ─┘
//! MERGE ──┘    actions, new values)
//! ```
//!
//! DataFusion's own hooks for UPDATE, DELETE and MERGE lose the WHERE clause in several shapes: no plan
//! of ours reaches them.

mod assign;
mod change_writer;
mod commit;
mod defaults;
mod ingest;
mod insert_writer;
mod literal_rows;
mod lower_change;
mod lower_insert;
mod lower_merge;
mod merge_scope;
mod merge_sink;
mod merge_stages;
mod merge_writer;
mod set_returning;
mod sink;
mod stored_parameter;
#[cfg(test)]
mod tests;
mod values;
mod wide_reals;

pub(crate) use self::assign::{AssignColumn, convert};
pub use self::defaults::check_defaults;
pub use self::ingest::{encode_batches, insert_batches};
pub(crate) use self::literal_rows::LiteralRows;
pub(crate) use self::lower_change::{plan_delete, plan_update};
pub(crate) use self::lower_insert::plan_insert;
pub(crate) use self::lower_merge::plan_merge;
pub(crate) use self::merge_sink::MergeSink;
pub(crate) use self::sink::DmlSink;
pub use self::stored_parameter::StoredParameter;
