//! A document as a tree, for judges that must see the whole of it at once.
//!
//! Texts and digits borrow from the document. It is made by whoever walks over the text; nothing here reads.

use std::borrow::Cow;

use super::Json;

/// A JSON value with everything in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Tree<'a> {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// The digits of a number, exactly as written.
    Number(&'a str),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// The elements of an array.
    Array(Vec<Tree<'a>>),
    /// The members of an object, in their order.
    Object(Vec<(Cow<'a, str>, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// A value that holds no other; arrays and objects are put together by whoever reads them.
    pub fn leaf(json: Json<'a>) -> Self {
        match json {
            Json::Boolean(value) => Tree::Boolean(value),
            Json::Number(digits) => Tree::Number(digits),
            Json::Text(text) => Tree::Text(text),
            Json::Null | Json::Array(_) | Json::Object(_) => Tree::Null,
        }
    }
}
