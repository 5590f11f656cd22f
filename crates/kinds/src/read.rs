//! Rows of the catalog become objects; OIDs end here.

use std::collections::HashMap;

use reconcile_catalog::{Address, Catalog, Object};

/// One row of a catalog query, every value as text.
pub trait Row {
    /// The value in a column; `None` if it is null or there is no such column.
    fn get(&self, column: &str) -> Option<&str>;
}

/// Why a row of the catalog was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row of kind `{kind}` in the catalog was not understood: {reason}")]
pub struct ReadError {
    /// The kind whose row it is.
    pub kind: String,
    /// What is wrong with it.
    pub reason: String,
}

/// PostgreSQL's name for an object: the catalog it is in, its OID there, and the number of the
/// column for columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// The OID of the catalog (pg_class is 1259).
    pub class: u32,
    /// The OID in it.
    pub oid: u32,
    /// The number of a column, else 0.
    pub sub: i32,
}

impl ObjectId {
    /// `pg_class`, and the other catalogs that are read, by their fixed OIDs
    /// (`src/include/catalog/pg_*.h`).
    pub const PG_CLASS: u32 = 1259;
    /// `pg_type`
    pub const PG_TYPE: u32 = 1247;
    /// `pg_inherits`
    pub const PG_INHERITS: u32 = 2611;
    /// `pg_proc`
    pub const PG_PROC: u32 = 1255;
    /// `pg_attrdef`
    pub const PG_ATTRDEF: u32 = 2604;
    /// `pg_constraint`
    pub const PG_CONSTRAINT: u32 = 2606;
    /// `pg_namespace`
    pub const PG_NAMESPACE: u32 = 2615;
    /// `pg_rewrite`
    pub const PG_REWRITE: u32 = 2618;
    /// `pg_trigger`
    pub const PG_TRIGGER: u32 = 2620;
    /// `pg_policy`
    pub const PG_POLICY: u32 = 3256;
    /// `pg_extension`
    pub const PG_EXTENSION: u32 = 3079;
    /// `pg_cast`
    pub const PG_CAST: u32 = 2605;
    /// `pg_statistic_ext`
    pub const PG_STATISTIC_EXT: u32 = 3381;

    /// An object in a catalog.
    pub fn new(class: u32, oid: u32) -> Self {
        Self { class, oid, sub: 0 }
    }
}

/// Collects objects and translates OIDs to addresses.
#[derive(Debug, Default)]
pub struct Reader {
    /// What was read so far.
    pub catalog: Catalog,
    ids: HashMap<ObjectId, Address>,
    members: HashMap<ObjectId, Address>,
    hidden_namespace: Option<String>,
}

impl Reader {
    /// A reader that passes over everything in `hidden_namespace`: the journal's own.
    pub fn new(hidden_namespace: Option<String>) -> Self {
        Self { hidden_namespace, ..Self::default() }
    }

    /// Takes an object that the catalog knows by `id`.
    pub fn add(&mut self, id: ObjectId, object: Object) {
        if self.hidden_namespace.as_deref() == Some(object.address.namespace()) {
            return;
        }
        self.ids.insert(id, object.address.clone());
        // Addresses are unique in PostgreSQL; a second row under one address is the same object.
        let _ = self.catalog.insert(object);
    }

    /// Makes a further OID stand for an object: the array type of a type, the rule of a view.
    pub fn alias(&mut self, id: ObjectId, address: &Address) {
        if self.catalog.contains(address) {
            self.ids.insert(id, address.clone());
        }
    }

    /// Lets who depends on `id`, which is no object, depend on the one that it belongs to.
    pub fn member(&mut self, id: ObjectId, of: &Address) {
        if self.catalog.contains(of) {
            self.members.insert(id, of.clone());
        }
    }

    /// The address that an OID stands for.
    pub fn resolve(&self, id: ObjectId) -> Option<&Address> {
        self.ids.get(&id)
    }
}

/// A required value of a row.
///
/// # Errors
/// If it is null or not there.
pub(crate) fn required<'a>(row: &'a dyn Row, column: &str) -> Result<&'a str, ReadError> {
    row.get(column).ok_or_else(|| wrong(row, format!("`{column}` is null")))
}

/// A required value of a row that parses.
///
/// # Errors
/// If it is null, not there, or does not parse.
pub(crate) fn parsed<T: std::str::FromStr>(row: &dyn Row, column: &str) -> Result<T, ReadError> {
    let text = required(row, column)?;
    text.parse().map_err(|_| wrong(row, format!("`{column}` is `{text}`")))
}

/// A boolean of a row, as PostgreSQL writes it in text.
pub(crate) fn flag(row: &dyn Row, column: &str) -> bool {
    row.get(column).is_some_and(|v| v == "t" || v == "true")
}

/// A JSON array of words; empty if null.
///
/// # Errors
/// If it is something else.
pub(crate) fn words(row: &dyn Row, column: &str) -> Result<Vec<String>, ReadError> {
    match row.get(column) {
        None => Ok(Vec::new()),
        Some(text) => {
            serde_json::from_str(text).map_err(|e| wrong(row, format!("`{column}`: {e}")))
        }
    }
}

/// The OID in the column `oid` as an id in `class`.
///
/// # Errors
/// If it is not there.
pub(crate) fn id(row: &dyn Row, class: u32) -> Result<ObjectId, ReadError> {
    Ok(ObjectId::new(class, parsed(row, "oid")?))
}

