//! The metadata commands: what there is and what the server can do, in exactly the schemas that
//! drivers compare with.

mod column_metadata;
mod keys;
pub mod like;
mod sql_info;
mod tables;
mod type_info;
mod type_names;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    GetCatalogsBuilder, SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    Command, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo,
};
use kalamdb_commons::ErrorKind;
use kalamdb_core::TableKind;
use tonic::Status;

use super::context::RequestContext;
use super::{CATALOG, Shared};
use crate::status;

/// A metadata command with its filters.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataCommand {
    /// The catalogs; there is one.
    Catalogs,
    /// The namespaces.
    DbSchemas(CommandGetDbSchemas),
    /// The tables, with their columns if asked for.
    Tables(CommandGetTables),
    /// The kinds of tables.
    TableTypes,
    /// The key columns of a table.
    PrimaryKeys(CommandGetPrimaryKeys),
    /// Foreign keys in any direction; there are none.
    ForeignKeys,
    /// What the server can do.
    SqlInfo(CommandGetSqlInfo),
    /// The types of columns.
    XdbcTypeInfo(CommandGetXdbcTypeInfo),
}

/// The answers that never change while the server runs.
pub(crate) struct StaticAnswers {
    sql_info: SqlInfoData,
    type_info: XdbcTypeInfoData,
}

impl StaticAnswers {
    pub(crate) fn new(statement_timeout: Option<Duration>) -> Result<Self, Status> {
        Ok(Self {
            sql_info: sql_info::build(statement_timeout).map_err(|error| unbuildable(&error))?,
            type_info: type_info::build().map_err(|error| unbuildable(&error))?,
        })
    }
}

impl MetadataCommand {
    /// The metadata command that a Flight SQL command is, if it is one.
    pub fn from_command(command: &Command) -> Option<Self> {
        Some(match command {
            Command::CommandGetCatalogs(_) => Self::Catalogs,
            Command::CommandGetDbSchemas(command) => Self::DbSchemas(command.clone()),
            Command::CommandGetTables(command) => Self::Tables(command.clone()),
            Command::CommandGetTableTypes(_) => Self::TableTypes,
            Command::CommandGetPrimaryKeys(command) => Self::PrimaryKeys(command.clone()),
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => Self::ForeignKeys,
            Command::CommandGetSqlInfo(command) => Self::SqlInfo(command.clone()),
            Command::CommandGetXdbcTypeInfo(command) => Self::XdbcTypeInfo(*command),
            _ => return None,
        })
    }

    /// The schema of the answer.
    pub fn schema(&self) -> SchemaRef {
        match self {
            Self::Catalogs => GetCatalogsBuilder::new().schema(),
            Self::DbSchemas(_) => tables::db_schemas_builder().schema(),
            Self::Tables(command) => tables::tables_builder(command.include_schema).schema(),
            Self::TableTypes => CommandGetTableTypes {}.into_builder().schema(),
            Self::PrimaryKeys(_) => Arc::clone(&keys::PRIMARY_KEYS_SCHEMA),
            Self::ForeignKeys => Arc::clone(&keys::FOREIGN_KEYS_SCHEMA),
            Self::SqlInfo(_) => Arc::new(SqlInfoDataBuilder::schema().clone()),
            Self::XdbcTypeInfo(_) => XdbcTypeInfoDataBuilder::new().schema(),
        }
    }

    /// The answer, always one batch: drivers read no further.
    pub(crate) fn answer(
        &self,
        shared: &Shared,
        context: &RequestContext,
    ) -> Result<RecordBatch, Status> {
        let view = || shared.engine.metadata(&context.principal);
        let answer = match self {
            Self::Catalogs => {
                let mut builder = GetCatalogsBuilder::new();
                builder.append(CATALOG);
                builder.build()
            }
            Self::DbSchemas(command) => tables::db_schemas(command, &view().namespaces()),
            Self::Tables(command) => tables::tables(command, &view().tables()),
            Self::TableTypes => {
                let mut builder = CommandGetTableTypes {}.into_builder();
                for kind in TableKind::ALL {
                    builder.append(kind.as_str());
                }
                builder.build()
            }
            Self::PrimaryKeys(command) => keys::primary_keys(command, &view().tables()),
            Self::ForeignKeys => Ok(RecordBatch::new_empty(Arc::clone(&keys::FOREIGN_KEYS_SCHEMA))),
            Self::SqlInfo(command) => {
                shared.metadata.sql_info.record_batch(command.info.iter().copied())
            }
            Self::XdbcTypeInfo(command) => {
                shared.metadata.type_info.record_batch(command.data_type)
            }
        };
        answer.map_err(|error| unbuildable(&error))
    }
}

/// True when a catalog filter lets the one catalog pass; the empty filter asks for what has no
/// catalog, which nothing is.
fn catalog_passes(filter: Option<&str>) -> bool {
    filter.is_none_or(|catalog| catalog == CATALOG)
}

fn unbuildable(error: &FlightError) -> Status {
    status::refuse(ErrorKind::Internal, format!("cannot build a metadata answer: {error}"))
}
