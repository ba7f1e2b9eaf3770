//! The engine: what a statement goes through between the wire and the store.
//!
//! ```text
//!  SQL text ──► prepare ──► Prepared ──► query ──► BatchStream
//!                              └───────► execute ─► count
//!  batches ───► ingest ──────────────────────────► count
//! ```
//!
//! It does not know tonic, Arrow Flight, command lines or configuration files: settings come in
//! as a struct, results go out as record batches, errors carry a kind.
//!
//! ```
//! use kalamdb_core::{Engine, EngineSettings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let mut settings = EngineSettings::new(dir.path());
//! settings.root_password = Some("a long secret".into());
//! let engine = Engine::open(settings)?;
//! let root = engine.principal("root")?;
//! let affected = tokio::runtime::Runtime::new()?.block_on(async {
//!     let session = engine.session(root);
//!     engine.execute_script(&session, "CREATE TABLE t (id INT PRIMARY KEY)").await?;
//!     engine.execute_script(&session, "INSERT INTO t VALUES (1), (2)").await
//! })?;
//! assert_eq!(affected, 2);
//! engine.close();
//! # Ok(())
//! # }
//! ```

mod alter_table;
mod bound_values;
mod definition;
mod describe_table;
mod engine;
mod error;
mod explain_text;
mod grouping_sets;
mod ingest;
mod keep_names;
mod listing;
mod literals;
mod membership;
mod messages;
mod metadata;
mod mixed_types;
mod moving_frames;
mod nullable_subqueries;
mod optimize;
mod overflow;
mod pace;
mod parameter_types;
mod parameters;
mod placed;
mod prepare;
mod prepared;
mod query;
mod range_frames;
mod real_keys;
mod rounded_casts;
mod runtime;
mod secrets;
mod session;
mod session_state;
mod settings;
mod show_functions;
mod show_stats;
mod simplify;
mod table_as;
mod text_casts;
mod truth_tests;
mod update;
mod value_subqueries;
mod view_age;
mod views;
mod wire_schema;

#[cfg(test)]
mod tests;

pub use engine::{Engine, PinnedView, UserRevision};
pub use error::EngineError;
pub use ingest::{IngestIfExists, IngestIfMissing, IngestRequest};
pub use metadata::{MetadataView, TableInfo, TableKind};
pub use prepared::{Prepared, StatementKind};
pub use query::{BatchStream, QueryResult};
pub use session::Session;
pub use settings::EngineSettings;
pub use update::Returned;
