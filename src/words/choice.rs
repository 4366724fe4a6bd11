//! Settings that are one word out of a few: the words stand once, beside the variants they mean.
//!
//! It does not read them; that is the business of `config/fields.rs`.

/// An enum whose variants are words of the configuration.
pub(crate) trait Choice: Copy + 'static {
    /// Every word with what it means, in the order of the documentation.
    const ALL: &'static [(&'static str, Self)];

    /// What `text` means; none when it is no word of these.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice)
    }
}

/// Declares an enum together with the words that a person writes for its variants.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:tt,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl crate::words::Choice for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, $name::$variant)),+];
        }

        impl $name {
            /// The word a person writes for it.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }
    };
}

pub(crate) use choice;
