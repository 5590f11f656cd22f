//! The password, and how it is kept out of texts that come from elsewhere.
//!
//! Invariant: a text that went through [`Target::scrub`] holds the password neither as it is nor as
//! a URL writes it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Target;

/// A text that no `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Target {
    /// Replaces the password by `***` in a text that came from elsewhere.
    ///
    /// A password that is also the user, the database or the host is no secret in such a text; a
    /// very short one is replaced only where it stands alone.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let Some(Secret(password)) = &self.password else { return text.to_owned() };
        let public = [Some(self.user()), Some(self.database()), self.host()];
        if password.is_empty() || public.contains(&Some(password.as_str())) {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for form in [password.clone(), encode(password), encode_all(password)] {
            text = match form.chars().count() {
                0..4 => replace_alone(&text, &form),
                _ => text.replace(&form, "***"),
            };
        }
        text
    }
}

/// Replaces `form` where no letter or digit touches it.
fn replace_alone(text: &str, form: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(form) {
        let after = &rest[at + form.len()..];
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let touches = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        out.push_str(&rest[..at]);
        out.push_str(match touches(before) || touches(after.chars().next()) {
            true => form,
            false => "***",
        });
        rest = after;
    }
    out + rest
}

/// What a part of a URL may hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn encode_all(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
