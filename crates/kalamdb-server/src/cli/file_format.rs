//! The formats of files that are imported and exported, and how a file's name tells its own.

use std::path::Path;

use super::error::ShellError;

/// What stands for standard input and output where a file is named.
pub const STANDARD: &str = "-";

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    /// Apache Parquet
    Parquet,
    /// Comma-separated values with a header line
    Csv,
    /// One JSON object per line
    Ndjson,
    /// Arrow IPC, file or stream
    Arrow,
}

/// What a file's name says about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The format.
    pub format: FileFormat,
    /// The file is compressed as a whole.
    pub gzip: bool,
    /// Fields are separated by tabs.
    pub tabs: bool,
}

/// Reads a file's ending; `chosen` wins over it. `None` when neither says the format.
pub fn named(path: &Path, chosen: Option<FileFormat>) -> Option<Named> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let (name, gzip) = match name.strip_suffix(".gz") {
        Some(inner) => (inner, true),
        None => (name.as_str(), false),
    };
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let format = match ending {
        "parquet" | "pq" => Some(FileFormat::Parquet),
        "csv" | "tsv" => Some(FileFormat::Csv),
        "ndjson" | "jsonl" | "json" => Some(FileFormat::Ndjson),
        "arrow" | "arrows" | "feather" | "ipc" => Some(FileFormat::Arrow),
        _ => None,
    };
    let format = chosen.or(format)?;
    Some(Named { format, gzip, tabs: ending == "tsv" && format == FileFormat::Csv })
}

/// What to say about a file whose format is not known.
pub fn unknown(path: &Path) -> ShellError {
    ShellError::Usage(format!(
        "the format of '{}' is not known by its name: say --format parquet, csv, ndjson or arrow",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_the_format() {
        let plain = |format| Some(Named { format, gzip: false, tabs: false });
        for (name, expected) in [
            ("a/b.parquet", plain(FileFormat::Parquet)),
            ("X.CSV", plain(FileFormat::Csv)),
            ("x.tsv", Some(Named { format: FileFormat::Csv, gzip: false, tabs: true })),
            ("x.csv.gz", Some(Named { format: FileFormat::Csv, gzip: true, tabs: false })),
            ("x.jsonl", plain(FileFormat::Ndjson)),
            ("x.feather", plain(FileFormat::Arrow)),
            ("x", None),
            ("x.gz", None),
            ("-", None),
        ] {
            assert_eq!(named(Path::new(name), None), expected, "{name}");
        }
        let chosen = named(Path::new("x.txt"), Some(FileFormat::Csv));
        assert_eq!(chosen, plain(FileFormat::Csv));
    }
}
