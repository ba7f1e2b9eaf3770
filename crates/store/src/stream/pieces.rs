//! The rows of all streams in pieces, in memory: what commits add, what may be evicted.
//!
//! A piece is a run of rows of one time bucket, and of no more than a part of the stream's bound
//! on rows. Pieces follow each other without a gap, from the oldest row stored to the newest.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};

use kalamdb_commons::{Clock, StreamOptions, TableId};
use parking_lot::Mutex;

use super::{Head, Piece, Position};
use crate::counters::CounterDelta;
use crate::{ByteRows, StoreError, meta};

/// Rows of a piece.
const PIECE_ROWS_MAX: u64 = 64 << 10;
const PIECE_ROWS_MIN: u64 = 1 << 10;
/// The bound on a stream's rows is this many pieces, so that dropping whole pieces keeps storage
/// near it.
const PIECES_PER_BOUND: u64 = 8;
/// The first `_row_id` of a stream.
const FIRST_ROW_ID: u64 = 1;

/// What may go of a stream: everything before a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Eviction {
    pub(crate) table: TableId,
    pub(crate) before: Position,
}

/// The streams of a database.
#[derive(Default)]
pub(crate) struct Streams {
    /// The latest time anybody has seen: it never runs backwards.
    now_us: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tables: HashMap<TableId, Stream>,
    /// The earliest time a commit that is being written may have.
    in_flight_us: Option<i64>,
    /// The pieces that commits being written changed: table and first row id.
    changed: Vec<(TableId, u64)>,
}

struct Stream {
    options: StreamOptions,
    next_row_id: u64,
    /// Rows before this one are written: views see them.
    published: u64,
    /// By first row id.
    pieces: BTreeMap<u64, Piece>,
}

impl Stream {
    fn new(head: Head) -> Self {
        Self {
            options: head.options,
            next_row_id: head.next_row_id,
            published: head.next_row_id,
            pieces: BTreeMap::new(),
        }
    }

    /// The piece the next row belongs to; it has room for one.
    fn piece_at(&mut self, position: Position, rows_max: u64) -> &mut Piece {
        let first = match self.pieces.last_key_value() {
            Some((first, piece))
                if piece.start.bucket == position.bucket && piece.rows < rows_max =>
            {
                *first
            }
            _ => position.row_id,
        };
        let time_us = i64::try_from(position.time_us).unwrap_or(i64::MAX);
        let new = Piece { start: position, rows: 0, bytes: 0, last_us: time_us };
        self.pieces.entry(first).or_insert(new)
    }

    /// Where the first row is that a view taken at `now_us` or later may show, if anything
    /// stands before it.
    fn evictable(&self, now_us: i64) -> Option<Position> {
        let shown_from_us = self.options.shown_from_us(now_us);
        let first_row_id = match self.options.max_rows {
            Some(rows) => self.published.saturating_sub(rows),
            None => 0,
        };
        let gone =
            |piece: &&Piece| piece.last_us < shown_from_us || piece.last_row_id() < first_row_id;
        let pieces = self.pieces.values().take_while(gone).count();
        if pieces == 0 {
            return None;
        }
        let next = self.pieces.values().nth(pieces).map(|piece| piece.start);
        Some(next.unwrap_or_else(|| Position::of_time(&self.options, shown_from_us)))
    }
}

fn piece_rows(options: &StreamOptions) -> u64 {
    options.max_rows.map_or(PIECE_ROWS_MAX, |rows| {
        (rows / PIECES_PER_BOUND).clamp(PIECE_ROWS_MIN, PIECE_ROWS_MAX)
    })
}

impl Streams {
    /// The time now, or the latest anybody has seen when the clock runs behind that.
    pub(crate) fn now_us(&self, clock: &dyn Clock) -> i64 {
        let now_us = clock.now_us();
        self.now_us.fetch_max(now_us, Ordering::SeqCst).max(now_us)
    }

