//! Facts about the server that are no objects.
//!
//! Invariant: nothing here waits for a lock, fails for want of privileges, or grows with the
//! number of tables in round trips.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use reconcile_kinds::online::is_bridge;
use reconcile_kinds::{Enabled, Facts, RelationSize};
use reconcile_sql::{QName, ServerVersion, quote_literal};

use crate::connect::Session;
use crate::error::Error;
use crate::reading::{self, Limits};
use crate::rows::TextRow;

/// Namespaces of the user.
const USER: &str = r"n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'";

/// The queries, each with the columns `kind` (`fact`), `fact`, `namespace`, `name` and `number`.
pub(crate) fn queries(version: ServerVersion, hidden: Option<&str>) -> Vec<String> {
    let user = match hidden {
        Some(hidden) => format!("{USER} AND n.nspname <> {}", quote_literal(hidden)),
        None => USER.to_owned(),
    };
    vec![
        types(&user),
        exclusions(&user, version),
        "SELECT DISTINCT 'fact' AS kind, 'default_grantee' AS fact, NULL::text AS namespace, \
         CASE WHEN e.grantee = 0 THEN 'public' ELSE pg_get_userbyid(e.grantee)::text END AS name, NULL::text AS number \
         FROM pg_default_acl d, aclexplode(d.defaclacl) AS e WHERE d.defaclobjtype = 'r'"
            .to_owned(),
        "SELECT 'fact' AS kind, 'role' AS fact, NULL::text AS namespace, current_user::text AS name, NULL::text AS number"
            .to_owned(),
        published(&user, version, false),
        published(&user, version, true),
        followers(),
        replica(version),
        casts(),
        update_rules(&user),
        "SELECT 'fact' AS kind, 'publication_of_all' AS fact, NULL::text AS namespace, pubname AS name, NULL::text AS number \
         FROM pg_publication WHERE puballtables"
            .to_owned(),
        "SELECT 'fact' AS kind, 'wal_level' AS fact, NULL::text AS namespace, current_setting('wal_level') AS name, \
         NULL::text AS number"
            .to_owned(),
    ]
}

/// Every type that a column may have and that is not PostgreSQL's own, without array types.
fn types(user: &str) -> String {
    format!(
        "SELECT 'fact' AS kind, 'type' AS fact, n.nspname AS namespace, t.typname AS name, NULL::text AS number \
         FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid \
         WHERE {user} AND t.typtype IN ('b', 'c', 'd', 'e', 'm', 'r') AND t.typisdefined \
         AND (t.typrelid = 0 OR c.relkind IN ('c', 'r', 'p', 'v', 'm', 'f')) \
         AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid)"
    )
}

