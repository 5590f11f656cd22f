//! Making and removing range types. Nothing of a range type is altered in place but its name.

use std::sync::Arc;

use reconcile_catalog::{Address, Definition, Object};
use reconcile_sql::ident::fit;
use reconcile_sql::{QName, ServerVersion, quote_ident};

use super::{NAME, Range, multirange_name, read};
use crate::gate::{Gap, GateCx};
use crate::model::ModelPart;
use crate::read::{ReadError, Reader, Row};
use crate::step::{Action, Refusal, Sql, Stage};
use crate::user_type::{self, ASIDE};
use crate::{Alteration, Cx, Disturbance, How, Kind, Reaction, Replacement};

/// The kind.
pub struct RangeKind;

fn range_of(object: &Object) -> Result<&Range, Refusal> {
    object.get().ok_or_else(|| Refusal::new(&object.address, "is no range type"))
}

/// The name of the multirange type.
pub(crate) fn multirange_of(address: &Address, range: &Range) -> QName {
    let usual = || QName::new(address.namespace(), multirange_name(address.name()));
    range.multirange.clone().unwrap_or_else(usual)
}

/// A range type gets another name, and with it what PostgreSQL made for it and leaves alone (tried on
/// 14 and 18): the functions that make its values, its multirange type, and the functions of that.
fn renamed_with_its_own(live: &Object, to: &str) -> Vec<Action> {
    let address = &live.address;
    let Some(range) = live.get::<Range>() else { return Vec::new() };
    let (name, subtype) = (QName::new(address.namespace(), address.name()), &range.subtype);
    let short = address.short();
    let mut actions = Vec::new();
    let mut act = |what: String, to: &str, called: &str| {
        let sql = format!("ALTER {what} RENAME TO {}", quote_ident(to));
        let summary = format!("rename {called} to {to}");
        actions.push(Action::new(address, summary, Sql::Statement(sql)));
    };
    for arguments in [format!("{subtype}, {subtype}"), format!("{subtype}, {subtype}, text")] {
        act(format!("FUNCTION {name}({arguments})"), to, &format!("a function of type {short}"));
    }
    if range.multirange.is_none() {
        let (multirange, to) = (multirange_of(address, range), multirange_name(to));
        for arguments in [String::new(), name.to_string(), format!("VARIADIC {name}[]")] {
            let what = format!("FUNCTION {multirange}({arguments})");
            act(what, &to, &format!("a function of type {}", multirange.name));
        }
        act(format!("TYPE {multirange}"), &to, &format!("type {}", multirange.name));
    }
    act(format!("TYPE {name}"), to, &format!("type {short}"));
    actions
}

