//! Starting and stopping `kalamdb serve`: what it refuses, what it leaves in its data directory,
//! how it ends.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tempfile::TempDir;
use tonic::Code;

use crate::client::Client;
use crate::rows::{Value, single};
use crate::server::{END_WITHIN, Server, binary_command, get, serve_command, wait_for_end};

/// A server on which nothing runs ends within this.
const PROMPT: Duration = Duration::from_secs(5);

/// Runs a server that must refuse to start; answers what it says.
fn refusal(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let Some(status) = wait_for_end(&mut child, END_WITHIN) else {
        child.kill().unwrap();
        panic!("{command:?} serves");
    };
    let output = child.wait_with_output().unwrap();
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(!status.success(), "{command:?} ends with success");
    assert!(!said.contains("ready "), "{command:?} became ready");
    assert!(!errors.contains("panicked"), "{command:?}: {errors}");
    errors
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn unsafe_or_impossible_settings_are_refused() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("file");
    fs::write(&file, "not a directory, no certificate, no configuration").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: Vec<(&str, Vec<&str>)> = vec![
        ("--tls-cert", vec!["--listen", "0.0.0.0:0"]),
        ("--tls-cert", vec!["--listen", "[::]:0"]),
        ("--tls-key", vec!["--tls-cert", path(&file)]),
        ("file", vec!["--tls-cert", path(&file), "--tls-key", "/no/such/key"]),
        ("nonsense", vec!["--listen", "nonsense"]),
        ("/no/such/file.toml", vec!["--config", "/no/such/file.toml"]),
        (path(&file), vec!["--config", path(&file)]),
        (&taken, vec!["--listen", &taken]),
        ("--nonsense", vec!["--nonsense"]),
    ];
    for (named, arguments) in cases {
        let mut command = binary_command();
        command.arg("serve").arg("--data-dir").arg(&data).args(&arguments);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(["--metrics-listen", "127.0.0.1:0"]);
        let errors = refusal(command);
        let told = errors.contains(named) || named == "file" && errors.contains("/no/such/key");
        assert!(told, "{arguments:?} is refused without naming {named:?}: {errors}");
    }
    let mut empty_password = serve_command(&data);
    empty_password.env("KALAMDB_ROOT_PASSWORD", "");
    assert!(refusal(empty_password).contains("KALAMDB_ROOT_PASSWORD"));
    assert!(refusal(serve_command(&file)).contains(path(&file)));
}

