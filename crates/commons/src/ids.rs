//! Newtypes for everything that has a number or a stable name.
//!
//! Ids, never names, appear in storage keys, and an id is never used twice.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// A namespace (a schema, in SQL terms).
    NamespaceId(u32)
}
number_id! {
    /// A table; leads every key of the table in storage, big-endian.
    TableId(u32)
}
number_id! {
    /// A column of one table, stable under rename and never given to another column.
    ColumnId(u32)
}
number_id! {
    /// A generation of a table's hot rows; a flush moves one whole generation away.
    Generation(u32)
}
number_id! {
    /// The position of a commit in the order of all commits; 0 is "before the first".
    CommitSeq(u64)
}

impl CommitSeq {
    /// The sequence number after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The stable identity of a user; it partitions USER tables and never changes with the user name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Arc<str>);

impl UserId {
    /// Wraps a name that the catalog has accepted as a user id.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
