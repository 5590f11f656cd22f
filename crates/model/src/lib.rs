//! YAML files become the desired catalog.
//!
//! Knows files, places in files and how to report what is wrong there; which keys there are and
//! what they mean is the kinds' knowledge. A model is read whole or not at all: as long as there
//! is one problem, there is no catalog.

mod check;
mod diagnostic;
mod files;
mod json_schema;
mod merge;
mod write;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use reconcile_catalog::{Address, AddressMap, Catalog, Complete, Object};
use reconcile_kinds::model::{Reading, read};
use reconcile_sql::QName;
use reconcile_yaml::{Entry, Node, Problem, Span};

pub use diagnostic::{Diagnostic, Diagnostics, Located};
pub use json_schema::json_schema;
pub use merge::{State, Update};
pub use write::{Files, Layout, write};

use diagnostic::Source;

/// The files of a model, read and checked as far as that goes without a database.
#[derive(Clone, Debug)]
pub struct Model {
    sources: Vec<Source>,
    /// What they say, as far as it does not depend on the types that a database has.
    catalog: Option<Catalog>,
    /// The trees of the files, once somebody wants them again: they are larger than all else.
    roots: OnceLock<Vec<Node>>,
    places: AddressMap<Span>,
    absent: BTreeSet<Address>,
    complete: Complete,
}

impl Model {
    /// Reads files and folders; of a folder, every `.yaml` and `.yml` file in it and below.
    ///
    /// # Errors
    /// All problems of all files, or of the file system.
    pub fn load(paths: &[PathBuf]) -> Result<Self, Diagnostics> {
        Self::read(files::load(paths)?)
    }

    /// Reads texts by their names, as if they were files.
    ///
    /// # Errors
    /// All problems of all texts.
    pub fn of_texts<'t>(
        texts: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, Diagnostics> {
        Self::read(texts.into_iter().map(|(name, text)| Source::new(name, text)).collect())
    }

    /// Whether there is a file of a model under a path.
    pub fn is_at(path: &std::path::Path) -> bool {
        files::any(path)
    }

    /// Reads one text; `name` stands for it in reports.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::read(vec![Source::new(name, text)])
    }

    fn read(sources: Vec<Source>) -> Result<Self, Diagnostics> {
        let mut roots = Vec::new();
        let mut problems: Vec<Problem> = Vec::new();
        for (file, source) in sources.iter().enumerate() {
            match reconcile_yaml::parse(file, source.text()) {
                Ok(root) => {
                    check::file(&root, &mut problems);
                    roots.push(root);
                }
                Err(found) => problems.extend(found),
            }
        }
        // With a file missing, what refers to it would be reported for nothing.
        let whole = roots.len() == sources.len();
        let reading = whole.then(|| read(&roots, None, Vec::new()));
        let (places, absent, catalog) = match reading {
            Some(Reading { catalog, places, asks_for_types, problems: found }) => {
                problems.extend(found);
                let absent = catalog.absent().cloned().collect();
                (places, absent, (!asks_for_types).then_some(catalog))
            }
            None => (AddressMap::default(), BTreeSet::new(), None),
        };
        if problems.is_empty() {
            let (roots, complete) = (OnceLock::new(), Complete::default());
            Ok(Self { sources, catalog, roots, places, absent, complete })
        } else {
            Err(Diagnostics::of(problems, &sources))
        }
    }

    /// The same model, complete for more than its sections.
    #[must_use]
    pub fn complete(mut self, complete: Complete) -> Self {
        self.complete = complete;
        if let Some(catalog) = &mut self.catalog {
            catalog.set_complete(complete);
        }
        self
    }

    /// The desired side. `live_types` are the types that the database has beside the built-in
    /// ones: only the database knows them.
    ///
    /// # Errors
    /// Types that neither the model nor the database has.
    pub fn catalog(&self, live_types: &BTreeSet<QName>) -> Result<Catalog, Diagnostics> {
        self.catalog_with(live_types, Vec::new())
    }

    /// The desired side together with objects that no model declares: functions, where a whole
    /// database is built from nothing.
    ///
    /// # Errors
    /// Types that neither the model nor the database has.
    pub fn catalog_with(
        &self,
        live_types: &BTreeSet<QName>,
        given: Vec<Object>,
    ) -> Result<Catalog, Diagnostics> {
        if let Some(catalog) = self.catalog.as_ref().filter(|_| given.is_empty()) {
            return Ok(catalog.clone());
        }
        let mut reading = read(self.roots(), Some(live_types), given);
        reading.catalog.set_complete(self.complete);
        if reading.problems.is_empty() {
            Ok(reading.catalog)
        } else {
            Err(Diagnostics::of(reading.problems, &self.sources))
        }
    }

    /// The trees of the files. Hardly any model needs them twice.
    fn roots(&self) -> &[Node] {
        self.roots.get_or_init(|| {
            let sources = self.sources.iter().enumerate();
            // A file without a tree would have been a problem.
            sources.filter_map(|(n, source)| reconcile_yaml::parse(n, source.text()).ok()).collect()
        })
    }

    /// The files, by the names under which they were found, in order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(Source::name)
    }

    /// The files with their texts.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|source| (source.name(), source.text()))
    }

    /// A digest of all texts, by which the same model is known again.
    pub fn digest(&self) -> String {
        let texts: Vec<&str> = self.sources.iter().map(Source::text).collect();
        reconcile_catalog::digest(&texts.join("\0"))
    }

    /// Where an object is declared.
    pub fn locate(&self, address: &Address) -> Option<Located> {
        let span = self.places.get(address)?;
        self.sources.get(span.file).map(|source| source.locate(*span))
    }

    /// A report about what the model says of an object under a key, at its value.
    pub fn report_at(
        &self,
        code: &'static str,
        message: &str,
        address: &Address,
        key: &str,
    ) -> Diagnostic {
        let declared = self.places.get(address).copied();
        let value = declared.and_then(|declared| {
            let stands = |entry: &Entry| entry.key.span == declared;
            let entry = find(self.roots().get(declared.file)?, &stands)?;
            entry.value.get(key).map(|node| node.span)
        });
        let problem = Problem::new(code, message);
        let problem = match (value, declared) {
            (Some(span), _) => problem.at(span, "this expression"),
            (None, Some(span)) => problem.at(span, "declared here"),
            (None, None) => problem,
        };
        Diagnostic::of(problem, &self.sources)
    }

    /// A report about an object, at the place where the model declares it.
    pub fn report(
        &self,
        code: &'static str,
        message: &str,
        address: &Address,
        help: Option<&str>,
    ) -> Diagnostic {
        let mut problem = Problem::new(code, message);
        if let Some(span) = self.places.get(address) {
            problem = problem.at(*span, "declared here");
        }
        problem.help = help.map(str::to_owned);
        Diagnostic::of(problem, &self.sources)
    }
}

/// The first entry of a tree for which something holds.
fn find<'n>(node: &'n Node, holds: &impl Fn(&Entry) -> bool) -> Option<&'n Entry> {
    let entries = node.entries().iter();
    let below = node.items().iter().find_map(|item| find(item, holds));
    below.or_else(|| {
        entries.into_iter().find_map(|entry| match holds(entry) {
            true => Some(entry),
            false => find(&entry.value, holds),
        })
    })
}
