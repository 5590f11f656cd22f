//! A catalog becomes model files: what `inspect` writes.
//!
//! Which entries an object has is its kind's knowledge; this puts each into the mapping of what it
//! belongs to, in the order in which the keys are declared, and spreads the result over files.
//! Invariant: the same catalog gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Catalog, Object};
use reconcile_kinds::kind;
use reconcile_kinds::model::{MANAGE_KEY, NAMESPACE_KEY, WriteCx, Written, section_place};
use reconcile_yaml::Out;

/// How a model is spread over files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A file for each namespace, and a folder with a file for each of its tables.
    Folder,
    /// One file.
    Single,
}

/// The files of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Relative paths with their texts, in order.
    pub files: BTreeMap<String, String>,
    /// The objects that no model can state, in order.
    pub left_out: Vec<Address>,
}

impl Files {
    /// All texts, one after the other: the text of a single file.
    pub fn text(&self) -> String {
        self.files.values().map(String::as_str).collect()
    }
}

/// The file of what stands in no namespace, and of everything in [`Layout::Single`].
const DATABASE: &str = "database.yaml";

/// Writes a catalog as model files; `manage` is what of all objects is stated besides (`owners`,
/// `grants`).
pub fn write(catalog: &Catalog, layout: Layout, manage: &[String]) -> Files {
    let mut out = Files::default();
    let single = (layout == Layout::Single).then(|| main_namespace(catalog));
    let mut names = FileNames::default();
    let mut files: BTreeMap<String, (String, Placed)> = BTreeMap::new();
    for object in catalog.objects().filter(|o| o.parent.is_none()) {
        let namespace = match (&single, object.address.path()) {
            (Some(namespace), _) => namespace.clone(),
            (None, [namespace, _, ..]) => namespace.clone(),
            (None, _) => String::new(),
        };
        let cx = WriteCx { catalog, namespace: &namespace, manage };
        let Some((written, value)) = entry(object, &cx, &mut out.left_out) else { continue };
        let path = match single {
            Some(_) => DATABASE.to_owned(),
            None => names.of(object, &namespace),
        };
        let (_, placed) = files.entry(path).or_insert_with(|| (namespace.clone(), Vec::new()));
        placed.push((written, value));
    }
    for (path, (namespace, placed)) in files {
        let head =
            (!namespace.is_empty()).then(|| (NAMESPACE_KEY.to_owned(), Out::text(namespace)));
        let managed = (!manage.is_empty()).then(|| (MANAGE_KEY.to_owned(), Out::words(manage)));
        let entries = head.into_iter().chain(managed).chain(sections(placed)).collect();
        out.files.insert(path, Out::Record(entries).document());
    }
    out.left_out.sort();
    out
}

/// Objects with what a model says of them.
type Placed = Vec<(Written, Out)>;

/// The namespace whose names stand unqualified in a single file.
fn main_namespace(catalog: &Catalog) -> String {
    let names: BTreeSet<&str> = catalog
        .objects()
        .filter(|o| o.address.path().len() > 1)
        .map(|o| o.address.namespace())
        .collect();
    let only = names.first().filter(|_| names.len() == 1);
    only.map_or_else(|| "public".to_owned(), |name| (*name).to_owned())
}

/// What a model says of an object and of everything that belongs to it.
fn entry(object: &Object, cx: &WriteCx<'_>, left_out: &mut Vec<Address>) -> Option<(Written, Out)> {
    let Some(part) = kind(object.address.kind()).and_then(|kind| kind.model()) else {
        left_out.push(object.address.clone());
        return None;
    };
    let mut written = part.write(object, cx)?;
    let children = cx.catalog.children(&object.address);
    let belonging: Placed = children.filter_map(|child| entry(child, cx, left_out)).collect();
    let mut entries: Vec<(String, Out)> = std::mem::take(&mut written.entries)
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let alone = belonging.is_empty() && entries.len() == 1;
    let value = match entries.first() {
        Some((key, _)) if alone && written.short == Some(key.as_str()) => entries.remove(0).1,
        _ => {
            let belonging = sections(belonging);
            // What is said in a word of the object itself comes before what it consists of.
            let (words, parts): (Vec<_>, Vec<_>) =
                belonging.into_iter().partition(|(_, value)| matches!(value, Out::Text(_)));
            Out::Record(words.into_iter().chain(entries).chain(parts).collect())
        }
    };
    Some((written, value))
}

/// The sections of a mapping: in the order of their keys' declarations, and in each the objects in
/// their order.
fn sections(mut placed: Placed) -> Vec<(String, Out)> {
    placed.sort_by(|(a, _), (b, _)| {
        let rank = |w: &Written| (section_place(w.section), w.place);
        rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
    });
    let mut out: Vec<(String, Out)> = Vec::new();
    for (written, value) in placed {
        match (written.key, out.last_mut()) {
            (Some(key), Some((section, Out::Map(entries)))) if section == written.section => {
                entries.push((key, value));
            }
            (Some(key), _) => out.push((written.section.to_owned(), Out::Map(vec![(key, value)]))),
            (None, _) => out.push((written.section.to_owned(), value)),
        }
    }
    out
}

/// The paths of files, each once also where upper and lower case are the same.
#[derive(Default)]
struct FileNames {
    taken: BTreeSet<String>,
}

impl FileNames {
    fn of(&mut self, object: &Object, namespace: &str) -> String {
        if namespace.is_empty() {
            return DATABASE.to_owned();
        }
        let part = kind(object.address.kind()).and_then(|kind| kind.model());
        if !part.is_some_and(|part| part.has_own_file()) {
            let name = file_name(namespace);
            let taken = DATABASE.strip_suffix(".yaml") == Some(name.to_lowercase().as_str());
            return format!("{name}{}.yaml", if taken { "_namespace" } else { "" });
        }
        let stem = format!("{}/{}", file_name(namespace), file_name(object.address.name()));
        let numbered = (2..).map(|n| format!("{stem}-{n}"));
        let free = |stem: &String| !self.taken.contains(&stem.to_lowercase());
        let stem = std::iter::once(stem.clone()).chain(numbered).find(free).unwrap_or(stem);
        self.taken.insert(stem.to_lowercase());
        format!("{stem}.yaml")
    }
}

/// A name as every file system takes it.
fn file_name(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '+');
    let mut out = String::new();
    for c in name.chars() {
        if safe(c) {
            out.push(c);
        } else {
            out.push_str(&format!("%{:02x}", u32::from(c)));
        }
    }
    out
}
