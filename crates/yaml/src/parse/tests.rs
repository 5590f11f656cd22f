use super::*;

fn code(text: &str) -> Vec<&'static str> {
    parse(0, text).expect_err(text).iter().map(|p| p.code).collect()
}

fn place(text: &str) -> (String, String) {
    let problems = parse(0, text).expect_err(text);
    let span = problems[0].labels[0].span;
    (
        text[span.start..span.end].to_owned(),
        format!("{} | {}", problems[0].message, problems[0].help.as_deref().unwrap_or("")),
    )
}

#[test]
fn keeps_text_style_and_place() {
    let text = "a: 1.50\nb: '0755'\nc: |\n  x\nd: [no, {e: \"it's\"}]\nf:\n";
    let root = parse(0, text).expect("a tree");
    let get = |key: &str| root.get(key).expect("the key");
    assert_eq!(get("a").scalar().expect("a scalar").text, "1.50");
    assert_eq!(get("b").text(), Some("0755"));
    assert_eq!(get("c").text(), Some("x\n"));
    assert_eq!(get("d").items()[0].text(), Some("no"));
    let e = get("d").items()[1].get("e").expect("e");
    assert_eq!(&text[e.span.start..e.span.end], "\"it's\"");
    assert_eq!(&text[e.within(0, 2).start..e.within(0, 2).end], "it");
    assert!(get("f").is_null());
    assert_eq!(
        root.entries().iter().map(|e| e.key.text.as_str()).collect::<Vec<_>>(),
        ["a", "b", "c", "d", "f"]
    );
}

#[test]
fn aliases_and_merge_keys() {
    let root = parse(0, "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: *x\n").expect("a tree");
    let shown = |key: &str| -> Vec<(String, String)> {
        let entries = root.get(key).expect("the key").entries();
        entries
            .iter()
            .map(|e| (e.key.text.clone(), e.value.scalar().expect("scalar").text.clone()))
            .collect()
    };
    assert_eq!(shown("d"), [("b".into(), "1".into()), ("c".into(), "3".into())]);
    assert_eq!(shown("e").len(), 2);
}

#[test]
fn refuses() {
    assert_eq!(code(""), ["empty_file"]);
    assert_eq!(code("# only a comment\n"), ["empty_file"]);
    assert_eq!(code("---\n"), ["empty_file"]);
    assert_eq!(code("a: 1\n---\nb: 2\n"), ["several_documents"]);
    assert_eq!(code("a: 1\nb: 2\na: 3\n"), ["duplicate_key"]);
    assert_eq!(code("a:\n\tb: 1\n"), ["tab"]);
    assert_eq!(code("a:\n  b: 1\n\tc: 1\n"), ["tab"]);
    assert_eq!(code("a: !!str 1\n"), ["tag"]);
    assert_eq!(code("a: *nothing\n"), ["alias"]);
    assert_eq!(code("a: &x [*x]\n"), ["alias"]);
    assert_eq!(code("{a: 1}: 2\n"), ["key"]);
    assert_eq!(code("a: {b: [1, 2\n"), ["syntax"]);
    assert_eq!(code("a: 'x\n"), ["syntax"]);
    assert_eq!(code("a: b: c\n"), ["syntax"]);
    assert_eq!(code("a: 'x' y\n"), ["syntax"]);
    assert_eq!(code("a: {<<: 1}\n"), ["merge"]);
    assert_eq!(code(&"[".repeat(100_000)), ["too_deep"]);
    assert_eq!(code(&format!("{}a", "- ".repeat(10_000))), ["too_deep"]);
}

#[test]
fn refuses_an_expansion_bomb() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(code(&bomb), ["alias_budget"]);
}

#[test]
fn recognises_what_a_comma_cut() {
    for (text, value, quoted) in [
        ("a: {type: numeric(10, 2)}\n", "numeric(10, 2)", "\"numeric(10, 2)\""),
        ("a: {b: numeric(10, 2), c: text}\n", "numeric(10, 2)", "\"numeric(10, 2)\""),
        ("a: [(lower(a, b)), c]\n", "(lower(a, b))", "\"(lower(a, b))\""),
        (
            "a: {where: role IN ('user', 'tool')}\n",
            "role IN ('user', 'tool')",
            "\"role IN ('user', 'tool')\"",
        ),
        ("a: {where: f(\"A\", b)}\n", "f(\"A\", b)", "'f(\"A\", b)'"),
    ] {
        let (at, words) = place(text);
        assert_eq!(at, value, "{text}");
        assert!(words.ends_with(&format!("put it in quotes: {quoted}")), "{words}");
        assert_eq!(code(text), ["cut_by_comma"], "{text}");
    }
}

#[test]
fn never_panics_on_any_prefix_or_damaged_byte() {
    let text =
        "a: {b: numeric(10, 2), c: [x, 'y']}\nd: &x |\n  größe\ne: *x\nf:\n  - {g: \"\\u00e4\"}\n";
    for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
        let _ = parse(0, &text[..end]);
        for damage in ["\t", "{", "'", ":", "\u{feff}", "\0", "- "] {
            let _ = parse(0, &format!("{}{damage}{}", &text[..end], &text[end..]));
        }
    }
}
