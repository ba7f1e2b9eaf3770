//! CHECK, and the constraints that are not enforced and therefore refused.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArguments, Ident, Value, visit_expressions, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Token;
use kalamdb_commons::limits::TABLE_CHECKS_MAX;
use kalamdb_commons::{CheckConstraint, system_columns};

use crate::error::{ObjectKind, Position, SqlError};
use crate::parse::complexity::check_complexity;
use crate::parse::definitions::{CreateTable, NewColumn};
use crate::parse::dialect::KalamDialect;
use crate::parse::names::{check_new_name, not_found, quote_name, stored_name};
use crate::parse::reader::{Reader, is_word};
use crate::parse::split::split;

/// Bytes of a CHECK's text.
const CHECK_BYTES_MAX: usize = 16 << 10;

/// The constraints of one CREATE TABLE as they are read.
#[derive(Default)]
pub(crate) struct Constraints {
    checks: Vec<(Option<String>, Expr, Option<Position>)>,
    uniques: Vec<(Vec<String>, Option<Position>)>,
}

impl Constraints {
    /// `CHECK (condition)`, the word already taken.
    pub(crate) fn check(
        &mut self,
        reader: &mut Reader<'_>,
        name: Option<String>,
    ) -> Result<(), SqlError> {
        reader.expect(&Token::LParen)?;
        let position = reader.position();
        let condition = reader.parse_with(|parser| parser.parse_expr())?;
        reader.expect(&Token::RParen)?;
        if self.checks.len() == TABLE_CHECKS_MAX {
            return Err(too_many_checks());
        }
        self.checks.push((name, condition, position));
        Ok(())
    }

    /// True when none was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.uniques.is_empty()
    }

    /// Whether one is UNIQUE.
    pub(crate) fn has_unique(&self) -> bool {
        !self.uniques.is_empty()
    }

    /// UNIQUE over these columns.
    pub(crate) fn unique(&mut self, columns: Vec<String>, position: Option<Position>) {
        self.uniques.push((columns, position));
    }

    /// The checks of the table, each with a name. UNIQUE is refused unless it says of the key
    /// what holds of it anyway.
    pub(crate) fn finish(
        self,
        table: &str,
        columns: &[NewColumn],
        primary_key: &[String],
    ) -> Result<Vec<CheckConstraint>, SqlError> {
        let key: HashSet<&String> = primary_key.iter().collect();
        for (unique, position) in &self.uniques {
            if unique.iter().collect::<HashSet<_>>() != key {
                return Err(SqlError::unsupported(
                    "UNIQUE of other columns than the key's",
                    "make them the PRIMARY KEY, or look for the value before it is written",
                )
                .at(*position));
            }
        }
        let mut taken: HashSet<String> =
            self.checks.iter().filter_map(|(name, _, _)| name.clone()).collect();
        let mut checks = Vec::with_capacity(self.checks.len());
        for (name, mut condition, position) in self.checks {
            let used = validate(&mut condition, table, columns).map_err(|e| e.at(position))?;
            let name = name.unwrap_or_else(|| free_name(table, &used, &mut taken));
            let expression = text_of(&condition).map_err(|error| error.at(position))?;
            checks.push(CheckConstraint { name, expression });
        }
        Ok(checks)
    }
}

/// `CONSTRAINT name`, when it comes next.
pub(crate) fn constraint_name(reader: &mut Reader<'_>) -> Result<Option<String>, SqlError> {
    if !reader.eat_word("CONSTRAINT") {
        return Ok(None);
    }
    reader.name("the constraint's name").map(Some)
}

