//! What is typed after `kalamdb export`.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::cli::arguments::ConnectionArgs;
use crate::cli::error::ShellError;
use crate::cli::file_format::{self, FileFormat, Named, STANDARD};
use crate::cli::import::Character;
use crate::cli::table_name::TableName;

/// Writes the result of a query to a file: Parquet, CSV, NDJSON or Arrow IPC.
///
/// The file appears under its name when it is complete. In CSV an empty field is NULL and "" is an
/// empty text; bytes are written as \x and hexadecimal digits, intervals as in P1M2DT3.5S,
/// arrays and structs as JSON. `kalamdb import` reads all of it back.
///
/// Exit codes: 0 done, 1 the statement or the writing failed, 2 wrong usage, 3 cannot connect or
/// sign in, 130 interrupted.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    /// The file to write; "-" is standard output
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,

    /// The query
    // A comment begins with hyphens.
    #[arg(short = 'c', long = "command", value_name = "SQL", allow_hyphen_values = true)]
    pub command: Option<String>,

    /// A file with the query; "-" is standard input
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "command")]
    pub file: Option<PathBuf>,

    /// A whole table instead of a query: table or namespace.table
    #[arg(long, value_name = "NAME", conflicts_with_all = ["command", "file"])]
    pub table: Option<String>,

    /// The file's format [default: by the ending of its name, for "-" CSV]
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,

    /// How Parquet pages are compressed [default: snappy]
    #[arg(long, value_enum)]
    pub compression: Option<ParquetCompression>,

    /// What separates CSV fields; \t is a tab [default: a comma, in .tsv files a tab]
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<Character>,

    /// Write no header line to a CSV file
    #[arg(long)]
    pub no_header: bool,

    /// Replace the file if it exists
    #[arg(long)]
    pub overwrite: bool,

    /// Do not show progress
    #[arg(short, long)]
    pub quiet: bool,

    /// The server and the user
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// How the pages of a Parquet file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ParquetCompression {
    /// Fast
    Snappy,
    /// Small
    Zstd,
    /// For old readers
    Gzip,
    /// Fast
    Lz4,
    /// Not at all
    None,
}

/// How a file is to be written.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub named: Named,
    /// Arrow's stream format instead of its file format.
    pub stream: bool,
    /// Stands between CSV fields.
    pub delimiter: u8,
    /// CSV begins with the columns' names.
    pub header: bool,
    /// How Parquet pages are compressed.
    pub compression: ParquetCompression,
    /// An existing file may be replaced.
    pub overwrite: bool,
}

impl FileSettings {
    /// True for standard output.
    pub fn is_standard(&self) -> bool {
        self.path.as_os_str() == STANDARD
    }
}

impl ExportArgs {
    /// The query to run.
    pub fn sql(&self) -> Result<String, ShellError> {
        if let Some(table) = &self.table {
            return Ok(format!("SELECT * FROM {}", TableName::parse(table)?));
        }
        if let Some(command) = &self.command {
            return Ok(command.clone());
        }
        let text = match &self.file {
            Some(path) if path.as_os_str() != STANDARD => fs::read_to_string(path)
                .map_err(|source| ShellError::File { path: path.clone(), source })?,
            Some(_) => {
                let mut text = String::new();
                let read = io::stdin().read_to_string(&mut text);
                read.map_err(|source| ShellError::File { path: "stdin".into(), source })?;
                text
            }
            None => {
                let message = "nothing to export: name --table, -c 'SELECT …' or -f FILE";
                return Err(ShellError::Usage(message.into()));
            }
        };
        Ok(text)
    }

    /// Checks what can be checked without the server.
    pub fn file_settings(&self) -> Result<FileSettings, ShellError> {
        let standard = self.to.as_os_str() == STANDARD;
        let chosen = self.format.or(standard.then_some(FileFormat::Csv));
        let named = file_format::named(&self.to, chosen);
        let named = named.ok_or_else(|| file_format::unknown(&self.to))?;
        let usage = |message: &str| Err(ShellError::Usage(message.into()));
        if named.format != FileFormat::Csv && (self.no_header || self.delimiter.is_some()) {
            return usage("--no-header and --delimiter are about CSV files");
        }
        if named.format != FileFormat::Parquet && self.compression.is_some() {
            return usage("--compression is about Parquet files; a name like x.csv.gz compresses");
        }
        if named.gzip && matches!(named.format, FileFormat::Parquet | FileFormat::Arrow) {
            return usage("only CSV and NDJSON files are compressed as a whole");
        }
        let name = self.to.to_string_lossy().to_ascii_lowercase();
        let delimiter = self.delimiter.map_or(if named.tabs { b'\t' } else { b',' }, |c| c.0);
        if delimiter == b'"' {
            return usage("fields are quoted with \", separate them with another character");
        }
        Ok(FileSettings {
            path: self.to.clone(),
            named,
            stream: standard || name.ends_with(".arrows"),
            delimiter,
            header: !self.no_header,
            compression: self.compression.unwrap_or(ParquetCompression::Snappy),
            overwrite: self.overwrite,
        })
    }
}
