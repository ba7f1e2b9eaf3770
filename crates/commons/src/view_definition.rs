//! What a view is: a query with a name.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::{ColumnDefinition, NamespaceId, TableId, UserId};

/// A query that is read like a table. It holds no rows and gives no rights: whoever reads it
/// reads what it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// Its identity: a number that no table and no other view ever has.
    pub id: TableId,
    /// The namespace it stands in.
    pub namespace_id: NamespaceId,
    /// The name of that namespace.
    pub namespace: Arc<str>,
    /// Its name, which no table of the namespace has.
    pub name: Arc<str>,
    /// The names given to the query's columns; empty when they keep their own.
    pub column_names: Vec<String>,
    /// The columns as they were when the view was made.
    pub columns: Vec<ColumnDefinition>,
    /// The query as it was written.
    pub query: String,
    /// What unqualified names in the query mean.
    pub search_namespace: Arc<str>,
    /// The tables and views the query names.
    pub reads: Vec<TableId>,
    /// The tables among them with the first id no column of theirs had by then: columns added since
    /// are none to the view.
    #[serde(default)]
    pub columns_below: Vec<(TableId, u32)>,
    /// Who created or last replaced it.
    pub created_by: UserId,
    /// When, µs since the Unix epoch.
    pub created_at_us: i64,
    /// The COMMENT text.
    #[serde(default)]
    pub comment: Option<String>,
}

impl ViewDefinition {
    /// `namespace.name`.
    pub fn qualified_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    /// The columns as Arrow fields.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields: Vec<_> = self.columns.iter().map(ColumnDefinition::to_field).collect();
        Arc::new(Schema::new(fields))
    }
}
