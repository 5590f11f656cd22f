//! Colour and width: how a text is laid out, decided by whoever shows it.

/// How a text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours are used.
    pub color: bool,
    /// How many columns there are; SQL is never broken, prose is.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { color: false, width: 100 }
    }
}

/// What a piece of text is, from which its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Ordinary text.
    Plain,
    /// Headings and numbers that matter.
    Strong,
    /// What can be skipped.
    Dim,
    /// What is right, or added.
    Good,
    /// What is wrong, or removed.
    Bad,
    /// What needs a second look.
    Warn,
    /// SQL and names.
    Code,
}

impl Style {
    /// A text in a tone; control characters are shown, never sent to the terminal.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let text = visible(text);
        let code = match tone {
            Tone::Plain => return text,
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
            Tone::Code => "36",
        };
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text }
    }
}

/// The text with its control characters escaped, line ends and tabs aside: names and values come
/// from the database and must not steer a terminal.
pub(crate) fn visible(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            // Characters that reorder what follows them.
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.chars().any(steers) {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if steers(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_when_asked_and_never_sends_control_characters() {
        let plain = Style::default();
        let coloured = Style { color: true, ..plain };
        assert_eq!(plain.paint(Tone::Bad, "x"), "x");
        assert_eq!(coloured.paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(coloured.paint(Tone::Plain, "a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(plain.paint(Tone::Code, "a\n\tb\u{202e}c"), "a\n\tb\\u{202e}c");
    }
}
