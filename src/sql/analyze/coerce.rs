//! Conversions between types: which exist, where they are allowed, and the common type of several expressions.

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::types::{Datum, Type, input};

use super::Analyzer;
use super::expr::Expr;

/// Where a conversion is wanted. A cast allowed in one place is allowed in those after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Context {
    /// Anywhere.
    Implicit,
    /// Where a value goes to a place of known type.
    Assignment,
    /// By a cast.
    Explicit,
}

/// The casts that are there, `pg_cast`'s rows: source, targets without asking, on assignment, and on demand.
type CastRow = (Type, &'static [Type], &'static [Type], &'static [Type]);

const CASTS: &[CastRow] = {
    use Type as T;
    &[
        (T::BOOL, &[], &[T::TEXT, T::BPCHAR, T::VARCHAR], &[T::INT4]),
        (T::BYTEA, &[], &[], &[T::INT2, T::INT4, T::INT8]),
        (T::CHAR, &[T::TEXT], &[T::BPCHAR, T::VARCHAR], &[T::INT4]),
        (T::NAME, &[T::TEXT], &[T::BPCHAR, T::VARCHAR], &[]),
        (
            T::INT8,
            &[T::OID, T::FLOAT4, T::FLOAT8, T::NUMERIC, T::REGTYPE, T::REGCLASS],
            &[T::INT2, T::INT4],
            &[T::BYTEA],
        ),
        (
            T::INT2,
            &[T::INT4, T::INT8, T::OID, T::FLOAT4, T::FLOAT8, T::NUMERIC, T::REGTYPE, T::REGCLASS],
            &[],
            &[T::BYTEA],
        ),
        (
            T::INT4,
            &[T::INT8, T::OID, T::FLOAT4, T::FLOAT8, T::NUMERIC, T::REGTYPE, T::REGCLASS],
            &[T::INT2],
            &[T::BOOL, T::BYTEA, T::CHAR],
        ),
        (T::TEXT, &[T::NAME, T::BPCHAR, T::VARCHAR], &[T::CHAR], &[]),
        (T::VARCHAR, &[T::NAME, T::TEXT, T::BPCHAR], &[T::CHAR], &[]),
        (T::BPCHAR, &[T::NAME, T::TEXT, T::VARCHAR], &[T::CHAR], &[]),
        (
            T::OID,
            &[T::REGTYPE, T::REGCLASS, T::REGPROC, T::REGNAMESPACE, T::REGROLE],
            &[T::INT8, T::INT4],
            &[],
        ),
        (T::INT2VECTOR, &[T::INT2_ARRAY], &[], &[]),
        (T::OIDVECTOR, &[T::OID_ARRAY], &[], &[]),
        (T::REGTYPE, &[T::OID], &[T::INT8, T::INT4], &[]),
        (T::REGCLASS, &[T::OID], &[T::INT8, T::INT4], &[]),
        (T::REGPROC, &[T::OID], &[T::INT8, T::INT4], &[]),
        (T::REGNAMESPACE, &[T::OID], &[T::INT8, T::INT4], &[]),
        (T::REGROLE, &[T::OID], &[T::INT8, T::INT4], &[]),
        (T::JSON, &[], &[T::JSONB], &[]),
        (T::JSONB, &[], &[T::JSON], &[T::BOOL, T::INT2, T::INT4, T::INT8, T::FLOAT4, T::FLOAT8, T::NUMERIC]),
        (T::FLOAT4, &[T::FLOAT8], &[T::INT2, T::INT4, T::INT8, T::NUMERIC], &[]),
        (T::FLOAT8, &[], &[T::FLOAT4, T::INT2, T::INT4, T::INT8, T::NUMERIC], &[]),
        (T::NUMERIC, &[T::FLOAT4, T::FLOAT8], &[T::INT2, T::INT4, T::INT8], &[]),
        (T::INET, &[], &[T::TEXT, T::BPCHAR, T::VARCHAR], &[]),
        (T::DATE, &[T::TIMESTAMP, T::TIMESTAMPTZ], &[], &[]),
        (T::TIME, &[T::INTERVAL], &[], &[]),
        (T::TIMESTAMP, &[T::TIMESTAMPTZ], &[T::DATE, T::TIME], &[]),
        (T::TIMESTAMPTZ, &[], &[T::DATE, T::TIME, T::TIMESTAMP], &[]),
        (T::INTERVAL, &[], &[T::TIME], &[]),
        (T::XID8, &[], &[], &[T::XID]),
    ]
};

/// From which place on a conversion is allowed; `None` if there is none. Unknown literals convert everywhere.
pub fn cast_context(from: Type, to: Type) -> Option<Context> {
    if from == to || from == Type::UNKNOWN || to == Type::ANY {
        return Some(Context::Implicit);
    }
    if let Some(row) = CASTS.iter().find(|row| row.0 == from) {
        for (targets, context) in
            [(row.1, Context::Implicit), (row.2, Context::Assignment), (row.3, Context::Explicit)]
        {
            if targets.contains(&to) {
                return Some(context);
            }
        }
    }
    if let (Some(from), Some(to)) = (from.element(), to.element()) {
        return cast_context(from, to);
    }
    // Through the text form: to strings where a value is assigned, from strings on demand.
    if to.category() == b'S' && from != Type::VOID {
        return Some(Context::Assignment);
    }
    (from.category() == b'S' && to.category() != b'P').then_some(Context::Explicit)
}

/// Whether a value of one type may stand where the other is wanted.
pub fn can_coerce(from: Type, to: Type, context: Context) -> bool {
    match to {
        Type::ANY | Type::ANYELEMENT | Type::ANYCOMPATIBLE => true,
        Type::ANYNONARRAY => from.element().is_none(),
        Type::ANYARRAY | Type::ANYCOMPATIBLEARRAY => from.element().is_some() || from == Type::UNKNOWN,
        _ => cast_context(from, to).is_some_and(|needed| needed <= context),
    }
}

impl Analyzer<'_> {
    /// The expression as a value of another type, `None` if that is not allowed there.
    pub fn coerce(
        &mut self,
        expr: Expr,
        to: Type,
        context: Context,
        at: Option<u32>,
    ) -> Result<Option<Expr>> {
        let from = expr.ty();
        if from == to || to == Type::ANY {
            return Ok(Some(expr));
        }
        if let Expr::Param(index, Type::UNKNOWN) = expr {
            self.decide_param(index, to, at)?;
            return Ok(Some(Expr::Param(index, to)));
        }
        if let Expr::Const(Datum::Null, Type::UNKNOWN) = expr {
            return Ok(Some(Expr::null(to)));
        }
        if let Expr::Const(Datum::Text(text), Type::UNKNOWN) = &expr {
            return self.literal_of(text, to, at).map(Some);
        }
        if let (Expr::Row(_), Type::RECORD) = (&expr, to) {
            return Ok(Some(expr));
        }
        if cast_context(from, to).is_none_or(|needed| needed > context) {
            return Ok(None);
        }
        // The elements of an array that is being made are converted one by one, so that literals keep their type open.
        if let (Expr::Array { .. }, Some(element)) = (&expr, to.element()) {
            return self.coerce_array(expr, element, context, at);
        }
        Ok(Some(Expr::Convert { input: Box::new(expr), to, explicit: context == Context::Explicit }))
    }

    fn coerce_array(
        &mut self,
        expr: Expr,
        element: Type,
        context: Context,
        at: Option<u32>,
    ) -> Result<Option<Expr>> {
        let Expr::Array { items, nested, .. } = expr else {
            return Ok(Some(expr));
        };
        let wanted = if nested { element.array().unwrap_or(element) } else { element };
        let mut converted = Vec::with_capacity(items.len());
        for item in items {
            match self.coerce(item, wanted, context, at)? {
                Some(item) => converted.push(item),
                None => return Ok(None),
            }
        }
        Ok(Some(Expr::Array { items: converted, element, nested }))
    }

    /// A literal's text read as a type.
    pub(super) fn literal_of(&self, text: &str, to: Type, at: Option<u32>) -> Result<Expr> {
        if to == Type::REGCLASS
            && text.parse::<u32>().is_err()
            && let Some(oid) = self.class_oid(text)?
        {
            return Ok(Expr::Const(Datum::Oid(oid), to));
        }
        let read = input::parse(text, to, self.environment.formats(), self.environment.now());
        let datum = read.map_err(|report| match at {
            Some(at) => report.at(self.source.position(at)),
            None => report,
        })?;
        Ok(Expr::Const(datum, to))
    }

    /// The OID of the relation that a literal names.
    fn class_oid(&self, text: &str) -> Result<Option<u32>> {
        let parts = crate::sql::functions::catalog::name_parts(text);
        match parts.as_slice() {
            [name] => self.environment.relation_oid(None, name),
            [schema, name] | [_, schema, name] => self.environment.relation_oid(Some(schema), name),
            _ => Ok(None),
        }
    }

    fn decide_param(&mut self, index: usize, to: Type, at: Option<u32>) -> Result<()> {
        match self.params.types.get_mut(index) {
            Some(slot @ None) => *slot = Some(to),
            Some(Some(ty)) if *ty != to => {
                return Err(self
                    .error_at(
                        at,
                        SqlState::AMBIGUOUS_PARAMETER,
                        format!("inconsistent types deduced for parameter ${}", index + 1),
                    )
                    .with_detail(format!("{} versus {to}", self.params.types[index].unwrap_or(to))));
            }
            _ => {}
        }
        Ok(())
    }

    /// A cast by hand.
    pub(super) fn cast(
        &mut self,
        expr: Expr,
        to: Type,
        typmod: i32,
        at: Option<u32>,
        cast_at: Option<u32>,
    ) -> Result<Expr> {
        let from = expr.ty();
        let coerced = self.coerce(expr, to, Context::Explicit, at)?;
        let Some(expr) = coerced else {
            let message = format!("cannot cast type {from} to {to}");
            return Err(self.error_at(cast_at, SqlState::CANNOT_COERCE, message));
        };
        Ok(if typmod < 0 {
            expr
        } else {
            Expr::Typmod { input: Box::new(expr), ty: to, typmod, explicit: true }
        })
    }

    /// A condition.
    pub(super) fn boolean(&mut self, expr: Expr, what: &str, at: Option<u32>) -> Result<Expr> {
        let from = expr.ty();
        match self.coerce(expr, Type::BOOL, Context::Assignment, at)? {
            Some(expr) => Ok(expr),
            None => Err(self.error_at(
                at,
                SqlState::DATATYPE_MISMATCH,
                format!("argument of {what} must be type boolean, not type {from}"),
            )),
        }
    }

    /// The type that several expressions have in common, as `UNION`, `CASE` and their kin choose it.
    pub(super) fn common_type(&self, types: &[(Type, Option<u32>)], what: &str) -> Result<Type> {
        let mut chosen = Type::UNKNOWN;
        for &(ty, at) in types {
            if ty == Type::UNKNOWN || ty == chosen {
                continue;
            }
            if chosen == Type::UNKNOWN {
                chosen = ty;
            } else if chosen.category() != ty.category() {
                let message = format!("{what} types {chosen} and {ty} cannot be matched");
                return Err(self.error_at(at, SqlState::DATATYPE_MISMATCH, message));
            } else if !chosen.preferred()
                && can_coerce(chosen, ty, Context::Implicit)
                && !can_coerce(ty, chosen, Context::Implicit)
            {
                chosen = ty;
            }
        }
        Ok(if chosen == Type::UNKNOWN { Type::TEXT } else { chosen })
    }

    /// The expression as a value of a type chosen by [`Self::common_type`].
    pub(super) fn coerce_common(
        &mut self,
        expr: Expr,
        to: Type,
        what: &str,
        at: Option<u32>,
    ) -> Result<Expr> {
        let from = expr.ty();
        match self.coerce(expr, to, Context::Implicit, at)? {
            Some(expr) => Ok(expr),
            None => Err(self.error_at(
                at,
                SqlState::CANNOT_COERCE,
                format!("{what} could not convert type {from} to {to}"),
            )),
        }
    }

    /// An expression whose type nothing decides is a text.
    pub(super) fn settle_unknown(&mut self, expr: Expr, at: Option<u32>) -> Result<Expr> {
        if expr.ty() != Type::UNKNOWN {
            return Ok(expr);
        }
        let coerced = self.coerce(expr, Type::TEXT, Context::Implicit, at)?;
        coerced
            .ok_or_else(|| Report::error(SqlState::INDETERMINATE_DATATYPE, "could not determine data type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_are_allowed_where_postgresql_allows_them() {
        for (from, to, context) in [
            (Type::INT4, Type::INT8, Some(Context::Implicit)),
            (Type::INT8, Type::INT4, Some(Context::Assignment)),
            (Type::INT4, Type::BOOL, Some(Context::Explicit)),
            (Type::TEXT, Type::INT4, Some(Context::Explicit)),
            (Type::INT4, Type::TEXT, Some(Context::Assignment)),
            (Type::BOOL, Type::FLOAT8, None),
            (Type::DATE, Type::TIMESTAMPTZ, Some(Context::Implicit)),
            (Type::UNKNOWN, Type::UUID, Some(Context::Implicit)),
        ] {
            assert_eq!(cast_context(from, to), context, "{from} to {to}");
        }
    }
}
