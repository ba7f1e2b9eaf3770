//! The hot tier: rows, catalog entities and the change log in RocksDB, durable before they are
//! acknowledged, read as record batches straight from iterators.
//!
//! ```text
//! statements ─► CommitRequest ─► [committer] ─► one WriteBatch, one fsync ─► RocksDB families
//!                                                                                │
//! record batches ◄─ BatchBuilder ◄─ HotScan / lookup_keys / EntityStore ◄─ ReadView (snapshot)
//! ```
//!
//! - [`Store`] opens the data directory, recovers, and refuses to come up with less than it
//!   acknowledged; [`Store::view`] gives a [`ReadView`]: one snapshot for all tables.
//! - The [`Committer`] is the only way rows change. It checks in memory that nothing a statement
//!   relied on changed since its view, numbers the commit, and writes groups of commits at once.
//! - [`HotScan`], [`lookup_keys`] and [`get_rows`] read rows; [`EntityStore`] reads and writes
//!   what the catalog keeps.
//! - [`TableLayout`], [`KeyCodec`], [`row_format`] and [`BatchBuilder`] are the format on disk.
//!
//! It is *not* a query engine and knows nothing of SQL, Parquet, DataFusion or tokio: every call
//! here may block, and whoever is asynchronous calls from a blocking thread.
//!
//! ```no_run
//! use kalamdb_store::{CatalogOp, CommitRequest, Store, StoreError, StoreOptions};
//!
//! # fn main() -> Result<(), StoreError> {
//! let store = Store::open("./kalamdb-data".as_ref(), StoreOptions::default())?;
//! let before = store.view()?;
//! let catalog = vec![CatalogOp::put_meta("greeting", b"hello")];
//! let request = CommitRequest { catalog, ..CommitRequest::default() };
//! assert!(store.committer().commit_blocking(request)?.durable);
//! assert_eq!(before.meta("greeting")?, None);
//! assert_eq!(store.view()?.meta("greeting")?, Some(b"hello".to_vec()));
//! # Ok(())
//! # }
//! ```

mod batch_builder;
mod byte_rows;
mod change_log;
mod committer;
mod counters;
mod database;
mod dropped_owners;
mod entity_store;
mod error;
mod families;
mod free_space;
mod generations;
mod high_water;
mod janitor;
mod key_codec;
mod key_samples;
mod meta;
mod purge;
mod recovery;
pub mod row_format;
mod scan;
mod settings;
mod store;
mod stream;
mod table_layout;
mod table_size;
mod table_versions;
#[cfg(test)]
mod test_tables;
mod view;

pub use batch_builder::{BatchBuilder, create_batch_trusted};
pub use byte_rows::ByteRows;
pub use change_log::{ChangeLogEntry, ChangeLogPart, LOG_BUCKET_SECONDS, LogKey, LoggedChange};
pub use committer::{
    CatalogOp, ChangeOp, CommitReceipt, CommitReply, CommitRequest, Committer, RejectedCommit,
    RowChanges,
};
pub use counters::TableCounts;
pub use entity_store::{EntityKey, EntityStore};
pub use error::{ConflictReason, StoreError};
pub use families::SystemFamily;
pub use key_codec::KeyCodec;
pub use scan::{
    HotScan, KeyRange, ScanFilter, ScanPredicate, ScanSpec, StoredRow, get_rows, lookup_keys,
    split_points,
};
pub use store::{Store, StoreOptions};
pub use stream::{StreamBounds, stream_range, stream_rows};
pub use table_layout::TableLayout;
pub use view::ReadView;