/// Refuses a constraint that nothing would enforce, when one comes next.
pub(crate) fn refuse_others(reader: &Reader<'_>) -> Result<(), SqlError> {
    let next_is = |word: &str| is_word(reader.peek_nth(1), word);
    let bracket_follows = matches!(reader.peek_nth(1), Token::LParen);
    let (what, advice) = if reader.peek_word("REFERENCES") {
        (
            "REFERENCES",
            "other tables are not looked at when a row is written, use a join to find \
                        rows without a partner",
        )
    } else if reader.peek_word("FOREIGN") && next_is("KEY") {
        (
            "FOREIGN KEY",
            "other tables are not looked at when a row is written, use a join to \
                         find rows without a partner",
        )
    } else if reader.peek_word("COLLATE") {
        ("COLLATE", "text is ordered by its code points, use lower(…) to compare without case")
    } else if reader.peek_word("EXCLUDE") && (bracket_follows || next_is("USING")) {
        ("EXCLUDE", "rows are only compared by their key, use PRIMARY KEY")
    } else {
        return Ok(());
    };
    Err(reader.unsupported(what, advice))
}

/// A check that is added to a table: its name, one that is free when none is given, and its text.
/// Returns the columns it uses besides.
pub(crate) fn added_check(
    name: Option<String>,
    condition: &Expr,
    table: &CreateTable,
) -> Result<(CheckConstraint, Vec<String>), SqlError> {
    let mut condition = condition.clone();
    let table_name = &table.name.table;
    let used = validate(&mut condition, table_name, &table.columns)?;
    let mut taken: HashSet<String> = table.checks.iter().map(|check| check.name.clone()).collect();
    let name = name.unwrap_or_else(|| free_name(table_name, &used, &mut taken));
    Ok((CheckConstraint { name, expression: text_of(&condition)? }, used))
}

/// The columns of the table that a check uses.
pub(crate) fn columns_of_check(
    check: &CheckConstraint,
    table: &CreateTable,
) -> Result<Vec<String>, SqlError> {
    validate(&mut check_expression(&check.expression)?, &table.name.table, &table.columns)
}

