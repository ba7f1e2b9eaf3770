//! Definitions of STREAM tables, back and forth.

use std::sync::Arc;

use kalamdb_commons::{
    ColumnDefinition, ColumnId, Durability, NamespaceId, TableDefinition, TableId, TableType,
    UserId,
};

use crate::parse::{CreateTable, Statement, parse};

fn table(sql: &str) -> CreateTable {
    match parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).remove(0).statement {
        Statement::CreateTable(table) => *table,
        other => panic!("{sql}: {other:?}"),
    }
}

/// The table a statement would make.
fn defined(table: &CreateTable) -> Arc<TableDefinition> {
    let columns = table.columns.iter().zip(1..).map(|(column, id)| {
        ColumnDefinition::new(ColumnId(id), &column.name, column.column_type.clone())
    });
    Arc::new(TableDefinition {
        id: TableId(1),
        namespace_id: NamespaceId(1),
        namespace: "ns".into(),
        name: "t".into(),
        table_type: table.table_type,
        created_by: UserId::new("root"),
        created_at_us: 0,
        updated_at_us: 0,
        schema_version: 1,
        next_column_id: 9,
        columns: columns.collect(),
        primary_key: Vec::new(),
        options: table.options.clone(),
        comment: None,
        checks: Vec::new(),
        change: None,
    })
}

#[test]
fn a_stream_is_defined_in_two_ways() {
    let said = table("CREATE STREAM TABLE t (a INT) WITH (TTL_SECONDS = 80, max_rows = '5')");
    let optional = table(
        "CREATE TABLE t (a INT) WITH (MAX_ROWS = 5, TYPE = 'Stream') WITH (ttl_seconds = 80)",
    );
    assert_eq!(said, optional);
    assert_eq!(said.table_type, TableType::Stream);
    let options = &said.options;
    assert_eq!((options.ttl_seconds, options.max_rows), (Some(80), Some(5)));
    assert_eq!((options.bucket_seconds, options.deleted_retention_hours), (Some(10), 0));
    assert_eq!(options.durability, Durability::Interval { interval_ms: 100 });
    let synced = table("CREATE STREAM TABLE t (a INT) WITH (TTL_SECONDS = 1, DURABILITY = 'sync')");
    assert_eq!(synced.options.durability, Durability::Sync);
    assert_eq!(synced.options.bucket_seconds, Some(1));
}

#[test]
fn show_create_table_reads_back_as_the_same_stream() {
    for options in [
        "TTL_SECONDS = 1",
        "TTL_SECONDS = 3162240000, MAX_ROWS = 1000000000000",
        "TTL_SECONDS = 60, DURABILITY = 'sync'",
        "TTL_SECONDS = 60, MAX_ROWS = 1, DURABILITY = 'interval:5ms'",
    ] {
        let stream = table(&format!("CREATE STREAM TABLE ns.t (a INT, b TEXT) WITH ({options})"));
        let definition = defined(&stream);
        let shown = crate::show_create_table(&definition);
        assert_eq!(table(&shown), CreateTable::of(&definition), "{shown}");
        assert_eq!(CreateTable::of(&definition).options, stream.options);
    }
}

#[test]
fn a_stream_from_another_source_is_checked_too() {
    let stream = table("CREATE STREAM TABLE t (a INT) WITH (TTL_SECONDS = 80)");
    let without_ttl = CreateTable { options: Default::default(), ..stream.clone() };
    assert!(crate::parse::check_create_table(&without_ttl).is_err());
    let shared = CreateTable { table_type: TableType::Shared, ..stream };
    assert!(crate::parse::check_create_table(&shared).is_err());
}
