//! Rows go to the server in commits of bounded size, each one stream of CommandStatementIngest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, ProstMessageExt, TableDefinitionOptions, TableExistsOption,
    TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{Stream, StreamExt, stream};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::source::Message;
use super::table;
use crate::cli::connection::Connection;
use crate::cli::error::ShellError;
use crate::cli::progress::{Progress, counted};
use crate::cli::table_name::TableName;

/// Rows of one commit; the server holds more than their values for each.
const COMMIT_ROWS_MAX: u64 = 2_000_000;
/// After that long a token is renewed before the next commit, which could not be repeated.
const SIGN_IN_LIFETIME: Duration = Duration::from_secs(600);
/// How long the answer to a finished upload is waited for after Ctrl-C.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// Whether a table is created by the first commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The table is there.
    Append,
    /// It is created, and must not be there.
    Create,
    /// The table is there and is emptied before the first commit.
    Replace,
}

/// Why an upload ended early.
#[derive(Debug)]
pub struct Stopped {
    /// The reason.
    pub error: ShellError,
    /// Rows whose commit was asked for and not answered.
    pub unanswered: u64,
}

impl From<ShellError> for Stopped {
    fn from(error: ShellError) -> Self {
        Self { error, unanswered: 0 }
    }
}

/// An upload into one table.
pub struct Upload<'a> {
    /// Where to.
    pub connection: &'a mut Connection,
    /// The table.
    pub table: &'a TableName,
    /// The columns.
    pub schema: SchemaRef,
    /// What the first commit does beside adding rows.
    pub mode: Mode,
    /// Bytes of Arrow data after which a commit ends.
    pub commit_bytes: usize,
    /// Rows committed so far.
    pub committed: u64,
    /// Whether the table has lost the rows it had.
    pub emptied: bool,
    /// Ctrl-C.
    pub interrupted: CancellationToken,
    /// When the server last saw our password.
    pub signed_in: Instant,
}

/// Rows sent for one commit.
struct Fed {
    rows: u64,
    has_more: bool,
}

impl Upload<'_> {
    /// Sends everything that is read.
    pub async fn run(
        &mut self,
        source: &mut mpsc::Receiver<Message>,
        progress: &mut Progress,
    ) -> Result<(), Stopped> {
        loop {
            let interrupted = self.interrupted.clone();
            let first = tokio::select! {
                biased;
                () = interrupted.cancelled() => return Err(ShellError::Cancelled.into()),
                first = next(source) => first?,
            };
            if first.is_none() && self.mode == Mode::Append {
                return Ok(());
            }
            if self.mode == Mode::Replace {
                self.empty(progress).await?;
                self.mode = Mode::Append;
                if first.is_none() {
                    return Ok(());
                }
            }
            if self.signed_in.elapsed() > SIGN_IN_LIFETIME {
                self.connection.renew().await?;
                self.signed_in = Instant::now();
            }
            let has_more = self.commit(first, source, progress).await?;
            if !has_more {
                return Ok(());
            }
            progress.note = format!("{} committed", counted(self.committed, "row"));
        }
    }

    /// Empties the table, after all that can be known of the rows without sending them: what the
    /// server refuses later costs the rows that were there.
    async fn empty(&mut self, progress: &mut Progress) -> Result<(), Stopped> {
        table::check_required(self.connection, self.table, &self.schema).await?;
        // A commit of no rows: whether they may be written is the server's to say.
        let (_sender, mut nothing) = mpsc::channel(1);
        self.commit(None, &mut nothing, progress).await?;
        table::empty(self.connection, self.table).await?;
        self.emptied = true;
        Ok(())
    }

    /// One commit; whether there may be more rows.
    async fn commit(
        &mut self,
        first: Option<RecordBatch>,
        source: &mut mpsc::Receiver<Message>,
        progress: &mut Progress,
    ) -> Result<bool, Stopped> {
        let (sender, receiver) = mpsc::channel(1);
        let (report, mut unsendable) = mpsc::channel(1);
        let finished = Arc::new(AtomicBool::new(false));
        let body = messages(&self.schema, self.descriptor(), receiver, &finished, report);
        let interrupted = self.interrupted.clone();
        let limit = self.commit_bytes;
        let mut call = Box::pin(self.connection.ingest(body));
        let fed = tokio::select! {
            biased;
            answer = &mut call => {
                answer?;
                let early = "the upload was answered before its end".to_owned();
                return Err(ShellError::Protocol(early).into());
            }
            Some(reason) = unsendable.recv() => return Err(ShellError::Data(reason).into()),
            // The call is dropped and its stream never ends: the server keeps nothing of it.
            () = interrupted.cancelled() => return Err(ShellError::Cancelled.into()),
            fed = feed(first, source, &sender, limit, progress) => fed?,
        };
        finished.store(true, Ordering::Release);
        drop(sender);
        let answer = tokio::select! {
            biased;
            answer = &mut call => answer,
            Some(reason) = unsendable.recv() => return Err(ShellError::Data(reason).into()),
            () = interrupted.cancelled() => {
                match timeout(ANSWER_PATIENCE, &mut call).await {
                    Ok(answer) => answer,
                    Err(_elapsed) => Err(ShellError::Cancelled),
                }
            }
        };
        let unanswered = match &answer {
            Err(ShellError::Connect { .. } | ShellError::Cancelled | ShellError::Protocol(_)) => {
                fed.rows
            }
            _ => 0,
        };
        let rows = answer.map_err(|error| Stopped { error, unanswered })?;
        drop(call);
        self.committed += rows;
        if self.mode == Mode::Create {
            self.mode = Mode::Append;
        }
        Ok(fed.has_more)
    }

    fn descriptor(&self) -> FlightDescriptor {
        let (missing, exists) = match self.mode {
            Mode::Append | Mode::Replace => (TableNotExistOption::Fail, TableExistsOption::Append),
            Mode::Create => (TableNotExistOption::Create, TableExistsOption::Fail),
        };
        let command = CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: missing.into(),
                if_exists: exists.into(),
            }),
            table: self.table.table.clone(),
            schema: self.table.namespace.clone(),
            catalog: self.table.catalog.clone(),
            ..Default::default()
        };
        FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
    }
}

