//! Errors on the wire: the one table from error kinds to gRPC codes.

use kalamdb_commons::{ErrorKind, SqlState};
use kalamdb_core::EngineError;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// Metadata key of the SQLSTATE.
pub const SQLSTATE_KEY: &str = "sqlstate";
/// Metadata keys of the place in the SQL text, both from 1.
pub const LINE_KEY: &str = "sql-line";
/// See [`LINE_KEY`].
pub const COLUMN_KEY: &str = "sql-column";
/// Bytes of a message; clients refuse header blocks over 8 KiB, and non-ASCII text triples in
/// transit.
const MESSAGE_BYTES_MAX: usize = 2000;

/// The gRPC code of an error kind.
pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::ConstraintViolation => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::DataLoss => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

/// The status a client sees for an engine's error: one line, the SQLSTATE, and the place in the
/// text when there is one.
pub fn from_engine(error: &EngineError) -> Status {
    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::DataLoss) {
        tracing::error!(error = %error, "statement failed");
    }
    let mut metadata = MetadataMap::new();
    if let Ok(value) = MetadataValue::try_from(error.sqlstate()) {
        metadata.insert(SQLSTATE_KEY, value);
    }
    if let Some((line, column)) = error.position() {
        metadata.insert(LINE_KEY, MetadataValue::from(line));
        metadata.insert(COLUMN_KEY, MetadataValue::from(column));
    }
    Status::with_metadata(code(error.kind()), one_line(&error.to_string()), metadata)
}

/// A status of the server's own making.
pub fn refuse(kind: ErrorKind, message: impl Into<String>) -> Status {
    from_engine(&EngineError::new(kind, message.into()))
}

/// The same, with a finer code for programs than the kind's.
pub fn refuse_as(kind: ErrorKind, state: SqlState, message: impl Into<String>) -> Status {
    from_engine(&EngineError::new(kind, message.into()).coded(state))
}

/// `text` on one line, cut to what fits a header.
pub fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > MESSAGE_BYTES_MAX {
        let mut end = MESSAGE_BYTES_MAX;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line() {
        assert_eq!(one_line("a\n  b\tc "), "a b c");
        let long = one_line(&"é".repeat(5000));
        assert!(long.len() <= MESSAGE_BYTES_MAX + '…'.len_utf8());
    }

    /// `docs/errors.md` tells users what is true.
    #[test]
    fn the_documentation_lists_every_code() {
        const KINDS: [(ErrorKind, &str); 15] = [
            (ErrorKind::InvalidInput, "INVALID_ARGUMENT"),
            (ErrorKind::ConstraintViolation, "INVALID_ARGUMENT"),
            (ErrorKind::NotFound, "NOT_FOUND"),
            (ErrorKind::AlreadyExists, "ALREADY_EXISTS"),
            (ErrorKind::Unauthenticated, "UNAUTHENTICATED"),
            (ErrorKind::PermissionDenied, "PERMISSION_DENIED"),
            (ErrorKind::Unsupported, "UNIMPLEMENTED"),
            (ErrorKind::FailedPrecondition, "FAILED_PRECONDITION"),
            (ErrorKind::Conflict, "ABORTED"),
            (ErrorKind::ResourceExhausted, "RESOURCE_EXHAUSTED"),
            (ErrorKind::Unavailable, "UNAVAILABLE"),
            (ErrorKind::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            (ErrorKind::Cancelled, "CANCELLED"),
            (ErrorKind::DataLoss, "DATA_LOSS"),
            (ErrorKind::Internal, "INTERNAL"),
        ];
        let text = include_str!("../../../docs/errors.md");
        let row = |first: &str| {
            let start = format!("| {first} | ");
            text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
        };
        for (kind, name) in KINDS {
            let plain = format!("{:?}", code(kind)).to_uppercase();
            assert_eq!(name.replace('_', ""), plain, "{kind:?}");
            assert!(row(&format!("`{name}`")).is_some(), "docs/errors.md lacks {name}");
        }
        for state in SqlState::ALL {
            let expected = Some(format!("{} |", state.meaning()));
            assert_eq!(row(&format!("`{}`", state.code())), expected, "{}", state.code());
        }
        let codes = text.lines().filter(|line| line.starts_with("| `")).count();
        let names: std::collections::HashSet<&str> = KINDS.map(|(_, name)| name).into();
        assert_eq!(codes, SqlState::ALL.len() + names.len() + 3, "rows of other codes");
    }

    #[test]
    fn a_refusal_carries_code_and_sqlstate() {
        let status = refuse(ErrorKind::Conflict, "try\nagain");
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(status.message(), "try again");
        assert!(status.metadata().get(SQLSTATE_KEY).is_some());
    }
}
