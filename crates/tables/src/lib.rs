//! Tables as DataFusion sees them: providers and scan plans for reading, one sink for writing,
//! the system tables, and the planning that ties a statement to them.
//!
//! ```text
//! sql::Statement ──► plan_query / plan_dml ──► LogicalPlan ──► TableProvider::scan
//!                                                                  │ StatementContext
//!                    record batches         ◄── HotScanExec ◄──────┤ (view, principal)
//!                    CommitRequest ◄── DmlSink ◄── source SELECT ◄─┘
//! ```
//!
//! It does not know Flight, sessions, settings or configuration files: what a statement runs with
//! reaches a plan through one [`StatementContext`] in the session's extensions.

mod allow_list;
mod catalog;
mod context;
mod dml;
mod error;
mod functions;
mod hot_scan;
mod planner;
mod scan_pool;
mod system_tables;
mod table_provider;
#[cfg(test)]
mod test_database;

pub use allow_list::check_plan;
pub use catalog::catalog_list;
pub use context::{CancelFlag, StatementContext};
pub use dml::{encode_batches, insert_batches};
pub use error::{TablesError, conflict_of, kind_of};
pub use functions::scalar_functions;
pub use planner::{plan_dml, plan_query, plan_statement};
pub use scan_pool::ScanPool;
