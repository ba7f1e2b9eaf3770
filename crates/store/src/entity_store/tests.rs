//! Entities: what is put is got, scans are lazy, ordered and of one view.

use kalamdb_commons::{CommitSeq, TableId};
use serde::{Deserialize, Serialize};

use super::*;
use crate::test_tables::TestStore;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Thing {
    name: String,
    size: u64,
}

fn thing(size: u64) -> Thing {
    Thing { name: format!("thing {size}"), size }
}

fn things(test: &TestStore) -> EntityStore<(TableId, u32), Thing> {
    EntityStore::new(Arc::clone(&test.store), SystemFamily::Tables)
}

#[test]
fn what_is_put_is_got_back_also_after_a_restart() {
    let test = TestStore::new();
    let key = (TableId(3), 1);
    things(&test).batch_put(&[(key, thing(1))]).unwrap();
    let test = test.reopen();
    let view = test.store.view().unwrap();
    assert_eq!(things(&test).get(&view, &key).unwrap(), Some(thing(1)));
    assert_eq!(things(&test).get(&view, &(TableId(3), 2)).unwrap(), None);
    assert_eq!(view.commit_seq(), CommitSeq(1));
}

#[test]
fn scans_are_ordered_bound_to_their_prefix_and_to_their_view() {
    let test = TestStore::new();
    let store = things(&test);
    let items: Vec<_> = [(2, 1), (1, 300), (1, 2), (256, 1)]
        .into_iter()
        .map(|(table, version)| ((TableId(table), version), thing(u64::from(version))))
        .collect();
    store.batch_put(&items).unwrap();
    let view = test.store.view().unwrap();
    let mut scan = store.scan_iter(Arc::clone(&view));
    let first = scan.next().unwrap().unwrap();
    assert_eq!(first.0, (TableId(1), 2));

    // Later commits are not seen by a scan that has begun.
    store.batch_put(&[((TableId(1), 3), thing(3))]).unwrap();
    let delete = store.delete_op(&(TableId(256), 1));
    let request = CommitRequest { catalog: vec![delete], ..CommitRequest::default() };
    test.store.committer().commit_blocking(request).unwrap();
    let rest: Vec<_> = scan.map(|item| item.unwrap().0).collect();
    assert_eq!(rest, [(TableId(1), 300), (TableId(2), 1), (TableId(256), 1)]);

    let view = test.store.view().unwrap();
    let of_table: Vec<_> =
        store.scan_prefix_iter(view, &1_u32.to_be_bytes()).map(|item| item.unwrap().0.1).collect();
    assert_eq!(of_table, [2, 3, 300]);
}

#[test]
fn a_scan_reads_no_further_than_it_is_driven() {
    let test = TestStore::new();
    let store = things(&test);
    let good = ((TableId(1), 1), thing(1));
    store.batch_put(&[good]).unwrap();
    let mut damaged = store.put_op(&(TableId(1), 2), &thing(2)).unwrap();
    damaged.value = Some(b"\x01not json".to_vec());
    let request = CommitRequest { catalog: vec![damaged], ..CommitRequest::default() };
    test.store.committer().commit_blocking(request).unwrap();

    let view = test.store.view().unwrap();
    let mut scan = store.scan_iter(view);
    assert!(scan.next().unwrap().is_ok());
    assert!(matches!(scan.next(), Some(Err(StoreError::Corrupt { .. }))));
    assert!(scan.next().is_none());
}

#[test]
fn values_of_an_unknown_format_are_refused() {
    for value in [b"".as_slice(), b"\x02{}"] {
        let decoded = decode_value::<Thing>(SystemFamily::Users, value);
        assert!(matches!(decoded, Err(StoreError::Corrupt { .. })));
    }
}

#[test]
fn meta_values_are_kept_by_name_and_seen_through_views() {
    let test = TestStore::new();
    let before = test.store.view().unwrap();
    let put = CatalogOp::put_meta("next_table_id", b"7");
    let request = CommitRequest { catalog: vec![put], ..CommitRequest::default() };
    test.store.committer().commit_blocking(request).unwrap();
    assert_eq!(before.meta("next_table_id").unwrap(), None);
    let after = test.store.view().unwrap();
    assert_eq!(after.meta("next_table_id").unwrap(), Some(b"7".to_vec()));
}
