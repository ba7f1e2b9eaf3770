//! DoGet: rows as they are made, as fast as the client takes them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::sql::DoPutUpdateResult;
use arrow_flight::{FlightData, Ticket};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use kalamdb_commons::ErrorKind;
use kalamdb_core::{PinnedView, Prepared, QueryResult, Returned, StatementKind};
use prost::Message;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use super::context::RequestContext;
use super::encode::{self, FlightEncoder};
use super::request::Wanted;
use super::sessions::SessionKey;
use super::statements::RowSource;
use super::tickets::Redeemed;
use super::{Shared, info, statements};
use crate::status;

/// The messages of one result.
pub type FlightDataStream = BoxStream<'static, Result<FlightData, Status>>;

/// Opens the stream a ticket stands for. Dropping the stream ends the statement.
pub async fn do_get(
    shared: &Arc<Shared>,
    context: &RequestContext,
    ticket: &Ticket,
) -> Result<FlightDataStream, Status> {
    match Wanted::from_ticket(ticket)? {
        Wanted::Granted(signed) => {
            match shared.tickets.redeem(&signed, &context.principal.user_id)? {
                Redeemed::Statement(handle) => fetch_registered(shared, context, &handle).await,
                Redeemed::Update { affected_rows } => Ok(update_outcome(affected_rows)),
            }
        }
        Wanted::Metadata(command) => {
            let batch = encode::guarded_call(async { command.answer(shared, context) }).await?;
            Ok(one_batch(batch))
        }
        Wanted::Statement(sql) => {
            let prepared = info::prepare(shared, context, &sql).await?;
            run(shared, context, &prepared, None).await
        }
        Wanted::Prepared(handle) => {
            let statement = info::prepared_statement(shared, context, &handle)?;
            run(shared, context, &statement.prepared, statement.bound().as_ref()).await
        }
    }
}

/// Runs a statement that comes without a FlightInfo before it.
async fn run(
    shared: &Arc<Shared>,
    context: &RequestContext,
    prepared: &Arc<Prepared>,
    parameters: Option<&RecordBatch>,
) -> Result<FlightDataStream, Status> {
    match prepared.kind() {
        StatementKind::Update => {
            let affected = statements::execute(shared, context, prepared, parameters).await?;
            Ok(update_outcome(affected))
        }
        StatementKind::Returning => {
            let returned = statements::execute_returning(shared, context, prepared, parameters);
            let returned = Arc::new(returned.await?);
            Ok(rows_there(shared, context, &returned, CancellationToken::new()))
        }
        StatementKind::Query => {
            fetch(shared, context, prepared, parameters, None, CancellationToken::new()).await
        }
    }
}

async fn fetch_registered(
    shared: &Arc<Shared>,
    context: &RequestContext,
    handle: &[u8],
) -> Result<FlightDataStream, Status> {
    let statement = shared.statements.get(handle, &context.principal.user_id).ok_or_else(|| {
        status::refuse(
            ErrorKind::NotFound,
            "the statement of this ticket is gone, ask for a new FlightInfo",
        )
    })?;
    let cancel = statement.cancel.child_token();
    match &statement.source {
        RowSource::Query { prepared, parameters, view } => {
            fetch(shared, context, prepared, parameters.as_ref(), Some(view), cancel).await
        }
        RowSource::Returned(returned) => Ok(rows_there(shared, context, returned, cancel)),
    }
}

/// The rows a statement has given back already.
fn rows_there(
    shared: &Arc<Shared>,
    context: &RequestContext,
    returned: &Returned,
    cancel: CancellationToken,
) -> FlightDataStream {
    let batches = stream::iter(returned.batches.clone().into_iter().map(Ok)).boxed();
    let result = QueryResult { schema: Arc::clone(&returned.schema), batches };
    result_stream(shared, context, result, cancel)
}

async fn fetch(
    shared: &Arc<Shared>,
    context: &RequestContext,
    prepared: &Arc<Prepared>,
    parameters: Option<&RecordBatch>,
    pinned: Option<&PinnedView>,
    cancel: CancellationToken,
) -> Result<FlightDataStream, Status> {
    let query = encode::guarded_call(async {
        shared
            .engine
            .query(&context.session, prepared, parameters, pinned)
            .await
            .map_err(|error| status::from_engine(&error))
    });
    Ok(result_stream(shared, context, query.await?, cancel))
}

fn result_stream(
    shared: &Arc<Shared>,
    context: &RequestContext,
    result: QueryResult,
    cancel: CancellationToken,
) -> FlightDataStream {
    let QueryResult { schema, batches } = result;
    let encoder = FlightEncoder::new(schema, batches, Bytes::new());
    let running = Running {
        shared: Arc::clone(shared),
        session_key: context.session_key.clone(),
        ended: false,
        _open: Arc::clone(&shared.open_calls),
    };
    let stream = ResultStream {
        messages: encode::guarded(encoder).boxed(),
        cancelled: Box::pin(cancel.cancelled_owned()),
        running,
    };
    metrics::gauge!("kalamdb_flight_results_open").increment(1.0);
    stream.boxed()
}

/// The messages of one batch that is there already.
pub fn one_batch(batch: RecordBatch) -> FlightDataStream {
    let schema = batch.schema();
    let batches = stream::iter([Ok(batch)]).boxed();
    encode::guarded(FlightEncoder::new(schema, batches, Bytes::new())).boxed()
}

/// The result of an update fetched as if it were a query: no columns, no rows; the count stands
/// in the metadata of the schema message.
fn update_outcome(affected_rows: i64) -> FlightDataStream {
    let outcome = DoPutUpdateResult { record_count: affected_rows };
    let schema = Arc::new(Schema::empty());
    let encoder =
        FlightEncoder::new(schema, stream::empty().boxed(), outcome.encode_to_vec().into());
    encode::guarded(encoder).boxed()
}

/// A result on its way to the client.
struct ResultStream {
    messages: FlightDataStream,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    running: Running,
}

/// Keeps account of a result, whichever way it ends.
struct Running {
    shared: Arc<Shared>,
    session_key: SessionKey,
    ended: bool,
    _open: Arc<()>,
}

impl Stream for ResultStream {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.running.ended {
            return Poll::Ready(None);
        }
        if self.cancelled.as_mut().poll(context).is_ready() {
            self.running.ended = true;
            // Nothing polls the rows any more; let go of them now, not when the client is done.
            self.messages = stream::empty().boxed();
            let cancelled = status::refuse(ErrorKind::Cancelled, "the statement was cancelled");
            return Poll::Ready(Some(Err(cancelled)));
        }
        let next = self.messages.poll_next_unpin(context);
        if let Poll::Ready(item) = &next {
            self.running.ended = !matches!(item, Some(Ok(_)));
        }
        next
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!("kalamdb_flight_results_open").decrement(1.0);
        if !self.ended {
            metrics::counter!("kalamdb_flight_results_dropped_total").increment(1);
        }
        self.shared.sessions.touch(&self.session_key);
    }
}
