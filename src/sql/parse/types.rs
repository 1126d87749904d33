//! Types' names, of which SQL spells many in words of its own.

use crate::report::{Result, SqlState};

use super::keywords::{Class, Keyword as K};
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::*;

impl Parser<'_> {
    /// A type, with arrays' brackets.
    pub fn type_name(&mut self) -> Result<TypeName> {
        let at = self.here();
        let set_of = self.take_keyword(K::Setof);
        let mut ty = self.simple_type(true)?;
        (ty.set_of, ty.at) = (set_of, if set_of { at } else { ty.at });
        if self.take_keyword(K::Array) {
            ty.dimensions = 1;
            if self.take(Kind::LBracket) {
                self.integer()?;
                self.expect(Kind::RBracket)?;
            }
            return Ok(ty);
        }
        while self.take(Kind::LBracket) {
            if self.kind() != Kind::RBracket {
                self.integer()?;
            }
            self.expect(Kind::RBracket)?;
            ty.dimensions += 1;
        }
        Ok(ty)
    }

    /// Whether a type that the grammar has words for begins here and is not merely named as a column would be: a text, or
    /// more of the type, follows.
    pub fn begins_system_type(&self) -> bool {
        let Some(keyword) = self.keyword() else {
            return false;
        };
        let behind = self.kind_at(1);
        let literal = self.is_string_at(1) || behind == Kind::LParen;
        match keyword {
            K::Int | K::Integer | K::Smallint | K::Bigint | K::Real | K::Boolean | K::Json => {
                self.is_string_at(1)
            }
            K::Float | K::Decimal | K::Dec | K::Numeric => literal,
            K::Double => self.is_at(1, K::Precision),
            K::Bit | K::Char | K::Character | K::Nchar | K::Varchar => literal || self.is_at(1, K::Varying),
            K::National => matches!(self.keyword_at(1), Some(K::Char | K::Character)),
            K::Time | K::Timestamp => literal || self.begins_zone(1),
            K::Interval => literal,
            _ => false,
        }
    }

    /// `type 'text'` of a type that the grammar has words for.
    pub fn system_typed_string(&mut self, at: u32) -> Result<Expr> {
        let is_interval = self.is(K::Interval);
        if is_interval {
            self.advance();
            let mut ty = TypeName::system("interval", at);
            if self.kind() == Kind::LParen {
                ty.modifiers = vec![self.precision()?];
                return self.typed_string(ty);
            }
            let input_at = self.here();
            let input = Expr { kind: ExprKind::String(self.string()?), at: input_at };
            self.interval_fields(&mut ty)?;
            return Ok(Expr { kind: ExprKind::Cast(Box::new(Cast { input, ty, at })), at });
        }
        let ty = self.simple_type(false)?;
        self.typed_string(ty)
    }

    /// A type without brackets. In a definition `char` is of length one; before a text it is as long as that.
    fn simple_type(&mut self, definition: bool) -> Result<TypeName> {
        let at = self.here();
        let Some(keyword) = self.keyword() else {
            return self.generic_type();
        };
        let plain = |name: &str| TypeName::system(name, at);
        let fixed = match keyword {
            K::Int | K::Integer => "int4",
            K::Smallint => "int2",
            K::Bigint => "int8",
            K::Real => "float4",
            K::Boolean => "bool",
            K::Json => "json",
            K::Double if self.is_at(1, K::Precision) => {
                self.advance();
                "float8"
            }
            K::Float => return self.float_type(at),
            K::Decimal | K::Dec | K::Numeric => {
                self.advance();
                return Ok(TypeName { modifiers: self.modifiers()?, ..plain("numeric") });
            }
            K::Bit => {
                self.advance();
                let varying = self.take_keyword(K::Varying);
                let mut modifiers = self.modifiers()?;
                if modifiers.is_empty() && !varying && definition {
                    modifiers.push(one(at));
                }
                return Ok(TypeName { modifiers, ..plain(if varying { "varbit" } else { "bit" }) });
            }
            K::Char | K::Character | K::Nchar | K::Varchar | K::National => {
                return self.character_type(keyword, definition, at);
            }
            K::Time | K::Timestamp => return self.clock_type(keyword, at),
            K::Interval => {
                self.advance();
                let mut ty = plain("interval");
                match self.kind() {
                    Kind::LParen => ty.modifiers = vec![self.precision()?],
                    _ => self.interval_fields(&mut ty)?,
                }
                return Ok(ty);
            }
            _ => return self.generic_type(),
        };
        self.advance();
        Ok(plain(fixed))
    }

    fn generic_type(&mut self) -> Result<TypeName> {
        if self.keyword().is_some_and(|keyword| matches!(keyword.class(), Class::ColName | Class::Reserved)) {
            return Err(self.unexpected());
        }
        let first = self.function_name()?;
        let name = self.name_parts(first)?;
        let mut ty = TypeName::plain(name.parts, name.at);
        if self.kind() == Kind::Percent && self.is_at(1, K::Type) {
            self.advance();
            self.advance();
            ty.of_column = true;
            return Ok(ty);
        }
        ty.modifiers = self.modifiers()?;
        Ok(ty)
    }

    /// `(5, 2)`, if there are parentheses.
    fn modifiers(&mut self) -> Result<Vec<Expr>> {
        if self.take(Kind::LParen) { self.closed(Self::exprs) } else { Ok(Vec::new()) }
    }

    fn float_type(&mut self, at: u32) -> Result<TypeName> {
        self.advance();
        if !self.take(Kind::LParen) {
            return Ok(TypeName::system("float8", at));
        }
        let bits_at = self.here();
        let bits = self.integer()?;
        self.expect(Kind::RParen)?;
        let invalid = |message: &str| Err(self.error(bits_at, SqlState::INVALID_PARAMETER_VALUE, message));
        match bits {
            ..1 => invalid("precision for type float must be at least 1 bit"),
            54.. => invalid("precision for type float must be less than 54 bits"),
            _ => Ok(TypeName::system(if bits < 25 { "float4" } else { "float8" }, at)),
        }
    }

    fn character_type(&mut self, keyword: K, definition: bool, at: u32) -> Result<TypeName> {
        self.advance();
        if keyword == K::National && !self.take_keyword(K::Character) {
            self.expect_keyword(K::Char)?;
        }
        let varying = keyword == K::Varchar || self.take_keyword(K::Varying);
        let mut modifiers = Vec::new();
        if self.kind() == Kind::LParen {
            modifiers.push(self.precision()?);
        } else if !varying && definition {
            modifiers.push(one(at));
        }
        Ok(TypeName { modifiers, ..TypeName::system(if varying { "varchar" } else { "bpchar" }, at) })
    }

    fn precision(&mut self) -> Result<Expr> {
        self.expect(Kind::LParen)?;
        let at = self.here();
        let number = self.integer()?;
        self.expect(Kind::RParen)?;
        Ok(Expr { kind: ExprKind::Number(number.to_string()), at })
    }

    /// Whether `WITH TIME ZONE` or `WITHOUT TIME ZONE` stands some tokens ahead.
    fn begins_zone(&self, ahead: usize) -> bool {
        matches!(self.keyword_at(ahead), Some(K::With | K::Without)) && self.is_at(ahead + 1, K::Time)
    }

    fn clock_type(&mut self, keyword: K, at: u32) -> Result<TypeName> {
        self.advance();
        let modifiers = if self.kind() == Kind::LParen { vec![self.precision()?] } else { Vec::new() };
        let mut with_zone = false;
        if self.begins_zone(0) {
            with_zone = self.is(K::With);
            self.advance();
            self.expect_keywords(&[K::Time, K::Zone])?;
        }
        let name = match (keyword, with_zone) {
            (K::Time, false) => "time",
            (K::Time, true) => "timetz",
            (_, false) => "timestamp",
            (_, true) => "timestamptz",
        };
        Ok(TypeName { modifiers, ..TypeName::system(name, at) })
    }

    /// `YEAR TO MONTH`, `SECOND(3)` and their kin, if there are any.
    fn interval_fields(&mut self, ty: &mut TypeName) -> Result<()> {
        let first = match self.keyword() {
            Some(field @ (K::Year | K::Month | K::Day | K::Hour | K::Minute | K::Second)) => field,
            _ => return Ok(()),
        };
        self.advance();
        let mut last = first;
        if self.is(K::To) && first != K::Month && first != K::Second {
            self.advance();
            let fits: &[K] = match first {
                K::Year => &[K::Month],
                K::Day => &[K::Hour, K::Minute, K::Second],
                K::Hour => &[K::Minute, K::Second],
                _ => &[K::Second],
            };
            last = self.keyword().filter(|field| fits.contains(field)).ok_or_else(|| self.unexpected())?;
            self.advance();
        }
        if last == K::Second && self.kind() == Kind::LParen {
            ty.modifiers = vec![self.precision()?];
        }
        ty.fields = Some((first, last));
        Ok(())
    }
}

fn one(at: u32) -> Expr {
    Expr { kind: ExprKind::Number("1".to_owned()), at }
}
