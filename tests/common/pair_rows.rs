//! The values in a database, and which of them are gone after a migration.
//!
//! Invariant: a value counts as kept only if its text is what it was, in a row with the same other
//! values. Where a type changed to one that writes values another way, only nulls are compared.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, PgConnection, Row};

/// What a database holds besides definitions.
#[derive(Debug, Default)]
pub(crate) struct State {
    tables: BTreeMap<String, Table>,
    sequences: BTreeMap<String, Sequence>,
    /// What pg_dump does not tell: indexes that are not valid, views that were never filled.
    pub(crate) hidden: Vec<String>,
}

#[derive(Debug, Default)]
struct Table {
    is_partition: bool,
    /// Partitioned: the rows are in partitions.
    is_divided: bool,
    /// Itself if it is no partition.
    root: String,
    /// All that it is a partition of, and itself.
    under: BTreeSet<String>,
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// With its modifier.
    shown: String,
    /// Of the type under all domains, or of the element of an array.
    base: String,
    /// `b` base, `e` enum, `c` composite, `r` range, …
    class: String,
    is_array: bool,
    scale: Option<i32>,
    /// `` or `s` or `v`
    generated: String,
    is_identity: bool,
}

#[derive(Debug)]
struct Sequence {
    last: i64,
    is_called: bool,
    /// Minimum, maximum, start, increment.
    bounds: (i64, i64, i64, i64),
    /// The identity column that it is for.
    identity: Option<(String, String)>,
}

impl Sequence {
    fn next(&self) -> i128 {
        i128::from(self.last) + if self.is_called { i128::from(self.bounds.3) } else { 0 }
    }
}

const COLUMNS: &str = "WITH RECURSIVE domains(oid, base, mod) AS ( \
    SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = 'd' \
    UNION ALL SELECT d.oid, t.typbasetype, t.typtypmod FROM domains d \
        JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd'), \
 bases AS (SELECT d.* FROM domains d JOIN pg_type t ON t.oid = d.base AND t.typtype <> 'd') \
 SELECT format('%I.%I', n.nspname, c.relname) AS relation, c.relispartition AS is_partition, \
    c.relkind = 'p' AS is_divided, \
    ARRAY(SELECT format('%I.%I', an.nspname, ac.relname) \
        FROM pg_partition_ancestors(c.oid) WITH ORDINALITY a(relid, position) \
        JOIN pg_class ac ON ac.oid = a.relid JOIN pg_namespace an ON an.oid = ac.relnamespace \
        ORDER BY position) AS under, \
    a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS shown, \
    coalesce(e.typname, t.typname)::text AS base, coalesce(e.typtype, t.typtype)::text AS class, \
    e.oid IS NOT NULL AS is_array, \
    CASE WHEN t.typname = 'numeric' AND coalesce(nullif(a.atttypmod, -1), b.mod, -1) >= 4 \
        THEN ((coalesce(nullif(a.atttypmod, -1), b.mod) - 4) & 2047 # 1024) - 1024 END AS scale, \
    a.attgenerated::text AS generated, a.attidentity <> '' AS is_identity \
 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
 LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
 LEFT JOIN bases b ON b.oid = a.atttypid \
 LEFT JOIN pg_type t ON t.oid = coalesce(b.base, a.atttypid) \
 LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' AND t.typlen = -1 \
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' \
    AND n.nspname <> 'information_schema' AND n.nspname <> '$journal' \
 ORDER BY 1, a.attnum";

const SEQUENCES: &str = "SELECT format('%I.%I', n.nspname, c.relname) AS name, s.*, \
    (SELECT format('%I.%I', tn.nspname, tc.relname) FROM pg_class tc \
        JOIN pg_namespace tn ON tn.oid = tc.relnamespace WHERE tc.oid = d.refobjid) AS owner, \
    (SELECT attname::text FROM pg_attribute WHERE attrelid = d.refobjid \
        AND attnum = d.refobjsubid) AS column \
 FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid \
 JOIN pg_namespace n ON n.oid = c.relnamespace \
 LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid \
    AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' AND d.refobjsubid > 0 \
 WHERE n.nspname <> '$journal' ORDER BY 1";

const HIDDEN: &str = "SELECT format('index %s is not valid', c.oid::regclass) AS words \
 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid \
 UNION ALL SELECT format('%s was never filled', oid::regclass) FROM pg_class \
 WHERE relkind = 'm' AND NOT relispopulated ORDER BY 1";

