//! Making, extending and removing enum types.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object, Value};
use reconcile_sql::lex::significant;
use reconcile_sql::{QName, ServerVersion, SqlType, quote_literal};

use super::{EnumType, NAME, read};
use crate::column::Column;
use crate::function::Function;
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::user_type;
use crate::{After, Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct EnumTypeKind;

fn labels(object: &Object) -> &[String] {
    object.get::<EnumType>().map_or(&[], |e| &e.labels)
}

fn qualified(address: &Address) -> QName {
    QName::new(address.namespace(), address.name())
}

/// Whether an SQL text names the type with its namespace, as the server deparses it.
pub(crate) fn names(text: &str, name: &QName) -> bool {
    let tokens = significant(text);
    tokens.windows(3).any(|w| {
        w[0].ident().as_ref() == Some(&name.namespace)
            && w[1].is(".")
            && w[2].ident().as_ref() == Some(&name.name)
    })
}

fn value_names(value: &Value, name: &QName) -> bool {
    match value {
        Value::Expression(e) => names(&e.text, name),
        Value::Statement(text) | Value::Text(text) => names(text, name),
        Value::Type(ty) => {
            ty.element() == SqlType::named(Some(name.namespace.clone()), name.name.clone())
        }
        Value::List(items) => items.iter().any(|v| value_names(v, name)),
        Value::Usual(value) => value_names(value, name),
        Value::Unstated | Value::None | Value::Flag(_) | Value::Number(_) | Value::Name { .. } => {
            false
        }
    }
}

/// The live labels once those that are renamed have their new names.
pub(super) fn renamed_labels(live: &EnumType, desired: &EnumType) -> Vec<String> {
    let mut labels = live.labels.clone();
    for (to, from) in in_order(live, desired) {
        labels.iter_mut().filter(|label| *label == from).for_each(|label| to.clone_into(label));
    }
    labels
}

/// The renames that are still to be done, `(to, from)`: each name is free when it is taken.
fn in_order<'a>(live: &EnumType, desired: &'a EnumType) -> Vec<(&'a String, &'a String)> {
    let mut there: Vec<&String> = live.labels.iter().collect();
    let mut out: Vec<(&String, &String)> = Vec::new();
    loop {
        let next = desired.renamed.iter().find(|(to, from)| {
            there.contains(&from)
                && !there.contains(&to)
                && live.labels.contains(from)
                && !out.iter().any(|(done, _)| *done == from)
        });
        let Some((to, from)) = next else { return out };
        there.retain(|label| *label != from);
        there.push(to);
        out.push((to, from));
    }
}

/// The desired labels as they are called until the renames.
pub(crate) fn former_labels(live: &EnumType, desired: &EnumType) -> Vec<String> {
    let now = renamed_labels(live, desired);
    let former = |label: &String| {
        let at = now.iter().position(|l| l == label);
        at.map_or_else(|| label.clone(), |at| live.labels[at].clone())
    };
    desired.labels.iter().map(former).collect()
}

/// RENAME VALUE for each label that has another name.
fn renames(live: &Object, desired: &Object) -> Vec<Action> {
    let address = &live.address;
    let Some((live, desired)) = live.get::<EnumType>().zip(desired.get::<EnumType>()) else {
        return Vec::new();
    };
    let action = |(to, from): (&String, &String)| {
        let (from, to) = (quote_literal(from), quote_literal(to));
        let sql = format!("ALTER TYPE {} RENAME VALUE {from} TO {to}", address.dotted());
        let summary = format!("rename label {from} of enum type {} to {to}", address.short());
        Action::new(address, summary, Sql::Statement(sql))
    };
    in_order(live, desired).into_iter().map(action).collect()
}

