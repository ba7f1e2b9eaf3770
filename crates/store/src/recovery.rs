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
    /// Whether the high-water file was written before, and so must be there.
    pub(crate) mark_kept: bool,
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
    // Without its CURRENT file RocksDB would make a new, empty database.
    let exists = path.join("CURRENT").exists();
    if !exists && high_water > 0 && !options.accept_data_loss {
        let path = directory.to_owned();
        return Err(StoreError::DataLoss { path, recovered: 0, high_water });
    }
    let opening = Opening {
        path: &path,
        options,
        write_buffers: WriteBufferManager::new_write_buffer_manager(
            options.write_buffer_bytes,
            false,
        ),
    };
    let rocksdb = match open_checked(&opening, mark.as_ref())? {
        Opened::Whole(rocksdb) => rocksdb,
        Opened::MarkMissing { recovered } => {
            let path = directory.to_owned();
            return Err(StoreError::HighWaterMissing { path, recovered });
        }
    };
    settings::tune(&rocksdb)?;
    sync_directory(directory)?;
    let recovered = read_state(rocksdb, opening.write_buffers.clone(), directory)?;
    let lost = check_loss(&recovered, mark.as_ref(), directory, options.accept_data_loss)?;
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

/// Whether acknowledged commits are, or may be, missing; an error unless that is accepted.
fn check_loss(
    recovered: &Recovered,
    mark: Option<&HighWater>,
    directory: &Path,
    accepted: bool,
) -> Result<bool, StoreError> {
    let (path, last) = (directory.to_owned(), recovered.last_commit_seq);
    match mark {
        Some(mark) if last < mark.commit_seq => {
            let high_water = mark.commit_seq;
            if !accepted {
                return Err(StoreError::DataLoss { path, recovered: last, high_water });
            }
            tracing::error!(
                recovered = last,
                high_water,
                "acknowledged commits are missing; going on without them, as asked"
            );
            Ok(true)
        }
        None if recovered.mark_kept => {
            if !accepted {
                return Err(StoreError::HighWaterMissing { path, recovered: last });
            }
            tracing::error!(
                recovered = last,
                "nobody knows how many commits were acknowledged; going on with these, as asked"
            );
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Opens with the mode that takes damage in the middle of the log for damage. A machine that lost
/// power may leave an unsynced tail that looks like that: a log cut off at the damage will do,
/// too, if everything acknowledged comes before it.
fn open_checked(opening: &Opening<'_>, mark: Option<&HighWater>) -> Result<Opened, StoreError> {
    let refused = match opening.open(DBRecoveryMode::TolerateCorruptedTailRecords) {
        Ok(rocksdb) => return Ok(Opened::Whole(rocksdb)),
        Err(error) if error.kind() == rocksdb::ErrorKind::Corruption => error,
        Err(source) => return Err(StoreError::RocksDb { operation: "open the database", source }),
    };
    tracing::warn!(error = %refused, "the write-ahead log is damaged, looking at what precedes it");
    let (recovered, mark_kept) = opening.recovered_up_to_damage()?;
    let high_water = mark.map_or(0, |mark| mark.commit_seq);
    if !opening.options.accept_data_loss {
        if mark.is_none() && mark_kept {
            return Ok(Opened::MarkMissing { recovered });
        }
        if recovered < high_water {
            return Err(StoreError::RocksDb { operation: "open the database", source: refused });
        }
    }
    let rocksdb = opening
        .open(DBRecoveryMode::PointInTime)
        .map_err(StoreError::rocksdb("open the database up to the damage"))?;
    tracing::warn!(
        last_commit = recovered,
        high_water,
        "the log was cut off at the damage: commits up to last_commit are kept, those up to \
         high_water were known to be on disk"
    );
    Ok(Opened::Whole(rocksdb))
}

/// What opening came to.
enum Opened {
    /// Nothing that was acknowledged is missing, or that is accepted.
    Whole(DB),
    /// The log is damaged, and the mark that would say whether it matters is gone.
    MarkMissing {
        /// The last commit before the damage.
        recovered: u64,
    },
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

    /// The last commit before the damage, and whether the database had a high-water mark; found
    /// without changing anything on disk.
    fn recovered_up_to_damage(&self) -> Result<(u64, bool), StoreError> {
        let options = settings::database_options(DBRecoveryMode::PointInTime, &self.write_buffers);
        let rocksdb =
            DB::open_cf_descriptors_read_only(&options, self.path, self.families(), false)
                .map_err(StoreError::rocksdb("read the damaged database"))?;
        let last_commit_seq = read_u64(&rocksdb, meta::LAST_COMMIT_SEQ)?.unwrap_or(0);
        Ok((last_commit_seq, read(&rocksdb, meta::HIGH_WATER_KEPT)?.is_some()))
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
        mark_kept: read(&rocksdb, meta::HIGH_WATER_KEPT)?.is_some(),
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
