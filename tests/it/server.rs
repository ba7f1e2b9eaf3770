//! The real `kalamdb serve` as a child process: started on port 0 over a temporary data directory,
//! killed, terminated and started again on the same directory, ended by its own process id.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tonic::Status;

use crate::client::Client;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_kalamdb");
/// The password every test server gives `root` at its first start.
pub const ROOT_PASSWORD: &str = "root-of-the-test-server";
const ROOT_PASSWORD_VARIABLE: &str = "KALAMDB_ROOT_PASSWORD";
/// How long a server may take until it prints the ready line.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a process may take to end after a signal.
pub const END_WITHIN: Duration = Duration::from_secs(60);
/// How often a process that should end is looked at.
const POLL_EVERY: Duration = Duration::from_millis(5);
/// Lines of standard output that wait to be read; the ready line is among the first.
const STDOUT_LINES_MAX: usize = 1024;
/// Lines of the server's log shown when a test fails.
const LOG_LINES_SHOWN: usize = 40;
/// Set to keep the data directories of failed tests.
const KEEP_DATA: &str = "KALAMDB_KEEP_DATA";

/// A data directory and the server that runs on it, if one does.
pub struct Server {
    directory: TempDir,
    process: Option<Process>,
    address_space_bytes: Option<u64>,
    arguments: Vec<String>,
}

impl Server {
    /// A server on a fresh data directory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server on a fresh data directory, with these arguments more.
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self::not_started();
        server.restart_with(arguments);
        server
    }

    fn not_started() -> Self {
        let directory = TempDir::with_prefix("kalamdb-it-").unwrap();
        Self { directory, process: None, address_space_bytes: None, arguments: Vec::new() }
    }

    /// A server on a fresh data directory that may use so many bytes of address space: asking for
    /// more ends it.
    pub fn start_within(address_space_bytes: u64) -> Self {
        let mut server = Self::not_started();
        server.address_space_bytes = Some(address_space_bytes);
        server.restart();
        server
    }

    /// A server on a fresh data directory that is told no root password.
    pub fn start_without_password() -> Self {
        let mut server = Self::not_started();
        let mut command = serve_command(&server.data_dir());
        command.env_remove(ROOT_PASSWORD_VARIABLE);
        server.process = Some(Process::start(command, &server.log_path()));
        server
    }

    /// The server's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Where the server writes its log.
    pub fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Everything the server has logged, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The Flight SQL address of the running server.
    pub fn flight(&self) -> SocketAddr {
        self.process().ready.flight
    }

    /// The metrics address of the running server.
    pub fn metrics(&self) -> SocketAddr {
        self.process().ready.metrics
    }

    /// What `/metrics` says of the metric without labels called `name`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let page = get(self.metrics(), "/metrics");
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        page.lines().find_map(value)
    }

    /// True while the process has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.child.try_wait().unwrap().is_none())
    }

    /// `kill -9`: the process gets no chance to tidy up.
    pub fn kill(&mut self) {
        self.process.take().expect("a running server").kill();
    }

    /// SIGTERM, then the exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.take().expect("a running server").terminate()
    }

    /// As [`Self::restart`], with these arguments instead of the earlier ones.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.restart();
    }

    /// Starts a server on the same data directory and waits until it is ready.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let mut command = serve_command(&self.data_dir());
        command.args(&self.arguments);
        if let Some(bytes) = self.address_space_bytes {
            command = limited(&command, bytes);
        }
        self.process = Some(Process::start(command, &self.log_path()));
    }

    /// Starts a server on the same data directory and kills it after `delay`, ready or not.
    pub fn start_and_kill(&mut self, delay: Duration) {
        assert!(self.process.is_none(), "the server runs already");
        let log = open_log(&self.log_path());
        let mut child = serve_command(&self.data_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A client signed in as `root`.
    pub async fn root(&self) -> Client {
        self.sign_in("root", ROOT_PASSWORD).await.expect("root signs in")
    }

    /// A client signed in with the given credentials.
    pub async fn sign_in(&self, user: &str, password: &str) -> Result<Client, Status> {
        Client::sign_in(self.flight(), user, password).await
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a running server")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The directory is removed when the fields are dropped: nothing may write to it then.
        self.process = None;
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = lines.len().saturating_sub(LOG_LINES_SHOWN);
            eprintln!("--- the server's log ends with\n{}\n---", lines[shown..].join("\n"));
            if std::env::var_os(KEEP_DATA).is_some() {
                self.directory.disable_cleanup(true);
                eprintln!("--- kept {}", self.directory.path().display());
            }
        }
    }
}