fn wrong(row: &dyn Row, reason: String) -> ReadError {
    ReadError { kind: row.get("kind").unwrap_or("?").to_owned(), reason }
}

/// A condition on `n` (pg_namespace): not PostgreSQL's own.
pub(crate) const USER_NAMESPACE: &str =
    r"n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'";

/// A condition on `object` in `class`: no extension owns it.
///
/// That the owner is an extension follows from the sort of dependency; said, it lets the server use
/// the index on what is referred to instead of reading all of pg_depend for each kind.
pub(crate) fn no_extension_member(class: &str, oid: &str) -> String {
    format!(
        "{oid} NOT IN (SELECT e.objid FROM pg_depend e WHERE e.refclassid = 'pg_catalog.pg_extension'::regclass AND e.deptype = 'e' AND e.classid = 'pg_catalog.{class}'::regclass)"
    )
}

/// A condition on `n` and `c` (pg_class): relations that people made. Typed tables (CREATE TABLE …
/// OF) are left out whole and counted: their columns are another object's.
pub(crate) fn user_relation(relkinds: &str) -> String {
    let member = no_extension_member("pg_class", "c.oid");
    format!(
        "c.relkind IN ({relkinds}) AND c.relpersistence <> 't' AND c.reloftype = 0 AND {USER_NAMESPACE} AND {member}"
    )
}

/// The query for who refers to whom, among everything that is not PostgreSQL's own.
///
/// A sequence refers to nothing: that a column owns it is an object of its own, since the column
/// counts with the sequence.
///
/// Objects of catalogs that no kind reads are described in PostgreSQL's words, so that a dependent
/// that is not modelled is still a dependent.
pub fn dependencies() -> String {
    let known = [
        ObjectId::PG_CLASS,
        ObjectId::PG_TYPE,
        ObjectId::PG_PROC,
        ObjectId::PG_ATTRDEF,
        ObjectId::PG_CONSTRAINT,
        ObjectId::PG_NAMESPACE,
        ObjectId::PG_REWRITE,
        ObjectId::PG_TRIGGER,
        ObjectId::PG_POLICY,
    ];
    let known = known.map(|oid| oid.to_string()).join(", ");
    format!(
        "SELECT 'depend' AS kind, d.classid::int8 AS class, d.objid::int8 AS oid, d.objsubid AS sub, \
         d.refclassid::int8 AS refclass, d.refobjid::int8 AS refoid, d.refobjsubid AS refsub, \
         CASE WHEN d.classid NOT IN ({known}) OR (d.classid = 2618 AND r.rulename IS DISTINCT FROM '_RETURN') \
         OR d.classid = 1247 OR s.relkind IN ('c', 'f') THEN pg_describe_object(d.classid, d.objid, d.objsubid) END AS description, \
         k.relname AS classname \
         FROM pg_depend d LEFT JOIN pg_class k ON k.oid = d.classid \
         LEFT JOIN pg_rewrite r ON d.classid = 2618 AND r.oid = d.objid \
         LEFT JOIN pg_class s ON d.classid = 1259 AND s.oid = d.objid AND s.relkind IN ('c', 'f', 'S') \
         WHERE s.relkind IS DISTINCT FROM 'S' AND d.refobjid >= 16384 AND d.objid >= 16384 AND d.deptype IN ('n', 'a', 'i', 'P', 'S') \
         AND d.refclassid <> 2615 AND NOT (d.classid = 1247 AND d.deptype = 'i') \
         AND NOT (d.refclassid = 1247 AND d.deptype = 'i')"
    )
}

impl Reader {
    /// Takes a row of [`dependencies`].
    ///
    /// # Errors
    /// If the row is not what the query promises.
    pub fn depend(&mut self, row: &dyn Row) -> Result<(), ReadError> {
        let target = ObjectId {
            class: parsed(row, "refclass")?,
            oid: parsed(row, "refoid")?,
            sub: parsed(row, "refsub")?,
        };
        let source = ObjectId {
            class: parsed(row, "class")?,
            oid: parsed(row, "oid")?,
            sub: parsed(row, "sub")?,
        };
        let whole = |id: ObjectId| ObjectId { sub: 0, ..id };
        if self.members.contains_key(&whole(source)) {
            return Ok(());
        }
        let known = |id: ObjectId| self.ids.get(&id).or_else(|| self.ids.get(&whole(id)));
        // The parts of an operator class are no members themselves: what is of no kind and uses a
        // member is passed over.
        let member = || self.members.get(&whole(target)).filter(|_| known(source).is_some());
        let Some(target) = known(target).or_else(member).cloned() else {
            return Ok(());
        };
        if let Some(description) = row.get("description").filter(|_| known(source).is_none()) {
            let other = crate::other::Other {
                description: description.to_owned(),
                class: row.get("classname").unwrap_or_default().to_owned(),
            };
            self.add(source, other.into_object());
        }
        let source = self.ids.get(&source).or_else(|| self.ids.get(&whole(source))).cloned();
        if let Some(source) = source {
            let own = self.catalog.get(&source).is_some_and(|o| o.parent.as_ref() == Some(&target));
            let inside = target.path().starts_with(source.path())
                && target.path().len() > source.path().len();
            if !own && !inside {
                self.catalog.depend(&source, &target);
            }
        }
        Ok(())
    }
}
