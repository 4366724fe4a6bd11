//! What a person sees who asks for help.

use crate::support::Home;

/// Every command, as its help is asked for.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["up"],
    &["init"],
    &["check"],
    &["publish"],
    &["generate"],
    &["tail"],
    &["rows"],
    &["receipt"],
    &["dead-letters"],
    &["dead-letters", "list"],
    &["dead-letters", "show"],
    &["dead-letters", "retry"],
    &["dead-letters", "drop"],
    &["positions"],
    &["positions", "set"],
    &["positions", "forget"],
    &["positions", "accept-loss"],
    &["verify"],
    &["schema"],
    &["completions"],
    &["man"],
];

#[test]
fn every_help_shows_the_commands_own_options_then_the_global_ones_and_ends_with_examples() {
    let home = Home::new();
    for command in COMMANDS {
        let help = home.run(&[command, &["--help"][..]].concat()).expect(0).stdout;
        let at = |words: &str| help.find(words).unwrap_or_else(|| panic!("{command:?}: no {words:?} in {help}"));
        let (options, global, examples) = (at("\nOptions:\n"), at("\nGlobal options:\n"), at("\nExamples:\n"));
        assert!(options < global && global < examples, "{command:?}: {help}");
        for option in ["--config", "--data", "--journal", "--store", "--output", "--log-level", "--log ", "--quiet"] {
            assert!(help[global..examples].contains(option), "{command:?}: {option}: {help}");
            assert!(!help[options..global].contains(option), "{command:?}: {option}: {help}");
        }
        let last = help.trim_end().lines().last().unwrap();
        assert!(last.contains("sluicegate "), "{command:?} ends with {last:?}");
        assert!(!help.contains('\u{1b}'), "NO_COLOR is obeyed");
    }
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.run(&["completions", shell]).expect(0).stdout;
        for word in ["sluicegate", "dead-letters", "accept-loss", "--until-nothing"] {
            assert_eq!(script.contains(word), word != "--until-nothing", "{shell}: {word}");
        }
    }
    let page = home.run(&["man"]).expect(0).stdout;
    assert!(page.contains(".TH") && page.contains("accept\\-loss") && page.contains("Examples"), "{page}");
}
