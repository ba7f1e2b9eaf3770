//! The committer as others see it: a bounded queue in front of a thread.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use kalamdb_commons::limits::{COMMIT_QUEUE_LEN_MAX, STATEMENT_BYTES_MAX};
use parking_lot::Mutex;

use super::run::CommitThread;
use super::{CommitReceipt, CommitReply, CommitRequest, RejectedCommit};
use crate::StoreError;
use crate::database::Database;

/// What the committer's thread receives.
pub(super) enum Message {
    Commit(PendingCommit),
    /// Finish what was queued before, sync, end.
    Close,
}

/// A request in the queue.
pub(super) struct PendingCommit {
    pub(super) request: CommitRequest,
    pub(super) bytes: usize,
    pub(super) reply: CommitReply,
}

/// Takes commits, from any thread.
pub struct Committer {
    database: Arc<Database>,
    queue: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread; `last_allocated_seq` is the greatest commit seq ever given out.
    pub(crate) fn start(
        database: Arc<Database>,
        last_allocated_seq: u64,
        seq_block_end: u64,
    ) -> Result<Self, StoreError> {
        let (queue, messages) = sync_channel(COMMIT_QUEUE_LEN_MAX);
        let commits = CommitThread::new(Arc::clone(&database), last_allocated_seq, seq_block_end)?;
        let thread = std::thread::Builder::new()
            .name("kalamdb-commit".to_owned())
            .spawn(move || commits.run(&messages))
            .map_err(|source| StoreError::Io {
                operation: "start a thread for",
                path: "commits".into(),
                source,
            })?;
        Ok(Self { database, queue, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a commit; `reply` is called once, from the committer's thread, and must not block.
    ///
    /// Never waits: with a full queue, a statement too large, or writes stopped, everything is
    /// given back.
    pub fn submit(
        &self,
        request: CommitRequest,
        reply: CommitReply,
    ) -> Result<(), Box<RejectedCommit>> {
        let bytes = request.byte_len();
        if let Err(error) = self.admit(&request, bytes) {
            return Err(Box::new(RejectedCommit { error, request, reply }));
        }
        let message = Message::Commit(PendingCommit { request, bytes, reply });
        self.queue.try_send(message).map_err(|rejected| {
            let (error, message) = match rejected {
                TrySendError::Full(message) => {
                    (StoreError::QueueFull { queued: COMMIT_QUEUE_LEN_MAX }, message)
                }
                TrySendError::Disconnected(message) => (StoreError::Closed, message),
            };
            match message {
                Message::Commit(PendingCommit { request, reply, .. }) => {
                    Box::new(RejectedCommit { error, request, reply })
                }
                // Only commits are sent from here.
                Message::Close => Box::new(RejectedCommit {
                    error,
                    request: CommitRequest::default(),
                    reply: Box::new(|_| ()),
                }),
            }
        })
    }

    /// Commits and waits for the outcome; waits for room in the queue, too.
    pub fn commit_blocking(&self, request: CommitRequest) -> Result<CommitReceipt, StoreError> {
        let bytes = request.byte_len();
        self.admit(&request, bytes)?;
        let (outcome, receiver) = sync_channel(1);
        let reply: CommitReply = Box::new(move |result| {
            // The receiver waits below for as long as the reply exists.
            let _ = outcome.send(result);
        });
        self.queue
            .send(Message::Commit(PendingCommit { request, bytes, reply }))
            .map_err(|_| StoreError::Closed)?;
        // The thread may end with the request still queued; the reply is dropped then.
        receiver.recv().map_err(|_| StoreError::Closed)?
    }

    fn admit(&self, request: &CommitRequest, bytes: usize) -> Result<(), StoreError> {
        self.database.check_fence()?;
        if !request.changes.is_empty() {
            self.database.free_space.check()?;
        }
        if bytes > STATEMENT_BYTES_MAX {
            return Err(StoreError::StatementTooLarge { bytes, bytes_max: STATEMENT_BYTES_MAX });
        }
        Ok(())
    }

    /// Lets everything queued so far finish, syncs it, and ends the thread; later commits are
    /// refused. False when the thread itself is the caller (a reply dropped the last handle of
    /// the store): it ends once it has no more senders, and nobody can wait for that.
    pub(crate) fn close(&self) -> bool {
        let Some(thread) = self.thread.lock().take() else { return true };
        if thread.thread().id() == std::thread::current().id() {
            return false;
        }
        // Fails only when the thread has ended already.
        let _ = self.queue.send(Message::Close);
        if thread.join().is_err() {
            self.database.set_fence("the committer's thread panicked");
        }
        true
    }
}
