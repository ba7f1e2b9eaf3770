//! Reading hot rows: scans over key ranges, lookups of keys, split points of parallel scans.

mod filtering;
mod hot_scan;
mod lookup;
mod rows;
mod spec;
mod split_points;

pub use crate::view::StoredRow;
pub use hot_scan::HotScan;
pub use lookup::{get_rows, lookup_keys};
pub(crate) use spec::rows_of;
pub use spec::{KeyRange, ScanFilter, ScanPredicate, ScanSpec};
use spec::{builder_of, check_owner, check_version};
pub use split_points::split_points;
