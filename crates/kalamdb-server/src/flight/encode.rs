//! Record batches to Flight messages, one at a time, none above the size that clients accept.
//!
//! The library's encoder splits by an estimate and leaves what came out too large as it is; here
//! the encoded size decides, and a batch that is too large is cut in halves until it fits.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, SchemaAsIpc};
use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use kalamdb_commons::ErrorKind;
use kalamdb_commons::limits::ROW_BYTES_MAX;
use kalamdb_core::BatchStream;
use prost::Message;
use tonic::Status;

use crate::status;

/// Bytes of one message as sent; stock clients refuse more than 4 MiB.
pub const MESSAGE_BYTES_MAX: usize = (4 << 20) - (16 << 10);
// A row that could be written can be sent.
const _: () = assert!(ROW_BYTES_MAX < MESSAGE_BYTES_MAX);
/// Bytes of batch data a message is cut for.
const MESSAGE_BYTES_TARGET: usize = 2 << 20;

/// A stream of Flight messages: the schema first, then the batches.
pub struct FlightEncoder {
    schema: SchemaRef,
    batches: BatchStream,
    first: Option<FlightData>,
    /// Parts of the batch being sent, in order.
    pending: VecDeque<RecordBatch>,
    done: bool,
    encoder: IpcEncoder,
}

struct IpcEncoder {
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    context: IpcWriteContext,
    options: IpcWriteOptions,
}

impl FlightEncoder {
    /// Encodes `batches`, which all have `schema`; the first message carries `app_metadata`.
    pub fn new(schema: SchemaRef, batches: BatchStream, app_metadata: Bytes) -> Self {
        let options = IpcWriteOptions::default();
        let mut first: FlightData = SchemaAsIpc::new(&schema, &options).into();
        first.app_metadata = app_metadata;
        let encoder = IpcEncoder {
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(false),
            context: IpcWriteContext::default(),
            options,
        };
        Self { schema, batches, first: Some(first), pending: VecDeque::new(), done: false, encoder }
    }

    /// The next message of the pending parts; a part that comes out too large is halved.
    fn encode_pending(&mut self) -> Option<Result<FlightData, Status>> {
        while let Some(part) = self.pending.pop_front() {
            if part.num_rows() == 1 && data_bytes(&part) > MESSAGE_BYTES_MAX {
                // Known before encoding, which would copy it once more.
                return Some(Err(row_too_large(&part, data_bytes(&part))));
            }
            let message = match self.encoder.encode(&part) {
                Ok(message) => message,
                Err(error) => return Some(Err(error)),
            };
            let bytes = message.encoded_len();
            if bytes <= MESSAGE_BYTES_MAX {
                return Some(Ok(message));
            }
            let rows = part.num_rows();
            if rows <= 1 {
                return Some(Err(row_too_large(&part, bytes)));
            }
            let half = rows / 2;
            self.pending.push_front(part.slice(half, rows - half));
            self.pending.push_front(part.slice(0, half));
        }
        None
    }

    fn accept(&mut self, batch: &RecordBatch) -> Result<(), Status> {
        if !same_types(batch.schema_ref(), &self.schema) {
            tracing::error!(announced = ?self.schema, sent = ?batch.schema(), "schema drift");
            return Err(status::refuse(
                ErrorKind::Internal,
                "the result does not have the announced schema, please report this",
            ));
        }
        cut(batch, &mut self.pending);
        Ok(())
    }
}

impl IpcEncoder {
    fn encode(&mut self, batch: &RecordBatch) -> Result<FlightData, Status> {
        let (dictionaries, encoded) = self
            .generator
            .encode(batch, &mut self.dictionaries, &self.options, &mut self.context)
            .map_err(|error| {
                status::refuse(ErrorKind::Internal, format!("cannot encode a batch: {error}"))
            })?;
        if !dictionaries.is_empty() {
            return Err(status::refuse(
                ErrorKind::Internal,
                "a dictionary-encoded column reached the wire, please report this",
            ));
        }
        Ok(encoded.into())
    }
}

