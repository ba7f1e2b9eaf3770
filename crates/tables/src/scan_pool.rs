//! Where large scans run: a bounded number of blocking threads that no slow client can hold.
//!
//! A scan runs on a blocking thread for as long as its small output channel has room. When the
//! channel is full the source moves back out of the thread into the stream, and the thread serves
//! another scan; the consumer's next read puts the source back to work.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use futures::{FutureExt, Stream};
use tokio::sync::{Semaphore, mpsc};

/// Batches a scan may be ahead of its consumer.
const BATCHES_AHEAD_MAX: usize = 4;
/// Batches still waiting when a resting scan is put back to work.
const BATCHES_AHEAD_LOW: usize = 1;

/// A bounded share of the runtime's blocking threads.
#[derive(Debug)]
pub struct ScanPool {
    places: Arc<Semaphore>,
}

impl ScanPool {
    /// A pool in which at most `threads` scans work at the same moment.
    pub fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(threads.max(1))) })
    }

    /// Scans that could start now without waiting.
    pub fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    /// The batches of `source`, produced on the pool's threads. Dropping the stream stops the
    /// source after the batch it is working on.
    pub(crate) fn stream<I>(&self, source: I) -> PooledScan<I>
    where
        I: Iterator<Item = Result<RecordBatch>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
        PooledScan {
            places: Arc::clone(&self.places),
            sender,
            receiver,
            work: Work::Resting(source),
        }
    }
}

/// Where the source of a stream is.
enum Work<I> {
    /// With the stream; no thread is held.
    Resting(I),
    /// On a thread, or waiting for one. Ends with the source when the channel was full, with
    /// nothing when the source has ended.
    Running(SpawnedTask<Result<Option<I>>>),
    /// Gone: the source has ended.
    Ended,
}

/// The stream of one scan; see [`ScanPool::stream`].
pub(crate) struct PooledScan<I> {
    places: Arc<Semaphore>,
    // Kept to be cloned for each run; the channel never closes from this side.
    sender: mpsc::Sender<Result<RecordBatch>>,
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    work: Work<I>,
}

// The source is never pinned: it moves between the stream and the threads.
impl<I> Unpin for PooledScan<I> {}

impl<I> PooledScan<I>
where
    I: Iterator<Item = Result<RecordBatch>> + Send + 'static,
{
    /// Puts a resting source to work.
    fn resume(&mut self) {
        match std::mem::replace(&mut self.work, Work::Ended) {
            Work::Resting(source) => {
                let places = Arc::clone(&self.places);
                let sender = self.sender.clone();
                self.work = Work::Running(SpawnedTask::spawn(run(places, source, sender)));
            }
            other => self.work = other,
        }
    }

    /// Advances the work; ready when there is nothing to wait for.
    fn poll_work(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Work::Running(task) = &mut self.work else {
            return Poll::Ready(Ok(()));
        };
        let ended = match futures::ready!(task.poll_unpin(context)) {
            Ok(ended) => ended,
            Err(error) => Err(DataFusionError::ExecutionJoin(Box::new(error))),
        };
        self.work = match ended {
            Ok(Some(source)) => Work::Resting(source),
            Ok(None) => Work::Ended,
            Err(error) => {
                self.work = Work::Ended;
                return Poll::Ready(Err(error));
            }
        };
        Poll::Ready(Ok(()))
    }
}

impl<I> Stream for PooledScan<I>
where
    I: Iterator<Item = Result<RecordBatch>> + Send + 'static,
{
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(batch)) = self.receiver.poll_recv(context) {
                if self.receiver.len() <= BATCHES_AHEAD_LOW {
                    self.resume();
                }
                return Poll::Ready(Some(batch));
            }
            match &self.work {
                Work::Resting(_) => self.resume(),
                Work::Ended => return Poll::Ready(self.receiver.try_recv().ok()),
                Work::Running(_) => {}
            }
            if let Err(error) = futures::ready!(self.poll_work(context)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// Waits for a place, then works on a blocking thread until the channel is full.
async fn run<I>(
    places: Arc<Semaphore>,
    source: I,
    sender: mpsc::Sender<Result<RecordBatch>>,
) -> Result<Option<I>>
where
    I: Iterator<Item = Result<RecordBatch>> + Send + 'static,
{
    let place = places
        .acquire_owned()
        .await
        .map_err(|error| DataFusionError::Internal(format!("the scan pool is closed: {error}")))?;
    let work = tokio::task::spawn_blocking(move || {
        let _place = place;
        fill(source, &sender)
    });
    work.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))
}

