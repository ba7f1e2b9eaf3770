//! The column families: few and fixed. A table is a key prefix, not a family.

use rocksdb::ColumnFamily;

use crate::StoreError;

/// Every family that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    SharedTable,
    UserTable,
    StreamTable,
    Segments,
    DeletionVectors,
    ChangeLog,
    SystemNamespaces,
    SystemTables,
    SystemViews,
    SystemUsers,
    SystemStorageLocations,
    SystemLiveQueries,
    SystemFlushJobs,
    Meta,
}

impl Family {
    pub(crate) const ALL: [Self; 14] = [
        Self::SharedTable,
        Self::UserTable,
        Self::StreamTable,
        Self::Segments,
        Self::DeletionVectors,
        Self::ChangeLog,
        Self::SystemNamespaces,
        Self::SystemTables,
        Self::SystemViews,
        Self::SystemUsers,
        Self::SystemStorageLocations,
        Self::SystemLiveQueries,
        Self::SystemFlushJobs,
        Self::Meta,
    ];

    /// Families whose keys begin with a table id and that go with their table.
    pub(crate) const OF_TABLES: [Self; 6] = [
        Self::SharedTable,
        Self::UserTable,
        Self::StreamTable,
        Self::Segments,
        Self::DeletionVectors,
        Self::ChangeLog,
    ];

    /// The name on disk.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SharedTable => "shared_table",
            Self::UserTable => "user_table",
            Self::StreamTable => "stream_table",
            Self::Segments => "segments",
            Self::DeletionVectors => "deletion_vectors",
            Self::ChangeLog => "change_log",
            Self::SystemNamespaces => "system_namespaces",
            Self::SystemTables => "system_tables",
            Self::SystemViews => "system_views",
            Self::SystemUsers => "system_users",
            Self::SystemStorageLocations => "system_storage_locations",
            Self::SystemLiveQueries => "system_live_queries",
            Self::SystemFlushJobs => "system_flush_jobs",
            Self::Meta => "meta",
        }
    }

    /// Its handle.
    pub(crate) fn handle(self, db: &rocksdb::DB) -> Result<&ColumnFamily, StoreError> {
        db.cf_handle(self.name()).ok_or_else(|| StoreError::Corrupt {
            what: "storage directory",
            detail: format!("column family {} is missing", self.name()),
        })
    }
}

/// The families of catalog entities, one [`crate::EntityStore`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemFamily {
    /// Namespaces.
    Namespaces,
    /// Tables and their schema versions.
    Tables,
    /// Views.
    Views,
    /// Users.
    Users,
    /// Where cold segments are stored.
    StorageLocations,
    /// Live queries.
    LiveQueries,
    /// Jobs.
    FlushJobs,
}

impl SystemFamily {
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Namespaces => Family::SystemNamespaces,
            Self::Tables => Family::SystemTables,
            Self::Views => Family::SystemViews,
            Self::Users => Family::SystemUsers,
            Self::StorageLocations => Family::SystemStorageLocations,
            Self::LiveQueries => Family::SystemLiveQueries,
            Self::FlushJobs => Family::SystemFlushJobs,
        }
    }
}
