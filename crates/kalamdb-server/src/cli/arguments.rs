//! What was typed on the command line of `kalamdb sql`, and what the shell needs to know of it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use super::error::ShellError;
use super::output::Format;

/// Where `kalamdb serve` listens when it is told nothing else.
const DEFAULT_URI: &str = "grpc://127.0.0.1:50051";
/// Names the password, where no file does.
const PASSWORD_VARIABLE: &str = "KALAMDB_PASSWORD";
/// Where `kalamdb serve` keeps root's password when it was told nothing else.
const LOCAL_ROOT_PASSWORD: &str = "kalamdb-data/root-password";
/// Rows of one result an interactive shell shows.
const INTERACTIVE_ROWS_MAX: usize = 1000;

/// Which server, and who signs in: the same for every client command.
#[derive(Debug, Clone, clap::Args)]
pub struct ConnectionArgs {
    /// The server: grpc://HOST:PORT, or grpc+tls://HOST:PORT with --tls-ca
    #[arg(long, value_name = "URI", default_value = DEFAULT_URI)]
    pub uri: String,

    /// The user to sign in as
    #[arg(long, value_name = "NAME", default_value = "root")]
    pub user: String,

    /// A file whose first line is the password; otherwise KALAMDB_PASSWORD is used
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// A file of PEM certificates to trust, for grpc+tls
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// A file with our own certificate (PEM), for servers that ask for one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The private key (PEM) of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// What [`ConnectionArgs`] come to.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The server.
    pub address: ServerAddress,
    /// Who signs in.
    pub user: String,
    /// With what; none when it must be asked for.
    pub password: Option<Password>,
}

/// Runs SQL on a server: statements given with -c, a file, standard input, or a shell.
///
/// Exit codes: 0 done, 1 a statement failed, 2 wrong usage, 3 cannot connect or sign in,
/// 130 interrupted.
#[derive(Debug, Clone, clap::Args)]
pub struct SqlArgs {
    /// The server and the user
    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Run these statements, separated by semicolons, and exit; may be given several times
    // A comment begins with hyphens.
    #[arg(short = 'c', long = "command", value_name = "SQL", allow_hyphen_values = true)]
    pub command: Vec<String>,

    /// Run the statements of a file and exit; "-" is standard input
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "command")]
    pub file: Option<PathBuf>,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Show at most so many rows of a result, 0 for all [default: 1000 in the shell, else all]
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<usize>,

    /// Do not say how long statements took
    #[arg(long)]
    pub no_timing: bool,
}

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// As the user wrote it, for messages.
    pub uri: String,
    /// `http://…` or `https://…`, as the transport wants it.
    pub endpoint: String,
    /// The host alone, as certificates name it.
    pub host: String,
    /// How the connection is encrypted, when it is.
    pub tls: Option<Tls>,
}

/// What an encrypted connection needs; everything is PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates to trust.
    pub authority: Vec<u8>,
    /// Our own certificate and its private key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

/// A password, which never appears in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Where statements come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The texts of `-c`.
    Commands(Vec<String>),
    /// A script.
    File(PathBuf),
    /// A script on standard input.
    Stdin,
    /// A person at a terminal.
    Terminal,
}

/// Everything the shell runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server.
    pub address: ServerAddress,
    /// Who signs in.
    pub user: String,
    /// With what; none when it must be asked for.
    pub password: Option<Password>,
    /// Where statements come from.
    pub input: Input,
    /// How results are written.
    pub format: Format,
    /// Rows of one result shown at most.
    pub row_limit: Option<usize>,
    /// Whether durations are shown.
    pub timing: bool,
}

impl SqlArgs {
    /// Checks the arguments and reads the files they name.
    pub fn resolve(self) -> Result<Settings, ShellError> {
        self.resolve_with(env::var(PASSWORD_VARIABLE).ok(), io::stdin().is_terminal())
    }

