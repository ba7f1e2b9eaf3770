//! What is said about wrong statements: every record of `tests/golden/errors.txt` gets the answer
//! written there. `KALAMDB_GOLDEN=write` writes the answers of today into the file instead.

use std::collections::HashMap;
use std::fmt::Write as _;

use tonic::Status;

use crate::client::Client;
use crate::server::Server;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/errors.txt");
/// Set to `write` to write the file anew.
const MODE: &str = "KALAMDB_GOLDEN";
/// Between a statement and its answer.
const RULE: &str = "----";
/// The password of the users that the file creates.
const PASSWORD: &str = "a long password";
/// Wrong statements the file holds at least.
const REFUSED_MIN: usize = 200;
/// Words of libraries, which no message may show.
const BANNED: [&str; 26] = [
    "DataFusion",
    "datafusion",
    "Arrow",
    "sqlparser",
    "Utf8",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Float32",
    "Float64",
    "Decimal128",
    "Date32",
    "Timestamp(",
    "Some(",
    "Column {",
    "Expr",
    "LogicalPlan",
    "Error during",
    "rror: ",
    "External",
    "Internal",
    "bug",
    "UDF",
    "::",
    "\n",
];

/// One statement and what is said of it.
#[derive(Debug, PartialEq)]
struct Record {
    /// Comments and blank lines before it.
    before: String,
    user: String,
    bind: Option<String>,
    sql: String,
    answer: String,
}

fn read(text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut lines = text.lines().peekable();
    loop {
        let mut before = String::new();
        while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with('#')) {
            writeln!(before, "{line}").unwrap();
        }
        let mut statement: Vec<&str> = Vec::new();
        let mut record = Record {
            before,
            user: "root".to_owned(),
            bind: None,
            sql: String::new(),
            answer: String::new(),
        };
        let Some(_) = lines.peek() else { return records };
        for line in lines.by_ref().take_while(|line| *line != RULE) {
            if let Some(user) = line.strip_prefix("as ") {
                record.user = user.to_owned();
            } else if let Some(query) = line.strip_prefix("bind ") {
                record.bind = Some(query.to_owned());
            } else {
                statement.push(line);
            }
        }
        record.sql = statement.join("\n");
        let mut answer = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.is_empty()) {
            answer.push(line);
        }
        record.answer = answer.join("\n");
        records.push(record);
    }
}

fn write(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        text.push_str(&record.before);
        if record.user != "root" {
            writeln!(text, "as {}", record.user).unwrap();
        }
        if let Some(query) = &record.bind {
            writeln!(text, "bind {query}").unwrap();
        }
        writeln!(text, "{}\n{RULE}\n{}", record.sql, record.answer).unwrap();
    }
    text
}

/// Runs a statement as the drivers do.
async fn run(client: &Client, record: &Record) -> Result<(), Status> {
    let parameters = match &record.bind {
        Some(query) => client.query(query).await.unwrap().into_iter().next(),
        None => None,
    };
    let mut prepared = client.prepare(&record.sql).await?;
    if prepared.returns_rows() {
        prepared.query(parameters).await?;
    } else {
        prepared.update(parameters).await?;
    }
    prepared.close().await
}

fn answer(result: Result<(), Status>) -> String {
    let Err(status) = result else { return "ok".to_owned() };
    let entry = |key| status.metadata().get(key).and_then(|value| value.to_str().ok());
    let state = entry("sqlstate").unwrap_or("-");
    let place = match (entry("sql-line"), entry("sql-column")) {
        (Some(line), Some(column)) => format!("{line}:{column}"),
        _ => "-".to_owned(),
    };
    format!("{:?} {state} {place}\n{}", status.code(), status.message())
}

/// What is wrong with an answer, whatever the statement.
fn faults(record: &Record) -> Vec<String> {
    let Some((head, message)) = record.answer.split_once('\n') else { return Vec::new() };
    let mut faults = Vec::new();
    let mut fault = |what: &str| faults.push(format!("{what}: {message}\n  of {}", record.sql));
    for word in BANNED {
        // What the user wrote may be said again.
        if message.contains(word) && !record.sql.contains(word) {
            fault(&format!("shows {word:?}"));
        }
    }
    let first = message.split(' ').next().unwrap_or_default();
    if first.starts_with(|c: char| c.is_uppercase()) && first.chars().any(|c| c.is_lowercase()) {
        fault("begins with a capital");
    }
    if message.ends_with('.') || message.ends_with('!') {
        fault("ends with a mark");
    }
    let mut words = head.split(' ');
    let (code, state, place) = (words.next(), words.next().unwrap_or_default(), words.next());
    if state == "-" || state.starts_with("XX") || matches!(code, Some("Internal" | "Unknown")) {
        fault("is taken for a defect");
    }
    match place.and_then(|place| place.split_once(':')) {
        Some((line, column)) => {
            if !message.ends_with(&format!("(at line {line}, column {column})")) {
                fault("says another place than the metadata");
            }
            let line: usize = line.parse().unwrap();
            let length = record.sql.lines().nth(line - 1).map(|line| line.chars().count());
            let column: usize = column.parse().unwrap();
            if length.is_none_or(|length| column > length + 1) {
                fault("is placed outside of the text");
            }
        }
        None if message.contains("(at line") => fault("has a place the metadata lacks"),
        None => {}
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_statements_get_the_answers_written_down() {
    let server = Server::start();
    let mut clients = HashMap::from([("root".to_owned(), server.root().await)]);
    let text = std::fs::read_to_string(FILE).unwrap();
    let mut records = read(&text);
    let mut wrong = Vec::new();
    for record in &mut records {
        if !clients.contains_key(&record.user) {
            let client = Client::sign_in(server.flight(), &record.user, PASSWORD).await.unwrap();
            clients.insert(record.user.clone(), client);
        }
        let answer = answer(run(&clients[&record.user], record).await);
        if answer != record.answer {
            let Record { sql, answer: expected, .. } = &record;
            wrong.push(format!("{sql}\n  expected {expected}\n  was      {answer}"));
        }
        record.answer = answer;
    }
    if std::env::var(MODE).as_deref() == Ok("write") {
        std::fs::write(FILE, write(&records)).unwrap();
        wrong.clear();
    }
    wrong.extend(records.iter().flat_map(faults));
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    let refused = records.iter().filter(|record| record.answer != "ok").count();
    assert!(refused >= REFUSED_MIN, "only {refused} statements are refused");
}

#[test]
fn the_file_is_written_as_it_is_read() {
    let text = std::fs::read_to_string(FILE).unwrap();
    assert_eq!(write(&read(&text)), text);
}