/// Fills the channel. Returns the source when the channel is full, nothing when the source has
/// ended, failed, or nobody listens any more.
fn fill<I>(mut source: I, sender: &mpsc::Sender<Result<RecordBatch>>) -> Option<I>
where
    I: Iterator<Item = Result<RecordBatch>>,
{
    loop {
        // A place in the channel is taken first, so that a produced batch always has one.
        let slot = match sender.try_reserve() {
            Ok(slot) => slot,
            Err(mpsc::error::TrySendError::Full(())) => return Some(source),
            Err(mpsc::error::TrySendError::Closed(())) => return None,
        };
        let batch = source.next()?;
        let failed = batch.is_err();
        slot.send(batch);
        if failed {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use arrow::array::Int64Array;
    use futures::StreamExt;

    use super::*;

    fn batch(value: i64) -> RecordBatch {
        let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![value]));
        RecordBatch::try_from_iter([("v", column)]).unwrap()
    }

    fn source(
        produced: &Arc<AtomicUsize>,
        count: i64,
    ) -> impl Iterator<Item = Result<RecordBatch>> + Send + 'static {
        let produced = Arc::clone(produced);
        (0..count).map(move |value| {
            produced.fetch_add(1, Ordering::SeqCst);
            Ok(batch(value))
        })
    }

    async fn until(condition: impl Fn() -> bool) {
        for _ in 0..5_000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the condition never came true");
    }

    #[tokio::test]
    async fn all_batches_come_in_order() {
        let produced = Arc::new(AtomicUsize::new(0));
        let pool = ScanPool::new(1);
        let batches: Vec<_> = pool.stream(source(&produced, 1_000)).collect().await;
        let values: Vec<i64> = batches
            .into_iter()
            .map(|batch| {
                let batch = batch.unwrap();
                batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(0)
            })
            .collect();
        assert_eq!(values, (0..1_000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_consumer_that_rests_holds_no_thread_and_stops_the_source() {
        let produced = Arc::new(AtomicUsize::new(0));
        let pool = ScanPool::new(1);
        let mut resting = pool.stream(source(&produced, 1_000));
        resting.next().await.unwrap().unwrap();
        until(|| pool.free_places() == 1).await;
        assert!(produced.load(Ordering::SeqCst) <= 2 * BATCHES_AHEAD_MAX);
        // The only thread is free: another scan runs to its end meanwhile.
        let other = Arc::new(AtomicUsize::new(0));
        assert_eq!(pool.stream(source(&other, 50)).count().await, 50);
        assert_eq!(resting.count().await, 999);
    }

    #[tokio::test]
    async fn dropping_the_stream_stops_the_source() {
        let produced = Arc::new(AtomicUsize::new(0));
        let pool = ScanPool::new(1);
        let mut stream = pool.stream(source(&produced, i64::MAX));
        stream.next().await.unwrap().unwrap();
        drop(stream);
        until(|| pool.free_places() == 1).await;
        assert!(produced.load(Ordering::SeqCst) <= 3 * BATCHES_AHEAD_MAX);
    }

    #[tokio::test]
    async fn an_error_ends_the_stream() {
        let pool = ScanPool::new(1);
        let items = vec![
            Ok(batch(1)),
            Err(DataFusionError::Execution(String::from("broken"))),
            Ok(batch(2)),
        ];
        let seen: Vec<_> = pool.stream(items.into_iter()).collect().await;
        assert_eq!(seen.len(), 2);
        assert!(seen[1].is_err());
    }
}
