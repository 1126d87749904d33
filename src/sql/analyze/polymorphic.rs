//! Types of functions that take any: what `anyelement` and its kin stand for in one call.

use crate::report::{Result, SqlState};
use crate::sql::types::Type;

use super::Analyzer;

/// What stands for the polymorphic types of a call.
#[derive(Default)]
struct Bindings {
    element: Option<Type>,
    compatible: Vec<(Type, Option<u32>)>,
}

impl Analyzer<'_> {
    /// The declared types with the polymorphic ones replaced by what the arguments make them, and the result's.
    pub(super) fn bind_polymorphic(
        &self,
        declared: &[Type],
        actual: &[Type],
        result: Type,
        at: Option<u32>,
    ) -> Result<(Vec<Type>, Type)> {
        if !declared.iter().any(|ty| ty.is_polymorphic()) {
            return Ok((declared.to_vec(), result));
        }
        let mut bindings = Bindings::default();
        for (&to, &from) in declared.iter().zip(actual) {
            self.bind(&mut bindings, to, from, at)?;
        }
        let element = match bindings.element {
            Some(element) => element,
            None => self.unbound(declared, at)?,
        };
        let compatible = self.common_type(&bindings.compatible, "arguments")?;
        let replace = |ty: Type| match ty {
            Type::ANYELEMENT | Type::ANYNONARRAY => element,
            Type::ANYARRAY => element.array().unwrap_or(Type::TEXT_ARRAY),
            Type::ANYCOMPATIBLE => compatible,
            Type::ANYCOMPATIBLEARRAY => compatible.array().unwrap_or(Type::TEXT_ARRAY),
            _ => ty,
        };
        Ok((declared.iter().map(|&ty| replace(ty)).collect(), replace(result)))
    }

    fn bind(&self, bindings: &mut Bindings, to: Type, from: Type, at: Option<u32>) -> Result<()> {
        if from == Type::UNKNOWN {
            return Ok(());
        }
        let element = match to {
            Type::ANYELEMENT | Type::ANYNONARRAY => from,
            Type::ANYARRAY => from.element().unwrap_or(from),
            Type::ANYCOMPATIBLE => {
                bindings.compatible.push((from, at));
                return Ok(());
            }
            Type::ANYCOMPATIBLEARRAY => {
                bindings.compatible.push((from.element().unwrap_or(from), at));
                return Ok(());
            }
            _ => return Ok(()),
        };
        match bindings.element {
            Some(bound) if bound != element => Err(self.error_at(
                at,
                SqlState::DATATYPE_MISMATCH,
                "arguments declared \"anyelement\" are not all alike",
            )),
            _ => {
                bindings.element = Some(element);
                Ok(())
            }
        }
    }

    fn unbound(&self, declared: &[Type], at: Option<u32>) -> Result<Type> {
        let simple = |ty: &Type| matches!(*ty, Type::ANYELEMENT | Type::ANYARRAY | Type::ANYNONARRAY);
        if declared.iter().any(simple) {
            return Err(self.error_at(
                at,
                SqlState::DATATYPE_MISMATCH,
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        Ok(Type::TEXT)
    }
}