/// The names of what no kind reads, by what it is called in a sentence.
///
/// `pg_identify_object` names it, and not `pg_describe_object`, which speaks the server's language
/// (`lc_messages`).
fn exclusions(user: &str, version: ServerVersion) -> String {
    let free = |class: &str, oid: &str| {
        format!(
            "NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_catalog.{class}'::regclass \
             AND e.objid = {oid} AND e.refclassid = 'pg_catalog.pg_extension'::regclass AND e.deptype = 'e')"
        )
    };
    let identity = |class: &str, oid: &str| {
        format!("(pg_identify_object('pg_catalog.{class}'::regclass, {oid}, 0)).identity")
    };
    let types = |name: &str, condition: &str| {
        let free = free("pg_type", "t.oid");
        format!(
            "SELECT '{name}' AS name, {identity} AS identity FROM pg_type t \
             JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {user} AND {condition} AND {free}",
            identity = identity("pg_type", "t.oid"),
        )
    };
    let plain = |name: &str, from: &str, condition: &str| {
        let class = from.split(' ').next().unwrap_or(from);
        let row = from.rsplit(' ').next().unwrap_or(from);
        let identity = identity(class, &format!("{row}.oid"));
        format!("SELECT '{name}' AS name, {identity} AS identity FROM {from} WHERE {condition}")
    };
    let in_namespace = |name: &str, class: &str, namespace: &str, condition: &str| {
        let free = free(class, "x.oid");
        format!(
            "SELECT '{name}' AS name, {identity} AS identity FROM {class} x \
             JOIN pg_namespace n ON n.oid = x.{namespace} WHERE {user} AND {condition} AND {free}",
            identity = identity(class, "x.oid"),
        )
    };
    // What is in no namespace, and was not there from the beginning.
    let made = |name: &str, class: &str| {
        let condition = format!("x.oid >= 16384 AND {}", free(class, "x.oid"));
        plain(name, &format!("{class} x"), &condition)
    };
    let here = "(SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut parts = vec![
        in_namespace(
            "typed tables",
            "pg_class",
            "relnamespace",
            "x.relkind IN ('r', 'p') AND x.reloftype <> 0 AND x.relpersistence <> 't'",
        ),
        in_namespace("foreign tables", "pg_class", "relnamespace", "x.relkind = 'f'"),
        types(
            "base types",
            "(t.typtype = 'b' OR NOT t.typisdefined) \
             AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid)",
        ),
        // The kind reads those of tables and materialized views.
        in_namespace(
            "extended statistics",
            "pg_statistic_ext",
            "stxnamespace",
            "EXISTS (SELECT FROM pg_class f WHERE f.oid = x.stxrelid AND f.relkind = 'f')",
        ),
        in_namespace("operators", "pg_operator", "oprnamespace", "true"),
        in_namespace("operator classes", "pg_opclass", "opcnamespace", "true"),
        in_namespace("operator families", "pg_opfamily", "opfnamespace", "true"),
        in_namespace("collations", "pg_collation", "collnamespace", "true"),
        in_namespace("conversions", "pg_conversion", "connamespace", "true"),
        in_namespace("text search configurations", "pg_ts_config", "cfgnamespace", "true"),
        in_namespace("text search dictionaries", "pg_ts_dict", "dictnamespace", "true"),
        in_namespace("text search parsers", "pg_ts_parser", "prsnamespace", "true"),
        in_namespace("text search templates", "pg_ts_template", "tmplnamespace", "true"),
        made("languages", "pg_language"),
        made("access methods", "pg_am"),
        made("transforms", "pg_transform"),
        made("foreign-data wrappers", "pg_foreign_data_wrapper"),
        // The table itself is not for everybody.
        format!(
            "SELECT 'user mappings' AS name, {identity} AS identity FROM pg_user_mappings m",
            identity = identity("pg_user_mapping", "m.umid"),
        ),
        plain("publications", "pg_publication", "true"),
        plain("subscriptions", "pg_subscription s", &format!("s.subdbid = {here}")),
        plain("event triggers", "pg_event_trigger x", &free("pg_event_trigger", "x.oid")),
        plain("foreign servers", "pg_foreign_server x", &free("pg_foreign_server", "x.oid")),
        // Those of a range belong to it; a bridge is an object.
        format!(
            "{} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_catalog.pg_cast'::regclass \
             AND d.objid = x.oid AND d.deptype = 'i') AND NOT {}",
            made("casts", "pg_cast"),
            is_bridge("x.oid"),
        ),
        plain("default privileges", "pg_default_acl", "true"),
    ];
    if version.at_least(15) {
        parts.push(plain("parameter privileges", "pg_parameter_acl", "true"));
    }
    format!(
        "SELECT 'fact' AS kind, 'exclusion' AS fact, NULL::text AS namespace, name, identity AS number \
         FROM ({}) AS x",
        parts.join(" UNION ALL ")
    )
}

/// Tables in a publication, with the partitions of a published table and the tables that a
/// published partition is part of; `in_part` are those with a column list, of which a new column is
/// no part.
///
/// pg_publication_tables is not asked: since 15 it locks each table
/// (`pg_get_publication_tables`, `src/backend/catalog/pg_publication.c`).
fn published(user: &str, version: ServerVersion, in_part: bool) -> String {
    let (fact, listed) = match (in_part, version.at_least(15)) {
        (false, false) => ("published", "true"),
        (false, true) => ("published", "prattrs IS NULL"),
        (true, false) => ("published_in_part", "false"),
        (true, true) => ("published_in_part", "prattrs IS NOT NULL"),
    };
    let of_namespace = if version.at_least(15) && !in_part {
        "UNION SELECT c.oid FROM pg_publication_namespace p JOIN pg_class c ON c.relnamespace = p.pnnspid \
         AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'"
    } else {
        ""
    };
    format!(
        "WITH RECURSIVE named AS (SELECT prrelid AS oid FROM pg_publication_rel WHERE {listed} {of_namespace} \
         UNION SELECT c.oid FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND c.oid >= 16384 \
         AND {all} AND EXISTS (SELECT FROM pg_publication WHERE puballtables)), \
         down AS (SELECT oid FROM named UNION SELECT i.inhrelid FROM down JOIN pg_inherits i ON i.inhparent = down.oid \
         JOIN pg_class k ON k.oid = i.inhrelid AND k.relispartition), \
         up AS (SELECT oid FROM named UNION SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.oid \
         JOIN pg_class k ON k.oid = i.inhrelid AND k.relispartition) \
         SELECT 'fact' AS kind, '{fact}' AS fact, n.nspname AS namespace, c.relname AS name, NULL::text AS number \
         FROM (SELECT oid FROM down UNION SELECT oid FROM up) x JOIN pg_class c ON c.oid = x.oid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}",
        all = !in_part,
    )
}

