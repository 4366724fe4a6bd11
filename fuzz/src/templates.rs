//! Templates and routes of actions.

use sluicegate::action::{Action, Content, Given, Method, Route, Template};
use sluicegate::json;

/// A route, a template and a value, a line each: nothing that is put in breaks out.
pub(crate) fn templates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (Some(route), Some(template), Some(value)) = (lines.next(), lines.next(), lines.next()) else { return };
    let Ok(template) = Template::parse(template) else { return };
    for source in template.sources() {
        assert!(!source.words().is_empty());
    }
    let Ok(path) = Route::parse(route) else { return };
    let _ = path.find(value, "p");
    let record = Content::Json(sluicegate::action::Node::Text(template.clone()));
    let action = Action { method: Method::Get, path, record, answer: template };
    if let Ok(filled) = action.fill(&|_| Ok(Some(Given::Text(value.to_owned())))) {
        assert!(json::check(&filled.value).is_ok(), "{}", filled.value);
    }
}
