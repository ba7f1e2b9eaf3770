//! Reading hot rows: scans over key ranges, lookups of keys, split points of parallel scans.

mod hot_scan;
mod lookup;
mod spec;
mod split_points;

pub use crate::view::StoredRow;
pub use hot_scan::HotScan;
pub use lookup::{get_rows, lookup_keys};
use spec::check_version;
pub(crate) use spec::rows_of;
pub use spec::{KeyRange, ScanFilter, ScanPredicate, ScanSpec};
pub use split_points::split_points;
