//! The integration tests: one binary that starts real servers on port 0 and speaks to them as any
//! client would.

// A failed expectation is what a test is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// The harness: a server process, a client, rows to compare, seeds to repeat.
mod client;
mod random;
mod rows;
mod server;

// Alter matrix: every operation of ALTER TABLE on rows before and after it.
mod alter_matrix;
// Bounds: connections, silent peers, stalled readers, old tickets, full disks, guessed passwords.
mod bounds;
// Concurrency: clients side by side on the same rows.
mod concurrency;
// Crash: `kill -9` under writers loses nothing acknowledged and shows nothing partial.
mod crash;
// Docs: the examples of the SQL reference.
mod docs;
// Golden: what is said about wrong statements, word by word.
mod golden;
// Hostile: malformed and malicious requests get the right code, and the server goes on.
mod hostile;
// Isolation: USER tables, listings, roles, users that change.
mod isolation;
// Model: random statements answer as an in-memory map would, through restarts.
mod model;
// Serve: refusals at the start, secrets in the data directory, SIGTERM.
mod serve;
// Shell: `kalamdb sql` as a program that other programs run.
mod shell;
// Slt: SQL behaviour written down in tests/slt.
mod slt;
// Streams: rights, uploads and restarts of STREAM tables.
mod streams;
// Tidy: the house rules a compiler does not check.
mod tidy;
// Views: queries with a name; tables made from queries; tables emptied.
mod views;
