//! Makes the text of a dependent object follow a column's change of type.
//!
//! The server deparses `role = 'user'` over an enum as `role = 'user'::public.message_role`; once
//! the column is a varchar, that cast has no operator any more. A cast is rewritten exactly where
//! it is compared with, or stands in one group with, a column whose type changes; a cast that
//! belongs to another column of the old type stays. What the rewriting cannot know, whether the
//! server accepts the result, is decided by the server inside the transaction.

mod casts;
mod order;
mod sources;
mod text;

use std::ops::Range;

use crate::ident::QName;
use crate::types::SqlType;

use text::Text;

/// A column of a relation whose type changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRetype {
    /// The relation.
    pub relation: QName,
    /// The column.
    pub column: String,
    /// Its old type.
    pub from: SqlType,
    /// Its new type.
    pub to: SqlType,
}

/// What a text became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retyped {
    /// The text that fits the new types.
    pub text: String,
    /// Values are compared by `<`, `min` and the like: the order of the new type decides.
    pub compares_order: bool,
    /// Rows are sorted by a column: the order of the new type decides.
    pub sorts: bool,
    /// A column is compared with another one that keeps its type: there is no operator for the two
    /// any more if the old type was somebody's own.
    pub meets_other: bool,
}

/// Rewrites the casts of a text.
///
/// `own` is the relation to which bare column names belong (a table's CHECK); a query names its
/// relations itself.
pub fn retype(source: &str, own: Option<&QName>, changes: &[ColumnRetype]) -> Retyped {
    let text = Text::read(source, own, changes);
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for at in 0..text.tokens.len() {
        let Some(name) = text.cast_at(at) else { continue };
        let Some(column) = text.belongs_to(at, &name) else { continue };
        let to = column.to.element();
        edits.push(text.edit(at, name, &to));
    }
    let mut out = source.to_owned();
    for (range, to) in edits.into_iter().rev() {
        out.replace_range(range, &to);
    }
    Retyped {
        text: out,
        compares_order: text.compares_order(),
        sorts: text.sorts(),
        meets_other: text.meets_other(),
    }
}

/// The output columns of a query that are one of the changing columns, with that change.
pub fn passed_on(query: &str, changes: &[ColumnRetype]) -> Vec<(String, ColumnRetype)> {
    let text = Text::read(query, None, changes);
    text.outputs(0, text.tokens.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(relation: &str, column: &str) -> ColumnRetype {
        ColumnRetype {
            relation: QName::new("public", relation),
            column: column.to_owned(),
            from: SqlType::named(Some("public".into()), "message_role"),
            to: SqlType::parse("varchar(20)").expect("a type"),
        }
    }

    fn own(source: &str) -> Retyped {
        retype(source, Some(&QName::new("public", "messages")), &[change("messages", "role")])
    }

    fn query(source: &str) -> Retyped {
        retype(source, None, &[change("messages", "role")])
    }

    #[test]
    fn casts_follow_their_column() {
        assert_eq!(own("(role = 'user'::public.message_role)").text, "(role = 'user')");
        assert_eq!(
            own("((role = ANY (ARRAY['user'::public.message_role, 'tool'::public.message_role])) OR (content <> ''::text))").text,
            "((role = ANY (ARRAY['user'::varchar, 'tool'::varchar])) OR (content <> ''::text))"
        );
        assert_eq!(
            own("(role <> ALL ('{user,tool}'::public.message_role[]))").text,
            "(role <> ALL ('{user,tool}'))"
        );
        assert_eq!(own("('user'::public.message_role = role)").text, "('user' = role)");
        assert_eq!(
            own("(role IS DISTINCT FROM 'user'::public.message_role)").text,
            "(role IS DISTINCT FROM 'user')"
        );
        assert_eq!(
            own("COALESCE(role, 'user'::public.message_role)").text,
            "COALESCE(role, 'user')"
        );
        assert_eq!(
            own("((old.role)::text = 'user'::text)").text,
            "((old.role)::text = 'user'::text)"
        );
    }

    #[test]
    fn casts_of_other_columns_stay() {
        let source = "SELECT m.id FROM (public.messages m JOIN public.audit o ON ((o.id = m.id))) \
                      WHERE ((m.role = 'user'::public.message_role) AND (o.role = 'tool'::public.message_role) \
                      AND (COALESCE(o.role, 'x'::public.message_role) = 'tool'::public.message_role))";
        let got = query(source).text;
        assert!(got.contains("(m.role = 'user')"), "{got}");
        assert!(got.contains("o.role = 'tool'::public.message_role"), "{got}");
        assert!(got.contains("COALESCE(o.role, 'x'::public.message_role)"), "{got}");
    }

    #[test]
    fn order_is_noticed() {
        assert!(own("(role < 'system'::public.message_role)").compares_order);
        assert!(!own("((role)::text < 'system'::text)").compares_order);
        assert!(query("SELECT max(messages.role) FROM public.messages").compares_order);
        assert!(
            query("SELECT messages.id FROM public.messages ORDER BY messages.role, messages.id")
                .sorts
        );
        assert!(!query("SELECT messages.role FROM public.messages ORDER BY messages.id").sorts);
        assert!(
            !query("SELECT row_number() OVER (ORDER BY m.id) AS n, m.role FROM public.messages m")
                .sorts
        );
    }

    #[test]
    fn columns_that_keep_the_type_are_noticed() {
        assert!(
            query("SELECT 1 FROM (public.messages m JOIN public.t t ON ((t.role = m.role)))")
                .meets_other
        );
        assert!(
            query("SELECT 1 FROM (public.messages m JOIN public.t t ON ((m.role = t.role)))")
                .meets_other
        );
        assert!(!own("(role = 'user'::public.message_role)").meets_other);
        assert!(!own("(role = ANY (ARRAY['user'::public.message_role]))").meets_other);
        assert!(!own("((role)::text = content)").meets_other);
        assert!(
            !query(
                "SELECT 1 FROM (public.messages m JOIN public.messages n ON ((n.role = m.role)))"
            )
            .meets_other
        );
    }

    #[test]
    fn sub_selects_pass_columns_on() {
        let with = "WITH x AS ( SELECT m.role, count(*) AS n FROM public.messages m GROUP BY m.role ) \
                    SELECT y.role AS r, x.n FROM x y WHERE (y.role = 'user'::public.message_role)";
        assert!(query(with).text.ends_with("WHERE (y.role = 'user')"), "{}", query(with).text);
        let names: Vec<String> =
            passed_on(with, &[change("messages", "role")]).into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["r"]);
        let nested = "SELECT s.who FROM ( SELECT t.who FROM ( SELECT messages.role AS who FROM public.messages) t) s \
                      WHERE (s.who = 'tool'::public.message_role)";
        assert!(query(nested).text.ends_with("(s.who = 'tool')"), "{}", query(nested).text);
        assert!(!query("SELECT 1 FROM (public.messages m JOIN ( SELECT messages.role FROM public.messages) s ON ((s.role = m.role)))").meets_other);
    }

    #[test]
    fn outputs_that_are_the_column() {
        let got = passed_on(
            "SELECT m.id, m.role AS who, m.role, lower((m.role)::text) AS low FROM public.messages m WHERE (m.role = 'x')",
            &[change("messages", "role")],
        );
        let names: Vec<&str> = got.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["who", "role"]);
    }
}
