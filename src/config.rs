//! Settings: PostgreSQL's names, units, contexts and files, and what a session makes of them.
//!
//! [`Settings`] is a plain value. The postmaster makes it at its start ([`Settings::start`]), children inherit it by
//! fork, and each process changes its own: by reading the files again ([`Settings::reload`]), by `SET` and its kin
//! ([`Settings::set`]), and at the ends of transactions ([`Settings::leave`]). Nothing here is shared between
//! processes. Values are read through typed keys: `settings.get(config::MAX_CONNECTIONS)`.
//!
//! Invariants:
//! - A value that was taken has passed its type, bounds and check; reading never fails.
//! - A source never overrides a stronger one; what a weaker one says waits in the value that `RESET` goes back to.
//! - Reading the files again changes nothing at all where a line cannot be read or names no setting.

mod alter_system;
mod assign;
mod check;
mod definition;
mod file;
pub mod list;
mod load;
mod options;
mod process_file;
mod reload;
mod rows;
mod sample;
mod session;
mod show;
mod stack;
mod state;
mod table;
mod together;
mod units;
mod value;

pub use alter_system::AlterSystem;
pub use check::time_zone::time_zone;
pub use definition::{Choice, Context, Definition, Flags, Key, Kind, Typed};
pub use list::{directories, quote_identifier, words};
pub use load::Start;
pub use options::{parse_assignment, split_options, startup_options};
pub use reload::Reader;
pub use rows::{FileSettingRow, SettingRow};
pub use sample::sample;
pub use session::Scope;
pub use state::{Settings, Source};
pub use table::keys;
pub use table::keys::*;
pub use units::Unit;
pub use value::{Value, parse_bool};

#[cfg(test)]
mod tests;
