//! Tickets: signed, bound to a user, valid for a while and redeemable as often as wanted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_flight::Ticket;
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use bytes::Bytes;
use kalamdb_commons::{ErrorKind, UserId};
use prost::Message;
use tonic::Status;

use super::registry::Handle;
use crate::auth::SigningKey;
use crate::proto::v1::ticket_payload::Grant;
use crate::proto::v1::{SignedTicket, StatementGrant, TicketPayload, UpdateGrant};
use crate::status;

/// How long a ticket can be redeemed.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(600);
/// Bytes of a ticket; longer ones are refused unread.
const TICKET_BYTES_MAX: usize = 4096;

/// Issues and redeems tickets.
#[derive(Debug)]
pub struct Tickets {
    key: SigningKey,
}

/// A ticket and when it ends.
#[derive(Debug, Clone)]
pub struct Issued {
    /// What the client sends back.
    pub ticket: Ticket,
    /// The end, for `FlightEndpoint.expiration_time`.
    pub expires_at: prost_types::Timestamp,
}

/// What a redeemed ticket entitles to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The rows of the statement registered under the handle.
    Statement(Bytes),
    /// The outcome of an update that ran when its FlightInfo was asked for.
    Update {
        /// Rows written or removed.
        affected_rows: i64,
    },
}

impl Tickets {
    /// Tickets signed by `key`.
    pub fn new(key: SigningKey) -> Self {
        Self { key }
    }

    /// A ticket for the rows of a registered statement.
    pub fn for_statement(&self, owner: &UserId, handle: &Handle) -> Issued {
        let grant = StatementGrant { handle: Bytes::copy_from_slice(handle) };
        self.issue(owner, Grant::Statement(grant), now_ms())
    }

    /// A ticket for the outcome of an update that has run.
    pub fn for_update(&self, owner: &UserId, affected_rows: i64) -> Issued {
        self.issue(owner, Grant::Update(UpdateGrant { affected_rows }), now_ms())
    }

    /// The same ticket with a new end.
    pub fn renew(&self, ticket: &Ticket, owner: &UserId) -> Result<Issued, Status> {
        let statement = statement_ticket(ticket)?;
        let payload = self.open(&statement.statement_handle, owner, now_ms())?;
        let grant = payload.grant.ok_or_else(malformed)?;
        Ok(self.issue(owner, grant, now_ms()))
    }

    /// What the signed part of a ticket entitles `owner` to.
    ///
    /// # Errors
    /// `InvalidArgument` when it was not issued here, `PermissionDenied` when to another user,
    /// `NotFound` when it has ended.
    pub fn redeem(&self, signed: &[u8], owner: &UserId) -> Result<Redeemed, Status> {
        match self.open(signed, owner, now_ms())?.grant {
            Some(Grant::Statement(grant)) => Ok(Redeemed::Statement(grant.handle)),
            Some(Grant::Update(grant)) => {
                Ok(Redeemed::Update { affected_rows: grant.affected_rows })
            }
            None => Err(malformed()),
        }
    }

