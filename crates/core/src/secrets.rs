//! Secrets the server makes for itself and keeps in the data directory, readable by its owner
//! alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::EngineError;

/// The file that holds the key tokens and tickets are signed with.
const TOKEN_SECRET_FILE: &str = "token-secret";
/// The file a generated root password is written to.
pub(crate) const ROOT_PASSWORD_FILE: &str = "root-password";
/// Bytes of the token secret.
pub(crate) const TOKEN_SECRET_BYTES: usize = 32;
/// Random bytes of a generated password (two characters each).
const PASSWORD_BYTES: usize = 16;
/// Only the owner may read or write.
const OWNER_ONLY: u32 = 0o600;

/// Reads the token secret, or makes one at the first start.
pub(crate) fn token_secret(data_dir: &Path) -> Result<[u8; TOKEN_SECRET_BYTES], EngineError> {
    let path = data_dir.join(TOKEN_SECRET_FILE);
    let mut secret = [0; TOKEN_SECRET_BYTES];
    match File::open(&path) {
        Ok(mut file) => {
            file.read_exact(&mut secret).map_err(|error| {
                EngineError::internal(&format!("read the token secret {}", path.display()), error)
            })?;
            Ok(secret)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            random_bytes(&mut secret)?;
            write_new(&path, &secret)?;
            Ok(secret)
        }
        Err(error) => {
            Err(EngineError::internal(&format!("open the token secret {}", path.display()), error))
        }
    }
}

/// Makes a random password and writes it to `<data-dir>/root-password`.
pub(crate) fn generate_root_password(data_dir: &Path) -> Result<String, EngineError> {
    let mut bytes = [0; PASSWORD_BYTES];
    random_bytes(&mut bytes)?;
    let password: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = data_dir.join(ROOT_PASSWORD_FILE);
    // A file left by a first start that did not get far is of no use any more.
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(EngineError::internal(&format!("replace {}", path.display()), error));
        }
    }
    write_new(&path, format!("{password}\n").as_bytes())?;
    Ok(password)
}

fn random_bytes(bytes: &mut [u8]) -> Result<(), EngineError> {
    SysRng
        .try_fill_bytes(bytes)
        .map_err(|error| EngineError::internal("ask the system for random bytes", error))
}

fn write_new(path: &Path, content: &[u8]) -> Result<(), EngineError> {
    let write = || -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|error| EngineError::internal(&format!("write {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_token_secret_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = token_secret(dir.path()).unwrap();
        assert_eq!(token_secret(dir.path()).unwrap(), first);
        assert_ne!(first, [0; TOKEN_SECRET_BYTES]);
        let mode = fs::metadata(dir.path().join(TOKEN_SECRET_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
    }

    #[test]
    fn generated_passwords_differ() {
        let dir = tempfile::tempdir().unwrap();
        let first = generate_root_password(dir.path()).unwrap();
        let second = generate_root_password(dir.path()).unwrap();
        assert_ne!(first, second);
        let stored = fs::read_to_string(dir.path().join(ROOT_PASSWORD_FILE)).unwrap();
        assert_eq!(stored.trim(), second);
    }
}
