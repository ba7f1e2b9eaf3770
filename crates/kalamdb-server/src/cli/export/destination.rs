//! Where an export goes: a file that appears under its name only when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::arguments::FileSettings;
use crate::cli::error::ShellError;

/// Bytes gathered for one write.
const BUFFER_BYTES: usize = 256 << 10;

/// What rows are written to.
pub type Out = Box<dyn Write + Send>;

/// The place of an export.
#[derive(Debug)]
pub enum Destination {
    /// Standard output, a pipe or a device: written as rows come.
    Direct,
    /// A file, written under another name beside it.
    File(PartFile),
}

/// A file that is being written; without [`Destination::keep`] it is removed.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    part: PathBuf,
    path: PathBuf,
    overwrite: bool,
    kept: bool,
}

impl Destination {
    /// Makes ready to write.
    ///
    /// # Errors
    /// The file exists, or cannot be created.
    pub fn open(settings: &FileSettings) -> Result<(Self, Out), ShellError> {
        let path = &settings.path;
        if settings.is_standard() {
            return Ok((Self::Direct, buffered(io::stdout())));
        }
        let failed = |source| ShellError::Write { path: path.clone(), source };
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => {
                let message = format!("{} is a directory, name a file", path.display());
                return Err(ShellError::Usage(message));
            }
            Ok(about) if !about.is_file() => {
                let device = OpenOptions::new().write(true).open(path).map_err(failed)?;
                return Ok((Self::Direct, buffered(device)));
            }
            Ok(_) if !settings.overwrite => return Err(exists(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let part = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&part).map_err(failed)?;
        let out = buffered(file.try_clone().map_err(failed)?);
        let (path, overwrite) = (path.clone(), settings.overwrite);
        Ok((Self::File(PartFile { file, part, path, overwrite, kept: false }), out))
    }

    /// Gives the complete file its name, once it is on disk.
    pub fn keep(self) -> Result<(), ShellError> {
        let Self::File(mut part) = self else { return Ok(()) };
        let failed = |source| ShellError::Write { path: part.path.clone(), source };
        part.file.sync_all().map_err(failed)?;
        if !part.overwrite && part.path.exists() {
            return Err(exists(&part.path));
        }
        fs::rename(&part.part, &part.path).map_err(failed)?;
        part.kept = true;
        let directory = part.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(directory.unwrap_or(Path::new("."))).map_err(failed)?;
        directory.sync_all().map_err(failed)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.kept {
            // There is an error already, and nothing reads a file of that name.
            let _left = fs::remove_file(&self.part);
        }
    }
}

fn buffered(out: impl Write + Send + 'static) -> Out {
    Box::new(BufWriter::with_capacity(BUFFER_BYTES, out))
}

fn exists(path: &Path) -> ShellError {
    ShellError::Usage(format!("{} exists, --overwrite replaces it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::export::arguments::ParquetCompression;
    use crate::cli::file_format::{FileFormat, Named};

    fn settings(path: PathBuf, overwrite: bool) -> FileSettings {
        FileSettings {
            path,
            named: Named { format: FileFormat::Csv, gzip: false, tabs: false },
            stream: false,
            delimiter: b',',
            header: true,
            compression: ParquetCompression::None,
            overwrite,
        }
    }

    #[test]
    fn a_file_appears_when_it_is_complete_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.csv");
        let (destination, mut out) = Destination::open(&settings(path.clone(), false)).unwrap();
        out.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop((destination, out));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

        let (destination, mut out) = Destination::open(&settings(path.clone(), false)).unwrap();
        out.write_all(b"whole").unwrap();
        out.flush().unwrap();
        destination.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let error = Destination::open(&settings(path.clone(), false)).err().unwrap();
        assert!(error.to_string().contains("--overwrite"), "{error}");
        Destination::open(&settings(path, true)).unwrap().0.keep().unwrap();
    }
}
