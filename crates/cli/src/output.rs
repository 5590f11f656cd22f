//! Where words go: results to standard output, all else to standard error.
//!
//! Invariant: a reader that went away (`reconcile plan | head`) is no error and no panic.

use std::io::{self, IsTerminal as _, Write as _};

use reconcile_report::{Style, Tone};

use crate::args::ColorWhen;
use crate::failure::Failure;
use crate::trouble::Trouble;

/// The widest that prose is set.
const WIDEST: usize = 100;

/// Standard output and standard error, and how each is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// The layout of results.
    pub(crate) style: Style,
    /// The layout of notes and errors.
    aside: Style,
}

impl Output {
    pub(crate) fn new(color: ColorWhen) -> Self {
        let allowed =
            !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let decide = |terminal: bool| match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => allowed && terminal,
        };
        let width =
            terminal_size::terminal_size().map_or(WIDEST, |(width, _)| usize::from(width.0));
        let width = width.clamp(40, WIDEST);
        let style = Style { color: decide(io::stdout().is_terminal()), width };
        let aside = Style { color: decide(io::stderr().is_terminal()), width };
        let color = aside.color;
        // Only the first hook counts, and this is the only one.
        let _ = miette::set_hook(Box::new(move |_| {
            let options = miette::MietteHandlerOpts::new().color(color).width(width);
            // A URL or a name that is broken at a hyphen or a slash cannot be copied.
            let options = options.word_separator(textwrap::WordSeparator::AsciiSpace);
            let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
            Box::new(options.break_words(false).terminal_links(false).build())
        }));
        Self { style, aside }
    }

    /// Writes a result.
    pub(crate) fn result(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| {
            match text.is_empty() || text.ends_with('\n') {
                true => Ok(()),
                false => out.write_all(b"\n"),
            }
        });
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Trouble::new("output", format!("cannot write to standard output: {error}"))
                    .into())
            }
            _ => Ok(()),
        }
    }

    /// Writes a JSON document.
    pub(crate) fn json(&self, value: &serde_json::Value) -> Result<(), Failure> {
        self.result(&format!("{value:#}"))
    }

    /// Says something beside the result.
    pub(crate) fn note(&self, text: &str) {
        self.say(Tone::Plain, "note: ", text);
    }

    /// Says what is being done.
    pub(crate) fn progress(&self, text: &str) {
        self.say(Tone::Dim, "", text);
    }

    /// Says how it ended.
    pub(crate) fn done(&self, text: &str) {
        self.say(Tone::Good, "", text);
    }

    fn say(&self, tone: Tone, prefix: &str, text: &str) {
        let line = self.aside.paint(tone, &format!("{prefix}{text}"));
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Shows a failure.
    pub(crate) fn failure(&self, failure: &Failure) {
        let mut err = io::stderr().lock();
        for report in &failure.reports {
            let _ = writeln!(err, "{report:?}");
        }
    }

    /// Whether there is somebody to ask.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question on the terminal; everything but yes is no.
    pub(crate) async fn ask(&self, question: &str) -> bool {
        let question = self.aside.paint(Tone::Strong, question);
        {
            let mut err = io::stderr().lock();
            let _ = write!(err, "{question} [y/N] ");
            let _ = err.flush();
        }
        let mut unanswered = Unanswered(true);
        // Beside the runtime's thread, so that a signal is still answered.
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
        unanswered.0 = answer.is_empty();
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}

/// Ends the line of a question that nobody answered.
struct Unanswered(bool);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.0 {
            let _ = writeln!(io::stderr().lock());
        }
    }
}

/// Whether a variable is set and not empty: <https://no-color.org>.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
