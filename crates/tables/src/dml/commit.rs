//! Hands a statement's changes to the committer and waits for the outcome.

use std::sync::Arc;
use std::time::Duration;

use kalamdb_commons::TableDefinition;
use kalamdb_store::{CommitReceipt, CommitReply, CommitRequest, ReadView, RowChanges, StoreError};
use tokio::sync::oneshot;

use crate::{CancelFlag, TablesError};

/// Attempts to put a commit into a full queue, [`QUEUE_RETRY_PAUSE`] apart.
const QUEUE_ATTEMPTS_MAX: usize = 400;
/// What a commit waits between two attempts.
const QUEUE_RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Commits the changes a statement made up at `view`.
///
/// # Errors
/// A conflict when a concurrent statement came first; `ResourceExhausted` when the queue stays
/// full; `Unavailable` when writes are stopped.
pub(super) async fn commit(
    view: &ReadView,
    changes: Vec<RowChanges>,
    cancel: &CancelFlag,
) -> Result<CommitReceipt, TablesError> {
    let request = CommitRequest { changes, ..CommitRequest::default() };
    submit(view, request, cancel).await
}

/// Removes all rows of SHARED tables, whatever was committed since `view`.
///
/// # Errors
/// As [`commit`]; a conflict when a table is another than at `view`.
pub(super) async fn truncate(
    view: &ReadView,
    tables_truncated: Vec<Arc<TableDefinition>>,
    cancel: &CancelFlag,
) -> Result<CommitReceipt, TablesError> {
    let request = CommitRequest { tables_truncated, ..CommitRequest::default() };
    submit(view, request, cancel).await
}

async fn submit(
    view: &ReadView,
    request: CommitRequest,
    cancel: &CancelFlag,
) -> Result<CommitReceipt, TablesError> {
    let (sender, outcome) = oneshot::channel();
    let mut reply: CommitReply = Box::new(move |result| {
        // Nobody waits for the outcome when the client is gone.
        let _ = sender.send(result);
    });
    let mut request = CommitRequest { read_seq: view.commit_seq(), ..request };
    let mut attempts = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(TablesError::Cancelled);
        }
        let rejected = match view.store().committer().submit(request, reply) {
            Ok(()) => break,
            Err(rejected) => *rejected,
        };
        attempts += 1;
        let full = matches!(rejected.error, StoreError::QueueFull { .. });
        if !full || attempts == QUEUE_ATTEMPTS_MAX {
            return Err(rejected.error.into());
        }
        (request, reply) = (rejected.request, rejected.reply);
        tokio::time::sleep(QUEUE_RETRY_PAUSE).await;
    }
    match outcome.await {
        Ok(result) => Ok(result?),
        Err(_) => Err(StoreError::Closed.into()),
    }
}
