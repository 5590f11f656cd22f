//! Exit statuses: the interface to scripts and pipelines.

use std::process::ExitCode;

/// How a run ended. The numbers do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: in sync, or done.
    Done = 0,
    /// 1: an error: wrong usage, a model that cannot be read, no connection, a statement that
    /// failed with nothing done.
    Error = 1,
    /// 2: differences were found (`check`, `gate`, `plan --exit-code`).
    Different = 2,
    /// 3: refused, and nothing changed: an approval is missing or was denied, the plan is stale,
    /// rows or privileges are in the way, or a difference stays unproven.
    Refused = 3,
    /// 4: stopped part way, or the proof afterwards failed; what was done is listed, and `apply`
    /// again goes on.
    Partial = 4,
}

/// The same as text, for `--help`.
pub const HELP: &str = "\
Exit status:
  0  in sync, or done
  1  error: usage, bad model, no connection, a statement failed with nothing done
  2  differences found (check, gate, plan --exit-code)
  3  refused, nothing changed: approval missing, stale plan, rows or privileges in the way
  4  stopped part way or proof failed: what was done is listed, apply again goes on";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
