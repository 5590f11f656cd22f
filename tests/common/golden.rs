//! Expected texts that stand in files, for people to read.
//!
//! `RECONCILE_BLESS=1` writes them anew, and `git diff` shows what changed. A text that is another
//! one on older servers stands beside the usual one: `x.until-15.sql` holds for 15 and older. To
//! write these rightly, bless with all versions at once, newest first (the tests do them in this
//! order), for instance `RECONCILE_TEST_MAJORS=14,15,16,17,18 RECONCILE_BLESS=1`.

use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// Compares a text with `fixtures/expected/<name>.<ending>`; returns what is wrong.
pub(crate) fn compare(name: &str, ending: &str, major: u32, text: &str) -> Result<(), String> {
    let base = base(name, ending);
    if std::env::var_os("RECONCILE_BLESS").is_some() {
        bless(&base, &until(&base, major), major, text);
        return Ok(());
    }
    holds(name, ending, major, text)
}

/// The same, and never writes.
pub(crate) fn holds(name: &str, ending: &str, major: u32, text: &str) -> Result<(), String> {
    let path = valid(&base(name, ending), major);
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected == text {
        return Ok(());
    }
    let diff = super::dump::difference(&expected, text);
    Err(format!(
        "PostgreSQL {major}: {} is not what is there (RECONCILE_BLESS=1 rewrites it):\n{diff}",
        path.strip_prefix(root()).unwrap_or(&path).display()
    ))
}

fn base(name: &str, ending: &str) -> PathBuf {
    root().join("fixtures/expected").join(format!("{name}.{ending}"))
}

fn bless(base: &Path, own: &Path, major: u32, text: &str) {
    fs::create_dir_all(base.parent().expect("it has a folder")).expect("the fixtures are writable");
    let newest = reconcile_testkit::majors().into_iter().max() == Some(major);
    if newest {
        for major in 10..=major {
            let _ = fs::remove_file(until(base, major));
        }
        fs::write(base, text).expect("the fixtures are writable");
        return;
    }
    let _ = fs::remove_file(own);
    let others = fs::read_to_string(valid(base, major + 1)).unwrap_or_default();
    if others != text {
        fs::write(own, text).expect("the fixtures are writable");
    }
}

/// The file that holds for a major version: the nearest that is valid until it or a later one.
fn valid(base: &Path, major: u32) -> PathBuf {
    let older = (major..=99).map(|major| until(base, major)).find(|path| path.is_file());
    older.unwrap_or_else(|| base.to_owned())
}

fn until(base: &Path, major: u32) -> PathBuf {
    let extension = base.extension().unwrap_or_default().to_string_lossy().into_owned();
    base.with_extension(format!("until-{major}.{extension}"))
}
