//! ALTER TABLE: one or several operations, with commas between.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, visit_expressions};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Position, SqlError};
use crate::parse::column_types::declared_type;
use crate::parse::constraints::{check_expression, constraint_name, refuse_others};
use crate::parse::create_table::added_column;
use crate::parse::default_values::default_clause;
use crate::parse::definitions::{AlterAction, AlterOperation, AlterTable};
use crate::parse::options::{WrittenOptions, with_options};
use crate::parse::reader::{Reader, is_word};
use crate::parse::statement::Statement;
use crate::suggest::nearest;

/// Operations of one statement.
const OPERATIONS_MAX: usize = 1000;

/// Functions that give every row a value of its own, upper-cased.
const VOLATILE_FUNCTIONS: [&str; 4] = ["UUID", "UUID_V7", "SNOWFLAKE_ID", "ULID"];

/// Words an operation begins with.
const OPERATIONS: [&str; 5] = ["ADD", "DROP", "RENAME", "ALTER", "SET"];

/// Operations of other systems, and what to do instead.
const REFUSED: [(&str, &str); 14] = [
    ("ATTACH", "a table has no partitions"),
    ("CHANGE", "use ALTER COLUMN … TYPE and RENAME COLUMN"),
    ("CLUSTER", "rows are stored by their key"),
    ("CONVERT", "text is UTF-8"),
    ("DETACH", "a table has no partitions"),
    ("DISABLE", "constraints always hold"),
    ("ENABLE", "constraints always hold"),
    ("INHERIT", "tables do not inherit from each other"),
    ("MODIFY", "use ALTER COLUMN … TYPE"),
    (
        "OWNER",
        "who created a SHARED table may alter it with the role service, any table the role dba",
    ),
    ("PARTITION", "a table has no partitions"),
    ("REPLACE", "use DROP COLUMN and ADD COLUMN"),
    ("UNSET", "use SET TBLPROPERTIES with the value it is to have"),
    ("VALIDATE", "constraints are checked when they are added"),
];

/// True when, after ALTER, a table comes. A user of that name is written `ALTER USER "table"`.
pub(crate) fn is_alter_table(reader: &Reader<'_>) -> bool {
    let typed = ["USER", "SHARED", "STREAM"].iter().any(|word| reader.peek_word(word));
    is_word(reader.peek_nth(usize::from(typed)), "TABLE")
}

/// `[SHARED | USER | STREAM] TABLE [IF EXISTS] t operation, …`, after ALTER.
pub(crate) fn alter_table(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    if !reader.peek_word("TABLE") {
        reader.next();
    }
    reader.expect_word("TABLE")?;
    let if_exists = reader.if_exists();
    let name = reader.table_name()?;
    let mut operations = vec![operation(reader)?];
    while reader.eat(&Token::Comma) {
        if operations.len() == OPERATIONS_MAX {
            return Err(SqlError::TooLarge {
                what: "the number of operations of one ALTER TABLE",
                limit: OPERATIONS_MAX,
                advice: "use several statements",
            });
        }
        operations.push(operation(reader)?);
    }
    Ok(Statement::AlterTable(Box::new(AlterTable { name, if_exists, operations })))
}

fn operation(reader: &mut Reader<'_>) -> Result<AlterOperation, SqlError> {
    let begins = reader.position();
    if reader.eat_word("ADD") {
        return add(reader);
    }
    if reader.eat_word("DROP") {
        return drop(reader);
    }
    if reader.eat_word("RENAME") {
        return rename(reader);
    }
    if reader.eat_word("ALTER") {
        return alter_column(reader);
    }
    if reader.eat_word("SET") {
        return set(reader, begins);
    }
    let word = reader.peek_any_word();
    if let Some(word) = &word
        && let Some((refused, advice)) = REFUSED.iter().find(|(refused, _)| refused == word)
    {
        return Err(reader.unsupported(&format!("ALTER TABLE … {refused}"), advice));
    }
    let meant = word.and_then(|word| nearest(&word, OPERATIONS));
    let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    Err(reader.expected(&format!("ADD, DROP, RENAME, ALTER or SET{meant}")))
}

/// Takes the word COLUMN, unless it is a column's name.
fn eat_column_word(reader: &mut Reader<'_>) {
    let is_name = reader.peek_word("COLUMN") && !matches!(reader.peek_nth(1), Token::Word(_));
    if !is_name {
        reader.eat_word("COLUMN");
    }
}

