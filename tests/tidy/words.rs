//! The words of the configuration: one enum for each set of them.

use super::{Source, check, code, sources};

#[test]
fn the_words_of_the_configuration_stand_once() {
    fn enums(text: &str) -> impl Iterator<Item = &str> {
        let declared = code(text).filter_map(|(_, line)| line.split_once("enum "));
        let declared = declared.filter(|(before, _)| before.trim().is_empty() || before.trim().starts_with("pub"));
        declared.filter_map(|(_, name)| name.split([' ', '<']).next())
    }
    let (homes, elsewhere): (Vec<_>, Vec<_>) = sources("src").into_iter().partition(|source| {
        let file = source.path.trim_start_matches("src/");
        file.starts_with("words") || file.starts_with("settings/")
    });
    let words: Vec<&str> = homes.iter().flat_map(|source| enums(&source.text)).collect();
    for word in ["Takes", "Where", "Reply", "OnFailure", "Operation", "UnknownTypes"] {
        assert_eq!(words.iter().filter(|name| **name == word).count(), 1, "{word} in {words:?}");
    }
    let faults = elsewhere.into_iter().flat_map(|Source { path, text }| {
        let again = enums(&text).filter(|name| words.contains(name)).map(|name| format!("{path} has {name} again"));
        again.collect::<Vec<_>>()
    });
    check(faults.collect());
}
