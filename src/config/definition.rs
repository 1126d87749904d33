//! What a setting is: its name, type, bounds, who may change it and when, and how it is described.
//!
//! Definitions are constants, built by the functions below in the files of `table/`; [`Key`] gives each its type.

use std::fmt;
use std::marker::PhantomData;

use super::Settings;
use super::check::Refusal;
use super::units::Unit;
use super::value::Value;

/// PostgreSQL keeps integers in 32 bits; clients rely on its bounds.
pub(super) const MAX_INT: i64 = i32::MAX as i64;
/// The least integer.
pub(super) const MIN_INT: i64 = i32::MIN as i64;

/// Who may change a setting, and when; the earlier, the stricter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Context {
    /// Nobody: the server shows it.
    Internal,
    /// Only at the server's start.
    Postmaster,
    /// By the configuration files, which are read again on SIGHUP.
    Sighup,
    /// At the session's start, by those who may.
    SuperuserBackend,
    /// At the session's start, by anybody.
    Backend,
    /// At any time, by those who may.
    Superuser,
    /// At any time, by anybody.
    User,
}

impl Context {
    /// The word in `pg_settings.context`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Postmaster => "postmaster",
            Self::Sighup => "sighup",
            Self::SuperuserBackend => "superuser-backend",
            Self::Backend => "backend",
            Self::Superuser => "superuser",
            Self::User => "user",
        }
    }
}

/// Type, default and bounds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `on` or `off`.
    Bool {
        /// Default.
        boot: bool,
    },
    /// A whole number of 32 bits.
    Int {
        /// Default.
        boot: i64,
        /// Least.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// A floating-point number.
    Real {
        /// Default.
        boot: f64,
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// Any text.
    Text {
        /// Default; none is shown as NULL in `pg_settings`, and is otherwise the empty text.
        boot: Option<&'static str>,
    },
    /// One of a list of words.
    Choice {
        /// Default.
        boot: &'static str,
        /// The words that are shown.
        words: &'static [&'static str],
        /// Further words, each with the one that it stands for; looked at first.
        aliases: &'static [(&'static str, &'static str)],
    },
}

impl Kind {
    /// The word in `pg_settings.vartype`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bool { .. } => "bool",
            Self::Int { .. } => "integer",
            Self::Real { .. } => "real",
            Self::Text { .. } => "string",
            Self::Choice { .. } => "enum",
        }
    }

    /// The default as a value.
    pub(super) fn boot(&self) -> Value {
        match *self {
            Self::Bool { boot } => Value::Bool(boot),
            Self::Int { boot, .. } => Value::Int(boot),
            Self::Real { boot, .. } => Value::Real(boot),
            Self::Text { boot } => Value::Text(boot.unwrap_or_default().into()),
            Self::Choice { boot, .. } => Value::Choice(boot),
        }
    }
}

/// Properties that a setting has or has not.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u16);

/// Names the bits of [`Flags`], and makes a builder method of [`Definition`] for each.
macro_rules! flags {
    ($($NAME:ident $method:ident $bit:literal $doc:literal;)*) => {
        impl Flags {
            $(#[doc = $doc] pub const $NAME: Self = Self(1 << $bit);)*
        }
        impl Definition {
            $(#[doc = $doc]
            pub(super) const fn $method(mut self) -> Self {
                self.flags.0 |= Flags::$NAME.0;
                self
            })*
        }
        impl fmt::Debug for Flags {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names = [$((Flags::$NAME, stringify!($NAME)),)*];
                f.debug_set().entries(names.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, n)| n)).finish()
            }
        }
    };
}

flags! {
    REPORT report 0 "Clients are told of every change (ParameterStatus).";
    LIST list 1 "The value is a list, separated by commas.";
    QUOTED_LIST quoted_list 2 "The value is a list of identifiers, quoted where they need it.";
    NAME_LENGTH name_length 3 "Longer values than an identifier's 63 bytes are cut off.";
    EXPLAIN explain 4 "EXPLAIN (SETTINGS) shows it.";
    HIDDEN hidden 5 "SHOW ALL and pg_settings leave it out.";
    NO_RESET no_reset 6 "It cannot be reset, neither alone nor by RESET ALL.";
    NO_RESET_ALL no_reset_all 7 "RESET ALL leaves it alone.";
    NOT_IN_SAMPLE not_in_sample 8 "postgresql.conf does not mention it.";
    NOT_IN_AUTO_FILE not_in_auto_file 9 "ALTER SYSTEM refuses it.";
    COMPUTED computed 10 "The server computes it at start.";
    SUPERUSER_ONLY superuser_only 11 "Only members of pg_read_all_settings see it.";
    CUSTOM custom 12 "Not of this server: a name of two parts, kept for whoever asks.";
}

