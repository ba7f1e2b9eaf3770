//! The keys of the `meta` family: one leading byte says what kind of value stands there.

use kalamdb_commons::{Generation, TableId, UserId};

/// u64 BE: the version of everything on disk.
pub(crate) const FORMAT_VERSION: &[u8] = &[0x01];
/// 16 bytes: the identity of this database.
pub(crate) const DATABASE_ID: &[u8] = &[0x02];
/// u64 BE: raised whenever history may have been rewritten (restore, accepted data loss).
pub(crate) const EPOCH: &[u8] = &[0x03];
/// u64 BE: the last commit. Read through a snapshot it is that snapshot's commit seq.
pub(crate) const LAST_COMMIT_SEQ: &[u8] = &[0x04];
/// u64 BE: commit seqs up to here may have been given to commits that were not synced.
pub(crate) const SEQ_BLOCK_END: &[u8] = &[0x05];
/// u64 BE: the next `_row_id` to give out.
pub(crate) const NEXT_ROW_ID: &[u8] = &[0x06];
/// 1 byte: present and 1 when the store was closed in order.
pub(crate) const CLOSED_CLEANLY: &[u8] = &[0x07];
/// 1 byte: present and 1 once the high-water file was written; from then on it must be there.
pub(crate) const HIGH_WATER_KEPT: &[u8] = &[0x08];
/// u64 BE, µs: the latest time by which rows of streams were found to have expired.
pub(crate) const STREAM_TIME: &[u8] = &[0x09];

const COUNTERS: u8 = 0x10;
const KEY_SAMPLES: u8 = 0x11;
const PURGES: u8 = 0x12;
const LOG_FLOORS: u8 = 0x13;
const STREAM_HEADS: u8 = 0x14;
const STREAM_PIECES: u8 = 0x15;
const GENERATIONS: u8 = 0x16;
const NAMED: u8 = 0x20;

fn table_key(kind: u8, table: TableId) -> Vec<u8> {
    let mut key = Vec::with_capacity(5);
    key.push(kind);
    key.extend_from_slice(&table.0.to_be_bytes());
    key
}

/// The counters of a table, or of one owner's rows in it. Operands are merged, never put.
pub(crate) fn counters_key(table: TableId, owner: Option<&UserId>) -> Vec<u8> {
    let mut key = table_key(COUNTERS, table);
    if let Some(owner) = owner {
        // A user id is never empty, so the table's own key is no owner's key.
        key.extend_from_slice(owner.as_str().as_bytes());
    }
    key
}

/// All counters of a table.
pub(crate) fn counters_prefix(table: TableId) -> Vec<u8> {
    table_key(COUNTERS, table)
}

/// The table of a counters key.
pub(crate) fn table_of_counters(key: &[u8]) -> Option<TableId> {
    match key.first_chunk::<5>()? {
        &[COUNTERS, a, b, c, d] => Some(TableId(u32::from_be_bytes([a, b, c, d]))),
        _ => None,
    }
}

/// A sampled storage key of a table; the value is the rows between two samples, u64 BE.
pub(crate) fn key_sample_key(table: TableId, storage_key: &[u8]) -> Vec<u8> {
    let mut key = table_key(KEY_SAMPLES, table);
    key.extend_from_slice(storage_key);
    key
}

/// All sampled keys of a table.
pub(crate) fn key_samples_prefix(table: TableId) -> Vec<u8> {
    table_key(KEY_SAMPLES, table)
}

/// All sampled keys.
pub(crate) fn all_key_samples_prefix() -> Vec<u8> {
    vec![KEY_SAMPLES]
}

/// Splits a sample's key into table and storage key.
pub(crate) fn split_key_sample(key: &[u8]) -> Option<(TableId, &[u8])> {
    let (&[KEY_SAMPLES, a, b, c, d], storage_key) = key.split_first_chunk::<5>()? else {
        return None;
    };
    Some((TableId(u32::from_be_bytes([a, b, c, d])), storage_key))
}

