//! Medians, and the lines of Markdown tables that show them.

/// The values of some rounds, in their order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rounds(pub(crate) Vec<f64>);

impl Rounds {
    /// Takes the value of one more round.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The value that `share` of all (0 to 1) do not exceed.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let sorted = self.sorted();
        let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    /// The value in the middle.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The largest.
    pub(crate) fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// This over `other`, round by round.
    pub(crate) fn over(&self, other: &Rounds) -> Rounds {
        Rounds(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }

    /// The median, and the smallest and largest value.
    pub(crate) fn text(&self) -> String {
        format!("{} ({}–{})", short(self.median()), short(self.quantile(0.0)), short(self.max()))
    }
}

/// A number with about three digits that mean something.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100_000.0 => format!("{:.0}k", value / 1_000.0),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Which side of the target is the good one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// There is none: the line explains another.
    None,
}

impl Target {
    fn text(self) -> String {
        match self {
            Target::AtLeast(bound) => format!("≥ {}", short(bound)),
            Target::AtMost(bound) => format!("≤ {}", short(bound)),
            Target::None => "–".into(),
        }
    }

    fn verdict(self, value: f64) -> &'static str {
        let is_met = match self {
            Target::AtLeast(bound) => value >= bound,
            Target::AtMost(bound) => value <= bound,
            Target::None => return "",
        };
        if is_met { "met" } else { "MISSED" }
    }
}

/// Begins a table of ratios. Each cell is a median with the smallest and largest round in brackets.
pub(crate) fn head(unit: &str) {
    println!("| measured | Sluicegate, {unit} | baseline, {unit} | ratio | target | |\n|---|---|---|---|---|---|");
}

/// One line of rates: the ratio is that of the medians, its range that of the rounds.
pub(crate) fn line(what: &str, ours: &Rounds, baseline: &Rounds, target: Target) {
    let ratio = ours.median() / baseline.median();
    print(what, ours, baseline, ratio, &ours.over(baseline), target);
}

/// One line of times: the ratio is that of the speeds all the same, so that more is better in every table.
pub(crate) fn line_of_times(what: &str, ours: &Rounds, baseline: &Rounds, target: Target) {
    let ratio = baseline.median() / ours.median();
    print(what, ours, baseline, ratio, &baseline.over(ours), target);
}

fn print(what: &str, ours: &Rounds, baseline: &Rounds, ratio: f64, rounds: &Rounds, target: Target) {
    println!(
        "| {what} | {} | {} | **{ratio:.2}** ({:.2}–{:.2}) | {} | {} |",
        ours.text(),
        baseline.text(),
        rounds.quantile(0.0),
        rounds.max(),
        target.text(),
        target.verdict(ratio)
    );
}

/// One line outside a table: a value that has a bound and no baseline.
pub(crate) fn value(what: &str, value: f64, unit: &str, target: Target) {
    println!("- {what}: {} {unit}; target {} {unit}: {}", short(value), target.text(), target.verdict(value));
}
