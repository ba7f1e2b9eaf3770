//! Writing: INSERT, UPDATE, DELETE, MERGE and bulk ingest, all by one path.
//!
//! ```text
//! INSERT ─┐                                  ┌─ convert, check ─┐
//! UPDATE ─┼─► one source SELECT ─► DmlSink ──┤ encode           ├─► CommitRequest ─► committer
//! DELETE ─┤   (locations, images,            └─ check the keys ─┘
//! MERGE ──┘    actions, new values)
//! ```
//!
//! With ON CONFLICT or RETURNING a [`WritePlan`] stands in the place of the sink: it asks further
//! queries about the rows before it commits them.
//!
//! DataFusion's own hooks for UPDATE, DELETE and MERGE lose the WHERE clause in several shapes: no plan
//! of ours reaches them.

#[cfg(test)]
mod altered_tests;
mod append_only;
mod assign;
mod change_writer;
mod checks;
mod commit;
mod defaults;
mod ingest;
mod insert_writer;
mod literal_rows;
mod lower_change;
mod lower_conflict;
mod lower_insert;
mod lower_merge;
mod lower_returning;
mod merge_scope;
mod merge_sink;
mod merge_stages;
mod merge_writer;
mod moment_texts;
mod nested_values;
mod rounded;
mod set_returning;
mod sink;
mod spelled_values;
mod statement_rows;
mod stored_parameter;
#[cfg(test)]
mod tests;
mod text_cast;
mod upsert;
#[cfg(test)]
mod upsert_tests;
mod values;
mod wide_reals;
mod write_exec;
mod write_plan;
mod years;

pub(crate) use self::assign::{AssignColumn, convert};
pub use self::checks::{CheckPlans, check_constraints};
pub use self::defaults::{check_defaults, default_value};
pub use self::ingest::{encode_batches, insert_batches};
pub(crate) use self::literal_rows::LiteralRows;
pub(crate) use self::lower_change::{plan_delete, plan_truncate, plan_update};
pub(crate) use self::lower_insert::plan_insert;
pub(crate) use self::lower_merge::plan_merge;
pub(crate) use self::merge_sink::MergeSink;
pub use self::rounded::{item_of, loses_fraction, rounded_cast};
pub(crate) use self::sink::DmlSink;
pub(crate) use self::spelled_values::{interval_of, no_interval};
pub use self::statement_rows::StatementRows;
pub(crate) use self::statement_rows::{RowsOf, RowsTable, relation};
pub(crate) use self::stored_parameter::uuid_placeholder;
pub use self::stored_parameter::{StoredParameter, as_stored, spells_uuid};
pub use self::text_cast::{reads_text, text_cast};
pub(crate) use self::values::{staged, staged_type};
pub(crate) use self::write_plan::WritePlan;
pub use self::write_plan::WritePlanner;
