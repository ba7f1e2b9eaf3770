//! Many byte strings in one buffer: keys and row values on their way between Arrow and storage.

/// `n` byte strings, one behind the other in one buffer.
///
/// A string is appended whole with [`push`](Self::push), or written in pieces into
/// [`buffer_mut`](Self::buffer_mut) and closed with [`finish_row`](Self::finish_row).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRows {
    bytes: Vec<u8>,
    /// Where each string ends; string `i` starts where string `i - 1` ends.
    ends: Vec<usize>,
}

impl Default for ByteRows {
    fn default() -> Self {
        Self::new()
    }
}

impl ByteRows {
    /// No strings.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), ends: Vec::new() }
    }

    /// No strings yet, with room for `rows` of them and `bytes` in all.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(rows) }
    }

    /// The number of finished strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when no string is finished.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all finished strings together.
    pub fn byte_len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// String `i`.
    ///
    /// # Panics
    /// When `i >= self.len()`, as indexing a slice does.
    pub fn get(&self, i: usize) -> &[u8] {
        &self.bytes[self.start(i)..self.ends[i]]
    }

    /// String `i`, to change in place.
    ///
    /// # Panics
    /// When `i >= self.len()`, as indexing a slice does.
    pub fn get_mut(&mut self, i: usize) -> &mut [u8] {
        let start = self.start(i);
        &mut self.bytes[start..self.ends[i]]
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Appends one string.
    pub fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.finish_row();
    }

    /// The buffer, to append the open string to. What stands in it already must stay.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Closes the open string: everything appended since the last one was closed.
    pub fn finish_row(&mut self) {
        debug_assert!(self.bytes.len() >= self.byte_len(), "finished strings were cut off");
        self.ends.push(self.bytes.len());
    }

    /// Appends every string of `other`.
    pub fn extend_from(&mut self, other: &Self) {
        let base = self.bytes.len();
        debug_assert_eq!(base, self.byte_len(), "a string is still open");
        self.bytes.extend_from_slice(&other.bytes[..other.byte_len()]);
        self.ends.extend(other.ends.iter().map(|end| base + end));
    }

    /// Keeps the first `rows` strings, drops the others and what is open, keeps the capacity.
    pub fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.bytes.truncate(self.byte_len());
    }

    /// Drops every string, keeps the capacity.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Appends one string of zeros for each length and returns the index of the first.
    pub(crate) fn extend_zeroed(&mut self, lengths: &[usize]) -> usize {
        let first = self.len();
        let mut end = self.byte_len();
        self.ends.extend(lengths.iter().map(|length| {
            end += length;
            end
        }));
        self.bytes.resize(end, 0);
        first
    }

    fn start(&self, i: usize) -> usize {
        match i.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_in_order_however_they_were_appended() {
        let mut rows = ByteRows::new();
        rows.push(b"a");
        rows.buffer_mut().extend_from_slice(b"b");
        rows.buffer_mut().extend_from_slice(b"c");
        rows.finish_row();
        rows.push(b"");
        let mut all = ByteRows::with_capacity(4, 16);
        all.push(b"first");
        all.extend_from(&rows);
        let first = all.extend_zeroed(&[2, 0]);
        all.get_mut(first).copy_from_slice(b"zz");
        let strings: Vec<&[u8]> = all.iter().collect();
        assert_eq!(strings, [b"first".as_slice(), b"a", b"bc", b"", b"zz", b""]);
        assert_eq!((all.len(), all.byte_len()), (6, 10));
    }

    #[test]
    fn truncate_drops_the_open_string_too() {
        let mut rows = ByteRows::new();
        rows.push(b"one");
        rows.push(b"two");
        rows.buffer_mut().extend_from_slice(b"open");
        rows.truncate(1);
        rows.push(b"three");
        assert_eq!(rows.iter().collect::<Vec<_>>(), [b"one".as_slice(), b"three"]);
        rows.clear();
        assert!(rows.is_empty() && rows.byte_len() == 0);
    }
}
