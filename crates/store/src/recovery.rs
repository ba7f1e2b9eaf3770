//! Bringing a data directory up: nothing acknowledged may be missing, and nothing is thrown away
//! while that is being found out.

use std::path::Path;

use rocksdb::{
    Cache, ColumnFamilyDescriptor, DB, DBRecoveryMode, WriteBatch, WriteBufferManager, WriteOptions,
};

use crate::families::Family;
use crate::high_water::{HighWater, sync_directory};
use crate::store::hex;
use crate::{StoreError, StoreOptions, meta, settings};

/// The version of everything on disk.
const FORMAT_VERSION: u64 = 1;
/// RocksDB's own directory.
const ROCKSDB_DIRECTORY: &str = "rocksdb";
/// The first `_row_id`.
const FIRST_ROW_ID: u64 = 1;

/// An open database that lost nothing.
pub(crate) struct Recovered {
    pub(crate) rocksdb: DB,
    pub(crate) write_buffers: WriteBufferManager,
    pub(crate) database_id: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) last_commit_seq: u64,
    /// The greatest commit seq that may have been given out.
    pub(crate) last_allocated_seq: u64,
    pub(crate) seq_block_end: u64,
    pub(crate) next_row_id: u64,
}

/// Opens, or creates, the database of a data directory.
pub(crate) fn recover(directory: &Path, options: &StoreOptions) -> Result<Recovered, StoreError> {
    let path = directory.join(ROCKSDB_DIRECTORY);
    let io = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { operation, path, source }
    };
    std::fs::create_dir_all(&path).map_err(io("create", &path))?;
    let mark = match HighWater::read(directory) {
        Err(StoreError::Corrupt { detail, .. }) if options.accept_data_loss => {
            tracing::error!(detail, "the high-water file is damaged and ignored, as asked");
            None
        }
        read => read?,
    };
    let high_water = mark.as_ref().map_or(0, |mark| mark.commit_seq);
    let loss =
        |recovered: u64| StoreError::DataLoss { path: directory.to_owned(), recovered, high_water };
    // Without its CURRENT file RocksDB would make a new, empty database.
    let exists = path.join("CURRENT").exists();
    if !exists && high_water > 0 && !options.accept_data_loss {
        return Err(loss(0));
    }
    let opening = Opening {
        path: &path,
        options,
        write_buffers: WriteBufferManager::new_write_buffer_manager(
            options.write_buffer_bytes,
            false,
        ),
    };
    let rocksdb = open_checked(&opening, high_water)?;
    settings::tune(&rocksdb)?;
    sync_directory(directory)?;
    let recovered = read_state(rocksdb, opening.write_buffers.clone(), directory)?;
    let lost = recovered.last_commit_seq < high_water;
    if lost && !options.accept_data_loss {
        return Err(loss(recovered.last_commit_seq));
    }
    if let Some(mark) = mark.filter(|_| exists)
        && mark.database_id != hex(&recovered.database_id)
        && !options.accept_data_loss
    {
        return Err(StoreError::corrupt(
            "data directory",
            "the high-water file belongs to another database; restore both from one copy",
        ));
    }
    begin(recovered, lost)
}

/// Opens with the mode that takes damage in the middle of the log for damage. A machine that lost
/// power may leave an unsynced tail that looks like that: a log cut off at the damage will do,
/// too, if everything acknowledged comes before it.
fn open_checked(opening: &Opening<'_>, high_water: u64) -> Result<DB, StoreError> {
    let refused = match opening.open(DBRecoveryMode::TolerateCorruptedTailRecords) {
        Ok(rocksdb) => return Ok(rocksdb),
        Err(error) if error.kind() == rocksdb::ErrorKind::Corruption => error,
        Err(source) => return Err(StoreError::RocksDb { operation: "open the database", source }),
    };
    tracing::warn!(error = %refused, "the write-ahead log is damaged, looking at what precedes it");
    let recovered = opening.recovered_up_to_damage()?;
    if recovered < high_water && !opening.options.accept_data_loss {
        return Err(StoreError::RocksDb { operation: "open the database", source: refused });
    }
    opening
        .open(DBRecoveryMode::PointInTime)
        .map_err(StoreError::rocksdb("open the database up to the damage"))
}

/// What every try at opening has in common.
struct Opening<'a> {
    path: &'a Path,
    options: &'a StoreOptions,
    write_buffers: WriteBufferManager,
}

