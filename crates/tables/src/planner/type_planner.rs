//! Types in CAST: the same names mean the same as in CREATE TABLE.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType as SqlType;
use kalamdb_sql::column_type_from_ast;

use super::exact_numbers::marked_type;

/// Reads type names as CREATE TABLE does; other names are DataFusion's.
#[derive(Debug)]
pub(super) struct ColumnTypes;

impl TypePlanner for ColumnTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        if let Some(marked) = marked_type(sql_type) {
            return Ok(Some(marked));
        }
        let column_type = column_type_from_ast(sql_type).ok();
        Ok(column_type.map(|column_type| Arc::new(column_type.to_field("", true))))
    }
}