/// The addresses of the ready line.
struct Ready {
    flight: SocketAddr,
    metrics: SocketAddr,
}

/// One run of the binary that has become ready; killed when dropped.
struct Process {
    child: Child,
    ready: Ready,
    /// Holds the reading end, so that the server can go on writing to its standard output.
    _stdout: Receiver<String>,
}

impl Process {
    fn start(mut command: Command, log_path: &Path) -> Self {
        let log = open_log(log_path);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::from(log)).spawn().expect("kalamdb runs");
        let stdout = lines_of(child.stdout.take().unwrap());
        match wait_for_ready(&stdout) {
            Ok(ready) => Self { child, ready, _stdout: stdout },
            Err(reason) => {
                // Only this child: it may hold the directory's lock or still be recovering.
                let _ = child.kill();
                let status = child.wait();
                let log = fs::read_to_string(log_path).unwrap_or_default();
                panic!("the server did not become ready: {reason}; {status:?}; its log:\n{log}");
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(mut self) -> ExitStatus {
        terminate(&self.child);
        wait_for_end(&mut self.child, END_WITHIN).expect("the server ends after SIGTERM")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when the process has ended and was waited for: then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer to a GET request.
pub fn get(address: SocketAddr, page: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// `kalamdb serve` on free loopback ports, with nothing taken from the caller's environment but
/// the path.
pub fn serve_command(data_dir: &Path) -> Command {
    let mut command = binary_command();
    command.arg("serve").arg("--data-dir").arg(data_dir);
    command.args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    command.env(ROOT_PASSWORD_VARIABLE, ROOT_PASSWORD);
    command
}

/// The same command under an address-space limit. The shell replaces itself, so that the process
/// id is the server's.
fn limited(command: &Command, address_space_bytes: u64) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v \"$0\" && exec \"$@\""]);
    shell.arg((address_space_bytes / 1024).to_string());
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_clear().stdin(Stdio::null());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

/// The binary with an empty environment and no input.
pub fn binary_command() -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Sends SIGTERM to exactly this child.
pub fn terminate(child: &Child) {
    let status = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(status.success(), "kill -TERM {}", child.id());
}

/// The child's exit status, or `None` when it still runs after `deadline`.
pub fn wait_for_end(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if started.elapsed() > deadline {
            return None;
        }
        thread::sleep(POLL_EVERY);
    }
}

fn open_log(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

/// Reads lines on a thread that ends with the stream. Lines beyond the bound are read and dropped,
/// so that the writer never blocks.
fn lines_of(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(STDOUT_LINES_MAX);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.try_send(line);
        }
    });
    receiver
}

fn wait_for_ready(stdout: &Receiver<String>) -> Result<Ready, String> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match stdout.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(ready) = parse_ready(&line) {
                    return Ok(ready);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("no ready line within {READY_WITHIN:?}"));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err("standard output was closed before the ready line".into());
            }
        }
    }
}

/// Reads `ready flight=<host:port> metrics=<host:port>`.
fn parse_ready(line: &str) -> Option<Ready> {
    let mut words = line.strip_prefix("ready ")?.split(' ');
    let flight = words.next()?.strip_prefix("flight=")?.parse().ok()?;
    let metrics = words.next()?.strip_prefix("metrics=")?.parse().ok()?;
    words.next().is_none().then_some(Ready { flight, metrics })
}
