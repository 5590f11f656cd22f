//! Trees as YAML text, spelt so that every reader takes them alike.
//!
//! A plain scalar is written only where YAML 1.1 and 1.2 agree on its meaning; everything else
//! stands in double quotes, and text of several lines as a block where that keeps it whole.

/// A tree to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// Nothing.
    Null,
    /// A flag.
    Flag(bool),
    /// A number as it is written: `1.50`.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A mapping with keys of ours, which stands on one line if it fits.
    Record(Vec<(String, Self)>),
    /// A mapping from names, a line each.
    Map(Vec<(String, Self)>),
}

/// The longest line that a list or a mapping may stand on.
const WIDTH: usize = 100;

impl Out {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number.
    pub fn number(number: impl Into<i64>) -> Self {
        Self::Number(number.into().to_string())
    }

    /// A list of texts.
    pub fn words<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Self::List(words.into_iter().map(Self::text).collect())
    }

    /// A mapping with keys of ours.
    pub fn record<'k>(entries: impl IntoIterator<Item = (&'k str, Self)>) -> Self {
        Self::Record(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The text of a file whose top this mapping is: each entry as a block.
    pub fn document(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Record(entries) | Self::Map(entries) => {
                for (key, value) in entries {
                    entry(&mut out, key, value, 0);
                }
            }
            other => {
                out.push_str(&other.flow().unwrap_or_default());
                out.push('\n');
            }
        }
        out
    }

    /// One entry of a mapping at this depth (two spaces each), as lines.
    pub fn entry(key: &str, value: &Self, depth: usize) -> String {
        let mut out = String::new();
        entry(&mut out, key, value, depth);
        out
    }

    /// On one line; `None` if it cannot stand on one.
    fn flow(&self) -> Option<String> {
        Some(match self {
            Self::Null => "null".to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.clone(),
            Self::Text(text) if text.contains('\n') => return None,
            Self::Text(text) => scalar(text, true),
            Self::List(items) => {
                let items: Option<Vec<String>> = items.iter().map(Self::flow).collect();
                format!("[{}]", items?.join(", "))
            }
            Self::Map(entries) if entries.is_empty() => "{}".to_owned(),
            Self::Map(_) => return None,
            Self::Record(entries) => {
                let each = |(key, value): &(String, Self)| {
                    Some(format!("{}: {}", scalar(key, true), value.flow()?))
                };
                let entries: Option<Vec<String>> = entries.iter().map(each).collect();
                format!("{{{}}}", entries?.join(", "))
            }
        })
    }
}

fn entry(out: &mut String, key: &str, value: &Out, depth: usize) {
    let indent = "  ".repeat(depth);
    let head = format!("{indent}{}:", scalar(key, false));
    let nested = match value {
        Out::Text(text) => {
            out.push_str(&head);
            out.push(' ');
            text_value(out, text, depth + 1);
            return;
        }
        Out::Record(entries) if depth == 0 && !entries.is_empty() => None,
        _ => value.flow(),
    };
    match nested {
        Some(line) if head.len() + 1 + line.len() <= WIDTH || is_short(value) => {
            out.push_str(&format!("{head} {line}\n"));
        }
        _ => {
            out.push_str(&head);
            out.push('\n');
            block(out, value, depth + 1);
        }
    }
}

/// What has no longer form than its line.
fn is_short(value: &Out) -> bool {
    match value {
        Out::List(items) => items.is_empty(),
        Out::Record(entries) | Out::Map(entries) => entries.is_empty(),
        _ => true,
    }
}

fn block(out: &mut String, value: &Out, depth: usize) {
    match value {
        Out::Record(entries) | Out::Map(entries) => {
            for (key, value) in entries {
                entry(out, key, value, depth);
            }
        }
        Out::List(items) => {
            let indent = "  ".repeat(depth);
            for item in items {
                let line = item.flow().filter(|l| indent.len() + 2 + l.len() <= WIDTH);
                match (item, line) {
                    (Out::Text(text), _) => {
                        out.push_str(&format!("{indent}- "));
                        text_value(out, text, depth + 1);
                    }
                    (_, Some(line)) => out.push_str(&format!("{indent}- {line}\n")),
                    (Out::Record(entries) | Out::Map(entries), None) => {
                        let mut inner = String::new();
                        for (key, value) in entries {
                            entry(&mut inner, key, value, depth + 1);
                        }
                        out.push_str(&format!("{indent}- {}", inner.trim_start()));
                    }
                    (item, None) => {
                        out.push_str(&format!("{indent}-\n"));
                        block(out, item, depth + 1);
                    }
                }
            }
        }
        _ => {}
    }
}

