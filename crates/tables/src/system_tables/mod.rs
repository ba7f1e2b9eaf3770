//! The tables of `system` and `information_schema`: one small file each.
//!
//! Their rows are made when a plan is: from the statement's catalog and view, and only what the
//! statement's principal may see.

mod columns;
mod constraints;
mod information_schema;
mod jobs;
mod live_queries;
mod namespaces;
mod segments;
mod storage_locations;
mod table_schemas;
mod tables;
#[cfg(test)]
mod tests;
mod users;
mod views;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use kalamdb_sql::{INFORMATION_SCHEMA, ObjectKind, SYSTEM_NAMESPACE, SqlError, nearest};

use crate::{StatementContext, TablesError};

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SystemTable {
    Namespaces,
    Tables,
    TableSchemas,
    Users,
    LiveQueries,
    StorageLocations,
    Jobs,
    Segments,
    Views,
    InformationTables,
    InformationColumns,
    InformationSchemata,
    InformationViews,
    InformationTableConstraints,
    InformationCheckConstraints,
}

impl SystemTable {
    /// Every table.
    pub(crate) fn all() -> &'static [Self] {
        &[
            Self::Namespaces,
            Self::Tables,
            Self::TableSchemas,
            Self::Users,
            Self::LiveQueries,
            Self::StorageLocations,
            Self::Jobs,
            Self::Segments,
            Self::Views,
            Self::InformationTables,
            Self::InformationColumns,
            Self::InformationSchemata,
            Self::InformationViews,
            Self::InformationTableConstraints,
            Self::InformationCheckConstraints,
        ]
    }

    /// The table called `name` in `namespace`, one of the reserved ones.
    ///
    /// # Errors
    /// NotFound, with the most similar name.
    pub(crate) fn find(namespace: &str, name: &str) -> Result<Self, TablesError> {
        let mut tables = Self::all().iter().filter(|table| table.namespace() == namespace);
        tables.clone().find(|table| table.name() == name).copied().ok_or_else(|| {
            let suggestion = nearest(name, tables.by_ref().map(|table| table.name()));
            let name = format!("{namespace}.{name}");
            SqlError::NotFound { object: ObjectKind::Table, name, suggestion }.into()
        })
    }

    /// `system` or `information_schema`.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::InformationTables
            | Self::InformationColumns
            | Self::InformationSchemata
            | Self::InformationViews
            | Self::InformationTableConstraints
            | Self::InformationCheckConstraints => INFORMATION_SCHEMA,
            _ => SYSTEM_NAMESPACE,
        }
    }

    /// The table's name in its namespace.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Tables | Self::InformationTables => "tables",
            Self::TableSchemas => "table_schemas",
            Self::Users => "users",
            Self::LiveQueries => "live_queries",
            Self::StorageLocations => "storage_locations",
            Self::Jobs => "jobs",
            Self::Segments => "segments",
            Self::InformationColumns => "columns",
            Self::InformationSchemata => "schemata",
            Self::InformationTableConstraints => "table_constraints",
            Self::InformationCheckConstraints => "check_constraints",
            Self::Views | Self::InformationViews => "views",
        }
    }

    /// Its columns.
    pub(crate) fn columns(self) -> SchemaRef {
        Arc::new(Schema::new(match self {
            Self::Namespaces => namespaces::columns(),
            Self::Tables => tables::columns(),
            Self::TableSchemas => table_schemas::columns(),
            Self::Users => users::columns(),
            Self::LiveQueries => live_queries::columns(),
            Self::StorageLocations => storage_locations::columns(),
            Self::Jobs => jobs::columns(),
            Self::Segments => segments::columns(),
            Self::Views => views::columns(),
            Self::InformationTables => information_schema::tables_columns(),
            Self::InformationColumns => columns::columns(),
            Self::InformationSchemata => information_schema::schemata_columns(),
            Self::InformationViews => information_schema::views_columns(),
            Self::InformationTableConstraints => constraints::table_constraints_columns(),
            Self::InformationCheckConstraints => constraints::check_constraints_columns(),
        }))
    }

    fn rows(self, context: &StatementContext) -> Result<RecordBatch, TablesError> {
        let columns = match self {
            Self::Namespaces => namespaces::rows(context),
            Self::Tables => tables::rows(context),
            Self::TableSchemas => table_schemas::rows(context),
            Self::Users => users::rows(context),
            Self::Views => views::rows(context),
            Self::InformationViews => information_schema::views_rows(context),
            Self::InformationTables => information_schema::tables_rows(context),
            Self::InformationColumns => columns::rows(context),
            Self::InformationSchemata => information_schema::schemata_rows(context),
            Self::InformationTableConstraints => constraints::table_constraints_rows(context),
            Self::InformationCheckConstraints => constraints::check_constraints_rows(context),
            // What these show does not exist yet.
            Self::LiveQueries | Self::StorageLocations | Self::Jobs | Self::Segments => {
                return Ok(RecordBatch::new_empty(self.columns()));
            }
        };
        let rows = columns.first().map_or(0, |column| column.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.columns(), columns, &options)
            .map_err(|error| TablesError::Internal { reason: error.to_string() })
    }
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.columns()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let context = StatementContext::of(state.config())?;
        let partitions = [vec![self.rows(&context)?]];
        Ok(MemorySourceConfig::try_new_exec(&partitions, self.columns(), projection.cloned())?)
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn optional_text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn int(name: &str) -> Field {
    Field::new(name, DataType::Int64, false)
}

fn optional_int(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
}

fn optional_time(name: &str) -> Field {
    time(name).with_nullable(true)
}

fn texts<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> ArrayRef {
    Arc::new(arrow::array::StringArray::from_iter_values(values))
}

fn optional_texts<S: AsRef<str>>(values: impl IntoIterator<Item = Option<S>>) -> ArrayRef {
    Arc::new(arrow::array::StringArray::from_iter(values))
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(arrow::array::Int64Array::from_iter_values(values))
}

fn optional_ints(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(arrow::array::Int64Array::from_iter(values))
}

fn times(values_us: impl IntoIterator<Item = i64>) -> ArrayRef {
    let values = arrow::array::TimestampMicrosecondArray::from_iter_values(values_us);
    Arc::new(values.with_timezone("UTC"))
}
