//! The order in which series are told: within a family by their labels, so that the same numbers are the same text.

/// Sorts the series of each family by their labels. The lines of one series, such as the buckets of a histogram, keep their
/// order.
pub(super) fn sorted(text: &str) -> String {
    let mut sorted = String::with_capacity(text.len());
    let mut family: Vec<&str> = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with('#') {
            flush(&mut family, &mut sorted);
            sorted.push_str(line);
        } else {
            family.push(line);
        }
    }
    flush(&mut family, &mut sorted);
    sorted
}

fn flush(family: &mut Vec<&str>, sorted: &mut String) {
    family.sort_by(|one, other| labels(one).cmp(labels(other)));
    sorted.extend(family.drain(..));
}

/// The labels of a line, without the bound of a bucket: one text has it before the others, the other one behind them.
fn labels(line: &str) -> &str {
    let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
    let labels = series.split_once('{').map_or("", |(_, labels)| labels);
    let labels = labels.strip_suffix('}').unwrap_or(labels);
    let rest = match labels.strip_prefix("le=\"") {
        // A bound holds no quote.
        Some(bound) => bound.split_once('"').map_or("", |(_, rest)| rest),
        None => labels.rsplit_once(",le=\"").map_or(labels, |(rest, _)| rest),
    };
    rest.trim_start_matches(',')
}