/// Casts from enum types to text that somebody has made, with whether they are implicit.
fn casts() -> String {
    format!(
        "SELECT 'fact' AS kind, 'text_cast' AS fact, n.nspname AS namespace, t.typname AS name, x.castcontext::text AS number \
         FROM pg_cast x JOIN pg_type t ON t.oid = x.castsource JOIN pg_namespace n ON n.oid = t.typnamespace \
         WHERE x.oid >= 16384 AND t.typtype = 'e' AND x.casttarget = 'pg_catalog.text'::regtype AND NOT {}",
        is_bridge("x.oid")
    )
}

/// Rules on UPDATE of tables. A view has them as its way to be written, and is not ours to write.
fn update_rules(user: &str) -> String {
    format!(
        "SELECT 'fact' AS kind, 'update_rule' AS fact, n.nspname AS namespace, c.relname AS name, \
         x.ev_enabled::text || x.rulename AS number FROM pg_rewrite x JOIN pg_class c ON c.oid = x.ev_class \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE x.ev_type = '2' AND c.relkind IN ('r', 'p') AND {user}"
    )
}

/// Whether the role may set `session_replication_role`: a superuser may, and from 15 on who was granted it.
fn replica(version: ServerVersion) -> String {
    let may = if version.at_least(15) {
        "has_parameter_privilege('session_replication_role', 'SET')"
    } else {
        "current_setting('is_superuser')::boolean"
    };
    format!(
        "SELECT 'fact' AS kind, 'replica' AS fact, NULL::text AS namespace, NULL::text AS name, \
         NULL::text AS number WHERE {may}"
    )
}

/// Who follows this server. A role without pg_read_all_stats sees that a standby is there, and
/// not its state.
fn followers() -> String {
    "SELECT 'fact' AS kind, 'follower' AS fact, NULL::text AS namespace, \
     'standby ' || coalesce(nullif(application_name, ''), '(unnamed)') || coalesce(', ' || state, '') AS name, \
     NULL::text AS number FROM pg_stat_replication \
     UNION ALL SELECT 'fact', 'follower', NULL, 'replication slot ' || slot_name || ', ' || slot_type \
     || coalesce(' (' || plugin || ')', '') || CASE WHEN active THEN ', active' ELSE ', inactive' END, NULL \
     FROM pg_replication_slots WHERE NOT temporary AND (database IS NULL OR database = current_database())"
        .to_owned()
}

/// Takes a row of one of the queries.
pub(crate) fn read(row: &TextRow, facts: &mut Facts) {
    let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
    let qualified = || QName::new(text("namespace"), text("name"));
    match row.get("fact") {
        Some("type") => {
            facts.types.insert(qualified());
        }
        Some("exclusion") => {
            facts.exclusions.entry(text("name")).or_default().insert(text("number"));
        }
        Some("default_grantee") => {
            facts.default_grantees.insert(text("name"));
        }
        Some("replica") => facts.may_be_replica = true,
        Some("role") => facts.current_role = text("name"),
        Some("published") => {
            facts.published.insert(qualified());
        }
        Some("wal_level") => facts.logical = text("name") == "logical",
        Some("text_cast") => {
            facts.casts.insert(qualified(), text("number") == "i");
        }
        Some("update_rule") => {
            let text = text("number");
            if let Some((when, rule)) = text.split_at_checked(1) {
                let rules = facts.update_rules.entry(qualified()).or_default();
                rules.insert(rule.to_owned(), Enabled::from_catalog(when));
            }
        }
        Some("publication_of_all") => {
            facts.publications_of_all.insert(text("name"));
        }
        Some("published_in_part") => {
            facts.published_in_part.insert(qualified());
        }
        Some("follower") => {
            facts.followers.push(text("name"));
            facts.followers.sort();
        }
        _ => {}
    }
}

