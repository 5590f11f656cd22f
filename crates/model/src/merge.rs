//! A model that is there is brought up to date with a catalog: what `inspect` does to a folder
//! that it finds.
//!
//! Invariant: the text of an entry whose objects did not change stays as it is to the letter, with
//! the comments above it. Only block mappings are edited entry by entry; a mapping that stands on
//! one line is kept whole, or gets a line for each of its entries. The result is text: whoever asks for it reads it again and
//! compares, so that a mistake here cannot become a wrong model.

mod edit;
mod forms;

use std::collections::{BTreeMap, BTreeSet};

use reconcile_catalog::{Address, Catalog};
use reconcile_kinds::model::{FILE, Form, MANAGE_KEY, NAMESPACE_KEY, Shape, WriteCx, fields_of};
use reconcile_yaml::{Entry, Node, Out, Value};

use crate::Model;
use crate::write::{Item, Layout, Place, Places, document, item, of, sections};
use edit::{Edits, Part, end_of};
use forms::{form_of, says_how, value_over};

/// How a catalog stands to a model: what comparing them has shown.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The live object that each desired one is.
    pub matched: BTreeMap<Address, Address>,
    /// Desired objects whose live ones differ.
    pub altered: BTreeSet<Address>,
}

/// A model's files as they shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The texts of the files that are there, by the names under which they were found. A file with
    /// nothing in it any more has none.
    pub files: BTreeMap<String, Option<String>>,
    /// Further files, by their paths in the layout.
    pub new: BTreeMap<String, String>,
    /// Objects that the model stated and the catalog does not have.
    pub gone: Vec<Address>,
    /// Objects that no model can state.
    pub left_out: Vec<Address>,
}

impl Model {
    /// Its files as they shall be for a catalog.
    pub fn update(&self, live: &Catalog, state: &State, layout: Layout) -> Update {
        let manage: Vec<String> = self.managed().into_iter().collect();
        let mut places: Vec<(usize, usize, &Address)> =
            self.places.iter().map(|(a, span)| (span.file, span.start, a)).collect();
        places.sort();
        let live_of = state.matched.iter().map(|(desired, live)| (live, desired)).collect();
        let merge = Merge { state, places, desired_of: live_of, model: self };

        let mut out = Update::default();
        let desired = state.matched.keys().collect::<BTreeSet<_>>();
        out.gone = self
            .places
            .keys()
            .filter(|a| !desired.contains(a) && !self.forbids(a) && !live.contains(a))
            .cloned()
            .collect();
        // What is part of something that is gone needs no mention.
        let all = out.gone.clone();
        out.gone.retain(|address| {
            let around = |other: &Address| {
                let (inner, outer) = (address.path(), other.path());
                inner.len() > outer.len() && inner.starts_with(outer)
                    || address.target().as_ref() == Some(other)
            };
            !all.iter().any(around)
        });
        let layout_places = Places::of(live, layout);
        let mut found: Vec<Vec<Item>> = self.roots().iter().map(|_| Vec::new()).collect();
        let mut new: BTreeMap<&str, (&str, Vec<Item>)> = BTreeMap::new();
        for object in live.objects().filter(|o| o.parent.is_none()) {
            let Some(Place { path, namespace }) = layout_places.of.get(&object.address) else {
                continue;
            };
            let place = merge.desired_of.get(&object.address).and_then(|d| self.places.get(d));
            // A file that is there takes what its layout gives it; its namespace is its own.
            let file = place.map(|span| span.file).or_else(|| self.file_of(path, layout));
            let of_file = file.map(|file| self.namespace_of(file));
            let namespace = of_file.as_deref().unwrap_or(namespace);
            let cx = WriteCx { catalog: live, namespace, manage: &manage };
            let Some(item) = item(object, &cx, &mut out.left_out) else { continue };
            match file {
                Some(file) => found[file].push(item),
                None => {
                    let own = layout_places.of[&object.address].namespace.as_str();
                    new.entry(path).or_insert_with(|| (own, Vec::new())).1.push(item);
                }
            }
        }
        for (file, (root, items)) in self.roots().iter().zip(&found).enumerate() {
            let source = &self.sources[file];
            let mut edits = Edits::new(source.text());
            let text = match merge.mapping(&mut edits, root, &FILE, None, items) {
                true => edits.finish(),
                false if merge.is_right(root, items) => source.text().to_owned(),
                false => document(&self.namespace_of(file), &[], items),
            };
            out.files.insert(source.name().to_owned(), kept(&text));
        }
        for (path, (namespace, items)) in new {
            out.new.insert(path.to_owned(), document(namespace, &[], &items));
        }
        out.left_out.sort();
        out
    }

