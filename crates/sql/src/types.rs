//! Type names: every spelling of a type that people and the server use, resolved to one value.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ident::{quote_ident, split_qualified};

/// A type with its modifiers.
///
/// Built-in types have no namespace and PostgreSQL's shortest usual name (`varchar`, `bigint`,
/// `timestamptz`); two spellings of one built-in type compare equal. Any other type is a name,
/// with a namespace once it has been resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SqlType {
    /// Where the type is; `None` for a built-in type, and for a name not yet resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name, verbatim.
    pub name: String,
    /// What stands in the parentheses: `20`, `10,2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modifiers: Option<String>,
    /// The fields of an interval: `day to second`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
    /// Whether it is an array; PostgreSQL does not keep the number of dimensions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub array: bool,
}

/// Why a text is no type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// Nothing is there.
    #[error("a type is missing")]
    Empty,
    /// A parenthesis is open: usually a YAML flow value that a comma cut.
    #[error("`{0}` has an unbalanced parenthesis")]
    Unbalanced(String),
    /// An SQLAlchemy type without a PostgreSQL counterpart that a name can give.
    #[error("`{0}` is not a type that a column can be given here")]
    NotAColumnType(String),
    /// Something stands behind the type that is no part of it.
    #[error("`{0}` has something behind the type that is no part of it")]
    NotRead(String),
}

/// Built-in types and their aliases; the first name is the one that we write.
const BUILT_IN: &[&[&str]] = &[
    &["aclitem"],
    &["bigint", "int8"],
    &["bigserial", "serial8"],
    &["bit"],
    &["boolean", "bool"],
    &["box"],
    &["bytea"],
    &["char", "character", "national character", "national char", "nchar"],
    &["bpchar"],
    &["cid"],
    &["cidr"],
    &["circle"],
    &["date"],
    &["datemultirange"],
    &["daterange"],
    &["double precision", "float8"],
    &["gtsvector"],
    &["inet"],
    &["int2vector"],
    &["int4multirange"],
    &["int4range"],
    &["int8multirange"],
    &["int8range"],
    &["integer", "int", "int4"],
    &["interval"],
    &["json"],
    &["jsonb"],
    &["jsonpath"],
    &["line"],
    &["lseg"],
    &["macaddr"],
    &["macaddr8"],
    &["money"],
    &["name"],
    &["numeric", "decimal", "dec"],
    &["nummultirange"],
    &["numrange"],
    &["oid"],
    &["oidvector"],
    &["path"],
    &["pg_brin_bloom_summary"],
    &["pg_brin_minmax_multi_summary"],
    &["pg_dependencies"],
    &["pg_lsn"],
    &["pg_mcv_list"],
    &["pg_ndistinct"],
    &["pg_node_tree"],
    &["pg_snapshot"],
    &["point"],
    &["polygon"],
    &["real", "float4"],
    &["refcursor"],
    &["regclass"],
    &["regcollation"],
    &["regconfig"],
    &["regdatabase"],
    &["regdictionary"],
    &["regnamespace"],
    &["regoper"],
    &["regoperator"],
    &["regproc"],
    &["regprocedure"],
    &["regrole"],
    &["regtype"],
    &["serial", "serial4"],
    &["smallint", "int2"],
    &["smallserial", "serial2"],
    &["text"],
    &["tid"],
    &["time", "time without time zone"],
    &["timestamp", "timestamp without time zone"],
    &["timestamptz", "timestamp with time zone"],
    &["timetz", "time with time zone"],
    &["tsmultirange"],
    &["tsquery"],
    &["tsrange"],
    &["tstzmultirange"],
    &["tstzrange"],
    &["tsvector"],
    &["txid_snapshot"],
    &["uuid"],
    &["varbit", "bit varying"],
    &[
        "varchar",
        "character varying",
        "char varying",
        "national character varying",
        "national char varying",
        "nchar varying",
    ],
    &["void"],
    &["xid"],
    &["xid8"],
    &["xml"],
];

/// SQLAlchemy's names for types, as people paste them.
const SQLALCHEMY: &[(&str, &str)] = &[
    ("String", "varchar"),
    ("Unicode", "varchar"),
    ("UnicodeText", "text"),
    ("Text", "text"),
    ("Integer", "integer"),
    ("BigInteger", "bigint"),
    ("SmallInteger", "smallint"),
    ("Boolean", "boolean"),
    ("DateTime", "timestamp"),
    ("Date", "date"),
    ("Time", "time"),
    ("Interval", "interval"),
    ("Numeric", "numeric"),
    ("Float", "double precision"),
    ("Double", "double precision"),
    ("LargeBinary", "bytea"),
    ("JSON", "json"),
    ("JSONB", "jsonb"),
    ("UUID", "uuid"),
    ("Uuid", "uuid"),
];

