//! Making, altering and removing composite types.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::{ServerVersion, SqlType, quote_ident};

use super::{Attribute, Composite, NAME, read};
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::user_type;
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct CompositeKind;

fn attributes(object: &Object) -> &[Attribute] {
    object.get::<Composite>().map_or(&[], |c| &c.attributes)
}

/// The live attribute that a desired one is.
pub(super) fn former<'a>(wanted: &Attribute, live: &'a [Attribute]) -> Option<&'a Attribute> {
    let named = |name: &str| live.iter().find(|a| a.name == name);
    named(&wanted.name).or_else(|| wanted.renamed_from.as_deref().and_then(named))
}

/// Whether a value has another text in the new type, because attributes come, go or move.
pub(crate) fn is_another_row(live: &Composite, desired: &Composite) -> bool {
    let (live, desired) = (&live.attributes, &desired.attributes);
    let same_places = live.len() == desired.len()
        && desired.iter().zip(live).all(|(d, l)| former(d, live) == Some(l));
    !same_places
}

/// What a value of the old type is in the new one, attribute by attribute. `convert` gives the
/// value of an attribute from that of its type's predecessor.
pub(crate) fn converted(
    value: &str,
    live: &Composite,
    desired: &Composite,
    convert: impl Fn(&str, &SqlType) -> String,
) -> String {
    let parts = desired.attributes.iter().map(|wanted| match former(wanted, &live.attributes) {
        Some(there) => convert(&format!("({value}).{}", quote_ident(&there.name)), &wanted.ty),
        None => format!("NULL::{}", wanted.ty),
    });
    format!("ROW({})", parts.collect::<Vec<_>>().join(", "))
}

/// The attributes that values of the type have no more.
pub(crate) fn lost<'a>(live: &'a Composite, desired: &Composite) -> Vec<&'a str> {
    let kept =
        |a: &&Attribute| desired.attributes.iter().any(|d| former(d, &live.attributes) == Some(*a));
    live.attributes.iter().filter(|a| !kept(a)).map(|a| a.name.as_str()).collect()
}

impl Kind for CompositeKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "composite types"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::CompositeModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Composite>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("TYPE {}", address.dotted())
    }

    fn grant_class(&self) -> &'static str {
        "TYPE"
    }

    fn describe(&self, object: &Object) -> String {
        let declared: Vec<String> = attributes(object).iter().map(Attribute::declaration).collect();
        format!("({})", declared.join(", "))
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let declared: Vec<String> = attributes(object).iter().map(Attribute::declaration).collect();
        let sql = format!("CREATE TYPE {} AS ({})", address.dotted(), declared.join(", "));
        let summary = format!("make composite type {}", address.short());
        Ok(vec![Stage::transaction(vec![Action::new(address, summary, Sql::Statement(sql))])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let sql = Sql::Statement(format!("DROP TYPE {}", address.dotted()));
        let action = Action::new(address, format!("drop composite type {}", address.short()), sql);
        Ok(vec![Stage::transaction(vec![action])])
    }

    /// PostgreSQL adds, drops and renames attributes also of a type that columns have, and writes
    /// no row for it; new ones stand at the end. It gives an attribute another type only where no
    /// column has the type (tried on 14 and 18).
    fn replacement(&self, change: &Alteration<'_>, cx: &Cx<'_>) -> Replacement {
        let (live, desired) = (attributes(change.live), attributes(change.desired));
        let kept = |a: &&Attribute| desired.iter().any(|d| former(d, live) == Some(*a));
        let stay: Vec<&Attribute> = live.iter().filter(kept).collect();
        let found: Vec<&Attribute> = desired.iter().map_while(|d| former(d, live)).collect();
        let in_order =
            found == stay && desired[found.len()..].iter().all(|d| former(d, live).is_none());
        let retyped = desired
            .iter()
            .any(|d| former(d, live).is_some_and(|l| l.ty != d.ty || l.collation != d.collation));
        let used = cx.live.dependents(&change.live.address).next().is_some();
        let drops = stay.len() < live.len();
        if in_order && !(used && (retyped || drops)) {
            Replacement::None
        } else {
            Replacement::Exchanged
        }
    }

    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.live.address;
        let (live, desired) = (attributes(change.live), attributes(change.desired));
        let act = |clause: String, summary: String| {
            let sql = Sql::Statement(format!("ALTER TYPE {} {clause}", address.dotted()));
            Action::new(address, summary, sql)
        };
        let of = |name: &str| format!("{}.{}", address.short(), quote_ident(name));
        let mut actions = Vec::new();
        for wanted in desired {
            let Some(there) = former(wanted, live).filter(|l| l.name != wanted.name) else {
                continue;
            };
            let (from, to) = (quote_ident(&there.name), quote_ident(&wanted.name));
            actions.push(act(
                format!("RENAME ATTRIBUTE {from} TO {to}"),
                format!("rename attribute {} to {to}", of(&there.name)),
            ));
        }
        for there in live {
            if desired.iter().any(|d| former(d, live) == Some(there)) {
                continue;
            }
            let clause = format!("DROP ATTRIBUTE {}", quote_ident(&there.name));
            actions.push(act(clause, format!("drop attribute {}", of(&there.name))));
        }
        for wanted in desired {
            let name = quote_ident(&wanted.name);
            match former(wanted, live) {
                None => actions.push(act(
                    format!("ADD ATTRIBUTE {}", wanted.declaration()),
                    format!("add attribute {}", of(&wanted.name)),
                )),
                Some(there) if there.of_type() != wanted.of_type() => actions.push(act(
                    format!("ALTER ATTRIBUTE {name} TYPE {}", wanted.of_type()),
                    format!("change {} from {} to {}", of(&wanted.name), there.ty, wanted.ty),
                )),
                Some(_) => {}
            }
        }
        Ok(vec![Stage::transaction(actions)])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(user_type::rename(&live.address, to))
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => Some("it is missing".to_owned()),
            Gap::Different { live, .. } => Some(format!("it is {}", self.describe(live))),
            Gap::Extra(_) => None,
        }
    }

    fn react(
        &self,
        object: &Object,
        disturbed: &Object,
        by: &Disturbance,
        cx: &Cx<'_>,
    ) -> Reaction {
        user_type::react(object, disturbed, by, cx)
    }
}
