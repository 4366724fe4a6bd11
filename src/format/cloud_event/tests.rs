//! Events as senders write them, fine and wrong.

use super::*;

#[track_caller]
fn event(text: &str) -> CloudEvent<'_> {
    match structured(text) {
        Ok(event) => event,
        Err(problem) => panic!("{text}: {problem}"),
    }
}

fn with(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{comma}{members}}}"#)
}

#[test]
fn structured_events_are_taken_apart() {
    for (members, data, within) in [
        (r#""data":{"a": 1.50}"#, r#"{"a": 1.50}"#, "/data"),
        (r#""data":"x""#, "\"x\"", "/data"),
        (r#""data":null"#, "null", "/data"),
        ("", "null", ""),
        (r#""data_base64":"eyJhIjoxfQ==","datacontenttype":"application/json""#, r#"{"a":1}"#, "/data_base64"),
        (r#""data":1,"subject":null,"time":null,"tenant":null"#, "1", "/data"),
        (r#""data":1,"datacontenttype":"Application/VND.x+JSON; Charset=\"UTF-8\"""#, "1", "/data"),
    ] {
        let text = with(members);
        let event = event(&text);
        assert_eq!((&*event.data, event.within), (data.as_bytes(), within), "{members}");
    }
    let text = with(r#""subject":"s ü","time":"2026-01-31T10:00:00.5+02:00","flag":true,"count":-7,"data":1"#);
    let headers = event(&text).headers;
    for (name, value) in [
        ("id", "1"),
        ("source", "/s"),
        ("type", "t"),
        ("specversion", "1.0"),
        ("subject", "s ü"),
        ("time", "2026-01-31T10:00:00.5+02:00"),
        ("flag", "true"),
        ("count", "-7"),
    ] {
        assert_eq!(headers.attribute(name), Some(value), "{name}");
    }
}

#[test]
fn events_that_are_none_are_refused_with_all_that_is_wrong() {
    for (text, pointers) in [
        ("5".to_owned(), &[""][..]),
        ("{}".to_owned(), &["", "", "", ""]),
        (r#"{"specversion":"1.0","id":"","source":null,"type":5}"#.to_owned(), &["/id", "/type", ""]),
        (with("").replace("1.0", "0.3"), &["/specversion"]),
        (with("").replace("\"1\"", "1"), &["/id"]),
        (with(r#""subject":"""#), &["/subject"]),
        (with(r#""dataschema":"""#), &["/dataschema"]),
        (with(r#""datacontenttype":"""#), &["/datacontenttype"]),
        (with(r#""datacontenttype":"json""#), &["/datacontenttype"]),
        (with(r#""subject":5"#), &["/subject"]),
        (with(r#""time":"2026-01-31 10:00:00Z""#), &["/time"]),
        (with(r#""my_ext":"x","Ext":"y","":"z""#), &["/my_ext", "/Ext", "/"]),
        (with(r#""ext":{},"float":1.5,"long":2147483648"#), &["/ext", "/float", "/long"]),
        (with(r#""data":1,"data_base64":"MQ==""#), &["/data_base64"]),
        (with(r#""data_base64":"?""#), &["/data_base64"]),
        (with(r#""data_base64":1"#), &["/data_base64"]),
        (with(r#""subject":"a\nb""#), &["/subject"]),
        (with(r#""id":"2""#), &["/id", "/id"]),
    ] {
        let problem = structured(&text).expect_err(&text);
        let found: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(found, pointers, "{text}: {problem}");
    }
    for media in ["text/plain", "application/xml", "application/json; charset=latin1"] {
        let problem = structured(&with(&format!(r#""data":"x","datacontenttype":"{media}""#))).unwrap_err();
        assert_eq!(problem.kind, ProblemType::UnsupportedMediaType, "{media}");
    }
}

#[test]
fn attributes_in_headers_are_decoded() {
    for (value, expected) in [
        ("plain", Some("plain")),
        ("a%20b%22%25%C3%BC", Some("a b\"%ü")),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", Some("Euro € 😀")),
        ("\"a \\\"b\\\" c\"", Some("a \"b\" c")),
        ("100%", Some("100%")),
        ("ü", Some("ü")),
        ("%FF", None),
    ] {
        assert_eq!(text::header(value.as_bytes()).as_deref(), expected, "{value}");
    }
    let headers = [("id", "1"), ("source", "/s"), ("type", "t"), ("specversion", "1.0"), ("tenant", "a%20b")];
    let pairs = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let found = binary(pairs.clone(), Some("application/json; charset=utf-8")).unwrap();
    assert_eq!(found.attribute("tenant"), Some("a b"));
    assert_eq!(found.attribute("datacontenttype"), Some("application/json; charset=utf-8"));
    let wrong = [("subject", &b""[..]), ("my-ext", b"x"), ("id", b"2"), ("datacontenttype", b"a/b"), ("x", b"%FF")];
    assert_eq!(binary(pairs.chain(wrong), None).unwrap_err().errors.len(), 5);
}

#[test]
fn times_are_strictly_those_of_rfc_3339() {
    for time in [
        "2026-01-31T10:00:00Z",
        "2024-02-29t23:59:60.123456789z",
        "2026-12-01T00:00:00-23:59",
        "0000-01-01T00:00:00.0+00:00",
    ] {
        assert!(text::is_rfc3339(time), "{time}");
    }
    for time in [
        "",
        "2026-01-31",
        "2026-01-31T10:00:00",
        "2026-01-31T10:00Z",
        "2026-01-31 10:00:00Z",
        "2026-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-01-00T10:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T10:00:60Z",
        "2026-01-31T10:00:00.Z",
        "2026-01-31T10:00:00+0200",
        "2026-01-31T10:00:00+24:00",
        "2026-01-31T10:00:00ZZ",
        "26-01-31T10:00:00Z",
        "2026-01-31T10:00:00é",
        "+026-01-31T10:00:00Z",
        "Sat, 31 Jan 2026 10:00:00 GMT",
    ] {
        assert!(!text::is_rfc3339(time), "{time}");
    }
}

#[test]
fn batches_are_arrays_of_events() {
    assert_eq!(batch(" [ ] ").unwrap(), [] as [&str; 0]);
    assert_eq!(batch("[{\"a\":[1]}, 2]").unwrap(), ["{\"a\":[1]}", "2"]);
    assert_eq!(batch("{}").unwrap_err().kind, ProblemType::InvalidDocument);
    assert_eq!(batch("[{}").unwrap_err().kind, ProblemType::NotJson);
    assert_eq!(batch("[] x").unwrap_err().kind, ProblemType::NotJson);
}
