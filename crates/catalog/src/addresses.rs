//! A set of addresses that is small nearly always: the parts of a table, the users of a column.

use std::collections::BTreeSet;

use crate::Address;

/// A vector holds this many, a tree more.
const FEW: usize = 64;

/// Addresses in their order, each once.
#[derive(Clone, Debug)]
pub(crate) enum Addresses {
    Few(Vec<Address>),
    Many(BTreeSet<Address>),
}

impl Default for Addresses {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Addresses {
    pub(crate) fn insert(&mut self, address: Address) {
        match self {
            Self::Few(few) => {
                if let Err(at) = few.binary_search(&address) {
                    few.insert(at, address);
                }
                if few.len() > FEW {
                    *self = Self::Many(few.drain(..).collect());
                }
            }
            Self::Many(many) => {
                many.insert(address);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Address> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few), None),
            Self::Many(many) => (None, Some(many)),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_whether_few_or_many() {
        let address = |n: usize| Address::new("column", ["n", "t", &format!("{n:03}")]);
        let mut set = Addresses::default();
        for n in [5, 3, 5, 4].into_iter().chain((0..200).rev()) {
            set.insert(address(n));
        }
        assert!(set.iter().eq((0..200).map(address).collect::<Vec<_>>().iter()));
        assert!(matches!(set, Addresses::Many(_)));
    }
}
