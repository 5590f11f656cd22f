//! The SQL of an index.

use reconcile_sql::lex::significant;
use reconcile_sql::{QName, quote_ident};

use super::key::listed;
use super::{Index, Key, KeyPart};

/// In which way an index is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// In a transaction.
    Plain,
    /// CONCURRENTLY
    Beside,
    /// ON ONLY a partitioned table, whose partitions' indexes are attached one by one.
    Only,
}

/// CREATE INDEX under a name; complete but for the statistics targets.
pub(super) fn create(index: &Index, name: &str, relation: &QName, manner: Manner) -> String {
    let Index {
        method,
        unique,
        nulls_not_distinct,
        keys,
        include,
        predicate,
        options,
        tablespace,
        statistics: _,
        valid: _,
        attached_to: _,
        clustered: _,
        replica_identity: _,
    } = index;
    let unique = if *unique { "UNIQUE " } else { "" };
    let beside = if manner == Manner::Beside { "CONCURRENTLY " } else { "" };
    let only = if manner == Manner::Only { "ONLY " } else { "" };
    let keys: Vec<String> = keys.iter().map(key).collect();
    let mut sql = format!(
        "CREATE {unique}INDEX {beside}{} ON {only}{relation} USING {} ({})",
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
    if !options.is_empty() {
        sql.push_str(&format!(" WITH ({})", listed(options)));
    }
    if let Some(tablespace) = tablespace {
        sql.push_str(&format!(" TABLESPACE {}", quote_ident(tablespace)));
    }
    if let Some(predicate) = predicate {
        sql.push_str(&format!(" WHERE {predicate}"));
    }
    sql
}

/// One key. A call would need no parentheses, but they do no harm.
fn key(key: &Key) -> String {
    let what = match &key.what {
        KeyPart::Column(name) => quote_ident(name),
        KeyPart::Expression(text) => format!("({text})"),
    };
    format!("{what}{}", key.modifiers())
}

/// An expression without the parentheses around it: one pair is CREATE INDEX's own, another one the
/// deparser's.
pub(crate) fn bare(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(inside) = enclosed(text) {
        text = inside;
    }
    text
}

/// What stands between two parentheses that enclose the whole.
fn enclosed(text: &str) -> Option<&str> {
    let tokens = significant(text);
    let (first, last) = tokens.first().zip(tokens.last())?;
    let inside = tokens.get(1..tokens.len().saturating_sub(1))?;
    let mut depth = 0_i32;
    let mut comma = false;
    for token in inside {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "," if depth == 0 => comma = true, // a row
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    let whole = first.is("(") && last.is(")") && !comma && !inside.is_empty();
    whole.then(|| text[first.start + 1..last.start].trim())
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn strips_parentheses_around_the_whole_only() {
        assert_eq!(bare("((a + b))"), "a + b");
        assert_eq!(bare("((a) + (b))"), "(a) + (b)");
        assert_eq!(bare("(ROW(a, b))"), "ROW(a, b)");
        assert_eq!(bare("((a, b))"), "(a, b)");
    }
}
