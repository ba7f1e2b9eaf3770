//! One shared copy of every name that schemas, providers and batches mention again and again.

use std::sync::{Arc, LazyLock};

use dashmap::DashSet;

use crate::limits::INTERNED_STRINGS_MAX;
use crate::system_columns;

static NAMES: LazyLock<DashSet<Arc<str>>> =
    LazyLock::new(|| system_columns::ALL.iter().map(|name| Arc::from(*name)).collect());

/// Returns the shared copy of `name`. System columns are interned from the start. Past
/// [`INTERNED_STRINGS_MAX`] names a fresh copy is returned, so that hostile names cannot grow
/// the table without bound.
pub fn intern(name: &str) -> Arc<str> {
    if let Some(known) = NAMES.get(name) {
        return Arc::clone(&known);
    }
    let fresh: Arc<str> = Arc::from(name);
    if NAMES.len() < INTERNED_STRINGS_MAX {
        NAMES.insert(Arc::clone(&fresh));
        // Two threads may have raced: what stands in the table is the shared copy.
        if let Some(known) = NAMES.get(name) {
            return Arc::clone(&known);
        }
    }
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_interner_shares_one_copy_of_a_name() {
        let first = intern("conversation_id");
        let second = intern("conversation_id");
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn string_interner_knows_the_system_columns_from_the_start() {
        for name in system_columns::ALL {
            assert!(NAMES.contains(name));
            assert!(Arc::ptr_eq(&intern(name), &intern(name)));
        }
    }

    #[test]
    fn string_interner_shares_across_threads() {
        let copies: Vec<Arc<str>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| intern("a_name_many_threads_ask_for"))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(copies.iter().all(|copy| Arc::ptr_eq(copy, &copies[0])));
    }
}
