//! The threads that run query plans, apart from those that answer RPCs.
//!
//! A heavy plan never delays a heartbeat: plans are optimized and polled here, and batches reach
//! the caller through a bounded channel. Only short texts are parsed and analyzed where they
//! arrive. Dropping the receiving end aborts the plan.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use futures::{FutureExt, Stream};
use kalamdb_commons::limits::THREAD_STACK_BYTES;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::EngineError;

/// Batches ready for the client before the plan waits.
const BATCHES_AHEAD_MAX: usize = 4;
/// Tasks a thread runs before it looks at timers and wake-ups again: a statement may keep it for
/// milliseconds each time, and time limits must not wait for many of them.
const TASKS_BETWEEN_EVENTS: u32 = 8;
/// Blocking threads for password hashing, definitions and commits from streams.
const BLOCKING_THREADS_MAX: usize = 64;

/// Where plans run.
pub(crate) struct ExecutionRuntime {
    // Taken when the engine closes; a tokio runtime must not be dropped inside another.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl ExecutionRuntime {
    pub(crate) fn start(threads: usize) -> Result<Self, EngineError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("kalamdb-exec")
            .thread_stack_size(THREAD_STACK_BYTES)
            .event_interval(TASKS_BETWEEN_EVENTS)
            .enable_all()
            .build()
            .map_err(|error| EngineError::internal("start the execution runtime", error))?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(runtime), handle })
    }

    /// Runs `work` here and waits for it; dropping the returned future aborts the work.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, EngineError>> + Send + 'static,
    {
        let task = self.handle.spawn(work);
        let _abort = AbortOnDrop(task.abort_handle());
        task.await.unwrap_or_else(|error| Err(EngineError::from_join(&error)))
    }

    /// Runs blocking work on a blocking thread and waits for it.
    pub(crate) async fn run_blocking<T, F>(&self, work: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, EngineError> + Send + 'static,
    {
        let task = self.handle.spawn_blocking(work);
        task.await.unwrap_or_else(|error| Err(EngineError::from_join(&error)))
    }

    /// Runs a producer of batches here; what it sends comes out of the returned stream.
    pub(crate) fn stream<F, Fut>(&self, produce: F) -> ExecutionStream
    where
        F: FnOnce(mpsc::Sender<Result<RecordBatch, EngineError>>) -> Fut,
        Fut: Future<Output = Result<(), EngineError>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
        let work = produce(sender.clone());
        let task = self.handle.spawn(async move {
            // A panic must not look like the end of the rows.
            let error = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => EngineError::defect(),
            };
            // A receiver that is gone needs no error.
            let _ = sender.send(Err(error)).await;
        });
        ExecutionStream { receiver, _abort: AbortOnDrop(task.abort_handle()) }
    }

    /// Stops all plans; called once, from a thread that is not part of a runtime.
    pub(crate) fn shut_down(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for ExecutionRuntime {
    fn drop(&mut self) {
        self.shut_down();
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The batches of a plan that runs on the execution runtime.
pub(crate) struct ExecutionStream {
    receiver: mpsc::Receiver<Result<RecordBatch, EngineError>>,
    _abort: AbortOnDrop,
}

impl Stream for ExecutionStream {
    type Item = Result<RecordBatch, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use kalamdb_commons::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_no_end_of_rows() {
        let runtime = ExecutionRuntime::start(1).unwrap();
        let mut rows = runtime.stream(|_| async { panic!("a defect") });
        let error = rows.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(rows.next().await.is_none());
    }
}
