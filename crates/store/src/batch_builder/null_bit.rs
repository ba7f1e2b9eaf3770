//! The bit that says whether a row has NULL in a column.

/// Where the null bit of a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NullBit {
    pub(super) at: usize,
    mask: u8,
}

impl NullBit {
    /// The bit of a column that is never NULL.
    pub(super) const NEVER: Self = Self { at: 0, mask: 0 };

    /// The bit of the column at `position`, in the null bits that begin at `nulls_at`.
    pub(super) fn of_column(nulls_at: usize, position: usize) -> Self {
        Self { at: nulls_at + position / 8, mask: 1 << (position % 8) }
    }

    /// False for a column that is never NULL.
    pub(super) fn can_be_set(self) -> bool {
        self.mask != 0
    }

    /// True when the row, at least as long as its fixed part, has NULL there.
    #[inline]
    pub(super) fn is_set(self, row: &[u8]) -> bool {
        row[self.at] & self.mask != 0
    }
}
