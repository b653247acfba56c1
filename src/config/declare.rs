//! What an option is, and the one macro that turns the table into types, parsing and docs.

use super::setting::{Kind, Raw};
use super::table::Config;

/// One option as data.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Its name: sections and key joined by dots (`client.token.audience`). Environment name and
    /// flag follow from it.
    pub path: &'static str,
    /// Flat names of Centrifugo v3 to v5, for files and the environment.
    pub legacy: &'static [&'static str],
    /// Flags beside `--<path>`, without dashes; one letter is a short flag.
    pub flags: &'static [&'static str],
    /// What kind of value it holds.
    pub kind: Kind,
    /// Lines of its documentation.
    pub doc: &'static [&'static str],
    /// Puts a value in its place, or says what was expected.
    pub(super) set: fn(&mut Config, &Raw) -> Result<(), String>,
    /// The value in its place as JSON. Shows secrets: for comparison and docs, never for a log.
    pub(super) show: fn(&Config) -> String,
}

impl Declared {
    /// The first sentence of its documentation.
    #[must_use]
    pub fn summary(&self) -> String {
        let text = self.text();
        text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
    }

    /// Its documentation as one paragraph.
    pub(super) fn text(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// Every name it has in files and, in capitals with underscores, in the environment.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.path).chain(self.legacy.iter().copied())
    }

    /// Every flag, without dashes. A secret has none: the arguments of a process are public. A
    /// list of objects has none: a shell is no place for it.
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let own = match self.kind {
            Kind::Secret | Kind::Objects => None,
            Kind::Bool | Kind::Integer | Kind::Text | Kind::Duration | Kind::List | Kind::Word => {
                Some(self.path)
            }
        };
        own.into_iter().chain(self.flags.iter().copied())
    }
}

/// The dotted path of an option.
macro_rules! dotted {
    (() $field:ident) => { stringify!($field) };
    (($($at:ident).+) $field:ident) => { concat!($(stringify!($at), ".",)+ stringify!($field)) };
}

/// The place of an option in a configuration.
macro_rules! place {
    ($config:ident () $field:ident) => { $config.$field };
    ($config:ident ($($at:ident).+) $field:ident) => { $config$(.$at)+.$field };
}

/// One struct for a section, and its defaults.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:ident ($($inner:ident: $inner_type:ident),*) {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr,
                [$($legacy:literal),*], [$($flag:literal),*];
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $section {
            $(
                #[doc = concat!("Section `", stringify!($inner), "`.")]
                pub $inner: $inner_type,
            )*
            $(
                $(#[doc = $doc])+
                pub $field: $type,
            )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self {
                    $($inner: $inner_type::default(),)*
                    $($field: $default,)*
                }
            }
        }
    };
}

/// The options of a section at one place.
macro_rules! declared_at {
    ($at:tt {
        $(
            $(#[doc = $doc:literal])+
            $field:ident: $type:ty = $default:expr,
            [$($legacy:literal),*], [$($flag:literal),*];
        )*
    }) => {
        &[$(
            Declared {
                path: dotted!($at $field),
                legacy: &[$($legacy),*],
                flags: &[$($flag),*],
                kind: <$type as Setting>::KIND,
                doc: &[$($doc),+],
                set: |config, raw| {
                    place!(config $at $field) = <$type as Setting>::read(raw)?;
                    Ok(())
                },
                show: |config| Setting::show(&place!(config $at $field)),
            },
        )*]
    };
}

/// The table of options. A section reads `Type at (path) with { inner: Inner } { options }`, an
/// option `name: Type = default, [older names], [flags];` below its documentation. It becomes one
/// struct per section, their defaults, and `DECLARED`.
macro_rules! options {
    ($(
        $(#[doc = $about:literal])+
        $section:ident at $at:tt $(with { $($inner:ident: $inner_type:ident),+ $(,)? })? {
            $($options:tt)*
        }
    )+) => {
        $(section! {
            $(#[doc = $about])+
            $section ($($($inner: $inner_type),+)?) { $($options)* }
        })+

        /// The options of this table, section by section.
        pub(super) const DECLARED: &[&[Declared]] = &[$(declared_at!($at { $($options)* })),+];

        /// What each section is for, by its path.
        #[cfg(test)]
        pub(super) const ABOUT: &[(&str, &[&str])] =
            &[$((stringify!($at), &[$($about),+])),+];
    };
}

/// A section that stands at several places: `Type { options }`, then what it is for at each of them,
/// `at (path);`. It becomes what [`options`] makes of a section, but for one struct.
macro_rules! options_at_places {
    (
        $(#[doc = $what:literal])+
        $section:ident $options:tt
        $($(#[doc = $about:literal])+ at $at:tt;)+
    ) => {
        section! { $(#[doc = $what])+ $section () $options }

        /// The options of this section, place by place.
        pub(super) const DECLARED: &[&[Declared]] = &[$(declared_at!($at $options)),+];

        /// What it is for, by its path.
        #[cfg(test)]
        pub(super) const ABOUT: &[(&str, &[&str])] =
            &[$((stringify!($at), &[$($about),+])),+];
    };
}

pub(super) use {declared_at, dotted, options, options_at_places, place, section};
