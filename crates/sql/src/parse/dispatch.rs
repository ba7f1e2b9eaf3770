//! The allow-list: which statements exist, decided by their first words.

use crate::error::SqlError;
use crate::parse::reader::{Reader, is_word};
use crate::parse::statement::Statement;
use crate::parse::{
    alter_table, comments, create_table, dml, explain, merge, namespaces, query_guard, settings,
    show, users, views,
};
use crate::suggest::nearest;
use datafusion::sql::sqlparser::tokenizer::Token;

/// Words a statement of ours begins with.
const STATEMENT_WORDS: [&str; 20] = [
    "SELECT", "WITH", "VALUES", "FROM", "EXPLAIN", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP",
    "ALTER", "SHOW", "DESCRIBE", "DESC", "USE", "SET", "RESET", "COMMENT", "TRUNCATE", "MERGE",
];

/// Statements that other systems have and we refuse by name, and what to do instead.
const REFUSED: [(&str, &str); 44] = [
    ("ABORT", "every statement is atomic by itself"),
    ("ANALYZE", "statistics are kept up to date without it"),
    ("ATTACH", "SQL reaches no files"),
    ("BACKUP", ""),
    ("BEGIN", "every statement is atomic by itself"),
    ("CACHE", ""),
    ("CALL", ""),
    ("CHECKPOINT", ""),
    ("CLOSE", ""),
    ("CLUSTER", ""),
    ("COMMIT", "every statement is atomic by itself"),
    ("COPY", "SQL reaches no files, use kalamdb import or kalamdb export"),
    ("DEALLOCATE", "prepared statements belong to the protocol"),
    ("DECLARE", ""),
    ("DETACH", "SQL reaches no files"),
    ("DO", ""),
    ("END", "every statement is atomic by itself"),
    ("EXECUTE", "prepared statements belong to the protocol"),
    ("EXPORT", "SQL reaches no files, use kalamdb export"),
    ("FETCH", ""),
    ("FLUSH", ""),
    ("GRANT", "use ALTER USER … ROLE"),
    ("IMPORT", "SQL reaches no files, use kalamdb import"),
    ("INSTALL", "there are no extensions"),
    ("KILL", ""),
    ("LIST", ""),
    ("LISTEN", ""),
    ("LOAD", "there are no extensions, and SQL reaches no files: use kalamdb import"),
    ("LOCK", "concurrent statements need no locks"),
    ("NOTIFY", ""),
    ("OPTIMIZE", ""),
    ("PIVOT", "use an aggregate with FILTER (WHERE …) for each column"),
    ("PRAGMA", ""),
    ("PREPARE", "prepared statements belong to the protocol"),
    ("RENAME", ""),
    ("REPLACE", "use INSERT … ON CONFLICT DO UPDATE SET …"),
    ("REVOKE", "use ALTER USER … ROLE"),
    ("ROLLBACK", "every statement is atomic by itself"),
    ("SAVEPOINT", "every statement is atomic by itself"),
    ("START", "every statement is atomic by itself"),
    ("SUMMARIZE", "use SELECT count(c), min(c), max(c), avg(c), … FROM"),
    ("UNLOAD", "SQL reaches no files, use kalamdb export"),
    ("UNPIVOT", "use UNION ALL, a query for each column"),
    ("VACUUM", "space is reclaimed without it"),
];

/// One statement, whatever it is.
pub(crate) fn statement(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    if matches!(reader.peek(), Token::LParen) {
        return query(reader);
    }
    let Some(word) = reader.peek_any_word() else {
        return Err(reader.expected("a statement"));
    };
    match word.as_str() {
        "WITH" if merge::follows_with(reader) => merge::merge(reader),
        "SELECT" | "WITH" | "VALUES" | "FROM" | "TABLE" => query(reader),
        "INSERT" => dml::insert(reader),
        "UPDATE" => dml::update(reader),
        "DELETE" => dml::delete(reader),
        "MERGE" => merge::merge(reader),
        "EXPLAIN" => explain::explain(reader),
        "CREATE" => create(reader),
        "DROP" => drop(reader),
        "ALTER" => alter(reader),
        "COMMENT" => comments::comment_on(reader),
        "SHOW" => show::show(reader),
        "DESCRIBE" | "DESC" => show::describe(reader),
        "TRUNCATE" => views::truncate(reader),
        "USE" => settings::use_namespace(reader),
        "SET" => settings::set(reader),
        "RESET" => settings::reset(reader),
        other => Err(unknown_statement(reader, other)),
    }
}

/// SELECT, WITH (also before INSERT, UPDATE, DELETE), VALUES, FROM-first and bracketed queries.
pub(crate) fn query(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let position = reader.position();
    let mut query = reader.parse_with(|parser| parser.parse_query())?;
    if dml::follows_queries(&query) {
        return dml::with_queries(*query).map_err(|error| error.at(position));
    }
    query_guard::check_query(&mut query).map_err(|error| error.at(position))?;
    Ok(Statement::Query(query))
}

/// Parameters stand for values in queries and DML; no other statement takes them.
pub(crate) fn check_parameters(statement: &Statement, count: usize) -> Result<(), SqlError> {
    let takes_values = match statement {
        Statement::Query(_) | Statement::Explain(_) | Statement::CreateTableAs(_) => true,
        other => other.is_dml(),
    };
    if count == 0 || takes_values {
        return Ok(());
    }
    let name = statement.name();
    Err(SqlError::invalid(format!("{name} takes no parameters, write the values into the text")))
}

fn unknown_statement(reader: &Reader<'_>, word: &str) -> SqlError {
    if let Some((name, advice)) = REFUSED.iter().find(|(name, _)| *name == word) {
        return reader.unsupported(name, advice);
    }
    match nearest(word, STATEMENT_WORDS) {
        Some(meant) => reader.expected(&format!("a statement (did you mean {meant}?)")),
        None => reader.expected("a statement"),
    }
}