    fn resolve_with(
        self,
        password_variable: Option<String>,
        stdin_is_terminal: bool,
    ) -> Result<Settings, ShellError> {
        let SignIn { address, user, password } =
            self.connection.resolve_with(password_variable, stdin_is_terminal)?;
        let input = match self.file {
            Some(path) if path.as_os_str() == "-" => Input::Stdin,
            Some(path) => Input::File(path),
            None if !self.command.is_empty() => Input::Commands(self.command),
            None if stdin_is_terminal => Input::Terminal,
            None => Input::Stdin,
        };
        let row_limit = match self.limit {
            Some(0) => None,
            Some(rows) => Some(rows),
            None => (input == Input::Terminal).then_some(INTERACTIVE_ROWS_MAX),
        };
        let (format, timing) = (self.format, !self.no_timing);
        Ok(Settings { address, user, password, input, format, row_limit, timing })
    }
}

impl ConnectionArgs {
    /// Checks the arguments and reads the files they name.
    pub fn resolve(self) -> Result<SignIn, ShellError> {
        self.resolve_with(env::var(PASSWORD_VARIABLE).ok(), io::stdin().is_terminal())
    }

    fn read_tls(&self) -> Result<Option<Tls>, ShellError> {
        let Some(authority) = &self.tls_ca else {
            return match self.tls_cert {
                Some(_) => Err(ShellError::Usage("--tls-cert goes with --tls-ca".into())),
                None => Ok(None),
            };
        };
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((read_file(certificate)?, read_file(key)?)),
            _ => None,
        };
        Ok(Some(Tls { authority: read_file(authority)?, identity }))
    }

    fn resolve_with(
        self,
        password_variable: Option<String>,
        stdin_is_terminal: bool,
    ) -> Result<SignIn, ShellError> {
        let tls = self.read_tls()?;
        let address = ServerAddress::parse(&self.uri, tls)?;
        let password = match (&self.password_file, password_variable) {
            (Some(path), _) => Some(read_password(path)?),
            (None, Some(password)) => Some(Password(password)),
            (None, None) if self.user == "root" && address.is_default() => {
                fs::read_to_string(LOCAL_ROOT_PASSWORD).ok().map(|text| first_line(&text))
            }
            (None, None) => None,
        };
        if password.is_none() && !stdin_is_terminal {
            return Err(ShellError::Usage(format!(
                "no password for user '{}': name a file with --password-file or set \
                 {PASSWORD_VARIABLE}",
                self.user
            )));
        }
        Ok(SignIn { address, user: self.user, password })
    }
}

impl ServerAddress {
    /// Reads `grpc://host:port` and its relatives.
    pub fn parse(uri: &str, tls: Option<Tls>) -> Result<Self, ShellError> {
        let usage = |reason: &str| {
            ShellError::Usage(format!(
                "cannot use the address '{uri}': {reason}; write grpc://HOST:PORT or \
                 grpc+tls://HOST:PORT"
            ))
        };
        let (scheme, rest) = uri.split_once("://").ok_or_else(|| usage("it has no scheme"))?;
        let encrypted = match scheme {
            "grpc" | "grpc+tcp" => false,
            "grpc+tls" => true,
            _ => return Err(usage(&format!("the scheme '{scheme}' is unknown"))),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| usage("it names no port"))?;
        if host.is_empty() || host.contains(['/', '@', '?', '#']) {
            return Err(usage("it names no host"));
        }
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(usage(&format!("'{port}' is not a port")));
        }
        if encrypted && tls.is_none() {
            return Err(usage("grpc+tls needs the certificate to trust, name it with --tls-ca"));
        }
        if !encrypted && tls.is_some() {
            return Err(usage("--tls-ca goes with grpc+tls"));
        }
        Ok(Self {
            uri: uri.to_string(),
            endpoint: format!("{}://{authority}", if encrypted { "https" } else { "http" }),
            host: host.trim_matches(['[', ']']).to_string(),
            tls,
        })
    }

    /// True for the address a local server has by default, whose password file we may read.
    fn is_default(&self) -> bool {
        matches!(self.endpoint.as_str(), "http://127.0.0.1:50051" | "http://localhost:50051")
    }
}

