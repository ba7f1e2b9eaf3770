//! Backslash commands: what they are called, what they do.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::connection::Connection;
use super::error::ShellError;
use super::names::{self, Table, TablePattern};
use super::output::Format;
use super::runner::{Display, cancellable};

/// What `\?` prints.
const HELP: &str = "\
Statements end with a semicolon and may span lines. Ctrl-C cancels, Ctrl-D leaves.

  \\d                list tables, but those of the system
  \\d TABLE          describe a table (also namespace.table)
  \\dt [PATTERN]     list tables, * stands for anything
  \\dn               list namespaces
  \\i FILE           run the statements of a file
  \\format NAME      write results as table, csv or json
  \\limit ROWS       show at most so many rows of a result, 0 for all
  \\timing [on|off]  show how long statements take
  \\conninfo         say who is signed in, and where
  \\?                this help
  \\q                leave
";

/// Every command's name, for completion.
pub const NAMES: [&str; 10] =
    ["\\?", "\\conninfo", "\\d", "\\dn", "\\dt", "\\format", "\\i", "\\limit", "\\q", "\\timing"];

/// A backslash command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `\q`
    Quit,
    /// `\?`
    Help,
    /// `\d TABLE`
    Describe(TablePattern),
    /// `\d`, `\dt`
    Tables(TablePattern),
    /// `\dn`
    Namespaces,
    /// `\i FILE`
    Include(PathBuf),
    /// `\format NAME`
    Format(Format),
    /// `\limit ROWS`
    Limit(Option<usize>),
    /// `\timing [on|off]`; none turns it over
    Timing(Option<bool>),
    /// `\conninfo`
    ConnectionInfo,
}

impl Command {
    /// Reads a line that starts with a backslash.
    pub fn parse(line: &str) -> Result<Self, ShellError> {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (name, argument) = match line.split_once(char::is_whitespace) {
            Some((name, argument)) => (name, argument.trim()),
            None => (line, ""),
        };
        let usage = |expected: &str| ShellError::Usage(format!("write {name} {expected}"));
        Ok(match (name, argument) {
            ("\\q" | "\\quit", "") => Self::Quit,
            ("\\?" | "\\h" | "\\help", "") => Self::Help,
            ("\\d" | "\\dt", "") => Self::Tables(TablePattern::default()),
            ("\\d", table) => Self::Describe(TablePattern::parse(table)?),
            ("\\dt", pattern) => Self::Tables(TablePattern::parse(pattern)?),
            ("\\dn", "") => Self::Namespaces,
            ("\\i", "") => return Err(usage("FILE")),
            ("\\i", file) => Self::Include(file.into()),
            ("\\format", name) => Self::Format(
                Format::from_name(name)
                    .ok_or_else(|| usage(&format!("followed by {}", Format::NAMES.join(", "))))?,
            ),
            ("\\limit", rows) => match rows.parse().map_err(|_| usage("ROWS, 0 for all"))? {
                0 => Self::Limit(None),
                rows => Self::Limit(Some(rows)),
            },
            ("\\timing", "") => Self::Timing(None),
            ("\\timing", "on") => Self::Timing(Some(true)),
            ("\\timing", "off") => Self::Timing(Some(false)),
            ("\\timing", _) => return Err(usage("on or off")),
            ("\\conninfo", "") => Self::ConnectionInfo,
            _ => {
                return Err(ShellError::Usage(format!(
                    "unknown command '{line}': \\? lists the commands"
                )));
            }
        })
    }

