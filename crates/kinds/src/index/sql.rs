//! The SQL of an index.

use reconcile_sql::{QName, quote_ident};

use super::{Index, Key, KeyPart};

/// CREATE INDEX under a name; complete for what a model can say.
pub(super) fn create(index: &Index, name: &str, relation: &QName, concurrently: bool) -> String {
    let Index {
        method,
        unique,
        nulls_not_distinct,
        keys,
        include,
        predicate,
        options,
        valid: _,
        inherited: _,
        clustered: _,
        replica_identity: _,
        definition: _,
    } = index;
    let unique = if *unique { "UNIQUE " } else { "" };
    let beside = if concurrently { "CONCURRENTLY " } else { "" };
    let keys: Vec<String> = keys.iter().map(key).collect();
    let mut sql = format!(
        "CREATE {unique}INDEX {beside}{} ON {relation} USING {} ({})",
        quote_ident(name),
        quote_ident(method),
        keys.join(", ")
    );
    if !include.is_empty() {
        let columns: Vec<String> = include.iter().map(|c| quote_ident(c)).collect();
        sql.push_str(&format!(" INCLUDE ({})", columns.join(", ")));
    }
    if *nulls_not_distinct {
        sql.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(options) = options.as_ref().filter(|o| !o.is_empty()) {
        sql.push_str(&format!(" WITH ({})", options.join(", ")));
    }
    if let Some(predicate) = predicate {
        sql.push_str(&format!(" WHERE {predicate}"));
    }
    sql
}

/// One key, in the order that the grammar wants: collation, operator class, direction, nulls.
fn key(key: &Key) -> String {
    let Key { what, collation, operator_class, descending, nulls_first } = key;
    let mut sql = match what {
        KeyPart::Column(name) => quote_ident(name),
        KeyPart::Expression(text) => format!("({text})"),
    };
    if let Some(collation) = collation {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(class) = operator_class {
        sql.push_str(&format!(" {class}"));
    }
    if *descending {
        sql.push_str(" DESC");
    }
    // NULLS FIRST is the default of DESC, NULLS LAST that of ASC.
    match (descending, nulls_first) {
        (false, true) => sql.push_str(" NULLS FIRST"),
        (true, false) => sql.push_str(" NULLS LAST"),
        _ => {}
    }
    sql
}
