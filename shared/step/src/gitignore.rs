//! The `.gitignore` of the cluster's folder: what keeps its secrets out of version control.

use std::fs::{self, Permissions};
use std::io::{Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::file::sync_folder;

/// Only the lock may be committed.
const TEXT: &str = "*\n!ichor.lock\n";

/// Makes it, whole or not at all. A folder that has one keeps it, but for an empty one: a full disk once left that, and it
/// ignores nothing.
pub(crate) fn ensure(dir: &Path) -> Result<()> {
    let path = dir.join(".gitignore");
    let is_there = fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file() || found.len() > 0);
    if is_there {
        return Ok(());
    }
    let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
    temporary.write_all(TEXT.as_bytes())?;
    // Git reads it as whoever works in the folder, whatever the umask.
    temporary.as_file().set_permissions(Permissions::from_mode(0o644))?;
    temporary.as_file().sync_all()?;
    temporary.persist(&path).map_err(|error| error.error)?;
    sync_folder(dir);
    Ok(())
}

/// Whether it keeps a file out of version control.
pub(crate) fn ignores(dir: &Path, file: &str) -> bool {
    let text = fs::read_to_string(dir.join(".gitignore")).unwrap_or_default();
    text.lines().map(str::trim).any(|line| line == "*" || line.trim_start_matches('/') == file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_one_that_a_full_disk_left_is_written_again_and_one_of_the_users_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".gitignore");
        for (before, after) in [(None, TEXT), (Some(""), TEXT), (Some("# mine\n"), "# mine\n")] {
            let _none = fs::remove_file(&path);
            before.inspect(|text| fs::write(&path, text).unwrap());
            ensure(folder.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        }
        fs::remove_file(&path).unwrap();
        ensure(folder.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(ignores(folder.path(), "secrets.yaml"));
    }
}