    /// What any of its files manages of all objects: `owners`, `grants`.
    pub fn managed(&self) -> BTreeSet<String> {
        let lists = self.roots().iter().filter_map(|root| root.get(MANAGE_KEY));
        lists.flat_map(|list| list.items()).filter_map(Node::text).map(str::to_owned).collect()
    }

    fn namespace_of(&self, file: usize) -> String {
        let stated = self.roots()[file].get(NAMESPACE_KEY).and_then(Node::text);
        stated.unwrap_or("public").to_owned()
    }

    /// The file that is there under a path of the layout; in a single file everything is.
    fn file_of(&self, path: &str, layout: Layout) -> Option<usize> {
        match layout {
            Layout::Single => (!self.roots().is_empty()).then_some(0),
            Layout::Folder => {
                let ends = |name: &str| {
                    name.strip_suffix(path).is_some_and(|s| s.is_empty() || s.ends_with('/'))
                };
                self.sources.iter().position(|source| ends(source.name()))
            }
        }
    }

    fn forbids(&self, address: &Address) -> bool {
        self.absent.contains(address)
    }
}

/// A file's text, unless there is nothing in it any more.
fn kept(text: &str) -> Option<String> {
    let says = |line: &&str| {
        let line = line.trim();
        let header = line.starts_with("# yaml-language-server:");
        let empty = line.is_empty() || line == "---";
        !header && !empty && !names_namespace(line)
    };
    let mut lines = text.lines().filter(says);
    let first = lines.next()?;
    // Only comments are left: they are the user's, and the file stays a model.
    if first.trim().starts_with('#')
        && lines.all(|line| line.trim().starts_with('#'))
        && !text.lines().any(names_namespace)
    {
        return Some(format!("{text}namespace: public\n"));
    }
    Some(text.to_owned())
}

struct Merge<'a> {
    model: &'a Model,
    state: &'a State,
    /// Where everything is declared, in order.
    places: Vec<(usize, usize, &'a Address)>,
    desired_of: BTreeMap<&'a Address, &'a Address>,
}

