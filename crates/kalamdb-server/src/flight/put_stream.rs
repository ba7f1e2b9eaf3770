//! What a client uploads: a descriptor, then maybe a schema, then maybe batches.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::{DecodedFlightData, DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{Stream, StreamExt, stream};
use kalamdb_commons::ErrorKind;
use kalamdb_core::{BatchStream, EngineError};
use tonic::{Code, Status};

use crate::{panics, status};

/// Bytes of parameters bound at once.
const BOUND_BYTES_MAX: usize = 256 << 20;

/// An upload whose first message has arrived.
pub struct Upload {
    /// What the upload is for.
    pub descriptor: FlightDescriptor,
    decoder: ContainedDecoder,
}

/// The library's decoder, which trusts lengths and offsets within a message and panics on some
/// that lie; such a message is an error.
struct ContainedDecoder {
    decoder: FlightDataDecoder,
    broken: bool,
}

impl Stream for ContainedDecoder {
    type Item = Result<DecodedFlightData, FlightError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.broken {
            return Poll::Ready(None);
        }
        let decoder = &mut self.decoder;
        panics::contain(|| decoder.poll_next_unpin(context)).unwrap_or_else(|| {
            self.broken = true;
            let reason = "its lengths or offsets are not those of its bytes".to_owned();
            Poll::Ready(Some(Err(FlightError::DecodeError(reason))))
        })
    }
}

/// The parameters in an upload.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// There was no schema, or one without columns: nothing is bound.
    Nothing,
    /// One execution for each row, which may be none.
    Rows(RecordBatch),
}

impl Upload {
    /// Waits for the first message.
    pub async fn open<S>(mut messages: S) -> Result<Self, Status>
    where
        S: Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
    {
        let mut first = messages
            .next()
            .await
            .ok_or_else(|| invalid("the upload is empty, begin it with a descriptor"))?
            .map_err(receive_error)?;
        let descriptor = first
            .flight_descriptor
            .take()
            .ok_or_else(|| invalid("the first message of an upload needs a descriptor"))?;
        let messages = stream::iter([Ok(first)])
            .chain(messages)
            // A message without a header carries no Arrow data; some clients begin with one.
            .filter(|message| {
                let carries_data =
                    message.as_ref().map_or(true, |message| !message.data_header.is_empty());
                std::future::ready(carries_data)
            })
            .map(|message| message.map_err(|status| FlightError::Tonic(Box::new(status))));
        let decoder = FlightDataDecoder::new(messages);
        Ok(Self { descriptor, decoder: ContainedDecoder { decoder, broken: false } })
    }

    /// The schema of the batches, and the batches as they arrive.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no schema, or one without columns.
    pub async fn batches(mut self) -> Result<(SchemaRef, BatchStream), Status> {
        let schema = self
            .schema()
            .await?
            .ok_or_else(|| invalid("the upload has no schema, send one before the batches"))?;
        if schema.fields().is_empty() {
            return Err(invalid("the upload has no columns"));
        }
        let expected = Arc::clone(&schema);
        let batches = self.decoder.filter_map(move |decoded| {
            let batch = match decoded.map(|decoded| decoded.payload) {
                Ok(DecodedPayload::RecordBatch(batch)) => Some(Ok(batch)),
                Ok(DecodedPayload::Schema(schema)) if schema != expected => {
                    Some(Err(EngineError::new(
                        ErrorKind::InvalidInput,
                        "the schema changed within the upload, send one schema only",
                    )))
                }
                Ok(_) => None,
                Err(error) => {
                    let (kind, message) = decode_failure(error);
                    Some(Err(EngineError::new(kind, message)))
                }
            };
            std::future::ready(batch)
        });
        Ok((schema, batches.boxed()))
    }

    /// All rows of the upload as one batch. An upload without columns is answered at once: its
    /// client may wait for the answer before it ends the upload.
    pub async fn bound(mut self) -> Result<Bound, Status> {
        let Some(schema) = self.schema().await? else {
            return Ok(Bound::Nothing);
        };
        if schema.fields().is_empty() {
            return Ok(Bound::Nothing);
        }
        let mut batches = Vec::new();
        let mut bytes = 0;
        while let Some(decoded) = self.decoder.next().await {
            let DecodedPayload::RecordBatch(batch) = decoded.map_err(decode_error)?.payload else {
                continue;
            };
            bytes += batch.get_array_memory_size();
            if bytes > BOUND_BYTES_MAX {
                return Err(status::refuse(
                    ErrorKind::ResourceExhausted,
                    format!("parameters may take {BOUND_BYTES_MAX} bytes, bind fewer rows at once"),
                ));
            }
            batches.push(batch);
        }
        concat_batches(&schema, &batches)
            .map(Bound::Rows)
            .map_err(|error| invalid(&format!("the parameters do not fit together: {error}")))
    }

