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
    let places = Places::of(catalog, layout);
    let mut files: BTreeMap<String, (String, Vec<Item>)> = BTreeMap::new();
    for object in catalog.objects().filter(|o| o.parent.is_none()) {
        let Some(Place { path, namespace }) = places.of.get(&object.address) else { continue };
        let cx = WriteCx { catalog, namespace, manage };
        let Some(item) = item(object, &cx, &mut out.left_out) else { continue };
        let (_, items) = files.entry(path.clone()).or_insert_with(|| (namespace.clone(), vec![]));
        items.push(item);
    }
    if layout == Layout::Single && files.is_empty() {
        // An empty database has a model too, which is not an empty file.
        files.insert(DATABASE.to_owned(), (main_namespace(catalog), Vec::new()));
    }
    for (path, (namespace, items)) in files {
        let text = document(&namespace, manage, &items);
        out.files.insert(path, text);
    }
    out.left_out.sort();
    out
}

/// The text of a file.
pub(crate) fn document(namespace: &str, manage: &[String], items: &[Item]) -> String {
    let head = (!namespace.is_empty()).then(|| (NAMESPACE_KEY.to_owned(), Out::text(namespace)));
    let managed = (!manage.is_empty()).then(|| (MANAGE_KEY.to_owned(), Out::words(manage)));
    let entries = sections(items).into_iter().map(|(name, items)| (name.to_owned(), of(&items)));
    Out::Record(head.into_iter().chain(managed).chain(entries).collect()).document()
}

/// Where an object that stands by itself is written.
pub(crate) struct Place {
    /// The file.
    pub(crate) path: String,
    /// The namespace of the file; none if it is empty.
    pub(crate) namespace: String,
}

/// Where everything is written.
pub(crate) struct Places {
    pub(crate) of: BTreeMap<Address, Place>,
}

impl Places {
    /// The files of a layout.
    pub(crate) fn of(catalog: &Catalog, layout: Layout) -> Self {
        let single = (layout == Layout::Single).then(|| main_namespace(catalog));
        let mut names = FileNames::default();
        let mut of = BTreeMap::new();
        for object in catalog.objects().filter(|o| o.parent.is_none()) {
            let namespace = match (&single, object.address.path()) {
                (Some(namespace), _) => namespace.clone(),
                (None, [namespace, _, ..]) => namespace.clone(),
                (None, _) => String::new(),
            };
            let path = match single {
                Some(_) => DATABASE.to_owned(),
                None => names.of(object, &namespace),
            };
            of.insert(object.address.clone(), Place { path, namespace });
        }
        Self { of }
    }
}

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

/// What a model says of an object, and of everything that belongs to it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) address: Address,
    pub(crate) section: &'static str,
    /// Its key in the section; none where the section is the object itself.
    pub(crate) key: Option<String>,
    /// What stands in its own mapping.
    pub(crate) own: Vec<(String, Out)>,
    /// What belongs to it.
    pub(crate) children: Vec<Item>,
    short: Option<&'static str>,
    place: i32,
}

/// What a model says of an object; nothing if it follows from another one, or cannot be stated.
pub(crate) fn item(object: &Object, cx: &WriteCx<'_>, left_out: &mut Vec<Address>) -> Option<Item> {
    let Some(part) = kind(object.address.kind()).and_then(|kind| kind.model()) else {
        left_out.push(object.address.clone());
        return None;
    };
    let Written { section, key, entries, short, place, implied } = part.write(object, cx)?;
    let children = cx.catalog.children(&object.address);
    let children: Vec<Item> = children.filter_map(|child| item(child, cx, left_out)).collect();
    if implied && entries.is_empty() && children.is_empty() {
        return None;
    }
    let own = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Some(Item { address: object.address.clone(), section, key, own, children, short, place })
}

impl Item {
    /// Its definition.
    pub(crate) fn value(&self) -> Out {
        if let ([(key, value)], []) = (self.own.as_slice(), self.children.as_slice())
            && self.short == Some(key.as_str())
        {
            return value.clone();
        }
        let belonging = sections(&self.children).into_iter();
        let belonging = belonging.map(|(name, items)| (name.to_owned(), of(&items)));
        // What is said in a word of the object itself comes before what it consists of.
        let (words, parts): (Vec<_>, Vec<_>) =
            belonging.partition(|(_, value)| matches!(value, Out::Text(_)));
        Out::Record(words.into_iter().chain(self.own.iter().cloned()).chain(parts).collect())
    }

    /// Whether something holds for the object and for all that belongs to it.
    pub(crate) fn all(&self, holds: &impl Fn(&Address) -> bool) -> bool {
        holds(&self.address) && self.children.iter().all(|child| child.all(holds))
    }
}

/// The sections of a mapping: in the order of their keys' declarations, and in each the objects in
/// their order.
pub(crate) fn sections(items: &[Item]) -> Vec<(&'static str, Vec<&Item>)> {
    let mut sorted: Vec<&Item> = items.iter().collect();
    sorted.sort_by(|a, b| {
        let rank = |item: &Item| (section_place(item.section), item.place);
        rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
    });
    let mut out: Vec<(&'static str, Vec<&Item>)> = Vec::new();
    for item in sorted {
        match out.last_mut() {
            Some((section, items)) if *section == item.section && item.key.is_some() => {
                items.push(item);
            }
            _ => out.push((item.section, vec![item])),
        }
    }
    out
}

/// The value of a section.
pub(crate) fn of(items: &[&Item]) -> Out {
    match items {
        [one] if one.key.is_none() => one.value(),
        items => Out::Map(
            items.iter().map(|item| (item.key.clone().unwrap_or_default(), item.value())).collect(),
        ),
    }
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
