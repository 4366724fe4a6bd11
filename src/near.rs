//! The name that was meant: what is not there is answered with the near one that is.

use crate::excerpt;

/// The likeness of two names is counted character by character against character by character: longer ones have none.
const CHARS_MAX: usize = 100;

/// So many names are looked at.
const NAMES_MAX: usize = 1_000;

/// The candidate that `word` is most likely a misspelling of; never `word` itself.
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let is_short = |text: &str| text.chars().nth(CHARS_MAX).is_none();
    if !is_short(word) {
        return None;
    }
    let folded = word.to_lowercase();
    let likeness = |candidate: &str| strsim::normalized_damerau_levenshtein(&folded, &candidate.to_lowercase());
    let short = candidates.take(NAMES_MAX).filter(|candidate| *candidate != word && is_short(candidate));
    let near = short.map(|candidate| (likeness(candidate), candidate)).filter(|(likeness, _)| *likeness >= 0.5);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, candidate)| candidate)
}

/// "; did you mean "NEAR"?", or nothing where none is near.
pub fn hint<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or(String::new(), |near| format!("; did you mean {near:?}?"))
}

/// "there is no KIND "WORD"", with the near one, else with those that there are.
pub fn unknown<'c>(kind: &str, word: &str, candidates: impl Iterator<Item = &'c str> + Clone) -> String {
    let shown = excerpt::cut(word, CHARS_MAX);
    if let Some(near) = nearest(word, candidates.clone()) {
        return format!("there is no {kind} {shown:?}; did you mean {near:?}?");
    }
    let known: Vec<_> = candidates.take(LISTED_MAX + 1).collect();
    match (known.len(), known.get(..LISTED_MAX)) {
        (0, _) => format!("there is no {kind} {shown:?}; there are none"),
        (count, Some(first)) if count > LISTED_MAX => {
            format!("there is no {kind} {shown:?}; there are {} and others", first.join(", "))
        }
        _ => format!("there is no {kind} {shown:?}; there are {}", known.join(", ")),
    }
}

/// So many names stand in a sentence.
const LISTED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_near_name_is_found_and_long_ones_cost_nothing() {
        let known = ["activities", "events", "People"];
        for (word, near) in [
            ("activties", Some("activities")),
            ("EVENTS", Some("events")),
            ("people", Some("People")),
            ("events", None),
            ("nothing", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), near, "{word}");
        }
        let long = "a".repeat(10_000_000);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), None);
        assert!(unknown("stream", &long, known.into_iter()).len() < 300);
    }

    #[test]
    fn a_sentence_names_the_near_one_or_those_that_there_are() {
        let say = |word: &str, known: &[&str]| unknown("stream", word, known.iter().copied());
        assert_eq!(say("evnts", &["events"]), "there is no stream \"evnts\"; did you mean \"events\"?");
        assert_eq!(say("x", &["events", "people"]), "there is no stream \"x\"; there are events, people");
        assert_eq!(say("x", &[]), "there is no stream \"x\"; there are none");
        assert!(say("x", &["other"; 30]).ends_with(" and others"));
    }
}
