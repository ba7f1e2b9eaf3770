//! Key bytes back to values, part by part from the front; `None` for bytes that are not a key's.

use super::KeyPart;
use super::encode::{ESCAPE, TERMINATOR};

/// Takes `W` bytes off the front of `rest`.
#[inline]
pub(crate) fn take<const W: usize>(rest: &mut &[u8]) -> Option<[u8; W]> {
    let (bytes, tail) = rest.split_first_chunk::<W>()?;
    *rest = tail;
    Some(*bytes)
}

impl KeyPart {
    /// Takes the part off the front of `rest` without decoding it.
    pub(crate) fn skip(self, rest: &mut &[u8]) -> Option<()> {
        match self {
            Self::Fixed(_, width) => {
                *rest = rest.get(width.bytes()..)?;
                Some(())
            }
            Self::Escaped => skip_escaped(rest),
        }
    }
}

/// Takes a TEXT or BYTES part off the front of `rest`.
pub(crate) fn skip_escaped(rest: &mut &[u8]) -> Option<()> {
    while !next_piece(rest)?.last {}
    Some(())
}

/// Takes a TEXT or BYTES part off the front of `rest` and appends its value to `out`.
pub(crate) fn append_unescaped(rest: &mut &[u8], out: &mut Vec<u8>) -> Option<()> {
    loop {
        let piece = next_piece(rest)?;
        out.extend_from_slice(piece.bytes);
        if piece.last {
            return Some(());
        }
    }
}

/// The bytes of a value up to and with its next 00, or up to its end.
struct Piece<'a> {
    bytes: &'a [u8],
    last: bool,
}

fn next_piece<'a>(rest: &mut &'a [u8]) -> Option<Piece<'a>> {
    let all = *rest;
    let zero = find_zero(all)?;
    let after = *all.get(zero + 1)?;
    *rest = &all[zero + 2..];
    match after {
        ESCAPE => Some(Piece { bytes: &all[..=zero], last: false }),
        _ if after == TERMINATOR[1] => Some(Piece { bytes: &all[..zero], last: true }),
        _ => None,
    }
}

/// The position of the first 00, eight bytes at a time.
pub(super) fn find_zero(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, tail) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest high bit of `hit` marks the first zero byte; bits above it may be false.
        let hit = word.wrapping_sub(ONES) & !word & HIGHS;
        if hit != 0 {
            return Some(i * 8 + (hit.trailing_zeros() / 8) as usize);
        }
    }
    tail.iter().position(|byte| *byte == 0).map(|at| words.len() * 8 + at)
}
