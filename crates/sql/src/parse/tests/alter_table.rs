//! ALTER TABLE and DESCRIBE … HISTORY.

use kalamdb_commons::{AccessLevel, ColumnType, Durability, ErrorKind};

use super::{refusal, statement};
use crate::parse::{AlterAction, AlterTable};
use crate::{Statement, TableName};

fn alter(sql: &str) -> AlterTable {
    match statement(sql) {
        Statement::AlterTable(alter) => *alter,
        other => panic!("{sql}: {other:?}"),
    }
}

fn action(operation: &str) -> AlterAction {
    let mut alter = alter(&format!("ALTER TABLE t {operation}"));
    assert_eq!(alter.operations.len(), 1, "{operation}");
    alter.operations.remove(0).action
}

#[test]
fn alter_table_takes_several_operations() {
    let alter = alter(
        "ALTER TABLE IF EXISTS shop.t ADD COLUMN IF NOT EXISTS a INT NOT NULL DEFAULT 5 COMMENT 'x', \
         DROP b CASCADE, RENAME COLUMN c TO \"D\", ALTER e TYPE BIGINT, \
         ALTER COLUMN f SET DEFAULT 'a, b', RENAME TO u",
    );
    assert!(alter.if_exists);
    assert_eq!(alter.name, TableName::qualified("shop", "t"));
    let actions: Vec<_> = alter.operations.into_iter().map(|operation| operation.action).collect();
    let AlterAction::AddColumn { column, if_not_exists: true } = &actions[0] else {
        panic!("{:?}", actions[0])
    };
    assert_eq!((column.name.as_str(), column.nullable), ("a", false));
    assert_eq!(column.default.as_deref(), Some("5"));
    assert_eq!(column.comment.as_deref(), Some("x"));
    let dropped = AlterAction::DropColumn { name: "b".to_owned(), if_exists: false, cascade: true };
    assert_eq!(actions[1], dropped);
    let renamed = AlterAction::RenameColumn { from: "c".to_owned(), to: "D".to_owned() };
    assert_eq!(actions[2], renamed);
    let column_type = ColumnType::Int64;
    let widened = AlterAction::SetType { name: "e".to_owned(), column_type, length_max: None };
    assert_eq!(actions[3], widened);
    let default = Some("'a, b'".to_owned());
    assert_eq!(actions[4], AlterAction::SetDefault { name: "f".to_owned(), default });
    assert_eq!(actions[5], AlterAction::Rename { to: TableName::bare("u") });
}

#[test]
fn alter_table_has_other_spellings() {
    let set_type = action("ALTER COLUMN c SET DATA TYPE VARCHAR(20)");
    assert_eq!(set_type, action("ALTER c TYPE varchar(20)"));
    let not_null = AlterAction::SetNullable { name: "c".to_owned(), nullable: false };
    assert_eq!(action("ALTER c SET NOT NULL"), not_null);
    let nullable = AlterAction::SetNullable { name: "c".to_owned(), nullable: true };
    assert_eq!(action("ALTER COLUMN c DROP NOT NULL"), nullable);
    let no_default = AlterAction::SetDefault { name: "c".to_owned(), default: None };
    assert_eq!(action("ALTER c DROP DEFAULT"), no_default);
    let dropped = AlterAction::DropColumn { name: "c".to_owned(), if_exists: true, cascade: false };
    assert_eq!(action("DROP COLUMN IF EXISTS c RESTRICT"), dropped);
    let constraint = AlterAction::DropConstraint { name: "n".to_owned(), if_exists: true };
    assert_eq!(action("DROP CONSTRAINT IF EXISTS n"), constraint);
    assert!(matches!(action("ADD CHECK (a > 0)"), AlterAction::AddCheck { name: None, .. }));
    let AlterAction::AddCheck { name, .. } = action("ADD CONSTRAINT n CHECK (a > 0)") else {
        panic!()
    };
    assert_eq!(name.as_deref(), Some("n"));
    for kind in ["SHARED", "USER", "STREAM"] {
        let typed = alter(&format!("ALTER {kind} TABLE t DROP c"));
        assert_eq!(typed.name, TableName::bare("t"), "{kind}");
        assert_eq!(typed.operations[0].action, action("DROP c"), "{kind}");
    }
}

