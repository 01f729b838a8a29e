//! The data directory: its rights, the lock that keeps a second server out, and the free space below it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::store::OpenError;

/// The database; SQLite puts `-wal` and `-shm` beside it with the same rights.
pub const DATABASE_NAME: &str = "sluice.db";

const LOCK_NAME: &str = "lock";

/// Nobody but the server's user.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The data directory of a running server, locked until dropped.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the directory if need be, takes its lock and makes sure that the database file is private.
    pub fn lock(dir: &Path) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::Folder {
            dir: dir.to_owned(),
            cause,
        };
        make(dir).map_err(failed)?;
        let lock = private_file(&dir.join(LOCK_NAME)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    dir: dir.to_owned(),
                });
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        // Made here, since SQLite would make it with the process's umask. No connection is open yet, so closing this
        // handle drops no lock of SQLite's.
        private_file(&dir.join(DATABASE_NAME)).map_err(failed)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join(DATABASE_NAME)
    }
}

/// Bytes that this user may still write to the file system below `dir`.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn make(dir: &Path) -> io::Result<()> {
    let is_new = !dir.try_exists()?;
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(dir)?;
    match std::fs::set_permissions(dir, Permissions::from_mode(FOLDER_MODE)) {
        // A mounted volume may belong to another user; the files in it are private by themselves.
        Err(cause) if !is_new && cause.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Ok(()) if is_new => sync_entry(dir),
        other => other,
    }
}

/// A directory that was just made must not vanish in a power cut with what is stored in it.
fn sync_entry(dir: &Path) -> io::Result<()> {
    match dir.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(FILE_MODE)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folder_and_files_are_private() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        let folder = Folder::lock(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&folder.database()), 0o600);
        assert_eq!(mode(&dir.join(LOCK_NAME)), 0o600);
    }

    #[test]
    fn a_second_server_is_refused_by_the_name_of_the_directory_until_the_first_ends() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::lock(dir.path()).unwrap();
        let refusal = Folder::lock(dir.path()).unwrap_err();
        assert!(matches!(refusal, OpenError::InUse { .. }));
        assert!(refusal.to_string().contains(dir.path().to_str().unwrap()));
        drop(first);
        Folder::lock(dir.path()).unwrap();
    }

    #[test]
    fn free_space_of_a_missing_directory_is_an_error() {
        assert!(free_bytes(Path::new("/")).is_ok());
        assert!(free_bytes(Path::new("/no/such/directory")).is_err());
    }
}
