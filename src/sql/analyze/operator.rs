//! Operators and functions by name and arguments.

use std::sync::Arc;

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::functions::{Body, Function, Operator, Volatility, functions_named, operators_named};
use crate::sql::types::Type;

use super::coerce::Context;
use super::expr::{CallExpr, Expr, SetCallExpr};
use super::resolve::{Candidate, Choice, choose};
use super::{Analyzer, Clause};

/// An argument, and where it stands if it is a literal: that is where it is no value of the type wanted.
pub type Placed = (Expr, Option<u32>);

/// What a function's name turned out to be.
pub enum Resolved {
    /// A function, its arguments converted.
    Function(&'static Function, Vec<Expr>, Vec<Type>, Type),
    /// A cast written as a function.
    Cast(Type, Expr),
}

impl Analyzer<'_> {
    /// `left operator right`.
    pub(super) fn binary(
        &mut self,
        name: &str,
        left: Placed,
        right: Placed,
        at: Option<u32>,
    ) -> Result<Expr> {
        self.operator(name, vec![left, right], at).map(|call| Expr::Call(Box::new(call)))
    }

    /// `operator input`.
    pub(super) fn prefix(&mut self, name: &str, input: Placed, at: Option<u32>) -> Result<Expr> {
        self.operator(name, vec![input], at).map(|call| Expr::Call(Box::new(call)))
    }

    /// An operator with one or two arguments.
    pub(super) fn operator(&mut self, name: &str, args: Vec<Placed>, at: Option<u32>) -> Result<CallExpr> {
        let mut actual: Vec<Type> = args.iter().map(|arg| arg.0.ty()).collect();
        let operator = self.choose_operator(name, &actual, at)?;
        let declared: Vec<Type> = operator.args().collect();
        // A literal that may be an array or an element is taken as the other side says.
        if let [left, right] = actual.as_mut_slice()
            && left != right
        {
            if *left == Type::UNKNOWN && declared[0] == declared[1] && declared[0].is_polymorphic() {
                *left = *right;
            } else if *right == Type::UNKNOWN && declared[0] == declared[1] && declared[0].is_polymorphic() {
                *right = *left;
            }
        }
        let (types, result) = self.bind_polymorphic(&declared, &actual, operator.result, at)?;
        let args = self.coerce_args(args, &types, at)?;
        Ok(CallExpr {
            name: operator.name,
            immutable: !declared.contains(&Type::TIMESTAMPTZ) && !actual.contains(&Type::TIMESTAMPTZ),
            body: operator.body,
            strict: operator.strict,
            arg_types: args.iter().map(Expr::ty).collect::<Vec<_>>().into(),
            args,
            result,
            outs: &[],
        })
    }