impl Kind for EnumTypeKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "enum types"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::EnumTypeModel)
    }

    fn queries(&self, _version: ServerVersion) -> Vec<String> {
        vec![read::query()]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<EnumType>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("TYPE {}", address.dotted())
    }

    fn grant_class(&self) -> &'static str {
        "TYPE"
    }

    fn describe(&self, object: &Object) -> String {
        let labels: Vec<String> = labels(object).iter().map(|l| quote_literal(l)).collect();
        format!("enum ({})", labels.join(", "))
    }

    fn create(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let labels: Vec<String> = labels(object).iter().map(|l| quote_literal(l)).collect();
        let address = &object.address;
        let sql = Sql::Statement(format!(
            "CREATE TYPE {} AS ENUM ({})",
            address.dotted(),
            labels.join(", ")
        ));
        Ok(vec![Stage::transaction(vec![Action::new(
            address,
            format!("make enum type {}", address.short()),
            sql,
        )])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let summary = format!("drop enum type {}, which nothing uses any more", address.short());
        let sql = Sql::Statement(format!("DROP TYPE {}", address.dotted()));
        Ok(vec![Stage::transaction(vec![Action::new(address, summary, sql)])])
    }

    /// PostgreSQL adds and renames labels. For one label less, or another order, another type takes
    /// the place of this one.
    fn replacement(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        let Some((live, desired)) = change.live.get().zip(change.desired.get()) else {
            return Replacement::None;
        };
        let now = renamed_labels(live, desired);
        let kept: Vec<&String> = desired.labels.iter().filter(|l| now.contains(l)).collect();
        let in_place = kept.into_iter().eq(now.iter());
        if in_place { Replacement::None } else { Replacement::Exchanged }
    }

    /// New labels are added one by one, each in a transaction of its own: a label cannot be used
    /// before its transaction is committed (55P04).
    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.live.address;
        let Some((live, desired)) = change.live.get().zip(change.desired.get()) else {
            return Ok(Vec::new());
        };
        let now = renamed_labels(live, desired);
        let mut stages: Vec<Stage> = renames(change.live, change.desired)
            .into_iter()
            .map(|action| Stage::transaction(vec![action]))
            .collect();
        let desired = &desired.labels;
        for (at, label) in desired.iter().enumerate().filter(|(_, label)| !now.contains(label)) {
            let place = match at.checked_sub(1) {
                Some(before) => format!(" AFTER {}", quote_literal(&desired[before])),
                None => now
                    .first()
                    .map_or_else(String::new, |first| format!(" BEFORE {}", quote_literal(first))),
            };
            let sql = format!(
                "ALTER TYPE {} ADD VALUE {}{place}",
                address.dotted(),
                quote_literal(label)
            );
            let summary =
                format!("add label {} to enum type {}", quote_literal(label), address.short());
            let mut action = Action::new(address, summary, Sql::Statement(sql));
            action.irreversible = Some("PostgreSQL cannot remove a label".to_owned());
            stages.push(Stage::transaction(vec![action]));
        }
        Ok(stages)
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(user_type::rename(&live.address, to))
    }

    /// Labels take their new names before, so that values keep their text.
    fn set_aside(&self, live: &Object, cx: &Cx<'_>) -> Vec<Action> {
        let desired = cx.desired.get(&live.address);
        let mut actions = desired.map_or_else(Vec::new, |desired| renames(live, desired));
        actions.push(user_type::set_aside(&live.address));
        actions
    }

    fn remaining_users(
        &self,
        object: &Object,
        after: &After<'_>,
        cx: &Cx<'_>,
    ) -> Option<Vec<String>> {
        let name = qualified(&object.address);
        let ty = SqlType::named(Some(name.namespace.clone()), name.name.clone());
        let uses = |user: &&Object| {
            if let Some(change) = cx.retypes.of(&user.address) {
                return change.to.element() == ty;
            }
            let Some(definition) = (after.definition)(user) else { return false };
            let properties = definition.properties();
            // What names the type only by an OID (a function's argument) never shows its text.
            let shows = definition.as_any().is::<Column>()
                || user.parent.is_some()
                || properties
                    .iter()
                    .any(|p| matches!(p.value, Value::Expression(_) | Value::Statement(_)));
            !shows || properties.iter().any(|p| value_names(&p.value, &name))
        };
        let mut users: Vec<String> = cx
            .live
            .dependents(&object.address)
            .filter(uses)
            .map(|o| o.address.to_string())
            .collect();
        let stays = |o: &&Object| (after.definition)(o).is_some();
        let mentions = |o: &&Object| o.get::<Function>().is_some_and(|f| f.mentions(&name));
        let bodies = cx.live.objects().filter(mentions).filter(stays);
        users.extend(bodies.map(|o| format!("{} (in its body)", o.address)));
        if cx.desired.contains(&object.address) {
            users.push("the model".to_owned());
        }
        Some(users)
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => Some("it is missing".to_owned()),
            Gap::Different { live, desired, .. } => {
                let missing: Vec<String> = labels(desired)
                    .iter()
                    .filter(|l| !labels(live).contains(l))
                    .map(|l| quote_literal(l))
                    .collect();
                (!missing.is_empty()).then(|| format!("it lacks {}", missing.join(", ")))
            }
            Gap::Extra(_) => None,
        }
    }

    fn react(
        &self,
        _object: &Object,
        _disturbed: &Object,
        _by: &Disturbance,
        _cx: &Cx<'_>,
    ) -> Reaction {
        Reaction::Keep
    }
}
