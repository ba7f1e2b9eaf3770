//! Statements between the request that plans them and the request that fetches their rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo};
use kalamdb_commons::{ErrorKind, SqlState};
use kalamdb_core::{PinnedView, Prepared, Returned, StatementKind};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::context::RequestContext;
use super::registry::{Bounds, Handle};
use super::tickets::{Issued, TICKET_LIFETIME};
use super::{Shared, encode};
use crate::status;

/// Planned statements whose rows can be fetched; each keeps a view, so their age is bounded, too,
/// as the engine's settings say.
pub const STATEMENT_BOUNDS: Bounds =
    Bounds { entries_max: 2048, bytes_max: 64 << 20, idle: TICKET_LIFETIME, age_max: None };
/// How long a prepared statement lives after its last use.
pub const PREPARED_IDLE: Duration = Duration::from_secs(3600);
/// Prepared statements of all clients.
pub const PREPARED_BOUNDS: Bounds =
    Bounds { entries_max: 8192, bytes_max: 128 << 20, idle: PREPARED_IDLE, age_max: None };
/// What a planned statement weighs beside its text and parameters.
const PLAN_BYTES: usize = 4 << 10;
/// How much larger than its text a plan is, roughly.
const PLAN_BYTES_PER_TEXT_BYTE: usize = 16;

/// What a ticket can be redeemed for.
#[derive(Debug)]
pub struct Statement {
    /// Where the rows come from.
    pub source: RowSource,
    /// Ends every running execution.
    pub cancel: CancellationToken,
}

/// Where the rows of a ticket come from, however often it is redeemed.
#[derive(Debug)]
pub enum RowSource {
    /// A query that runs each time.
    Query {
        /// The plan.
        prepared: Arc<Prepared>,
        /// One execution for each row.
        parameters: Option<RecordBatch>,
        /// What it reads.
        view: PinnedView,
    },
    /// What a statement with RETURNING has given back.
    Returned(Arc<Returned>),
}

/// A statement a client has prepared.
#[derive(Debug)]
pub struct PreparedStatement {
    /// The plan.
    pub prepared: Arc<Prepared>,
    /// The parameters bound last.
    pub bound: Mutex<Option<RecordBatch>>,
}

impl PreparedStatement {
    /// A prepared statement nothing is bound to.
    pub fn new(prepared: Arc<Prepared>) -> Self {
        Self { prepared, bound: Mutex::new(None) }
    }

    /// The parameters bound last.
    pub fn bound(&self) -> Option<RecordBatch> {
        self.bound.lock().clone()
    }
}

/// What a planned statement with its parameters weighs in a registry.
pub fn weight(prepared: &Prepared, parameters: Option<&RecordBatch>) -> usize {
    PLAN_BYTES
        + prepared.sql().len() * PLAN_BYTES_PER_TEXT_BYTE
        + parameters.map_or(0, RecordBatch::get_array_memory_size)
}

/// Runs a change now, keeping what it returns, or registers a query to be run when its rows are fetched; either way the
/// answer tells the client how to go on.
pub async fn flight_info(
    shared: &Shared,
    context: &RequestContext,
    descriptor: FlightDescriptor,
    prepared: Arc<Prepared>,
    parameters: Option<RecordBatch>,
) -> Result<FlightInfo, Status> {
    let owner = &context.principal.user_id;
    let (issued, total_records) = match prepared.kind() {
        StatementKind::Update => {
            let affected = execute(shared, context, &prepared, parameters.as_ref()).await?;
            (shared.tickets.for_update(owner, affected), affected)
        }
        StatementKind::Query => {
            refuse_unbound(&prepared, parameters.as_ref())?;
            let bytes = weight(&prepared, parameters.as_ref());
            let view = shared.engine.pin().map_err(|error| status::from_engine(&error))?;
            let prepared = Arc::clone(&prepared);
            let source = RowSource::Query { prepared, parameters, view };
            let handle = register(shared, context, bytes, source);
            (shared.tickets.for_statement(owner, &handle), -1)
        }
        StatementKind::Returning => {
            refuse_unbound(&prepared, parameters.as_ref())?;
            let returned =
                execute_returning(shared, context, &prepared, parameters.as_ref()).await?;
            let rows = count(returned.num_rows());
            let bytes = weight(&prepared, None).saturating_add(returned.byte_len());
            let source = RowSource::Returned(Arc::new(returned));
            let handle = register(shared, context, bytes, source);
            (shared.tickets.for_statement(owner, &handle), rows)
        }
    };
    info(prepared.schema(), descriptor, issued).map(|info| info.with_total_records(total_records))
}

/// Executes an update once for each bound row; the affected rows of all.
pub async fn execute(
    shared: &Shared,
    context: &RequestContext,
    prepared: &Arc<Prepared>,
    parameters: Option<&RecordBatch>,
) -> Result<i64, Status> {
    let affected = encode::guarded_call(async {
        shared
            .engine
            .execute(&context.session, prepared, parameters)
            .await
            .map_err(|error| status::from_engine(&error))
    })
    .await?;
    Ok(count(affected))
}

/// Executes a statement with RETURNING once for each bound row; the rows of all.
pub async fn execute_returning(
    shared: &Shared,
    context: &RequestContext,
    prepared: &Arc<Prepared>,
    parameters: Option<&RecordBatch>,
) -> Result<Returned, Status> {
    encode::guarded_call(async {
        shared
            .engine
            .execute_returning(&context.session, prepared, parameters)
            .await
            .map_err(|error| status::from_engine(&error))
    })
    .await
}

/// A count as the protocol carries it.
pub fn count(affected: u64) -> i64 {
    i64::try_from(affected).unwrap_or(i64::MAX)
}

/// A FlightInfo of one endpoint, to be fetched from where it came from.
fn info(
    schema: &Schema,
    descriptor: FlightDescriptor,
    issued: Issued,
) -> Result<FlightInfo, Status> {
    let mut endpoint = FlightEndpoint::new().with_ticket(issued.ticket);
    endpoint.expiration_time = Some(issued.expires_at);
    FlightInfo::new()
        .try_with_schema(schema)
        .map(|info| info.with_descriptor(descriptor).with_endpoint(endpoint))
        .map_err(|error| {
            status::refuse(ErrorKind::Internal, format!("cannot encode a schema: {error}"))
        })
}

fn register(shared: &Shared, context: &RequestContext, bytes: usize, source: RowSource) -> Handle {
    let statement = Arc::new(Statement { source, cancel: CancellationToken::new() });
    shared.statements.insert(&context.principal.user_id, &context.session_key, bytes, statement)
}

fn refuse_unbound(prepared: &Prepared, parameters: Option<&RecordBatch>) -> Result<(), Status> {
    let wanted = prepared.parameters().fields().len();
    if wanted > 0 && parameters.is_none() {
        return Err(status::refuse_as(
            ErrorKind::InvalidInput,
            SqlState::WrongParameters,
            format!(
                "the statement has {wanted} parameters, prepare it and bind their values first"
            ),
        ));
    }
    Ok(())
}
