//! What kind of failure an error is: what the caller should do about it.

/// The kind of an error, common to all crates. The server maps each kind to one gRPC code; no
/// other place decides codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The statement or a value in it is wrong; change it.
    InvalidInput,
    /// A value breaks a constraint (duplicate key, NULL in NOT NULL, CHECK); nothing was written.
    ConstraintViolation,
    /// The named object does not exist.
    NotFound,
    /// An object of that name exists already.
    AlreadyExists,
    /// The caller has not said who it is, or its proof does not hold.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// What is asked for is not offered.
    Unsupported,
    /// The statement is right, but the state of the object forbids it now.
    FailedPrecondition,
    /// Concurrent statements got in the way and the retries ran out; run the transaction again.
    Conflict,
    /// A bound (memory, size, queue, number) was reached; ask for less or try later.
    ResourceExhausted,
    /// The server cannot serve this now (fenced, starting, draining); try again later.
    Unavailable,
    /// The time allowed for the statement has passed.
    DeadlineExceeded,
    /// The caller went away or asked to stop.
    Cancelled,
    /// Stored data is damaged.
    DataLoss,
    /// A defect in this program.
    Internal,
}
