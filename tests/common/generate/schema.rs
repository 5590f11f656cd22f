//! A schema as a value, and how one is thought up.

use super::rng::Rng;
use super::types::{ENUM, FAMILIES, KEY, NUMBER, Type, WORD};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) namespaces: Vec<String>,
    /// The labels of the enum type.
    pub(crate) labels: Vec<String>,
    /// The maximum that the CHECK of the domain over numbers allows, and whether it is a bigint.
    pub(crate) number: (u32, bool),
    /// The length that the domain over words has.
    pub(crate) word: usize,
    /// Increment and cache of a sequence that stands alone.
    pub(crate) sequence: Option<(i32, u32, bool)>,
    pub(crate) tables: Vec<Table>,
    pub(crate) views: Vec<View>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) parting: Parting,
    pub(crate) is_unlogged: bool,
    pub(crate) fillfactor: Option<u32>,
    pub(crate) comment: Option<String>,
    pub(crate) has_rows: bool,
}

/// How a table is partitioned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Parting {
    #[default]
    Not,
    /// By range of the key; how many partitions, and whether there is a default one.
    Range(usize, bool),
    List(usize, bool),
    Hash(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) family: usize,
    pub(crate) member: usize,
    pub(crate) nullable: bool,
    pub(crate) source: Source,
    pub(crate) comment: Option<String>,
    pub(crate) collation: bool,
    pub(crate) statistics: Option<u32>,
    /// Whether the third row holds none.
    pub(crate) has_null: bool,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Nothing,
    Default,
    Sequence,
    Always,
    ByDefault,
    Serial,
    /// From another column, by the expression of that number.
    Generated(String, usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Constraint {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rule: Rule,
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    Primary,
    Unique {
        deferrable: bool,
        nulls_alike: bool,
    },
    /// The condition of that number.
    Check(usize, bool),
    /// To the key of a table.
    Foreign {
        table: String,
        key: String,
        action: usize,
        deferrable: bool,
    },
    Exclude,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) method: usize,
    pub(crate) columns: Vec<String>,
    pub(crate) expression: Option<usize>,
    pub(crate) predicate: Option<usize>,
    pub(crate) is_unique: bool,
    pub(crate) order: usize,
    pub(crate) include: Vec<String>,
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) columns: Vec<String>,
    pub(crate) filter: Option<String>,
    pub(crate) is_materialized: bool,
}

impl Column {
    pub(crate) fn ty(&self) -> Type {
        let types = FAMILIES[self.family].types;
        types[self.member % types.len()]
    }

    /// Whether PostgreSQL numbers the rows itself.
    pub(crate) fn counts(&self) -> bool {
        match self.source {
            Source::Always | Source::ByDefault | Source::Serial => true,
            Source::Nothing | Source::Default | Source::Sequence | Source::Generated(..) => false,
        }
    }
}