impl Kind for RangeKind {
    fn name(&self) -> &'static str {
        NAME
    }

    fn plural(&self) -> &'static str {
        "range types"
    }

    fn model(&self) -> Option<&'static dyn ModelPart> {
        Some(&super::model::RangeModel)
    }

    fn queries(&self, version: ServerVersion) -> Vec<String> {
        vec![read::query(version)]
    }

    fn read(&self, row: &dyn Row, reader: &mut Reader) -> Result<(), ReadError> {
        read::read(row, reader)
    }

    fn decode(&self, json: serde_json::Value) -> Result<Arc<dyn Definition>, serde_json::Error> {
        Ok(Arc::new(serde_json::from_value::<Range>(json)?))
    }

    fn designation(&self, address: &Address) -> String {
        format!("TYPE {}", address.dotted())
    }

    fn grant_class(&self) -> &'static str {
        "TYPE"
    }

    fn describe(&self, object: &Object) -> String {
        object.get::<Range>().map_or_else(String::new, |r| format!("range of {}", r.subtype))
    }

    fn create(&self, object: &Object, _how: How, cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let Range { subtype, opclass, collation, canonical, subtype_diff, multirange } =
            range_of(object)?;
        let mut parts = vec![format!("subtype = {subtype}")];
        let named = [
            ("subtype_opclass", opclass),
            ("collation", collation),
            ("canonical", canonical),
            ("subtype_diff", subtype_diff),
        ];
        for (key, name) in named {
            parts.extend(name.as_ref().map(|name| format!("{key} = {name}")));
        }
        if let Some(name) = multirange.as_ref().filter(|_| cx.version.at_least(14)) {
            parts.push(format!("multirange_type_name = {name}"));
        }
        let sql = format!("CREATE TYPE {} AS RANGE ({})", address.dotted(), parts.join(", "));
        let summary = format!("make range type {}", address.short());
        let mut action = Action::new(address, summary, Sql::Statement(sql));
        if canonical.is_some() {
            action.warnings.push(
                "its canonical function takes the type itself, so it has to be there before: make an empty type of \
                 this name (CREATE TYPE without AS) and the function first"
                    .to_owned(),
            );
        }
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn drop(&self, object: &Object, _how: How, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &object.address;
        let sql = Sql::Statement(format!("DROP TYPE {}", address.dotted()));
        let action = Action::new(address, format!("drop range type {}", address.short()), sql);
        Ok(vec![Stage::transaction(vec![action])])
    }

    fn replacement(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Replacement {
        if change.properties.iter().all(|p| p.name == "multirange") {
            Replacement::None
        } else {
            Replacement::Exchanged
        }
    }

    fn alter(&self, change: &Alteration<'_>, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        let address = &change.live.address;
        let from = multirange_of(address, range_of(change.live)?);
        let to = multirange_of(address, range_of(change.desired)?);
        let mut actions = Vec::new();
        let mut at = from.clone();
        if from.namespace != to.namespace {
            let sql = format!("ALTER TYPE {from} SET SCHEMA {}", quote_ident(&to.namespace));
            let summary = format!("move multirange type {from} to {}", to.namespace);
            actions.push(Action::new(address, summary, Sql::Statement(sql)));
            at.namespace.clone_from(&to.namespace);
        }
        if from.name != to.name {
            let sql = format!("ALTER TYPE {at} RENAME TO {}", quote_ident(&to.name));
            let summary = format!("rename multirange type {at} to {}", to.name);
            actions.push(Action::new(address, summary, Sql::Statement(sql)));
        }
        Ok(vec![Stage::transaction(actions)])
    }

    fn rename(&self, live: &Object, to: &str, _cx: &Cx<'_>) -> Result<Vec<Stage>, Refusal> {
        Ok(vec![Stage::transaction(renamed_with_its_own(live, to))])
    }

    /// Its multirange type and the functions that make its values keep their names when it is
    /// renamed, and would be in the way of those of its successor (tried on 14 and 18).
    fn set_aside(&self, live: &Object, _cx: &Cx<'_>) -> Vec<Action> {
        let address = &live.address;
        let mut actions = vec![user_type::set_aside(address)];
        let Some(range) = live.get::<Range>() else { return actions };
        let multirange = multirange_of(address, range);
        let name = QName::new(address.namespace(), address.name());
        let short = address.short();
        let mut act = |sql: String, what: &str| {
            let summary = format!("set {what} of {short} aside");
            actions.push(Action::new(address, summary, Sql::Statement(sql)));
        };
        let aside = |name: &str| quote_ident(&fit(name, ASIDE));
        act(
            format!("ALTER TYPE {multirange} RENAME TO {}", aside(&multirange.name)),
            "the multirange type",
        );
        act(
            format!("ALTER FUNCTION {multirange}() RENAME TO {}", aside(&multirange.name)),
            "a function",
        );
        let subtype = &range.subtype;
        for arguments in [format!("{subtype}, {subtype}"), format!("{subtype}, {subtype}, text")] {
            act(
                format!("ALTER FUNCTION {name}({arguments}) RENAME TO {}", aside(&name.name)),
                "a function",
            );
        }
        actions
    }

    fn gate(&self, gap: Gap<'_>, _cx: &GateCx<'_>) -> Option<String> {
        match gap {
            Gap::Missing(_) => Some("it is missing".to_owned()),
            Gap::Different { live, .. } => {
                Some(format!("it is another one: {}", self.describe(live)))
            }
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
