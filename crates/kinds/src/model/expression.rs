//! SQL text inside a model: what can be said about it without a server.

use reconcile_sql::lex::{Token, TokenKind, significant, tokens};
use reconcile_yaml::{Node, Problem};

use super::ModelReader;

impl ModelReader<'_> {
    /// The SQL expression that a node holds; nothing, and a problem, if it cannot be one.
    pub fn expression(&mut self, node: &Node) -> Option<String> {
        let source = node.text()?;
        match fault(source) {
            None => Some(source.trim().to_owned()),
            Some(Fault { start, end, message, label, help }) => {
                let problem = Problem::new("expression", message);
                self.problem(problem.at(node.within(start, end), label).help(help));
                None
            }
        }
    }
}

struct Fault {
    start: usize,
    end: usize,
    message: String,
    label: &'static str,
    help: &'static str,
}

fn fault(source: &str) -> Option<Fault> {
    let whole = |message: &str, label, help| {
        Some(Fault { start: 0, end: source.len(), message: message.to_owned(), label, help })
    };
    if significant(source).is_empty() {
        return whole(
            "an expression is missing",
            "nothing but white space",
            "write an SQL expression",
        );
    }
    // What is not closed reaches to the end of the text, this mark included.
    let marked = format!("{source}\n\u{1}");
    let all = tokens(&marked);
    if let Some(open) = all.last().filter(|last| last.start < source.len()) {
        let what = match open.kind {
            TokenKind::Space => "a comment",
            TokenKind::Quoted => "a quoted name",
            _ => "a quote",
        };
        let end = source.len();
        let message = format!("{what} in this expression is not closed");
        let (label, help) = ("it starts here", "a quote inside a quote is doubled: 'it''s'");
        return Some(Fault { start: open.start, end, message, label, help });
    }
    let last = tokens(source).into_iter().rev().find(|t| !t.text.trim().is_empty());
    if last.is_some_and(|t| t.text.starts_with("--")) {
        return whole(
            "a comment ends this expression",
            "what follows the expression would become part of the comment",
            "put the comment into YAML: `# …`",
        );
    }
    brackets(source)
}

fn brackets(source: &str) -> Option<Fault> {
    let at = |token: &Token<'_>, message: String, label, help| {
        Some(Fault {
            start: token.start,
            end: token.start + token.text.len(),
            message,
            label,
            help,
        })
    };
    const BALANCE: &str = "every bracket needs its partner; quote the whole value if YAML cut it";
    let mut open: Vec<Token<'_>> = Vec::new();
    for token in significant(source).into_iter().filter(|t| t.kind == TokenKind::Punct) {
        match token.text {
            "(" | "[" => open.push(token),
            ")" | "]" => {
                let wanted = if token.text == ")" { "(" } else { "[" };
                if open.pop().is_none_or(|o| o.text != wanted) {
                    let message = format!("`{}` closes nothing", token.text);
                    return at(&token, message, "no bracket is open here", BALANCE);
                }
            }
            ";" => {
                let message = "a semicolon ends a statement, and this is an expression".to_owned();
                return at(&token, message, "not part of an expression", "remove it");
            }
            _ => {}
        }
    }
    let first = open.first()?;
    at(first, format!("`{}` is not closed", first.text), "it opens here", BALANCE)
}

/// An expression without the parentheses around the whole of it, which the server writes and
/// nobody reads.
pub fn unwrapped(source: &str) -> &str {
    let mut text = source.trim();
    loop {
        let tokens = significant(text);
        let [first, .., last] = tokens.as_slice() else { return text };
        if !first.is("(") || !last.is(")") || tokens.len() < 3 {
            return text;
        }
        let mut depth = 0_i32;
        let closed = tokens.iter().position(|token| {
            depth += i32::from(token.is("(")) - i32::from(token.is(")"));
            depth == 0
        });
        // A list in parentheses is a row, and a query needs them.
        let inner = &tokens[1..tokens.len() - 1];
        let mut depth = 0_i32;
        let list = inner.iter().any(|token| {
            depth += i32::from(matches!(token.text, "(" | "["))
                - i32::from(matches!(token.text, ")" | "]"));
            depth == 0 && token.is(",")
        });
        let query = ["select", "with", "values"].iter().any(|word| inner[0].is(word));
        if closed != Some(tokens.len() - 1) || list || query {
            return text;
        }
        text = text[first.start + 1..last.start].trim();
    }
}

/// The columns that an expression names, each once, in the order of `columns`.
pub fn columns_in<'c>(source: &str, table: &str, columns: &'c [String]) -> Vec<&'c String> {
    let tokens = significant(source);
    let named = |column: &String| {
        tokens.iter().enumerate().any(|(i, token)| {
            let called = tokens.get(i + 1).is_some_and(|next| next.is("("));
            let cast = i > 0 && tokens[i - 1].is("::");
            let qualified = i > 1 && tokens[i - 1].is(".");
            let foreign = qualified && tokens[i - 2].ident().as_deref() != Some(table);
            !called && !cast && !foreign && token.ident().as_ref() == Some(column)
        })
    };
    columns.iter().filter(|column| named(column)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_faults() {
        let shown = |source: &str| fault(source).map(|f| source[f.start..f.end].to_owned());
        assert_eq!(shown("role IN ('a', 'it''s') AND x[1] > 0"), None);
        assert_eq!(shown("a > (1"), Some("(".to_owned()));
        assert_eq!(shown("a > 1)"), Some(")".to_owned()));
        assert_eq!(shown("a = 'x"), Some("'x".to_owned()));
        assert_eq!(shown("a = \"x"), Some("\"x".to_owned()));
        assert_eq!(shown("a /* b"), Some("/* b".to_owned()));
        assert_eq!(shown("a > 1 -- b"), Some("a > 1 -- b".to_owned()));
        assert_eq!(shown("a > 1; DROP TABLE t"), Some(";".to_owned()));
        assert_eq!(shown("  "), Some("  ".to_owned()));
        assert_eq!(shown("a = '--' /* x */"), None);
    }

    #[test]
    fn takes_off_only_what_says_nothing() {
        assert_eq!(unwrapped("((a > 0))"), "a > 0");
        assert_eq!(unwrapped("((a > 0) AND (b > 0))"), "(a > 0) AND (b > 0)");
        assert_eq!(unwrapped("(a > 0) AND (b > 0)"), "(a > 0) AND (b > 0)");
        assert_eq!(unwrapped("((a, b))"), "(a, b)");
        assert_eq!(unwrapped("(SELECT 1)"), "(SELECT 1)");
    }

    #[test]
    fn finds_the_columns() {
        let columns = ["role".to_owned(), "Id".to_owned(), "lower".to_owned()];
        let found = |source| columns_in(source, "t", &columns);
        assert_eq!(found("lower(ROLE) <> 'Id'"), [&columns[0]]);
        assert_eq!(found("t.role = x.role OR \"Id\" > 1"), [&columns[0], &columns[1]]);
        assert_eq!(found("x.role = 'a'::role"), Vec::<&String>::new());
    }
}