impl Flags {
    /// Whether all bits of `other` are there.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Looks at a new value, and may put a better form in its place; the settings are those before the change.
pub(super) type Check = fn(&mut Value, &Settings) -> Result<(), Refusal>;

/// One setting.
#[derive(Clone, Copy)]
pub struct Definition {
    /// Its name, as it is shown.
    pub name: &'static str,
    /// Type, default and bounds.
    pub kind: Kind,
    /// What a bare number counts.
    pub unit: Option<Unit>,
    /// Who may change it.
    pub context: Context,
    /// Its place in the documentation.
    pub category: &'static str,
    /// One sentence about it.
    pub short_description: &'static str,
    /// More about it, or nothing.
    pub extra_description: &'static str,
    /// Properties.
    pub flags: Flags,
    /// What a value must fulfil besides type and bounds.
    pub(super) check: Option<Check>,
    /// How the value is shown, if not as usual.
    pub(super) show: Option<fn(&Value) -> String>,
}

const fn definition(name: &'static str, kind: Kind) -> Definition {
    Definition {
        name,
        kind,
        unit: None,
        context: Context::User,
        category: "",
        short_description: "",
        extra_description: "",
        flags: Flags(0),
        check: None,
        show: None,
    }
}

/// A setting that is on or off.
pub(super) const fn switch(name: &'static str, boot: bool) -> Definition {
    definition(name, Kind::Bool { boot })
}

/// A setting that is a whole number.
pub(super) const fn int(name: &'static str, boot: i64, min: i64, max: i64) -> Definition {
    definition(name, Kind::Int { boot, min, max })
}

/// A setting that is a number.
pub(super) const fn real(name: &'static str, boot: f64, min: f64, max: f64) -> Definition {
    definition(name, Kind::Real { boot, min, max })
}

/// A setting that is a text.
pub(super) const fn text(name: &'static str, boot: &'static str) -> Definition {
    definition(name, Kind::Text { boot: Some(boot) })
}

/// A setting that is a text, and none by default.
pub(super) const fn text_unset(name: &'static str) -> Definition {
    definition(name, Kind::Text { boot: None })
}

/// A setting that is one of some words.
pub(super) const fn choice(
    name: &'static str,
    boot: &'static str,
    words: &'static [&'static str],
) -> Definition {
    definition(name, Kind::Choice { boot, words, aliases: &[] })
}

/// Names builder methods for the contexts other than `user`.
macro_rules! contexts {
    ($($method:ident $Context:ident;)*) => {
        impl Definition {
            $(#[doc = concat!("Changed in the context `", stringify!($Context), "`.")]
            pub(super) const fn $method(mut self) -> Self {
                self.context = Context::$Context;
                self
            })*
        }
    };
}

contexts! {
    internal Internal;
    postmaster Postmaster;
    sighup Sighup;
    superuser_backend SuperuserBackend;
    backend Backend;
    superuser Superuser;
}

impl Definition {
    /// With the unit of bare numbers.
    pub(super) const fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// With further words for those of a choice.
    pub(super) const fn aliases(mut self, more: &'static [(&'static str, &'static str)]) -> Self {
        if let Kind::Choice { boot, words, .. } = self.kind {
            self.kind = Kind::Choice { boot, words, aliases: more };
        }
        self
    }

    /// With a check.
    pub(super) const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// With a way of its own to be shown.
    pub(super) const fn show(mut self, show: fn(&Value) -> String) -> Self {
        self.show = Some(show);
        self
    }

    /// With its place in the documentation and its description.
    pub(super) const fn describe(
        mut self,
        category: &'static str,
        short: &'static str,
        extra: &'static str,
    ) -> Self {
        self.category = category;
        self.short_description = short;
        self.extra_description = extra;
        self
    }
}

/// Marks keys of settings that are one of some words; their value is the word.
#[derive(Debug)]
pub enum Choice {}

/// A setting's place in the table, with the type of its value.
pub struct Key<T: ?Sized> {
    index: u16,
    of_type: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Key<T> {
    /// The key of the setting at `index` of the whole table; a test compares types.
    pub(super) const fn new(index: usize) -> Self {
        assert!(index <= u16::MAX as usize);
        Self { index: index as u16, of_type: PhantomData }
    }

    pub(super) const fn index(self) -> usize {
        self.index as usize
    }
}

impl<T: ?Sized> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Key<T> {}

impl<T: ?Sized> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", super::table::DEFINITIONS[self.index()].name)
    }
}

/// A type that a setting may have.
pub trait Typed {
    /// What [`Settings::get`] answers.
    type Value<'a>;

    /// Takes it out of the stored value.
    #[doc(hidden)]
    fn of(value: &Value) -> Option<Self::Value<'_>>;
}

impl Typed for bool {
    type Value<'a> = bool;

    fn of(value: &Value) -> Option<bool> {
        if let Value::Bool(value) = value { Some(*value) } else { None }
    }
}

impl Typed for i64 {
    type Value<'a> = i64;

    fn of(value: &Value) -> Option<i64> {
        if let Value::Int(value) = value { Some(*value) } else { None }
    }
}

impl Typed for f64 {
    type Value<'a> = f64;

    fn of(value: &Value) -> Option<f64> {
        if let Value::Real(value) = value { Some(*value) } else { None }
    }
}

impl Typed for str {
    type Value<'a> = &'a str;

    fn of(value: &Value) -> Option<&str> {
        if let Value::Text(value) = value { Some(value) } else { None }
    }
}

impl Typed for Choice {
    type Value<'a> = &'static str;

    fn of(value: &Value) -> Option<&'static str> {
        if let Value::Choice(value) = value { Some(value) } else { None }
    }
}