    fn issue(&self, owner: &UserId, grant: Grant, now_ms: i64) -> Issued {
        let lifetime_ms = i64::try_from(TICKET_LIFETIME.as_millis()).unwrap_or(i64::MAX);
        let expires_at_ms = now_ms.saturating_add(lifetime_ms);
        let payload =
            TicketPayload { user_id: owner.as_str().to_owned(), expires_at_ms, grant: Some(grant) };
        let payload = payload.encode_to_vec();
        let signature = self.key.sign(&payload).to_vec();
        let signed = SignedTicket { payload: payload.into(), signature: signature.into() };
        let statement = TicketStatementQuery { statement_handle: signed.encode_to_vec().into() };
        Issued {
            ticket: Ticket::new(statement.as_any().encode_to_vec()),
            expires_at: prost_types::Timestamp {
                seconds: expires_at_ms.div_euclid(1000),
                nanos: i32::try_from(expires_at_ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
            },
        }
    }

    fn open(&self, signed: &[u8], owner: &UserId, now_ms: i64) -> Result<TicketPayload, Status> {
        if signed.len() > TICKET_BYTES_MAX {
            return Err(malformed());
        }
        let signed = SignedTicket::decode(signed).map_err(|_| malformed())?;
        if !self.key.verify(&signed.payload, &signed.signature) {
            return Err(malformed());
        }
        let payload = TicketPayload::decode(signed.payload).map_err(|_| malformed())?;
        if payload.user_id != owner.as_str() {
            return Err(status::refuse(
                ErrorKind::PermissionDenied,
                "the ticket was issued to another user",
            ));
        }
        if payload.expires_at_ms <= now_ms {
            return Err(status::refuse(
                ErrorKind::NotFound,
                "the ticket has expired, ask for a new FlightInfo",
            ));
        }
        Ok(payload)
    }
}

/// The Flight SQL wrapping of a ticket this server issued.
pub fn statement_ticket(ticket: &Ticket) -> Result<TicketStatementQuery, Status> {
    let any = arrow_flight::sql::Any::decode(ticket.ticket.clone()).map_err(|_| malformed())?;
    any.unpack().map_err(|_| malformed())?.ok_or_else(malformed)
}

fn malformed() -> Status {
    status::refuse(ErrorKind::InvalidInput, "the ticket was not issued by this server")
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const HANDLE: Handle = [9; 16];

    fn tickets() -> Tickets {
        Tickets::new(SigningKey::derive(&[3; 32], "ticket"))
    }

    fn signed_part(issued: &Issued) -> Vec<u8> {
        statement_ticket(&issued.ticket).unwrap().statement_handle.to_vec()
    }

    #[test]
    fn a_ticket_is_redeemed_as_often_as_wanted() {
        let (tickets, alice) = (tickets(), UserId::new("alice"));
        let signed = signed_part(&tickets.for_statement(&alice, &HANDLE));
        for _ in 0..3 {
            let redeemed = tickets.redeem(&signed, &alice).unwrap();
            assert_eq!(redeemed, Redeemed::Statement(Bytes::copy_from_slice(&HANDLE)));
        }
        let signed = signed_part(&tickets.for_update(&alice, 42));
        let redeemed = tickets.redeem(&signed, &alice).unwrap();
        assert_eq!(redeemed, Redeemed::Update { affected_rows: 42 });
    }

    #[test]
    fn a_ticket_with_any_bit_changed_is_refused() {
        let (tickets, alice) = (tickets(), UserId::new("alice"));
        let signed = signed_part(&tickets.for_statement(&alice, &HANDLE));
        for position in 0..signed.len() {
            for bit in 0..8 {
                let mut tampered = signed.clone();
                tampered[position] ^= 1 << bit;
                assert!(tickets.redeem(&tampered, &alice).is_err(), "byte {position} bit {bit}");
            }
        }
    }

    #[test]
    fn a_ticket_of_another_user_or_server_is_refused() {
        let (tickets, alice) = (tickets(), UserId::new("alice"));
        let signed = signed_part(&tickets.for_statement(&alice, &HANDLE));
        let error = tickets.redeem(&signed, &UserId::new("bob")).unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
        let other = Tickets::new(SigningKey::derive(&[4; 32], "ticket"));
        assert_eq!(other.redeem(&signed, &alice).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn a_ticket_ends_and_can_be_renewed_before() {
        let (tickets, alice) = (tickets(), UserId::new("alice"));
        let grant = Grant::Update(UpdateGrant { affected_rows: 1 });
        let signed = signed_part(&tickets.issue(&alice, grant, 1_000));
        let lifetime_ms = i64::try_from(TICKET_LIFETIME.as_millis()).unwrap();
        assert!(tickets.open(&signed, &alice, lifetime_ms).is_ok());
        let error = tickets.open(&signed, &alice, 1_000 + lifetime_ms).unwrap_err();
        assert_eq!(error.code(), Code::NotFound);

        let issued = tickets.for_update(&alice, 7);
        let renewed = tickets.renew(&issued.ticket, &alice).unwrap();
        assert!(renewed.expires_at.seconds >= issued.expires_at.seconds);
        let redeemed = tickets.redeem(&signed_part(&renewed), &alice).unwrap();
        assert_eq!(redeemed, Redeemed::Update { affected_rows: 7 });
    }

    #[test]
    fn garbage_is_not_a_ticket() {
        let (tickets, alice) = (tickets(), UserId::new("alice"));
        for garbage in [&b""[..], b"SELECT 1", &[0xff; 100], &[0; 10_000]] {
            let error = tickets.redeem(garbage, &alice).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
        }
    }
}
