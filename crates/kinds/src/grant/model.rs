//! `grants:` on whatever has privileges.

use std::sync::Arc;

use reconcile_catalog::Object;
use reconcile_yaml::{Entry, Node, Out, Problem};

use super::{Grants, Privilege};
use crate::composite::model::COMPOSITE;
use crate::domain::model::DOMAIN;
use crate::enum_type::model::ENUM;
use crate::materialized_view::model::MATERIALIZED_VIEW;
use crate::model::{At, Field, Form, ModelPart, ModelReader, Shape, WriteCx, Written};
use crate::namespace::model::NAMESPACE;
use crate::owner::model::unmanaged;
use crate::range::model::RANGE;
use crate::table::model::TABLE;
use crate::view::model::VIEW;

/// The privileges of a role in a model.
static GRANT: Form = Form::new("grant", "the privileges of a role");

/// Privileges in a model.
pub struct GrantModel;

/// Everybody, as a role.
const PUBLIC: &str = "public";

/// What stands before the role that gave a privilege.
const BY: &str = " by ";

/// The word of `manage:` for privileges.
pub(crate) const GRANTS: &str = "grants";

static FIELDS: [Field; 4] = [
    Field::section(
        &[&TABLE, &VIEW, &MATERIALIZED_VIEW, &ENUM, &DOMAIN, &COMPOSITE, &RANGE, &NAMESPACE],
        GRANTS,
        Shape::Map(&Shape::OneOf(&[Shape::List(&Shape::Text), Shape::Object(&GRANT)])),
        "Privileges by role (public: everybody), the owner's aside; needs `manage: [grants]`.",
    ),
    Field::new(
        &[&GRANT],
        "may",
        Shape::List(&Shape::Text),
        "The privileges: select, update (column), usage; `by role` behind one that the owner did not give.",
    ),
    Field::new(
        &[&GRANT],
        "may_grant",
        Shape::List(&Shape::Text),
        "The privileges that the role may pass on (WITH GRANT OPTION).",
    ),
    Field::new(
        &[&GRANT],
        "is_owner",
        Shape::Flag,
        "true: the role owns it and has these privileges instead of the usual ones.",
    ),
];

impl ModelPart for GrantModel {
    fn fields(&self) -> &'static [Field] {
        &FIELDS
    }

    fn read<'a>(
        &self,
        field: &'static Field,
        entry: &'a Entry,
        at: &At<'a>,
        reader: &mut ModelReader<'a>,
    ) {
        let Some(target) = &at.address else { return };
        if !reader.manages(GRANTS) {
            return unmanaged(field, entry, GRANTS, reader);
        }
        let mut items = Vec::new();
        let mut owner_has_all = true;
        for Entry { key, value } in entry.value.entries() {
            let Some(role) = reader.name(key) else { continue };
            let grantee = Some(role).filter(|role| role != PUBLIC);
            owner_has_all &= value.get("is_owner").and_then(Node::flag) != Some(true);
            let plain = value.get("may").unwrap_or(value);
            let lists = [(Some(plain), false), (value.get("may_grant"), true)];
            for (list, grantable) in lists {
                for item in list.map(Node::items).unwrap_or_default() {
                    items.extend(privilege(item, &grantee, grantable, reader));
                }
            }
        }
        let grants = Arc::new(Grants { items, owner_has_all });
        let mut object = Object::new(Grants::address(target), Some(target.clone()), grants);
        object.depends_on.insert(target.clone());
        reader.declare(object, entry.key.span);
    }

    fn write(&self, object: &Object, cx: &WriteCx<'_>) -> Option<Written> {
        let grants: &Grants = object.get().filter(|_| cx.manages(GRANTS))?;
        let mut roles: Vec<(String, Out)> = Vec::new();
        for item in &grants.items {
            let role = item.grantee.clone().unwrap_or_else(|| PUBLIC.to_owned());
            if roles.iter().any(|(known, _)| *known == role) {
                continue;
            }
            let of = |grantable: bool| {
                let items = grants.items.iter().filter(|p| p.grantee == item.grantee);
                items.filter(|p| p.grantable == grantable).map(word).collect::<Vec<String>>()
            };
            let (may, may_grant) = (of(false), of(true));
            let owner = !grants.owner_has_all && is_owner(object, &role, cx);
            let value = if may_grant.is_empty() && !owner {
                Out::words(may)
            } else {
                let listed = |words: Vec<String>| (!words.is_empty()).then(|| Out::words(words));
                let entries = [
                    ("may", listed(may)),
                    ("may_grant", listed(may_grant)),
                    ("is_owner", owner.then_some(Out::Flag(true))),
                ];
                Out::record(entries.into_iter().filter_map(|(key, value)| Some((key, value?))))
            };
            roles.push((role, value));
        }
        if let Some(owner) = owner_of(object, cx).filter(|_| !grants.owner_has_all) {
            // One who gave up everything has no entry of the catalog's.
            if roles.iter().all(|(role, _)| role != owner) {
                roles.push((owner.to_owned(), Out::record([("is_owner", Out::Flag(true))])));
            }
        }
        let written = Written { key: None, ..Written::child(GRANTS, object) };
        Some(written.with(GRANTS, Out::Map(roles)).short(GRANTS))
    }
}

fn owner_of<'a>(grants: &Object, cx: &WriteCx<'a>) -> Option<&'a str> {
    let owner = crate::owner::Owner::address(&grants.address.target()?);
    cx.catalog.definition::<crate::owner::Owner>(&owner).map(|owner| owner.role.as_str())
}

fn is_owner(grants: &Object, role: &str, cx: &WriteCx<'_>) -> bool {
    owner_of(grants, cx) == Some(role)
}

/// `update (role) by somebody`.
fn word(item: &Privilege) -> String {
    let mut word = item.privilege.to_lowercase();
    if let Some(column) = &item.column {
        word.push_str(&format!(" ({column})"));
    }
    if let Some(grantor) = &item.grantor {
        word.push_str(&format!("{BY}{grantor}"));
    }
    word
}

fn privilege(
    node: &Node,
    grantee: &Option<String>,
    grantable: bool,
    reader: &mut ModelReader<'_>,
) -> Option<Privilege> {
    const ALL: &[&str] = &[
        "select",
        "insert",
        "update",
        "delete",
        "truncate",
        "references",
        "trigger",
        "maintain",
        "usage",
        "create",
    ];
    let (text, grantor) = match node.text()?.trim().split_once(BY) {
        Some((text, grantor)) => (text, Some(grantor.to_owned())),
        None => (node.text()?.trim(), None),
    };
    let (word, column) = match text.split_once('(') {
        Some((word, rest)) => (word.trim(), rest.trim_end().strip_suffix(')').map(str::trim)),
        None => (text, None),
    };
    if !ALL.contains(&word.to_ascii_lowercase().as_str()) {
        let help = match reconcile_yaml::nearest(word, ALL.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the privileges are {}", ALL.join(", ")),
        };
        let message = format!("`{word}` is no privilege");
        reader.problem(Problem::new("privilege", message).at(node.span, "this word").help(help));
        return None;
    }
    let (privilege, column) = (word.to_uppercase(), column.map(str::to_owned));
    Some(Privilege { grantee: grantee.clone(), privilege, column, grantable, grantor })
}
