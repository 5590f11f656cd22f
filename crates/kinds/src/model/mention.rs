//! What SQL text in a model refers to, as far as words tell.
//!
//! Only the server knows what a name means; but which of the model's own objects a text can mean is
//! known by their names, and that is enough to make things in the right order. A word too many
//! makes an order stricter than it need be, and no plan wrong.

use std::collections::BTreeMap;

use reconcile_catalog::{Address, Object};
use reconcile_sql::ident::split_qualified;
use reconcile_sql::lex::{TokenKind, significant};

use super::ModelReader;

/// A text that an object cannot be made without understanding.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    of: Address,
    text: String,
    namespace: String,
}

impl ModelReader<'_> {
    /// Lets an object depend on everything at the top of the model that a text names: relations,
    /// types, sequences (also inside literals, as `nextval('s'::regclass)` has them).
    pub fn mention(&mut self, of: &Address, text: &str) {
        let namespace = self.namespace.clone();
        self.mentions.push(Mention { of: of.clone(), text: text.to_owned(), namespace });
    }

    pub(super) fn resolve_mentions(&mut self) {
        let mut named: BTreeMap<(String, String), Vec<Address>> = BTreeMap::new();
        for object in self.catalog.objects() {
            if let ([namespace, name], None) = (object.address.path(), object.address.target()) {
                // A function is addressed with its arguments.
                let name = name.split_once('(').map_or(name.as_str(), |(name, _)| name);
                let key = (namespace.clone(), name.to_owned());
                named.entry(key).or_default().push(object.address.clone());
            }
        }
        for Mention { of, text, namespace } in std::mem::take(&mut self.mentions) {
            let own = &of.path()[..of.path().len().min(2)];
            let names = names_in(&text);
            for (stated, name) in &names {
                let places = match stated {
                    Some(stated) => vec![stated.clone()],
                    None => vec![namespace.clone(), "public".to_owned()],
                };
                let found = places.into_iter().find_map(|ns| named.get(&(ns, name.clone())));
                for target in found.into_iter().flatten() {
                    let is_own = target.path() == own;
                    if !is_own {
                        self.catalog.depend(&of, target);
                    }
                    // Which of its parts: a column that is still to be added.
                    let named = |part: &&Object| {
                        if part.address.has_target() {
                            return false; // Its comment or owner has its name.
                        }
                        let is_column = part.definition.section() == "columns";
                        (is_column || !is_own)
                            && names.iter().any(|(_, n)| n == part.address.name())
                    };
                    let parts = self.catalog.children(target).filter(named);
                    let parts: Vec<Address> = parts.map(|part| part.address.clone()).collect();
                    parts.iter().for_each(|part| self.catalog.depend(&of, part));
                }
            }
        }
    }
}

/// The names in a text, with their namespaces where they have one.
fn names_in(text: &str) -> Vec<(Option<String>, String)> {
    let tokens = significant(text);
    let mut out = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.kind == TokenKind::Text {
            let inside = token.text.trim_start_matches(['E', 'e']).trim_matches('\'');
            let bare = |name: &str| name.replace("''", "'");
            let (namespace, name) = split_qualified(inside);
            out.push((namespace.map(|n| bare(&n)), bare(&name)));
            continue;
        }
        let Some(name) = token.ident() else { continue };
        let after_dot = at >= 2 && tokens[at - 1].is(".");
        let namespace = after_dot.then(|| tokens[at - 2].ident()).flatten();
        if namespace.is_some() {
            out.push((namespace.map(|n| n.to_string()), name.to_string()));
        } else {
            out.push((None, name.to_string()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::names_in;

    #[test]
    fn finds_names_in_and_out_of_literals() {
        let names = names_in("nextval('app.s'::regclass) + f(\"T\".x, 'it''s')");
        let has = |namespace: Option<&str>, name: &str| {
            names.contains(&(namespace.map(str::to_owned), name.to_owned()))
        };
        assert!(has(Some("app"), "s") && has(None, "f") && has(None, "T") && has(Some("T"), "x"));
        assert!(has(None, "it's"));
    }
}
