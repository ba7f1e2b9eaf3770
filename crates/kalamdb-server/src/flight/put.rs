//! DoPut: updates, bound parameters, bulk ingest.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_flight::sql::{
    Command, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    DoPutPreparedStatementResult, DoPutUpdateResult,
};
use arrow_flight::{FlightData, PutResult};
use futures::Stream;
use kalamdb_commons::{ErrorKind, SqlState};
use prost::Message;
use tonic::Status;

use super::context::RequestContext;
use super::put_stream::{Bound, Upload};
use super::statements::PreparedStatement;
use super::{Shared, encode, info, ingest, request, statements};
use crate::status;

/// Takes an upload and answers with its one result.
pub async fn do_put<S>(
    shared: &Arc<Shared>,
    context: &RequestContext,
    messages: S,
) -> Result<PutResult, Status>
where
    S: Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
{
    let upload = Upload::open(messages).await?;
    let command = request::decode_command(&upload.descriptor.cmd)?.ok_or_else(|| {
        status::refuse(
            ErrorKind::InvalidInput,
            "an upload needs a Flight SQL command: an update, parameters or an ingest",
        )
    })?;
    match command {
        Command::CommandStatementUpdate(update) => {
            request::refuse_transaction(update.transaction_id.as_ref())?;
            // Answered without reading on: some clients end the upload only after the answer.
            let affected = run_script(shared, context, &update.query).await?;
            Ok(update_result(affected))
        }
        Command::CommandPreparedStatementUpdate(update) => {
            update_prepared(shared, context, &update, upload).await
        }
        Command::CommandPreparedStatementQuery(query) => bind(shared, context, query, upload).await,
        Command::CommandStatementIngest(ingest) => {
            let rows = ingest::run(shared, context, ingest, upload).await?;
            Ok(update_result(rows))
        }
        other => Err(request::unsupported_command(&other)),
    }
}

async fn run_script(shared: &Shared, context: &RequestContext, sql: &str) -> Result<i64, Status> {
    let affected = encode::guarded_call(async {
        shared
            .engine
            .execute_script(&context.session, sql)
            .await
            .map_err(|error| status::from_engine(&error))
    });
    Ok(statements::count(affected.await?))
}

/// Executes a prepared update: once without parameters, else once for each row bound, in this
/// upload or before it.
async fn update_prepared(
    shared: &Shared,
    context: &RequestContext,
    update: &CommandPreparedStatementUpdate,
    upload: Upload,
) -> Result<PutResult, Status> {
    let statement = info::prepared_statement(shared, context, &update.prepared_statement_handle)?;
    let prepared = &statement.prepared;
    let parameters = match upload.bound().await? {
        Bound::Rows(rows) if rows.num_rows() == 0 => return Ok(update_result(0)),
        Bound::Rows(rows) => {
            refuse_surplus(&statement, &rows)?;
            Some(rows)
        }
        Bound::Nothing if prepared.parameters().fields().is_empty() => None,
        Bound::Nothing => match statement.bound() {
            Some(rows) if rows.num_rows() == 0 => return Ok(update_result(0)),
            bound => bound,
        },
    };
    let affected = statements::execute(shared, context, prepared, parameters.as_ref()).await?;
    Ok(update_result(affected))
}

/// Keeps parameters for the executions to come.
async fn bind(
    shared: &Shared,
    context: &RequestContext,
    query: CommandPreparedStatementQuery,
    upload: Upload,
) -> Result<PutResult, Status> {
    let handle = query.prepared_statement_handle;
    let statement = info::prepared_statement(shared, context, &handle)?;
    let bound = match upload.bound().await? {
        Bound::Rows(rows) => {
            refuse_surplus(&statement, &rows)?;
            Some(rows)
        }
        Bound::Nothing => None,
    };
    *statement.bound.lock() = bound;
    let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) };
    Ok(PutResult { app_metadata: result.encode_to_vec().into() })
}

/// Values for a statement that takes none would make it run once for each of them, unnoticed.
fn refuse_surplus(statement: &PreparedStatement, rows: &RecordBatch) -> Result<(), Status> {
    let wanted = statement.prepared.parameters().fields().len();
    let bound = rows.num_columns();
    if wanted != bound {
        return Err(status::refuse_as(
            ErrorKind::InvalidInput,
            SqlState::WrongParameters,
            format!("the statement has {wanted} parameters, but {bound} were bound"),
        ));
    }
    Ok(())
}

fn update_result(record_count: i64) -> PutResult {
    PutResult { app_metadata: DoPutUpdateResult { record_count }.encode_to_vec().into() }
}
