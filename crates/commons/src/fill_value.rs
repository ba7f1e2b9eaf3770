//! The value a column has in rows that were written before it was added.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One value, not NULL, as an Arrow IPC *stream* (schema message, one record batch) of one row and
/// one column, of the Arrow type that [`ColumnType::to_arrow`](crate::ColumnType::to_arrow) gives
/// for the column. It is stored as base64.
///
/// A widened column keeps its fill: ALTER TABLE writes it again in the new type, so that readers
/// never cast it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FillValue(Arc<[u8]>);

impl FillValue {
    /// Takes the bytes of an IPC stream; they are not looked at.
    pub fn from_ipc(stream: impl Into<Arc<[u8]>>) -> Self {
        Self(stream.into())
    }

    /// The bytes of the IPC stream.
    pub fn as_ipc(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for FillValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FillValue({} bytes)", self.0.len())
    }
}

impl Serialize for FillValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for FillValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self::from_ipc).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_value_is_stored_as_base64() {
        let value = FillValue::from_ipc(vec![0, 255, 7]);
        let stored = serde_json::to_string(&value).unwrap();
        assert_eq!(stored, "\"AP8H\"");
        assert_eq!(serde_json::from_str::<FillValue>(&stored).unwrap(), value);
        assert!(serde_json::from_str::<FillValue>("\"*\"").is_err());
    }
}