/// The text of a value that stands alone behind its key, with its line end.
fn text_value(out: &mut String, text: &str, depth: usize) {
    if is_block(text) {
        out.push_str("|-\n");
        let indent = "  ".repeat(depth);
        for line in text.split('\n') {
            if line.is_empty() {
                out.push('\n');
            } else {
                out.push_str(&format!("{indent}{line}\n"));
            }
        }
    } else {
        out.push_str(&scalar(text, false));
        out.push('\n');
    }
}

/// Whether a block gives the text back to the letter.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with('\n')
        && text.split('\n').all(|line| !line.ends_with([' ', '\t']) || line.is_empty())
        && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{85}')
}

/// A scalar that means text to every reader.
fn scalar(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) { text.to_owned() } else { quoted(text) }
}

/// Whether a plain scalar is this very text by YAML 1.1 as well as by 1.2.
fn is_plain(text: &str, in_flow: bool) -> bool {
    const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let inside = |c: char| {
        c.is_ascii_alphanumeric() || "_ .()/=<>+*%-'".contains(c) || (!in_flow && c == ',')
    };
    starts
        && text.chars().all(inside)
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) <= 0xff => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Node, parse};

    fn back(node: &Node) -> Out {
        match &node.value {
            crate::Value::Sequence(items) => Out::List(items.iter().map(back).collect()),
            crate::Value::Mapping(entries) => {
                Out::Map(entries.iter().map(|e| (e.key.text.clone(), back(&e.value))).collect())
            }
            crate::Value::Scalar(scalar) => match scalar.meaning() {
                crate::Meaning::Null => Out::Null,
                crate::Meaning::Flag(flag) => Out::Flag(flag),
                crate::Meaning::Number => Out::Number(scalar.text.clone()),
                crate::Meaning::Text => Out::Text(scalar.text.clone()),
            },
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let texts = [
            "",
            " ",
            "a",
            "now()",
            "no",
            "On",
            "1",
            "1_000",
            "0x1f",
            "12:30",
            "2026-01-01",
            "~",
            "null",
            "'user'::text",
            "a: b",
            "a #b",
            "- a",
            "{a}",
            "[a",
            "a, b",
            "numeric(10,2)",
            "*",
            "&a",
            "!b",
            "|",
            ">",
            "%",
            "@",
            "`",
            "\"q\"",
            "back\\slash",
            "tab\t",
            "line\nbreak",
            " lead\nline",
            "trail \nline",
            "end\n",
            "\n",
            "a\n\nb",
            "a\r\nb",
            "é ü 漢字 😀",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "a\u{0}b",
            "?",
            "? a",
            "-",
            "---",
            "...",
            "a:",
            ":a",
            "#a",
            "key: |",
            "1e3",
            ".5",
            "role IN ('user', 'tool')",
            "x\n  indented\n    more",
            "x\n#no comment",
            "=",
            "<<",
        ];
        let mut map: Vec<(String, Out)> = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            map.push((format!("k{at}"), Out::text(*text)));
            if !text.contains('\n') && *text != "<<" {
                map.push((format!("{text}{at}"), Out::words([*text, "x"])));
            }
            map.push((
                format!("r{at}"),
                Out::record([("type", Out::text(*text)), ("list", Out::words([*text]))]),
            ));
        }
        map.push(("deep".to_owned(), Out::Map(map.clone())));
        map.push(("list".to_owned(), Out::List(map.iter().map(|(_, v)| v.clone()).collect())));
        map.push(("none".to_owned(), Out::List(Vec::new())));
        map.push(("null".to_owned(), Out::Null));
        let text = Out::Map(map.clone()).document();
        let read = parse(0, &text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        fn plain(out: Out) -> Out {
            match out {
                Out::Record(e) | Out::Map(e) => {
                    Out::Map(e.into_iter().map(|(k, v)| (k, plain(v))).collect())
                }
                Out::List(items) => Out::List(items.into_iter().map(plain).collect()),
                other => other,
            }
        }
        let (Out::Map(left), Out::Map(right)) = (plain(Out::Map(map)), back(&read)) else {
            panic!()
        };
        for (left, right) in left.iter().zip(&right) {
            assert_eq!(left, right, "{text}");
        }
        assert_eq!(left.len(), right.len());
    }

    #[test]
    fn short_things_stand_on_a_line() {
        let column = Out::record([("type", Out::text("bigint")), ("nullable", Out::Flag(false))]);
        let table = Out::record([("columns", Out::Map(vec![("id".to_owned(), column)]))]);
        let tables = Out::Map(vec![("t".to_owned(), table)]);
        let text = Out::record([("tables", tables)]).document();
        assert_eq!(
            text,
            "tables:\n  t:\n    columns:\n      id: {type: bigint, nullable: false}\n"
        );
    }
}
