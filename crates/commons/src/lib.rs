//! The shared vocabulary of KalamDB: ids, table definitions, column types, system columns,
//! roles, interned names, the clock, limits and error kinds.
//!
//! ```text
//! names and numbers ──► [commons] ──► every other crate
//! ```
//!
//! It knows nothing of I/O, of tokio, of DataFusion: what stands here can be used by the store,
//! by the SQL layer and by the server alike.
//!
//! ```
//! use kalamdb_commons::{ColumnDefinition, ColumnId, ColumnType};
//!
//! let id = ColumnDefinition::new(ColumnId(1), "id", ColumnType::Int64).not_null();
//! assert_eq!(id.to_field().data_type(), &arrow_schema::DataType::Int64);
//! ```

mod clock;
mod column_type;
mod error_kind;
mod fill_value;
mod ids;
mod interval_text;
pub mod limits;
mod role;
mod sql_state;
mod stream_options;
mod string_interner;
pub mod system_columns;
mod table_definition;
mod view_definition;
mod widening;

pub use clock::{Clock, ManualClock, SystemClock};
pub use column_type::{ColumnType, StructField, TimePrecision, TypeError};
pub use error_kind::ErrorKind;
pub use fill_value::FillValue;
pub use ids::{ColumnId, CommitSeq, Generation, NamespaceId, TableId, UserId};
pub use interval_text::{IntervalParts, interval_of_text};
pub use role::{Principal, Role};
pub use sql_state::SqlState;
pub use stream_options::{StreamOptions, stream_bucket_seconds};
pub use string_interner::intern;
pub use table_definition::{
    AccessLevel, CheckConstraint, ColumnDefinition, Compression, Durability, FlushPolicy,
    TableDefinition, TableOptions, TableType, VersionChange, declared_type,
};
pub use view_definition::ViewDefinition;
pub use widening::integer_digits;
