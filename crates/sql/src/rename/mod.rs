//! Makes the text of an object read as PostgreSQL writes it once other objects have new names.
//!
//! PostgreSQL keeps references by OID and writes them with the names of the moment, so a rename
//! changes the text of a view, a condition or a default without changing what it is (tried on 14
//! and 18). The names are replaced where the text means the renamed thing: a relation or type by
//! its namespace and name, a column behind an alias of its relation, or bare where the relation is
//! the only one that the text can mean. What is an output of a query keeps its name: `m.role`
//! becomes `m.kind AS role`.
//!
//! A reference that is missed leaves a text that differs, which is a difference to be looked at and
//! never a silent agreement.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use crate::ident::{QName, quote_ident, split_qualified};
use crate::types::SqlType;

/// New names by old ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Relations and types.
    tops: BTreeMap<QName, QName>,
    /// Namespaces.
    namespaces: BTreeMap<String, String>,
    /// Columns, by the old names of their relations.
    columns: BTreeMap<QName, BTreeMap<String, String>>,
    /// Values of types, by the old names of these.
    values: BTreeMap<QName, BTreeMap<String, String>>,
    /// Types that are functions as well.
    functions: BTreeSet<QName>,
    /// A word that is in every text that can change.
    words: Vec<String>,
}

impl Names {
    /// A namespace has another name.
    pub fn namespace(&mut self, from: &str, to: &str) {
        self.words.push(from.to_owned());
        self.namespaces.insert(from.to_owned(), to.to_owned());
    }

    /// A relation or type is called otherwise.
    pub fn top(&mut self, from: QName, to: QName) {
        self.words.push(from.name.clone());
        self.tops.insert(from, to);
    }

    /// A type and the functions of its name are called otherwise.
    pub fn function(&mut self, from: QName, to: QName) {
        self.functions.insert(from.clone());
        self.top(from, to);
    }

    /// A column of a relation, which is called as before, has another name.
    pub fn column(&mut self, relation: QName, from: &str, to: &str) {
        self.words.push(from.to_owned());
        self.columns.entry(relation).or_default().insert(from.to_owned(), to.to_owned());
    }

    /// A value of a type has another name.
    pub fn value(&mut self, of: QName, from: &str, to: &str) {
        self.words.push(of.name.clone());
        self.values.entry(of).or_default().insert(from.to_owned(), to.to_owned());
    }

    /// Whether nothing is called otherwise.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// A namespace as it is called then.
    pub fn in_namespace(&self, namespace: &str) -> String {
        self.namespaces.get(namespace).map_or(namespace, String::as_str).to_owned()
    }

    /// A relation or type as it is called then.
    pub fn of(&self, name: &QName) -> QName {
        self.tops
            .get(name)
            .cloned()
            .unwrap_or_else(|| QName::new(self.in_namespace(&name.namespace), &name.name))
    }

    /// A column as it is called then.
    pub fn of_column(&self, relation: &QName, column: &str) -> String {
        let renamed = self.columns.get(relation).and_then(|columns| columns.get(column));
        renamed.map_or(column, String::as_str).to_owned()
    }

    /// A type as it is called then.
    pub fn of_type(&self, ty: &SqlType) -> SqlType {
        let Some(namespace) = &ty.namespace else { return ty.clone() };
        let QName { namespace, name } = self.of(&QName::new(namespace, &ty.name));
        SqlType { namespace: Some(namespace), name, ..ty.clone() }
    }

    /// A qualified name in SQL as it reads then.
    pub fn of_spelt(&self, name: &str) -> String {
        match split_qualified(name) {
            (Some(namespace), name) => self.of(&QName::new(namespace, name)).to_string(),
            (None, _) => name.to_owned(),
        }
    }

