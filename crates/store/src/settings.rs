//! How RocksDB is set up: nothing acknowledged may be lost silently, memory is bounded.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    Options, WriteBufferManager,
};

use crate::families::Family;
use crate::{StoreError, counters};

/// Log files RocksDB keeps about itself.
const INFO_LOG_FILES_MAX: usize = 4;
const INFO_LOG_BYTES_MAX: usize = 4 << 20;
/// The write-ahead log is never longer: what a recovery may have to read.
const WAL_BYTES_MAX: u64 = 128 << 20;
/// How much is written before the system is asked to start writing it out.
const BYTES_PER_SYNC: u64 = 1 << 20;
/// Open files.
const OPEN_FILES_MAX: i32 = 512;
/// Memtables of one family: one that is filled, one or two that are written out.
const MEMTABLES_MAX: i32 = 3;
const SYSTEM_MEMTABLE_BYTES: usize = 1 << 20;
/// Larger blocks than RocksDB's 4 KiB make scans cheaper; a point read decompresses one.
const ROW_BLOCK_BYTES: usize = 16 << 10;
/// About 1 % of reads of absent keys touch a block.
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Share of a memtable for the filter that answers most reads of absent keys.
const MEMTABLE_BLOOM_RATIO: f64 = 0.05;
/// Counter operands that may pile up under one key before RocksDB adds them up.
const MERGES_MAX: usize = 64;
const TARGET_FILE_BYTES: u64 = 32 << 20;
/// A file written while any view was open counts as one to compact again as soon as the view is
/// gone. With views coming and going that rewrites every file at once; later will do.
const BOTTOM_COMPACTION_DELAY_SECONDS: &str = "3600";

/// Settings of the whole database.
pub(crate) fn database_options(
    recovery: DBRecoveryMode,
    write_buffers: &WriteBufferManager,
) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // Damage in the middle of the log is an error, not the end of it.
    options.set_wal_recovery_mode(recovery);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    options.set_recycle_log_file_num(0);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_wal_bytes_per_sync(BYTES_PER_SYNC);
    options.set_use_fsync(false);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_keep_log_file_num(INFO_LOG_FILES_MAX);
    options.set_max_log_file_size(INFO_LOG_BYTES_MAX);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    // One bound for all memtables together; a full one is written out, writers are not stalled.
    options.set_write_buffer_manager(write_buffers);
    options
}

/// All families with their settings, and the `default` one, which stays empty.
pub(crate) fn family_descriptors(
    block_cache: &Cache,
    memtable_bytes: usize,
) -> Vec<ColumnFamilyDescriptor> {
    let default = ColumnFamilyDescriptor::new("default", system_options(block_cache));
    let families = Family::ALL.into_iter().map(|family| {
        let options = match family {
            Family::SharedTable | Family::UserTable | Family::StreamTable => {
                row_options(block_cache, memtable_bytes)
            }
            Family::ChangeLog => log_options(block_cache, memtable_bytes),
            Family::Meta => meta_options(block_cache),
            _ => system_options(block_cache),
        };
        ColumnFamilyDescriptor::new(family.name(), options)
    });
    std::iter::once(default).chain(families).collect()
}

/// Settings that can only be changed once the database is open.
pub(crate) fn tune(rocksdb: &DB) -> Result<(), StoreError> {
    for family in [Family::SharedTable, Family::UserTable, Family::StreamTable, Family::ChangeLog] {
        let delay = ("bottommost_file_compaction_delay", BOTTOM_COMPACTION_DELAY_SECONDS);
        rocksdb
            .set_options_cf(family.handle(rocksdb)?, &[delay])
            .map_err(StoreError::rocksdb("set an option"))?;
    }
    Ok(())
}

fn block_options(block_cache: &Cache) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(block_cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    blocks.set_whole_key_filtering(true);
    blocks
}

fn system_options(block_cache: &Cache) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(SYSTEM_MEMTABLE_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&block_options(block_cache));
    options
}

fn meta_options(block_cache: &Cache) -> Options {
    let mut options = system_options(block_cache);
    options.set_merge_operator_associative(counters::MERGE_OPERATOR, counters::merge);
    options.set_max_successive_merges(MERGES_MAX);
    options
}

fn row_options(block_cache: &Cache, memtable_bytes: usize) -> Options {
    let mut options = Options::default();
    // Several families are written at once and share the bound.
    options.set_write_buffer_size(memtable_bytes / 2);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options.set_target_file_size_base(TARGET_FILE_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    // Key checks ask for keys that are mostly absent.
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
    options.set_memtable_whole_key_filtering(true);
    let mut blocks = block_options(block_cache);
    blocks.set_block_size(ROW_BLOCK_BYTES);
    options.set_block_based_table_factory(&blocks);
    options
}

fn log_options(block_cache: &Cache, memtable_bytes: usize) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(memtable_bytes / 4);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options.set_target_file_size_base(TARGET_FILE_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&block_options(block_cache));
    options
}
