//! Ids of namespaces and tables: counted in `meta`, in the commit that uses them, never reused.

use kalamdb_store::{CatalogOp, ReadView};

use crate::error::SqlError;

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    Namespaces,
    Tables,
}

impl Counter {
    fn meta_name(self) -> &'static str {
        match self {
            Self::Namespaces => "catalog.next_namespace_id",
            Self::Tables => "catalog.next_table_id",
        }
    }

    /// The next id, and the part of the commit that takes it. Ids begin at 1.
    pub(crate) fn take(self, view: &ReadView) -> Result<(u32, CatalogOp), SqlError> {
        let name = self.meta_name();
        let damaged = |reason: String| SqlError::DamagedCatalog { reason };
        let id = match view.meta(name)? {
            None => 1,
            Some(bytes) => u32::from_be_bytes(
                bytes
                    .as_slice()
                    .try_into()
                    .map_err(|_| damaged(format!("{name} has {} bytes, not 4", bytes.len())))?,
            ),
        };
        let next = id.checked_add(1).ok_or_else(|| damaged(format!("{name} has run out")))?;
        Ok((id, CatalogOp::put_meta(name, &next.to_be_bytes())))
    }
}
