//! The table of all settings, in files by subject, and the ways to find one in it by name.

mod aliases;
mod client;
mod connections;
mod logging;
mod planner;
mod preset;
mod replication;
mod resources;
mod tuskd;
mod upkeep;
mod wal;

use super::definition::{Definition, switch, text_unset};

/// Makes of each line a definition in the file's table and a typed key to it.
macro_rules! settings {
    (file $file:ident; $(section $category:literal {
        $($KEY:ident: $type:ty = $make:ident($($argument:expr),*) $(.$method:ident($($value:expr),*))*,
            $short:literal $(, $extra:literal)?;)*
    })*) => {
        /// The settings of this file.
        pub(super) const DEFINITIONS: &[Definition] = &[
            $($($make($($argument),*) $(.$method($($value),*))*
                .describe($category, $short, concat!("" $(, $extra)?)),)*)*
        ];

        /// Places in this file's table.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($($KEY,)*)* }

        $($(#[doc = $short]
        pub const $KEY: Key<$type> = Key::new(super::offset(super::File::$file) + Place::$KEY as usize);)*)*
    };
}
use settings;

/// Lists the files, in the order in which their tables follow each other.
macro_rules! files {
    ($($file:ident),*) => {
        #[allow(non_camel_case_types)]
        enum File { $($file,)* }

        const FILES: &[&[Definition]] = &[$($file::DEFINITIONS,)*];

        /// Keys to all settings, by their names in capitals.
        pub mod keys {
            $(pub use super::$file::*;)*
        }
    };
}

files!(client, connections, logging, planner, preset, replication, resources, tuskd, upkeep, wal);

/// Where the table of `file` begins in the whole one.
const fn offset(file: File) -> usize {
    let file = file as usize;
    let mut offset = 0;
    let mut before = 0;
    while before < file {
        offset += FILES[before].len();
        before += 1;
    }
    offset
}

/// How many settings there are.
pub(super) const COUNT: usize = offset(File::wal) + wal::DEFINITIONS.len();

/// All settings.
pub(super) static DEFINITIONS: [Definition; COUNT] = {
    let mut all = [switch("", false); COUNT];
    let mut at = 0;
    let mut file = 0;
    while file < FILES.len() {
        let mut within = 0;
        while within < FILES[file].len() {
            all[at] = FILES[file][within];
            at += 1;
            within += 1;
        }
        file += 1;
    }
    all
};

/// The places of those that clients are told of.
pub(super) static REPORTED: [usize; count_reported()] = {
    let mut places = [0; count_reported()];
    let (mut at, mut found) = (0, 0);
    while at < COUNT {
        if DEFINITIONS[at].flags.has(super::definition::Flags::REPORT) {
            places[found] = at;
            found += 1;
        }
        at += 1;
    }
    places
};

const fn count_reported() -> usize {
    let (mut at, mut found) = (0, 0);
    while at < COUNT {
        found += DEFINITIONS[at].flags.has(super::definition::Flags::REPORT) as usize;
        at += 1;
    }
    found
}

/// What all names of two parts are that belong to no setting of this server; their own names stand elsewhere.
pub(super) static CUSTOM: Definition =
    text_unset("").custom().hidden().not_in_sample().describe("Customized Options", "", "");

/// Second names: PostgreSQL's of earlier versions, and Redrock's for the analyze half of autovacuum.
const SECOND_NAMES: [(&str, &str); 9] = [
    ("sort_mem", "work_mem"),
    ("vacuum_mem", "maintenance_work_mem"),
    ("ssl_ecdh_curve", "ssl_groups"),
    ("autoanalyze", "autovacuum"),
    ("autoanalyze_naptime", "autovacuum_naptime"),
    ("autoanalyze_max_workers", "autovacuum_max_workers"),
    ("autoanalyze_base_threshold", "autovacuum_analyze_threshold"),
    ("autoanalyze_scale_factor", "autovacuum_analyze_scale_factor"),
    ("log_autoanalyze_min_duration", "log_autovacuum_min_duration"),
];

/// The place of a setting in the whole table, by its name or second name in any case.
pub(super) fn find(name: &str) -> Option<usize> {
    let name = SECOND_NAMES
        .iter()
        .find(|(second, _)| second.eq_ignore_ascii_case(name))
        .map_or(name, |(_, first)| *first);
    DEFINITIONS.iter().position(|definition| definition.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::definition::{Kind, Typed};
    use super::super::value::Value;
    use super::*;

    fn boot<T: Typed + ?Sized>(key: super::super::definition::Key<T>) -> Value {
        let value = DEFINITIONS[key.index()].kind.boot();
        assert!(T::of(&value).is_some(), "{}", DEFINITIONS[key.index()].name);
        value
    }

    #[test]
    fn keys_lead_to_their_settings() {
        assert_eq!(boot(keys::MAX_CONNECTIONS), Value::Int(100));
        assert_eq!(boot(keys::ALLOW_ALTER_SYSTEM), Value::Bool(true));
        assert_eq!(boot(keys::WAL_LEVEL), Value::Choice("replica"));
        assert_eq!(boot(keys::SEARCH_PATH), Value::Text("\"$user\", public".into()));
        assert_eq!(boot(keys::CHECKPOINT_COMPLETION_TARGET), Value::Real(0.9));
        assert_eq!(format!("{:?}", keys::WAL_WRITER_DELAY), "Key(wal_writer_delay)");
    }

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        let names: BTreeSet<_> = DEFINITIONS.iter().map(|d| d.name.to_ascii_lowercase()).collect();
        assert_eq!(names.len(), COUNT);
        for (at, definition) in DEFINITIONS.iter().enumerate() {
            assert_eq!(find(&definition.name.to_ascii_uppercase()), Some(at));
            assert!(!definition.short_description.is_empty(), "{}", definition.name);
        }
        for (second, first) in SECOND_NAMES {
            assert_eq!(find(second), find(first));
            assert!(find(first).is_some() && !names.contains(second), "{second}");
        }
        assert_eq!(find("nosuch"), None);
    }

    #[test]
    fn defaults_lie_within_their_bounds() {
        for definition in &DEFINITIONS {
            let fine = match definition.kind {
                Kind::Int { boot, min, max } => (min..=max).contains(&boot),
                Kind::Real { boot, min, max } => (min..=max).contains(&boot),
                Kind::Choice { boot, words, aliases } => {
                    words.contains(&boot) && aliases.iter().all(|(_, word)| !word.is_empty())
                }
                Kind::Bool { .. } | Kind::Text { .. } => true,
            };
            assert!(fine, "{}", definition.name);
        }
    }
}