/// The next rows that were read.
async fn next(source: &mut mpsc::Receiver<Message>) -> Result<Option<RecordBatch>, ShellError> {
    loop {
        match source.recv().await {
            Some(Message::Rows(batch)) => return Ok(Some(batch)),
            Some(Message::Opened(_)) => {}
            Some(Message::End) => return Ok(None),
            Some(Message::Failed(error)) => return Err(error),
            None => return Err(ShellError::Data("reading the file broke off".into())),
        }
    }
}

async fn feed(
    first: Option<RecordBatch>,
    source: &mut mpsc::Receiver<Message>,
    sender: &mpsc::Sender<RecordBatch>,
    limit: usize,
    progress: &mut Progress,
) -> Result<Fed, ShellError> {
    let (mut rows, mut bytes) = (0, 0);
    let mut batch = first;
    while let Some(found) = batch {
        let count = found.num_rows();
        rows += u64::try_from(count).unwrap_or_default();
        bytes += byte_len(&found);
        if sender.send(found).await.is_err() {
            // The server has ended the upload; what it says is its answer.
            return Ok(Fed { rows, has_more: false });
        }
        progress.moved(count);
        if bytes >= limit || rows >= COMMIT_ROWS_MAX {
            return Ok(Fed { rows, has_more: true });
        }
        batch = next(source).await?;
    }
    Ok(Fed { rows, has_more: false })
}

/// Bytes of a batch's values, also when it is a part of a larger one.
fn byte_len(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

/// The messages of one upload. Their end makes the server commit: they end only when `finished`
/// says so; when the sender is dropped before, or a batch cannot be encoded, they stop without an
/// end.
fn messages(
    schema: &SchemaRef,
    descriptor: FlightDescriptor,
    receiver: mpsc::Receiver<RecordBatch>,
    finished: &Arc<AtomicBool>,
    report: mpsc::Sender<String>,
) -> impl Stream<Item = FlightData> + Send + 'static {
    let finished = Arc::clone(finished);
    let batches = stream::unfold(receiver, move |mut receiver| {
        let finished = Arc::clone(&finished);
        async move {
            match receiver.recv().await {
                Some(batch) => Some((Ok::<_, FlightError>(batch), receiver)),
                None if finished.load(Ordering::Acquire) => None,
                None => std::future::pending().await,
            }
        }
    });
    let encoded = FlightDataEncoderBuilder::new()
        .with_schema(Arc::clone(schema))
        .with_flight_descriptor(Some(descriptor))
        .build(batches);
    encoded.then(move |message| {
        let report = report.clone();
        async move {
            match message {
                Ok(message) => message,
                Err(error) => {
                    // One reason is enough.
                    let _second = report.try_send(format!("cannot send the rows: {error}"));
                    std::future::pending().await
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn numbers() -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[tokio::test]
    async fn an_upload_ends_only_when_it_is_finished() {
        for done in [true, false] {
            let (sender, receiver) = mpsc::channel(1);
            let (report, _reasons) = mpsc::channel(1);
            let finished = Arc::new(AtomicBool::new(false));
            let batch = numbers();
            let descriptor = FlightDescriptor::new_cmd("x");
            let stream = messages(batch.schema_ref(), descriptor, receiver, &finished, report);
            let mut stream = Box::pin(stream);
            assert!(stream.next().await.unwrap().flight_descriptor.is_some());
            sender.send(batch).await.unwrap();
            assert!(!stream.next().await.unwrap().data_body.is_empty());
            finished.store(done, Ordering::Release);
            drop(sender);
            let end = futures::poll!(stream.next());
            assert_eq!(matches!(end, Poll::Ready(None)), done);
            assert_eq!(end.is_pending(), !done);
        }
    }

    #[test]
    fn a_part_of_a_batch_counts_as_a_part() {
        let part = numbers().slice(0, 1);
        assert!(byte_len(&part) < byte_len(&numbers()));
    }
}
