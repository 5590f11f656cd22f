//! Addresses in JSON: with their names apart, so that nothing has to be parsed.

use reconcile_catalog::Address;
use reconcile_kinds::kind;
use serde::{Deserialize, Serialize};

/// More names than these has no address.
const DEEPEST: usize = 8;

/// An address for JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    path: Vec<String>,
}

impl Place {
    pub(crate) fn of(address: &Address) -> Self {
        Self {
            kind: address.kind().to_owned(),
            of: address.target().map(|target| target.kind().to_owned()),
            path: address.path().to_vec(),
        }
    }

    pub(crate) fn address(self) -> Result<Address, String> {
        let named = |name: &str| {
            kind(name).map(|kind| kind.name()).ok_or_else(|| format!("no kind is called `{name}`"))
        };
        if self.path.is_empty() || self.path.len() > DEEPEST {
            return Err(format!("an address of {} names is none", self.path.len()));
        }
        Ok(match self.of {
            Some(of) => {
                Address::belonging_to(named(&self.kind)?, &Address::new(named(&of)?, self.path))
            }
            None => Address::new(named(&self.kind)?, self.path),
        })
    }
}
