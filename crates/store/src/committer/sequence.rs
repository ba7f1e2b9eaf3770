//! Commit seqs: strictly increasing, and never given twice, not even when a machine loses power
//! while commits of interval tables were visible but not on disk.
//!
//! Such commits take their seqs from a block whose end was synced before: after an unclean stop
//! numbering goes on above the block.

use kalamdb_commons::CommitSeq;

/// Seqs in one block: one extra sync per so many commits that are not synced themselves.
pub(super) const SEQ_BLOCK_LEN: u64 = 1 << 20;

/// Gives out commit seqs.
pub(super) struct SeqAllocator {
    last: u64,
    block_end: u64,
}

impl SeqAllocator {
    pub(super) fn new(last_allocated: u64, block_end: u64) -> Self {
        Self { last: last_allocated, block_end }
    }

    pub(super) fn allocate(&mut self) -> CommitSeq {
        self.last += 1;
        CommitSeq(self.last)
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// For a group that would not be synced: the new end of the block, when seqs of the group
    /// lie beyond the present one. The group must then be synced with it.
    pub(super) fn extend_block(&mut self) -> Option<u64> {
        if self.last <= self.block_end {
            return None;
        }
        self.block_end = self.last + SEQ_BLOCK_LEN;
        Some(self.block_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_extended_only_when_it_is_used_up() {
        let mut seqs = SeqAllocator::new(10, 0);
        assert_eq!(seqs.allocate(), CommitSeq(11));
        assert_eq!(seqs.extend_block(), Some(11 + SEQ_BLOCK_LEN));
        for _ in 0..SEQ_BLOCK_LEN {
            seqs.allocate();
        }
        assert_eq!(seqs.extend_block(), None);
        seqs.allocate();
        assert!(seqs.extend_block().is_some());
    }
}