#[test]
fn alter_table_takes_columns_called_like_its_words() {
    let AlterAction::AddColumn { column, .. } = action("ADD COLUMN column INT") else { panic!() };
    assert_eq!(column.name, "column");
    let renamed = AlterAction::RenameColumn { from: "to".to_owned(), to: "x".to_owned() };
    assert_eq!(action("RENAME to TO x"), renamed);
    let renamed = AlterAction::RenameColumn { from: "column".to_owned(), to: "x".to_owned() };
    assert_eq!(action("RENAME column TO x"), renamed);
    let dropped =
        AlterAction::DropColumn { name: "column".to_owned(), if_exists: false, cascade: false };
    assert_eq!(action("DROP column"), dropped);
}

#[test]
fn alter_table_sets_options() {
    let sql = "SET TBLPROPERTIES ('access_level' = 'public', DURABILITY = 'interval:50ms')";
    let AlterAction::SetOptions { written, options } = action(sql) else { panic!() };
    assert_eq!(written, ["access_level", "durability"]);
    assert_eq!(options.access_level, AccessLevel::Public);
    assert_eq!(options.durability, Durability::Interval { interval_ms: 50 });
    assert_eq!(action("SET (MAX_ROWS = 5)"), action("SET OPTIONS (max_rows = 5)"));
}

#[test]
fn alter_table_refuses_by_name() {
    for (operation, said, kind) in [
        ("ADD PRIMARY KEY (a)", "ADD PRIMARY KEY is not supported", ErrorKind::Unsupported),
        ("ADD a INT PRIMARY KEY", "PRIMARY KEY is not supported", ErrorKind::Unsupported),
        ("ADD a INT CHECK (a > 0)", "with CHECK is not supported", ErrorKind::Unsupported),
        ("ADD a INT UNIQUE", "only the primary key is unique", ErrorKind::Unsupported),
        ("ADD UNIQUE (a)", "ADD UNIQUE is not supported", ErrorKind::Unsupported),
        ("ADD FOREIGN KEY (a) REFERENCES u", "FOREIGN KEY is not", ErrorKind::Unsupported),
        ("ADD a UUID DEFAULT UUID()", "another value for every row", ErrorKind::Unsupported),
        ("ADD a BIGSERIAL", "DEFAULT of SNOWFLAKE_ID()", ErrorKind::Unsupported),
        ("ADD a INT FIRST", "a place for the new column", ErrorKind::Unsupported),
        ("DROP PRIMARY KEY", "DROP PRIMARY KEY is not supported", ErrorKind::Unsupported),
        ("ALTER a TYPE INT USING a::INT", "USING is not supported", ErrorKind::Unsupported),
        ("ALTER a SET COMMENT 'x'", "use COMMENT ON COLUMN", ErrorKind::Unsupported),
        ("SET SCHEMA other", "another namespace", ErrorKind::Unsupported),
        ("SET (TYPE = 'user')", "another TYPE of a table", ErrorKind::Unsupported),
        ("OWNER TO joe", "ALTER TABLE … OWNER is not supported", ErrorKind::Unsupported),
        ("MODIFY a INT", "use ALTER COLUMN … TYPE", ErrorKind::Unsupported),
        ("RENAME CONSTRAINT a TO b", "RENAME CONSTRAINT is not", ErrorKind::Unsupported),
        ("ADDD a INT", "(did you mean ADD?), found 'ADDD' (at line 1", ErrorKind::InvalidInput),
        ("ALTER a BIGINT", "expected TYPE, SET DATA TYPE", ErrorKind::InvalidInput),
        ("SET (colour = 'red')", "there is no option 'colour'", ErrorKind::InvalidInput),
        ("ADD a INT,", "expected ADD, DROP, RENAME, ALTER or SET", ErrorKind::InvalidInput),
        ("", "expected ADD, DROP, RENAME, ALTER or SET", ErrorKind::InvalidInput),
    ] {
        let refused = refusal(&format!("ALTER TABLE t {operation}"));
        assert!(refused.to_string().contains(said), "{operation}: {refused}");
        assert_eq!(refused.kind(), kind, "{operation}: {refused}");
        assert!(refused.position().is_some(), "{operation}: {refused}");
    }
}

#[test]
fn describe_table_history_is_a_statement() {
    for sql in ["DESCRIBE t HISTORY", "DESC TABLE t HISTORY"] {
        let Statement::DescribeHistory { table } = statement(sql) else { panic!("{sql}") };
        assert_eq!(table, TableName::bare("t"));
    }
}
