//! Trees of model files become the objects of a catalog.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use reconcile_catalog::{Address, AddressMap, Catalog, Object};
use reconcile_sql::QName;
use reconcile_sql::ident::{MAX_IDENT_BYTES, split_qualified};
use reconcile_yaml::{Entry, Key, Node, Problem, Span, Value, nearest};

use super::mention::Mention;
use super::{FILE, Field, Form, MANAGE_KEY, ModelPart, Shape, fields_of, names};
use crate::extension::Extension;
use crate::inheritance::{implied, known};
use crate::namespace;
use crate::registry::KINDS;

/// What became of the files of a model.
#[derive(Debug)]
pub struct Reading {
    /// The objects, and what else the model says.
    pub catalog: Catalog,
    /// Where they are declared: the place of their name, or of the whole where they have none.
    pub places: AddressMap<Span>,
    /// Whether it could matter which types the database has.
    pub asks_for_types: bool,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Reads the files of a model. `types` are the types that the database has beside the built-in
/// ones; without them, a type that nobody knows is taken on trust. `given` are objects that no
/// model declares and that are there all the same.
pub fn read(files: &[Node], types: Option<&BTreeSet<QName>>, given: Vec<Object>) -> Reading {
    let mut reader = ModelReader {
        namespace: String::new(),
        types,
        declared: BTreeMap::new(),
        catalog: Catalog::new(),
        places: AddressMap::default(),
        asks_for_types: false,
        extensions: Vec::new(),
        problems: Vec::new(),
        columns: AddressMap::default(),
        children: BTreeMap::new(),
        relations: HashMap::new(),
        taken: HashSet::new(),
        waiting: Vec::new(),
        mentions: Vec::new(),
        manage: managed(files),
    };
    for object in given {
        reader.note(&object);
        // What is given twice is the same object.
        let _ = reader.catalog.insert(object);
    }
    // Part by part and not file by file: a column may have an enum type of a later file.
    let parts: Vec<_> = fields_of(&FILE).filter(|(_, field)| field.section).collect();
    let namespaces: Vec<_> =
        files.iter().map(|root| namespace::model::of_file(root, &mut reader)).collect();
    reader.children = known::columns(files, &namespaces);
    for (part, field) in &parts {
        for (root, namespace) in files.iter().zip(&namespaces) {
            let entries = root.get(field.name).map_or(&[][..], Node::entries);
            for entry in entries {
                let (stated, name) = split_qualified(&entry.key.text);
                let name = QName::new(stated.unwrap_or_else(|| namespace.clone()), name);
                if entry.value.get("absent").and_then(Node::flag) != Some(true) {
                    reader.declared.extend(part.types(field, &name, &entry.value));
                }
            }
        }
    }
    for (part, field) in parts {
        for (root, namespace) in files.iter().zip(&namespaces) {
            reader.namespace.clone_from(namespace);
            if let Some(entry) = root.entry(field.name) {
                part.read(field, entry, &At { address: None, node: root }, &mut reader);
            }
        }
    }
    reader.read_waiting();
    implied::add(&mut reader.catalog);
    reader.resolve_mentions();
    for part in KINDS.iter().filter_map(|kind| kind.model()) {
        part.finish(&mut reader);
    }
    reader.manage_all();
    let ModelReader { catalog, places, asks_for_types, problems, .. } = reader;
    Reading { catalog, places, asks_for_types, problems }
}

/// What any of the files says of all objects.
fn managed(files: &[Node]) -> BTreeSet<String> {
    let lists = files.iter().filter_map(|root| root.get(MANAGE_KEY));
    lists.flat_map(|list| list.items()).filter_map(Node::text).map(str::to_owned).collect()
}

/// What a section stands in.
#[derive(Clone, Debug)]
pub struct At<'a> {
    /// The object; none for the top of a file.
    pub address: Option<Address>,
    /// Its mapping.
    pub node: &'a Node,
}