fn read_password(path: &Path) -> Result<Password, ShellError> {
    let bytes = read_file(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| ShellError::Usage(format!("{} is not UTF-8 text", path.display())))?;
    Ok(first_line(&text))
}

fn first_line(text: &str) -> Password {
    Password(text.lines().next().unwrap_or_default().to_string())
}

fn read_file(path: &Path) -> Result<Vec<u8>, ShellError> {
    fs::read(path).map_err(|source| ShellError::File { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        sql: SqlArgs,
    }

    fn parse(arguments: &[&str]) -> SqlArgs {
        Cli::try_parse_from(std::iter::once(&"sql").chain(arguments)).unwrap().sql
    }

    fn resolve(arguments: &[&str], terminal: bool) -> Result<Settings, ShellError> {
        parse(arguments).resolve_with(Some("secret".into()), terminal)
    }

    #[test]
    fn without_arguments_it_is_a_shell_on_the_local_server() {
        let settings = resolve(&[], true).unwrap();
        assert_eq!(settings.input, Input::Terminal);
        assert_eq!(settings.address.endpoint, "http://127.0.0.1:50051");
        assert_eq!(settings.user, "root");
        assert_eq!(settings.row_limit, Some(INTERACTIVE_ROWS_MAX));
        assert!(settings.timing);
    }

    #[test]
    fn scripts_show_every_row() {
        for (arguments, input) in [
            (
                vec!["-c", "SELECT 1", "-c", "SELECT 2"],
                Input::Commands(vec!["SELECT 1".into(), "SELECT 2".into()]),
            ),
            (vec!["-f", "x.sql"], Input::File("x.sql".into())),
            (vec!["-f", "-"], Input::Stdin),
            (vec![], Input::Stdin),
        ] {
            let settings = resolve(&arguments, false).unwrap();
            assert_eq!((settings.input, settings.row_limit), (input, None));
        }
    }

    #[test]
    fn a_limit_of_zero_means_all_rows() {
        assert_eq!(resolve(&["--limit", "0"], true).unwrap().row_limit, None);
        assert_eq!(resolve(&["--limit", "7"], true).unwrap().row_limit, Some(7));
    }

    #[test]
    fn addresses() {
        let address = ServerAddress::parse("grpc+tcp://[::1]:9/", None).unwrap();
        assert_eq!((address.endpoint.as_str(), address.host.as_str()), ("http://[::1]:9", "::1"));
        for wrong in
            ["localhost:1", "http://x:1", "grpc://x", "grpc://:1", "grpc://x:0", "grpc://x:y"]
        {
            let error = ServerAddress::parse(wrong, None).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
        assert!(
            ServerAddress::parse("grpc+tls://x:1", None)
                .unwrap_err()
                .to_string()
                .contains("--tls-ca")
        );
    }

    #[test]
    fn a_password_file_wins_over_the_environment_and_loses_its_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        fs::write(&path, "from file\n").unwrap();
        let settings = resolve(&["--password-file", path.to_str().unwrap()], false).unwrap();
        assert_eq!(settings.password, Some(Password("from file".into())));
        assert_eq!(resolve(&[], false).unwrap().password, Some(Password("secret".into())));
        assert_eq!(resolve(&["--password-file", "/no/such"], false).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn without_a_password_only_a_terminal_can_go_on() {
        let arguments = ["--user", "ann", "-c", "SELECT 1"];
        assert_eq!(parse(&arguments).resolve_with(None, true).unwrap().password, None);
        let error = parse(&arguments).resolve_with(None, false).unwrap_err();
        assert!(error.to_string().contains("--password-file"), "{error}");
    }

    #[test]
    fn a_file_and_commands_exclude_each_other() {
        assert!(Cli::try_parse_from(["sql", "-c", "SELECT 1", "-f", "x"]).is_err());
        assert!(Cli::try_parse_from(["sql", "--format", "xml"]).is_err());
    }
}