impl State {
    pub(crate) async fn read(connection: &mut PgConnection, journal: &str) -> Self {
        let mut state = State::default();
        for row in fetch(connection, &COLUMNS.replace("$journal", journal)).await {
            let table = state.tables.entry(row.get("relation")).or_default();
            let relation: String = row.get("relation");
            let under: Vec<String> = row.get("under");
            table.is_partition = row.get("is_partition");
            table.is_divided = row.get("is_divided");
            table.root = under.last().cloned().unwrap_or_else(|| relation.clone());
            table.under = under.into_iter().chain([relation]).collect();
            if let Some(name) = row.get::<Option<String>, _>("name") {
                table.columns.push(Column {
                    name,
                    shown: row.get("shown"),
                    base: row.get("base"),
                    class: row.get("class"),
                    is_array: row.get("is_array"),
                    scale: row.get("scale"),
                    generated: row.get("generated"),
                    is_identity: row.get("is_identity"),
                });
            }
        }
        for (relation, table) in &mut state.tables {
            if table.is_divided {
                continue;
            }
            let columns = table.columns.iter().map(|c| format!("{}::text", quoted(&c.name)));
            let columns: Vec<String> = columns.collect();
            let sql = format!("SELECT ARRAY[{}]::text[] FROM ONLY {relation}", columns.join(", "));
            table.rows = fetch(connection, &sql).await.iter().map(|row| row.get(0)).collect();
        }
        for row in fetch(connection, &SEQUENCES.replace("$journal", journal)).await {
            let name: String = row.get("name");
            let owner: Option<String> = row.get("owner");
            let value =
                fetch(connection, &format!("SELECT last_value, is_called FROM {name}")).await;
            let bounds = (
                row.get("seqmin"),
                row.get("seqmax"),
                row.get("seqstart"),
                row.get("seqincrement"),
            );
            let sequence = Sequence {
                last: value[0].get(0),
                is_called: value[0].get(1),
                bounds,
                identity: owner.zip(row.get::<Option<String>, _>("column")),
            };
            state.sequences.insert(name, sequence);
        }
        let hidden = fetch(connection, HIDDEN).await;
        state.hidden = hidden.iter().map(|row| row.get("words")).collect();
        state
    }
}

