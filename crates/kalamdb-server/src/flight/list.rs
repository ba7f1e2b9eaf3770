//! ListFlights: the visible tables, for clients that know Flight but not Flight SQL.

use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{Criteria, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use kalamdb_commons::ErrorKind;
use kalamdb_core::TableKind;
use prost::Message;
use tonic::Status;

use super::context::RequestContext;
use super::metadata::like;
use super::{Shared, request};
use crate::status;

/// One FlightInfo for each table the principal may see. A criteria expression is a LIKE pattern
/// over `namespace.table`.
pub fn list_flights(
    shared: &Shared,
    context: &RequestContext,
    criteria: &Criteria,
) -> Result<Vec<FlightInfo>, Status> {
    let pattern = std::str::from_utf8(&criteria.expression)
        .map_err(|_| status::refuse(ErrorKind::InvalidInput, "the criteria are not UTF-8 text"))?;
    let tables = shared.engine.metadata(&context.principal).tables();
    tables
        .iter()
        .filter(|table| table.kind == TableKind::Table)
        .filter(|table| {
            let name = format!("{}.{}", table.namespace, table.name);
            pattern.is_empty() || like::matches(pattern, &name)
        })
        .map(|table| {
            let path = vec![table.namespace.to_string(), table.name.to_string()];
            let query =
                CommandStatementQuery { query: request::select_all(&path)?, transaction_id: None };
            let ticket = Ticket::new(query.as_any().encode_to_vec());
            FlightInfo::new()
                .try_with_schema(&table.schema)
                .map(|info| {
                    info.with_descriptor(FlightDescriptor::new_path(path))
                        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
                })
                .map_err(|error| {
                    status::refuse(ErrorKind::Internal, format!("cannot encode a schema: {error}"))
                })
        })
        .collect()
}
