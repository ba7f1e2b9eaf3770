//! What is typed after `kalamdb import`.

use std::path::PathBuf;
use std::str::FromStr;

use super::csv_reader::Dialect;
use crate::cli::arguments::ConnectionArgs;
use crate::cli::error::ShellError;
use crate::cli::file_format::{self, FileFormat, Named, STANDARD};
use crate::cli::table_name::TableName;

/// MiB of Arrow data that become one commit.
const COMMIT_MIB_DEFAULT: u32 = 128;
/// Above that the server would refuse it.
const COMMIT_MIB_MAX: i64 = 512;
/// Rows that are looked at for the types of columns.
const INFER_ROWS_DEFAULT: &str = "100000";

/// Loads a file into a table: Parquet, CSV, NDJSON or Arrow IPC.
///
/// Columns are matched by name; those the file does not have get their default. A large file goes
/// in as several commits; what is committed when an import ends early is said, and --skip-rows goes
/// on from there.
///
/// With --if-exists replace a table keeps its definition and loses its rows (a USER table those of
/// who signs in) before the first commit of new ones: an import that fails after that has lost
/// them. Refused before are columns the table does not have, missing ones it needs, and a file
/// whose first rows cannot be read.
///
/// Exit codes: 0 done, 1 the file or the server says no, 2 wrong usage, 3 cannot connect or
/// sign in, 130 interrupted.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// The file; "-" is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The table: table or namespace.table
    #[arg(long, value_name = "NAME")]
    pub table: String,

    /// Create the table; the types of CSV and NDJSON columns are inferred
    #[arg(long)]
    pub create: bool,

    /// What --create does when the table exists
    #[arg(long, value_enum, default_value_t = IfExists::Fail, requires = "create")]
    pub if_exists: IfExists,

    /// The key of a table to create, as in a,b; one that exists keeps its own
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "create")]
    pub primary_key: Vec<String>,

    /// The type of a table to create; one that exists keeps its own
    #[arg(long = "type", value_enum, value_name = "TYPE", requires = "create")]
    pub table_type: Option<TableType>,

    /// The file's format [default: by the ending of its name]
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,

    /// Names of a CSV file's columns in their order, or of the NDJSON keys to import
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,

    /// The CSV file has no header line: its columns are those of --columns, or of the table in order
    #[arg(long)]
    pub no_header: bool,

    /// What separates CSV fields; \t is a tab [default: a comma, in .tsv files a tab]
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<Character>,

    /// What CSV fields are quoted with
    #[arg(long, value_name = "CHARACTER", default_value = "\"")]
    pub quote: Character,

    /// An unquoted CSV field that means NULL, beside the empty one; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub null: Vec<String>,

    /// Rows whose values decide the types of columns: a number, or "all"
    #[arg(long, value_name = "ROWS", default_value = INFER_ROWS_DEFAULT)]
    pub infer_rows: InferRows,

    /// Leave out the first rows, which an earlier import has committed
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub skip_rows: u64,

    /// MiB of data that become one commit
    #[arg(long, value_name = "MIB", default_value_t = COMMIT_MIB_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=COMMIT_MIB_MAX))]
    pub commit_mib: u32,

    /// Do not show progress
    #[arg(short, long)]
    pub quiet: bool,

    /// The server and the user
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// What to do when a table that is to be created exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IfExists {
    /// Refuse
    Fail,
    /// Add the rows to it
    Append,
    /// Empty it and add the rows; its key, checks, defaults and options stay
    Replace,
}

/// The type of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TableType {
    /// Every user has rows of their own
    User,
    /// All see the same rows
    Shared,
}

/// One ASCII character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Character(pub u8);

impl FromStr for Character {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "\\t" => Ok(Self(b'\t')),
            "\n" | "\r" => Err("a line break ends a row".into()),
            _ => match text.as_bytes() {
                [byte] if byte.is_ascii() => Ok(Self(*byte)),
                _ => Err("one ASCII character is wanted, or \\t".into()),
            },
        }
    }
}

/// How many rows decide the types of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InferRows {
    /// The whole file.
    All,
    /// The first ones.
    First(u64),
}

impl FromStr for InferRows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("at least one row is needed".into()),
            Ok(rows) => Ok(Self::First(rows)),
            Err(_) if text.eq_ignore_ascii_case("all") => Ok(Self::All),
            Err(_) => Err("a number of rows or \"all\" is wanted".into()),
        }
    }
}

