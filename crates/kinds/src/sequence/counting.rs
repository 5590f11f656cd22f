//! How a sequence counts: the same for a sequence of its own and for that of an identity column.

use reconcile_sql::SqlType;
use serde::{Deserialize, Serialize};

/// From where, to where and in which steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// START WITH
    pub start: i64,
    /// INCREMENT BY
    pub increment: i64,
    /// MINVALUE
    pub min: i64,
    /// MAXVALUE
    pub max: i64,
    /// CACHE
    pub cache: i64,
    /// CYCLE
    pub cycle: bool,
}

/// The least and the largest value of an integer type; those of bigint for any other.
fn range(ty: &SqlType) -> (i64, i64) {
    match ty.name.as_str() {
        "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

impl Counting {
    /// What PostgreSQL chooses for a type and a direction (`init_params`,
    /// `src/backend/commands/sequence.c`).
    pub fn usual(ty: &SqlType, increment: i64) -> Self {
        let (least, largest) = range(ty);
        let (min, max) = if increment < 0 { (least, -1) } else { (1, largest) };
        let start = if increment < 0 { max } else { min };
        Self { start, increment, min, max, cache: 1, cycle: false }
    }

    /// The same after its type changed: a bound that was the old type's becomes the new one's
    /// (`ALTER SEQUENCE … AS`; changing the type of an identity column does the same).
    #[must_use]
    pub fn carried(self, from: &SqlType, to: &SqlType) -> Self {
        let ((least, largest), (new_least, new_largest)) = (range(from), range(to));
        let min = if self.min == least { new_least } else { self.min };
        let max = if self.max == largest { new_largest } else { self.max };
        Self { min, max, ..self }
    }

    /// The clauses that tell it from `other`, as CREATE and ALTER SEQUENCE take them.
    pub fn clauses_beside(&self, other: &Self) -> Vec<String> {
        let Self { start, increment, min, max, cache, cycle } = self;
        let mut out = Vec::new();
        let mut clause = |differs: bool, text: String| out.extend(differs.then_some(text));
        clause(*start != other.start, format!("START WITH {start}"));
        clause(*increment != other.increment, format!("INCREMENT BY {increment}"));
        clause(*min != other.min, format!("MINVALUE {min}"));
        clause(*max != other.max, format!("MAXVALUE {max}"));
        clause(*cache != other.cache, format!("CACHE {cache}"));
        clause(*cycle != other.cycle, if *cycle { "CYCLE" } else { "NO CYCLE" }.to_owned());
        out
    }

    /// The clauses that a new sequence of this type needs.
    pub fn clauses(&self, ty: &SqlType) -> Vec<String> {
        self.clauses_beside(&Self::usual(ty, self.increment))
            .into_iter()
            .chain((self.increment != 1).then(|| format!("INCREMENT BY {}", self.increment)))
            .collect()
    }

    /// All of it in words, for comparing and for people.
    pub fn words(&self) -> String {
        let Self { start, increment, min, max, cache, cycle } = self;
        let cycle = if *cycle { ", cycle" } else { "" };
        format!("start {start}, increment {increment}, {min} to {max}, cache {cache}{cycle}")
    }

    /// Whether every value of `other` is one of this too.
    pub fn spans(&self, other: &Self) -> bool {
        self.min <= other.min && self.max >= other.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(name: &str) -> SqlType {
        SqlType::built_in(name)
    }

    #[test]
    fn the_usual_is_not_said() {
        assert!(Counting::usual(&ty("integer"), 1).clauses(&ty("integer")).is_empty());
        let down = Counting::usual(&ty("smallint"), -2);
        assert_eq!(down.clauses(&ty("smallint")), ["INCREMENT BY -2"]);
        let own = Counting { start: 10, cache: 5, ..Counting::usual(&ty("bigint"), 1) };
        assert_eq!(own.clauses(&ty("bigint")), ["START WITH 10", "CACHE 5"]);
    }

    #[test]
    fn bounds_follow_the_type() {
        let int = Counting::usual(&ty("integer"), 1);
        assert_eq!(int.carried(&ty("integer"), &ty("bigint")), Counting::usual(&ty("bigint"), 1));
        let own = Counting { max: 100, ..int };
        assert_eq!(own.carried(&ty("integer"), &ty("bigint")).max, 100);
    }
}