impl SqlType {
    /// A built-in type without modifiers, by the name that we write.
    pub fn built_in(name: &str) -> Self {
        Self { namespace: None, name: name.to_owned(), modifiers: None, fields: None, array: false }
    }

    /// A type of somebody's own.
    pub fn named(namespace: Option<String>, name: impl Into<String>) -> Self {
        Self { namespace, name: name.into(), modifiers: None, fields: None, array: false }
    }

    /// Reads a type as PostgreSQL, `format_type` or SQLAlchemy spell it.
    ///
    /// # Errors
    /// If the text is empty, a parenthesis is open, something stands behind it, or it names an SQLAlchemy construct that is no
    /// type of its own (`Enum(…)`).
    pub fn parse(source: &str) -> Result<Self, TypeError> {
        // What does not read the same again was no type in full.
        Self::read(source)?.prints_the_same(source)
    }

    fn read(source: &str) -> Result<Self, TypeError> {
        let text = source.trim();
        if text.is_empty() {
            return Err(TypeError::Empty);
        }
        if !is_balanced(text) {
            return Err(TypeError::Unbalanced(text.to_owned()));
        }
        let (text, array) = strip_array(text);
        let (before, inside, after) = split_modifiers(text);
        let modifiers = inside.map(|m| m.split(',').map(str::trim).collect::<Vec<_>>().join(","));
        let mut parsed = match sqlalchemy(before, modifiers.as_deref())? {
            Some(parsed) => parsed,
            None => postgres(before, modifiers, after)
                .ok_or_else(|| TypeError::NotRead(source.trim().to_owned()))?,
        };
        parsed.array = array;
        Ok(parsed.normalised())
    }

    fn prints_the_same(self, source: &str) -> Result<Self, TypeError> {
        if Self::read(&self.to_string()).as_ref() == Ok(&self) {
            return Ok(self);
        }
        Err(TypeError::NotRead(source.trim().to_owned()))
    }

    /// Whether it is a type of PostgreSQL's own.
    pub fn is_built_in(&self) -> bool {
        self.namespace.is_none() && canonical(&self.name).is_some()
    }

    /// Whether values are strings without a structure: text, varchar, char.
    pub fn is_textual(&self) -> bool {
        !self.array
            && self.namespace.is_none()
            && matches!(self.name.as_str(), "text" | "varchar" | "char" | "bpchar")
    }

    /// The modifier of a type that has one number: the length of varchar(20).
    pub fn length(&self) -> Option<u32> {
        self.modifiers.as_deref().and_then(|m| m.parse().ok())
    }

    /// Whether values sort in the same way as those of another type: all numbers do, all texts
    /// of one collation, all moments. An enum sorts by its labels' places, each its own.
    pub fn sorts_like(&self, other: &Self) -> bool {
        let family = |ty: &Self| match ty.name.as_str() {
            "text" | "varchar" | "char" | "bpchar" | "name" => Some("text"),
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => {
                Some("number")
            }
            "date" | "timestamp" | "timestamptz" => Some("moment"),
            "inet" | "cidr" => Some("address"),
            "bit" | "varbit" => Some("bits"),
            name => canonical(name),
        };
        self == other
            || self.namespace.is_none()
                && other.namespace.is_none()
                && self.array == other.array
                && family(self).is_some()
                && family(self) == family(other)
    }

    /// The type of an element of an array; the type itself otherwise.
    pub fn element(&self) -> Self {
        Self { array: false, ..self.clone() }
    }

    /// The names of all built-in types, for suggestions.
    pub fn known_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().flat_map(|names| names.iter().copied())
    }

    /// SQLAlchemy's names for types, for suggestions.
    pub fn sqlalchemy_names() -> impl Iterator<Item = &'static str> {
        SQLALCHEMY.iter().map(|(name, _)| *name)
    }

    fn normalised(mut self) -> Self {
        match (self.namespace.is_none(), self.name.as_str(), self.modifiers.as_deref()) {
            (true, "char" | "bit", None) => self.modifiers = Some("1".to_owned()),
            (true, "numeric", Some(one)) if !one.contains(',') => {
                self.modifiers = Some(format!("{one},0"))
            }
            _ => {}
        }
        self
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}.{}", quote_ident(namespace), quote_ident(&self.name))?,
            None if canonical(&self.name).is_some() => f.write_str(&self.name)?,
            None => f.write_str(&quote_ident(&self.name))?,
        }
        if let Some(fields) = &self.fields {
            write!(f, " {fields}")?;
        }
        if let Some(modifiers) = &self.modifiers {
            write!(f, "({modifiers})")?;
        }
        if self.array { f.write_str("[]") } else { Ok(()) }
    }
}

