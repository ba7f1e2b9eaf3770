//! What Tab offers: keywords, namespaces, tables, columns, backslash commands.

use super::commands;
use super::names::Table;
use super::output::Format;

/// Candidates shown for one Tab.
const CANDIDATES_MAX: usize = 200;

/// Words of the grammar and common functions, the latter with their parenthesis.
const KEYWORDS: &[&str] = &[
    "ALL",
    "ALTER USER",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "AVG(",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTES",
    "CASE",
    "CAST(",
    "COALESCE(",
    "COUNT(",
    "CREATE NAMESPACE",
    "CREATE SHARED TABLE",
    "CREATE TABLE",
    "CREATE USER",
    "CREATE STREAM TABLE",
    "CREATE USER TABLE",
    "CROSS JOIN",
    "DATE",
    "DEFAULT",
    "DELETE FROM",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DOUBLE",
    "DROP NAMESPACE",
    "DROP TABLE",
    "DROP USER",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL JOIN",
    "GROUP BY",
    "HAVING",
    "IF EXISTS",
    "IF NOT EXISTS",
    "ILIKE",
    "IN",
    "INNER JOIN",
    "INSERT INTO",
    "INT",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "JSON",
    "LEFT JOIN",
    "LIKE",
    "LIMIT",
    "MAX(",
    "MIN(",
    "NOT",
    "NOT NULL",
    "NOW()",
    "NULL",
    "NULLS FIRST",
    "NULLS LAST",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "OVER",
    "PARTITION BY",
    "PASSWORD",
    "PRIMARY KEY",
    "RIGHT JOIN",
    "ROLE",
    "SELECT",
    "SET",
    "SHOW COLUMNS FROM",
    "SHOW CREATE TABLE",
    "SHOW NAMESPACES",
    "SHOW TABLES",
    "SHOW VIEWS",
    "SMALLINT",
    "SUM(",
    "TEXT",
    "THEN",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TRUE",
    "UNION",
    "UPDATE",
    "USE",
    "USING",
    "UUID",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words after which a table is named.
const BEFORE_TABLES: &[&str] =
    &["from", "join", "into", "update", "table", "describe", "desc", "exists"];

/// What can be completed for the word before `position` in `line`: where the word starts, and the
/// texts it may become.
pub fn complete(line: &str, position: usize, tables: &[Table]) -> (usize, Vec<String>) {
    let Some(before) = line.get(..position) else { return (position, Vec::new()) };
    let start = before
        .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '\\')))
        .map_or(0, |index| index + before[index..].chars().next().map_or(1, char::len_utf8));
    let (context, word) = before.split_at(start);
    let mut candidates = match context.trim_start() {
        "" if word.starts_with('\\') => {
            commands::NAMES.iter().map(|name| (*name).to_string()).collect()
        }
        command if command.starts_with('\\') => command_arguments(command, tables),
        _ => sql_candidates(line, context, word, tables),
    };
    let wanted = word.to_lowercase();
    candidates.retain(|candidate| candidate.to_lowercase().starts_with(&wanted));
    candidates.sort();
    candidates.dedup();
    candidates.truncate(CANDIDATES_MAX);
    (start, candidates)
}

fn command_arguments(command: &str, tables: &[Table]) -> Vec<String> {
    match command.trim_end() {
        "\\d" | "\\dt" => table_names(tables),
        "\\format" => Format::NAMES.iter().map(|name| (*name).to_string()).collect(),
        "\\timing" => vec!["on".into(), "off".into()],
        _ => Vec::new(),
    }
}

fn sql_candidates(line: &str, context: &str, word: &str, tables: &[Table]) -> Vec<String> {
    if let Some((qualifier, _)) = word.rsplit_once('.') {
        return qualified(line, qualifier, tables);
    }
    let previous = words(context).last().map(|word| word.to_lowercase()).unwrap_or_default();
    if BEFORE_TABLES.contains(&previous.as_str()) {
        return table_names(tables);
    }
    // In lower case as soon as the typing is: nobody wants `selECT`.
    let lower = word.chars().next().is_none_or(char::is_lowercase);
    let keywords = KEYWORDS.iter().map(|k| if lower { k.to_lowercase() } else { (*k).to_string() });
    let mut candidates: Vec<String> = keywords.collect();
    if word.is_empty() {
        return candidates;
    }
    let mentioned: Vec<&Table> =
        mentioned(line, tables).into_iter().map(|(table, _)| table).collect();
    if mentioned.is_empty() {
        candidates.extend(tables.iter().flat_map(column_names));
        candidates.extend(table_names(tables));
    } else {
        candidates.extend(mentioned.into_iter().flat_map(column_names));
    }
    candidates
}