    fn choose_operator(&self, name: &str, actual: &[Type], at: Option<u32>) -> Result<&'static Operator> {
        // With one side unknown, an operator that takes the other side's type twice is preferred to all others.
        let same: Vec<Type> = match actual {
            [Type::UNKNOWN, known] => vec![*known, *known],
            [known, Type::UNKNOWN] => vec![*known, *known],
            _ => actual.to_vec(),
        };
        let candidates: Vec<&'static Operator> =
            operators_named(name).filter(|operator| operator.args().count() == actual.len()).collect();
        let exact = |types: &[Type]| {
            candidates.iter().copied().find(|operator| operator.args().eq(types.iter().copied()))
        };
        if let Some(operator) = exact(actual).or_else(|| exact(&same)) {
            return Ok(operator);
        }
        let listed =
            candidates.iter().map(|&item| Candidate { types: item.args().collect(), item }).collect();
        match choose(listed, actual) {
            Choice::One(candidate) => Ok(candidate.item),
            Choice::None => Err(self.no_operator(name, actual, at)),
            Choice::Ambiguous => Err(self
                .error_at(
                    at,
                    SqlState::AMBIGUOUS_FUNCTION,
                    format!("operator is not unique: {}", operator_text(name, actual)),
                )
                .with_hint(
                    "Could not choose a best candidate operator. You might need to add explicit type casts.",
                )),
        }
    }

    fn no_operator(&self, name: &str, actual: &[Type], at: Option<u32>) -> Box<Report> {
        self.error_at(
            at,
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {}", operator_text(name, actual)),
        )
        .with_hint(match actual {
            [_] => "No operator matches the given name and argument type. You might need to add an explicit type cast.",
            _ => "No operator matches the given name and argument types. You might need to add explicit type casts.",
        })
    }

    fn coerce_args(&mut self, args: Vec<Placed>, types: &[Type], at: Option<u32>) -> Result<Vec<Expr>> {
        let mut converted = Vec::with_capacity(args.len());
        for ((arg, place), &to) in args.into_iter().zip(types) {
            let from = arg.ty();
            match self.coerce(arg, to, Context::Implicit, place.or(at))? {
                Some(arg) => converted.push(arg),
                None => {
                    let message = format!("cannot cast type {from} to {to}");
                    return Err(self.error_at(at, SqlState::CANNOT_COERCE, message));
                }
            }
        }
        Ok(converted)
    }

    /// A plain function of this name, with its arguments.
    pub(super) fn function_call(
        &mut self,
        name: &str,
        args: Vec<Placed>,
        at: Option<u32>,
        variadic: bool,
    ) -> Result<Expr> {
        match self.resolve_function(name, args, at, variadic)? {
            Resolved::Cast(to, input) => self.cast(input, to, -1, at, at),
            Resolved::Function(function, args, types, result) => {
                self.call_of(function, args, types, result, at)
            }
        }
    }

    fn call_of(
        &mut self,
        function: &'static Function,
        args: Vec<Expr>,
        types: Vec<Type>,
        result: Type,
        at: Option<u32>,
    ) -> Result<Expr> {
        let arg_types: Arc<[Type]> = types.into();
        match function.body {
            Body::Scalar(body) => Ok(Expr::Call(Box::new(CallExpr {
                name: function.name,
                immutable: function.volatility == Volatility::Immutable,
                body,
                strict: function.strict,
                args,
                arg_types,
                result,
                outs: function.outs,
            }))),
            Body::Set(body) => {
                let call = SetCallExpr {
                    name: function.name,
                    body,
                    args,
                    arg_types,
                    result,
                    strict: function.strict,
                    outs: function.outs,
                };
                self.set_call(call, at)
            }
            Body::Aggregate(_) => Err(self.error_at(at, SqlState::INTERNAL_ERROR, "aggregate out of place")),
        }
    }

    fn set_call(&mut self, call: SetCallExpr, at: Option<u32>) -> Result<Expr> {
        if !matches!(self.clause, Clause::Select | Clause::From | Clause::OrderBy) {
            let message = format!("set-returning functions are not allowed in {}", self.clause.name());
            return Err(self.error_at(at, SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let ty = call.result;
        let scope = self.scope();
        scope.set_calls.push(call);
        Ok(Expr::SetCall(scope.set_calls.len() - 1, ty))
    }

    /// Chooses a function and converts its arguments.
    pub(super) fn resolve_function(
        &mut self,
        name: &str,
        args: Vec<Placed>,
        at: Option<u32>,
        variadic: bool,
    ) -> Result<Resolved> {
        let actual: Vec<Type> = args.iter().map(|arg| arg.0.ty()).collect();
        let candidates: Vec<Candidate<&'static Function>> = functions_named(name)
            .filter_map(|item| item.types_for(actual.len(), variadic).map(|types| Candidate { types, item }))
            .collect();
        let candidate = match choose(candidates, &actual) {
            Choice::One(candidate) => candidate,
            Choice::None => {
                if let Some(to) = cast_function(name, &actual)
                    && let Ok([(input, _)]) = <[Placed; 1]>::try_from(args)
                {
                    return Ok(Resolved::Cast(to, input));
                }
                return Err(self.no_function(name, &actual, at));
            }
            Choice::Ambiguous => {
                return Err(self
                    .error_at(
                        at,
                        SqlState::AMBIGUOUS_FUNCTION,
                        format!("function {}({}) is not unique", name, type_list(&actual)),
                    )
                    .with_hint(
                        "Could not choose a best candidate function. You might need to add explicit type casts.",
                    ));
            }
        };
        let (types, result) = self.bind_polymorphic(&candidate.types, &actual, candidate.item.result, at)?;
        let mut args = self.coerce_args(args, &types, at)?;
        for (arg, declared) in args.iter_mut().zip(&candidate.types) {
            // What takes anything takes a literal as it is.
            if *declared == Type::ANY && matches!(arg, Expr::Const(..)) {
                continue;
            }
            let taken = std::mem::replace(arg, Expr::null(Type::UNKNOWN));
            *arg = self.settle_unknown(taken, at)?;
        }
        args.extend(candidate.item.default_args(actual.len()));
        let types = args.iter().map(Expr::ty).collect();
        Ok(Resolved::Function(candidate.item, args, types, result))
    }

    fn no_function(&self, name: &str, actual: &[Type], at: Option<u32>) -> Box<Report> {
        self.error_at(
            at,
            SqlState::UNDEFINED_FUNCTION,
            format!("function {}({}) does not exist", name, type_list(actual)),
        )
        .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
    }
}

/// A type's name used as a function of one argument is a cast.
fn cast_function(name: &str, actual: &[Type]) -> Option<Type> {
    let [from] = actual else {
        return None;
    };
    let to = Type::by_name(name).filter(|ty| !ty.is_polymorphic() && ty.category() != b'P')?;
    let through_text = from.category() == b'S' || to.category() == b'S' || *from == Type::UNKNOWN;
    (through_text || super::coerce::cast_context(*from, to).is_some()).then_some(to)
}

fn operator_text(name: &str, types: &[Type]) -> String {
    match types {
        [left, right] => format!("{left} {name} {right}"),
        [only] => format!("{name} {only}"),
        _ => name.to_owned(),
    }
}

fn type_list(types: &[Type]) -> String {
    types.iter().map(|ty| ty.sql_name()).collect::<Vec<_>>().join(", ")
}
