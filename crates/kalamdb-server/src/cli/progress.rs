//! How far an import or export has come, on standard error: a bar for people, a line every few
//! seconds for logs.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

/// Time between two pictures of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Characters of the bar itself.
const BAR_WIDTH: usize = 24;

/// How much of a file has been read, shared with the thread that reads it.
#[derive(Debug, Clone, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// Adds to it.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(u64::try_from(bytes).unwrap_or_default(), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What there is to do, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Nothing is known of it.
    Unknown,
    /// So many bytes are to be read.
    Bytes(u64),
    /// So many rows are to be moved.
    Rows(u64),
}

/// Shows progress.
pub struct Progress {
    started: Instant,
    shown: Option<Instant>,
    interval: Option<Duration>,
    is_terminal: bool,
    width: usize,
    read: BytesRead,
    /// What there is to do.
    pub total: Total,
    /// Rows moved so far.
    pub rows: u64,
    /// What has been made safe so far, in words.
    pub note: String,
}

impl Progress {
    /// Begins to count time; a quiet one shows nothing.
    pub fn new(quiet: bool, total: Total, read: BytesRead) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let interval = if is_terminal { BAR_INTERVAL } else { LINE_INTERVAL };
        Self {
            started: Instant::now(),
            shown: None,
            interval: (!quiet).then_some(interval),
            is_terminal,
            width: 0,
            read,
            total,
            rows: 0,
            note: String::new(),
        }
    }

    /// Counts rows, and shows it when it is time.
    pub fn moved(&mut self, rows: usize) {
        self.rows += u64::try_from(rows).unwrap_or_default();
        let Some(interval) = self.interval else { return };
        if self.shown.unwrap_or(self.started).elapsed() < interval {
            return;
        }
        self.shown = Some(Instant::now());
        let share = match self.total {
            Total::Unknown => None,
            Total::Bytes(bytes) => Some(ratio(self.read.get(), bytes)),
            Total::Rows(rows) => Some(ratio(self.rows, rows)),
        };
        let line = line(self.rows, self.started.elapsed(), share, self.is_terminal, &self.note);
        self.show(&line);
    }

    fn show(&mut self, line: &str) {
        // Progress that cannot be shown is no reason to stop.
        let _unshown = if self.is_terminal {
            let width = line.width();
            let rest = self.width.saturating_sub(width);
            self.width = width;
            write!(io::stderr(), "\r{line}{:rest$}", "")
        } else {
            writeln!(io::stderr(), "{line}")
        };
    }

    /// Takes the bar away, so that other words can be said.
    pub fn clear(&mut self) {
        if self.is_terminal && self.width > 0 {
            let width = std::mem::take(&mut self.width);
            let _unshown = write!(io::stderr(), "\r{:width$}\r", "");
        }
    }

    /// The last word: "imported 336,776 rows in 1.24 s (271,594 rows/s)".
    pub fn summary(&self, verb: &str) -> String {
        let elapsed = self.started.elapsed();
        let rows = counted(self.rows, "row");
        let speed = grouped(per_second(self.rows, elapsed));
        format!("{verb} {rows} in {:.2} s ({speed} rows/s)", elapsed.as_secs_f64())
    }
}

fn ratio(done: u64, total: u64) -> f64 {
    if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) }
}

fn per_second(rows: u64, elapsed: Duration) -> u64 {
    (rows as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

fn line(rows: u64, elapsed: Duration, share: Option<f64>, bar: bool, note: &str) -> String {
    let mut text = String::new();
    if let Some(share) = share {
        let filled = (share * BAR_WIDTH as f64) as usize;
        if bar {
            text.push_str(&format!("[{:<BAR_WIDTH$}] ", "#".repeat(filled)));
        }
        text.push_str(&format!("{:3.0} %  ", share * 100.0));
    }
    let speed = grouped(per_second(rows, elapsed));
    text.push_str(&format!("{}  {speed} rows/s", counted(rows, "row")));
    if let Some(share) = share.filter(|share| *share > 0.0) {
        let left = elapsed.as_secs_f64() * (1.0 - share) / share;
        text.push_str(&format!("  {left:.0} s left"));
    }
    if !note.is_empty() {
        text.push_str("  ");
        text.push_str(note);
    }
    text
}

/// "1 row", "1,234 rows".
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let half = line(50_000, Duration::from_secs(2), Some(0.5), true, "");
        assert_eq!(half, "[############            ]  50 %  50,000 rows  25,000 rows/s  2 s left");
        let unknown = line(1, Duration::from_secs(1), None, true, "1 row committed");
        assert_eq!(unknown, "1 row  1 rows/s  1 row committed");
        assert!(line(0, Duration::ZERO, Some(0.0), false, "").starts_with("  0 %"));
    }
}
