//! The words of the configuration: one enum for each set of them.

use super::{Source, check, code, read, sources};

#[test]
fn the_words_of_the_configuration_stand_once() {
    fn enums(text: &str) -> impl Iterator<Item = &str> {
        let declared = code(text).filter_map(|(_, line)| line.split_once("enum "));
        let declared = declared.filter(|(before, _)| before.trim().is_empty() || before.trim().starts_with("pub"));
        declared.filter_map(|(_, name)| name.split([' ', '<']).next())
    }
    let words = read("src/words.rs");
    let words: Vec<&str> =
        words.lines().filter_map(|line| line.trim().strip_prefix("pub enum ")?.split(' ').next()).collect();
    assert!(words.contains(&"Takes") && words.contains(&"Operation"), "{words:?}");
    let elsewhere = sources("src").into_iter().filter(|source| source.path != "src/words.rs");
    let faults = elsewhere.flat_map(|Source { path, text }| {
        let again = enums(&text).filter(|name| words.contains(name)).map(|name| format!("{path} has {name} again"));
        again.collect::<Vec<_>>()
    });
    check(faults.collect());
}