async fn fetch(connection: &mut PgConnection, sql: &str) -> Vec<sqlx::postgres::PgRow> {
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Which values of what stays are no longer there, in words.
pub(crate) fn lost(before: &State, after: &State) -> Vec<String> {
    let mut words = Vec::new();
    for (name, then) in &before.tables {
        let Some(now) = after.tables.get(name) else { continue };
        // Rows may move from partition to partition: then the whole of them is what counts.
        let by_root = then.is_partition && now.is_partition && then.root == now.root;
        if !by_root {
            words.extend(of_table(name, (before, then), (after, now)));
        }
    }
    for (name, then) in &before.sequences {
        let Some(now) = after.sequences.get(name) else { continue };
        let is_behind =
            if then.bounds.3 > 0 { now.next() < then.next() } else { now.next() > then.next() };
        if then.bounds == now.bounds && is_behind {
            words.push(format!(
                "sequence {name} would give {} next, and now {}",
                then.next(),
                now.next()
            ));
        }
    }
    for (name, now) in &after.sequences {
        // One that was there goes on as it did.
        if before.sequences.contains_key(name) {
            continue;
        }
        words.extend(behind_its_column(name, now, after));
    }
    words
}

/// A new identity must not begin with numbers that are taken.
fn behind_its_column(name: &str, now: &Sequence, after: &State) -> Option<String> {
    let (table, column) = now.identity.as_ref()?;
    let place = after.tables.get(table)?.columns.iter();
    let place = place.clone().position(|c| &c.name == column && c.is_identity)?;
    let leaves = after.tables.values().filter(|leaf| leaf.under.contains(table));
    let of_leaf = |leaf: &Table| leaf.columns.iter().position(|c| &c.name == column);
    let values = leaves.flat_map(|leaf| {
        let place = of_leaf(leaf).unwrap_or(place);
        let values = leaf.rows.iter().filter_map(move |row| row[place].as_deref());
        values.filter_map(|value| value.parse::<i128>().ok()).collect::<Vec<_>>()
    });
    let largest = values.max()?;
    (now.bounds.3 > 0 && largest >= now.next()).then(|| {
        format!("sequence {name} gives {} next, and {table} has {largest} already", now.next())
    })
}

type Counted = BTreeMap<Vec<String>, i64>;

fn of_table(name: &str, then: (&State, &Table), now: (&State, &Table)) -> Option<String> {
    let mut shared: Vec<(&str, Form)> = Vec::new();
    for column in &now.1.columns {
        let old = then.1.columns.iter().find(|old| old.name == column.name);
        if let Some(form) = old.and_then(|old| form(old, column)) {
            shared.push((&column.name, form));
        }
    }
    let project = |table: &Table, counted: &mut Counted| {
        let places: Vec<Option<usize>> = shared
            .iter()
            .map(|(name, _)| table.columns.iter().position(|column| column.name == *name))
            .collect();
        for row in &table.rows {
            let values = places.iter().zip(&shared).map(|(place, (name, form))| {
                let value = place.and_then(|place| row[place].as_deref());
                value.map_or_else(|| format!("{name} null"), |v| format!("{name}={}", form.of(v)))
            });
            *counted.entry(values.collect()).or_default() += 1;
        }
    };
    let (mut wanted, mut optional, mut got) = <(Counted, Counted, Counted)>::default();
    for (leaf_name, leaf) in &then.0.tables {
        let was_under = leaf.under.contains(name);
        match now.0.tables.get(leaf_name) {
            Some(leaf_now) if leaf_now.under.contains(name) => project(leaf, &mut wanted),
            // Detached: judged by itself.
            Some(_) => {}
            // A dropped partition takes its rows with it, or they move to others.
            None if was_under && now.1.is_divided => project(leaf, &mut optional),
            None if was_under => project(leaf, &mut wanted),
            None => {}
        }
    }
    for leaf in now.0.tables.values().filter(|leaf| leaf.under.contains(name)) {
        project(leaf, &mut got);
    }
    let (mut missing, mut surplus) = (Vec::new(), Vec::new());
    for (row, count) in &wanted {
        if got.get(row).is_none_or(|found| found < count) {
            missing.push(row.join(", "));
        }
    }
    for (row, count) in &got {
        let allowed = wanted.get(row).unwrap_or(&0) + optional.get(row).unwrap_or(&0);
        if *count > allowed {
            surplus.push(row.join(", "));
        }
    }
    if missing.is_empty() && surplus.is_empty() {
        return None;
    }
    let (were, are): (i64, i64) = (wanted.values().sum(), got.values().sum());
    let few = |rows: &[String]| rows.iter().take(3).cloned().collect::<Vec<_>>().join("\n    ");
    Some(format!(
        "{name} had {were} rows to keep and has {are}; {} gone:\n    {}\n  {} came:\n    {}",
        missing.len(),
        few(&missing),
        surplus.len(),
        few(&surplus)
    ))
}

/// How the values of a column are compared.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// `1.50` is `1.5`.
    Number,
    /// Blanks at the end are padding.
    Padded,
    NullOnly,
}

impl Form {
    fn of(self, value: &str) -> &str {
        match self {
            Form::Text => value,
            Form::Number if value.contains('.') => {
                value.trim_end_matches('0').trim_end_matches('.')
            }
            Form::Number => value,
            Form::Padded => value.trim_end_matches(' '),
            Form::NullOnly => "(some value)",
        }
    }
}

/// None: what is in the column follows from others.
fn form(old: &Column, new: &Column) -> Option<Form> {
    if !new.generated.is_empty() || old.generated == "v" {
        return None;
    }
    if old.shown == new.shown {
        return Some(Form::Text);
    }
    if old.is_array != new.is_array {
        return Some(Form::NullOnly);
    }
    let is_int = |column: &Column| matches!(column.base.as_str(), "int2" | "int4" | "int8");
    let is_words = |column: &Column| {
        column.class == "e"
            || matches!(column.base.as_str(), "text" | "varchar" | "bpchar" | "name" | "citext")
    };
    let is_text = |column: &Column| matches!(column.base.as_str(), "text" | "varchar");
    let is_padded = old.base == "bpchar" || new.base == "bpchar";
    let keeps_scale = new.scale.is_none()
        || (is_int(old) || old.scale.is_some()) && { new.scale >= old.scale.or(Some(0)) };
    let is_alike = is_words(old) && is_words(new)
        || is_int(old) && is_int(new)
        || is_text(new) && !old.is_array && old.class != "c"
        || old.base == new.base && matches!(old.base.as_str(), "uuid" | "jsonb" | "bool" | "date");
    let is_number = is_int(old) || old.base == "numeric";
    Some(match is_alike {
        true if is_padded => Form::Padded,
        true => Form::Text,
        false if new.base == "numeric" && is_number && keeps_scale => Form::Number,
        false => Form::NullOnly,
    })
}
