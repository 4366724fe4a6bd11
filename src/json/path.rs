//! Where something stands in a document.

use std::fmt;

use super::pointer;

/// A place in a document, as a chain of steps that lives on the stack. Rendered as a JSON Pointer (RFC 6901) only when
/// something is wrong there.
#[derive(Debug, Clone, Copy)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Element(usize),
}

impl<'p> Path<'p> {
    /// The whole document.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// The member `name` of the object at this place.
    pub fn member(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Member(name) }
    }

    /// The element `index` of the array at this place.
    pub fn element(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Element(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(out)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Member(name) => write!(out, "/{}", pointer::escaped(name)),
            Step::Element(index) => write!(out, "/{index}"),
        }
    }
}
