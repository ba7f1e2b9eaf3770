//! Typed catalog entities: one [`EntityStore`] per system family, values as versioned JSON.
//!
//! Format 1 of a value: the byte 1, then the entity as JSON. A reader of a later format tells old
//! values by that byte.

use std::marker::PhantomData;
use std::sync::Arc;

use kalamdb_commons::{NamespaceId, TableId, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::families::SystemFamily;
use crate::meta::prefix_successor;
use crate::view::OwnedIter;
use crate::{CatalogOp, CommitRequest, ReadView, Store, StoreError};

const VALUE_FORMAT: u8 = 1;

/// A key of an [`EntityStore`]: its encoding orders as it does, and decodes to itself.
pub trait EntityKey: Sized {
    /// Appends the encoded key.
    fn encode(&self, out: &mut Vec<u8>);
    /// The key these bytes encode, if they do.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number_key {
    ($($key:ty, $wrap:expr, $unwrap:expr;)*) => {$(
        impl EntityKey for $key {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&$unwrap(self).to_be_bytes());
            }

            fn decode(bytes: &[u8]) -> Option<Self> {
                Some($wrap(u32::from_be_bytes(bytes.try_into().ok()?)))
            }
        }
    )*};
}

number_key! {
    NamespaceId, NamespaceId, |key: &NamespaceId| key.0;
    TableId, TableId, |key: &TableId| key.0;
}

/// A schema version of a table.
impl EntityKey for (TableId, u32) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        out.extend_from_slice(&self.1.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (table, version) = bytes.split_at_checked(4)?;
        Some((TableId::decode(table)?, u32::from_be_bytes(version.try_into().ok()?)))
    }
}

impl EntityKey for UserId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(UserId::new(std::str::from_utf8(bytes).ok()?))
    }
}

impl EntityKey for String {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(std::str::from_utf8(bytes).ok()?.to_owned())
    }
}

/// The entities of one system family.
pub struct EntityStore<K, V> {
    store: Arc<Store>,
    family: SystemFamily,
    entities: PhantomData<fn(K) -> V>,
}

impl<K: EntityKey, V: Serialize + DeserializeOwned> EntityStore<K, V> {
    /// The entities of `family`.
    pub fn new(store: Arc<Store>, family: SystemFamily) -> Self {
        Self { store, family, entities: PhantomData }
    }

    /// The entity under `key`, as of the view.
    pub fn get(&self, view: &ReadView, key: &K) -> Result<Option<V>, StoreError> {
        let value = view.get(self.family.family(), &encoded(key))?;
        value.map(|value| self.decode_value(&value)).transpose()
    }

    /// All entities in key order, as of the view, read as the iterator advances. It ends after
    /// the first error.
    pub fn scan_iter(
        &self,
        view: Arc<ReadView>,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + use<K, V> {
        self.scan_prefix_iter(view, &[])
    }

    /// As [`Self::scan_iter`], of the keys whose encoding begins with `prefix`.
    pub fn scan_prefix_iter(
        &self,
        view: Arc<ReadView>,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + use<K, V> {
        let family = self.family;
        let upper = prefix_successor(prefix);
        let mut opened = Some((view, prefix.to_vec(), upper));
        let mut entities = None;
        std::iter::from_fn(move || {
            if let Some((view, lower, upper)) = opened.take() {
                match OwnedIter::new(view, family.family(), lower, upper, true) {
                    Ok(mut iter) => {
                        iter.seek_to_first();
                        entities = Some(iter);
                    }
                    Err(error) => return Some(Err(error)),
                }
            }
            let item = match entities.as_mut()?.item() {
                Ok(None) => None,
                Ok(Some((key, value))) => Some(decode_entity(family, key, value)),
                Err(error) => Some(Err(error)),
            };
            match &item {
                Some(Ok(_)) => entities.as_mut()?.next(),
                Some(Err(_)) | None => entities = None,
            }
            item
        })
    }

    /// Writes all items in one commit.
    pub fn batch_put(&self, items: &[(K, V)]) -> Result<(), StoreError> {
        let catalog =
            items.iter().map(|(key, value)| self.put_op(key, value)).collect::<Result<_, _>>()?;
        let request = CommitRequest { catalog, ..CommitRequest::default() };
        self.store.committer().commit_blocking(request).map(|_| ())
    }

    /// The part of a commit that writes this entity.
    pub fn put_op(&self, key: &K, value: &V) -> Result<CatalogOp, StoreError> {
        let mut bytes = vec![VALUE_FORMAT];
        serde_json::to_writer(&mut bytes, value).map_err(|source| StoreError::EncodeEntity {
            family: self.family.family().name(),
            source,
        })?;
        Ok(CatalogOp::entity(self.family, encoded(key), Some(bytes)))
    }

    /// The part of a commit that deletes this entity.
    pub fn delete_op(&self, key: &K) -> CatalogOp {
        CatalogOp::entity(self.family, encoded(key), None)
    }

    fn decode_value(&self, value: &[u8]) -> Result<V, StoreError> {
        decode_value(self.family, value)
    }
}

fn encoded<K: EntityKey>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

fn decode_entity<K: EntityKey, V: DeserializeOwned>(
    family: SystemFamily,
    key: &[u8],
    value: &[u8],
) -> Result<(K, V), StoreError> {
    let decoded = K::decode(key).ok_or_else(|| StoreError::Corrupt {
        what: "entity key",
        detail: format!("{} holds the key {key:02x?}", family.family().name()),
    })?;
    Ok((decoded, decode_value(family, value)?))
}

fn decode_value<V: DeserializeOwned>(family: SystemFamily, value: &[u8]) -> Result<V, StoreError> {
    let corrupt = |detail: String| StoreError::Corrupt {
        what: "entity",
        detail: format!("{}: {detail}", family.family().name()),
    };
    match value {
        [VALUE_FORMAT, json @ ..] => {
            serde_json::from_slice(json).map_err(|error| corrupt(error.to_string()))
        }
        [format, ..] => Err(corrupt(format!("unknown value format {format}"))),
        [] => Err(corrupt("the value is empty".to_owned())),
    }
}

#[cfg(test)]
mod tests;
