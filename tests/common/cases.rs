//! What is expected of every fixture, in one table.

use super::Case;

/// How a fixture ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// `apply` brings it to the model in this many steps.
    Converges {
        steps: usize,
        /// What the model's sections do not list: `check` calls it drift, `apply` leaves it.
        extras: usize,
    },
    /// The plan is refused; these words are the reason.
    Refused(&'static [&'static str]),
    /// `apply` is refused because of rows; these words say which and how many.
    RowsInTheWay(&'static [&'static str]),
}

use Outcome::{Converges, Refused, RowsInTheWay};

const fn exactly(steps: usize) -> Outcome {
    Converges { steps, extras: 0 }
}

/// Every fixture.
pub(crate) const CASES: &[(&str, Outcome)] = &[
    ("messages/already_right", exactly(0)),
    // The new CHECK is there, and proven, before the other one goes.
    ("messages/check_name_taken", exactly(4)),
    ("messages/check_under_another_name", exactly(1)),
    (
        "messages/dirty",
        RowsInTheWay(&[
            "public.messages.role is longer than varchar(20) allows: 6 rows assistant_with_citations in 6 rows",
            "does not satisfy check_role_values",
            "function in 12 rows",
        ]),
    ),
    ("messages/lived_in", Converges { steps: 42, extras: 2 }),
    ("messages/partly_migrated", exactly(1)),
    ("messages/production", exactly(5)),
    // For new rows first, then for all: reads and writes go on while rows are looked at.
    ("messages/varchar_without_check", exactly(2)),
    ("variants/access_lists", exactly(28)),
    (
        "variants/atomic_function",
        Refused(&[
            "function:public.\"count_users()\" has a body that PostgreSQL has parsed (BEGIN ATOMIC)",
        ]),
    ),
    ("variants/check_not_valid", exactly(1)),
    ("variants/check_spelt_differently", exactly(0)),
    ("variants/domain_over_varchar", exactly(7)),
    ("variants/enum_off_search_path", exactly(6)),
    ("variants/every_dependent", Converges { steps: 34, extras: 2 }),
    (
        "variants/extra_dependents",
        Refused(&[
            "rule keep_system on table public.messages depends on column:public.messages.role",
        ]),
    ),
    ("variants/foreign_key_both_sides", exactly(4)),
    (
        "variants/foreign_key_on_enum",
        Refused(&[
            "constraint:public.messages.messages_role_fkey needs the same type on both sides",
        ]),
    ),
    // The generated column is computed anew, and is still no part of the model.
    ("variants/generated_column", Converges { steps: 2, extras: 1 }),
    ("variants/index_roles", exactly(8)),
    ("variants/inherited", exactly(13)),
    (
        "variants/joined_with_enum",
        Refused(&[
            "view:public.matching compares the column with another one that keeps the old type",
        ]),
    ),
    ("variants/mixed_types", exactly(9)),
    (
        "variants/order_comparison",
        Refused(&[
            "view:public.before_system compares by the order of the old type",
            "view:public.lowest_role compares by the order of the old type",
            "view by_role: it sorts by the column",
            "view role_ranks: it sorts by the column",
        ]),
    ),
    ("variants/partition_key", Refused(&["table:public.messages is partitioned by LIST (role)"])),
    ("variants/partition_own_default", exactly(4)),
    ("variants/partitioned", exactly(23)),
    ("variants/partition_trigger_off", exactly(8)),
    ("variants/pg_dump", Converges { steps: 42, extras: 2 }),
    ("variants/published_columns", Refused(&["in publication chat_changes names the column"])),
    ("variants/quoted_names", exactly(10)),
    ("variants/regranted_view", exactly(8)),
    (
        "variants/row_type_column",
        Refused(&["column:public.snapshots.message has the row type of table:public.messages"]),
    ),
    (
        "variants/rows_break_check",
        RowsInTheWay(&[
            "does not satisfy check_role_values",
            "User in 15 rows",
            "function in 5 rows",
        ]),
    ),
    ("variants/through_queries", exactly(29)),
    (
        "variants/two_parents",
        Refused(&[
            "column:public.draft_messages.role inherits the column from column:public.drafts.role too",
        ]),
    ),
    (
        "variants/view_row_type",
        Refused(&[
            "function:public.\"find_answers(word text)\" takes or returns rows of view:public.answers",
        ]),
    ),
    (
        "variants/view_with_everything",
        Refused(&["rule turns_never_deleted on view public.turns depends on view:public.turns"]),
    ),
];

/// What is expected on a major version.
pub(crate) fn outcomes(major: u32) -> impl Iterator<Item = (Case, Outcome)> {
    CASES.iter().map(move |&(name, outcome)| {
        let outcome = match name {
            // Column lists came with 15; before, the whole table is published, which is no obstacle.
            "variants/published_columns" if major < 15 => exactly(2),
            _ => outcome,
        };
        (Case { name }, outcome)
    })
}

/// Those that converge.
pub(crate) fn converging(major: u32) -> Vec<(Case, usize, usize)> {
    let taken = outcomes(major).filter_map(|(case, outcome)| match outcome {
        Converges { steps, extras } => Some((case, steps, extras)),
        Refused(_) | RowsInTheWay(_) => None,
    });
    taken.collect()
}