/// The text of a check in which the column `from` is called `to`.
pub(crate) fn renamed_in_check(text: &str, from: &str, to: &str) -> Result<String, SqlError> {
    let quoted = quote_name(to).starts_with('"');
    let new_name = || if quoted { Ident::with_quote('"', to) } else { Ident::new(to) };
    let mut condition = check_expression(text)?;
    let walked = visit_expressions_mut(&mut condition, |part| {
        match part {
            Expr::Identifier(name) if stored_name(name) == from => *name = new_name(),
            Expr::CompoundIdentifier(parts) => {
                if let Some(name) = parts.first_mut().filter(|name| stored_name(name) == from) {
                    *name = new_name();
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    debug_assert!(walked.is_continue());
    text_of(&condition)
}

/// Checks the checks of a definition from whatever source.
pub(crate) fn check_constraints(table: &CreateTable) -> Result<(), SqlError> {
    if table.checks.len() > TABLE_CHECKS_MAX {
        return Err(too_many_checks());
    }
    let mut names = HashSet::with_capacity(table.checks.len());
    for check in &table.checks {
        check_new_name(ObjectKind::Constraint, &check.name)?;
        if !names.insert(check.name.as_str()) {
            return Err(SqlError::invalid(format!(
                "the constraint {} is declared twice, give each its own name",
                quote_name(&check.name)
            )));
        }
        let mut condition = check_expression(&check.expression)?;
        validate(&mut condition, &table.name.table, &table.columns)?;
        text_of(&condition)?;
    }
    Ok(())
}

/// The condition of a CHECK, read from the text in which it is stored.
///
/// # Errors
/// A text that is no expression.
pub fn check_expression(text: &str) -> Result<Expr, SqlError> {
    let mut parts = split(text)?;
    let (Some(part), true) = (parts.pop(), parts.is_empty()) else {
        return Err(SqlError::invalid("one condition is expected"));
    };
    check_complexity(&part.tokens)?;
    let dialect = KalamDialect::for_tokens(part.tokens.len());
    let mut reader = Reader::new(&dialect, part.tokens);
    let condition = reader.parse_with(|parser| parser.parse_expr())?;
    reader.expect_end()?;
    Ok(condition)
}

/// The text a condition is stored as: one that reads back as the same condition.
fn text_of(condition: &Expr) -> Result<String, SqlError> {
    let text = condition.to_string();
    if text.len() > CHECK_BYTES_MAX {
        return Err(SqlError::TooLarge {
            what: "the text of a CHECK in bytes",
            limit: CHECK_BYTES_MAX,
            advice: "use several checks",
        });
    }
    match check_expression(&text) {
        Ok(again) if again.to_string() == text => Ok(text),
        _ => Err(SqlError::unsupported("this way to write the condition", "write it in full")),
    }
}

/// Refuses what a check cannot depend on; takes the table's name off its columns. Returns the
/// columns it uses, in the order of the table.
fn validate(
    condition: &mut Expr,
    table: &str,
    columns: &[NewColumn],
) -> Result<Vec<String>, SqlError> {
    let walked = visit_expressions_mut(condition, |part| {
        if let Expr::CompoundIdentifier(parts) = part
            && let [qualifier, column] = parts.as_slice()
            && stored_name(qualifier) == table
            && !columns.iter().any(|column| column.name == table)
        {
            *part = Expr::Identifier(column.clone());
        }
        ControlFlow::<()>::Continue(())
    });
    debug_assert!(walked.is_continue());
    let mut used = HashSet::new();
    let walked = visit_expressions(condition, |part| match check_part(part, columns) {
        Ok(column) => {
            used.extend(column);
            ControlFlow::Continue(())
        }
        Err(error) => ControlFlow::Break(error),
    });
    if let ControlFlow::Break(error) = walked {
        return Err(error);
    }
    let names = columns.iter().map(|column| &column.name);
    Ok(names.filter(|name| used.contains(*name)).cloned().collect())
}

/// The column a part of the condition is, if it is one.
fn check_part(part: &Expr, columns: &[NewColumn]) -> Result<Option<String>, SqlError> {
    match part {
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            Err(SqlError::invalid("a check takes no parameters, write the value into the text"))
        }
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => Err(no_query()),
        Expr::Function(function) => {
            if matches!(function.args, FunctionArguments::Subquery(_)) {
                return Err(no_query());
            }
            if function.over.is_some() {
                return Err(SqlError::unsupported(
                    "a window function in a check",
                    "a check sees one row at a time",
                ));
            }
            Ok(None)
        }
        Expr::Lambda(_) => {
            Err(SqlError::unsupported("a lambda in a check", "use functions of whole values"))
        }
        Expr::Identifier(name) => known_column(&stored_name(name), columns).map(Some),
        Expr::CompoundIdentifier(parts) => {
            let first = parts.first().map(stored_name).unwrap_or_default();
            known_column(&first, columns).map(Some)
        }
        _ => Ok(None),
    }
}

fn known_column(name: &str, columns: &[NewColumn]) -> Result<String, SqlError> {
    if columns.iter().any(|column| column.name == name) {
        return Ok(name.to_owned());
    }
    if system_columns::is_system_column(name) {
        return Err(SqlError::invalid(format!(
            "a check cannot use the system column {name}, it has no value before the row is \
             written"
        )));
    }
    Err(not_found(ObjectKind::Column, name, columns.iter().map(|column| column.name.as_str())))
}

fn no_query() -> SqlError {
    SqlError::unsupported("a query in a check", "a check sees the values of one row")
}

fn too_many_checks() -> SqlError {
    SqlError::TooLarge {
        what: "the number of CHECK constraints",
        limit: TABLE_CHECKS_MAX,
        advice: "join conditions by AND",
    }
}

/// `t_a_check` for a condition on one column, else `t_check`; with a number when it is taken.
fn free_name(table: &str, used: &[String], taken: &mut HashSet<String>) -> String {
    let base = match used {
        [column] => format!("{table}_{column}_check"),
        _ => format!("{table}_check"),
    };
    let names = std::iter::once(base.clone()).chain((1..).map(|n| format!("{base}{n}")));
    let free = names.into_iter().find(|name| !taken.contains(name)).unwrap_or(base);
    taken.insert(free.clone());
    free
}
