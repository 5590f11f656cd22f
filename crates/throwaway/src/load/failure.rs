//! What the server says of a statement that it refuses.

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

/// An error of the server.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) context: Option<String>,
    /// In characters, counted from 1.
    pub(super) position: Option<usize>,
    pub(super) copy: bool,
}

impl Failure {
    pub(super) fn new(error: &PgDatabaseError) -> Failure {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Failure {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            detail: owned(error.detail()),
            hint: owned(error.hint()),
            context: owned(error.r#where()),
            position: match error.position() {
                Some(PgErrorPosition::Original(position)) => Some(position),
                _ => None,
            },
            copy: false,
        }
    }

    /// `COPY t, line 3, column a: "x"`
    pub(super) fn data_line(&self) -> Option<usize> {
        let (_, rest) = self.context.as_deref()?.split_once(", line ")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
}
