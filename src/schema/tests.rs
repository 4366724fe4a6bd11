//! Schemas of every draft, in one file and in several; broken ones, and what is said of them.

use std::collections::HashMap;

use super::*;
use crate::json::{Json, Kind, Path, Reader};
use crate::judgement::Rules;

fn tree<'a>(reader: &mut Reader<'a>) -> Tree<'a> {
    let judged = &mut crate::json::Judged;
    match reader.peek().unwrap() {
        Kind::Array => {
            let mut elements = Vec::new();
            reader.begin_array().unwrap();
            while reader.next_element().unwrap() {
                elements.push(tree(reader));
            }
            Tree::Array(elements)
        }
        Kind::Object => {
            let mut members = Vec::new();
            reader.begin_object().unwrap();
            while let Some(name) = reader.next_member().unwrap() {
                members.push((name, tree(reader)));
            }
            Tree::Object(members)
        }
        _ => Tree::leaf(reader.value(&Path::ROOT, judged).unwrap_or(Json::Null)),
    }
}

fn compile_files(files: &[(&str, &str)], asserts_formats: bool) -> Result<Schema, BrokenSchema> {
    let files: HashMap<String, String> =
        files.iter().map(|(name, text)| (format!("/schemas/{name}"), (*text).to_owned())).collect();
    let read: ReadFile = Arc::new(move |path: &str| files.get(path).cloned().ok_or(format!("there is no {path}")));
    Schema::compile("/schemas/person.json", asserts_formats, read)
}

#[track_caller]
fn compile(text: &str) -> Schema {
    compile_files(&[("person.json", text)], false).unwrap()
}

/// Pointers and sentences.
fn violations(schema: &Schema, document: &str) -> Vec<(String, String)> {
    let rules = Rules::default();
    let mut judge = Judge::new(&rules);
    schema.judge(document, &tree(&mut Reader::new(document)), &mut judge);
    judge.into_problem().errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
}

#[track_caller]
fn check(schema: &Schema, document: &str, expected: &[(&str, &str)]) {
    let found = violations(schema, document);
    let found: Vec<_> = found.iter().map(|(pointer, detail)| (pointer.as_str(), detail.as_str())).collect();
    assert_eq!(found, expected, "{document}");
}