/// A definition in a section that takes names or does without.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// The name, if it has one.
    pub name: Option<String>,
    /// Where the name stands, or the whole definition.
    pub span: Span,
    /// The definition.
    pub node: &'a Node,
}

struct Waiting<'a> {
    part: &'static dyn ModelPart,
    field: &'static Field,
    entry: &'a Entry,
    at: At<'a>,
    namespace: String,
    rank: u8,
}

/// Collects the objects of a model.
pub struct ModelReader<'a> {
    /// The namespace of unqualified names in the file at hand.
    pub namespace: String,
    /// The types that the database has.
    pub(crate) types: Option<&'a BTreeSet<QName>>,
    /// Whether they were asked for.
    pub(crate) asks_for_types: bool,
    /// The extensions of the model, with their namespaces.
    pub(crate) extensions: Vec<(String, Address)>,
    /// The types that the model makes, and the objects that they come with.
    pub(crate) declared: BTreeMap<QName, Address>,
    pub(super) catalog: Catalog,
    places: AddressMap<Span>,
    problems: Vec<Problem>,
    columns: AddressMap<Vec<String>>,
    /// All columns of tables with parents; nothing where they are not known.
    children: BTreeMap<Address, Option<Vec<String>>>,
    relations: HashMap<QName, Span>,
    taken: HashSet<QName>,
    waiting: Vec<Waiting<'a>>,
    pub(super) mentions: Vec<Mention>,
    manage: BTreeSet<String>,
}

impl<'a> ModelReader<'a> {
    /// Reports a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The objects so far.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Adds an object. One that is there already is reported at both places, and false returned:
    /// what belongs to it need not be read.
    pub fn declare(&mut self, object: Object, span: Span) -> bool {
        let address = object.address.clone();
        self.note(&object);
        let new = self.is_new(&address, span) && self.catalog.insert(object).is_ok();
        if new {
            self.places.insert(address, span);
        }
        new
    }

    /// Where an object is declared.
    pub fn place(&self, address: &Address) -> Span {
        self.places.get(address).copied().unwrap_or_default()
    }

    /// Lets an object be made after another one.
    pub fn depend(&mut self, dependent: &Address, on: &Address) {
        self.catalog.depend(dependent, on);
    }

    /// Remembers an extension, which types may come from.
    fn note(&mut self, object: &Object) {
        if let Some(extension) = object.get::<Extension>() {
            let namespace = extension.namespace.as_deref().unwrap_or("public");
            self.extensions.push((namespace.to_owned(), object.address.clone()));
        }
    }

    /// Says that an object shall not be there.
    pub fn forbid(&mut self, address: Address, span: Span) {
        if self.is_new(&address, span) {
            self.places.insert(address.clone(), span);
            self.catalog.forbid(address);
        }
    }

    fn is_new(&mut self, address: &Address, span: Span) -> bool {
        let Some(before) = self.places.get(address).copied() else { return true };
        self.twice(&format!("{} `{}`", address.kind(), address.short()), span, before);
        false
    }

    fn twice(&mut self, what: &str, span: Span, before: Span) {
        self.problem(
            Problem::new("defined_twice", format!("{what} is defined twice"))
                .at(span, "again here")
                .at(before, "first here")
                .help("keep one of the two"),
        );
    }

    /// Makes the namespace of an object part of the model.
    pub fn in_namespace(&mut self, name: &str, span: Span) -> Address {
        let address = namespace::Namespace::address(name);
        if !self.catalog.contains(&address) {
            self.declare(namespace::model::object(name), span);
        }
        address
    }

    /// Takes a name that tables and indexes share, and that generated names keep clear of.
    pub fn claim_relation(&mut self, name: QName, span: Span) {
        self.taken.insert(name.clone());
        match self.relations.get(&name).copied() {
            None => {
                self.relations.insert(name, span);
            }
            Some(before) if before != span => {
                self.twice(&format!("a table or an index `{name}`"), span, before);
            }
            Some(_) => {}
        }
    }

