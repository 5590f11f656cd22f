//! Events of the YAML parser become a tree.
//!
//! Every limit is here: depth, and how much aliases may expand. What YAML allows and a model does
//! not need (tags, several documents, keys that are no text) is refused by name.

mod flow;
mod syntax;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use crate::{Entry, Key, Meaning, Node, Problem, Scalar, Span, Style, Value};

/// Lists and mappings may stand this deep inside each other.
const MAX_DEPTH: usize = 64;

/// So many nodes may come from aliases.
const MAX_ALIAS_NODES: usize = 50_000;

/// Reads the one document of a file; `file` is the number that spans carry.
///
/// # Errors
/// All problems of the file. There is no tree for a file with a problem.
pub fn parse(file: usize, text: &str) -> Result<Node, Vec<Problem>> {
    let mut builder = Builder::new(file, text);
    let options = granit_parser::options! { emit_comments: false };
    let outcome =
        Parser::new_from_str_with_options(text, options).try_for_each(|event| match event {
            Ok((event, span)) => builder.take(event, builder.span(span)),
            Err(error) => Err(syntax::problem(&error, &builder)),
        });
    let Builder { mut problems, root, .. } = builder;
    problems.extend(outcome.err());
    match root {
        Some(root) if problems.is_empty() && !root.is_null() => Ok(root),
        Some(_) | None if problems.is_empty() => {
            let start = Span { file, start: 0, end: 0 };
            Err(vec![
                Problem::new("empty_file", "the file is empty")
                    .at(start, "no model here")
                    .help("a model starts with `tables:`; a file that is not needed any more can be removed"),
            ])
        }
        Some(_) | None => Err(problems),
    }
}

/// A list or mapping that is not closed yet.
struct Open {
    span: Span,
    anchor: usize,
    flow: bool,
    inside: Inside,
}

enum Inside {
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>, Option<Key>),
}