/// After `namespace.` come its tables; after a table or its alias its columns.
fn qualified(line: &str, qualifier: &str, tables: &[Table]) -> Vec<String> {
    let is = |text: &str| text.eq_ignore_ascii_case(qualifier);
    let of_namespace = tables
        .iter()
        .filter(|table| is(&quoted(&table.namespace)))
        .map(|table| format!("{qualifier}.{}", quoted(&table.name)));
    let aliased = mentioned(line, tables)
        .into_iter()
        .filter(|(_, alias)| alias.as_deref().is_some_and(is))
        .map(|(table, _)| table);
    let of_columns = tables
        .iter()
        .filter(|table| is(&quoted(&table.name)) || is(&full_name(table)))
        .chain(aliased)
        .flat_map(column_names)
        .map(|column| format!("{qualifier}.{column}"));
    of_namespace.chain(of_columns).collect()
}

/// The tables a statement names, with the alias that follows each.
fn mentioned<'a>(line: &str, tables: &'a [Table]) -> Vec<(&'a Table, Option<String>)> {
    let words = words(line);
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        for table in tables {
            if word.eq_ignore_ascii_case(&full_name(table))
                || word.eq_ignore_ascii_case(&quoted(&table.name))
            {
                let mut after = words[index + 1..].iter();
                let alias = match after.next() {
                    Some(word) if word.eq_ignore_ascii_case("as") => after.next(),
                    other => other,
                };
                found.push((table, alias.map(|alias| (*alias).to_string())));
            }
        }
    }
    found
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"')))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Namespaces, bare names and full names.
fn table_names(tables: &[Table]) -> Vec<String> {
    tables
        .iter()
        .flat_map(|table| [format!("{}.", quoted(&table.namespace)), full_name(table)])
        .chain(tables.iter().filter(|t| t.namespace == "default").map(|t| quoted(&t.name)))
        .collect()
}

fn column_names(table: &Table) -> impl Iterator<Item = String> {
    table.columns.iter().map(|column| quoted(&column.name))
}

fn full_name(table: &Table) -> String {
    format!("{}.{}", quoted(&table.namespace), quoted(&table.name))
}

/// A name as it must be written in SQL.
fn quoted(name: &str) -> String {
    let starts_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if starts_plain && is_plain {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::names::Column;
    use super::*;

    fn table(namespace: &str, name: &str, columns: &[&str]) -> Table {
        Table {
            namespace: namespace.into(),
            name: name.into(),
            columns: columns
                .iter()
                .map(|name| Column {
                    name: (*name).into(),
                    type_name: "TEXT".into(),
                    nullable: true,
                })
                .collect(),
            ..Table::default()
        }
    }

    fn offered(line: &str) -> Vec<String> {
        let tables = [
            table("chat", "messages", &["id", "body", "sent_at"]),
            table("chat", "rooms", &["room_id", "Topic"]),
            table("default", "notes", &["id", "text"]),
        ];
        complete(line, line.len(), &tables).1
    }

    #[test]
    fn keywords_follow_the_case_of_the_typing() {
        assert_eq!(offered("sele"), ["select"]);
        assert_eq!(offered("SELE"), ["SELECT"]);
        assert!(offered("select 1 ord").contains(&"order by".to_string()));
    }

    #[test]
    fn tables_come_after_from() {
        assert_eq!(offered("SELECT * FROM chat."), ["chat.messages", "chat.rooms"]);
        assert_eq!(offered("SELECT * FROM ch"), ["chat.", "chat.messages", "chat.rooms"]);
        assert_eq!(offered("INSERT INTO no"), ["notes"]);
    }

    #[test]
    fn columns_are_those_of_the_tables_named() {
        assert_eq!(offered("SELECT * FROM chat.messages WHERE bo"), ["body", "boolean"]);
        assert_eq!(
            offered("SELECT * FROM chat.messages m WHERE m."),
            ["m.body", "m.id", "m.sent_at"]
        );
        assert_eq!(offered("SELECT * FROM chat.rooms AS r WHERE r."), ["r.\"Topic\"", "r.room_id"]);
        assert_eq!(offered("SELECT notes."), ["notes.id", "notes.text"]);
    }

    #[test]
    fn commands_and_their_arguments() {
        assert_eq!(offered("\\d"), ["\\d", "\\dn", "\\dt"]);
        assert_eq!(offered("\\d chat.m"), ["chat.messages"]);
        assert_eq!(offered("\\format "), ["csv", "json", "table"]);
    }

    #[test]
    fn the_word_is_replaced_from_its_start() {
        assert_eq!(complete("select ü, sel", "select ü, sel".len(), &[]).0, "select ü, ".len());
        assert_eq!(complete("sel", 99, &[]), (99, Vec::new()));
    }
}
