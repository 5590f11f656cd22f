//! Objects as entries of a model file: the way back from a catalog.
//!
//! A kind says what stands in its own mapping; where the mapping goes, what belongs to the object
//! and is put into it, and how it is spelt, is the machinery's.

use reconcile_catalog::{Address, Catalog, Object};
use reconcile_sql::ident::is_plain;
use reconcile_sql::{QName, SqlType, quote_ident};
use reconcile_yaml::Out;

/// One object as a model states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The section of its parent, or of the file, in which it stands: `checks`.
    pub section: &'static str,
    /// Its key there; none where the section is the object itself: `primary_key`, `comment`.
    pub key: Option<String>,
    /// The entries of its mapping, in the order in which a person would write them. What belongs to
    /// it follows behind.
    pub entries: Vec<(&'static str, Out)>,
    /// The entry whose value alone can stand for the mapping: `type` of a column.
    pub short: Option<&'static str>,
    /// Its place among its siblings where that means something, as for columns; names decide
    /// between equals.
    pub place: i32,
    /// Whether it need not be written where nothing more is said of it.
    pub implied: bool,
}

impl Written {
    /// An object with a name of its own in a section of its parent.
    pub fn child(section: &'static str, object: &Object) -> Self {
        Self {
            section,
            key: Some(object.address.name().to_owned()),
            entries: Vec::new(),
            short: None,
            place: 0,
            implied: false,
        }
    }

    /// An object that stands in a section at the top of a file.
    pub fn root(section: &'static str, object: &Object, cx: &WriteCx<'_>) -> Self {
        Self { key: Some(cx.key(&object.address)), ..Self::child(section, object) }
    }

    /// The same with an entry.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: Out) -> Self {
        self.entries.push((key, value));
        self
    }

    /// The same with an entry if there is something to say.
    #[must_use]
    pub fn with_some(self, key: &'static str, value: Option<Out>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The same with `key: true` if it is so.
    #[must_use]
    pub fn with_flag(self, key: &'static str, flag: bool) -> Self {
        self.with_some(key, flag.then_some(Out::Flag(true)))
    }

    /// The same with a list of names if there are any.
    #[must_use]
    pub fn with_words(self, key: &'static str, words: &[String]) -> Self {
        self.with_some(key, (!words.is_empty()).then(|| Out::words(words)))
    }

    /// The same, and the value of this entry can stand for the whole if it is the only one.
    #[must_use]
    pub fn short(mut self, key: &'static str) -> Self {
        self.short = Some(key);
        self
    }

    /// The same, left out where nothing is said of it or of what belongs to it.
    #[must_use]
    pub fn implied(mut self, implied: bool) -> Self {
        self.implied = implied;
        self
    }
}

/// What a kind may look at when it writes an object.
#[derive(Clone, Copy, Debug)]
pub struct WriteCx<'a> {
    /// The catalog that is written.
    pub catalog: &'a Catalog,
    /// The namespace of the file.
    pub namespace: &'a str,
    /// What of all objects is stated besides: `owners`, `grants`.
    pub manage: &'a [String],
}

impl WriteCx<'_> {
    /// Whether this is stated of all objects.
    pub fn manages(&self, what: &str) -> bool {
        self.manage.iter().any(|m| m == what)
    }

    /// The key of something that stands at the top of a file: without the file's own namespace,
    /// and quoted only where a dot or a quote would be misread. Case is kept as it is.
    ///
    /// What stands in no namespace is called by its name alone.
    pub fn key(&self, address: &Address) -> String {
        let part = |name: &str| {
            if name.contains(['.', '"', '(']) {
                format!("\"{}\"", name.replace('"', "\"\""))
            } else {
                name.to_owned()
            }
        };
        match address.path() {
            [name] => name.clone(),
            [namespace, name] if namespace != self.namespace => {
                format!("{}.{}", part(namespace), part(name))
            }
            path => path.last().map_or_else(String::new, |name| part(name)),
        }
    }

    /// A name as SQL, without the file's own namespace where that is how a person would write it.
    pub fn name(&self, name: &QName) -> String {
        if name.namespace == self.namespace { quote_ident(&name.name) } else { name.to_string() }
    }

    /// A type, without the file's own namespace unless its name would be taken for a built-in one.
    pub fn ty(&self, ty: &SqlType) -> String {
        let bare = SqlType { namespace: None, ..ty.clone() };
        let own = ty.namespace.as_deref() == Some(self.namespace);
        if own && !bare.is_built_in() && is_plain(&ty.name) {
            bare.to_string()
        } else {
            ty.to_string()
        }
    }
}
