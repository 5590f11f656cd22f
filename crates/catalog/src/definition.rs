//! What an object is, as far as the machinery has to know: named properties with values.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use reconcile_sql::ident::split_qualified;
use reconcile_sql::{QName, SqlType, quote_ident};

use crate::{Address, Catalog, Expression, Renames, Retype, Retypes, Scope};

/// The definition of one object; the types behind it live with their kinds.
///
/// Implementations destructure themselves completely in [`Definition::properties`], so that a new
/// property does not compile until somebody decided how it compares.
pub trait Definition: Any + Debug + Send + Sync {
    /// Every property that is compared, in the order in which a person would read them.
    fn properties(&self) -> Vec<Property>;

    /// The section of its parent that this object stands in (`checks`), which a model manages as
    /// a whole or not at all.
    fn section(&self) -> &'static str;

    /// For a snapshot or the journal.
    fn to_json(&self) -> serde_json::Value;

    /// What names mean inside the expressions of this definition; `None` if it has none.
    ///
    /// The first catalog that knows a relation's column decides its type.
    fn scope(&self, _address: &Address, _catalogs: &[&Catalog]) -> Option<Scope> {
        None
    }

    /// This definition as it has to read once columns changed their types; `None` if it reads the
    /// same.
    fn retyped(&self, _address: &Address, _retypes: &Retypes) -> Option<Arc<dyn Definition>> {
        None
    }

    /// This definition as it reads once objects that it mentions, or it itself, have other names;
    /// `None` if it reads the same. The address is the present one.
    fn renamed(&self, _address: &Address, _renames: &Renames) -> Option<Arc<dyn Definition>> {
        None
    }

    /// The name of this object where that mentions others, once these have other names; `None` if
    /// it names itself only.
    fn renamed_name(&self, _address: &Address, _renames: &Renames) -> Option<String> {
        None
    }

    /// The types and functions that get another name by the steps that rename it, `(before, after)`.
    fn renames_with_it(&self, _address: &Address, _to: &str) -> Vec<(QName, QName)> {
        Vec::new()
    }

    /// The names that it goes on saying although they are given up, because they stand in a text that
    /// PostgreSQL does not understand before it runs.
    fn left_behind(&self, _renames: &Renames) -> Vec<String> {
        Vec::new()
    }

    /// The values of a type that have other names in a live one, `(before, after)`.
    fn renamed_values(&self, _live: &dyn Definition) -> Vec<(String, String)> {
        Vec::new()
    }

    /// This definition with what is needed to come back to it from another one, if that is more
    /// than what it is: which of its parts got another name.
    fn way_back(&self, _desired: &dyn Definition) -> Option<Arc<dyn Definition>> {
        None
    }

    /// This definition with what another one says of how it is come by, which nothing that is there can
    /// say; `None` if that says nothing.
    fn come_by(&self, _said: &dyn Definition) -> Option<Arc<dyn Definition>> {
        None
    }

    /// Whether texts can mean it by its name alone: a column.
    fn is_column(&self) -> bool {
        false
    }

    /// The further type changes that this object passes on to its own dependents: the output
    /// columns of a view, the columns of a child table.
    fn passes_on(&self, _address: &Address, _retypes: &Retypes) -> Vec<Retype> {
        Vec::new()
    }

    /// Whether an equal definition under another name is the same object renamed.
    fn known_by_definition(&self) -> bool {
        false
    }

    /// Whether a parent has at most one object of this section, so that another definition is the
    /// same object changed: a primary key.
    fn is_single(&self) -> bool {
        false
    }

    /// Whether it follows from another object and has no life of its own: a column or constraint
    /// that a partition has from its parent. A model that leaves it out says nothing about it.
    fn is_implied(&self) -> bool {
        false
    }

    /// Whether it is a type that columns and other types can have.
    fn is_type(&self) -> bool {
        false
    }

    /// The object from which an implied one follows: once that is gone, it has a life of its own.
    fn implied_by(&self, _address: &Address) -> Option<Address> {
        None
    }

    /// Where this object is superfluous if a complete model does not state it.
    fn pruned(&self, address: &Address) -> Pruned {
        Pruned::In(address.namespace().to_owned())
    }

    /// This definition as a server has written it down, with what its own words said beside that.
    fn settled(&self, written: Arc<dyn Definition>) -> Arc<dyn Definition> {
        written
    }

