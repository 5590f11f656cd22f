//! A text that grows line by line.

use crate::style::{Style, Tone, visible};

/// A text under construction.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) style: Style,
    out: String,
}

impl Page {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, out: String::new() }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// An empty line, unless the page begins here or there is one.
    pub(crate) fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.gap();
        let text = self.style.paint(Tone::Strong, text);
        self.raw(&text);
    }

    /// A finished line.
    pub(crate) fn raw(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// Prose behind a margin, broken at the width; the following lines stand below the first.
    pub(crate) fn prose(&mut self, margin: &str, tone: Tone, text: &str) {
        let indent = " ".repeat(margin.chars().count());
        for (at, line) in
            wrap(text, self.style.width.saturating_sub(indent.len())).iter().enumerate()
        {
            // The margin has no colour of its own, and white space needs none.
            let margin = if at == 0 { margin } else { &indent };
            let line = self.style.paint(tone, &format!("{}{line}", margin.trim_start()));
            let left = margin.len() - margin.trim_start().len();
            self.raw(&format!("{}{line}", &margin[..left]));
        }
    }

    /// A label in a column of its own, and prose beside it.
    pub(crate) fn labelled(&mut self, indent: usize, label: &str, room: usize, text: &str) {
        let left = " ".repeat(indent);
        let lines = wrap(text, self.style.width.saturating_sub(indent + room));
        for (at, line) in lines.iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            let label = self.style.paint(Tone::Dim, &format!("{label:room$}"));
            let line = self.style.paint(Tone::Plain, line);
            self.raw(&format!("{left}{label}{line}"));
        }
    }

    /// Text that is not broken, with an indent before each line.
    pub(crate) fn block(&mut self, indent: usize, tone: Tone, text: &str) {
        for line in text.lines() {
            let line = self.style.paint(tone, line);
            self.raw(&format!("{}{line}", " ".repeat(indent)));
        }
    }

    /// A unified diff, its lines in their colours.
    pub(crate) fn diff(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            let tone = match line.as_bytes().first() {
                _ if line.starts_with("---") || line.starts_with("+++") => Tone::Strong,
                Some(b'-') => Tone::Bad,
                Some(b'+') => Tone::Good,
                Some(b'@') => Tone::Dim,
                _ => Tone::Plain,
            };
            self.block(indent, tone, line);
        }
    }
}

/// Breaks prose at white space; a word that is too long stands alone.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    for paragraph in visible(text).lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_at_the_width_and_stays_below_its_margin() {
        let mut page = Page::new(Style { color: false, width: 30 });
        page.prose("  * ", Tone::Plain, "one two three four five six seven eight");
        assert_eq!(page.finish(), "  * one two three four five\n    six seven eight\n");
        assert_eq!(wrap("", 40), [""]);
    }
}
