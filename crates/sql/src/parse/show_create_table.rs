//! SHOW CREATE TABLE: the text that defines a table again.

use std::fmt::Write as _;

use kalamdb_commons::{Durability, TableDefinition, TableOptions, TableType, ViewDefinition};

use crate::parse::names::quote_name;

/// A CREATE TABLE statement that [`crate::parse`] reads back as the same definition.
pub fn show_create_table(definition: &TableDefinition) -> String {
    let kind = definition.table_type.as_str().to_uppercase();
    let mut sql = format!(
        "CREATE {kind} TABLE {}.{} (",
        quote_name(&definition.namespace),
        quote_name(&definition.name)
    );
    for (i, column) in definition.columns.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(sql, "{comma}\n  {} {}", quote_name(&column.name), column.declared_type());
        if !column.nullable {
            sql.push_str(" NOT NULL");
        }
        if let Some(default) = &column.default {
            let _ = write!(sql, " DEFAULT {default}");
        }
        if let Some(comment) = &column.comment {
            let _ = write!(sql, " COMMENT {}", quote_text(comment));
        }
    }
    let key: Vec<String> = definition
        .key_positions()
        .into_iter()
        .filter_map(|position| definition.columns.get(position))
        .map(|column| quote_name(&column.name))
        .collect();
    if !key.is_empty() {
        let _ = write!(sql, ",\n  PRIMARY KEY ({})", key.join(", "));
    }
    for check in &definition.checks {
        let name = quote_name(&check.name);
        let _ = write!(sql, ",\n  CONSTRAINT {name} CHECK ({})", check.expression);
    }
    sql.push_str("\n)");
    if let Some(comment) = &definition.comment {
        let _ = write!(sql, " COMMENT {}", quote_text(comment));
    }
    let options = options(definition.table_type, &definition.options);
    if !options.is_empty() {
        let _ = write!(sql, " WITH ({})", options.join(", "));
    }
    sql
}

/// A CREATE VIEW statement that [`crate::parse`] reads back as the same view. Unqualified names in
/// it mean what they meant when the view was made: they stand in [`ViewDefinition::search_namespace`].
pub fn show_create_view(definition: &ViewDefinition) -> String {
    let mut sql = format!(
        "CREATE VIEW {}.{}",
        quote_name(&definition.namespace),
        quote_name(&definition.name)
    );
    if !definition.column_names.is_empty() {
        let names: Vec<_> = definition.column_names.iter().map(|name| quote_name(name)).collect();
        let _ = write!(sql, " ({})", names.join(", "));
    }
    if let Some(comment) = &definition.comment {
        let _ = write!(sql, " COMMENT {}", quote_text(comment));
    }
    let _ = write!(sql, " AS {}", definition.query);
    sql
}

/// The options as written in WITH, those at their defaults left out.
fn options(table_type: TableType, options: &TableOptions) -> Vec<String> {
    let usual = TableOptions::default();
    let mut written = Vec::new();
    if table_type == TableType::Shared {
        written.push(format!("ACCESS_LEVEL = '{}'", options.access_level.as_str()));
    }
    let stream = table_type == TableType::Stream;
    match options.durability {
        Durability::Interval { interval_ms } => {
            written.push(format!("DURABILITY = 'interval:{interval_ms}ms'"));
        }
        // Not what a stream is without a word.
        Durability::Sync if stream => written.push("DURABILITY = 'sync'".to_owned()),
        Durability::Sync => {}
    }
    if !stream && options.deleted_retention_hours != usual.deleted_retention_hours {
        written.push(format!("DELETED_RETENTION_HOURS = {}", options.deleted_retention_hours));
    }
    if let Some(policy) = options.flush_policy {
        written.push(format!("FLUSH_POLICY = '{policy}'"));
    }
    if let Some(compression) = options.compression {
        written.push(format!("COMPRESSION = '{}'", compression.as_str()));
    }
    if let Some(ttl_seconds) = options.ttl_seconds {
        written.push(format!("TTL_SECONDS = {ttl_seconds}"));
    }
    if let Some(max_rows) = options.max_rows {
        written.push(format!("MAX_ROWS = {max_rows}"));
    }
    written
}

fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
