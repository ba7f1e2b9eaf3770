//! The log's format, byte by byte, and what comes back from it.

use kalamdb_commons::limits::LOG_PART_BYTES_MAX;
use kalamdb_commons::{CommitSeq, TableId, UserId};

use super::*;
use crate::ChangeOp;

type Parts = Vec<(Vec<u8>, Vec<u8>)>;
type Change = (ChangeOp, &'static [u8], Vec<u8>, Vec<u8>);

fn write(owner: Option<&UserId>, changes: &[Change]) -> Parts {
    let mut parts = Parts::new();
    let mut put = |key: &[u8], value: &[u8]| parts.push((key.to_vec(), value.to_vec()));
    let mut writer = LogWriter::new();
    writer.begin(&LoggedCommit {
        table: TableId(7),
        owner,
        schema_version: 3,
        commit_seq: CommitSeq(0x0102),
        updated_us: 600_000_001,
        first_part: 0,
    });
    for (op, key, new, old) in changes {
        writer.append(*op, key, new, old, &mut put).unwrap();
    }
    writer.finish(&mut put);
    parts
}

#[test]
fn golden_bytes() {
    let owner = UserId::new("u\0");
    let parts = write(
        Some(&owner),
        &[
            (ChangeOp::Insert, b"a", vec![9], vec![]),
            (ChangeOp::Update, b"b", vec![8], vec![7]),
            (ChangeOp::Delete, b"c", vec![], vec![6]),
        ],
    );
    let key = [
        [0, 0, 0, 7].as_slice(),
        &[0, 0, 0, 2],
        &[b'u', 0, 0xFF, 0, 1],
        &[0, 0, 0, 0, 0, 0, 1, 2],
        &[0, 0, 0, 0],
    ]
    .concat();
    let value = [
        [1].as_slice(),
        &[3, 0, 0, 0],
        &[1, 0x46, 0xC3, 0x23, 0, 0, 0, 0],
        &[1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a', 9],
        &[2, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'b', 8, 7],
        &[3, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'c', 6],
    ]
    .concat();
    assert_eq!(parts, [(key.clone(), value.clone())]);

    let entry = ChangeLogEntry::decode(&key, &value).unwrap();
    assert_eq!(entry.key.owner, Some(owner));
    assert_eq!(entry.key.encode(), key);
    assert_eq!((entry.part.schema_version, entry.part.updated_us), (3, 600_000_001));
    let changes: Vec<_> = entry.part.changes().map(Result::unwrap).collect();
    assert_eq!(changes[1].new, Some([8].as_slice()));
    assert_eq!(changes[1].old, Some([7].as_slice()));
    assert_eq!((changes[0].old, changes[2].new), (None, None));
}

#[test]
fn parts_stay_within_their_bound_and_follow_each_other() {
    let image = vec![1; LOG_PART_BYTES_MAX / 3];
    let changes: Vec<Change> =
        (0..10).map(|_| (ChangeOp::Insert, b"k".as_slice(), image.clone(), vec![])).collect();
    let parts = write(None, &changes);
    assert_eq!(parts.len(), 5);
    let mut count = 0;
    for (number, (key, value)) in parts.iter().enumerate() {
        assert!(value.len() <= LOG_PART_BYTES_MAX);
        let entry = ChangeLogEntry::decode(key, value).unwrap();
        assert_eq!(entry.key.part as usize, number);
        assert_eq!(entry.key.owner, None);
        count += entry.part.changes().map(Result::unwrap).count();
    }
    assert_eq!(count, changes.len());
    assert!(parts.is_sorted());
}

#[test]
fn a_change_larger_than_a_part_stands_alone() {
    let huge = vec![1; LOG_PART_BYTES_MAX * 2];
    let small = vec![2; 10];
    let parts = write(
        None,
        &[
            (ChangeOp::Insert, b"a", small.clone(), vec![]),
            (ChangeOp::Insert, b"b", huge, vec![]),
            (ChangeOp::Insert, b"c", small, vec![]),
        ],
    );
    assert_eq!(parts.len(), 3);
}

#[test]
fn cut_off_bytes_are_errors_and_end_the_iteration() {
    let parts = write(None, &[(ChangeOp::Update, b"key", vec![1; 20], vec![2; 20])]);
    let (key, value) = &parts[0];
    for len in 0..value.len() {
        match ChangeLogPart::decode(&value[..len]) {
            Err(_) => assert!(len < PART_HEADER_BYTES),
            Ok(part) => assert!(
                part.changes().all(|change| change.is_err()) || len == PART_HEADER_BYTES,
                "{len}"
            ),
        }
    }
    for len in 0..key.len() {
        // A shorter key may look like one with an owner, never like this one.
        assert!(LogKey::decode(&key[..len]).map_or(true, |k| k != LogKey::decode(key).unwrap()));
    }
}