/// Whether every parenthesis outside of quoted names has its partner.
fn is_balanced(text: &str) -> bool {
    let mut quoted = false;
    let mut open = 0_i32;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => open += 1,
            ')' if !quoted => open -= 1,
            _ => {}
        }
    }
    open == 0
}

fn canonical(lower: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|names| names.contains(&lower)).map(|names| names[0])
}

fn strip_array(text: &str) -> (&str, bool) {
    let mut rest = text;
    let mut array = false;
    loop {
        let trimmed = rest.trim_end();
        if let Some(open) = trimmed.strip_suffix(']').and_then(|inner| inner.rfind('['))
            && trimmed[open + 1..trimmed.len() - 1].trim().bytes().all(|b| b.is_ascii_digit())
        {
            rest = &trimmed[..open];
            array = true;
            continue;
        }
        if let Some(before) =
            trimmed.len().checked_sub(6).filter(|&at| trimmed.is_char_boundary(at))
            && trimmed[before..].eq_ignore_ascii_case(" array")
        {
            rest = &trimmed[..before];
            array = true;
            continue;
        }
        return (trimmed, array);
    }
}

/// `timestamp(3) with time zone` is `timestamp`, `3`, `with time zone`.
fn split_modifiers(text: &str) -> (&str, Option<&str>, &str) {
    let mut quoted = false;
    let open = text.char_indices().find(|&(_, c)| {
        quoted ^= c == '"';
        c == '(' && !quoted
    });
    match open.and_then(|(at, _)| text.rfind(')').filter(|end| *end > at).map(|end| (at, end))) {
        Some((at, end)) => {
            (text[..at].trim(), Some(text[at + 1..end].trim()), text[end + 1..].trim())
        }
        None => (text, None, ""),
    }
}

fn sqlalchemy(name: &str, modifiers: Option<&str>) -> Result<Option<SqlType>, TypeError> {
    let bare = name.trim_start_matches("sa.").trim_start_matches("sqlalchemy.");
    if bare == "Enum" && modifiers.is_some() {
        return Err(TypeError::NotAColumnType("Enum(…)".to_owned()));
    }
    let Some((_, target)) = SQLALCHEMY.iter().find(|(from, _)| *from == bare) else {
        return Ok(None);
    };
    let (keywords, positional): (Vec<&str>, Vec<&str>) = modifiers
        .unwrap_or_default()
        .split(',')
        .filter(|m| !m.is_empty())
        .partition(|m| m.contains('='));
    let timezone = keywords.iter().any(|k| k.replace(' ', "") == "timezone=True");
    let target = match (*target, timezone) {
        ("timestamp", true) => "timestamptz",
        ("time", true) => "timetz",
        (other, _) => other,
    };
    let mut parsed = SqlType::built_in(target);
    let length = keywords.iter().find_map(|k| k.trim().strip_prefix("length="));
    if !positional.is_empty()
        && !matches!(target, "double precision" | "boolean" | "uuid" | "json" | "jsonb")
    {
        parsed.modifiers = Some(positional.join(","));
    } else if let Some(length) = length {
        parsed.modifiers = Some(length.to_owned());
    }
    Ok(Some(parsed))
}

/// The internal type of one byte, and a bit string of any length: without quotes or a namespace
/// their names mean char(1) and bit(1) (`SystemTypeName` in `src/backend/parser/gram.y`).
const ONLY_QUALIFIED: &[&str] = &["bit", "char"];

/// What an interval can be limited to (`opt_interval` in `src/backend/parser/gram.y`).
const INTERVAL_FIELDS: &[&str] = &[
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "year to month",
    "day to hour",
    "day to minute",
    "day to second",
    "hour to minute",
    "hour to second",
    "minute to second",
];

