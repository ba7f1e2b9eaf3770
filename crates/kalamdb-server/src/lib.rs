//! The server: speaks Arrow Flight SQL, reads its configuration, exports telemetry, and holds the
//! command line.
//!
//! ```text
//! gRPC ──► auth ──► flight (decode) ──► kalamdb_core::Engine ──► flight (encode) ──► gRPC
//! ```
//!
//! It is a thin shell: every request is decoded, answered by one call of the engine, and encoded.
//! It knows nothing of RocksDB or of query plans; Parquet it knows only as files `cli` imports and
//! exports.
//!
//! ```
//! use kalamdb_commons::ErrorKind;
//! use kalamdb_server::status;
//!
//! assert_eq!(status::code(ErrorKind::NotFound), tonic::Code::NotFound);
//! ```

pub mod auth;
pub mod cli;
pub mod config;
mod connections;
mod described;
pub mod flight;
mod freed_memory;
mod open_files;
mod origin;
mod panics;
pub mod proto;
pub mod serve;
pub mod status;
pub mod telemetry;