/// How a file is to be read.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// The file.
    pub path: PathBuf,
    /// How it is written.
    pub named: Named,
    /// How CSV is written.
    pub dialect: Dialect,
    /// Names given for its columns.
    pub columns: Option<Vec<String>>,
    /// Rows looked at for types.
    pub infer_rows: InferRows,
    /// Rows left out.
    pub skip_rows: u64,
}

impl FileSettings {
    /// True for standard input.
    pub fn is_standard(&self) -> bool {
        self.path.as_os_str() == STANDARD
    }

    /// The file's name for messages.
    pub fn shown(&self) -> String {
        if self.is_standard() { "stdin".into() } else { self.path.display().to_string() }
    }
}

impl ImportArgs {
    /// Checks what can be checked without the server.
    pub fn file_settings(&self) -> Result<FileSettings, ShellError> {
        let named = file_format::named(&self.file, self.format);
        let named = named.ok_or_else(|| file_format::unknown(&self.file))?;
        let usage = |message: &str| Err(ShellError::Usage(message.into()));
        let standard = self.file.as_os_str() == STANDARD;
        if named.format != FileFormat::Csv {
            if self.no_header || self.delimiter.is_some() || !self.null.is_empty() {
                return usage("--no-header, --delimiter and --null are about CSV files");
            }
            if named.format != FileFormat::Ndjson && !self.columns.is_empty() {
                return usage("--columns is about CSV and NDJSON files");
            }
        }
        if standard && named.format == FileFormat::Parquet {
            return usage("Parquet cannot be read from standard input, name a file");
        }
        if standard && self.create && self.infer_rows == InferRows::All {
            return usage("--infer-rows all reads a file twice, standard input cannot be");
        }
        if !standard {
            let about = std::fs::metadata(&self.file);
            let about =
                about.map_err(|source| ShellError::File { path: self.file.clone(), source })?;
            if about.is_dir() {
                let message = format!("{} is a directory, name a file", self.file.display());
                return Err(ShellError::Usage(message));
            }
        }
        let delimiter = self.delimiter.map_or(if named.tabs { b'\t' } else { b',' }, |c| c.0);
        if delimiter == self.quote.0 {
            return usage("--delimiter and --quote must differ");
        }
        Ok(FileSettings {
            path: self.file.clone(),
            named,
            dialect: Dialect {
                delimiter,
                quote: self.quote.0,
                header: !self.no_header,
                nulls: self.null.clone(),
            },
            columns: (!self.columns.is_empty()).then(|| self.columns.clone()),
            infer_rows: self.infer_rows,
            skip_rows: self.skip_rows,
        })
    }

    /// The table's name.
    pub fn table_name(&self) -> Result<TableName, ShellError> {
        TableName::parse(&self.table)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        import: ImportArgs,
    }

    fn parse(arguments: &[&str]) -> Result<ImportArgs, clap::Error> {
        let arguments = ["import", "--table", "t"].iter().chain(arguments);
        Cli::try_parse_from(arguments).map(|cli| cli.import)
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for arguments in [
            &["-", "--format", "parquet"][..],
            &["-"],
            &["-", "--format", "ndjson", "--null", "NA"],
            &["-", "--format", "arrow", "--columns", "a"],
            &["-", "--format", "csv", "--create", "--infer-rows", "all"],
            &["-", "--format", "csv", "--delimiter", "\""],
            &["/no/such.csv"],
            &["/tmp", "--format", "csv"],
        ] {
            let error = parse(arguments).unwrap().file_settings().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
        }
        for arguments in [
            &["x.csv", "--delimiter", "ab"][..],
            &["x.csv", "--infer-rows", "0"],
            &["x.csv", "--primary-key", "a"],
            &["x.csv", "--commit-mib", "0"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn defaults_come_from_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tsv");
        std::fs::write(&path, "").unwrap();
        let settings = parse(&[path.to_str().unwrap()]).unwrap().file_settings().unwrap();
        assert_eq!(settings.dialect.delimiter, b'\t');
        let settings = parse(&[path.to_str().unwrap(), "--delimiter", ";"]).unwrap();
        assert_eq!(settings.file_settings().unwrap().dialect.delimiter, b';');
    }
}
