//! What the route table says of itself: a table for people, and paths and schemas for programs (OpenAPI 3.1).

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::table::{Answered, In, Right, Route};
use crate::problem::Problem;

/// The media type of a refusal.
const PROBLEM: &str = "application/problem+json";

/// Where the schemas stand that others refer to.
const SCHEMAS: &str = "/components/schemas";

/// The paths of the routes and the schemas that they refer to, as OpenAPI 3.1 has them under `paths` and `components`.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// By path and method.
    pub paths: Map<String, Value>,
    /// By name.
    pub schemas: Map<String, Value>,
}

/// Describes routes for programs.
pub fn describe(routes: &[Route]) -> Described {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|it| it.definitions_path = SCHEMAS.into());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let methods = paths.entry(route.path.to_string()).or_insert_with(|| json!({}));
        methods[route.method.word().to_ascii_lowercase()] = operation(route, &mut generator);
    }
    Described { paths, schemas: generator.take_definitions(true) }
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "summary": route.about,
        "parameters": parameters(route),
        "responses": responses(route, generator),
        "x-requires": requires(&route.right),
    });
    if !route.takes.is_empty() {
        let content: Map<_, _> = route.takes.iter().map(|media| ((*media).to_owned(), json!({}))).collect();
        operation["requestBody"] = json!({"content": content});
    }
    operation
}

fn requires(right: &Right) -> Value {
    match right {
        Right::None => Value::Null,
        Right::Publish(None) => "publish".into(),
        Right::Publish(Some(stream)) => json!({"publish": stream}),
        Right::Read => "read".into(),
        Right::Operate => "operate".into(),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let text = || json!({"type": "string"});
    let of_path =
        route.path_parameters().map(|name| json!({"name": name, "in": "path", "required": true, "schema": text()}));
    let others = route.parameters.iter().map(|parameter| {
        let place = if parameter.place == In::Query { "query" } else { "header" };
        json!({"name": parameter.name, "in": place, "description": parameter.about, "schema": text()})
    });
    // OpenAPI's way to say that any other name may stand in the query.
    let any = route.takes_any.then(|| {
        let names = json!({"type": "object", "additionalProperties": text()});
        json!({"name": "others", "in": "query", "style": "form", "explode": true, "schema": names})
    });
    of_path.chain(others).chain(any).collect()
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses = Map::new();
    let mut add = |status: u16, media_type: &str, schema: Value, about: &str| {
        let response =
            responses.entry(status.to_string()).or_insert_with(|| json!({"description": about, "content": {}}));
        // Several under one status: the answer is one of them.
        match response["content"][media_type]["schema"].take() {
            Value::Null => response["content"][media_type] = json!({"schema": schema}),
            // Two problems have one schema.
            known if known == schema => response["content"][media_type] = json!({"schema": known}),
            Value::Object(mut one) if one.contains_key("anyOf") => {
                let known = one["anyOf"].as_array_mut().filter(|known| !known.contains(&schema));
                known.into_iter().for_each(|known| known.push(schema.clone()));
                response["content"][media_type] = json!({"schema": one});
            }
            other => response["content"][media_type] = json!({"schema": {"anyOf": [other, schema]}}),
        }
    };
    for Answered { status, media_type, schema } in &route.answers {
        let schema = match schema {
            Some(schema) => schema(generator).to_value(),
            None => json!({"type": "string"}),
        };
        add(*status, media_type, schema, &route.about);
    }
    for kind in route.refuses {
        add(kind.status(), PROBLEM, generator.subschema_for::<Problem>().to_value(), kind.title());
    }
    responses
}

/// The routes as a table of docs/http.md.
pub fn table(routes: &[Route]) -> String {
    let mut text = String::from("| route | what | takes | answers | refuses with |\n|---|---|---|---|---|\n");
    for route in routes {
        let names = route.parameters.iter().map(|parameter| match parameter.place {
            In::Query => format!("`?{}=`", parameter.name),
            In::Header => format!("`{}`", parameter.name),
        });
        let any = route.takes_any.then(|| "any `?COLUMN=`".to_owned());
        let media = route.takes.iter().map(|media| format!("`{media}`"));
        let takes: Vec<_> = media.chain(names).chain(any).collect();
        let mut answers: Vec<_> = route.answers.iter().map(Answered::words).collect();
        answers.dedup();
        let mut refuses: Vec<_> = route.refuses.iter().map(|kind| format!("`{}`", kind.name())).collect();
        refuses.sort();
        text.push_str(&format!(
            "| `{} {}` | {} | {} | {} | {} |\n",
            route.method.word(),
            route.path,
            route.about,
            takes.join(", "),
            answers.join(", "),
            refuses.join(", "),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;
    use crate::http::table::Method;

    /// Every `$ref` in a description.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(elements) => elements.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_described_with_schemas_that_are_there() {
        let mut routes = routes::fixed();
        routes.extend(routes::of_health());
        routes.push(routes::front());
        let described = describe(&routes);
        for route in &routes {
            let operation = &described.paths[&*route.path][route.method.word().to_ascii_lowercase()];
            assert_ne!(operation["summary"], "", "{}", route.path);
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("200"), "{}", route.path);
            for Answered { status, media_type, .. } in &route.answers {
                assert!(responses[&status.to_string()]["content"][media_type]["schema"].is_object(), "{}", route.path);
            }
            for kind in route.refuses {
                let content = &responses[&kind.status().to_string()]["content"];
                assert_eq!(content[PROBLEM]["schema"]["$ref"], "#/components/schemas/Problem", "{}", route.path);
            }
            let is_told = |name: &str| {
                operation["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == name)
            };
            assert!(route.path_parameters().all(is_told), "{}", route.path);
            assert!(route.parameters.iter().all(|parameter| is_told(parameter.name)), "{}", route.path);
        }
        let mut found = Vec::new();
        references(&Value::Object(described.paths.clone()), &mut found);
        references(&Value::Object(described.schemas.clone()), &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(described.schemas.contains_key(name), "{reference}");
        }
        let members = described.schemas.iter().flat_map(|(name, schema)| {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(move |(member, about)| (name, member, about))
        });
        for (name, member, about) in members {
            assert!(about["description"].is_string(), "{name}.{member} says nothing of itself: {about}");
        }
    }

    #[test]
    fn a_route_that_only_reads_changes_nothing_and_one_that_changes_requires_more() {
        let mut routes = routes::fixed();
        routes.extend(routes::of_health());
        for route in routes {
            let is_changing = matches!(route.right, Right::Publish(_) | Right::Operate);
            let is_question = route.path.starts_with("/api/v1/query_");
            assert_eq!(is_changing, route.method != Method::Get && !is_question, "{}", route.path);
        }
    }
}
