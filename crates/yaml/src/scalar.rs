//! Scalars, and what YAML 1.2 takes a plain one for.

/// A scalar: its text, unescaped but otherwise as written, and how it stood in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a block: `|` or `>`.
    Block,
}

/// What a scalar is by YAML 1.2's core schema: readers of YAML agree on this and on no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number; its text says which.
    Number,
    /// Text.
    Text,
}

impl Scalar {
    /// What the scalar is; only a plain one can be anything but text.
    pub fn meaning(&self) -> Meaning {
        if self.style != Style::Plain {
            return Meaning::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" => Meaning::Flag(true),
            "false" | "False" | "FALSE" => Meaning::Flag(false),
            text if is_number(text) => Meaning::Number,
            _ => Meaning::Text,
        }
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_what_the_core_schema_says() {
        let meaning = |text: &str| Scalar { text: text.to_owned(), style: Style::Plain }.meaning();
        for number in ["0", "-1", "1.50", "0755", "1e3", ".5", "1.", "0x1F", "0o17", ".inf", "+2"] {
            assert_eq!(meaning(number), Meaning::Number, "{number}");
        }
        for text in [
            "no",
            "on",
            "1_000",
            "12:30:45",
            "2026-01-01",
            "now()",
            "-",
            ".",
            "1e",
            "e1",
            "0x",
            "--1",
        ] {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
        assert_eq!(meaning("~"), Meaning::Null);
        assert_eq!(meaning("True"), Meaning::Flag(true));
        assert_eq!(Scalar { text: "1".into(), style: Style::Quoted }.meaning(), Meaning::Text);
    }
}
