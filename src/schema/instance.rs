//! A document's tree as the schema crate sees it, so that a document is parsed once, and by our own reader.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::time::Duration;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, NodeIdentity, Object, cmp, unique};
use serde_json::{Map, Value};

use crate::clock;
use crate::json::Tree;

/// Names the representation.
#[derive(Debug)]
pub(super) struct Instance;

/// How long a document may be judged, and how much may be said of it. Beyond, containers look empty, so that the search
/// ends soon; what it found then is worth nothing.
#[derive(Debug)]
pub(super) struct Bounds {
    /// How many violations may still be described.
    left: Cell<usize>,
    /// When this thread has worked so long.
    until: Duration,
    steps: Cell<u32>,
    is_late: Cell<bool>,
}

impl Bounds {
    /// At most so many violations, until this thread has worked so long.
    pub(super) fn new(violations_max: usize, until: Duration) -> Self {
        Bounds { left: Cell::new(violations_max), until, steps: Cell::new(0), is_late: Cell::new(false) }
    }

    /// Whether the time ran out.
    pub(super) fn is_late(&self) -> bool {
        self.is_late.get()
    }

    /// Whether the walk over a container ends here. The clock is looked at now and then: it costs as much as an element.
    fn end_here(&self) -> bool {
        const STEPS_A_LOOK: u32 = 16;
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(STEPS_A_LOOK) && !self.is_late.get() {
            self.is_late.set(clock::worked() >= self.until);
        }
        self.is_late.get()
    }
}

/// A value in a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    tree: &'a Tree<'a>,
    bounds: Option<&'a Bounds>,
    /// The outline of the document, if this is its root.
    outline: Option<&'a OnceCell<Value>>,
}

impl<'a> Node<'a> {
    fn new(tree: &'a Tree<'a>) -> Self {
        Node { tree, bounds: None, outline: None }
    }

    /// The root of a document that is judged within `bounds`.
    pub(super) fn within_bounds(tree: &'a Tree<'a>, bounds: &'a Bounds) -> Self {
        Node { tree, bounds: Some(bounds), outline: None }
    }

    /// The root of a document whose violations are looked for. `outline` is filled when the crate asks for it: it looks
    /// up the place of a pattern that took too long in the root's value, and must find one there.
    pub(super) fn root(tree: &'a Tree<'a>, bounds: &'a Bounds, outline: &'a OnceCell<Value>) -> Self {
        Node { tree, bounds: Some(bounds), outline: Some(outline) }
    }

    fn within(self, tree: &'a Tree<'a>) -> Self {
        Node { tree, bounds: self.bounds, outline: None }
    }

    fn is_spent(&self) -> bool {
        self.bounds.is_some_and(|bounds| bounds.left.get() == 0 || bounds.is_late())
    }

    fn end_here(&self) -> bool {
        self.bounds.is_some_and(Bounds::end_here)
    }
}

impl Json for Instance {
    type Node<'a> = Node<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Tree<'static>;

    // A look for one member passes half of the others by; a walk over all of them costs hardly more.
    const KEYS_PER_LOOKUP: usize = 4;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Tree<'static>, string: &str, run: impl FnOnce(Node<'_>) -> T) -> T {
        *buffer = Tree::Text(Cow::Owned(string.to_owned()));
        run(Node::new(buffer))
    }
}

impl<'a> jsonschema::json::Node<'a, Instance> for Node<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = Digits<'a>;

    fn as_object(&self) -> Option<Members<'a>> {
        match self.tree {
            Tree::Object(members) => Some(Members { members, node: *self }),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        match self.tree {
            Tree::Array(elements) => Some(Elements { elements, node: *self }),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self.tree {
            Tree::Text(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Digits<'a>> {
        match self.tree {
            Tree::Number(digits) => Some(Digits(digits)),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.tree {
            Tree::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.tree, Tree::Null)
    }

    fn is_number(&self) -> bool {
        matches!(self.tree, Tree::Number(_))
    }

    fn json_type(&self) -> JsonType {
        match self.tree {
            Tree::Null => JsonType::Null,
            Tree::Boolean(_) => JsonType::Boolean,
            Tree::Number(_) => JsonType::Number,
            Tree::Text(_) => JsonType::String,
            Tree::Array(_) => JsonType::Array,
            Tree::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.tree, expected) {
            (Tree::Null, Value::Null) => true,
            (Tree::Boolean(value), Value::Bool(expected)) => value == expected,
            (Tree::Text(text), Value::String(expected)) => *text == expected.as_str(),
            (Tree::Number(_), Value::Number(_)) | (Tree::Array(_), Value::Array(_)) => {
                cmp::equal(&whole(self.tree), expected)
            }
            (Tree::Object(members), Value::Object(expected_members)) => {
                members.len() == expected_members.len() && cmp::equal(&whole(self.tree), expected)
            }
            _ => false,
        }
    }

    /// Only violations ask for it, and their sentences are made from the document's text: a copy of the value in each of
    /// thousands would cost more memory than the document deserves. A name is short, and has no place in the text.
    fn to_value(&self) -> Cow<'a, Value> {
        const NAME_BYTES_MAX: usize = 200;
        if let Some(bounds) = self.bounds {
            bounds.left.set(bounds.left.get().saturating_sub(1));
        }
        match (self.tree, self.outline) {
            (Tree::Text(text), _) if text.len() <= NAME_BYTES_MAX => Cow::Owned(Value::String(text.to_string())),
            (Tree::Object(_) | Tree::Array(_), Some(cell)) => Cow::Borrowed(cell.get_or_init(|| {
                let mut outline = Value::Null;
                draw(self.tree, &mut outline);
                outline
            })),
            _ => Cow::Owned(Value::Null),
        }
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.tree) as usize))
    }
}

