//! Random schemas that PostgreSQL accepts, with rows that every constraint of them accepts.
//!
//! Invariant: the same seed and version give the same pair. A table has three rows, and of a column
//! the three values are distinct and good for every CHECK, so that both sides of a pair hold for
//! the rows of the other one.

mod mutate;
mod render;
mod rng;
mod schema;
pub(crate) mod shrink;
mod types;

use super::pair::{Pair, Side};

pub(crate) use schema::Schema;

/// What is left out of the schemas: some of `types`, `partitions`, `views`, with commas.
const ENV_WITHOUT: &str = "RECONCILE_GENERATED_WITHOUT";

/// Two schemas, the second of which was made from the first.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    pub(crate) before: Schema,
    pub(crate) after: Schema,
}

impl Generated {
    /// The pair of a seed.
    pub(crate) fn of(seed: u64, major: u32) -> Self {
        let mut rng = rng::Rng::new(seed);
        let before = schema::schema(&mut rng, major);
        let after = mutate::mutated(&before, &mut rng, major);
        let mut pair = Generated { before, after };
        let without = std::env::var(ENV_WITHOUT).unwrap_or_default();
        let is_without = |word: &str| without.split(',').any(|other| other.trim() == word);
        for schema in [&mut pair.before, &mut pair.after] {
            if is_without("views") {
                schema.views.clear();
            }
            for table in &mut schema.tables {
                if is_without("partitions") {
                    table.parting = schema::Parting::Not;
                }
                let made = |column: &schema::Column| column.ty().sql.starts_with('$');
                let made = table.columns.iter_mut().filter(|column| made(column));
                if is_without("types") {
                    made.for_each(|column| (column.family, column.member) = (types::WORD, 0));
                }
            }
        }
        mutate::reconcile_rows(&mut pair, major);
        pair
    }

    /// As SQL.
    pub(crate) fn pair(&self, name: &str) -> Pair {
        let side = |schema: &Schema, which: &str| Side {
            given: String::new(),
            label: format!("{name}/{which}.sql"),
            sql: render::sql(schema),
        };
        Pair {
            name: name.to_owned(),
            before: side(&self.before, "before"),
            after: side(&self.after, "after"),
        }
    }
}