    /// This definition where a complete model states it: what it leaves open is then as PostgreSQL
    /// makes it by default. `None` if it leaves nothing open.
    fn completed(&self) -> Option<Arc<dyn Definition>> {
        None
    }

    /// The object above that this one is the part of for its own parent, which has one such part at
    /// most: the index of a partitioned table, for the index of a partition.
    fn part_of(&self) -> Option<Address> {
        None
    }

    /// Whether a complete model means the name that PostgreSQL chooses where it states none.
    fn has_usual_name(&self) -> bool {
        false
    }

    /// For the kinds: back to the concrete type.
    fn as_any(&self) -> &dyn Any;
}

/// How far a model has to be complete before what it does not state is superfluous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// It is never, unless its section is stated: no model declares it, or ownership and privileges.
    Never,
    /// Complete for this namespace.
    In(String),
    /// Complete for the whole database.
    InDatabase,
}

/// One property of a definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Its name, as the model spells it.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Whether it only says what state the object is in (a constraint not yet validated): two
    /// objects that differ in nothing else are one object under two names.
    pub state: bool,
}

impl Property {
    /// A property.
    pub fn new(name: &'static str, value: impl Into<Value>) -> Self {
        Self { name, value: value.into(), state: false }
    }

    /// A property that says what state the object is in.
    pub fn state(name: &'static str, value: impl Into<Value>) -> Self {
        Self { state: true, ..Self::new(name, value) }
    }
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The model does not speak of it: equal to everything.
    Unstated,
    /// The model does not speak of it: equal to everything, but where the model is complete it is
    /// PostgreSQL's own choice, which this is.
    Usual(Box<Self>),
    /// There is none.
    None,
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A word or text that compares byte by byte.
    Text(String),
    /// The name of something that is found without its namespace too: a collation, an operator class.
    Name {
        /// Where it is, if that is said.
        namespace: Option<String>,
        /// What it is called.
        name: String,
        /// Whether it is what stands there if nothing is said: equal to [`Value::None`] as well.
        usual: bool,
    },
    /// A type.
    Type(SqlType),
    /// SQL that the server may spell in another way.
    Expression(Expression),
    /// SQL that only a whole statement gives a meaning: a view's query.
    Statement(String),
    /// Several of them, in order.
    List(Vec<Self>),
}

impl Value {
    /// A list of words.
    pub fn words<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Self::List(words.into_iter().map(|w| Self::Text(w.into())).collect())
    }

    /// A name as SQL, with or without its namespace.
    pub fn name(sql: &str, usual: bool) -> Self {
        let (namespace, name) = split_qualified(sql);
        let namespace = namespace.filter(|n| n != "pg_catalog");
        Self::Name { namespace, name, usual }
    }

    /// Whether two names are one, as far as they say where.
    pub fn is_same_name(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name { usual: true, .. }, Self::None | Self::Name { usual: true, .. })
            | (Self::None, Self::Name { usual: true, .. }) => true,
            (
                Self::Name { namespace: a, name: left, usual: _ },
                Self::Name { namespace: b, name: right, usual: _ },
            ) => left == right && (a == b || a.is_none() || b.is_none()),
            _ => false,
        }
    }

    /// The value of an optional property: `None` if there is nothing.
    pub fn option<T: Into<Self>>(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<SqlType> for Value {
    fn from(value: SqlType) -> Self {
        Self::Type(value)
    }
}

impl From<Expression> for Value {
    fn from(value: Expression) -> Self {
        Self::Expression(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstated => f.write_str("(not stated)"),
            Self::Usual(value) => write!(f, "{value}"),
            Self::None => f.write_str("none"),
            Self::Flag(yes) => f.write_str(if *yes { "yes" } else { "no" }),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) | Self::Statement(text) => f.write_str(text),
            Self::Name { namespace: None, name, usual: _ } => f.write_str(&quote_ident(name)),
            Self::Name { namespace: Some(namespace), name, usual: _ } => {
                write!(f, "{}.{}", quote_ident(namespace), quote_ident(name))
            }
            Self::Type(ty) => write!(f, "{ty}"),
            Self::Expression(expression) => f.write_str(&expression.text),
            Self::List(items) => {
                let shown: Vec<String> = items.iter().map(ToString::to_string).collect();
                f.write_str(&shown.join(", "))
            }
        }
    }
}