struct Builder<'a> {
    file: usize,
    text: &'a str,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    alias_nodes: usize,
    documents: usize,
    root: Option<Node>,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn new(file: usize, text: &'a str) -> Self {
        Self {
            file,
            text,
            open: Vec::new(),
            anchors: HashMap::new(),
            alias_nodes: 0,
            documents: 0,
            root: None,
            problems: Vec::new(),
        }
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or_default();
        let end = range.end.min(self.text.len());
        Span { file: self.file, start: range.start.min(end), end }
    }

    /// Takes an event. What it returns as an error ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::new("several_documents", "a second document starts here")
                        .at(span, "a model file holds one document")
                        .help("remove the `---`, or put what follows into a file of its own"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let scalar = Scalar { text: text.into_owned(), style };
                self.add(Node { span, value: Value::Scalar(scalar) }, anchor);
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.begin(span, anchor, style, Inside::Sequence(Vec::new()))?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.begin(span, anchor, style, Inside::Mapping(Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span)?,
            _ => {}
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            self.problems.push(
                Problem::new("tag", "a YAML tag has no meaning in a model")
                    .at(span, "this value has a tag")
                    .help("remove the tag; quotes make a value text"),
            );
        }
    }

    fn begin(
        &mut self,
        span: Span,
        anchor: usize,
        style: StructureStyle,
        inside: Inside,
    ) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.open.push(Open { span, anchor, flow: style == StructureStyle::Flow, inside });
        Ok(())
    }

    fn end(&mut self, span: Span) {
        let Some(open) = self.open.pop() else { return };
        let Open { span: start, anchor, flow, inside } = open;
        let (value, last) = match inside {
            Inside::Sequence(items) => {
                let items = if flow { self.join_items(items) } else { items };
                let last = items.last().map(|item| item.span);
                (Value::Sequence(items), last)
            }
            Inside::Mapping(entries, _) => {
                let entries = if flow { self.join_entries(entries) } else { entries };
                let entries = self.merge(entries);
                let entries = self.unique(entries);
                let last = entries.last().map(|entry| entry.key.span.max(entry.value.span));
                (Value::Mapping(entries), last)
            }
        };
        // The end of a block is found only where the next thing starts.
        let end = if flow {
            span
        } else {
            last.filter(|last| last.start >= start.start).unwrap_or(start)
        };
        self.add(Node { span: start.to(end), value }, anchor);
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Problem> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Problem::new("alias", "an alias stands inside what it stands for")
                .at(span, "this would never end")
                .help("write the value out"));
        };
        self.alias_nodes += size;
        if self.alias_nodes > MAX_ALIAS_NODES {
            return Err(Problem::new(
                "alias_budget",
                "the aliases of this file expand to too much",
            )
            .at(span, format!("more than {MAX_ALIAS_NODES} values with this one"))
            .help("write the values out, or split the file"));
        }
        let node = node.clone();
        self.add(node, 0);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::Sequence(items)) => items.push(node),
            Some(Inside::Mapping(entries, key)) => {
                match key.take() {
                    Some(key) => entries.push(Entry { key, value: node }),
                    None => {
                        let (text, style) = match node.value {
                            Value::Scalar(scalar) if scalar.meaning() != Meaning::Null => {
                                (scalar.text, scalar.style)
                            }
                            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
                                self.problems.push(
                                Problem::new("key", "a key is not text")
                                    .at(node.span, "this stands where a name is expected")
                                    .help("a name such as null, or one with brackets, goes in quotes"),
                            );
                                // Something that no other key equals, so that reading goes on.
                                (format!("\u{0}{}", node.span.start), Style::Quoted)
                            }
                        };
                        *key = Some(Key { text, span: node.span, style });
                    }
                }
            }
        }
    }

    /// Resolves merge keys: what `<<` brings stands where it stood, unless the mapping says it.
    fn merge(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let is_merge = |key: &Key| key.text == "<<" && key.style == Style::Plain;
        if !entries.iter().any(|entry| is_merge(&entry.key)) {
            return entries;
        }
        let mut said: Vec<String> =
            entries.iter().filter(|e| !is_merge(&e.key)).map(|e| e.key.text.clone()).collect();
        let mut out = Vec::new();
        for entry in entries {
            if !is_merge(&entry.key) {
                out.push(entry);
                continue;
            }
            let single = std::slice::from_ref(&entry.value);
            let sources = if entry.value.items().is_empty() { single } else { entry.value.items() };
            for source in sources {
                let Value::Mapping(merged) = &source.value else {
                    self.problems.push(
                        Problem::new("merge", "`<<` merges mappings")
                            .at(source.span, format!("this is {}", source.what()))
                            .help("`<<` takes an alias of a mapping, or a list of such aliases"),
                    );
                    continue;
                };
                for entry in merged {
                    if !said.contains(&entry.key.text) {
                        said.push(entry.key.text.clone());
                        out.push(entry.clone());
                    }
                }
            }
        }
        out
    }

    fn unique(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut first: HashMap<String, Span> = HashMap::new();
        let mut out = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(before) = first.get(&entry.key.text) {
                self.problems.push(
                    Problem::new(
                        "duplicate_key",
                        format!("`{}` stands here twice", entry.key.text),
                    )
                    .at(entry.key.span, "again here")
                    .at(*before, "first here")
                    .help("keep one of the two"),
                );
            } else {
                first.insert(entry.key.text.clone(), entry.key.span);
                out.push(entry);
            }
        }
        out
    }
}

fn too_deep(span: Span) -> Problem {
    Problem::new(
        "too_deep",
        format!("lists and mappings stand more than {MAX_DEPTH} deep inside each other"),
    )
    .at(span, "too deep from here on")
    .help("no model needs that: look for a bracket that is not closed")
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::Sequence(items) => items.iter().map(size).sum(),
        Value::Mapping(entries) => entries.iter().map(|e| 1 + size(&e.value)).sum(),
    }
}

#[cfg(test)]
mod tests;