/// `[COLUMN] [IF NOT EXISTS] c type …` and `[CONSTRAINT n] CHECK (…)`.
fn add(reader: &mut Reader<'_>) -> Result<AlterOperation, SqlError> {
    let position = reader.position();
    let constraint = constraint_name(reader)?;
    let bracket_follows = matches!(reader.peek_nth(1), Token::LParen);
    if reader.peek_word("CHECK") && (bracket_follows || constraint.is_some()) {
        reader.next();
        return added_check(reader, constraint, position);
    }
    if reader.peek_word("PRIMARY") && is_word(reader.peek_nth(1), "KEY") {
        return Err(reader.unsupported(
            "ADD PRIMARY KEY",
            "rows are stored by their key: create a new table with it and fill it with INSERT … \
             SELECT",
        ));
    }
    if reader.peek_word("UNIQUE") && bracket_follows {
        return Err(reader.unsupported(
            "ADD UNIQUE",
            "only the key is unique, look for the value before it is written",
        ));
    }
    for word in ["INDEX", "PARTITION"] {
        if reader.peek_word(word) && bracket_follows {
            return Err(reader.unsupported(&format!("ADD {word}"), "rows are stored by their key"));
        }
    }
    refuse_others(reader)?;
    if constraint.is_some() {
        return Err(reader.expected("CHECK after the constraint's name"));
    }
    eat_column_word(reader);
    let if_not_exists = reader.if_not_exists();
    let position = reader.position();
    let column = added_column(reader)?;
    if let Some(default) = &column.default
        && let Some(function) = volatile_function(default)?
    {
        return Err(SqlError::unsupported(
            format!("ADD COLUMN with a DEFAULT of {function}(), another value for every row,"),
            "add the column without a default, then ALTER COLUMN … SET DEFAULT for the rows to \
             come and UPDATE the rows there are",
        )
        .at(position));
    }
    if reader.peek_word("FIRST") || reader.peek_word("AFTER") {
        return Err(reader.unsupported("a place for the new column", "it comes last"));
    }
    let action = AlterAction::AddColumn { column, if_not_exists };
    Ok(AlterOperation { action, position })
}

fn added_check(
    reader: &mut Reader<'_>,
    name: Option<String>,
    position: Option<Position>,
) -> Result<AlterOperation, SqlError> {
    reader.expect(&Token::LParen)?;
    let condition = Box::new(reader.parse_with(|parser| parser.parse_expr())?);
    reader.expect(&Token::RParen)?;
    if reader.peek_word("NOT") && is_word(reader.peek_nth(1), "VALID") {
        return Err(reader.unsupported("NOT VALID", "the rows there are must meet the check, too"));
    }
    Ok(AlterOperation { action: AlterAction::AddCheck { name, condition }, position })
}

/// The first function in a default that gives every row a value of its own.
fn volatile_function(default: &str) -> Result<Option<String>, SqlError> {
    let expression = check_expression(default)?;
    let walked = visit_expressions(&expression, |part| {
        // Some functions may stand without brackets.
        let name = match part {
            Expr::Function(function) => function.name.to_string().to_uppercase(),
            Expr::Identifier(name) if name.quote_style.is_none() => name.value.to_uppercase(),
            _ => return ControlFlow::Continue(()),
        };
        match VOLATILE_FUNCTIONS.contains(&name.as_str()) {
            true => ControlFlow::Break(name),
            false => ControlFlow::Continue(()),
        }
    });
    Ok(match walked {
        ControlFlow::Break(name) => Some(name),
        ControlFlow::Continue(()) => None,
    })
}

/// `[COLUMN] [IF EXISTS] c [CASCADE | RESTRICT]` and `CONSTRAINT [IF EXISTS] n`.
fn drop(reader: &mut Reader<'_>) -> Result<AlterOperation, SqlError> {
    if reader.peek_word("PRIMARY") && is_word(reader.peek_nth(1), "KEY") {
        return Err(reader.unsupported(
            "DROP PRIMARY KEY",
            "rows are stored by their key: create a new table without it and fill it with INSERT \
             … SELECT",
        ));
    }
    if reader.peek_word("CONSTRAINT") && matches!(reader.peek_nth(1), Token::Word(_)) {
        reader.next();
        let if_exists = reader.if_exists();
        let position = reader.position();
        let name = reader.name("the constraint's name")?;
        reader.cascade();
        let action = AlterAction::DropConstraint { name, if_exists };
        return Ok(AlterOperation { action, position });
    }
    eat_column_word(reader);
    let if_exists = reader.if_exists();
    let position = reader.position();
    let name = reader.name("a column name")?;
    let cascade = reader.cascade();
    Ok(AlterOperation { action: AlterAction::DropColumn { name, if_exists, cascade }, position })
}

