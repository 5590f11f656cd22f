//! The facts of a model, and how a database stands to each.

use std::collections::BTreeMap;

use reconcile_catalog::{Address, Catalog, Object, PropertyChange, Value};
use reconcile_diff::{Change, Difference};

use crate::words::{called, describe, noun, order, place};

/// How a database stands to one fact of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is so.
    Ok,
    /// The object is not there.
    Missing,
    /// The object is another one.
    Differs,
    /// The object is there and shall not be, or is not stated in a section that is stated in full.
    Extra,
    /// Nothing proves that it is so, and nothing that it is not.
    Unproven,
}

impl Standing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Extra => "extra",
            Self::Unproven => "unproven",
        }
    }
}

/// One fact of the model and how the database stands to it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The object.
    pub address: Address,
    /// How it stands.
    pub standing: Standing,
    /// What is there, in a line; absent if it is not there.
    pub live: Option<String>,
    /// What shall be there, in a line; absent if nothing shall.
    pub desired: Option<String>,
    /// Whether the model forbids it, which is more than not to state it.
    pub forbidden: bool,
    /// The properties that differ; empty if all is well, or the whole object is missing or extra.
    pub properties: Vec<PropertyChange>,
    /// The name that the live object has, if it shall have another one.
    pub called: Option<String>,
}

impl Finding {
    /// Something that is there and shall not be, whatever the model says.
    pub fn stray(address: &Address, why: &str) -> Self {
        Self {
            address: address.clone(),
            standing: Standing::Extra,
            live: Some(why.to_owned()),
            desired: None,
            forbidden: true,
            properties: Vec::new(),
            called: None,
        }
    }

    /// Whether the database is as the model says. What is extra is a difference.
    pub fn is_ok(&self) -> bool {
        self.standing == Standing::Ok
    }

    /// The fact in a line: `messages.tool_call_id is varchar(100), nullable`.
    pub fn sentence(&self) -> String {
        let name = match self.address.target() {
            Some(_) => called(&self.address),
            None => self.address.short(),
        };
        let is = |text: &str| match text {
            "" => format!("{name} is a {}", noun(&self.address)),
            text => format!("{name} is {text}"),
        };
        match (&self.desired, &self.live) {
            (Some(desired), _) => is(desired),
            (None, Some(live)) if self.forbidden => {
                format!("{} ({live}) shall not be there", called(&self.address))
            }
            (None, Some(live)) => is(live),
            (None, None) => format!("{} is not there", called(&self.address)),
        }
    }

    /// What differs, a line each: `type is message_role, shall be varchar(20)`.
    pub fn differences(&self) -> Vec<String> {
        let name = self
            .called
            .iter()
            .map(|is| format!("its name is {is}, shall be {}", self.address.name()));
        let values = self.properties.iter().map(|p| {
            let shown = |value: &Value| match value {
                Value::List(items) if items.is_empty() => "none".to_owned(),
                other => crate::words::one_line(&other.to_string()),
            };
            let doubt = if p.proven { "" } else { " (perhaps the same: nothing proves it)" };
            format!(
                "{} is {}, shall be {}{doubt}",
                p.name.replace('_', " "),
                shown(&p.live),
                shown(&p.desired)
            )
        });
        name.chain(values).collect()
    }
}

/// Every fact of the model, object by object, and what stands where the model wants nothing.
pub fn findings(difference: &Difference, desired: &Catalog) -> Vec<Finding> {
    let live = &difference.live;
    let mut former: BTreeMap<&Address, &str> = BTreeMap::new();
    let matched: BTreeMap<&Address, &Address> = difference.matched.pairs().collect();
    let mut altered: BTreeMap<&Address, &[PropertyChange]> = BTreeMap::new();
    let mut dropped = Vec::new();
    for change in &difference.changes {
        match change {
            Change::Alter { live, properties, .. } => {
                altered.insert(live, properties);
            }
            Change::Drop(address) => dropped.push(address),
            Change::Rename { from, to } => drop(former.insert(to, from.name())),
            Change::Create(_) => {}
        }
    }
    let mut out: Vec<(Address, i64, Finding)> = Vec::new();
    for object in desired.objects() {
        let there = matched.get(&object.address).and_then(|a| live.get(a));
        let properties = there.and_then(|o| altered.get(&o.address).copied());
        let mut finding = of_desired(object, there, properties);
        if let Some(name) = former.get(&object.address) {
            finding.standing = Standing::Differs;
            finding.called = Some((*name).to_owned());
        }
        out.push((desired.root(&object.address), place(object), finding));
    }
    let stands = |address: &Address, forbidden: bool| {
        let object = live.get(address)?;
        let finding = Finding {
            address: address.clone(),
            standing: Standing::Extra,
            live: Some(describe(object)),
            desired: None,
            forbidden,
            properties: Vec::new(),
            called: None,
        };
        Some((live.root(address), i64::MAX, finding))
    };
    out.extend(difference.extra.iter().filter_map(|a| stands(a, false)));
    out.extend(dropped.iter().filter_map(|a| stands(a, true)));
    for address in desired.absent().filter(|a| !live.contains(a)) {
        let finding = Finding {
            address: address.clone(),
            standing: Standing::Ok,
            live: None,
            desired: None,
            forbidden: true,
            properties: Vec::new(),
            called: None,
        };
        out.push((address.clone(), i64::MAX, finding));
    }
    out.sort_by_cached_key(|(root, place, finding)| {
        (root.clone(), order(&finding.address, *place, root))
    });
    out.into_iter().map(|(_, _, finding)| finding).collect()
}

fn of_desired(
    object: &Object,
    there: Option<&Object>,
    properties: Option<&[PropertyChange]>,
) -> Finding {
    let standing = match (there, properties) {
        (None, _) => Standing::Missing,
        (Some(_), None) => Standing::Ok,
        (Some(_), Some(p)) if !p.is_empty() && p.iter().all(|p| !p.proven) => Standing::Unproven,
        (Some(_), Some(_)) => Standing::Differs,
    };
    let renamed = there.filter(|o| {
        properties.is_some() && !object.unnamed && o.address.name() != object.address.name()
    });
    Finding {
        // A name that nobody stated is the server's choice.
        address: there
            .filter(|_| object.unnamed)
            .map_or_else(|| object.address.clone(), |o| o.address.clone()),
        standing,
        live: there.map(describe),
        desired: Some(describe(object)),
        forbidden: false,
        properties: properties.unwrap_or_default().to_vec(),
        called: renamed.map(|o| o.address.name().to_owned()),
    }
}
