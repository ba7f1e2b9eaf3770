//! Code generated from `proto/kalamdb/v1`.

#![allow(missing_docs, clippy::all)]

/// Version 1 of the server's own messages.
pub mod v1 {
    tonic::include_proto!("kalamdb.v1");
}