/// `TO t` and `[COLUMN] a TO b`.
fn rename(reader: &mut Reader<'_>) -> Result<AlterOperation, SqlError> {
    // A column may itself be called "to".
    if reader.peek_word("TO") && !is_word(reader.peek_nth(1), "TO") {
        reader.next();
        let position = reader.position();
        let action = AlterAction::Rename { to: reader.table_name()? };
        return Ok(AlterOperation { action, position });
    }
    if reader.peek_word("CONSTRAINT") && matches!(reader.peek_nth(1), Token::Word(_)) {
        let advice = "drop the constraint and add it again under its new name";
        return Err(reader.unsupported("RENAME CONSTRAINT", advice));
    }
    let is_name = reader.peek_word("COLUMN") && is_word(reader.peek_nth(1), "TO");
    if !is_name {
        reader.eat_word("COLUMN");
    }
    let position = reader.position();
    let from = reader.name("a column name or TO")?;
    reader.expect_word("TO")?;
    let to = reader.name("the column's new name")?;
    Ok(AlterOperation { action: AlterAction::RenameColumn { from, to }, position })
}

/// `[COLUMN] c [SET DATA] TYPE t | SET DEFAULT e | DROP DEFAULT | SET NOT NULL | DROP NOT NULL`.
fn alter_column(reader: &mut Reader<'_>) -> Result<AlterOperation, SqlError> {
    eat_column_word(reader);
    let position = reader.position();
    let name = reader.name("a column name")?;
    let action = if reader.eat_word("TYPE") || reader.eat_words(&["SET", "DATA", "TYPE"]) {
        let (column_type, length_max) = declared_type(reader)?;
        if reader.peek_word("USING") {
            let advice = "only wider types are taken, which need no conversion";
            return Err(reader.unsupported("USING", advice));
        }
        AlterAction::SetType { name, column_type, length_max }
    } else if reader.eat_words(&["SET", "DEFAULT"]) {
        AlterAction::SetDefault { name, default: Some(default_clause(reader)?) }
    } else if reader.eat_words(&["DROP", "DEFAULT"]) {
        AlterAction::SetDefault { name, default: None }
    } else if reader.eat_words(&["SET", "NOT", "NULL"]) {
        AlterAction::SetNullable { name, nullable: false }
    } else if reader.eat_words(&["DROP", "NOT", "NULL"]) {
        AlterAction::SetNullable { name, nullable: true }
    } else if reader.peek_word("COMMENT")
        || (reader.peek_word("SET") && is_word(reader.peek_nth(1), "COMMENT"))
    {
        return Err(reader.unsupported("ALTER COLUMN … COMMENT", "use COMMENT ON COLUMN t.c IS"));
    } else {
        return Err(reader.expected(
            "TYPE, SET DATA TYPE, SET DEFAULT, DROP DEFAULT, SET NOT NULL or DROP NOT NULL",
        ));
    };
    Ok(AlterOperation { action, position })
}

/// `[TBLPROPERTIES | OPTIONS] (option = value, …)`.
fn set(reader: &mut Reader<'_>, position: Option<Position>) -> Result<AlterOperation, SqlError> {
    for word in ["SCHEMA", "NAMESPACE"] {
        if reader.peek_word(word) {
            let advice = "create it there anew and fill it with INSERT … SELECT";
            return Err(
                reader.unsupported("moving a table to another namespace, SET SCHEMA,", advice)
            );
        }
    }
    if reader.peek_word("COMMENT") {
        return Err(reader.unsupported("ALTER TABLE … SET COMMENT", "use COMMENT ON TABLE t IS"));
    }
    if !reader.eat_word("TBLPROPERTIES") {
        reader.eat_word("OPTIONS");
    }
    if !matches!(reader.peek(), Token::LParen) {
        return Err(reader.expected("TBLPROPERTIES (option = value, …)"));
    }
    let mut written = WrittenOptions::default();
    with_options(reader, &mut written)?;
    if written.table_type.is_some() {
        return Err(SqlError::unsupported(
            "another TYPE of a table",
            "whose rows it holds is decided when it is created",
        )
        .at(position));
    }
    let action = AlterAction::SetOptions { written: written.names(), options: written.options };
    Ok(AlterOperation { action, position })
}
