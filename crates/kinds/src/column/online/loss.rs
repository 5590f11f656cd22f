//! What the way from one type to another may lose, and how a row that has lost something is found.
//!
//! Invariant: what is called [`Loss::Never`] or [`Loss::Null`] is exact for every other value, so that
//! a condition over both columns finds every row that cannot come back, and nothing else does.

use reconcile_sql::{SqlType, quote_ident};

use super::Column;
use super::carry::{is_total, labels};
use crate::Cx;
use crate::online::{Shadow, wanted};

/// What becomes of the values that the other type cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// There are none.
    Never,
    /// They have no value there.
    Null,
    /// They have another value there, which shows when it is converted back.
    Rounded,
    /// Nobody can tell from the columns.
    Unknown,
}

impl Loss {
    /// What is lost on the way from one type to another.
    pub(crate) fn between(from: &SqlType, to: &SqlType, cx: &Cx<'_>) -> Self {
        if from.array || to.array {
            return Self::Unknown;
        }
        // An enum's text, and text that is no wider than it may be, say the same in either type.
        let says_all = |ty: &SqlType| {
            labels(ty, cx).is_some()
                || ty.is_built_in() && matches!(ty.name.as_str(), "text" | "varchar")
        };
        let whole = |ty: &SqlType| rank(ty).is_some_and(|rank| rank < WHOLE);
        // An assignment to varchar(n) cuts blanks in silence, so text is exact only where it has room.
        let says = says_all(from) && says_all(to);
        let total = is_total(from, to, cx);
        let exact = says && (total || labels(to, cx).is_some()) || whole(from) && whole(to);
        match () {
            () if exact && total => Self::Never,
            () if exact => Self::Null,
            () if rank(from).is_some() && rank(to).is_some() => Self::Rounded,
            () => Self::Unknown,
        }
    }

    /// The condition that a row has lost the value of `first` in `second`; nothing if that does not
    /// happen, or cannot be told. It cannot fail, and is immutable: the predicate of an index.
    pub(super) fn condition(self, first: &str, second: &str) -> Option<String> {
        let (first, second) = (quote_ident(first), quote_ident(second));
        match self {
            Self::Null => Some(format!("{second} IS NULL AND {first} IS NOT NULL")),
            Self::Rounded => Some(format!("{second}::numeric IS DISTINCT FROM {first}::numeric")),
            Self::Never | Self::Unknown => None,
        }
    }

    /// Whether a value that comes back is the same or none: two of them are as different as they were.
    pub(crate) fn is_exact(self) -> bool {
        matches!(self, Self::Never | Self::Null)
    }
}

/// How many of the ranks are whole numbers.
const WHOLE: usize = 3;

/// The numbers of which each holds more than the one before.
fn rank(ty: &SqlType) -> Option<usize> {
    let names = ["smallint", "integer", "bigint", "numeric"];
    names.iter().position(|name| ty.is_built_in() && *name == ty.name)
}

/// What is lost of the values that come once a column has its new type, in the column that has the old one.
pub(crate) fn loss_of_the_way_back(shadow: &Shadow, cx: &Cx<'_>) -> Loss {
    let Some(live) = cx.live.get(&shadow.column) else { return Loss::Unknown };
    let desired = wanted(live, cx);
    let columns = desired.get::<Column>().zip(live.get::<Column>());
    let columns = columns.filter(|(from, _)| from.back.is_none());
    columns.map_or(Loss::Unknown, |(from, to)| Loss::between(&from.ty, &to.ty, cx))
}
