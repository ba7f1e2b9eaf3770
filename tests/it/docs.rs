//! The SQL reference is true: every example in it runs, and answers what stands below it.
//!
//! A block marked `sql` goes to `kalamdb sql`. When a block marked `text` follows, it is what the
//! shell prints; when that begins with `error:`, the example fails with exactly this message.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::server::{ROOT_PASSWORD, Server, binary_command};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sql.md");

/// One example.
struct Example {
    /// Where its SQL begins, from 1.
    line: usize,
    sql: String,
    expected: Option<String>,
}

/// The fenced blocks of a document: language, first line, content.
fn blocks(document: &str) -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, usize, String)> = None;
    for (number, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.to_owned(), number + 2, String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, _, content))) => {
                content.push_str(line);
                content.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the document does not end");
    found
}

fn examples(document: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut after_sql = false;
    for (language, line, content) in blocks(document) {
        match language.as_str() {
            "sql" => examples.push(Example { line, sql: content, expected: None }),
            "text" if after_sql => examples.last_mut().unwrap().expected = Some(content),
            other => assert_eq!(other, "sh", "line {line}: a block that nothing checks"),
        }
        after_sql = language == "sql";
    }
    examples
}

/// What differs, if anything does.
fn fault(server: &Server, example: &Example) -> Option<String> {
    let output = binary_command()
        .args(["sql", "--no-timing", "--uri", &format!("grpc://{}", server.flight())])
        .args(["-c", &example.sql])
        .env("KALAMDB_PASSWORD", ROOT_PASSWORD)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let expected = example.expected.as_deref().map(str::trim_end);
    let as_expected = match expected {
        Some(error) if error.starts_with("error:") => {
            !output.status.success() && errors.lines().next() == Some(error)
        }
        Some(text) => output.status.success() && same_lines(&printed, text),
        None => output.status.success(),
    };
    (!as_expected).then(|| {
        let expected = expected.unwrap_or("no error");
        format!(
            "line {}:\n{}printed:\n{printed}{errors}expected:\n{expected}\n",
            example.line, example.sql
        )
    })
}

/// Equal but for blanks at the ends of lines.
fn same_lines(left: &str, right: &str) -> bool {
    left.trim_end().lines().map(str::trim_end).eq(right.lines().map(str::trim_end))
}

#[test]
fn every_example_of_the_reference_runs() {
    let examples = examples(&fs::read_to_string(Path::new(REFERENCE)).unwrap());
    assert!(examples.len() > 40, "only {} examples were found", examples.len());
    let server = Server::start();
    let mut faults = String::new();
    for example in &examples {
        if let Some(fault) = fault(&server, example) {
            writeln!(faults, "{fault}").unwrap();
        }
    }
    assert!(faults.is_empty(), "{REFERENCE}:\n{faults}");
}
