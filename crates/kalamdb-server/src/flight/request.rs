//! What a descriptor or a ticket asks for.

use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{Any, Command};
use arrow_flight::{FlightDescriptor, Ticket};
use bytes::Bytes;
use kalamdb_commons::{ErrorKind, SqlState};
use prost::Message;
use tonic::Status;

use super::metadata::MetadataCommand;
use crate::status;

/// What a client wants rows of.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A statement, as text.
    Statement(String),
    /// A prepared statement, by handle.
    Prepared(Bytes),
    /// What a ticket of this server grants: its signed part.
    Granted(Bytes),
    /// Metadata.
    Metadata(MetadataCommand),
}

impl Wanted {
    /// Reads a descriptor: a Flight SQL command, a table's path, or plain SQL text as clients
    /// that know Flight only send it.
    pub fn from_descriptor(descriptor: &FlightDescriptor) -> Result<Self, Status> {
        match descriptor.r#type() {
            DescriptorType::Cmd => Self::from_command(&descriptor.cmd),
            DescriptorType::Path => select_all(&descriptor.path).map(Self::Statement),
            DescriptorType::Unknown => Err(invalid("the descriptor has neither command nor path")),
        }
    }

    /// Reads a ticket: one of ours, or a command used as a ticket, as metadata commands are.
    pub fn from_ticket(ticket: &Ticket) -> Result<Self, Status> {
        Self::from_command(&ticket.ticket)
    }

    fn from_command(bytes: &Bytes) -> Result<Self, Status> {
        let Some(command) = decode_command(bytes)? else {
            return plain_sql(bytes).map(Self::Statement);
        };
        if let Some(metadata) = MetadataCommand::from_command(&command) {
            return Ok(Self::Metadata(metadata));
        }
        match command {
            Command::CommandStatementQuery(query) => {
                refuse_transaction(query.transaction_id.as_ref())?;
                Ok(Self::Statement(query.query))
            }
            Command::CommandPreparedStatementQuery(query) => {
                Ok(Self::Prepared(query.prepared_statement_handle))
            }
            Command::TicketStatementQuery(ticket) => Ok(Self::Granted(ticket.statement_handle)),
            other => Err(unsupported_command(&other)),
        }
    }
}

/// The Flight SQL command in `bytes`; `None` when they hold something else.
pub fn decode_command(bytes: &Bytes) -> Result<Option<Command>, Status> {
    let Ok(any) = Any::decode(bytes.clone()) else {
        return Ok(None);
    };
    if !any.type_url.starts_with("type.googleapis.com/") {
        return Ok(None);
    }
    let command =
        Command::try_from(any).map_err(|_| invalid("the command's bytes do not match its type"))?;
    Ok(Some(command))
}

/// A transaction was named, and there are none.
pub fn refuse_transaction(id: Option<&Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(invalid(
            "there are no transactions here: every statement commits by itself, send it without one",
        )),
        _ => Ok(()),
    }
}

/// A command that this server does not offer at this place.
pub fn unsupported_command(command: &Command) -> Status {
    let name = command.type_url().rsplit(['.', '/']).next().unwrap_or_default().to_owned();
    status::refuse(ErrorKind::Unsupported, format!("{name} is not supported here"))
}

/// `SELECT *` of the table that a path names.
pub fn select_all(path: &[String]) -> Result<String, Status> {
    if path.is_empty() || path.len() > 3 {
        return Err(invalid(
            "a path names a table: [table], [namespace, table] or with the catalog",
        ));
    }
    let name: Vec<String> =
        path.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    Ok(format!("SELECT * FROM {}", name.join(".")))
}

fn plain_sql(bytes: &Bytes) -> Result<String, Status> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| invalid("neither a Flight SQL command nor UTF-8 text"))?;
    if text.trim().is_empty() {
        return Err(invalid("the command is empty, send a Flight SQL command or SQL text"));
    }
    Ok(text.to_owned())
}

fn invalid(message: &str) -> Status {
    status::refuse_as(ErrorKind::InvalidInput, SqlState::Protocol, message)
}

/// Reads the body of an action.
pub fn action_body<M: Message + Default>(body: &Bytes) -> Result<M, Status> {
    M::decode(body.clone()).map_err(|_| invalid("the action's body does not match its type"))
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::{CommandStatementQuery, CommandStatementUpdate, ProstMessageExt};
    use tonic::Code;

    use super::*;

    fn command(message: &impl ProstMessageExt) -> FlightDescriptor {
        FlightDescriptor::new_cmd(message.as_any().encode_to_vec())
    }

    #[test]
    fn a_statement_comes_as_command_or_as_plain_text() {
        let query = CommandStatementQuery { query: "SELECT 1".into(), transaction_id: None };
        let wanted = Wanted::Statement("SELECT 1".into());
        assert_eq!(Wanted::from_descriptor(&command(&query)).unwrap(), wanted);
        let plain = FlightDescriptor::new_cmd("SELECT 1");
        assert_eq!(Wanted::from_descriptor(&plain).unwrap(), wanted);
    }

    #[test]
    fn a_path_names_a_table() {
        let path = FlightDescriptor::new_path(vec!["ns".into(), "a\"b".into()]);
        let wanted = Wanted::Statement("SELECT * FROM \"ns\".\"a\"\"b\"".into());
        assert_eq!(Wanted::from_descriptor(&path).unwrap(), wanted);
        assert!(Wanted::from_descriptor(&FlightDescriptor::new_path(vec![])).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_the_client_s_error() {
        let not_utf8 = FlightDescriptor::new_cmd(vec![0xff, 0xfe]);
        let empty = FlightDescriptor::new_cmd("");
        let truncated = Any {
            type_url: CommandStatementQuery::type_url().into(),
            value: Bytes::from_static(&[0x0a, 0x7f, 1]),
        };
        let truncated = FlightDescriptor::new_cmd(truncated.encode_to_vec());
        for descriptor in [not_utf8, empty, truncated, FlightDescriptor::default()] {
            let error = Wanted::from_descriptor(&descriptor).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{}", error.message());
        }
    }

    #[test]
    fn a_command_of_another_place_or_product_is_unimplemented() {
        let update = CommandStatementUpdate { query: "DELETE".into(), transaction_id: None };
        let unknown = Any {
            type_url: "type.googleapis.com/arrow.flight.protocol.sql.CommandFromTheFuture".into(),
            value: Bytes::new(),
        };
        let unknown = FlightDescriptor::new_cmd(unknown.encode_to_vec());
        for descriptor in [command(&update), unknown] {
            let error = Wanted::from_descriptor(&descriptor).unwrap_err();
            assert_eq!(error.code(), Code::Unimplemented);
        }
    }

    #[test]
    fn a_transaction_is_refused() {
        let query = CommandStatementQuery {
            query: "SELECT 1".into(),
            transaction_id: Some(Bytes::from_static(b"t")),
        };
        let error = Wanted::from_descriptor(&command(&query)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
}
