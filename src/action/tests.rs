//! What templates take, and that nothing breaks out of them.

use super::*;

fn taken(source: Source) -> Part<Taken> {
    Part::Value(Taken { source, is_number: false, default: None })
}

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

/// A text that would break out, were it put in as it is.
const NASTY: &str = "\",\"admin\":true,\"x\":\"\\\u{0}\n{path.item}";

/// The body of a request.
const BODY: &str = r#"{"n":1.50,"s":"a\"b","o":{"x":[1]},"z":null,"t":true,"d":"12"}"#;

fn given(source: &Source) -> Result<Option<Given>, String> {
    let text = |text: &str| Ok(Some(Given::Text(text.to_owned())));
    match source {
        Source::Query(name) if name == "nasty" => text(NASTY),
        Source::Query(name) if name == "user" => text("george"),
        Source::Query(name) if name == "price" => text("17.50"),
        Source::Address => text("127.0.0.1"),
        Source::Time => text("2026-01-02T03:04:05Z"),
        Source::Body(pointer) => {
            let body: serde_json::Value = serde_json::from_str(BODY).unwrap();
            Ok(body.pointer(pointer).map(|value| match value {
                serde_json::Value::String(text) => Given::Text(text.clone()),
                other => Given::Json(other.to_string()),
            }))
        }
        _ => Ok(None),
    }
}

fn action(record: Content) -> Action {
    let path = Route::parse("/buy/{item}").unwrap();
    Action { method: Method::Get, path, record, answer: template("Hello {query.user}!") }
}

#[test]
fn templates_are_read() {
    let table: [(&str, &[Part<Taken>]); 6] = [
        ("plain", &[Part::Fixed("plain".into())]),
        ("", &[Part::Fixed(String::new())]),
        ("{query.user}", &[taken(Source::Query("user".into()))]),
        ("a{{b}}c", &[Part::Fixed("a{b}c".into())]),
        ("{header.X-Y}!", &[taken(Source::Header("x-y".into())), Part::Fixed("!".into())]),
        ("{{{address}}}", &[Part::Fixed("{".into()), taken(Source::Address), Part::Fixed("}".into())]),
    ];
    for (text, expected) in table {
        assert_eq!(template(text).0, expected, "{text}");
    }
    for text in [
        "{",
        "}",
        "a{b",
        "{}",
        "{query}",
        "{query.}",
        "{body.x}",
        "{body/a~b}",
        "{bodyx}",
        "{number}",
        "{number query.n:-x}",
        "{header.a b}",
        "{adress}",
        "}{",
    ] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_template_cannot_be_broken_out_of() {
    let member = |name: &str, text: &str| (name.to_owned(), Node::Text(template(text)));
    let node = Node::Object(vec![member("a\"b", "<{query.nasty}>"), member("n", "{query.user}")]);
    let filled = action(Content::Json(node)).fill(&given).unwrap();
    let value: serde_json::Value = serde_json::from_str(&filled.value).unwrap();
    let nasty = NASTY;
    assert_eq!(value, serde_json::json!({"a\"b": format!("<{nasty}>"), "n": "george"}));
    assert_eq!(filled.answer, "Hello george!");
}

#[test]
fn everything_that_is_missing_is_named_once_and_where_it_is_wanted() {
    let list = Node::List(vec![
        Node::Fixed("1".into()),
        Node::Text(template("{header.x}")),
        Node::Text(template("{header.x}{query.b}")),
    ]);
    let node = Node::Object(vec![("a/b".into(), list)]);
    let violations = action(Content::Json(node)).fill(&given).unwrap_err();
    let found: Vec<_> = violations.iter().map(|found| (found.pointer.as_str(), found.detail.as_str())).collect();
    let expected = [("/a~1b/1", "the header `x` is missing"), ("/a~1b/2", "the query parameter `b` is missing")];
    assert_eq!(found, expected);
}

/// What a JSON template of one text comes to, or what is wrong with it.
fn made(text: &str) -> Result<String, String> {
    let filled = action(Content::Json(Node::Object(vec![("v".into(), Node::Text(template(text)))]))).fill(&given);
    filled
        .map(|filled| filled.value)
        .map_err(|violations| format!("{}: {}", violations[0].pointer, violations[0].detail))
}

#[test]
fn values_are_put_in_as_what_they_are() {
    for (text, expected) in [
        ("{time}", r#"{"v":"2026-01-02T03:04:05Z"}"#),
        ("{query.user:-nobody}", r#"{"v":"george"}"#),
        ("{query.none:-nobody}", r#"{"v":"nobody"}"#),
        ("{query.none:-}", r#"{"v":""}"#),
        ("{query.none:-a\"b}", r#"{"v":"a\"b"}"#),
        ("{number query.price}", r#"{"v":17.50}"#),
        ("{number query.none:-0}", r#"{"v":0}"#),
        ("{query.price}", r#"{"v":"17.50"}"#),
        ("{number query.price} EUR", r#"{"v":"17.50 EUR"}"#),
        ("{body/n}", r#"{"v":1.50}"#),
        ("{body/s}", r#"{"v":"a\"b"}"#),
        ("{body/o}", r#"{"v":{"x":[1]}}"#),
        ("{body/o/x/0}", r#"{"v":1}"#),
        ("{body/z}", r#"{"v":null}"#),
        ("{body/z:-0}", r#"{"v":"0"}"#),
        ("{body/t}", r#"{"v":true}"#),
        ("<{body/s}{body/n}{body/t}>", r#"{"v":"<a\"b1.50true>"}"#),
        ("{number body/d}", r#"{"v":12}"#),
        ("{number body/none:--1}", r#"{"v":-1}"#),
    ] {
        assert_eq!(made(text).as_deref(), Ok(expected), "{text}");
    }
    for (text, words) in [
        ("{number query.user}", "/v: the query parameter `user` is no number"),
        ("{number query.nasty}", "/v: the query parameter `nasty` is no number"),
        ("{number body/o}", "/v: the body's `/o` is an array or an object, where text is wanted"),
        ("<{body/o}>", "/v: the body's `/o` is an array or an object, where text is wanted"),
        ("<{body/z}>", "/v: the body's `/z` is null, where text is wanted"),
        ("{body/none}", "/v: the body's `/none` is missing"),
    ] {
        assert_eq!(made(text), Err(words.to_owned()), "{text}");
    }
    assert!(made("{body}").unwrap().contains(r#""o":{"x":[1]}"#));
    for number in ["0", "-1", "1e5", "1.50", "123456789012345678901234567890.5"] {
        assert!(is_number(number), "{number}");
    }
    for other in ["", " 1", "1 ", "01", "+1", "1.", ".5", "0x1", "NaN", "1,2", "1\n", "null", "\"1\""] {
        assert!(!is_number(other), "{other}");
    }
}

#[test]
fn what_a_template_may_hold_is_known_before() {
    let node = Node::Object(vec![
        ("a".into(), Node::Object(vec![("b/c".into(), Node::Text(template("{query.x}")))])),
        ("l".into(), Node::List(vec![Node::Fixed("1".into())])),
        ("body".into(), Node::Text(template("{body/x}"))),
        ("n".into(), Node::Text(template("{number body/x}"))),
    ]);
    for (pointer, expected) in [
        ("/a", true),
        ("/a/b~1c", true),
        ("/a/b", false),
        ("/a/b~1c/d", false),
        ("/l/0", true),
        ("/l/1", false),
        ("/l/x", false),
        ("/body/whatever/1", true),
        ("/n", true),
        ("/n/x", false),
        ("/none", false),
    ] {
        assert_eq!(node.may_hold(pointer), expected, "{pointer}");
    }
}
