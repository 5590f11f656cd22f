//! Schemas of any size: the same table over and over, and a model that differs from it.

use std::fmt::Write as _;

/// The columns of each table; the model that differs is made by these names.
const COLUMNS: &str = "id bigint NOT NULL, parent_id bigint, name varchar(100) NOT NULL, \
    status varchar(20) DEFAULT 'new' NOT NULL, amount numeric(12,2) DEFAULT 0 NOT NULL, quantity integer, note text, \
    active boolean DEFAULT true NOT NULL, created_at timestamptz DEFAULT now() NOT NULL, updated_at timestamptz";

/// The statements that make tables `from` to `to`, 1 being the first: ten columns, a primary key,
/// two indexes, a foreign key to the table before it, and a CHECK.
pub(crate) fn tables(from: usize, to: usize) -> String {
    let mut sql = String::new();
    for n in from..=to {
        let (table, before) = (name(n), name(n.saturating_sub(1).max(1)));
        let _ = write!(
            sql,
            "CREATE TABLE public.{table} ({COLUMNS}, CONSTRAINT {table}_pkey PRIMARY KEY (id), \
             CONSTRAINT {table}_status_check CHECK (status IN ('new', 'open', 'done')), \
             CONSTRAINT {table}_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.{before}(id)); \
             CREATE INDEX {table}_name_idx ON public.{table} (name); \
             CREATE INDEX {table}_status_idx ON public.{table} (status, created_at DESC); "
        );
    }
    sql
}

fn name(n: usize) -> String {
    format!("t{n:05}")
}

/// A model as `inspect` writes it, with one change in each table: by turns a new column, a wider
/// one, another default, a new index.
pub(crate) fn with_a_change_in_each_table(model: &str) -> String {
    let mut out = String::new();
    let mut table = 0;
    for line in model.lines() {
        let words = line.trim();
        table += usize::from(words.starts_with("id:"));
        match table % 4 {
            0 if words.starts_with("note:") => {
                let _ = writeln!(out, "{line}\n{}", line.replacen("note:", "extra:", 1));
            }
            1 if words.starts_with("name:") => {
                let _ = writeln!(out, "{}", line.replace("(100)", "(200)"));
            }
            2 if words.starts_with("amount:") => {
                let _ = writeln!(out, "{}", line.replace("default: 0", "default: 1"));
            }
            3 if words.contains("_status_idx:") => {
                let added = line.replacen("_status_idx:", "_updated_idx:", 1);
                let columns = added.find('[').zip(added.find(']'));
                let added =
                    columns.map(|(a, b)| format!("{}[updated_at{}", &added[..a], &added[b..]));
                let _ = writeln!(out, "{line}\n{}", added.unwrap_or_default());
            }
            _ => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    out
}
