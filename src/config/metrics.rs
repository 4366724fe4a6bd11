//! Where the numbers are pushed to: plain data with its defaults, and how it is read.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::fields::{Field, Fields};
use super::problem::Problems;
use super::read_stream::{judged, set};
use super::refuse;
use super::schema::{METRICS, PUSH};
use crate::settings::units;

/// The numbers that `/metrics` gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Metrics {
    /// A Pushgateway that they are pushed to as well.
    #[schemars(extend("x-default" = "nowhere"))]
    #[schemars(with = "Push")]
    #[serde(skip_serializing)]
    pub push: Option<Push>,
}

/// Where, how often and as what numbers are pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Push {
    /// The address of a Prometheus Pushgateway, by plain HTTP.
    #[schemars(extend("x-default" = "has none", "examples" = ["http://127.0.0.1:9091"]))]
    pub url: String,
    /// How often. They are pushed once more when the process ends.
    #[schemars(schema_with = "units::period_schema")]
    #[serde(serialize_with = "units::serialize_period")]
    pub every: Duration,
    /// The job that they are of.
    pub job: String,
    /// Further labels that tell this process from others of the job. What is pushed takes the place of what was pushed under
    /// the same ones.
    #[schemars(extend("x-default" = "none", "examples" = [{"instance": "a"}]))]
    #[schemars(skip_serializing)]
    pub grouping: BTreeMap<String, String>,
}

impl Default for Push {
    fn default() -> Self {
        let (url, job) = (String::new(), "sluicegate".to_owned());
        Push { url, every: Duration::from_secs(15), job, grouping: BTreeMap::new() }
    }
}

/// Reads `metrics`.
pub(super) fn read(field: &Field<'_>, problems: &mut Problems) -> Option<Metrics> {
    let fields = Fields::open(field.node, &field.label, &METRICS, &[], problems)?;
    let push = fields.take("push").and_then(|field| push(&field, problems));
    Some(Metrics { push })
}

fn push(field: &Field<'_>, problems: &mut Problems) -> Option<Push> {
    let fields = Fields::open(field.node, &field.label, &PUSH, &[], problems)?;
    let mut push = Push::default();
    match fields.take("url") {
        None => field.refuse(problems, "has no `url`; write where the Pushgateway is, such as http://127.0.0.1:9091"),
        given => set(&mut push.url, given, |field| {
            let url = field.text("the URL of a Pushgateway", problems)?;
            judged(field, refuse::push_url(url), problems).then(|| url.trim_end_matches('/').to_owned())
        }),
    }
    set(&mut push.every, fields.take("every"), |field| {
        let every = field.period(problems)?;
        let words = if every.is_zero() { Err("cannot be 0; write a duration such as 15s".to_owned()) } else { Ok(()) };
        judged(field, words, problems).then_some(every)
    });
    set(&mut push.job, fields.take("job"), |field| {
        let job = field.text("a name", problems)?;
        judged(field, refuse::grouping_value(job), problems).then(|| job.to_owned())
    });
    set(&mut push.grouping, fields.take("grouping"), |field| grouping(field, problems));
    Some(push)
}

fn grouping(field: &Field<'_>, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    let mut grouping = BTreeMap::new();
    for (name, node) in field.members("a mapping such as `{instance: a}`", problems)? {
        let value = Field { label: format!("{}.{}", field.label, name.text), key_place: name.place, node };
        let Some(text) = value.text("a value", problems) else { continue };
        let words = refuse::grouping_label(&name.text).and_then(|()| refuse::grouping_value(text));
        if judged(&value, words, problems) {
            grouping.insert(name.text.clone(), text.to_owned());
        }
    }
    Some(grouping)
}
