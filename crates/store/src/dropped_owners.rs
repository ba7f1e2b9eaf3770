//! Users dropped since the store was opened: what they had goes, so statements that still run for
//! them neither write more of it nor read what is left.

use std::collections::HashMap;

use kalamdb_commons::{CommitSeq, UserId};
use parking_lot::RwLock;

use crate::StoreError;

/// The users, each with the commit that dropped it. A store that is opened anew needs none of
/// them: no statement of theirs can be under way.
#[derive(Default)]
pub(crate) struct DroppedOwners {
    owners: RwLock<HashMap<UserId, CommitSeq>>,
}

impl DroppedOwners {
    /// Notes a dropped user; to be called before the commit can be seen, so that nobody sees its
    /// rows go without being able to know why.
    pub(crate) fn record(&self, owner: &UserId, commit_seq: CommitSeq) {
        self.owners.write().insert(owner.clone(), commit_seq);
    }

    /// True while nobody was dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.owners.read().is_empty()
    }

    /// Whether this user's rows may be read at this view: a view older than the drop keeps them.
    pub(crate) fn check_read(&self, owner: &UserId, view: CommitSeq) -> Result<(), StoreError> {
        match self.owners.read().get(owner) {
            Some(dropped) if *dropped <= view => Err(StoreError::OwnerDropped),
            _ => Ok(()),
        }
    }

    /// Whether rows of this user may be written now.
    pub(crate) fn check_write(&self, owner: &UserId) -> Result<(), StoreError> {
        if self.owners.read().contains_key(owner) {
            return Err(StoreError::OwnerDropped);
        }
        Ok(())
    }
}
