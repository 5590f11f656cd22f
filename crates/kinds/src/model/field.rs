//! Keys, the forms in which they stand, and what their values look like.

/// Something in a model that is a mapping with keys of ours.
#[derive(Debug)]
pub struct Form {
    /// Its name in the JSON Schema: `foreign_key`.
    pub name: &'static str,
    /// How a sentence calls it: `a foreign key`.
    pub called: &'static str,
}

impl Form {
    /// A form.
    pub const fn new(name: &'static str, called: &'static str) -> Self {
        Self { name, called }
    }
}

/// A key.
#[derive(Debug)]
pub struct Field {
    /// The forms in which it may stand.
    pub of: &'static [&'static Form],
    /// The key.
    pub name: &'static str,
    /// What it says, in a line.
    pub doc: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether it has to be there, unless the object shall not exist.
    pub required: bool,
    /// The keys beside which it need not be there all the same.
    pub unless: &'static [&'static str],
    /// Whether it is read for the kind that declares it, out of what belongs to another one.
    pub section: bool,
    /// Whether it is read after everything else, because it refers to it.
    pub late: bool,
    /// Whether it says how something is done and not what is there: no catalog contradicts it.
    pub lasting: bool,
}

impl Field {
    /// A key of the kind's own mapping.
    pub const fn new(
        of: &'static [&'static Form],
        name: &'static str,
        shape: Shape,
        doc: &'static str,
    ) -> Self {
        let (required, unless, section) = (false, &[], false);
        Self { of, name, doc, shape, required, unless, section, late: false, lasting: false }
    }

    /// A key that stands in what belongs to another kind.
    pub const fn section(
        of: &'static [&'static Form],
        name: &'static str,
        shape: Shape,
        doc: &'static str,
    ) -> Self {
        Self { section: true, ..Self::new(of, name, shape, doc) }
    }

    /// `absent: true`
    pub const fn absent(of: &'static [&'static Form]) -> Self {
        Self::new(of, "absent", Shape::Flag, "true: it shall not exist.")
    }

    /// `renamed_from: old_name`
    pub const fn renamed_from(of: &'static [&'static Form]) -> Self {
        Self::new(
            of,
            "renamed_from",
            Shape::Name,
            "The name that it had; harmless once the rename has happened.",
        )
    }

    /// The same key, which has to be there.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same key, which has to be there unless one of these is.
    pub const fn required_unless(mut self, keys: &'static [&'static str]) -> Self {
        self.unless = keys;
        self.required()
    }

    /// The same key, which stays whatever the catalog says.
    pub const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// The same key, read after everything else.
    pub const fn late(mut self) -> Self {
        self.late = true;
        self
    }
}

/// What a value looks like.
#[derive(Debug)]
pub enum Shape {
    /// Nothing.
    Null,
    /// Text.
    Text,
    /// An identifier.
    Name,
    /// true or false.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text, a number, a flag or nothing.
    Scalar,
    /// A list of identifiers.
    Names,
    /// A mapping from words to scalars.
    Settings,
    /// A list.
    List(&'static Shape),
    /// A mapping with the keys of a form.
    Object(&'static Form),
    /// A mapping from names to values; nothing is an empty one.
    Map(&'static Shape),
    /// A mapping from names to definitions, or a list of definitions without names; nothing is an
    /// empty one.
    Named(&'static Shape),
    /// One of several, which differ in being a scalar, a list or a mapping.
    OneOf(&'static [Shape]),
}
