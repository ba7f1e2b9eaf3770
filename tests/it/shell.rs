//! `kalamdb sql` against the real server: what scripts rely on. Output, exit codes, and that the
//! first failure ends a script.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use crate::server::{END_WITHIN, ROOT_PASSWORD, Server, binary_command, wait_for_end};

fn shell(server: &Server, arguments: &[&str]) -> Command {
    let mut command = binary_command();
    command.arg("sql").args(["--uri", &format!("grpc://{}", server.flight())]).args(arguments);
    command.env("KALAMDB_PASSWORD", ROOT_PASSWORD);
    command
}

fn run(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    read(shell(server, arguments).output().unwrap())
}

fn read(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const SAMPLE: &str = "CREATE NAMESPACE shell;
    CREATE SHARED TABLE shell.t (id BIGINT PRIMARY KEY, name TEXT, at TIMESTAMPTZ, u UUID);
    INSERT INTO shell.t VALUES
      (1, 'one; two', '2026-01-02 03:04:05Z', '6f0a2f4c-7b1e-4d35-9a55-0d8f3d2c1b0a'),
      (2, '', NULL, NULL), (3, NULL, NULL, NULL)";

#[test]
fn statements_run_and_results_come_out_in_every_format() {
    let server = Server::start();
    let (code, out, err) = run(&server, &["--no-timing", "-c", SAMPLE]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, "(done)\n(done)\n(3 rows changed)\n");

    let counted = "UPDATE shell.t SET name = name;
        UPDATE shell.t SET name = name FROM (VALUES (1), (1), (3)) AS v(n) WHERE v.n = t.id;
        MERGE INTO shell.t USING (VALUES (3), (4)) AS v(n) ON t.id = v.n
          WHEN MATCHED THEN UPDATE SET at = NULL WHEN NOT MATCHED THEN INSERT (id) VALUES (v.n);
        DELETE FROM shell.t USING (VALUES (4), (4), (5)) AS v(n) WHERE v.n = t.id";
    let (code, out, err) = run(&server, &["--no-timing", "-c", counted]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, "(3 rows changed)\n(2 rows changed)\n(2 rows changed)\n(1 row changed)\n");

    let query = "SELECT * FROM shell.t ORDER BY id";
    let (code, out, _) = run(&server, &["--no-timing", "-c", query]);
    let table = [
        " id | name     | at                        | u",
        "----+----------+---------------------------+--------------------------------------",
        "  1 | one; two | 2026-01-02 03:04:05+00:00 | 6f0a2f4c-7b1e-4d35-9a55-0d8f3d2c1b0a",
        "  2 |          | NULL                      | NULL",
        "  3 | NULL     | NULL                      | NULL",
        "(3 rows)",
    ];
    assert_eq!((code, out.lines().collect::<Vec<_>>()), (0, table.to_vec()));

    let returning = "UPDATE shell.t SET name = NULL WHERE id = 3 RETURNING id, name";
    let (code, out, _) = run(&server, &["--format", "csv", "-c", returning]);
    assert_eq!((code, out.as_str()), (0, "id,name\n3,\n"));

    let (code, out, err) = run(&server, &["--format", "csv", "--limit", "2", "-c", query]);
    let csv = "id,name,at,u\n1,one; two,2026-01-02T03:04:05Z,\
               6f0a2f4c-7b1e-4d35-9a55-0d8f3d2c1b0a\n2,\"\",,\n";
    assert_eq!((code, out.as_str()), (0, csv));
    assert!(err.contains("first 2 rows"), "{err}");

    let (code, out, _) = run(&server, &["--format", "json", "-c", query]);
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, rows[1]["name"].as_str(), rows[2]["name"].is_null()), (0, Some(""), true));

    let (code, out, _) = run(&server, &["-c", "\\d shell.t"]);
    assert_eq!(code, 0);
    assert!(out.contains("table shell.t") && out.contains("BIGINT"), "{out}");
    let (code, out, _) = run(&server, &["--format", "csv", "-c", "\\dt shell.*"]);
    assert_eq!((code, out.as_str()), (0, "namespace,table,type\nshell,t,TABLE\n"));
}

