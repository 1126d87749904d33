//! Functions and operators: one table of rows as `pg_proc` and `pg_operator` have them, and what they do.
//!
//! Analysis chooses rows by name and types; the executor calls what they point to. The tables are split by subject;
//! [`functions_named`] and [`operators_named`] go through all of them.

pub mod aggregate;
mod arithmetic;
mod arrays;
pub mod casts;
pub mod catalog;
mod dates;
mod dates_fields;
mod definitions;
mod digests;
mod format;
mod integers;
mod log;
mod math;
mod numeric_functions;
mod operators;
mod patterns;
mod privileges;
mod server;
mod sets;
mod settings;
mod strings;
pub(in crate::sql) mod strings_more;
mod system;
mod to_char;
mod to_char_number;
mod transactions;

use crate::report::Result;
use crate::sql::analyze::expr::Expr;
use crate::sql::execute::Context;
use crate::sql::types::{Datum, Type};

pub use settings::unrecognized;
pub use strings_more::quote_ident;

/// One call: the session around it, and the types that analysis decided on.
pub struct Call<'c, 'h> {
    /// The executor's surroundings.
    pub ctx: &'c mut Context<'h>,
    /// The arguments' types.
    pub arg_types: &'c [Type],
    /// The result's type.
    pub result: Type,
}

/// What a function does with its arguments.
pub type Implementation = fn(&mut Call<'_, '_>, &[Datum]) -> Result<Datum>;
/// The rows of a set-returning function.
pub type SetRows = Box<dyn Iterator<Item = Result<Datum>>>;
/// What a set-returning function does with its arguments.
pub type SetImplementation = fn(&mut Call<'_, '_>, &[Datum]) -> Result<SetRows>;

/// The kinds of function.
#[derive(Clone, Copy)]
pub enum Body {
    /// One value.
    Scalar(Implementation),
    /// Rows of one value.
    Set(SetImplementation),
    /// One value for many rows.
    Aggregate(aggregate::AggregateKind),
}

/// Whether a function's result can change without its arguments changing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volatility {
    /// Never.
    Immutable,
    /// Not within one statement.
    Stable,
    /// Always.
    Volatile,
}

/// A row of `pg_proc`.
pub struct Function {
    /// `proname`.
    pub name: &'static str,
    /// `oid`.
    pub oid: u32,
    /// `proargtypes`.
    pub args: &'static [Type],
    /// `prorettype`.
    pub result: Type,
    /// `proisstrict`.
    pub strict: bool,
    /// `provolatile`.
    pub volatility: Volatility,
    /// Whether the last argument stands for any number of them.
    pub variadic: bool,
    /// Values of the last arguments, if they are left out; zero of each type.
    pub defaults: usize,
    /// Names and types of the columns of its record; none: it returns one value.
    pub outs: &'static [(&'static str, Type)],
    /// What it does.
    pub body: Body,
}

/// A strict, immutable function.
const fn function(
    name: &'static str,
    oid: u32,
    args: &'static [Type],
    result: Type,
    body: Implementation,
) -> Function {
    Function {
        name,
        oid,
        args,
        result,
        strict: true,
        volatility: Volatility::Immutable,
        variadic: false,
        defaults: 0,
        outs: &[],
        body: Body::Scalar(body),
    }
}

/// A strict, immutable function that returns a set.
const fn set(
    name: &'static str,
    oid: u32,
    args: &'static [Type],
    result: Type,
    body: SetImplementation,
) -> Function {
    Function { body: Body::Set(body), ..function(name, oid, args, result, nothing) }
}

/// An aggregate.
const fn aggregate(
    name: &'static str,
    oid: u32,
    args: &'static [Type],
    result: Type,
    kind: aggregate::AggregateKind,
) -> Function {
    Function { body: Body::Aggregate(kind), strict: false, ..function(name, oid, args, result, nothing) }
}

fn nothing(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Null)
}

impl Function {
    /// It is asked even with NULL arguments.
    const fn lax(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Its result can change between statements.
    const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }

