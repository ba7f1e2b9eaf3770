//! `kalamdb sql` against a real server: what it prints, and what its exit code says.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::server::{ROOT_PASSWORD, Server, binary_command};

/// A statement failed.
const FAILED: i32 = 1;
/// The command line is wrong.
const USAGE: i32 = 2;
/// The server cannot be reached, or does not let us in.
const NO_CONNECTION: i32 = 3;

/// Runs the shell on a server, with a file that holds root's password.
struct Shell {
    server: Server,
    directory: TempDir,
}

impl Shell {
    fn start() -> Self {
        let shell = Self { server: Server::start(), directory: TempDir::new().unwrap() };
        shell.file("password", &format!("{ROOT_PASSWORD}\n"));
        shell
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Runs with the given arguments after those that lead to the server.
    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = binary_command();
        command.arg("sql").arg("--uri").arg(format!("grpc://{}", self.server.flight()));
        command.arg("--password-file").arg(self.directory.path().join("password"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// What a run that must succeed prints.
    fn print(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_fails(output: &Output, code: i32, message: &str) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.contains(message), "{message:?} in {errors:?}");
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn formats_say_the_same() {
    let shell = Shell::start();
    let sql = "SELECT 1 AS id, 'a,\"b' AS t, CAST(NULL AS TEXT) AS n UNION ALL SELECT 2, '', 'é'
               ORDER BY id";
    assert_eq!(shell.print(&["-c", sql, "--format", "csv"]), "id,t,n\n1,\"a,\"\"b\",\n2,\"\",é\n");
    let json: serde_json::Value =
        serde_json::from_str(&shell.print(&["-c", sql, "--format", "json"])).unwrap();
    let expected = serde_json::json!([
        {"id": 1, "t": "a,\"b", "n": null},
        {"id": 2, "t": "", "n": "é"},
    ]);
    assert_eq!(json, expected);
    let table = shell.print(&["-c", sql, "--format", "table"]);
    for word in ["id", "a,\"b", "é", "2 rows"] {
        assert!(table.contains(word), "{word:?} in {table}");
    }
    assert_eq!(shell.print(&["-c", "SELECT 1 AS x WHERE false", "--format", "csv"]), "x\n");
    assert_eq!(shell.print(&["-c", "SELECT 1 AS x WHERE false", "--format", "json"]).trim(), "[]");
}

#[test]
fn statements_come_from_arguments_files_and_standard_input() {
    let shell = Shell::start();
    let script = "CREATE TABLE default.t (id INT PRIMARY KEY, body TEXT);
        INSERT INTO default.t VALUES (1, 'a;b'), (2, '-- no comment'); -- a comment; really
        SELECT body FROM default.t ORDER BY id;";
    let path = shell.file("script.sql", script);
    let printed = shell.print(&["-f", path.to_str().unwrap(), "--format", "csv"]);
    assert_eq!(printed, "body\na;b\n-- no comment\n");
    let input =
        "UPDATE default.t SET body = 'c' WHERE id = 1;\nSELECT count(*) AS n FROM default.t";
    let output = shell.run_with_input(&["--format", "csv"], input);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "n\n2\n");
    let several = ["-c", "DELETE FROM default.t", "-c", "SELECT count(*) AS n FROM default.t"];
    let printed = shell.print(&[&several[..], &["--format", "csv"]].concat());
    assert_eq!(printed, "n\n0\n");
    let rows = shell.print(&["-c", "SELECT * FROM generate_series(1, 30000)", "--format", "csv"]);
    assert_eq!(rows.lines().count(), 30_001, "every row of a large result");
}

#[test]
fn exit_codes_tell_failures_apart() {
    let shell = Shell::start();
    let failed = shell.run(&["-c", "SELECT nothing"]);
    assert_fails(&failed, FAILED, "nothing");
    assert_fails(&shell.run(&["-c", "SELEC 1"]), FAILED, "SELEC");
    // The first failure ends the script.
    let script =
        "CREATE TABLE default.a (id INT); SELECT * FROM default.none; DROP TABLE default.a";
    assert_fails(&shell.run(&["-c", script]), FAILED, "none");
    assert_eq!(
        shell.print(&["-c", "SELECT count(*) AS n FROM default.a", "--format", "csv"]),
        "n\n0\n"
    );

    assert_fails(&shell.run(&["--format", "xml", "-c", "SELECT 1"]), USAGE, "xml");
    assert_fails(&shell.run(&["--nonsense"]), USAGE, "nonsense");
    assert_fails(&shell.run(&["-f", "/no/such/file"]), USAGE, "/no/such/file");

    shell.file("password", "wrong");
    assert_fails(&shell.run(&["-c", "SELECT 1"]), NO_CONNECTION, "root");
    shell.file("password", ROOT_PASSWORD);
    assert_fails(&shell.run(&["--user", "nobody", "-c", "SELECT 1"]), NO_CONNECTION, "nobody");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let mut shell = Shell::start();
    let gone = format!("grpc://{}", shell.server.flight());
    shell.server.kill();
    let mut command = binary_command();
    command.args(["sql", "--uri", &gone, "--password-file"]);
    command.arg(shell.directory.path().join("password")).args(["-c", "SELECT 1"]);
    assert_fails(&command.output().unwrap(), NO_CONNECTION, &gone);
}