    /// Takes a name that generated names keep clear of.
    pub fn claim(&mut self, name: QName) {
        self.taken.insert(name);
    }

    /// The name that PostgreSQL would choose in this namespace.
    pub fn generate(
        &self,
        namespace: &str,
        name1: &str,
        name2: Option<&str>,
        label: &str,
    ) -> String {
        let free = |name: &String| !self.taken.contains(&QName::new(namespace, name));
        let numbered = (1..).map(|n| names::object_name(name1, name2, &format!("{label}{n}")));
        let first = names::object_name(name1, name2, label);
        std::iter::once(first).chain(numbered).find(free).unwrap_or_default()
    }

    /// Whether the model speaks of this of all objects: `owners`, `grants`.
    pub fn manages(&self, what: &str) -> bool {
        self.manage.contains(what)
    }

    /// What is managed of all objects is stated in full of each that stands on its own.
    fn manage_all(&mut self) {
        let sections = KINDS.iter().filter_map(|kind| kind.model());
        let fields = sections.flat_map(|part| part.fields()).filter(|field| field.section);
        let sections: Vec<&'static str> =
            fields.map(|field| field.name).filter(|name| self.manage.contains(*name)).collect();
        let roots: Vec<Address> = self
            .catalog
            .objects()
            .filter(|object| object.parent.is_none())
            .map(|object| object.address.clone())
            .collect();
        for (section, root) in sections.iter().flat_map(|s| roots.iter().map(move |r| (s, r))) {
            self.catalog.manage(root.clone(), section);
        }
    }

    /// Says which section of an object the model states in full.
    pub fn manage(&mut self, parent: &Address, section: &'static str) {
        self.catalog.manage(parent.clone(), section);
    }

    /// Remembers the columns of a table, those with a problem included.
    pub fn set_columns(&mut self, table: &Address, columns: Vec<String>) {
        self.columns.insert(table.clone(), columns);
    }

    /// The columns of a table; nothing if the model does not state them.
    pub fn columns(&self, table: &Address) -> Option<&[String]> {
        let columns = match self.children.get(table) {
            Some(all) => all.as_ref(),
            None => self.columns.get(table),
        };
        columns.map(Vec::as_slice)
    }

    /// Whether a table has a column; a problem if not.
    pub fn has_column(&mut self, table: &Address, column: &str, span: Span) -> bool {
        let Some(columns) = self.columns(table) else { return true };
        if columns.iter().any(|c| c == column) {
            return true;
        }
        let help = match nearest(column, columns.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its columns are {}", columns.join(", ")),
        };
        let message = format!("table `{}` has no column `{column}`", table.short());
        self.problem(Problem::new("unknown_column", message).at(span, "no such column").help(help));
        false
    }

    /// A name as a key gives it, verbatim; nothing, and a problem, if it cannot be one.
    pub fn name(&mut self, key: &Key) -> Option<String> {
        self.valid_name(&key.text, key.span)
    }

    /// A name that a scalar gives, verbatim.
    pub fn name_of(&mut self, node: &Node) -> Option<String> {
        let text = node.text()?.to_owned();
        self.valid_name(&text, node.span)
    }

    /// A name in a namespace, the file's own unless it is stated.
    pub fn qualified(&mut self, text: &str, span: Span) -> Option<QName> {
        let (namespace, name) = split_qualified(text);
        let namespace = namespace.unwrap_or_else(|| self.namespace.clone());
        let namespace = self.valid_name(&namespace, span)?;
        Some(QName::new(namespace, self.valid_name(&name, span)?))
    }

    /// A name, if PostgreSQL keeps it as it is.
    pub fn valid_name(&mut self, name: &str, span: Span) -> Option<String> {
        let problem = if name.is_empty() {
            Problem::new("name", "a name is empty").at(span, "here").help("write a name")
        } else if name.len() > MAX_IDENT_BYTES {
            let message = format!("a name of {} bytes is too long", name.len());
            let help = format!("PostgreSQL cuts names after {MAX_IDENT_BYTES} bytes: shorten it");
            Problem::new("name", message).at(span, "this name").help(help)
        } else if name.contains('\0') {
            let help = "PostgreSQL cannot keep it";
            Problem::new("name", "a name has a NUL byte").at(span, "this name").help(help)
        } else {
            return Some(name.to_owned());
        };
        self.problem(problem);
        None
    }

