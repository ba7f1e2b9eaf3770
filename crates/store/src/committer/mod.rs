//! The only way rows change: statements hand in what they found and what they want, one thread
//! checks, numbers, writes and answers.
//!
//! ```text
//! submit ─► bounded queue ─► validation ─► group: one WriteBatch ─► one fsync ─► replies
//! ```
//!
//! - `queue`: the handle statements hold, the bounded queue, the thread's life.
//! - `validation`: what recent commits wrote; decides conflicts without reading storage.
//! - `group`: turns accepted requests into one batch: rows, change log, counters, samples.
//! - `run`: the thread: forms groups, syncs, answers, keeps the interval tables' promise.

mod group;
mod queue;
mod request;
mod run;
mod sequence;
mod validation;

pub use queue::Committer;
pub use request::{
    CatalogOp, ChangeOp, CommitReceipt, CommitReply, CommitRequest, RejectedCommit, RowChanges,
};

#[cfg(test)]
mod tests;
