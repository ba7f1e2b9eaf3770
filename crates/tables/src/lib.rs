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
//! reaches a plan through one [`StatementContext`] in the session's extensions, and numbers bound to
//! the parameters of window frames through [`FrameOffsets`] there.
//!
//! ```
//! use std::sync::Arc;
//!
//! use datafusion::execution::session_state::SessionStateBuilder;
//! use kalamdb_commons::{Principal, Role, UserId};
//! use kalamdb_sql::CatalogSnapshot;
//!
//! let state = SessionStateBuilder::new_with_default_features().build();
//! let catalog = Arc::new(CatalogSnapshot::default());
//! let ann = Principal {
//!     user_id: UserId::new("ann"),
//!     user_name: Arc::from("ann"),
//!     role: Role::User,
//! };
//! let sql = "SELECT table_name FROM system.tables";
//! let statement = kalamdb_sql::parse(sql).unwrap().remove(0).statement;
//! let plan = kalamdb_tables::plan_statement(&state, &catalog, &ann, "default", &statement).unwrap();
//! kalamdb_tables::check_plan(&plan).unwrap();
//! assert_eq!(plan.schema().field(0).name(), "table_name");
//! ```

mod allow_list;
mod catalog;
mod context;
mod dml;
mod error;
mod functions;
mod hot_scan;
mod known_messages;
mod plain_words;
mod planner;
mod scan_pool;
mod system_tables;
mod table_provider;
#[cfg(test)]
mod test_database;

pub use allow_list::check_plan;
pub use catalog::catalog_list;
pub use context::{CancelFlag, StatementContext};
pub use dml::{
    CheckPlans, StatementRows, StoredParameter, WritePlanner, as_stored, check_constraints,
    check_defaults, default_value, encode_batches, insert_batches, item_of, loses_fraction,
    reads_text, rounded_cast, spells_uuid, text_cast,
};
pub use error::{TablesError, affects_a_row_twice, conflict_of, kind_of, own_error};
pub use functions::{IntervalOperators, IntervalTexts, scalar_functions};
pub use plain_words::{About, Plain, in_sql_types, plain_words};
pub use planner::{
    FrameOffsets, MergedOrder, OnePartition, PlannedView, PushedFilters, exact_decimal, name_verb,
    other_function_names, plan_dml, plan_query, plan_statement, plan_view, shared_name,
    write_to_view,
};
pub use scan_pool::ScanPool;
