//! Files are written all or not at all.
//!
//! Invariant: a file is there as it was or as it shall be, never half. Everything is written under
//! other names first; only then is anything given its name, and what goes is removed at the end.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::trouble::Trouble;

/// Writes texts to their paths; without a text, the file goes.
pub(crate) fn write(files: &BTreeMap<PathBuf, Option<String>>) -> Result<(), Failure> {
    let mut written: Vec<(PathBuf, &Path)> = Vec::new();
    let mut result = Ok(());
    for (path, text) in files {
        let Some(text) = text else { continue };
        let beside = beside(path);
        result = prepare(&beside, path, text);
        written.push((beside, path));
        if result.is_err() {
            break;
        }
    }
    for (beside, path) in &written {
        result = result.and_then(|()| rename(beside, path));
    }
    if result.is_err() {
        // What has its name is no longer under this one.
        for (beside, _) in &written {
            let _ = std::fs::remove_file(beside);
        }
        return result;
    }
    for path in files.iter().filter(|(_, text)| text.is_none()).map(|(path, _)| path) {
        std::fs::remove_file(path).map_err(|error| cannot("remove", path, &error))?;
    }
    Ok(())
}

/// A name beside a file's that no model has.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn prepare(beside: &Path, path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or(Ok(()), std::fs::create_dir_all);
    let written = folder.and_then(|()| std::fs::write(beside, text));
    // What is there keeps its permissions.
    let kept = written.and_then(|()| match std::fs::metadata(path) {
        Ok(there) => std::fs::set_permissions(beside, there.permissions()),
        Err(_) => Ok(()),
    });
    kept.map_err(|error| cannot("write", path, &error).into())
}

fn rename(beside: &Path, path: &Path) -> Result<(), Failure> {
    // A link is followed, so that the file behind it gets the text.
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let renamed = std::fs::rename(beside, &real).or_else(|error| match real == path {
        true => Err(error),
        // Behind the link there may be another file system.
        false => std::fs::copy(beside, &real).and_then(|_| std::fs::remove_file(beside)),
    });
    renamed.map_err(|error| cannot("write", path, &error).into())
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Trouble {
    Trouble::new("out", format!("cannot {verb} {}: {error}", path.display()))
}
