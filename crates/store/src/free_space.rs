//! The guard against a full disk: rows are refused while there still is room to go on without them.
//!
//! A write that fails half-way stops all writes until a restart, because nobody knows what is on
//! disk. So row changes are refused before it comes to that, and taken again once there is room.
//! Definitions are not: they are small, and dropping a table is what makes room.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::StoreError;

/// How much room there is, as far as the last look told, and how much there must be.
#[derive(Debug)]
pub(crate) struct FreeSpace {
    floor_bytes: u64,
    free_bytes: AtomicU64,
}

impl FreeSpace {
    /// Refuses rows below `floor_bytes`; nobody has looked yet.
    pub(crate) fn new(floor_bytes: u64) -> Self {
        Self { floor_bytes, free_bytes: AtomicU64::new(u64::MAX) }
    }

    /// Looks at the file system of `directory`.
    pub(crate) fn look(&self, directory: &Path) -> Result<(), StoreError> {
        let found = nix::sys::statvfs::statvfs(directory).map_err(|error| StoreError::Io {
            operation: "ask for the free space of",
            path: directory.to_owned(),
            source: error.into(),
        })?;
        // What is left for processes without privileges.
        self.observe(found.blocks_available().saturating_mul(found.fragment_size()));
        Ok(())
    }

    /// Takes note of how many bytes are free.
    pub(crate) fn observe(&self, free_bytes: u64) {
        let before = self.free_bytes.swap(free_bytes, Ordering::Relaxed);
        metrics::gauge!("kalamdb_free_disk_bytes").set(free_bytes as f64);
        let (was_low, is_low) = (before < self.floor_bytes, free_bytes < self.floor_bytes);
        let floor_bytes = self.floor_bytes;
        if is_low && !was_low {
            tracing::error!(free_bytes, floor_bytes, "the disk is almost full, rows are refused");
        } else if was_low && !is_low {
            tracing::info!(free_bytes, "there is room on the disk again, rows are taken");
        }
    }

    /// The error that says why rows are refused, if they are.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        if free_bytes < self.floor_bytes {
            return Err(StoreError::DiskAlmostFull { free_bytes, floor_bytes: self.floor_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kalamdb_commons::ErrorKind;

    use super::*;

    #[test]
    fn rows_are_refused_below_the_floor_only() {
        let space = FreeSpace::new(1000);
        assert!(space.check().is_ok(), "nobody has looked");
        space.observe(999);
        let refused = space.check().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
        assert!(refused.to_string().contains("999"), "{refused}");
        space.observe(1000);
        assert!(space.check().is_ok());
    }

    #[test]
    fn the_file_system_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let space = FreeSpace::new(u64::MAX);
        space.look(directory.path()).unwrap();
        assert!(space.check().is_err(), "no disk has that much room");
        assert!(space.look(&directory.path().join("missing")).is_err());
    }
}