impl Table {
    pub(crate) fn path(&self) -> String {
        format!("{}\u{1}{}", self.namespace, self.name)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The key that others can refer to.
    pub(crate) fn key(&self) -> Option<&Column> {
        let primary = self.constraints.iter().find(|c| c.rule == Rule::Primary)?;
        let [only] = primary.columns.as_slice() else { return None };
        self.column(only).filter(|column| column.family == KEY)
    }
}

/// Names that somebody has used for something some day.
const NAMES: &[&str] = &[
    "account",
    "item",
    "Order",
    "user",
    "naïve",
    "with space",
    "dot.ted",
    "quo\"ted",
    "select",
    "a",
    "log_2024",
    "x_y_z",
    "ünïcödé_table",
    "table",
    "it's",
    "CamelCase",
    "42",
    "a_very_long_name_that_fills_all_of_the_sixty_three_bytes_there_",
];

pub(crate) fn name(rng: &mut Rng, prefix: &str, number: usize) -> String {
    if rng.chance(25) {
        let name = *rng.pick(NAMES);
        let number = number.to_string();
        let mut end = name.len().min(63 - number.len());
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        return format!("{}{number}", &name[..end]);
    }
    format!("{prefix}{number}")
}

pub(crate) fn schema(rng: &mut Rng, major: u32) -> Schema {
    let mut schema = Schema {
        namespaces: vec!["public".to_owned()],
        labels: ["red", "green", "Sky Blue", "unused"].map(str::to_owned).to_vec(),
        number: (1000, false),
        word: 40,
        sequence: rng.chance(40).then_some((1, 1, false)),
        ..Schema::default()
    };
    if rng.chance(40) {
        schema.namespaces.push(name(rng, "other", 0));
    }
    for _ in 0..1 + rng.below(5) {
        let table = table(rng, &schema, major);
        schema.tables.push(table);
    }
    for _ in 0..rng.below(3) {
        schema.views.extend(view(rng, &schema));
    }
    schema
}

pub(crate) fn table(rng: &mut Rng, schema: &Schema, major: u32) -> Table {
    let number = fresh(schema);
    let mut table = Table {
        namespace: rng.pick(&schema.namespaces).clone(),
        name: name(rng, "t", number),
        is_unlogged: rng.chance(5),
        fillfactor: rng.chance(10).then(|| 50 + u32::try_from(rng.below(5)).unwrap_or(0) * 10),
        comment: comment(rng),
        has_rows: rng.chance(85),
        ..Table::default()
    };
    let mut id = column(rng, "id".to_owned(), KEY);
    id.nullable = false;
    id.source = rng
        .pick(&[Source::Nothing, Source::Always, Source::ByDefault, Source::Serial, Source::Always])
        .clone();
    table.columns.push(id);
    table.parting = match rng.below(12) {
        0 => Parting::Range(1 + rng.below(3), true),
        1 => Parting::List(1 + rng.below(3), true),
        2 => Parting::Hash(1 + rng.below(3)),
        _ => Parting::Not,
    };
    if table.parting != Parting::Not {
        // Identity on partitioned tables came with 17, and a table of partitions has no WITH.
        table.columns[0].source = Source::Nothing;
        table.fillfactor = None;
        table.is_unlogged = false;
    }
    for _ in 0..1 + rng.below(6) {
        add_column(rng, &mut table, schema, major);
    }
    if rng.chance(85) {
        let name = format!("{}_pkey", short(&table.name));
        table.constraints.push(Constraint {
            name,
            columns: vec!["id".to_owned()],
            rule: Rule::Primary,
            comment: comment(rng),
        });
    }
    for _ in 0..rng.below(4) {
        add_constraint(rng, &mut table, schema, major);
    }
    for _ in 0..rng.below(4) {
        add_index(rng, &mut table);
    }
    table
}

/// A number that no table, column, constraint or index of the schema has.
pub(crate) fn fresh(schema: &Schema) -> usize {
    schema.tables.iter().map(|t| 1 + t.columns.len() + t.constraints.len() + t.indexes.len()).sum()
}

/// The beginning of a name and a number that tells it from others with this beginning.
pub(crate) fn short(name: &str) -> String {
    let sum = name.bytes().fold(7_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 9973);
    format!("{}_{sum}", name.chars().take(16).collect::<String>())
}

pub(crate) fn comment(rng: &mut Rng) -> Option<String> {
    rng.chance(15).then(|| {
        (*rng.pick(&["What it is", "it's: \"quoted\" and # more", "two\nlines", "- yes", "ünï\\x"]))
            .to_owned()
    })
}

pub(crate) fn column(rng: &mut Rng, name: String, family: usize) -> Column {
    Column {
        name,
        family,
        member: if family == KEY { rng.below(2) } else { rng.below(10) },
        nullable: rng.chance(60),
        source: if rng.chance(25) { Source::Default } else { Source::Nothing },
        comment: comment(rng),
        collation: rng.chance(8),
        statistics: rng.chance(5).then_some(200),
        has_null: rng.chance(30),
    }
}

pub(crate) fn add_column(rng: &mut Rng, table: &mut Table, schema: &Schema, major: u32) {
    let mut number = table.columns.len();
    while table.columns.iter().any(|column| column.name.ends_with(&number.to_string())) {
        number += 1;
    }
    let family = match rng.below(10) {
        0..=2 => NUMBER,
        3..=4 => WORD,
        5 => ENUM,
        6 => KEY,
        _ => rng.below(FAMILIES.len()),
    };
    let name = name(rng, "c", number);
    let mut column = column(rng, name, family);
    if family == NUMBER && schema.sequence.is_some() && rng.chance(15) {
        column.source = Source::Sequence;
    }
    let plain = table.columns.iter().filter(|c| !matches!(c.source, Source::Generated(..)));
    let plain: Vec<String> = plain.map(|column| column.name.clone()).collect();
    if rng.chance(8) && (major >= 15 || table.parting == Parting::Not) {
        column.source = Source::Generated(rng.pick(&plain).clone(), rng.below(3));
        column.nullable = true;
    }
    table.columns.push(column);
}

pub(crate) fn add_constraint(rng: &mut Rng, table: &mut Table, schema: &Schema, major: u32) {
    let number = fresh(schema) + table.constraints.len() + table.indexes.len();
    let column = rng.pick(&table.columns).clone();
    let is_parted = table.parting != Parting::Not;
    let rule = match rng.below(10) {
        0..=4 => Rule::Check(rng.below(6), rng.chance(10) && !is_parted),
        5..=6 if column.ty().methods.contains(&"btree") && column.family != 5 && !is_parted => {
            let nulls_alike = major >= 15 && rng.chance(20);
            Rule::Unique { deferrable: rng.chance(20), nulls_alike }
        }
        7..=9 if column.family == KEY && !matches!(column.source, Source::Generated(..)) => {
            let targets = schema.tables.iter().filter(|t| t.key().is_some() && t.has_rows);
            let targets: Vec<&Table> = targets.filter(|t| t.parting == Parting::Not).collect();
            if targets.is_empty() {
                return;
            }
            let target = rng.pick(&targets);
            let table = target.path();
            let key = target.key().map(|key| key.name.clone()).unwrap_or_default();
            Rule::Foreign { table, key, action: rng.below(8), deferrable: rng.chance(15) }
        }
        _ if column.ty().class == super::types::Class::Range && !is_parted => Rule::Exclude,
        _ => return,
    };
    let name = name(rng, "k", number);
    if table.constraints.iter().any(|other| other.name == name) {
        return;
    }
    let columns = vec![column.name];
    table.constraints.push(Constraint { name, columns, rule, comment: comment(rng) });
}

pub(crate) fn add_index(rng: &mut Rng, table: &mut Table) {
    let name = format!("{}_i{}", short(&table.name), 100 + table.indexes.len() + rng.below(800));
    let column = rng.pick(&table.columns).clone();
    let mut columns = vec![column.name];
    if rng.chance(30) {
        columns.push(rng.pick(&table.columns).name.clone());
        columns.dedup();
    }
    let index = Index {
        name,
        method: rng.below(6),
        columns,
        expression: rng.chance(25).then(|| rng.below(3)),
        predicate: rng.chance(25).then(|| rng.below(6)),
        is_unique: rng.chance(10),
        order: rng.below(8),
        include: if rng.chance(15) { vec![rng.pick(&table.columns).name.clone()] } else { vec![] },
        comment: comment(rng),
    };
    if table.indexes.iter().all(|other| other.name != index.name) {
        table.indexes.push(index);
    }
}

pub(crate) fn view(rng: &mut Rng, schema: &Schema) -> Option<View> {
    let table = rng.pick(&schema.tables);
    let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let columns: Vec<String> = columns.into_iter().filter(|_| rng.chance(60)).collect();
    let filter = rng.pick(&table.columns).name.clone();
    let view = View {
        name: format!("v{}", rng.below(1000)),
        table: table.path(),
        columns,
        filter: rng.chance(40).then_some(filter),
        is_materialized: rng.chance(30),
    };
    let is_new = schema.views.iter().all(|other| other.name != view.name);
    (is_new && !view.columns.is_empty()).then_some(view)
}
