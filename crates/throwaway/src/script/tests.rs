#![allow(clippy::unwrap_used)]

use super::*;

fn statements(script: &str) -> Vec<&str> {
    let pieces = split(script).unwrap().into_iter();
    pieces
        .map(|piece| match piece.kind {
            Kind::Statement(text) => text,
            _ => panic!("not a statement: {piece:?}"),
        })
        .collect()
}

#[test]
fn semicolons_part_statements_and_comments_are_left_out() {
    let script = "-- a; b\n/* c; /* nested; */ d; */ SELECT 1 ; ;\n\nSELECT 2 -- end;\n";
    assert_eq!(statements(script), ["SELECT 1", "SELECT 2 -- end;"]);
    let lines: Vec<usize> = split(script).unwrap().iter().map(|piece| piece.line).collect();
    assert_eq!(lines, [2, 4]);
}

#[test]
fn quotes_hide_semicolons() {
    for text in [
        "SELECT 'a;''b;'",
        "SELECT E'a\\';b'",
        "SELECT e'a\\\\', ';'",
        "SELECT 'a\\', ';'",
        "SELECT \"a;\"\"b\", U&\"d\\0061;\"",
        "SELECT $$a;b$$",
        "SELECT $tag$a; $$ ; $ta$ ; $tag$",
        "SELECT $ü$ ; $ü$, 'ü;'",
        "SELECT a$b$c, $1",
        "SELECT E'a\\''\n  'b\\';c'",
        "SELECT B'01;' , X'a;', N';'",
        "INSERT INTO type VALUES (';')",
    ] {
        let script = format!("{text};\nSELECT 2;");
        assert_eq!(statements(&script), [text, "SELECT 2"], "{text}");
    }
}

#[test]
fn a_word_that_ends_in_e_is_no_prefix_of_a_string() {
    assert_eq!(statements("SELECT date'a\\';SELECT 2"), ["SELECT date'a\\'", "SELECT 2"]);
}

#[test]
fn standard_conforming_strings_is_followed() {
    let script = "SET standard_conforming_strings = off;SELECT 'a\\';b';\
                  SET SESSION standard_conforming_strings TO 'on';SELECT 'a\\';SELECT 2;";
    let found = statements(script);
    assert_eq!(found[1], "SELECT 'a\\';b'");
    assert_eq!(found[3..], ["SELECT 'a\\'", "SELECT 2"]);
}

#[test]
fn parentheses_hide_semicolons() {
    let rule = "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b;)";
    assert_eq!(statements(&format!("{rule};SELECT 1")), [rule, "SELECT 1"]);
}

#[test]
fn bodies_that_are_not_strings_hide_semicolons() {
    for head in [
        "CREATE FUNCTION f(a int DEFAULT (1)) RETURNS int LANGUAGE sql",
        "CREATE OR REPLACE FUNCTION f() RETURNS int",
        "create procedure public.f()",
        "CREATE OR REPLACE PROCEDURE \"f\"()",
    ] {
        let text = format!(
            "{head}\nBEGIN ATOMIC\n SELECT CASE WHEN true THEN CASE 1 WHEN 1 THEN 2 END END;\n \
             SELECT (CASE WHEN true THEN 1 END);\nEND"
        );
        assert_eq!(statements(&format!("{text};\nSELECT 3;")), [text.as_str(), "SELECT 3"]);
    }
    // Outside of a routine they are statements as any other.
    assert_eq!(statements("BEGIN; SELECT 1; END;"), ["BEGIN", "SELECT 1", "END"]);
    let table = "CREATE TABLE t (b bool CHECK (CASE WHEN b THEN b ELSE b END))";
    assert_eq!(statements(&format!("{table};SELECT 1")), [table, "SELECT 1"]);
}

#[test]
fn copy_takes_its_data() {
    let script = "COPY public.t (a, \"from\") FROM stdin;\n1\ta;b\n\\\\.\tx\n\\.y\n2\t\\N\n\\.\n\n\
                  COPY u FROM STDIN WITH (FORMAT csv);\n\\.\nSELECT 1;\n\
                  COPY v TO STDOUT;COPY w (a) FROM '/stdin';COPY x FROM stdin;\r\n1\r\n\\.\r\n\
                  COPY y from stdin;\nlast\n";
    let pieces = split(script).unwrap();
    let found: Vec<(usize, Kind<'_>)> =
        pieces.iter().map(|piece| (piece.line, piece.kind)).collect();
    let copy = |statement, data| Kind::Copy { statement, data };
    assert_eq!(
        found,
        [
            (1, copy("COPY public.t (a, \"from\") FROM stdin", "1\ta;b\n\\\\.\tx\n\\.y\n2\t\\N\n")),
            (8, copy("COPY u FROM STDIN WITH (FORMAT csv)", "")),
            (10, Kind::Statement("SELECT 1")),
            (11, Kind::Statement("COPY v TO STDOUT")),
            (11, Kind::Statement("COPY w (a) FROM '/stdin'")),
            (11, copy("COPY x FROM stdin", "1\r\n")),
            (14, copy("COPY y from stdin", "last\n")),
        ]
    );
}

#[test]
fn backslash_lines_are_pieces() {
    let script = "\\restrict abc;'def\n\\connect -reuse-previous=on \"dbname='x'\"\nSELECT 1 \\g\n\
                  SELECT 2\\;SELECT 3;\n\\unrestrict abc;'def\n";
    let found: Vec<(usize, Kind<'_>)> =
        split(script).unwrap().iter().map(|piece| (piece.line, piece.kind)).collect();
    assert_eq!(
        found,
        [
            (1, Kind::Backslash("\\restrict abc;'def")),
            (2, Kind::Backslash("\\connect -reuse-previous=on \"dbname='x'\"")),
            (3, Kind::Statement("SELECT 1")),
            (3, Kind::Backslash("\\g")),
            (4, Kind::Statement("SELECT 2")),
            (4, Kind::Statement("SELECT 3")),
            (5, Kind::Backslash("\\unrestrict abc;'def")),
        ]
    );
}

#[test]
fn what_is_never_closed_is_said() {
    for (script, offset, what) in [
        ("SELECT 1;\nSELECT 'a;", 17, "a quoted string"),
        ("SELECT \"a", 7, "a quoted name"),
        ("SELECT 1 /* /* */", 9, "a comment"),
        ("DO $x$ $y$", 3, "a dollar quote"),
        ("SELECT E'\\", 8, "a quoted string"),
    ] {
        assert_eq!(split(script), Err(Unclosed { offset, what }), "{script}");
    }
}

#[test]
fn a_byte_order_mark_and_an_empty_script_are_fine() {
    assert_eq!(statements("\u{feff}SELECT 1;"), ["SELECT 1"]);
    assert_eq!(statements(""), [""; 0]);
    assert_eq!(statements(" \n-- nothing\n;"), [""; 0]);
}

#[test]
fn the_heading_of_a_dump_names_its_server() {
    let script = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\n\
                  -- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)\n";
    assert_eq!(dumped_from(script), Some(15));
    assert_eq!(dumped_from("SELECT 1;"), None);
}

#[test]
fn head_words_stop_at_what_is_no_word() {
    assert_eq!(head_words("/* x */ Create TABLE \"T\" (a int)", 4), ["create", "table"]);
}
