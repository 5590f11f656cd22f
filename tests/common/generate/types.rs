//! The types of columns, in families: a value of one member can be cast to the others.

/// What can be said of values of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Number,
    Words,
    Time,
    Bool,
    Range,
    Other,
}

/// A type and the access methods that have a default operator class for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type {
    pub(crate) sql: &'static str,
    pub(crate) class: Class,
    pub(crate) methods: &'static [&'static str],
}

/// Types whose values can be cast to each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    pub(crate) types: &'static [Type],
    /// Three values, distinct in each type.
    pub(crate) values: [&'static str; 3],
    pub(crate) default: &'static str,
}

const fn of(sql: &'static str, class: Class, methods: &'static [&'static str]) -> Type {
    Type { sql, class, methods }
}

const PLAIN: &[&str] = &["btree", "hash", "brin"];
const WORDS: &[&str] = &["btree", "hash", "spgist"];
const BTREE: &[&str] = &["btree"];
const ARRAY: &[&str] = &["btree", "gin"];
const RANGE: &[&str] = &["btree", "gist", "spgist"];
const NONE: &[&str] = &[];

use Class::{Bool, Number, Other, Range, Time, Words};

/// Keys and what refers to them: the numbers of the rows.
pub(crate) const KEY: usize = 0;
/// Numbers 1 to 3.
pub(crate) const NUMBER: usize = 1;
pub(crate) const WORD: usize = 2;
/// The labels of the enum type that the schema has, `$enum`.
pub(crate) const ENUM: usize = 3;

pub(crate) const FAMILIES: &[Family] = &[
    Family {
        types: &[
            of("integer", Number, PLAIN),
            of("bigint", Number, PLAIN),
            of("smallint", Number, PLAIN),
        ],
        values: ["1", "2", "3"],
        default: "1",
    },
    Family {
        types: &[
            of("integer", Number, PLAIN),
            of("smallint", Number, PLAIN),
            of("bigint", Number, PLAIN),
            of("numeric(10,0)", Number, PLAIN),
            of("numeric(12,2)", Number, PLAIN),
            of("numeric", Number, PLAIN),
            of("text", Words, WORDS),
            of("varchar(20)", Words, WORDS),
            of("$number", Number, PLAIN),
        ],
        values: ["1", "2", "3"],
        default: "1",
    },
    Family {
        types: &[
            of("text", Words, WORDS),
            of("varchar(30)", Words, WORDS),
            of("varchar(60)", Words, WORDS),
            of("varchar", Words, WORDS),
            of("char(10)", Words, BTREE),
            of("name", Words, BTREE),
            of("$word", Words, WORDS),
        ],
        values: ["alpha", "Beta", "gamma 3"],
        default: "'it''s'",
    },
    Family {
        types: &[
            of("$enum", Other, BTREE),
            of("text", Words, WORDS),
            of("varchar(20)", Words, WORDS),
        ],
        values: ["red", "green", "Sky Blue"],
        default: "'red'",
    },
    Family {
        types: &[
            of("timestamp with time zone", Time, PLAIN),
            of("timestamp", Time, PLAIN),
            of("timestamp(3) with time zone", Time, PLAIN),
            of("timestamp(0)", Time, PLAIN),
            of("date", Time, PLAIN),
        ],
        values: ["2024-02-29 12:00:00", "2001-01-01 00:00:00", "2030-12-31 23:00:00"],
        default: "'2020-01-01'",
    },
    Family {
        types: &[of("boolean", Bool, &["btree", "hash"])],
        values: ["true", "false", "true"],
        default: "false",
    },
    Family {
        types: &[
            of("real", Number, PLAIN),
            of("double precision", Number, PLAIN),
            of("numeric(8,3)", Number, PLAIN),
        ],
        values: ["1.25", "2.5", "4.75"],
        default: "0.5",
    },
    Family {
        types: &[of("jsonb", Other, ARRAY), of("json", Other, NONE)],
        values: [r#"{"a": 1}"#, "[1, 2]", "3"],
        default: "'{}'",
    },
    Family {
        types: &[of("uuid", Other, PLAIN), of("text", Words, WORDS)],
        values: [
            "00000000-0000-0000-0000-000000000001",
            "00000000-0000-0000-0000-000000000002",
            "00000000-0000-0000-0000-000000000003",
        ],
        default: "gen_random_uuid()",
    },
    Family {
        types: &[
            of("integer[]", Other, ARRAY),
            of("bigint[]", Other, ARRAY),
            of("text[]", Other, ARRAY),
            of("numeric(6,1)[]", Other, ARRAY),
        ],
        values: ["{1,2}", "{}", "{3}"],
        default: "'{}'",
    },
    Family {
        types: &[of("$enum[]", Other, ARRAY), of("varchar(20)[]", Other, ARRAY)],
        values: ["{red,green}", "{}", "{red}"],
        default: "'{}'",
    },
    Family {
        types: &[
            of("interval", Other, PLAIN),
            of("interval day to minute", Other, PLAIN),
            of("interval(3)", Other, PLAIN),
        ],
        values: ["1 day", "2 hours", "30 minutes"],
        default: "'1 hour'",
    },
    Family {
        types: &[
            of("time", Other, PLAIN),
            of("time(3)", Other, PLAIN),
            of("time(0) with time zone", Other, BTREE),
        ],
        values: ["10:00", "11:00", "12:30"],
        default: "'00:00'",
    },
    Family {
        types: &[of("inet", Other, BTREE), of("cidr", Other, BTREE)],
        values: ["10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32"],
        default: "'127.0.0.1/32'",
    },
    Family {
        types: &[
            of("bit varying(16)", Other, BTREE),
            of("bit(8)", Other, BTREE),
            of("varbit", Other, BTREE),
        ],
        values: ["00000001", "10000000", "11111111"],
        default: "B'00000000'",
    },
    Family {
        types: &[of("int4range", Range, RANGE)],
        values: ["[1,5)", "[5,9)", "[20,30)"],
        default: "'empty'",
    },
    Family {
        types: &[of("daterange", Range, RANGE)],
        values: ["[2024-01-01,2024-02-01)", "[2024-02-01,2024-03-01)", "[2025-01-01,)"],
        default: "'empty'",
    },
    Family {
        types: &[of("datemultirange", Other, &["btree", "gist"])],
        values: ["{[2024-01-01,2024-02-01)}", "{}", "{[2025-01-01,)}"],
        default: "'{}'",
    },
    Family {
        types: &[of("bytea", Other, PLAIN)],
        values: ["\\x00", "\\xff01", "\\x"],
        default: "'\\x61'",
    },
    Family {
        types: &[of("tsvector", Other, &["btree", "gin", "gist"])],
        values: ["a:1", "b c", "d:3A"],
        default: "''",
    },
    Family {
        types: &[of("point", Other, &["gist", "spgist"])],
        values: ["(1,2)", "(0,0)", "(-1,3.5)"],
        default: "'(0,0)'",
    },
    Family {
        types: &[of("macaddr", Other, PLAIN), of("macaddr8", Other, PLAIN)],
        values: ["08:00:2b:01:02:03", "08:00:2b:01:02:04", "08:00:2b:01:02:05"],
        default: "'00:00:00:00:00:00'",
    },
    Family {
        types: &[of("money", Other, BTREE)],
        values: ["1.00", "2.50", "3.00"],
        default: "'0'",
    },
    Family { types: &[of("\"char\"", Other, BTREE)], values: ["a", "b", "c"], default: "'x'" },
    Family {
        types: &[of("xml", Other, NONE)],
        values: ["<a/>", "<b>1</b>", "<c/>"],
        default: "'<x/>'",
    },
];

impl Class {
    /// Conditions that hold for every value of the families; `$c` is the column.
    pub(crate) fn checks(self) -> &'static [&'static str] {
        match self {
            Number => &[
                "$c > 0",
                "$c BETWEEN 0 AND 1000",
                "$c IN (0.5, 1, 1.25, 2, 2.5, 3, 4.75)",
                "$c <> 77 AND ($c < 100 OR $c > 200)",
                "CASE WHEN $c < 0 THEN false ELSE true END",
            ],
            Words => &[
                "length($c) < 50",
                "$c <> 'never'",
                "$c NOT LIKE '%nothing%'",
                "lower($c) IS DISTINCT FROM 'none'",
                "$c !~ '^x{3}' OR $c = 'xxx'",
                "$c NOT IN ('a', 'b')",
            ],
            Time => &["$c > '1999-12-31'", "$c < '2100-01-01' OR $c IS NULL"],
            Bool => &["$c OR NOT $c", "($c AND true) OR $c IS NOT TRUE"],
            Range => &["NOT isempty($c) OR isempty($c)", "$c IS NOT NULL OR true"],
            Other => &["$c IS NULL OR $c IS NOT NULL"],
        }
    }

    /// Immutable expressions over a column, and their type.
    pub(crate) fn expressions(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Number => &[("($c + 1)", "numeric"), ("abs($c)", "numeric"), ("(- $c)", "numeric")],
            Words => &[("lower($c)", "text"), ("($c || '!')", "text"), ("length($c)", "integer")],
            Time => &[("($c IS NULL)", "boolean")],
            Bool => &[("(NOT $c)", "boolean"), ("coalesce($c, false)", "boolean")],
            Range => &[("lower_inc($c)", "boolean"), ("isempty($c)", "boolean")],
            Other => &[("($c IS NULL)", "boolean")],
        }
    }
}
