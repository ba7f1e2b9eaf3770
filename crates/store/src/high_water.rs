//! The high-water mark: a small file beside the database that names the last commit known to be
//! on disk. A database that recovers to less than it has lost acknowledged commits.
//!
//! The file is replaced whole: written beside, fsynced, renamed, directory fsynced.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::StoreError;

const FILE_NAME: &str = "HIGH_WATER";
const TEMPORARY_NAME: &str = "HIGH_WATER.tmp";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HighWater {
    /// The database it belongs to, as hexadecimal digits.
    pub(crate) database_id: String,
    /// The last commit known to be on disk.
    pub(crate) commit_seq: u64,
}

/// The file: the mark and a checksum over its JSON.
#[derive(Serialize, Deserialize)]
struct Checked {
    mark: HighWater,
    xxh3: String,
}

impl HighWater {
    fn checksum(&self) -> String {
        format!("{:016x}", xxh3_64(format!("{}:{}", self.database_id, self.commit_seq).as_bytes()))
    }

    /// Reads the mark of the data directory; `None` when there is no file.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Io { operation: "read", path, source }),
        };
        let corrupt = |detail: String| StoreError::Corrupt { what: "high-water file", detail };
        let checked: Checked =
            serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        if checked.xxh3 != checked.mark.checksum() {
            return Err(corrupt(format!("{} has a wrong checksum", path.display())));
        }
        Ok(Some(checked.mark))
    }

    /// Replaces the mark of the data directory; on disk when it returns.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), StoreError> {
        let temporary = directory.join(TEMPORARY_NAME);
        let path = directory.join(FILE_NAME);
        let failed = |operation: &'static str, path: &PathBuf| {
            let path = path.clone();
            move |source| StoreError::Io { operation, path, source }
        };
        let checked = Checked { mark: self.clone(), xxh3: self.checksum() };
        let bytes = serde_json::to_vec(&checked).map_err(|error| StoreError::Corrupt {
            what: "high-water file",
            detail: error.to_string(),
        })?;
        let mut file = File::create(&temporary).map_err(failed("create", &temporary))?;
        file.write_all(&bytes).map_err(failed("write", &temporary))?;
        file.sync_all().map_err(failed("sync", &temporary))?;
        fs::rename(&temporary, &path).map_err(failed("rename to", &path))?;
        sync_directory(directory)
    }
}

/// Makes entries of a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(|source| StoreError::Io {
        operation: "sync",
        path: directory.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_survives_and_a_changed_one_is_found_out() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(HighWater::read(directory.path()).unwrap(), None);
        let mark = HighWater { database_id: "ab".to_owned(), commit_seq: 41 };
        mark.write(directory.path()).unwrap();
        assert_eq!(HighWater::read(directory.path()).unwrap(), Some(mark));

        let path = directory.path().join(FILE_NAME);
        let changed = fs::read_to_string(&path).unwrap().replace("41", "40");
        fs::write(&path, changed).unwrap();
        assert!(matches!(HighWater::read(directory.path()), Err(StoreError::Corrupt { .. })));
    }
}
