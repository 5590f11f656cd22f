//! Fingerprints: what a plan was made for, as one short text.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::{Address, Catalog};

/// The SHA-256 of a text, in hexadecimal.
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The fingerprint of some objects of a catalog: their addresses and definitions, no statistics.
/// An address that is not there counts as such.
pub fn fingerprint<'a>(
    catalog: &Catalog,
    addresses: impl IntoIterator<Item = &'a Address>,
) -> String {
    let mut text = String::new();
    for address in addresses {
        let _ = match catalog.get(address) {
            Some(object) => writeln!(text, "{address} {}", object.definition.to_json()),
            None => writeln!(text, "{address} is not there"),
        };
    }
    digest(&text)
}