    /// A list of columns of a table, each once.
    pub fn column_list(&mut self, node: &Node, table: &Address) -> Option<Vec<String>> {
        let mut out: Vec<String> = Vec::new();
        let mut right = true;
        for item in node.items() {
            let name = self.name_of(item)?;
            right &= self.has_column(table, &name, item.span);
            if out.contains(&name) {
                let message = format!("column `{name}` stands in this list twice");
                self.problem(
                    Problem::new("column_twice", message)
                        .at(item.span, "again here")
                        .help("remove one"),
                );
                right = false;
            }
            out.push(name);
        }
        right.then_some(out)
    }

    /// `renamed_from`, if it is there.
    pub fn renamed_from(&mut self, node: &Node) -> Option<String> {
        let from = node.get("renamed_from")?;
        self.name_of(from)
    }

    /// Whether a definition says that the object shall not be there, which is then recorded.
    pub fn absent(&mut self, node: &Node, address: &Address, span: Span) -> bool {
        if node.get("absent").and_then(Node::flag) != Some(true) {
            return false;
        }
        if let Some(other) =
            node.entries().iter().find(|e| e.key.text != "absent" && e.key.text != "name")
        {
            self.problem(
                Problem::new(
                    "absent",
                    format!("`{}` is said of something that shall not exist", other.key.text),
                )
                .at(other.key.span, "this contradicts `absent: true`")
                .help("keep `absent: true` alone, or remove it"),
            );
        }
        self.forbid(address.clone(), span);
        true
    }

    /// The definitions in a section that takes names or does without.
    pub fn items(&mut self, section: &'a Node) -> Vec<Item<'a>> {
        let mut out = Vec::new();
        match &section.value {
            Value::Mapping(entries) => {
                for Entry { key, value } in entries {
                    if let Some(name) = value.entry("name") {
                        self.problem(
                            Problem::new(
                                "name_twice",
                                format!("`{}` has its name already", key.text),
                            )
                            .at(name.key.span, "a second name")
                            .at(key.span, "the name is this key")
                            .help("`name` is for definitions in a list"),
                        );
                    }
                    if let Some(name) = self.name(key) {
                        out.push(Item { name: Some(name), span: key.span, node: value });
                    }
                }
            }
            Value::Sequence(items) => {
                for node in items {
                    let named = node.get("name");
                    let name = named.and_then(|n| self.name_of(n));
                    if named.is_none() || name.is_some() {
                        out.push(Item { name, span: named.map_or(node.span, |n| n.span), node });
                    }
                }
            }
            Value::Scalar(_) => {}
        }
        out
    }

    /// Lets the other kinds read what stands of theirs in the mapping of an object.
    pub fn sections(&mut self, form: &'static Form, address: &Address, node: &'a Node) {
        for (part, field) in fields_of(form).filter(|(_, field)| field.section) {
            let Some(entry) = node.entry(field.name) else { continue };
            let at = At { address: Some(address.clone()), node };
            // Definitions with names come before those that need one.
            let unnamed = matches!(field.shape, Shape::Named(_)) && !entry.value.items().is_empty();
            let rank = 2 * u8::from(field.late) + u8::from(unnamed);
            if rank == 0 {
                part.read(field, entry, &at, self);
            } else {
                let namespace = self.namespace.clone();
                self.waiting.push(Waiting { part, field, entry, at, namespace, rank });
            }
        }
    }

    fn read_waiting(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|w| w.rank);
        for Waiting { part, field, entry, at, namespace, .. } in waiting {
            self.namespace = namespace;
            part.read(field, entry, &at, self);
        }
    }
}
