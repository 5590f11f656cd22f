//! The line on a terminal that says how it stands.
//!
//! Invariant: it is the last line, it is gone before anything else is written, and where standard error is no
//! terminal there is none.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// With how much is done of how much, and without.
const SHARE: &str = "{bar:24} {wide_msg}";
const ALONE: &str = "{spinner} {wide_msg}";

/// The line.
#[derive(Debug)]
pub(crate) struct Bar {
    terminal: bool,
    /// It is there while there is something to say.
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { terminal: std::io::stderr().is_terminal() && !dumb, bar: None }
    }

    /// Shows how it stands; false if there is no terminal.
    pub(crate) fn show(&mut self, share: Option<(u64, u64)>, text: &str) -> bool {
        if !self.terminal {
            return false;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let template = if share.is_some() { SHARE } else { ALONE };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if let Some((done, of)) = share {
            bar.set_length(of);
            bar.set_position(done);
        }
        bar.set_message(text.to_owned());
        true
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Writes something else, apart from the line.
    pub(crate) fn apart(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