    /// SQL as it reads then. Bare names are columns of `own`, if there is one, or of the relations
    /// that the text itself names.
    pub fn of_text(&self, source: &str, own: Option<&QName>) -> String {
        let may_change = self
            .words
            .iter()
            .any(|word| source.contains(word.as_str()) || source.contains(&quote_ident(word)[..]));
        if may_change { text::renamed(self, source, own) } else { source.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        let messages = QName::new("public", "messages");
        names.column(messages.clone(), "role", "kind");
        names.column(messages.clone(), "year", "a b");
        names.top(messages, QName::new("public", "msgs"));
        names.top(QName::new("public", "mood"), QName::new("public", "feel"));
        names.top(QName::new("public", "q"), QName::new("public", "qq"));
        names.top(QName::new("public", "v1"), QName::new("public", "w1"));
        names
    }

    fn query(source: &str) -> String {
        names().of_text(source, None)
    }

    fn own(source: &str) -> String {
        names().of_text(source, Some(&QName::new("public", "messages")))
    }

    #[test]
    fn conditions() {
        assert_eq!(own("(role <> 'x'::text)"), "(kind <> 'x'::text)");
        assert_eq!(
            own("((year)::numeric > EXTRACT(year FROM '2020-01-01'::date))"),
            "((\"a b\")::numeric > EXTRACT(year FROM '2020-01-01'::date))"
        );
        assert_eq!(own("(lower(role) = 'role'::text)"), "(lower(kind) = 'role'::text)");
        assert_eq!(own("(m = 'a'::public.mood)"), "(m = 'a'::public.feel)");
        assert_eq!(own("role(id)"), "role(id)");
        assert_eq!(own("nextval('public.q'::regclass)"), "nextval('public.qq'::regclass)");
        assert_eq!(own("'public.q'::text"), "'public.q'::text");
    }

    #[test]
    fn queries_keep_their_outputs() {
        assert_eq!(
            query("SELECT messages.role\n   FROM public.messages;"),
            "SELECT msgs.kind AS role\n   FROM public.msgs;"
        );
        assert_eq!(
            query("SELECT role\n   FROM public.messages a\n  GROUP BY role\n  ORDER BY role;"),
            "SELECT kind AS role\n   FROM public.msgs a\n  GROUP BY kind\n  ORDER BY kind;"
        );
        assert_eq!(
            query(
                "SELECT m.role AS kind, o.role, m.id AS role FROM (public.messages m JOIN public.o ON ((o.mid = m.id)))"
            ),
            "SELECT m.kind, o.role, m.id AS role FROM (public.msgs m JOIN public.o ON ((o.mid = m.id)))"
        );
        assert_eq!(query("SELECT v1.role FROM public.v1"), "SELECT w1.role FROM public.w1");
        assert_eq!(
            query("SELECT s.role FROM ( SELECT messages.role FROM public.messages) s"),
            "SELECT s.role FROM ( SELECT msgs.kind AS role FROM public.msgs) s"
        );
        assert_eq!(
            query(
                "SELECT row_to_json(messages.*) AS r, ROW(messages.role, 1) AS x FROM public.messages"
            ),
            "SELECT row_to_json(msgs.*) AS r, ROW(msgs.kind, 1) AS x FROM public.msgs"
        );
        assert_eq!(
            query(
                "WITH w AS ( SELECT messages_1.role FROM public.messages messages_1) SELECT w.role, messages.id FROM w, public.messages"
            ),
            "WITH w AS ( SELECT msgs_1.kind AS role FROM public.msgs msgs_1) SELECT w.role, msgs.id FROM w, public.msgs"
        );
    }

    #[test]
    fn what_is_joined_by_keeps_its_name() {
        assert_eq!(
            query("SELECT messages.id FROM (public.messages JOIN public.o USING (id, role))"),
            "SELECT msgs.id FROM (public.msgs JOIN public.o USING (id, role))"
        );
    }

    #[test]
    fn values() {
        let mut names = names();
        names.value(QName::new("public", "mood"), "it's", "is");
        assert_eq!(
            names.of_text("CASE 'it''s'::public.mood WHEN 'it''s'::text THEN 1 END", None),
            "CASE 'is'::public.feel WHEN 'it''s'::text THEN 1 END"
        );
    }

    #[test]
    fn triggers() {
        assert_eq!(
            own(
                "CREATE TRIGGER role BEFORE UPDATE OF role ON public.messages FOR EACH ROW WHEN ((old.role IS DISTINCT FROM new.role)) EXECUTE FUNCTION public.messages()"
            ),
            "CREATE TRIGGER role BEFORE UPDATE OF kind ON public.msgs FOR EACH ROW WHEN ((old.kind IS DISTINCT FROM new.kind)) EXECUTE FUNCTION public.messages()"
        );
    }

    #[test]
    fn namespaces() {
        let mut names = Names::default();
        names.namespace("app", "core");
        assert_eq!(
            names.of_text("SELECT app.f(t.a) AS f FROM app.t WHERE (t.m = 'x'::app.mood)", None),
            "SELECT core.f(t.a) AS f FROM core.t WHERE (t.m = 'x'::core.mood)"
        );
        assert_eq!(
            names.of_text("nextval('app.q'::regclass)", None),
            "nextval('core.q'::regclass)"
        );
        assert_eq!(names.of_spelt("app.\"X\""), "core.\"X\"");
    }
}
