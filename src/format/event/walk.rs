//! One walk over an event: it is judged, its tree grows if somebody wants one, and the values of columns are picked up.

use std::borrow::Cow;

use super::columns::{At, RecordColumn};
use crate::change::ColumnType;
use crate::json::{Duplicates, Fault, Json, Kind, Names, Path, Reader, Tree, pointer};
use crate::judgement::Judge;

/// The pointers of the columns, as a tree of their steps.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// The columns whose value stands here.
    columns: Vec<usize>,
    within: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    member: String,
    /// The same as the index of an array's element, when it can be one.
    element: Option<usize>,
    wanted: Wanted,
}

impl Wanted {
    pub(super) fn of(columns: &[RecordColumn]) -> Self {
        let mut root = Wanted::default();
        for (index, column) in columns.iter().enumerate() {
            let At::Document(pointer) = &column.at else { continue };
            let steps = pointer::steps(pointer);
            let place = steps.fold(&mut root, |place, step| place.step(step.into_owned()));
            place.columns.push(index);
        }
        root
    }

    fn step(&mut self, member: String) -> &mut Wanted {
        let found = self.within.iter().position(|step| step.member == member);
        let index = found.unwrap_or_else(|| {
            let element = pointer::index(&member);
            self.within.push(Step { member, element, wanted: Wanted::default() });
            self.within.len() - 1
        });
        &mut self.within[index].wanted
    }

    fn member(&self, name: &str) -> Option<&Wanted> {
        self.within.iter().find(|step| step.member == name).map(|step| &step.wanted)
    }

    fn element(&self, index: usize) -> Option<&Wanted> {
        self.within.iter().find(|step| step.element == Some(index)).map(|step| &step.wanted)
    }
}

/// What a walk leaves behind: a tree, or nothing.
pub(super) trait Grown<'a>: Sized {
    type Members: Default;
    type Elements: Default;
    fn leaf(json: Json<'a>) -> Self;
    fn add_member(to: &mut Self::Members, name: Cow<'a, str>, value: Self);
    fn add_element(to: &mut Self::Elements, value: Self);
    fn object(members: Self::Members) -> Self;
    fn array(elements: Self::Elements) -> Self;
}

impl<'a> Grown<'a> for () {
    type Members = ();
    type Elements = ();
    fn leaf(_: Json<'a>) {}
    fn add_member((): &mut (), _: Cow<'a, str>, (): ()) {}
    fn add_element((): &mut (), (): ()) {}
    fn object((): ()) {}
    fn array((): ()) {}
}

impl<'a> Grown<'a> for Tree<'a> {
    type Members = Vec<(Cow<'a, str>, Tree<'a>)>;
    type Elements = Vec<Tree<'a>>;

    fn leaf(json: Json<'a>) -> Self {
        Tree::leaf(json)
    }

    fn add_member(to: &mut Self::Members, name: Cow<'a, str>, value: Self) {
        to.push((name, value));
    }

    fn add_element(to: &mut Self::Elements, value: Self) {
        to.push(value);
    }

    fn object(members: Self::Members) -> Self {
        Tree::Object(members)
    }

    fn array(elements: Self::Elements) -> Self {
        Tree::Array(elements)
    }
}

pub(super) struct Walker<'a, 'w> {
    pub(super) text: &'a str,
    pub(super) reader: &'w mut Reader<'a>,
    pub(super) has_table: bool,
    /// The JSON text of each column's value.
    pub(super) found: &'w mut [Option<&'a str>],
}

impl<'a> Walker<'a, '_> {
    pub(super) fn walk<G: Grown<'a>>(
        &mut self,
        path: &Path<'_>,
        wanted: Option<&Wanted>,
        judge: &mut Judge<'a, '_>,
    ) -> Result<G, Fault> {
        let kind = self.reader.peek()?;
        let begin = self.reader.offset();
        let grown = match kind {
            Kind::Object => {
                let mut names = Names::default();
                let mut members = G::Members::default();
                self.reader.begin_object()?;
                while let Some(name) = self.reader.next_member()? {
                    let place = path.member(&name);
                    if self.has_table && matches!(name, Cow::Owned(_)) && name.contains('\0') {
                        judge.violation(&place, || nul("a member's name"));
                    }
                    let value = self.walk(&place, wanted.and_then(|wanted| wanted.member(&name)), judge)?;
                    if !names.is_new(&name) {
                        judge.duplicate(&place);
                    }
                    names.keep(name.clone());
                    G::add_member(&mut members, name, value);
                }
                G::object(members)
            }
            Kind::Array => {
                let mut elements = G::Elements::default();
                self.reader.begin_array()?;
                let mut index = 0;
                while self.reader.next_element()? {
                    let wanted = wanted.and_then(|wanted| wanted.element(index));
                    let value = self.walk(&path.element(index), wanted, judge)?;
                    G::add_element(&mut elements, value);
                    index += 1;
                }
                G::array(elements)
            }
            _ => {
                let value = self.reader.value(path, judge)?;
                if self.has_table {
                    refuse_what_no_table_holds(&value, path, judge);
                }
                G::leaf(value)
            }
        };
        for column in wanted.into_iter().flat_map(|wanted| &wanted.columns) {
            self.found[*column] = Some(&self.text[begin..self.reader.offset()]);
        }
        Ok(grown)
    }
}

fn refuse_what_no_table_holds<'a>(value: &Json<'a>, path: &Path<'_>, judge: &mut Judge<'a, '_>) {
    match value {
        // A string without escapes cannot hold U+0000: JSON has it escaped.
        Json::Text(Cow::Owned(text)) if text.contains('\0') => judge.violation(path, || nul("the text")),
        Json::Number(_) if !judge.is_foldable() => {}
        Json::Number(digits) if digits.len() > 100 || digits.contains(['e', 'E']) => {
            if let Err(misfit) = ColumnType::parse("numeric").read(Json::Number(digits)) {
                judge.violation(path, || misfit.to_string());
            }
        }
        _ => {}
    }
}

fn nul(what: &str) -> String {
    format!("{what} holds the character U+0000; databases cannot hold it")
}
