//! What the system tables show, and to whom.

use kalamdb_commons::Role;

use super::SystemTable;
use crate::test_database::{Database, principal};

fn database() -> Database {
    Database::with_tables(&[
        "CREATE TABLE open (id INT PRIMARY KEY, price DECIMAL(10, 2) DEFAULT 1.5) \
         WITH (ACCESS_LEVEL = 'public')",
        "CREATE TABLE secret (id INT PRIMARY KEY)",
        "CREATE USER TABLE notes (id BIGINT PRIMARY KEY, t TEXT NOT NULL)",
    ])
}

#[tokio::test]
async fn every_table_can_be_read_and_is_listed() {
    let database = database();
    for table in SystemTable::all() {
        let sql = format!("SELECT * FROM {}.{}", table.namespace(), table.name());
        database.rows(&sql).await;
        let listed = format!(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = '{}' AND \
             table_name = '{}'",
            table.namespace(),
            table.name()
        );
        assert_eq!(database.rows(&listed).await, ["1"], "{listed}");
        let columns = format!(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = '{}' AND \
             table_name = '{}'",
            table.namespace(),
            table.name()
        );
        let expected = table.columns().fields().len().to_string();
        assert_eq!(database.rows(&columns).await, [expected]);
    }
}

#[tokio::test]
async fn listings_show_what_the_principal_may_see() {
    let database = database();
    let names = "SELECT table_name FROM system.tables ORDER BY table_name";
    let ann = principal("ann", Role::User);
    assert_eq!(database.rows_as(&ann, names).await, ["notes", "open"]);
    assert_eq!(database.rows(names).await, ["notes", "open", "secret"]);
    let columns = "SELECT DISTINCT table_name FROM information_schema.columns \
                   WHERE table_schema = 'default' ORDER BY 1";
    assert_eq!(database.rows_as(&ann, columns).await, ["notes", "open"]);
    let versions = "SELECT table_name, version FROM system.table_schemas ORDER BY 1";
    assert_eq!(database.rows_as(&ann, versions).await, ["notes|1", "open|1"]);
    let count = "SELECT table_count FROM system.namespaces WHERE name = 'default'";
    assert_eq!(database.rows_as(&ann, count).await, ["2"]);
}

#[tokio::test]
async fn users_are_listed_without_hashes() {
    let database = database();
    database.catalog.ensure_root("a password").unwrap();
    assert_eq!(database.rows("SELECT user_name, role FROM system.users").await, ["root|system"]);
    let columns = SystemTable::Users.columns();
    assert!(columns.fields().iter().all(|field| !field.name().contains("pass")));
    let ann = principal("ann", Role::User);
    assert_eq!(database.rows_as(&ann, "SELECT * FROM system.users").await, [""; 0]);
}

#[tokio::test]
async fn columns_are_described_as_the_standard_says() {
    let database = database();
    let sql = "SELECT column_name, ordinal_position, column_default, is_nullable, data_type, \
               numeric_precision, numeric_scale FROM information_schema.columns \
               WHERE table_name = 'open' ORDER BY ordinal_position";
    assert_eq!(
        database.rows(sql).await,
        ["id|1||NO|INT|32|0", "price|2|1.5|YES|DECIMAL(10, 2)|10|2"]
    );
}