fn create(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let start = reader.position();
    reader.expect_word("CREATE")?;
    if namespaces::eat_namespace_word(reader) {
        return namespaces::create_namespace(reader);
    }
    if create_table::is_create_table(reader) {
        return create_table::create_table(reader);
    }
    if views::is_create_view(reader) {
        return views::create_view(reader);
    }
    if reader.eat_word("USER") {
        return users::create_user(reader);
    }
    Err(refused_object(reader, "CREATE", CREATABLE).at(start))
}

fn drop(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let start = reader.position();
    reader.expect_word("DROP")?;
    if namespaces::eat_namespace_word(reader) {
        return namespaces::drop_namespace(reader);
    }
    let typed =
        (reader.peek_word("SHARED") || reader.peek_word("USER") || reader.peek_word("STREAM"))
            && is_word(reader.peek_nth(1), "TABLE");
    if typed {
        reader.next();
    }
    if reader.eat_word("TABLE") {
        let if_exists = reader.if_exists();
        let mut names = vec![reader.table_name()?];
        while reader.eat(&Token::Comma) {
            names.push(reader.table_name()?);
        }
        let cascade = reader.cascade();
        return Ok(Statement::DropTable { names, if_exists, cascade });
    }
    if reader.eat_word("VIEW") {
        return views::drop_view(reader);
    }
    if reader.eat_word("USER") {
        return users::drop_user(reader);
    }
    Err(refused_object(reader, "DROP", CREATABLE).at(start))
}

fn alter(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let start = reader.position();
    reader.expect_word("ALTER")?;
    if alter_table::is_alter_table(reader) {
        return alter_table::alter_table(reader);
    }
    if reader.eat_word("USER") {
        return users::alter_user(reader);
    }
    if namespaces::eat_namespace_word(reader) {
        return namespaces::alter_namespace(reader);
    }
    Err(refused_object(reader, "ALTER", "NAMESPACE, TABLE and USER").at(start))
}

/// What CREATE and DROP know.
const CREATABLE: &str = "NAMESPACE, TABLE, VIEW and USER";

/// Kinds of objects of other systems: "CREATE VIEW is not supported" says more than "expected".
const KNOWN_OBJECTS: [&str; 30] = [
    "TABLE",
    "NAMESPACE",
    "SCHEMA",
    "DATABASE",
    "VIEW",
    "INDEX",
    "FUNCTION",
    "PROCEDURE",
    "TRIGGER",
    "TYPE",
    "DOMAIN",
    "SEQUENCE",
    "ROLE",
    "POLICY",
    "EXTENSION",
    "SECRET",
    "MACRO",
    "STORAGE",
    "TOPIC",
    "SERVER",
    "CATALOG",
    "OPERATOR",
    "EXTERNAL",
    "TEMPORARY",
    "TEMP",
    "MATERIALIZED",
    "UNBOUNDED",
    "VIRTUAL",
    "OR",
    "UNIQUE",
];

/// CREATE, DROP or ALTER of something we do not have.
fn refused_object(reader: &Reader<'_>, verb: &str, known: &str) -> SqlError {
    let Some(word) = reader.peek_any_word().filter(|word| KNOWN_OBJECTS.contains(&&**word)) else {
        let choice = known.replace(" and ", " or ");
        let words = known.split([',', ' ']).filter(|word| !word.is_empty() && *word != "and");
        let meant = reader.peek_any_word().and_then(|word| nearest(&word, words));
        let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
        return reader.expected(&format!("{choice} after {verb}{meant}"));
    };
    let what = match word.as_str() {
        "OR" => format!("{verb} OR REPLACE{}", object_words(reader, 2)),
        "TEMPORARY" | "TEMP" if is_word(reader.peek_nth(1), "VIEW") => {
            format!("{verb} {word} VIEW")
        }
        "EXTERNAL" | "TEMPORARY" | "TEMP" | "UNBOUNDED" | "VIRTUAL" => {
            format!("{verb} {word} TABLE")
        }
        "MATERIALIZED" => format!("{verb} MATERIALIZED VIEW"),
        "UNIQUE" => format!("{verb} INDEX"),
        _ => format!("{verb} {word}"),
    };
    let advice = match word.as_str() {
        "EXTERNAL" => "SQL reaches no files, use kalamdb import".to_owned(),
        _ if what.ends_with("TEMP VIEW") || what.ends_with("TEMPORARY VIEW") => {
            "use an ordinary view".to_owned()
        }
        "TEMPORARY" | "TEMP" => "use an ordinary table".to_owned(),
        "OR" if what.ends_with("TABLE") => {
            "drop the table first, only views can be replaced".to_owned()
        }
        "OR" => "only views can be replaced".to_owned(),
        "ROLE" | "POLICY" => "roles are user, service, dba and system".to_owned(),
        _ => format!("{verb} knows {known}"),
    };
    SqlError::unsupported(what, advice)
}

/// The kind of object that is named from the token `first` on, each word after a space.
fn object_words(reader: &Reader<'_>, first: usize) -> String {
    const TABLE_TYPES: [&str; 3] = ["USER", "SHARED", "STREAM"];
    // No kind has more words.
    const WORDS_MAX: usize = 2;
    let mut words = String::new();
    for place in first..first + WORDS_MAX {
        let mut known = KNOWN_OBJECTS.iter().chain(&TABLE_TYPES);
        let Some(word) = known.find(|word| is_word(reader.peek_nth(place), word)) else { break };
        words.push(' ');
        words.push_str(word);
        if ["TABLE", "VIEW"].contains(word) {
            break;
        }
    }
    words
}