impl Opening<'_> {
    fn open(&self, recovery: DBRecoveryMode) -> Result<DB, rocksdb::Error> {
        let options = settings::database_options(recovery, &self.write_buffers);
        DB::open_cf_descriptors(&options, self.path, self.families())
    }

    /// The last commit before the damage, found without changing anything on disk.
    fn recovered_up_to_damage(&self) -> Result<u64, StoreError> {
        let options = settings::database_options(DBRecoveryMode::PointInTime, &self.write_buffers);
        let rocksdb =
            DB::open_cf_descriptors_read_only(&options, self.path, self.families(), false)
                .map_err(StoreError::rocksdb("read the damaged database"))?;
        Ok(read_u64(&rocksdb, meta::LAST_COMMIT_SEQ)?.unwrap_or(0))
    }

    fn families(&self) -> Vec<ColumnFamilyDescriptor> {
        let cache = Cache::new_lru_cache(self.options.block_cache_bytes);
        settings::family_descriptors(&cache, self.options.write_buffer_bytes)
    }
}

fn read_state(
    rocksdb: DB,
    write_buffers: WriteBufferManager,
    directory: &Path,
) -> Result<Recovered, StoreError> {
    let format = read_u64(&rocksdb, meta::FORMAT_VERSION)?.unwrap_or(FORMAT_VERSION);
    if format != FORMAT_VERSION {
        return Err(StoreError::FormatVersion {
            path: directory.to_owned(),
            found: format,
            supported: FORMAT_VERSION,
        });
    }
    let last_commit_seq = read_u64(&rocksdb, meta::LAST_COMMIT_SEQ)?.unwrap_or(0);
    let seq_block_end = read_u64(&rocksdb, meta::SEQ_BLOCK_END)?.unwrap_or(0);
    let closed_cleanly = read(&rocksdb, meta::CLOSED_CLEANLY)?.is_some();
    let last_allocated_seq =
        if closed_cleanly { last_commit_seq } else { last_commit_seq.max(seq_block_end) };
    let database_id = match read(&rocksdb, meta::DATABASE_ID)? {
        Some(stored) => stored.try_into().map_err(|stored: Vec<u8>| {
            StoreError::corrupt("database id", format!("{} bytes", stored.len()))
        })?,
        None => uuid::Uuid::new_v4().into_bytes(),
    };
    Ok(Recovered {
        epoch: read_u64(&rocksdb, meta::EPOCH)?.unwrap_or(1),
        next_row_id: read_u64(&rocksdb, meta::NEXT_ROW_ID)?.unwrap_or(FIRST_ROW_ID),
        rocksdb,
        write_buffers,
        database_id,
        last_commit_seq,
        last_allocated_seq,
        seq_block_end,
    })
}

/// Writes what a started store differs in from a stopped one; on disk when it returns, together
/// with everything that was recovered.
fn begin(mut recovered: Recovered, lost: bool) -> Result<Recovered, StoreError> {
    if lost {
        recovered.epoch += 1;
        tracing::error!(
            recovered = recovered.last_commit_seq,
            "acknowledged commits are missing; going on without them, as asked"
        );
    }
    let mut batch = WriteBatch::default();
    let family = Family::Meta.handle(&recovered.rocksdb)?;
    batch.put_cf(family, meta::FORMAT_VERSION, FORMAT_VERSION.to_be_bytes());
    batch.put_cf(family, meta::DATABASE_ID, recovered.database_id);
    batch.put_cf(family, meta::EPOCH, recovered.epoch.to_be_bytes());
    batch.delete_cf(family, meta::CLOSED_CLEANLY);
    let mut options = WriteOptions::default();
    options.set_sync(true);
    recovered
        .rocksdb
        .write_opt(batch, &options)
        .map_err(StoreError::rocksdb("mark the database as open"))?;
    Ok(recovered)
}

fn read(rocksdb: &DB, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    rocksdb
        .get_cf(Family::Meta.handle(rocksdb)?, key)
        .map_err(StoreError::rocksdb("read the state of the database"))
}

fn read_u64(rocksdb: &DB, key: &[u8]) -> Result<Option<u64>, StoreError> {
    let Some(value) = read(rocksdb, key)? else { return Ok(None) };
    let number = meta::decode_u64(&value).ok_or_else(|| {
        StoreError::corrupt("meta value", format!("key {key:02x?} has {} bytes", value.len()))
    })?;
    Ok(Some(number))
}