/// A removal that waits for older views; `id` is the commit seq that asked for it, then a number.
pub(crate) fn purge_key(commit_seq: u64, number: u32) -> Vec<u8> {
    let mut key = vec![PURGES];
    key.extend_from_slice(&commit_seq.to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// All waiting removals.
pub(crate) fn purges_prefix() -> Vec<u8> {
    vec![PURGES]
}

/// u32 BE: the first time bucket of a table's change log that is still whole.
pub(crate) fn log_floor_key(table: TableId) -> Vec<u8> {
    table_key(LOG_FLOORS, table)
}

/// u32 BE: the generation a table's rows stand in; absent: 0.
pub(crate) fn generation_key(table: TableId) -> Vec<u8> {
    table_key(GENERATIONS, table)
}

/// The generations of all tables.
pub(crate) fn all_generations_prefix() -> Vec<u8> {
    vec![GENERATIONS]
}

/// The table and its generation, of a stored key and value.
pub(crate) fn split_generation(key: &[u8], value: &[u8]) -> Option<(TableId, Generation)> {
    let &[GENERATIONS, a, b, c, d] = key else { return None };
    let generation = u32::from_be_bytes(value.try_into().ok()?);
    Some((TableId(u32::from_be_bytes([a, b, c, d])), Generation(generation)))
}

/// The head of a stream, see `stream::Head`.
pub(crate) fn stream_head_key(table: TableId) -> Vec<u8> {
    table_key(STREAM_HEADS, table)
}

/// All heads.
pub(crate) fn all_stream_heads_prefix() -> Vec<u8> {
    vec![STREAM_HEADS]
}

/// The table of a head's key.
pub(crate) fn table_of_stream_head(key: &[u8]) -> Option<TableId> {
    match key {
        &[STREAM_HEADS, a, b, c, d] => Some(TableId(u32::from_be_bytes([a, b, c, d]))),
        _ => None,
    }
}

/// A piece of a stream, see `stream::Piece`, under the position of its first row.
pub(crate) fn stream_piece_key(table: TableId, position: &[u8]) -> Vec<u8> {
    let mut key = table_key(STREAM_PIECES, table);
    key.extend_from_slice(position);
    key
}

/// All pieces of a stream.
pub(crate) fn stream_pieces_prefix(table: TableId) -> Vec<u8> {
    table_key(STREAM_PIECES, table)
}

/// All pieces.
pub(crate) fn all_stream_pieces_prefix() -> Vec<u8> {
    vec![STREAM_PIECES]
}

/// Splits a piece's key into table and position.
pub(crate) fn split_stream_piece(key: &[u8]) -> Option<(TableId, &[u8])> {
    let (&[STREAM_PIECES, a, b, c, d], position) = key.split_first_chunk::<5>()? else {
        return None;
    };
    Some((TableId(u32::from_be_bytes([a, b, c, d])), position))
}

/// A value the layers above keep by name.
pub(crate) fn named_key(name: &str) -> Vec<u8> {
    let mut key = vec![NAMED];
    key.extend_from_slice(name.as_bytes());
    key
}

/// Decodes a u64 value.
pub(crate) fn decode_u64(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

/// The first key after all keys that begin with `prefix`; `None` when there is none.
pub(crate) fn prefix_successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut successor = prefix[..=last].to_vec();
    successor[last] += 1;
    Some(successor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_is_after_every_key_with_the_prefix() {
        assert_eq!(prefix_successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_successor(&[1, 0xFF, 0xFF]), Some(vec![2]));
        assert_eq!(prefix_successor(&[0xFF]), None);
    }

    #[test]
    fn counters_give_back_their_table() {
        let owner = UserId::new("ann");
        for owner in [None, Some(&owner)] {
            assert_eq!(table_of_counters(&counters_key(TableId(7), owner)), Some(TableId(7)));
        }
        assert_eq!(table_of_counters(&key_sample_key(TableId(7), b"abc")), None);
        assert_eq!(table_of_counters(b"\x10ab"), None);
    }

    #[test]
    fn a_sample_gives_back_its_table_and_key() {
        let key = key_sample_key(TableId(7), b"abc");
        assert_eq!(split_key_sample(&key), Some((TableId(7), b"abc".as_slice())));
        assert_eq!(split_key_sample(b"\x11ab"), None);
    }
}
