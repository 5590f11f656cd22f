//! Marks: whether the definitions that a plan was made for are still the same.
//!
//! A mark is a digest, computed by the server in one statement, of the catalog rows of some
//! relations and types, of what hangs on them and of who depends on them. Invariant: it does not
//! change with rows, statistics or maintenance (VACUUM, ANALYZE, REINDEX TABLE), and it does
//! change with every definition that a plan could have looked at. It is only ever compared with
//! a mark of the same database.

use std::collections::BTreeSet;

use reconcile_catalog::Address;
use reconcile_sql::{QName, quote_literal};

use crate::connect::Session;
use crate::error::Error;

/// The state of some definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    names: BTreeSet<QName>,
    digest: String,
}

impl Mark {
    /// The mark of the objects that these addresses name, as they are now.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn take(session: &mut Session, addresses: &BTreeSet<Address>) -> Result<Self, Error> {
        Self::of_names(session, names(addresses)).await
    }

    /// The mark of these objects as a snapshot of this generation shows them; none if anything in
    /// the catalog was changed since it was read.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn of_generation(
        session: &mut Session,
        addresses: &BTreeSet<Address>,
        generation: &str,
    ) -> Result<Option<Self>, Error> {
        let mark = Self::take(session, addresses).await?;
        // Asked for after the mark: what has not moved until now, had not moved before.
        let sql = format!(
            "BEGIN READ ONLY; SET LOCAL search_path = ''; {}; COMMIT",
            crate::generation::query()
        );
        let rows = match session.send(&sql).await {
            Ok(rows) => rows,
            Err(error) => {
                session.rollback().await?;
                return Err(error);
            }
        };
        let now = rows.first().and_then(|row| row.get("generation"));
        Ok((now == Some(generation)).then_some(mark))
    }

    pub(crate) async fn again(&self, session: &mut Session) -> Result<Self, Error> {
        Self::of_names(session, self.names.clone()).await
    }

    async fn of_names(session: &mut Session, names: BTreeSet<QName>) -> Result<Self, Error> {
        let sql = format!("SELECT {} AS mark", expression(&names));
        let rows = session.send(&sql).await?;
        let digest = rows.first().and_then(|row| row.get("mark")).unwrap_or_default().to_owned();
        Ok(Self { names, digest })
    }

    /// The same names with what the server computed later.
    pub(crate) fn moved(&self, digest: &str) -> Self {
        Self { names: self.names.clone(), digest: digest.to_owned() }
    }

    /// The digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// SQL for the digest as of the statement.
    pub(crate) fn sql(&self) -> String {
        expression(&self.names)
    }
}

/// The relations and types that addresses name or are in.
fn names(addresses: &BTreeSet<Address>) -> BTreeSet<QName> {
    let name = |address: &Address| match address.path() {
        [namespace, name, ..] => Some(QName::new(namespace, name)),
        _ => None,
    };
    addresses.iter().filter_map(name).collect()
}

/// The columns of pg_class that define a relation; the others are its size, its files, and hints
/// that VACUUM may take back (`relhasrules`, `relhastriggers`).
const RELATION: &str = "c.oid, c.relname, c.relnamespace, c.reltype, c.reloftype, c.relowner, \
    c.relam, c.reltablespace, c.relpersistence, c.relkind, c.relnatts, c.relchecks, \
    c.relrowsecurity, c.relforcerowsecurity, c.relreplident, \
    c.relispartition, c.relacl, c.reloptions, c.relpartbound";

/// What is digested, in lines. The version of a row is its `xmin` where the server changes a row
/// for no other reason than a change of its definition; pg_statistic and the like are not read.
fn expression(names: &BTreeSet<QName>) -> String {
    if names.is_empty() {
        return "'nothing'".to_owned();
    }
    let wanted: Vec<String> = names
        .iter()
        .map(|name| format!("({}, {})", quote_literal(&name.namespace), quote_literal(&name.name)))
        .collect();
    let wanted = wanted.join(", ");
    // (a kind of line, the rows, the condition that ties them to r or ty)
    let hanging = [
        ("attribute", "pg_attribute x ON x.attrelid = r.oid", "x.attnum"),
        ("default", "pg_attrdef x ON x.adrelid = r.oid", "x.oid"),
        ("constraints", "pg_constraint x ON x.conrelid = r.oid", "x.oid"),
        ("references", "pg_constraint x ON x.confrelid = r.oid", "x.oid"),
        ("triggers", "pg_trigger x ON x.tgrelid = r.oid", "x.oid"),
        ("policies", "pg_policy x ON x.polrelid = r.oid", "x.oid"),
        ("rule", "pg_rewrite x ON x.ev_class = r.oid", "x.oid"),
        ("counting", "pg_sequence x ON x.seqrelid = r.oid", "x.seqrelid"),
        ("parents", "pg_inherits x ON x.inhrelid = r.oid", "x.inhparent"),
        ("children", "pg_inherits x ON x.inhparent = r.oid", "x.inhrelid"),
        ("extended", "pg_statistic_ext x ON x.stxrelid = r.oid", "x.oid"),
        (
            "comments",
            "pg_description x ON x.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass \
             AND x.objoid = r.oid",
            "x.objsubid",
        ),
    ];
    let hanging: String = hanging
        .iter()
        .map(|(kind, rows, id)| {
            format!(
                " UNION ALL SELECT pg_catalog.concat_ws(' ', '{kind}', r.oid, {id}, x.xmin) \
                 FROM r JOIN pg_catalog.{rows}"
            )
        })
        .collect();
    format!(
        "(WITH w(namespace, name) AS (VALUES {wanted}), \
         r AS (SELECT c.oid FROM w JOIN pg_catalog.pg_namespace n ON n.nspname = w.namespace \
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name), \
         ty AS (SELECT t.oid FROM w JOIN pg_catalog.pg_namespace n ON n.nspname = w.namespace \
         JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid AND t.typname = w.name \
         WHERE t.typrelid = 0), \
         d AS (SELECT DISTINCT x.classid, x.objid FROM pg_catalog.pg_depend x \
         JOIN r ON x.refobjid = r.oid AND x.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
         UNION SELECT DISTINCT x.classid, x.objid FROM pg_catalog.pg_depend x \
         JOIN ty ON x.refobjid = ty.oid AND x.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass) \
         SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(\
         pg_catalog.string_agg(line, E'\\n' ORDER BY line COLLATE \"C\"), 'UTF8')), 'hex') FROM (\
         SELECT 'relation ' || ROW({RELATION})::text AS line FROM r \
         JOIN pg_catalog.pg_class c USING (oid){hanging} \
         UNION ALL SELECT pg_catalog.concat_ws(' ', 'index', x.relname, x.reloptions, \
         pg_catalog.to_jsonb(i) - 'indcheckxmin') FROM r \
         JOIN pg_catalog.pg_index i ON i.indrelid = r.oid \
         JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
         UNION ALL SELECT pg_catalog.concat_ws(' ', 'type', ty.oid, x.xmin) FROM ty \
         JOIN pg_catalog.pg_type x USING (oid) \
         UNION ALL SELECT pg_catalog.concat_ws(' ', 'label', ty.oid, x.enumlabel, x.enumsortorder) \
         FROM ty JOIN pg_catalog.pg_enum x ON x.enumtypid = ty.oid \
         UNION ALL SELECT pg_catalog.concat_ws(' ', 'dependent', d.classid, d.objid) FROM d \
         UNION ALL SELECT 'name ' || ROW(w.*)::text FROM w) AS lines)"
    )
}