/// Draws the containers of a tree, with nothing in the place of other values. Of members with one name the last does not
/// hide what stands in the first: the document is refused for them, and its violations are told all the same.
fn draw(tree: &Tree<'_>, onto: &mut Value) {
    match tree {
        Tree::Object(members) => {
            if !onto.is_object() {
                *onto = Value::Object(Map::new());
            }
            let Value::Object(drawn) = onto else { return };
            for (name, value) in members {
                draw(value, drawn.entry(name.as_ref()).or_insert(Value::Null));
            }
        }
        Tree::Array(elements) => {
            if !onto.is_array() {
                *onto = Value::Array(Vec::with_capacity(elements.len()));
            }
            let Value::Array(drawn) = onto else { return };
            if drawn.len() < elements.len() {
                drawn.resize(elements.len(), Value::Null);
            }
            for (value, place) in elements.iter().zip(drawn) {
                draw(value, place);
            }
        }
        _ => {}
    }
}

/// A value with everything in it, to be compared.
fn whole(tree: &Tree<'_>) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Boolean(value) => Value::Bool(*value),
        Tree::Number(digits) => number(digits).map_or(Value::Null, Value::Number),
        Tree::Text(text) => Value::String(text.to_string()),
        Tree::Array(elements) => Value::Array(elements.iter().map(whole).collect()),
        Tree::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.to_string(), whole(value))).collect())
        }
    }
}

fn number(digits: &str) -> Option<serde_json::Number> {
    // The digits come from our reader, which lets only JSON's numbers through.
    serde_json::from_str(digits).ok()
}

/// The digits of a number.
#[derive(Debug)]
pub(super) struct Digits<'a>(&'a str);

impl JsonNumber for Digits<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.parse::<f64>().ok().filter(|value| value.is_finite())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(number(self.0).unwrap_or_else(|| 0.into()))
    }

    fn is_integer(&self) -> bool {
        !self.0.contains(['.', 'e', 'E']) || jsonschema_is_integer(&self.to_number())
    }
}

/// Whether a number written with a point or an exponent is whole all the same: `1.0`, `1e2`.
fn jsonschema_is_integer(number: &serde_json::Number) -> bool {
    jsonschema::json::JsonNumber::is_integer(&number)
}

/// The members of an object.
#[derive(Debug)]
pub(super) struct Members<'a> {
    members: &'a [(Cow<'a, str>, Tree<'a>)],
    node: Node<'a>,
}

/// Walks over members.
#[derive(Debug)]
pub(super) struct MembersIter<'a> {
    members: std::slice::Iter<'a, (Cow<'a, str>, Tree<'a>)>,
    node: Node<'a>,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.node;
        if node.end_here() {
            return None;
        }
        self.members.next().map(|(name, tree)| (&**name, node.within(tree)))
    }
}

impl<'a> Object<'a, Instance> for Members<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &Box<str>) -> Option<Node<'a>> {
        self.members.iter().find(|(name, _)| **name == **key).map(|(_, tree)| self.node.within(tree))
    }

    fn members(&self) -> MembersIter<'a> {
        let members = if self.node.is_spent() { &[] } else { self.members };
        MembersIter { members: members.iter(), node: self.node }
    }
}

/// The elements of an array.
#[derive(Debug)]
pub(super) struct Elements<'a> {
    elements: &'a [Tree<'a>],
    node: Node<'a>,
}

/// Walks over elements.
#[derive(Debug)]
pub(super) struct ElementsIter<'a> {
    elements: std::slice::Iter<'a, Tree<'a>>,
    node: Node<'a>,
}

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let node = self.node;
        if node.end_here() {
            return None;
        }
        self.elements.next().map(|tree| node.within(tree))
    }
}

impl<'a> Array<'a, Instance> for Elements<'a> {
    type Node = Node<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.elements.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        let elements = if self.node.is_spent() { &[] } else { self.elements };
        ElementsIter { elements: elements.iter(), node: self.node }
    }

    fn is_unique(&self) -> bool {
        let values: Vec<Value> = self.elements.iter().map(whole).collect();
        unique::is_unique(&values)
    }
}