    /// The latest time seen.
    pub(crate) fn latest_us(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst)
    }

    /// Takes in a stored time.
    pub(crate) fn load_time(&self, time_us: i64) {
        self.now_us.fetch_max(time_us, Ordering::SeqCst);
    }

    /// Takes in a stored head: `meta` key and value. Heads are loaded before pieces.
    pub(crate) fn load_head(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let table = meta::table_of_stream_head(key).ok_or_else(|| bad_key(key))?;
        let head = Head::decode(value)?;
        self.state.lock().tables.insert(table, Stream::new(head));
        Ok(())
    }

    /// Takes in a stored piece: `meta` key and value.
    pub(crate) fn load_piece(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let (table, position) = meta::split_stream_piece(key).ok_or_else(|| bad_key(key))?;
        let start = Position::decode(position).ok_or_else(|| bad_key(key))?;
        let piece = Piece::decode(start, value)?;
        self.load_time(piece.last_us);
        let mut state = self.state.lock();
        let stream = state.tables.get_mut(&table).ok_or_else(|| bad_key(key))?;
        stream.pieces.insert(start.row_id, piece);
        Ok(())
    }

    /// The least time of a commit that begins now. Nothing that may still get an earlier one is
    /// evicted until [`Streams::end_group`].
    pub(crate) fn begin(&self, clock: &dyn Clock) -> i64 {
        let mut state = self.state.lock();
        // Under the lock: an eviction sees either the commit or a time not after it.
        let now_us = self.now_us(clock).max(0);
        state.in_flight_us.get_or_insert(now_us);
        now_us
    }

    /// Gives rows their places: writes time and row id into their keys.
    pub(crate) fn append(
        &self,
        table: TableId,
        options: StreamOptions,
        time_us: i64,
        keys: &mut ByteRows,
        rows: &ByteRows,
    ) {
        let mut state = self.state.lock();
        let State { tables, changed, .. } = &mut *state;
        let new = || Stream::new(Head { next_row_id: FIRST_ROW_ID, options });
        let stream = tables.entry(table).or_insert_with(new);
        stream.options = options;
        let mut done = 0;
        while done < keys.len() {
            let first = stream.next_row_id;
            let rows_max = piece_rows(&options);
            let piece = stream.piece_at(Position::new(&options, time_us, first), rows_max);
            let room = usize::try_from(rows_max - piece.rows).unwrap_or(usize::MAX);
            let end = keys.len().min(done.saturating_add(room));
            for (index, row_id) in (done..end).zip(first..) {
                Position::new(&options, time_us, row_id).write(keys.get_mut(index));
                piece.bytes += (keys.get(index).len() + rows.get(index).len()) as u64;
            }
            let added = (end - done) as u64;
            piece.rows += added;
            piece.last_us = time_us;
            let piece = (table, piece.start.row_id);
            if changed.last() != Some(&piece) {
                changed.push(piece);
            }
            stream.next_row_id += added;
            done = end;
        }
    }

    /// What the commits being written must leave in `meta`, keys and values.
    pub(crate) fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let state = self.state.lock();
        let mut records = Vec::new();
        let mut head_of = None;
        for (table, first) in &state.changed {
            let Some(stream) = state.tables.get(table) else { continue };
            if head_of != Some(*table) {
                let head = Head { next_row_id: stream.next_row_id, options: stream.options };
                records.push((meta::stream_head_key(*table), head.encode()));
                head_of = Some(*table);
            }
            if let Some(piece) = stream.pieces.get(first) {
                let key = meta::stream_piece_key(*table, &piece.start.encode());
                records.push((key, piece.encode()));
            }
        }
        records
    }

    /// The commits are written, or refused: views see all rows there are.
    pub(crate) fn end_group(&self) {
        let mut state = self.state.lock();
        state.in_flight_us = None;
        for (table, _) in std::mem::take(&mut state.changed) {
            if let Some(stream) = state.tables.get_mut(&table) {
                stream.published = stream.next_row_id;
            }
        }
    }

    /// Forgets a dropped table.
    pub(crate) fn remove(&self, table: TableId) {
        self.state.lock().tables.remove(&table);
    }

    /// True when no stream has rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().tables.values().all(|stream| stream.pieces.is_empty())
    }

    /// What no view shows that is taken from now on. Rows that arrive from now on come behind it.
    pub(crate) fn evictions(&self, clock: &dyn Clock) -> Vec<Eviction> {
        let state = self.state.lock();
        let now_us = self.now_us(clock);
        let now_us = state.in_flight_us.map_or(now_us, |in_flight_us| now_us.min(in_flight_us));
        let evictable = state.tables.iter().filter_map(|(table, stream)| {
            stream.evictable(now_us).map(|before| Eviction { table: *table, before })
        });
        evictable.collect()
    }

    /// Takes the pieces before a position out; what they counted.
    pub(crate) fn take_before(&self, eviction: &Eviction) -> CounterDelta {
        let mut counted = CounterDelta::default();
        let mut state = self.state.lock();
        let Some(stream) = state.tables.get_mut(&eviction.table) else { return counted };
        while let Some(piece) = stream.pieces.first_entry() {
            if piece.get().start >= eviction.before {
                break;
            }
            let piece = piece.remove();
            counted.live_rows += i64::try_from(piece.rows).unwrap_or(i64::MAX);
            counted.bytes += i64::try_from(piece.bytes).unwrap_or(i64::MAX);
        }
        counted
    }

    /// Where the piece with a row begins; `None` when the row is older than all.
    pub(crate) fn piece_with(&self, table: TableId, row_id: u64) -> Option<Position> {
        let state = self.state.lock();
        let pieces = &state.tables.get(&table)?.pieces;
        pieces.range(..=row_id).next_back().map(|(_, piece)| piece.start)
    }

    /// Where the piece behind the one with a row begins, if there is one.
    pub(crate) fn piece_after(&self, table: TableId, row_id: u64) -> Option<Position> {
        let state = self.state.lock();
        let pieces = &state.tables.get(&table)?.pieces;
        pieces.range(row_id.saturating_add(1)..).next().map(|(_, piece)| piece.start)
    }

    /// The pieces that begin in `lower..upper` (complete keys), in order.
    pub(crate) fn pieces_between(
        &self,
        table: TableId,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> Vec<Piece> {
        let state = self.state.lock();
        let Some(stream) = state.tables.get(&table) else { return Vec::new() };
        let within = |piece: &&Piece| {
            let key = piece.start.key(table);
            key.as_slice() >= lower && upper.is_none_or(|upper| key.as_slice() < upper)
        };
        stream.pieces.values().filter(within).copied().collect()
    }
}

fn bad_key(key: &[u8]) -> StoreError {
    StoreError::corrupt("stream record", format!("key {key:02x?}"))
}