#[test]
fn exit_codes_tell_what_failed() {
    let server = Server::start();
    let (code, out, err) = run(&server, &["-c", "SELECT 1 AS one; SELEC 2; SELECT 3 AS three"]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("one") && !out.contains("three"), "{out}");
    assert!(err.starts_with("error: ") && err.contains("\nline 1: SELEC 2\n"), "{err}");
    assert_eq!(run(&server, &["-c", "SELECT * FROM nosuch"]).0, 1);
    assert_eq!(run(&server, &["--format", "xml", "-c", "SELECT 1"]).0, 2);
    assert_eq!(run(&server, &["-c", "\\nosuch"]).0, 2);
    let mut nobody_there = binary_command();
    nobody_there.args(["sql", "--uri", "grpc://127.0.0.1:1", "-c", "SELECT 1"]);
    let output = nobody_there.env("KALAMDB_PASSWORD", "x").output();
    let (code, _, err) = read(output.unwrap());
    assert_eq!(code, 3);
    assert!(err.starts_with("error: cannot reach grpc://127.0.0.1:1: "), "{err}");
    let wrong = shell(&server, &["-c", "SELECT 1"]).env("KALAMDB_PASSWORD", "wrong").output();
    let (code, _, err) = read(wrong.unwrap());
    assert_eq!(code, 3);
    assert!(err.contains("cannot sign in as 'root'"), "{err}");
}

#[test]
fn scripts_stop_at_their_first_failure_and_name_its_line() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let (script, inner) = (directory.path().join("a.sql"), directory.path().join("b.sql"));
    fs::write(&inner, "-- a comment; with a semicolon\nCREATE TABLE b (x INT);\n").unwrap();
    let text = format!(
        "\\i {}\nINSERT INTO b VALUES\n  (1);\n\nINSERT INTO nosuch VALUES (1);\nDROP TABLE b;\n",
        inner.display()
    );
    fs::write(&script, text).unwrap();
    let (code, _, err) = run(&server, &["-f", script.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(err.starts_with(&format!("{}:5: error: ", script.display())), "{err}");
    assert!(err.contains("(at line 5, column 13)") && err.contains("\nline 5: INSERT"), "{err}");
    let (_, out, _) = run(&server, &["--format", "csv", "-c", "SELECT * FROM b"]);
    assert_eq!(out, "x\n1\n");

    let mut piped =
        shell(&server, &["--format", "csv"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let child = piped.as_mut().unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT x + 1 AS y\nFROM b").unwrap();
    let (code, out, _) = read(piped.unwrap().wait_with_output().unwrap());
    assert_eq!((code, out.as_str()), (0, "y\n2\n"));
}

#[test]
fn each_user_signs_in_with_a_password_of_their_own() {
    let server = Server::start();
    let create = "CREATE USER mei WITH PASSWORD 'a long secret' ROLE user";
    assert_eq!(run(&server, &["-c", create]).0, 0);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "a long secret\nnot the password\n").unwrap();
    let file = file.to_str().unwrap();
    let sign_in = ["--user", "mei", "--password-file", file, "-c", "\\conninfo"];
    let (code, out, err) = run(&server, &sign_in);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.trim_end().ends_with(" as mei"), "{out}");

    let nothing_given = shell(&server, &["--user", "mei", "-c", "SELECT 1"])
        .env_remove("KALAMDB_PASSWORD")
        .current_dir(directory.path())
        .output();
    let (code, _, err) = read(nothing_given.unwrap());
    assert_eq!(code, 2);
    assert!(err.contains("--password-file"), "{err}");
}

#[test]
fn ctrl_c_ends_a_running_statement() {
    let server = Server::start();
    let endless = "SELECT a, b FROM (SELECT unnest(range(100000)) AS a) AS x \
                   CROSS JOIN (SELECT unnest(range(100000)) AS b) AS y";
    let mut child = shell(&server, &["--format", "csv", "-c", endless])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 1024];
    stdout.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"a,b\n"));
    let interrupt = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(interrupt.unwrap().success());
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    let status = wait_for_end(&mut child, END_WITHIN).expect("the shell ends after Ctrl-C");
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((status.code(), err.as_str()), (Some(130), "error: cancelled\n"));
    assert_eq!(run(&server, &["-c", "SELECT 1"]).0, 0);
}