#[test]
fn every_violation_names_its_place_in_the_document_and_in_the_schema() {
    let schema = compile(
        r#"{"type":"object","required":["name"],"additionalProperties":false,"properties":{
            "name":{"type":"string","minLength":2,"pattern":"^[a-z]+$"},"age":{"type":"integer","minimum":0},
            "tags":{"type":"array","items":{"enum":["a","b"]},"uniqueItems":true,"maxItems":3}}}"#,
    );
    check(&schema, r#"{"name":"george","age":24.0,"tags":["a","b"]}"#, &[]);
    check(
        &schema,
        r#"{"age":-1.5,"tags":["a","c"],"x":1}"#,
        &[
            ("/age", "-1.5 is not of type integer (person.json#/properties/age/type)"),
            ("/age", "-1.5 is less than 0 (person.json#/properties/age/minimum)"),
            ("/tags/1", "\"c\" is not one of [\"a\",\"b\"] (person.json#/properties/tags/items/enum)"),
            ("", "\"x\" is not allowed here (person.json#/additionalProperties)"),
            ("", "\"name\" is missing (person.json#/required)"),
        ],
    );
    check(&schema, "5", &[("", "5 is not of type object (person.json#/type)")]);
    assert_eq!(violations(&schema, r#"{"name":"G","tags":["a","a","b","b"]}"#).len(), 4);
}

#[test]
fn numbers_are_judged_by_all_their_digits() {
    let schema = compile(r#"{"maximum": 12345678901234567890.5, "multipleOf": 0.1}"#);
    for (number, count) in
        [("12345678901234567890.5", 0), ("12345678901234567890.6", 1), ("0.3", 0), ("0.35", 1), ("1e400", 1)]
    {
        assert_eq!(violations(&schema, number).len(), count, "{number}");
    }
    let integer = compile(r#"{"type":"integer"}"#);
    for (number, count) in
        [("1.0", 0), ("1e2", 0), ("1e-2", 1), ("123456789012345678901234567890", 0), ("1e999999999", 0)]
    {
        assert_eq!(violations(&integer, number).len(), count, "{number}");
    }
}

#[test]
fn the_draft_is_the_one_that_the_schema_names() {
    for (draft, keyword, document, count) in [
        // In draft 4 `exclusiveMinimum` is a remark to `minimum`, and 1.0 is not written as an integer.
        ("http://json-schema.org/draft-04/schema#", r#""minimum":1,"exclusiveMinimum":true"#, "1", 1),
        ("http://json-schema.org/draft-04/schema#", r#""type":"integer""#, "1.0", 1),
        ("http://json-schema.org/draft-06/schema#", r#""exclusiveMinimum":1"#, "1", 1),
        ("http://json-schema.org/draft-07/schema#", r#""if":{"type":"string"},"then":false"#, "\"x\"", 1),
        ("https://json-schema.org/draft/2019-09/schema", r#""dependentRequired":{"a":["b"]}"#, r#"{"a":1}"#, 1),
        ("https://json-schema.org/draft/2020-12/schema", r#""prefixItems":[{"type":"string"}]"#, "[1]", 1),
        ("http://json-schema.org/draft-07/schema#", r#""prefixItems":[{"type":"string"}]"#, "[1]", 0),
    ] {
        let schema = compile(&format!(r#"{{"$schema":"{draft}",{keyword}}}"#));
        assert_eq!(violations(&schema, document).len(), count, "{draft} {keyword}");
    }
}

#[test]
fn formats_are_asserted_when_that_is_asked_for() {
    for draft in ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"] {
        let text = format!(r#"{{"$schema":"{draft}","format":"date-time"}}"#);
        for (asserts, count) in [(false, 0), (true, 1)] {
            let schema = compile_files(&[("person.json", &text)], asserts).unwrap();
            assert_eq!(violations(&schema, "\"yesterday\"").len(), count, "{draft} {asserts}");
        }
    }
}

#[test]
fn references_lead_to_files_beside_and_round_in_circles() {
    let files = [
        (
            "person.json",
            r##"{"$id":"https://example.com/s/person.json","properties":{"home":{"$ref":"parts/address.json"},"friend":{"$ref":"#"}}}"##,
        ),
        (
            "parts/address.json",
            r##"{"properties":{"city":{"$ref":"../city.json#/$defs/name"},"owner":{"$ref":"../person.json"}}}"##,
        ),
        ("city.json", r#"{"$defs":{"name":{"type":"string"}}}"#),
    ];
    let schema = compile_files(&files, false).unwrap();
    check(&schema, r#"{"home":{"city":"Oslo","owner":{"home":{"city":"Bergen"}}},"friend":{"friend":{}}}"#, &[]);
    let found = violations(&schema, r#"{"home":{"owner":{"home":{"city":5}}}}"#);
    assert_eq!(found[0].0, "/home/owner/home/city");
    assert!(found[0].1.ends_with("city.json#/$defs/name/type)"), "{found:?}");
    let files = [("person.json", r#"{"$ref":"other.json"}"#), ("other.json", r#"{"$ref":"person.json"}"#)];
    assert!(violations(&compile_files(&files, false).unwrap(), r#"{"a":[1]}"#).is_empty());
    assert!(violations(&compile(r##"{"$ref":"#"}"##), r#"{"a":[1]}"#).is_empty());
    assert!(violations(&compile(r##"{"allOf":[{"$ref":"#/allOf/0"}]}"##), "1").is_empty());
}

#[test]
fn a_broken_schema_is_refused_with_file_and_place() {
    for (files, file, pointer, part) in [
        (&[("person.json", "{")][..], "person.json", "", "it is not JSON: the text ends inside an object"),
        (&[("person.json", "5")], "person.json", "", "a schema is an object"),
        (&[("person.json", r#"{"type":1}"#)], "person.json", "/type", "1"),
        (&[("person.json", r#"{"properties":{"a":{"minimum":"x"}}}"#)], "person.json", "/properties/a/minimum", "x"),
        (&[("person.json", r#"{"a":1,"a":2}"#)], "person.json", "/a", "twice"),
        (&[("person.json", r#"{"properties":{"a":{"pattern":"("}}}"#)], "person.json", "/properties/a/pattern", ""),
        (&[("person.json", r##"{"items":{"$ref":"#/$defs/x"}}"##)], "person.json", "/items/$ref", "/$defs/x"),
        (&[("person.json", r#"{"items":{"$ref":"x.json"}}"#)], "person.json", "/items/$ref", "there is no"),
        (
            &[("person.json", r#"{"items":{"$ref":"https://example.com/x.json"}}"#)],
            "person.json",
            "/items/$ref",
            "nothing is, from the network",
        ),
        (&[("person.json", r#"{"items":{"$ref":"x.json"}}"#), ("x.json", r#"{"type":1}"#)], "x.json", "/type", "1"),
        (&[("person.json", r#"{"$schema":"https://example.com/mine"}"#)], "person.json", "/$schema", "mine"),
        (&[], "person.json", "", "there is no"),
    ] {
        let broken = compile_files(files, false).expect_err(&format!("{files:?}"));
        assert_eq!((broken.file.as_str(), broken.pointer.as_str()), (file, pointer), "{files:?}: {broken}");
        assert!(broken.what.contains(part), "{files:?}: {broken}");
    }
}

#[test]
fn violations_without_end_cost_little() {
    let schema =
        compile(r##"{"anyOf":[{"items":{"$ref":"#"},"type":"array"},{"type":"string"}],"items":{"type":"null"}}"##);
    let many = format!("[{}]", vec!["[[[1]]]"; 50_000].join(","));
    let begin = std::time::Instant::now();
    assert_eq!(violations(&schema, &many).len(), 50);
    assert!(begin.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_pattern_that_takes_too_long_is_a_violation_at_its_place_whatever_keyword_has_it() {
    const SLOW: &str = r"^(?:(?!admin)\\w+[-.]?)+$";
    let text = "customer-relations-department@example.com";
    let on = |found: &str| format!("the pattern takes too long on {found}");
    let (quoted, inside) = (on(r#""customer-relations-department@example.co…""#), on("a text in an object"));
    for (schema, document, pointer, sentence) in [
        (r#"{"properties":{"user":{"pattern":"SLOW"}}}"#, r#"{"user":"TEXT"}"#, "/user", &quoted),
        (r#"{"pattern":"SLOW"}"#, r#""TEXT""#, "", &quoted),
        (r#"{"items":{"pattern":"SLOW"}}"#, r#"["a",["b"],"TEXT"]"#, "/2", &quoted),
        (
            r#"{"prefixItems":[true,{"properties":{"a/b":{"pattern":"SLOW"}}}]}"#,
            r#"[1,{"a/b":"TEXT"}]"#,
            "/1/a~1b",
            &quoted,
        ),
        (
            r##"{"$defs":{"n":{"pattern":"SLOW"}},"properties":{"u":{"$ref":"#/$defs/n"}}}"##,
            r#"{"u":"TEXT"}"#,
            "/u",
            &quoted,
        ),
        (r#"{"allOf":[{"properties":{"u":{"pattern":"SLOW"}}}]}"#, r#"{"u":"TEXT"}"#, "/u", &quoted),
        (r#"{"dependentSchemas":{"u":{"properties":{"u":{"pattern":"SLOW"}}}}}"#, r#"{"u":"TEXT"}"#, "/u", &quoted),
        (r#"{"dependencies":{"u":{"properties":{"u":{"pattern":"SLOW"}}}}}"#, r#"{"u":"TEXT"}"#, "/u", &quoted),
        (r#"{"if":true,"then":{"properties":{"u":{"pattern":"SLOW"}}}}"#, r#"{"u":"TEXT"}"#, "/u", &quoted),
        (r#"{"additionalProperties":{"pattern":"SLOW"}}"#, r#"{"u":"TEXT"}"#, "/u", &quoted),
        (r#"{"unevaluatedProperties":{"pattern":"SLOW"}}"#, r#"{"u":"TEXT"}"#, "", &inside),
        (r#"{"unevaluatedItems":{"pattern":"SLOW"}}"#, r#"["TEXT"]"#, "", &on("a text in an array")),
        (r#"{"properties":{"o":{"propertyNames":{"pattern":"SLOW"}}}}"#, r#"{"o":{"TEXT":1}}"#, "/o", &inside),
        (
            r#"{"properties":{"o":{"patternProperties":{"SLOW":{"type":"null"}}}}}"#,
            r#"{"o":{"TEXT":1}}"#,
            "/o",
            &inside,
        ),
        (r#"{"patternProperties":{"SLOW":true},"additionalProperties":false}"#, r#"{"TEXT":1}"#, "", &inside),
        (
            r#"{"properties":{"q":true},"patternProperties":{"SLOW":{"type":"null"}},"additionalProperties":{"type":"text"}}"#,
            r#"{"TEXT":1}"#,
            "",
            &inside,
        ),
        (r#"{"patternProperties":{"SLOW":true},"unevaluatedProperties":false}"#, r#"{"TEXT":1}"#, "", &inside),
        (r#"{"not":{"properties":{"u":{"pattern":"SLOW"}}}}"#, r#"{"u":"TEXT"}"#, "", &inside),
        (r#"{"contains":{"pattern":"SLOW"}}"#, r#"["TEXT"]"#, "", &on("a text in an array")),
        (r#"{"if":{"properties":{"u":{"pattern":"SLOW"}}},"then":false}"#, r#"{"u":"TEXT"}"#, "", &inside),
        (r#"{"oneOf":[{"properties":{"u":{"pattern":"SLOW"}}},{"type":"object"}]}"#, r#"{"u":"TEXT"}"#, "", &inside),
        // Members with one name: each is looked into.
        (
            r#"{"properties":{"a":{"properties":{"u":{"pattern":"SLOW"}}}}}"#,
            r#"{"a":{"u":"TEXT"},"a":1}"#,
            "/a/u",
            &quoted,
        ),
        (
            r#"{"properties":{"u":{"pattern":"(a*)*b\\1"}}}"#,
            r#"{"u":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
            "/u",
            &on(r#""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa""#),
        ),
    ] {
        let schema = compile(&schema.replace("SLOW", SLOW).replace(r#""type":"text""#, r#""type":"string""#));
        let found = violations(&schema, &document.replace("TEXT", text));
        let places: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(places, [pointer], "{document}: {found:?}");
        assert!(found[0].1.starts_with(sentence.as_str()), "{document}: {found:?}");
    }
}

#[test]
fn a_pattern_that_takes_too_long_hides_no_violation_that_is_certain() {
    let schema =
        compile(r#"{"required":["name"],"properties":{"u":{"pattern":"^(?:(?!x)\\w+[-.]?)+$","maxLength":3}}}"#);
    let found = violations(&schema, r#"{"u":"customer-relations-department@example.com"}"#);
    let sentences: Vec<_> = found.iter().map(|(_, sentence)| sentence.as_str()).collect();
    assert!(sentences.iter().any(|sentence| sentence.starts_with("\"name\" is missing")), "{found:?}");
    assert!(sentences.iter().any(|sentence| sentence.contains("more than 3 characters")), "{found:?}");
}

#[test]
fn types_of_columns_are_told_from_the_schema() {
    let schema = compile_files(
        &[
            (
                "person.json",
                r##"{"properties":{"age":{"type":["integer","null"]},"height":{"type":"number"},"ok":{"type":"boolean"},
                    "name":{"type":"string"},"born":{"type":"string","format":"date"},"id":{"$ref":"#/$defs/id"},
                    "at":{"anyOf":[{"type":"string","format":"date-time"},{"type":"null"}]},"mixed":{"type":["string","integer"]},
                    "tags":{"type":"array","items":{"type":"string"}},"home":{"$ref":"home.json"},"kind":{"enum":["a","b"]},
                    "open":{}},
                    "$defs":{"id":{"type":"string","format":"uuid"},"loop":{"$ref":"#/$defs/loop"}}}"##,
            ),
            ("home.json", r#"{"allOf":[{"properties":{"city":{"type":"string"},"floor":{"const":1}}}]}"#),
        ],
        false,
    )
    .unwrap();
    for (pointer, expected) in [
        ("/age", Some("bigint")),
        ("/height", Some("numeric")),
        ("/ok", Some("boolean")),
        ("/name", Some("text")),
        ("/born", Some("date")),
        ("/id", Some("uuid")),
        ("/at", Some("timestamptz")),
        ("/mixed", Some("jsonb")),
        ("/tags", Some("jsonb")),
        ("/tags/0", Some("text")),
        ("/home/city", Some("text")),
        ("/home/floor", Some("bigint")),
        ("/kind", Some("text")),
        ("/open", None),
        ("/nobody", None),
    ] {
        assert_eq!(schema.column_type(pointer), expected, "{pointer}");
    }
}

#[test]
fn formats_that_are_not_checked_are_refused_where_they_are_a_rule() {
    for (schema, place) in [
        (r#"{"format":"idn-hostname"}"#, Some("/format")),
        (r#"{"properties":{"m":{"anyOf":[{"format":"idn-email"}]}}}"#, Some("/properties/m/anyOf/0/format")),
        (r#"{"properties":{"format":{"const":"idn-email"}},"enum":[{"format":"idn-email"}]}"#, None),
        (r#"{"format":"email"}"#, None),
    ] {
        let files = [("person.json", schema)];
        assert!(compile_files(&files, false).is_ok(), "{schema}");
        let asserted = compile_files(&files, true).map(drop);
        assert_eq!(asserted.as_ref().err().map(|broken| broken.pointer.as_str()), place, "{schema}");
        if let Err(broken) = asserted {
            assert!(broken.what.contains("is not checked by this version"), "{broken}");
        }
    }
}

#[test]
fn metaschemas_beside_the_file_are_obeyed_and_unknown_ones_named() {
    const OWN: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://example.com/meta/own",
        "allOf":[{"$ref":"https://json-schema.org/draft/2020-12/schema"}],"required":["title"]}"#;
    const OLD: &str = r#"{"$schema":"http://json-schema.org/draft-07/schema#","allOf":[{"$ref":"http://json-schema.org/draft-07/schema#"}]}"#;
    const ON_OWN: &str = r#"{"$schema":"own.json","allOf":[{"$ref":"own.json"}],"title":"t","maxProperties":3}"#;
    let person = |schema: &str, rest: &str| format!(r#"{{"$schema":"{schema}"{rest}}}"#);
    for (name, schema, rest, meta, expected) in [
        ("a URI", "https://example.com/meta/own", r#","title":"t","type":"object""#, ("own.json", OWN), None),
        ("a file", "own.json", r#","title":"t""#, ("own.json", OWN), None),
        ("its rule", "./own.json", r#","type":"object""#, ("own.json", OWN), Some(("", "title"))),
        ("the draft's rule", "own.json", r#","title":"t","type":5"#, ("own.json", OWN), Some(("/type", "5"))),
        ("an older draft", "old.json", r#","definitions":{}"#, ("old.json", OLD), None),
        (
            "another $id",
            "https://example.com/other/own",
            "",
            ("own.json", OWN),
            Some(("/$schema", "no metaschema of that name")),
        ),
        ("nothing", "https://example.com/none", "", ("own.json", OWN), Some(("/$schema", "none or none.json"))),
        ("a circle", "self.json", "", ("self.json", r#"{"$schema":"self.json"}"#), Some(("/$schema", "without end"))),
        ("no JSON", "bad.json", "", ("bad.json", "{"), Some(("/$schema", "bad.json"))),
    ] {
        let text = person(schema, rest);
        let compiled = compile_files(&[("person.json", &text), meta], false).map(drop);
        match (compiled, expected) {
            (Ok(()), None) => {}
            (Err(broken), Some((pointer, words))) => {
                assert_eq!(broken.pointer, pointer, "{name}: {broken}");
                assert!(broken.what.contains(words), "{name}: {broken}");
                assert!(!broken.what.contains("registr"), "{name}: the crate's words: {broken}");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    let stacked = person("two.json", r#","title":"t","type":"integer""#);
    let files = [("person.json", stacked.as_str()), ("two.json", ON_OWN), ("own.json", OWN)];
    let schema = compile_files(&files, false).unwrap();
    assert_eq!(violations(&schema, "\"x\"").len(), 1, "documents are judged by the draft");
    let four = person("two.json", r#","title":"t","a":1,"b":2"#);
    let broken = compile_files(&[("person.json", &four), ("two.json", ON_OWN), ("own.json", OWN)], false).unwrap_err();
    assert!(broken.what.contains("more than 3"), "{broken}");
}

#[test]
fn what_takes_long_by_a_pattern_is_given_up_in_time() {
    let schema = compile(r#"{"items":{"pattern":"(a*)*b\\1"}}"#);
    let slow = |nth: usize| format!("\"{}{nth}c\"", "a".repeat(30));
    let begin = std::time::Instant::now();
    for count in [1, 20_000] {
        let found = violations(&schema, &format!("[{}]", (0..count).map(slow).collect::<Vec<_>>().join(",")));
        let late = found.iter().any(|(_, detail)| detail.contains("takes more than"));
        assert_eq!((late, found.len()), (count > 1, 1), "{found:?}");
    }
    assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn schemas_whose_patterns_may_take_long_are_known() {
    for (schema, expected) in [
        (r#"{"pattern":"(a*)*b\\1"}"#, true),
        (r#"{"properties":{"a":{"patternProperties":{"(?!x)":true}}}}"#, true),
        (r#"{"pattern":"^(?=.*a)"}"#, true),
        (r#"{"pattern":"(?<!a)b"}"#, true),
        (r#"{"pattern":"(?<n>a)b"}"#, true),
        (r#"{"pattern":"^[a-z]+(?:\\d|\\\\)*$"}"#, false),
        (r#"{"type":"string"}"#, false),
    ] {
        assert_eq!(compile(schema).is_heavy(), expected, "{schema}");
    }
}