    /// The schema message, when there is one.
    async fn schema(&mut self) -> Result<Option<SchemaRef>, Status> {
        match self.decoder.next().await.transpose().map_err(decode_error)? {
            Some(decoded) => match decoded.payload {
                DecodedPayload::Schema(schema) => Ok(Some(schema)),
                DecodedPayload::RecordBatch(_) | DecodedPayload::None => {
                    Err(invalid("a batch arrived before its schema"))
                }
            },
            None => Ok(None),
        }
    }
}

fn decode_error(error: FlightError) -> Status {
    let (kind, message) = decode_failure(error);
    status::refuse(kind, message)
}

fn decode_failure(error: FlightError) -> (ErrorKind, String) {
    match error {
        FlightError::Tonic(status) => receive_failure(&status),
        FlightError::Arrow(error) => {
            (ErrorKind::InvalidInput, format!("cannot read the uploaded data: {error}"))
        }
        FlightError::DecodeError(reason) | FlightError::ProtocolError(reason) => {
            (ErrorKind::InvalidInput, format!("cannot read the upload: {reason}"))
        }
        other => (ErrorKind::InvalidInput, format!("cannot read the upload: {other}")),
    }
}

/// What is wrong with a message that could not be received.
fn receive_error(error: Status) -> Status {
    let (kind, message) = receive_failure(&error);
    status::refuse(kind, message)
}

fn receive_failure(error: &Status) -> (ErrorKind, String) {
    match error.code() {
        Code::OutOfRange | Code::ResourceExhausted => (
            ErrorKind::ResourceExhausted,
            format!(
                "a message is larger than the server accepts, send smaller batches or raise \
                 max_message_bytes ({})",
                error.message()
            ),
        ),
        Code::Cancelled => (ErrorKind::Cancelled, "the client ended the upload".to_owned()),
        Code::Unknown => {
            (ErrorKind::Cancelled, format!("the upload broke off: {}", error.message()))
        }
        _ => (ErrorKind::InvalidInput, format!("cannot receive the upload: {}", error.message())),
    }
}

fn invalid(message: &str) -> Status {
    status::refuse(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatchOptions};
    use arrow::datatypes::Schema;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::TryStreamExt;

    use super::*;

    fn numbers(values: Vec<i64>) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    async fn upload(schema: Option<SchemaRef>, batches: Vec<RecordBatch>, endless: bool) -> Upload {
        let descriptor = FlightDescriptor::new_cmd("x");
        let sent: Vec<Result<FlightData, Status>> = match schema {
            Some(schema) => {
                FlightDataEncoderBuilder::new()
                    .with_schema(schema)
                    .with_flight_descriptor(Some(descriptor))
                    .build(stream::iter(batches.into_iter().map(Ok)))
                    .map_err(Status::from)
                    .collect()
                    .await
            }
            None => vec![Ok(FlightData::new().with_descriptor(descriptor))],
        };
        let sent = stream::iter(sent);
        if endless {
            return Upload::open(sent.chain(stream::pending())).await.unwrap();
        }
        Upload::open(sent).await.unwrap()
    }

    #[tokio::test]
    async fn no_schema_and_no_columns_bind_nothing() {
        let none = Arc::new(Schema::empty());
        let options = RecordBatchOptions::new().with_row_count(Some(0));
        let no_columns =
            RecordBatch::try_new_with_options(Arc::clone(&none), vec![], &options).unwrap();
        let shapes =
            [(None, vec![]), (Some(Arc::clone(&none)), vec![]), (Some(none), vec![no_columns])];
        for (schema, batches) in shapes {
            let bound = upload(schema, batches, false).await.bound().await.unwrap();
            assert_eq!(bound, Bound::Nothing);
        }
    }

    #[tokio::test]
    async fn an_upload_without_columns_is_answered_before_it_ends() {
        let bound = upload(Some(Arc::new(Schema::empty())), vec![], true).await.bound();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), bound).await;
        assert_eq!(waited.unwrap().unwrap(), Bound::Nothing);
    }

    #[tokio::test]
    async fn rows_of_all_batches_are_bound_and_no_rows_are_no_rows() {
        let schema = numbers(vec![]).schema();
        let batches = vec![numbers(vec![1, 2]), numbers(vec![3])];
        let bound = upload(Some(Arc::clone(&schema)), batches, false).await.bound().await.unwrap();
        assert_eq!(bound, Bound::Rows(numbers(vec![1, 2, 3])));
        let bound = upload(Some(schema), vec![], false).await.bound().await.unwrap();
        assert_eq!(bound, Bound::Rows(numbers(vec![])));
    }

    #[tokio::test]
    async fn garbage_is_the_client_s_error() {
        let descriptor = FlightDescriptor::new_cmd("x");
        let garbage = FlightData::new().with_descriptor(descriptor).with_data_header(vec![7; 40]);
        let upload = Upload::open(stream::iter([Ok(garbage)])).await.unwrap();
        assert_eq!(upload.bound().await.unwrap_err().code(), Code::InvalidArgument);
        let without_descriptor = Upload::open(stream::iter([Ok(FlightData::new())])).await;
        assert_eq!(without_descriptor.err().unwrap().code(), Code::InvalidArgument);
    }
}
