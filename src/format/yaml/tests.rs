//! YAML documents, and the JSON that they are or what is wrong with them.

use super::*;

#[track_caller]
fn json(yaml: &str) -> String {
    match to_json(yaml.as_bytes(), 1, 1 << 20) {
        Ok(json) => json,
        Err(problem) => panic!("{yaml:?}: {problem}"),
    }
}

#[test]
fn documents_become_the_json_of_the_same_data() {
    for (yaml, expected) in [
        ("name: george\nage: 24\n", r#"{"name":"george","age":24}"#),
        ("answer: no\nyes: on", r#"{"answer":"no","yes":"on"}"#),
        ("[true, False, null, ~, x]", r#"[true,false,null,null,"x"]"#),
        ("a: 'true'\nb: \"12\"", r#"{"a":"true","b":"12"}"#),
        (
            "- 12345678901234567890.12345678901234567890\n- 1e400\n- -0",
            "[12345678901234567890.12345678901234567890,1e400,-0]",
        ),
        (
            "[+1, 007, .5, 1., -.5e3, 0x1F, 0o17, 1_000, 0b1, 12:30, 1.2.3]",
            r#"[1,7,0.5,1.0,-0.5e3,31,15,"1_000","0b1","12:30","1.2.3"]"#,
        ),
        ("a: |\n  one\n  two\nb: >\n  one\n  two\n", r#"{"a":"one\ntwo\n","b":"one two\n"}"#),
        ("a: &x [1, {b: 2}]\nc: *x\nd: *x", r#"{"a":[1,{"b":2}],"c":[1,{"b":2}],"d":[1,{"b":2}]}"#),
        ("&k name: george\nother: *k", r#"{"name":"george","other":"name"}"#),
        ("a: &x name\nb:\n  *x : 1", r#"{"a":"name","b":{"name":1}}"#),
        ("{}", "{}"),
        ("[]", "[]"),
        ("just a text", "\"just a text\""),
        ("--- 5", "5"),
        ("# a comment\n%YAML 1.2\n---\na: 1 # here too\n...\n", r#"{"a":1}"#),
        ("\u{feff}a: 1", r#"{"a":1}"#),
        ("\"<<\": {a: 1}", r#"{"<<":{"a":1}}"#),
        ("[<<, a: <<]", r#"["<<",{"a":"<<"}]"#),
        ("a: \"\\u263a \\\" \\t\"", r#"{"a":"☺ \" \t"}"#),
        ("date: 2026-01-31", r#"{"date":"2026-01-31"}"#),
        (r#"{"json": [1, 2.50, "x"]}"#, r#"{"json":[1,2.50,"x"]}"#),
    ] {
        assert_eq!(json(yaml), expected, "{yaml:?}");
    }
}

#[test]
fn what_json_does_not_have_is_refused_with_its_place() {
    for (yaml, pointer, part) in [
        ("a: !!str 5", "/a", "the tag"),
        ("a: !ruby/object {}", "/a", "the tag"),
        ("!x [1]", "", "the tag"),
        ("a: {5: x}", "/a/5", "a key must be text, and \"5\" is not; write it in quotes (line 1, column 5)"),
        ("? [a]\n: 1", "/", "a key must be text"),
        ("~: 1", "/~0", "a key must be text"),
        ("b: &x {a: 1}\nc: {<<: *x}", "/c/<<", "`<<` merges nothing in YAML 1.2"),
        ("a: .inf", "/a", "JSON has no number for .inf"),
        ("- 1\n- .nan", "/1", "JSON has no number for .nan; in quotes it is text (line 2, column 3)"),
        ("a: 1\nb: 2\na: 3", "/a", "the key \"a\" stands twice in its mapping (line 3, column 1)"),
        ("a: 1\n\"\\u0061\": 3", "/a", "twice"),
        ("a: &x [*x]", "/a/0", "this alias stands inside of what it names"),
        ("a: &x [1]\nb: {*x : 1}", "/b/", "this alias names something else"),
    ] {
        let problem = to_json(yaml.as_bytes(), 1, 1 << 20).expect_err(yaml);
        assert_eq!(problem.kind, ProblemType::InvalidDocument, "{yaml:?}: {problem}");
        assert_eq!(problem.errors[0].pointer, pointer, "{yaml:?}: {problem}");
        assert!(problem.errors[0].detail.contains(part), "{yaml:?}: {problem}");
    }
}

#[test]
fn what_is_no_yaml_is_refused_with_line_and_column() {
    for (yaml, part) in [
        ("a: [1, 2", "line 1"),
        ("a: 1\nb: {\n", "line 1"),
        ("a: *nobody", "line 11, column"),
        ("a: b: c", "line 11, column 5"),
        ("a: \"x", "line 1"),
        ("a:\n\tb: 1", "line 12"),
    ] {
        let problem = to_json(yaml.as_bytes(), 11, 1 << 20).expect_err(yaml);
        assert_eq!(problem.kind, ProblemType::NotJson, "{yaml:?}: {problem}");
        assert!(problem.detail.starts_with("this is not YAML: ") && problem.detail.contains(part), "{problem}");
    }
    let problem = to_json(b"a: 1\nb: \xff", 1, 100).unwrap_err();
    assert!(problem.detail.contains("line 2 is not UTF-8"), "{problem}");
}

#[test]
fn aliases_are_bounded_by_what_they_become() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let problem = to_json(laughs.as_bytes(), 1, 1 << 20).unwrap_err();
    assert_eq!(problem.kind, ProblemType::DocumentTooLarge);
    // One byte less than the result is too little.
    assert!(to_json(b"[&a [x], *a]", 1, 13).is_ok());
    assert!(to_json(b"[&a [x], *a]", 1, 12).is_err());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(to_json(nested(64).as_bytes(), 1, 1 << 20).is_ok());
    for deep in [nested(65), "[".repeat(200_000), "- ".repeat(200_000), "? ".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(to_json(deep.as_bytes(), 1, 1 << 20).is_err());
    }
}

fn cut(mut text: &str) -> Vec<(&str, bool)> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let document = marks::Marks::default().advance(text.as_bytes(), true).unwrap();
        found.push((&text[..document.length], document.has_content));
        text = &text[document.length..];
    }
    found
}

#[test]
fn documents_are_told_apart_by_their_marks() {
    assert_eq!(cut("a: 1\n"), [("a: 1\n", true)]);
    assert_eq!(cut("---\na: 1\n---\nb: 2\n"), [("---\na: 1\n", true), ("---\nb: 2\n", true)]);
    assert_eq!(
        cut("# c\n%YAML 1.2\n---\na: |\n  ---\n  x\n...\n# end\n---\n"),
        [("# c\n%YAML 1.2\n---\na: |\n  ---\n  x\n...\n", true), ("# end\n---\n", false)]
    );
    assert_eq!(cut("--- a\n---b: 1\n--- # c\n"), [("--- a\n---b: 1\n", true), ("--- # c\n", false)]);
    assert_eq!(cut("a: 1\r\n---\r\nb: 2"), [("a: 1\r\n", true), ("---\r\nb: 2", true)]);
    assert_eq!(marks::Marks::default().advance(b"a: 1\n--", false), None);
    assert_eq!(marks::Marks::default().advance(b"a: 1\n---\n", false).map(|found| found.length), Some(5));
}

#[test]
fn what_yaml_does_not_have_is_refused_with_what_would_be_right() {
    for (yaml, part) in [
        (r#"a: "\ud83d\ude00""#, "`\\U0001F600`"),
        (r#""\udead""#, "send JSON as `application/json`"),
        (r#"a: "\d+""#, "write two of them, or take single quotes"),
        ("a:\tb", "write spaces in place of the tab"),
        ("{\"a\":\t1}", "write spaces in place of the tab"),
        ("a:\n\tb: 1", "write spaces in place of the tab"),
        ("a:\n  - 1\n\t- 2", "write spaces in place of the tab"),
    ] {
        let problem = to_json(yaml.as_bytes(), 1, 1 << 20).expect_err(yaml);
        assert!(
            problem.detail.starts_with("this is not YAML: ") && problem.detail.contains(part),
            "{yaml:?}: {problem}"
        );
    }
    for (yaml, expected) in
        [(r#"a: "\U0001F600""#, "{\"a\":\"😀\"}"), (r#"a: '\ud83d'"#, r#"{"a":"\\ud83d"}"#), ("a: \tb", r#"{"a":"b"}"#)]
    {
        assert_eq!(json(yaml), expected, "{yaml:?}");
    }
}

#[test]
fn what_stands_in_brackets_is_bounded_and_what_stands_in_lines_is_not() {
    let many = |piece: &str, count: usize| piece.repeat(count);
    let text = |piece: &str| format!("z: [1]\na: |\n  {}\n", many(piece, 19_000));
    for (yaml, is_taken) in [
        (format!("[{}1]", many("1,", 19_000)), true),
        (format!("[{}1]", many("1,", 21_000)), false),
        (format!("[{}1]", many("&a 1,", 11_000)), false),
        (format!("a: [[{}1]]", many("1,", 21_000)), false),
        (format!("{{{}}}", (0..11_000).map(|nth| format!("k{nth}: 1,")).collect::<String>()), false),
        (format!("[1,{{a: [{}1]}}]", many("[],", 7_000)), false),
        (format!("[{}", many("1,", 21_000)), false),
        (many("- [1, {a: b}]\n", 30_000), true),
        ((0..60_000).map(|nth| format!("k{nth}: [1]\n")).collect(), true),
        (text("1,"), true),
    ] {
        let read = to_json(yaml.as_bytes(), 1, 4 << 20);
        let kind = read.as_ref().err().map(|problem| problem.kind);
        let expected = (!is_taken).then_some(ProblemType::DocumentTooLarge);
        assert_eq!(kind, expected, "{}: {:?}", &yaml[..20], read.err());
    }
}
