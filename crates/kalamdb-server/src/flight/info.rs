//! GetFlightInfo, PollFlightInfo and GetSchema.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, PollInfo, SchemaAsIpc, SchemaResult,
    Ticket,
};
use bytes::Bytes;
use kalamdb_commons::{ErrorKind, SqlState};
use kalamdb_core::Prepared;
use tonic::Status;

use super::context::RequestContext;
use super::request::Wanted;
use super::statements::{self, PreparedStatement};
use super::{Shared, encode};
use crate::status;

/// How to fetch what the descriptor asks for. An update or RETURNING asked for on
/// this way runs here, once.
pub async fn get_flight_info(
    shared: &Shared,
    context: &RequestContext,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    match Wanted::from_descriptor(&descriptor)? {
        Wanted::Statement(sql) => {
            let prepared = prepare(shared, context, &sql).await?;
            statements::flight_info(shared, context, descriptor, prepared, None).await
        }
        Wanted::Prepared(handle) => {
            let statement = prepared_statement(shared, context, &handle)?;
            let prepared = Arc::clone(&statement.prepared);
            let bound = statement.bound();
            statements::flight_info(shared, context, descriptor, prepared, bound).await
        }
        Wanted::Metadata(command) => {
            // The command serves as the ticket: it names no secret and depends on nothing.
            let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(descriptor.cmd.clone()));
            FlightInfo::new()
                .try_with_schema(&command.schema())
                .map(|info| info.with_descriptor(descriptor).with_endpoint(endpoint))
                .map_err(|error| unencodable(&error))
        }
        Wanted::Granted(_) => {
            Err(status::refuse(ErrorKind::InvalidInput, "this is a ticket, fetch it with DoGet"))
        }
    }
}

/// As [`get_flight_info`]; the answer is always complete, planning being short.
pub async fn poll_flight_info(
    shared: &Shared,
    context: &RequestContext,
    descriptor: FlightDescriptor,
) -> Result<PollInfo, Status> {
    let info = get_flight_info(shared, context, descriptor).await?;
    let expires_at = info.endpoint.first().and_then(|endpoint| endpoint.expiration_time);
    let mut poll = PollInfo::new().with_info(info);
    poll.progress = Some(1.0);
    poll.expiration_time = expires_at;
    Ok(poll)
}

/// The schema of what the descriptor asks for; nothing is executed.
pub async fn get_schema(
    shared: &Shared,
    context: &RequestContext,
    descriptor: &FlightDescriptor,
) -> Result<SchemaResult, Status> {
    let schema = match Wanted::from_descriptor(descriptor)? {
        Wanted::Statement(sql) => Arc::clone(prepare(shared, context, &sql).await?.schema()),
        Wanted::Prepared(handle) => {
            Arc::clone(prepared_statement(shared, context, &handle)?.prepared.schema())
        }
        Wanted::Metadata(command) => command.schema(),
        Wanted::Granted(_) => {
            return Err(status::refuse(
                ErrorKind::InvalidInput,
                "this is a ticket, its schema came with its FlightInfo",
            ));
        }
    };
    Ok(SchemaResult { schema: encapsulated(&schema)? })
}

/// Plans one statement.
pub async fn prepare(
    shared: &Shared,
    context: &RequestContext,
    sql: &str,
) -> Result<Arc<Prepared>, Status> {
    encode::guarded_call(async {
        shared
            .engine
            .prepare(&context.session, sql)
            .await
            .map_err(|error| status::from_engine(&error))
    })
    .await
}

/// The statement a client has prepared.
pub fn prepared_statement(
    shared: &Shared,
    context: &RequestContext,
    handle: &[u8],
) -> Result<Arc<PreparedStatement>, Status> {
    shared.prepared.get(handle, &context.principal.user_id).ok_or_else(|| {
        status::refuse_as(
            ErrorKind::NotFound,
            SqlState::UnknownPreparedStatement,
            "no such prepared statement: it was closed or not used for long, prepare it again",
        )
    })
}

/// A schema as an encapsulated IPC message, continuation marker included.
pub fn encapsulated(schema: &SchemaRef) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(|error: arrow::error::ArrowError| unencodable(&error))?;
    Ok(bytes)
}

fn unencodable(error: &arrow::error::ArrowError) -> Status {
    status::refuse(ErrorKind::Internal, format!("cannot encode a schema: {error}"))
}