/// The sizes of relations and what is under them: for a partitioned table or an inheritance
/// parent the sum over its tree. A name that is no relation with rows is left out.
///
/// A relation that somebody holds exclusively is not waited for: its size is then the one that the
/// last VACUUM or ANALYZE wrote down.
///
/// # Errors
/// If the server cannot be asked.
pub async fn sizes(
    session: &mut Session,
    relations: &BTreeSet<QName>,
) -> Result<BTreeMap<QName, RelationSize>, Error> {
    if relations.is_empty() {
        return Ok(BTreeMap::new());
    }
    match measure(session, relations, true).await {
        Err(Error::Server(error)) if error.is_lock_timeout() => {
            session.rollback().await?;
            measure(session, relations, false).await
        }
        Err(error @ Error::Server(_)) => {
            session.rollback().await?;
            Err(error)
        }
        other => other,
    }
}

async fn measure(
    session: &mut Session,
    relations: &BTreeSet<QName>,
    exactly: bool,
) -> Result<BTreeMap<QName, RelationSize>, Error> {
    let limits = Limits { lock: Duration::from_millis(500), statement: Duration::from_secs(30) };
    let mut sql = reading::begin(session, limits);
    let names: Vec<String> = relations
        .iter()
        .map(|r| format!("({}, {})", quote_literal(&r.namespace), quote_literal(&r.name)))
        .collect();
    // pg_table_size and its kin lock the relation in ACCESS SHARE mode.
    let free = if exactly {
        "NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = c.oid \
         AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid())"
    } else {
        "false"
    };
    let block = "current_setting('block_size')::int8";
    let noted = |relation: &str| {
        format!("coalesce((SELECT x.relpages FROM pg_class x WHERE x.oid = {relation}), 0)::int8")
    };
    let (own, toast) = (noted("c.oid"), noted("c.reltoastrelid"));
    let _ = write!(
        sql,
        "WITH RECURSIVE named AS (SELECT w.namespace, w.name, c.oid FROM (VALUES {names}) AS w(namespace, name) \
         JOIN pg_namespace n ON n.nspname = w.namespace \
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'm')), \
         tree AS (SELECT oid AS root, oid FROM named UNION \
         SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid), \
         one AS MATERIALIZED (SELECT c.oid, c.reltuples, {free} AS free, ({own} + {toast}) * {block} AS noted, \
         (SELECT coalesce(sum(x.relpages), 0)::int8 * {block} FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
         WHERE i.indrelid = c.oid) AS index_noted \
         FROM pg_class c WHERE c.oid IN (SELECT oid FROM tree) AND c.relkind IN ('r', 'm')), \
         sized AS MATERIALIZED (SELECT oid, reltuples, noted, \
         (SELECT count(*) FROM pg_index i WHERE i.indrelid = one.oid) AS indexes, \
         CASE WHEN free THEN pg_table_size(oid) ELSE noted END AS bytes, \
         CASE WHEN free THEN pg_indexes_size(oid) ELSE index_noted END AS index_bytes, \
         CASE WHEN free THEN pg_relation_size(oid) ELSE noted END AS main FROM one) \
         SELECT n.namespace, n.name, coalesce(sum(s.bytes), 0)::int8 AS bytes, coalesce(sum(s.main), 0)::int8 AS row_bytes, \
         coalesce(sum(s.index_bytes), 0)::int8 AS index_bytes, coalesce(max(s.indexes), 0) AS indexes, \
         CASE WHEN bool_or(s.main > 0 AND (s.reltuples < 0 OR (s.reltuples = 0 AND s.noted = 0))) THEN -1 \
         ELSE coalesce(sum(greatest(s.reltuples, 0)), 0) END AS rows \
         FROM named n JOIN tree t ON t.root = n.oid LEFT JOIN sized s ON s.oid = t.oid GROUP BY n.namespace, n.name; COMMIT",
        names = names.join(", "),
    );
    let rows = session.send(&sql).await?;
    let number =
        |row: &TextRow, column: &str| row.get(column).and_then(|v| v.parse().ok()).unwrap_or(0);
    Ok(rows
        .iter()
        .filter_map(|row| {
            let name = QName::new(row.get("namespace")?, row.get("name")?);
            let size = RelationSize {
                bytes: number(row, "bytes"),
                row_bytes: number(row, "row_bytes"),
                index_bytes: number(row, "index_bytes"),
                indexes: number(row, "indexes"),
                rows: row.get("rows").and_then(|v| v.parse().ok()).unwrap_or(-1.0),
            };
            Some((name, size))
        })
        .collect())
}