fn postgres(before: &str, modifiers: Option<String>, after: &str) -> Option<SqlType> {
    let bare = before.strip_prefix("pg_catalog.");
    let inner = bare.unwrap_or(before);
    let unquoted = inner.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let only = unquoted.or(bare).filter(|name| ONLY_QUALIFIED.contains(name));
    if let Some(name) = only.filter(|_| modifiers.is_none() && after.is_empty()) {
        return Some(SqlType {
            namespace: Some("pg_catalog".to_owned()),
            ..SqlType::built_in(name)
        });
    }
    let unqualified = before.strip_prefix("pg_catalog.").unwrap_or(before);
    let words = format!("{unqualified} {after}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    if let Some(name) = canonical(&words) {
        return Some(SqlType { modifiers, ..SqlType::built_in(name) });
    }
    if words == "float" {
        let single = modifiers.and_then(|m| m.parse::<u32>().ok()).is_some_and(|bits| bits <= 24);
        return Some(SqlType::built_in(if single { "real" } else { "double precision" }));
    }
    if let Some(fields) = words.strip_prefix("interval ") {
        let fields = INTERVAL_FIELDS.contains(&fields).then(|| fields.to_owned())?;
        return Some(SqlType { fields: Some(fields), modifiers, ..SqlType::built_in("interval") });
    }
    if !after.is_empty() {
        return None;
    }
    let (namespace, name) = split_qualified(before);
    // A bare name is SQL here, unlike the keys of a model: PostgreSQL folds it.
    let fold = |part: String| if before.contains('"') { part } else { part.to_lowercase() };
    let (namespace, name) = (namespace.map(fold), fold(name));
    // Quotes do not make another type of a built-in one.
    let own = namespace.as_deref().is_none_or(|n| n == "pg_catalog")
        && !ONLY_QUALIFIED.contains(&name.as_str());
    Some(match canonical(&name).filter(|_| own) {
        Some(built_in) => SqlType { modifiers, ..SqlType::built_in(built_in) },
        None => SqlType { modifiers, ..SqlType::named(namespace, name) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        SqlType::parse(source).expect(source).to_string()
    }

    #[test]
    fn spellings_of_one_type_are_one() {
        for (source, want) in [
            ("character varying(20)", "varchar(20)"),
            ("String(100)", "varchar(100)"),
            ("sa.String(length=100)", "varchar(100)"),
            ("DateTime(timezone=True)", "timestamptz"),
            ("DateTime", "timestamp"),
            ("Numeric(10, 2)", "numeric(10,2)"),
            ("timestamp(3) with time zone", "timestamptz(3)"),
            ("TIMESTAMP WITHOUT TIME ZONE", "timestamp"),
            ("int8", "bigint"),
            ("pg_catalog.int4", "integer"),
            ("character", "char(1)"),
            ("numeric(10)", "numeric(10,0)"),
            ("float(20)", "real"),
            ("integer[][3]", "integer[]"),
            ("text ARRAY", "text[]"),
            ("interval day to second(3)", "interval day to second(3)"),
            ("public.message_role", "public.message_role"),
            ("\"Chat App\".\"Role\"[]", "\"Chat App\".\"Role\"[]"),
            ("Message_Role", "message_role"),
            ("public.vector(3)", "public.vector(3)"),
            ("\"char\"", "pg_catalog.\"char\""),
            ("pg_catalog.char", "pg_catalog.\"char\""),
            ("\"bit\"[]", "pg_catalog.\"bit\"[]"),
            ("bit", "bit(1)"),
            ("interval second(0)[]", "interval second(0)[]"),
            ("numeric(3, -2)", "numeric(3,-2)"),
            ("time(3) with time zone[]", "timetz(3)[]"),
            ("public.\"a(b\"", "public.\"a(b\""),
        ] {
            assert_eq!(shown(source), want, "{source}");
        }
    }

    #[test]
    fn one_family_sorts_alike() {
        let alike = |a: &str, b: &str| {
            let ty = |text: &str| SqlType::parse(text).expect("a type");
            let both = ty(a).sorts_like(&ty(b));
            assert_eq!(both, ty(b).sorts_like(&ty(a)));
            both
        };
        assert!(alike("integer", "numeric"));
        assert!(alike("numeric(8,2)", "numeric(10,3)"));
        assert!(alike("varchar(20)", "text"));
        assert!(alike("timestamp(3)", "timestamptz"));
        assert!(alike("public.mood", "public.mood"));
        assert!(!alike("public.mood", "text"));
        assert!(!alike("public.mood", "public.other"));
        assert!(!alike("text", "numeric"));
        assert!(!alike("text", "text[]"));
        assert!(!alike("mood", "other"));
    }

    #[test]
    fn what_is_no_type() {
        assert!(matches!(SqlType::parse("numeric(10"), Err(TypeError::Unbalanced(_))));
        assert!(matches!(SqlType::parse(" "), Err(TypeError::Empty)));
        for behind in
            ["character varying(20)\0", "numeric(3) x", "public.t(3) y", "interval fortnight"]
        {
            assert!(matches!(SqlType::parse(behind), Err(TypeError::NotRead(_))), "{behind}");
        }
        assert!(matches!(SqlType::parse("Enum('a')"), Err(TypeError::NotAColumnType(_))));
    }
}