#[test]
fn a_taken_address_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    // An address may be a name.
    let (by_name, taken) = (format!("localhost:{}", taken.port()), taken.to_string());
    for (listen, metrics) in [
        (taken.as_str(), "127.0.0.1:0"),
        ("127.0.0.1:0", taken.as_str()),
        (by_name.as_str(), "127.0.0.1:0"),
    ] {
        let mut command = binary_command();
        command.arg("serve").arg("--data-dir").arg(&data);
        command.args(["--listen", listen, "--metrics-listen", metrics]);
        let errors = refusal(command);
        assert!(errors.contains(&taken), "{errors}");
        assert!(!data.exists(), "a server that cannot listen made its data directory");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_high_water_file_is_told_once_with_the_way_out() {
    let mut server = Server::start();
    let root = server.root().await;
    root.update("CREATE TABLE default.kept (id BIGINT PRIMARY KEY)").await.unwrap();
    root.update("INSERT INTO default.kept VALUES (1), (2)").await.unwrap();
    server.kill();
    fs::remove_file(server.data_dir().join("HIGH_WATER")).unwrap();
    let errors = refusal(serve_command(&server.data_dir()));
    assert_eq!(errors.matches("holds commits up to").count(), 1, "{errors}");
    assert!(errors.contains("HIGH_WATER"), "{errors}");
    assert!(errors.contains("--accept-data-loss"), "{errors}");
    server.restart_with(&["--accept-data-loss"]);
    let count = server.root().await.rows("SELECT count(*) FROM default.kept").await.unwrap();
    assert_eq!(single(&count), Value::Int(2));
}

#[test]
fn a_configuration_with_a_word_nobody_knows_is_refused() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("kalamdb.toml");
    fs::write(&config, "listn = \"127.0.0.1:0\"\n").unwrap();
    let mut command = serve_command(&directory.path().join("data"));
    command.arg("--config").arg(&config);
    assert!(refusal(command).contains("listn"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_data_directory_serves_one_server() {
    let mut server = Server::start();
    let errors = refusal(serve_command(&server.data_dir()));
    assert!(errors.contains(path(&server.data_dir())), "{errors}");
    let answer = server.root().await.rows("SELECT 1").await.unwrap();
    assert_eq!(single(&answer), Value::Int(1), "the first server is not disturbed");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_readable_by_their_owner_alone() {
    let mut server = Server::start_without_password();
    let file = server.data_dir().join("root-password");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let password = fs::read_to_string(&file).unwrap();
    assert!(password.trim().len() >= 16, "a password worth the name");
    let log = server.log();
    assert!(log.contains(path(&file)), "the path is told: {log}");
    assert!(!log.contains(password.trim()), "the password is not");
    let root = server.sign_in("root", password.trim()).await.unwrap();
    let wrong = server.sign_in("root", "wrong").await.map(drop).unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);
    for entry in fs::read_dir(server.data_dir()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("secret") || name.contains("password") {
            assert_eq!(mode(&entry.path()), 0o600, "{name}");
        }
    }
    // The next start keeps the password, and the token stays good.
    assert!(server.terminate().success());
    server.restart();
    assert_eq!(fs::read_to_string(&file).unwrap(), password);
    server.sign_in("root", password.trim()).await.unwrap();
    let resumed = Client::resume(server.flight(), root.token()).await.unwrap();
    resumed.query("SELECT 1").await.expect("tokens outlive restarts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_what_runs_and_ends_with_zero() {
    let mut server = Server::start();
    let root = server.root().await;
    root.update("CREATE TABLE default.kept (id BIGINT PRIMARY KEY)").await.unwrap();
    root.update("INSERT INTO default.kept VALUES (1), (2)").await.unwrap();
    // A result that is being read when the signal comes.
    let mut sql = root.sql();
    let series = "SELECT * FROM generate_series(1, 2000000)".to_owned();
    let info = sql.execute(series, None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut stream = sql.do_get(ticket).await.unwrap();
    let mut rows = stream.next().await.unwrap().unwrap().num_rows();
    let ended = tokio::task::spawn_blocking(move || {
        let status = server.terminate();
        (server, status)
    });
    while let Some(batch) = stream.next().await {
        rows += batch.expect("a running result is finished").num_rows();
    }
    assert_eq!(rows, 2_000_000);
    drop((stream, sql, root));
    let (mut server, status) = ended.await.unwrap();
    assert_eq!(status.code(), Some(0));
    server.restart();
    let count = server.root().await.rows("SELECT count(*) FROM default.kept").await.unwrap();
    assert_eq!(single(&count), Value::Int(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_does_not_wait_for_idle_clients() {
    let mut server = Server::start();
    let idle = server.root().await;
    idle.query("SELECT 1").await.unwrap();
    let started = Instant::now();
    assert_eq!(server.terminate().code(), Some(0));
    assert!(started.elapsed() < PROMPT, "it took {:?}", started.elapsed());
}

#[test]
fn sigterm_does_not_wait_for_connections_that_never_spoke() {
    let mut server = Server::start();
    let _silent = TcpStream::connect(server.flight()).unwrap();
    let started = Instant::now();
    assert_eq!(server.terminate().code(), Some(0));
    assert!(started.elapsed() < PROMPT, "it took {:?}", started.elapsed());
}

#[test]
fn probes_and_metrics_answer() {
    let server = Server::start();
    for page in ["/healthz", "/readyz", "/metrics"] {
        let answer = get(server.metrics(), page);
        assert!(answer.starts_with("HTTP/1.1 200"), "{page}: {answer}");
    }
    assert!(get(server.metrics(), "/nothing").starts_with("HTTP/1.1 404"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_no_terminal_has_no_colours() {
    let server = Server::start();
    server.sign_in("root", "wrong").await.map(drop).unwrap_err();
    let log = server.log();
    assert!(log.contains("WARN"), "a wrong password is logged: {log}");
    assert!(!log.contains('\u{1b}'), "{log:?}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