impl Stream for FlightEncoder {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(schema) = self.first.take() {
            return Poll::Ready(Some(Ok(schema)));
        }
        loop {
            if self.done {
                return Poll::Ready(None);
            }
            if let Some(message) = self.encode_pending() {
                self.done = message.is_err();
                return Poll::Ready(Some(message));
            }
            let next = match ready!(self.batches.poll_next_unpin(context)) {
                Some(Ok(batch)) => self.accept(&batch),
                Some(Err(error)) => Err(status::from_engine(&error)),
                None => {
                    self.done = true;
                    return Poll::Ready(None);
                }
            };
            if let Err(error) = next {
                self.done = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// Cuts a batch into parts of about the target size. Parts share the batch's buffers.
fn cut(batch: &RecordBatch, parts: &mut VecDeque<RecordBatch>) {
    let rows = batch.num_rows();
    let bytes = data_bytes(batch);
    let count = bytes.div_ceil(MESSAGE_BYTES_TARGET).clamp(1, rows.max(1));
    if count == 1 {
        parts.push_back(batch.clone());
        return;
    }
    let rows_per_part = rows.div_ceil(count);
    let mut offset = 0;
    while offset < rows {
        let length = rows_per_part.min(rows - offset);
        parts.push_back(batch.slice(offset, length));
        offset += length;
    }
}

/// Bytes of the rows themselves, whatever buffers they share.
fn data_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}

fn same_types(batch: &SchemaRef, announced: &SchemaRef) -> bool {
    let types = |schema: &Schema| -> Vec<_> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    std::sync::Arc::ptr_eq(batch, announced) || types(batch) == types(announced)
}

fn row_too_large(row: &RecordBatch, bytes: usize) -> Status {
    let largest = row
        .schema_ref()
        .fields()
        .iter()
        .zip(row.columns())
        .max_by_key(|(_, column)| column.to_data().get_slice_memory_size().unwrap_or(0))
        .map_or_else(String::new, |(field, _)| {
            format!(", most of it in column '{}'", field.name())
        });
    status::refuse(
        ErrorKind::ResourceExhausted,
        format!(
            "one row takes {bytes} bytes on the wire{largest}; a message holds \
             {MESSAGE_BYTES_MAX}, select less of it (substr, or fewer columns)"
        ),
    )
}

/// The stream with panics turned into an `Internal` status, so that a defect in one statement
/// ends that statement only.
pub fn guarded<S>(stream: S) -> impl Stream<Item = Result<FlightData, Status>> + Send
where
    S: Stream<Item = Result<FlightData, Status>> + Send,
{
    AssertUnwindSafe(stream).catch_unwind().map(|item| item.unwrap_or_else(|_| Err(defect())))
}

/// The future with panics turned into an `Internal` status.
pub async fn guarded_call<T>(
    call: impl Future<Output = Result<T, Status>> + Send,
) -> Result<T, Status> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(defect()))
}

fn defect() -> Status {
    status::refuse(
        ErrorKind::Internal,
        "the request hit a defect in the server and was stopped; the server's log has the details",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow_flight::decode::FlightRecordBatchStream;
    use arrow_flight::error::FlightError;
    use futures::{TryStreamExt, stream};
    use tonic::Code;

    use super::*;

    fn batch(texts: Vec<String>) -> RecordBatch {
        let ids = Int64Array::from_iter_values(0..texts.len() as i64);
        let columns: Vec<(&str, ArrayRef)> =
            vec![("id", Arc::new(ids)), ("text", Arc::new(StringArray::from(texts)))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    async fn messages(batches: Vec<RecordBatch>) -> Vec<Result<FlightData, Status>> {
        let schema = batches[0].schema();
        let batches: BatchStream = Box::pin(stream::iter(batches.into_iter().map(Ok)));
        FlightEncoder::new(schema, batches, Bytes::new()).collect().await
    }

    #[tokio::test]
    async fn an_empty_result_has_its_schema() {
        let empty = batch(vec![]);
        let schema = empty.schema();
        let none: BatchStream = Box::pin(stream::empty());
        let sent: Vec<_> =
            FlightEncoder::new(Arc::clone(&schema), none, Bytes::new()).collect().await;
        assert_eq!(sent.len(), 1);
        let received = Schema::try_from(sent[0].as_ref().unwrap()).unwrap();
        assert_eq!(&received, schema.as_ref());
    }

    #[tokio::test]
    async fn no_message_is_above_the_limit_and_no_row_is_lost() {
        // Skewed: almost all bytes are in the last few rows.
        let texts: Vec<String> =
            (0..1000).map(|i| "x".repeat(if i < 990 { 3 } else { 1_500_000 })).collect();
        let original = batch(texts);
        let sent = messages(vec![original.clone()]).await;
        let sent: Vec<FlightData> = sent.into_iter().map(Result::unwrap).collect();
        assert!(sent.iter().all(|message| message.encoded_len() <= MESSAGE_BYTES_MAX));
        let received: Vec<RecordBatch> = FlightRecordBatchStream::new_from_flight_data(
            stream::iter(sent.into_iter().map(Ok::<_, FlightError>)),
        )
        .try_collect()
        .await
        .unwrap();
        let received = arrow::compute::concat_batches(&original.schema(), &received).unwrap();
        assert_eq!(received, original);
    }

    #[tokio::test]
    async fn a_batch_of_ordinary_rows_is_one_message() {
        let texts = (0..8192).map(|i| format!("row {i}")).collect();
        let owned = batch(texts);
        // A slice of a large batch is no reason to send more messages.
        let slice = owned.slice(10, 100);
        assert_eq!(messages(vec![owned]).await.len(), 2);
        let sent = messages(vec![slice]).await;
        assert_eq!(sent.len(), 2);
        assert!(sent[1].as_ref().unwrap().encoded_len() < 10_000);
    }

    #[tokio::test]
    async fn a_row_above_the_limit_is_refused_with_its_size_and_column() {
        let sent = messages(vec![batch(vec!["a".into(), "x".repeat(5 << 20)])]).await;
        let error = sent.last().unwrap().as_ref().unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert!(error.message().contains("'text'"), "{}", error.message());
        assert!(error.message().contains("52"), "{}", error.message());
    }

    #[tokio::test]
    async fn a_panic_ends_its_statement_only() {
        let panics = stream::once(async { panic!("boom") });
        let sent: Vec<Result<FlightData, Status>> = guarded(panics).collect().await;
        assert_eq!(sent[0].as_ref().unwrap_err().code(), Code::Internal);
    }
}