    /// Its result can change at any time.
    const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    /// Its last argument stands for any number.
    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// It returns a record of these columns.
    const fn outs(mut self, columns: &'static [(&'static str, Type)]) -> Self {
        self.outs = columns;
        self
    }

    /// Its last arguments may be left out.
    const fn defaults(mut self, count: usize) -> Self {
        self.defaults = count;
        self
    }

    /// The argument types of a call with this many arguments, `None` if it takes another number.
    pub fn types_for(&self, count: usize, _as_array: bool) -> Option<Vec<Type>> {
        let declared = self.args.len();
        if self.variadic && count >= declared {
            let last = *self.args.last()?;
            let mut types = self.args.to_vec();
            types.resize(count, last);
            return Some(types);
        }
        (count <= declared && count + self.defaults >= declared).then(|| self.args[..count].to_vec())
    }

    /// The values of the arguments that a call leaves out.
    pub fn default_args(&self, count: usize) -> impl Iterator<Item = Expr> {
        let left_out = self.args.get(count..).unwrap_or_default();
        left_out.iter().map(|&ty| {
            let zero = match ty {
                Type::INT8 => Datum::Int8(0),
                Type::INT4 => Datum::Int4(0),
                Type::FLOAT8 => Datum::Float8(0.0),
                Type::BOOL => Datum::Bool(false),
                _ => Datum::Null,
            };
            Expr::Const(zero, ty)
        })
    }
}

/// A row of `pg_operator`.
pub struct Operator {
    /// `oprname`.
    pub name: &'static str,
    /// `oprleft`; none for a prefix operator.
    pub left: Option<Type>,
    /// `oprright`.
    pub right: Type,
    /// `oprresult`.
    pub result: Type,
    /// Whether a NULL operand makes the result NULL.
    pub strict: bool,
    /// What it does.
    pub body: Implementation,
}

const fn operator(
    name: &'static str,
    left: Type,
    right: Type,
    result: Type,
    body: Implementation,
) -> Operator {
    Operator { name, left: Some(left), right, result, strict: true, body }
}

const fn prefix(name: &'static str, right: Type, result: Type, body: Implementation) -> Operator {
    Operator { name, left: None, right, result, strict: true, body }
}

impl Operator {
    /// Its operands' types.
    pub fn args(&self) -> impl Iterator<Item = Type> + '_ {
        self.left.into_iter().chain([self.right])
    }
}

const TABLES: &[&[Function]] = &[
    aggregate::FUNCTIONS,
    arrays::FUNCTIONS,
    casts::FUNCTIONS,
    catalog::FUNCTIONS,
    dates::FUNCTIONS,
    dates_fields::FUNCTIONS,
    definitions::FUNCTIONS,
    digests::FUNCTIONS,
    format::FUNCTIONS,
    log::FUNCTIONS,
    math::FUNCTIONS,
    numeric_functions::FUNCTIONS,
    patterns::FUNCTIONS,
    privileges::FUNCTIONS,
    server::FUNCTIONS,
    sets::FUNCTIONS,
    settings::FUNCTIONS,
    strings::FUNCTIONS,
    strings_more::FUNCTIONS,
    system::FUNCTIONS,
    to_char::FUNCTIONS,
    transactions::FUNCTIONS,
];

const OPERATORS: &[&[Operator]] = &[
    integers::OPERATORS,
    arithmetic::OPERATORS,
    operators::OPERATORS,
    dates::OPERATORS,
    arrays::OPERATORS,
    patterns::OPERATORS,
];

/// The function of an OID.
pub fn function_of(oid: u32) -> Option<&'static Function> {
    TABLES.iter().flat_map(|table| table.iter()).find(|function| function.oid == oid)
}

/// Every function of a name, which may have `pg_catalog` before it.
pub fn functions_named(name: &str) -> impl Iterator<Item = &'static Function> {
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name).to_owned();
    TABLES.iter().flat_map(|table| table.iter()).filter(move |function| function.name == name)
}

/// Every operator of a name.
pub fn operators_named(name: &str) -> impl Iterator<Item = &'static Operator> {
    let name = match name {
        "!=" => "<>",
        other => other,
    }
    .to_owned();
    let comparisons = operators::comparisons(&name);
    let plain = OPERATORS.iter().flat_map(|table| table.iter()).filter(move |operator| operator.name == name);
    comparisons.iter().chain(plain)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_functions_have_one_oid_or_one_signature() {
        let mut oids = HashSet::new();
        let mut signatures = HashSet::new();
        for function in TABLES.iter().flat_map(|table| table.iter()) {
            assert!(oids.insert(function.oid), "{} {}", function.name, function.oid);
            assert!(
                signatures.insert((function.name, function.args)),
                "{} {:?}",
                function.name,
                function.args
            );
        }
    }
}