impl Merge<'_> {
    /// What is declared in an entry.
    fn within(&self, file: usize, start: usize, end: usize) -> impl Iterator<Item = &Address> {
        let from = self.places.partition_point(|(f, s, _)| (*f, *s) < (file, start));
        let upto = move |place: &&(usize, usize, &Address)| place.0 == file && place.1 < end;
        self.places[from..].iter().take_while(upto).map(|(_, _, address)| *address)
    }

    /// What an entry declares, and what shall stand there. The first entry of a file that names no
    /// namespace declares that too.
    fn main<'i>(&self, entry: &Entry, items: &[&'i Item]) -> (Option<&Address>, Option<&'i Item>) {
        let span = entry.key.span;
        let declared = || self.within(span.file, span.start, span.start + 1);
        let found = declared().find_map(|desired| {
            let live = self.state.matched.get(desired)?;
            Some((desired, *items.iter().find(|item| item.address == *live)?))
        });
        match found {
            Some((desired, item)) => (Some(desired), Some(item)),
            None => (declared().next(), None),
        }
    }

    fn stands(&self, desired: &Address) -> bool {
        let matched = self.state.matched.contains_key(desired);
        self.model.forbids(desired) || (matched && !self.state.altered.contains(desired))
    }

    /// Whether a live object is stated, and as it is.
    fn is_stated(&self, live: &Address) -> bool {
        self.desired_of.get(live).is_some_and(|desired| !self.state.altered.contains(*desired))
    }

    /// Whether an entry says what is so, and all of it.
    fn says(&self, entry: &Entry, items: &[&Item]) -> bool {
        let (start, end) = (entry.key.span.start, entry.value.span.end.max(entry.key.span.end));
        self.within(entry.key.span.file, start, end).all(|desired| self.stands(desired))
            && items.iter().all(|item| item.all(&|live| self.is_stated(live)))
    }

    fn is_right(&self, root: &Node, items: &[Item]) -> bool {
        let span = root.span;
        self.within(span.file, span.start, span.end).all(|desired| self.stands(desired))
            && items.iter().all(|item| item.all(&|live| self.is_stated(live)))
    }

    /// Edits a mapping; false if that cannot be done entry by entry. `own` is what shall stand in it
    /// of the object itself, if that changed.
    fn mapping(
        &self,
        edits: &mut Edits<'_>,
        node: &Node,
        form: &'static Form,
        own: Option<&[(String, Out)]>,
        items: &[Item],
    ) -> bool {
        let Some(indent) = edits.block(node) else { return false };
        let wanted = sections(items);
        let section_of = |name: &str| wanted.iter().find(|(section, _)| *section == name);
        for entry in node.entries() {
            let name = entry.key.text.as_str();
            let field = fields_of(form).map(|(_, field)| field).find(|field| field.name == name);
            match (field, own) {
                (Some(field), _) if field.section => {
                    let none = Vec::new();
                    let items = section_of(name).map_or(&none, |(_, items)| items);
                    self.section(edits, entry, &field.shape, items);
                }
                (_, None) => {}
                (Some(field), _) if field.lasting => {}
                (_, Some(own)) => match own.iter().find(|(key, _)| key == name) {
                    Some((_, value)) if same(value, &entry.value) => {}
                    Some((_, value)) => edits.replace(entry, value),
                    None => edits.remove(entry),
                },
            }
        }
        let stated = |name: &str| node.entry(name).is_some();
        let words = own.into_iter().flatten().filter(|(key, _)| !stated(key));
        for (key, value) in words {
            edits.append(node, indent, key, value);
        }
        for (section, items) in wanted.iter().filter(|(section, _)| !stated(section)) {
            let news: Vec<&Item> = items
                .iter()
                .filter(|item| !item.all(&|live| self.is_stated(live)))
                .copied()
                .collect();
            if !news.is_empty() {
                edits.append(node, indent, section, &of(&news));
            }
        }
        true
    }

    fn section(
        &self,
        edits: &mut Edits<'_>,
        entry: &Entry,
        shape: &'static Shape,
        items: &[&Item],
    ) {
        if self.says(entry, items) {
            return;
        }
        let indent = edits.block(&entry.value);
        match (indent, items) {
            (_, []) => edits.remove(entry),
            (Some(indent), items) if items.iter().all(|item| item.key.is_some()) => {
                self.entries(edits, entry, indent, shape, items);
            }
            (None, items) => match self.parts(edits, &entry.value, shape, items) {
                Some(parts) => edits.replace_by_parts(entry, &parts),
                None => edits.replace(entry, &of(items)),
            },
            _ => edits.replace(entry, &of(items)),
        }
    }

    /// What becomes of a section on one line: its entries that say what is so keep their text.
    /// None if there is no such entry.
    fn parts<'i>(
        &self,
        edits: &Edits<'i>,
        section: &Node,
        shape: &'static Shape,
        items: &[&'i Item],
    ) -> Option<Vec<Part<'i>>> {
        let mut kept: BTreeMap<&Address, &'i str> = BTreeMap::new();
        let mut there: BTreeMap<&Address, &Node> = BTreeMap::new();
        for entry in section.entries() {
            let (_, item) = self.main(entry, items);
            there.extend(item.map(|item| (&item.address, &entry.value)));
            if let Some(item) = item.filter(|item| self.says(entry, &[item])) {
                kept.extend(edits.inline(entry).map(|text| (&item.address, text)));
            }
        }
        let part = |item: &&'i Item| {
            let kept = kept.get(&item.address).map(|text| Part::Kept(text));
            let value = || match there.get(&item.address) {
                Some(node) => value_over(item, shape, node),
                None => item.value(),
            };
            kept.or_else(|| Some(Part::New(item.key.as_deref()?, value())))
        };
        let how = section.entries().iter().any(|entry| says_how(shape, &entry.value));
        if kept.is_empty() && !how { None } else { items.iter().map(part).collect() }
    }

    /// Edits the entries of a section.
    fn entries(
        &self,
        edits: &mut Edits<'_>,
        section: &Entry,
        indent: usize,
        shape: &'static Shape,
        items: &[&Item],
    ) {
        let entries = section.value.entries();
        let mut there: BTreeMap<&Address, &Entry> = BTreeMap::new();
        for entry in entries {
            let (main, item) = self.main(entry, items);
            if let Some(item) = item {
                there.insert(&item.address, entry);
            }
            let own_items: Vec<&Item> = item.into_iter().collect();
            if self.says(entry, &own_items) {
                continue;
            }
            let (Some(item), Some(desired)) = (item, main) else {
                edits.remove(entry);
                continue;
            };
            let renamed = desired.name() != item.address.name();
            let altered = self.state.altered.contains(desired);
            let own = altered.then_some(item.own.as_slice());
            let form = form_of(shape, &entry.value);
            let merged = !renamed
                && form.is_some_and(|form| {
                    self.mapping(edits, &entry.value, form, own, &item.children)
                });
            match (merged, renamed, &item.key) {
                (true, ..) => {}
                (false, true, Some(key)) => {
                    edits.replace_all(entry, key, &value_over(item, shape, &entry.value));
                }
                (false, ..) => edits.replace(entry, &value_over(item, shape, &entry.value)),
            }
        }
        let mut before: Option<&Entry> = None;
        for item in items {
            if let Some(entry) = there.get(&item.address) {
                before = Some(entry);
            } else if !item.all(&|live| self.is_stated(live))
                && let Some(key) = &item.key
            {
                edits.insert(before, entries, indent, key, &item.value());
            }
        }
    }
}

/// Whether a value that is there reads as the one that shall be.
fn same(wanted: &Out, node: &Node) -> bool {
    let text = Out::entry("k", wanted, 0);
    let Ok(read) = reconcile_yaml::parse(0, &text) else { return false };
    read.get("k").is_some_and(|read| alike(read, node))
}

fn alike(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(x), Value::Scalar(y)) => x.text == y.text && x.meaning() == y.meaning(),
        (Value::Sequence(x), Value::Sequence(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| alike(x, y))
        }
        (Value::Mapping(x), Value::Mapping(y)) => {
            x.len() == y.len()
                && x.iter()
                    .zip(y)
                    .all(|(x, y)| x.key.text == y.key.text && alike(&x.value, &y.value))
        }
        (Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_), _) => false,
    }
}

/// The end of what an entry's value says, without the white space behind it.
fn value_end(text: &str, entry: &Entry) -> usize {
    end_of(text, entry.key.span.end, entry.value.span.end)
}

/// Whether a line says in which namespace unqualified names are.
fn names_namespace(line: &str) -> bool {
    line.strip_prefix(NAMESPACE_KEY).is_some_and(|rest| rest.starts_with(':'))
}