    /// Does what can be done with the connection and the display alone. `Quit` and `Include` are
    /// the caller's.
    pub async fn run(
        self,
        connection: &mut Connection,
        display: &mut Display,
        out: &mut (dyn Write + Send),
    ) -> Result<(), ShellError> {
        match self {
            Self::Quit | Self::Include(_) => {}
            Self::Help => out.write_all(HELP.as_bytes())?,
            Self::Describe(pattern) => {
                cancellable(describe(connection, &pattern, *display, out)).await?;
            }
            Self::Tables(pattern) => {
                let mut tables = cancellable(names::tables(connection, &pattern, false)).await?;
                if pattern == TablePattern::default() {
                    tables.retain(|table| table.kind != names::SYSTEM_TABLE);
                }
                let column = |text: fn(&Table) -> &str| tables.iter().map(text).collect();
                let columns = [
                    ("namespace", column(|table| &table.namespace)),
                    ("table", column(|table| &table.name)),
                    ("type", column(|table| &table.kind)),
                ];
                write_texts(columns, *display, out)?;
            }
            Self::Namespaces => {
                let names = cancellable(names::namespaces(connection)).await?;
                let names = names.iter().map(String::as_str).collect();
                write_texts([("namespace", names)], *display, out)?;
            }
            Self::Format(format) => display.format = format,
            Self::Limit(rows) => display.row_limit = rows,
            Self::Timing(wanted) => {
                display.timing = wanted.unwrap_or(!display.timing);
                writeln!(out, "timing is {}", if display.timing { "on" } else { "off" })?;
            }
            Self::ConnectionInfo => {
                writeln!(out, "signed in at {} as {}", connection.uri(), connection.user())?;
            }
        }
        Ok(out.flush()?)
    }
}

async fn describe(
    connection: &mut Connection,
    pattern: &TablePattern,
    display: Display,
    out: &mut (dyn Write + Send),
) -> Result<(), ShellError> {
    let tables = names::tables(connection, pattern, true).await?;
    if tables.is_empty() {
        return Err(ShellError::Usage("no such table: \\d lists the tables".into()));
    }
    for table in &tables {
        let key = names::primary_key(connection, table).await?;
        if display.format == Format::Table {
            writeln!(out, "{} {}.{}", table.kind.to_lowercase(), table.namespace, table.name)?;
        }
        let columns = &table.columns;
        let key_positions: Vec<String> = columns
            .iter()
            .map(|column| {
                let position = key.iter().position(|name| *name == column.name);
                position.map(|position| (position + 1).to_string()).unwrap_or_default()
            })
            .collect();
        let rows = [
            ("column", columns.iter().map(|column| column.name.as_str()).collect()),
            ("type", columns.iter().map(|column| column.type_name.as_str()).collect()),
            ("null", columns.iter().map(|c| if c.nullable { "" } else { "NOT NULL" }).collect()),
            ("key", key_positions.iter().map(String::as_str).collect()),
        ];
        write_texts(rows, display, out)?;
        if display.format == Format::Table {
            writeln!(out)?;
        }
    }
    Ok(())
}

fn write_texts<const N: usize>(
    columns: [(&str, Vec<&str>); N],
    display: Display,
    out: &mut (dyn Write + Send),
) -> Result<(), ShellError> {
    let columns = columns
        .into_iter()
        .map(|(name, texts)| (name, Arc::new(StringArray::from(texts)) as ArrayRef));
    let batch = RecordBatch::try_from_iter(columns)?;
    let mut writer = display.format.writer(batch.schema_ref());
    writer.write(&batch, out)?;
    writer.finish(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        let pattern = TablePattern { namespace: Some("chat".into()), table: Some("m".into()) };
        for (line, expected) in [
            ("\\q", Command::Quit),
            ("\\?", Command::Help),
            ("\\d", Command::Tables(TablePattern::default())),
            ("\\d chat.m", Command::Describe(pattern.clone())),
            ("  \\d   chat.m ; ", Command::Describe(pattern.clone())),
            ("\\dt chat.m", Command::Tables(pattern)),
            ("\\dn", Command::Namespaces),
            ("\\i some file.sql", Command::Include("some file.sql".into())),
            ("\\format json", Command::Format(Format::Json)),
            ("\\limit 20", Command::Limit(Some(20))),
            ("\\limit 0", Command::Limit(None)),
            ("\\timing", Command::Timing(None)),
            ("\\timing off", Command::Timing(Some(false))),
            ("\\conninfo", Command::ConnectionInfo),
        ] {
            assert_eq!(Command::parse(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn wrong_commands_say_what_to_write() {
        for (line, hint) in [
            ("\\nope", "\\? lists the commands"),
            ("\\format xml", "table, csv, json"),
            ("\\limit many", "ROWS"),
            ("\\timing maybe", "on or off"),
            ("\\i", "FILE"),
            ("\\q now", "\\? lists the commands"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.to_string().contains(hint), "{line}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn every_named_command_is_in_the_help() {
        for name in NAMES {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
