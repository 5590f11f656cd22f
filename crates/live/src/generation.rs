//! A cheap number that moves when the catalog does.
//!
//! Invariant: it covers every catalog that a kind reads, and leaves out temporary relations, which
//! come and go all the time. Statistics do not move it: VACUUM and ANALYZE overwrite them in place
//! (`heap_inplace_update`), which leaves xmin alone. Roles belong to all databases and are left out:
//! the name of a new one is in nothing that was read.
//!
//! A snapshot does not do this work. `pg_get_viewdef` and its kin read the catalog as it is now,
//! not as the transaction saw it.

/// What is not temporary, as a condition on a column that holds the OID of a relation.
const NOT_TEMPORARY: &str = "NOT IN (SELECT oid FROM passing)";

/// The catalogs, the column that names a row, and the column with the relation it belongs to.
const BY_RELATION: &[(&str, &str, &str)] = &[
    ("pg_class", "oid", "oid"),
    ("pg_attribute", "attrelid", "attrelid"),
    ("pg_attrdef", "oid", "adrelid"),
    ("pg_constraint", "oid", "conrelid"),
    ("pg_index", "indexrelid", "indrelid"),
    ("pg_inherits", "inhrelid", "inhrelid"),
    ("pg_policy", "oid", "polrelid"),
    ("pg_rewrite", "oid", "ev_class"),
    ("pg_sequence", "seqrelid", "seqrelid"),
    ("pg_trigger", "oid", "tgrelid"),
    ("pg_description", "objoid", "objoid"),
    ("pg_statistic_ext", "oid", "stxrelid"),
];

/// Catalogs whose rows belong to no relation.
const WHOLE: &[(&str, &str)] = &[
    ("pg_enum", "oid"),
    ("pg_proc", "oid"),
    ("pg_cast", "oid"),
    ("pg_default_acl", "oid"),
    ("pg_publication", "oid"),
    ("pg_publication_rel", "oid"),
    ("pg_extension", "oid"),
];

/// The query; one row with the columns `kind` (`generation`) and `generation`.
pub(crate) fn query() -> String {
    let part = |catalog: &str, id: &str, condition: &str| {
        format!(
            "SELECT '{catalog}' AS catalog, count(*) AS n, \
             sum(hashint8extended({id}::int8 * 4294967296 + xmin::text::int8, 0)) AS h FROM {catalog} WHERE {condition}"
        )
    };
    let mut parts: Vec<String> = BY_RELATION
        .iter()
        .map(|(catalog, id, relation)| {
            part(catalog, id, &format!("{id} >= 16384 AND {relation} {NOT_TEMPORARY}"))
        })
        .collect();
    parts.extend(WHOLE.iter().map(|(catalog, id)| part(catalog, id, &format!("{id} >= 16384"))));
    parts.push(part(
        "pg_type",
        "oid",
        r"oid >= 16384 AND typnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\_temp\_%')",
    ));
    // `public` has a low OID and can be changed.
    parts.push(part("pg_namespace", "oid", r"nspname NOT LIKE 'pg\_%'"));
    format!(
        "WITH passing AS (SELECT oid FROM pg_class WHERE relpersistence = 't') \
         SELECT 'generation' AS kind, md5(string_agg(concat_ws(' ', catalog, n, h), ',' ORDER BY catalog)) AS generation \
         FROM ({}) AS x",
        parts.join(" UNION ALL ")
    )
}
