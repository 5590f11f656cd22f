//! The names that PostgreSQL gives to constraints and indexes without one.

use reconcile_sql::ident::MAX_IDENT_BYTES;

/// `name1_name2_label`, both names shortened until it fits (`makeObjectName`,
/// `src/backend/commands/indexcmds.c`).
pub fn object_name(name1: &str, name2: Option<&str>, label: &str) -> String {
    let name2 = name2.filter(|name| !name.is_empty());
    let overhead = usize::from(name2.is_some()) + label.len() + 1;
    let available = MAX_IDENT_BYTES.saturating_sub(overhead);
    let mut first = name1.len();
    let mut second = name2.map_or(0, str::len);
    while first + second > available {
        if first > second {
            first -= 1;
        } else {
            second -= 1;
        }
    }
    let first = clipped(name1, first);
    match name2 {
        Some(name2) => format!("{first}_{}_{label}", clipped(name2, second)),
        None => format!("{first}_{label}"),
    }
}

/// Column names as they stand in the middle of a generated name: joined, until they are long
/// enough to be cut anyway (`ChooseIndexNameAddition`).
pub fn joined<S: AsRef<str>>(columns: &[S]) -> String {
    let mut out = String::new();
    for column in columns {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(column.as_ref());
        if out.len() > MAX_IDENT_BYTES {
            break;
        }
    }
    out
}

fn clipped(text: &str, mut length: usize) -> &str {
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    &text[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_the_longer_one_first() {
        assert_eq!(object_name("messages", None, "pkey"), "messages_pkey");
        assert_eq!(object_name("messages", Some("role"), "check"), "messages_role_check");
        let long = "a".repeat(60);
        assert_eq!(
            object_name(&long, Some("role"), "check"),
            format!("{}_role_check", "a".repeat(52))
        );
        let both = object_name(&long, Some(&"b".repeat(60)), "key");
        assert_eq!(both, format!("{}_{}_key", "a".repeat(29), "b".repeat(29)));
        assert!(object_name(&"ä".repeat(31), None, "pkey").len() <= MAX_IDENT_BYTES);
        assert_eq!(joined(&["a", "b"]), "a_b");
    }
}
