//! From paths to texts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reconcile_yaml::{Problem, Span};

use crate::diagnostic::{Diagnostic, Diagnostics, Source};

/// The texts of all files that the paths mean, each once, in a fixed order.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Vec<Source>, Diagnostics> {
    let mut found = Found::default();
    for path in paths {
        found.take(path);
    }
    let Found { mut sources, problems, .. } = found;
    if let Some(first) = problems.into_iter().next() {
        return Err(first.into());
    }
    if sources.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        let message = format!("there is no model in {}", names.join(", "));
        return Err(Diagnostic::without_source(
            "no_model",
            message,
            "a model is a file that ends in .yaml or .yml",
        )
        .into());
    }
    sources.sort_by(|a, b| a.0.cmp(&b.0));
    sources.into_iter().map(|(path, bytes)| text(&path, bytes)).collect()
}

/// Whether a path leads to a file of a model, readable or not.
pub(crate) fn any(path: &Path) -> bool {
    if !path.is_dir() {
        return path.exists();
    }
    let Ok(entries) = fs::read_dir(path) else { return true };
    let mut entries = entries.flatten().map(|entry| entry.path());
    // A link that leads back is followed by nobody.
    entries.any(|entry| is_model(&entry) && !entry.is_symlink() && any(&entry))
}

#[derive(Default)]
struct Found {
    sources: Vec<(PathBuf, Vec<u8>)>,
    problems: Vec<Diagnostic>,
    seen: BTreeSet<PathBuf>,
}

impl Found {
    fn take(&mut self, path: &Path) {
        // A path that is given twice, or a link that leads back, counts once.
        let outcome = fs::canonicalize(path).and_then(|real| {
            if !self.seen.insert(real.clone()) {
                return Ok(());
            }
            if !real.is_dir() {
                self.sources.push((path.to_owned(), fs::read(path)?));
                return Ok(());
            }
            let mut entries: Vec<PathBuf> =
                fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
            entries.sort();
            for entry in entries.iter().filter(|entry| is_model(entry)) {
                self.take(entry);
            }
            Ok(())
        });
        if let Err(error) = outcome {
            let shown = path.display();
            let (message, help) = match error.kind() {
                std::io::ErrorKind::NotFound => (
                    format!("`{shown}` is not there"),
                    "name a model file or a folder of them; `schema/` is the default",
                ),
                _ => (format!("`{shown}` cannot be read: {error}"), "check its permissions"),
            };
            self.problems.push(Diagnostic::without_source("no_file", message, help));
        }
    }
}

/// Whether a folder's entry is part of a model: a folder, or a YAML file.
fn is_model(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    !hidden && (yaml || path.is_dir())
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<Source, Diagnostics> {
    let name = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(&name, &text)),
        Err(error) => {
            let bytes = error.as_bytes();
            let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
            let at = error.utf8_error().valid_up_to();
            // The bytes before the first bad one stand in the shown text as they are.
            let mark = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
            let shown = Source::new(&name, &String::from_utf8_lossy(bytes));
            let span = Span { file: 0, start: at - mark, end: at - mark + '\u{fffd}'.len_utf8() };
            let help = if wide {
                "the file is UTF-16: save it as UTF-8"
            } else {
                "save the file as UTF-8"
            };
            let problem = Problem::new("not_utf8", "the file is not UTF-8");
            let problem = problem.at(span, format!("byte 0x{:02x}", bytes[at])).help(help);
            Err(Diagnostic::of(problem, &[shown]).into())
        }
    }
}
