//! Expressions: operators by their precedence.
//!
//! From the weakest to the strongest, as the manual's table has them; levels at which operators do not associate refuse
//! a second one on their left.

use std::borrow::Cow;

use crate::report::{Result, SqlState};

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::primary::{Parens, system_call};
use super::tree::*;

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARE: u8 = 5;
const PATTERN: u8 = 6;
const OTHER: u8 = 7;
const ADD: u8 = 8;
const MULTIPLY: u8 = 9;
const POWER: u8 = 10;
const ZONE: u8 = 11;
const COLLATE: u8 = 12;
const SIGN: u8 = 13;
const CAST: u8 = 14;

/// Which operators there may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All of them.
    Full,
    /// Those that take no key words, as within `BETWEEN … AND` and `POSITION(… IN …)`.
    Plain,
}

/// What stands behind an operand.
enum Infix {
    Operator,
    Cast,
    And,
    Or,
    Is,
    IsNull(bool),
    Between(bool),
    In(bool),
    Like(LikeKind, bool),
    Zone,
    Collate,
    Overlaps,
}

impl Parser<'_> {
    /// An expression.
    pub fn expr(&mut self) -> Result<Expr> {
        self.operand(0, Mode::Full)
    }

    /// PostgreSQL's `b_expr`.
    pub fn plain_expr(&mut self) -> Result<Expr> {
        self.operand(0, Mode::Plain)
    }

    /// Expressions with commas between them.
    pub fn exprs(&mut self) -> Result<Vec<Expr>> {
        self.list(Self::expr)
    }

    /// An expression of operators that bind at least as strongly as `least`.
    fn operand(&mut self, least: u8, mode: Mode) -> Result<Expr> {
        self.nested(|parser| {
            let left = parser.prefix(mode)?;
            parser.climb(left, least, mode)
        })
    }

    /// Goes on with an expression whose first operand was read.
    pub fn continued(&mut self, left: Expr) -> Result<Expr> {
        self.climb(left, 0, Mode::Full)
    }

    fn prefix(&mut self, mode: Mode) -> Result<Expr> {
        let at = self.here();
        match self.kind() {
            Kind::Minus => {
                self.advance();
                let input = self.operand(SIGN, mode)?;
                Ok(negated(input, at))
            }
            Kind::Plus => {
                let op = self.operator()?;
                let input = self.operand(SIGN, mode)?;
                Ok(Expr { kind: ExprKind::Unary(Box::new((op, input))), at })
            }
            Kind::Operator => self.prefix_operator(mode),
            Kind::Word if self.is(K::Operator) && self.kind_at(1) == Kind::LParen => {
                self.prefix_operator(mode)
            }
            Kind::Word if self.is(K::Not) && mode == Mode::Full => {
                self.advance();
                let input = self.operand(NOT, mode)?;
                Ok(Expr { kind: ExprKind::Not(Box::new(input)), at })
            }
            _ => self.primary(),
        }
    }

    fn prefix_operator(&mut self, mode: Mode) -> Result<Expr> {
        let op = self.operator()?;
        let at = op.at;
        let input = self.operand(OTHER + 1, mode)?;
        Ok(Expr { kind: ExprKind::Unary(Box::new((op, input))), at })
    }

    fn climb(&mut self, mut left: Expr, least: u8, mode: Mode) -> Result<Expr> {
        let mut barred = 0;
        while let Some((level, infix)) = self.infix(mode, &left) {
            if level < least {
                break;
            }
            if level == barred {
                return Err(self.unexpected());
            }
            self.taller()?;
            let associates = !matches!(level, IS | COMPARE | PATTERN);
            let ends_closed;
            (left, ends_closed) = self.apply(left, level, infix, mode)?;
            barred = if associates || ends_closed { 0 } else { level };
        }
        Ok(left)
    }

    /// What comes next, if it is an operator.
    fn infix(&self, mode: Mode, left: &Expr) -> Option<(u8, Infix)> {
        Some(match self.kind() {
            Kind::Plus | Kind::Minus => (ADD, Infix::Operator),
            Kind::Star | Kind::Slash | Kind::Percent => (MULTIPLY, Infix::Operator),
            Kind::Less | Kind::Greater | Kind::Equals => (COMPARE, Infix::Operator),
            Kind::LessEquals | Kind::GreaterEquals | Kind::NotEquals => (COMPARE, Infix::Operator),
            Kind::Caret => (POWER, Infix::Operator),
            Kind::Operator => (OTHER, Infix::Operator),
            Kind::Typecast => (CAST, Infix::Cast),
            Kind::Word => return self.infix_word(self.keyword()?, mode, left),
            _ => return None,
        })
    }

    fn infix_word(&self, keyword: K, mode: Mode, left: &Expr) -> Option<(u8, Infix)> {
        let next = self.keyword_at(1);
        match keyword {
            K::Operator if self.kind_at(1) == Kind::LParen => return Some((OTHER, Infix::Operator)),
            K::Is if mode == Mode::Plain => {
                let what = if next == Some(K::Not) { self.keyword_at(2) } else { next };
                return matches!(what, Some(K::Distinct | K::Document)).then_some((IS, Infix::Is));
            }
            _ if mode == Mode::Plain => return None,
            _ => {}
        }
        Some(match keyword {
            K::And => (AND, Infix::And),
            K::Or => (OR, Infix::Or),
            K::Is => (IS, Infix::Is),
            K::Isnull => (IS, Infix::IsNull(false)),
            K::Notnull => (IS, Infix::IsNull(true)),
            K::Between => (PATTERN, Infix::Between(false)),
            K::In => (PATTERN, Infix::In(false)),
            K::Like => (PATTERN, Infix::Like(LikeKind::Like, false)),
            K::Ilike => (PATTERN, Infix::Like(LikeKind::ILike, false)),
            K::Similar if next == Some(K::To) => (PATTERN, Infix::Like(LikeKind::Similar, false)),
            K::Not => match next? {
                K::Between => (PATTERN, Infix::Between(true)),
                K::In => (PATTERN, Infix::In(true)),
                K::Like => (PATTERN, Infix::Like(LikeKind::Like, true)),
                K::Ilike => (PATTERN, Infix::Like(LikeKind::ILike, true)),
                K::Similar => (PATTERN, Infix::Like(LikeKind::Similar, true)),
                _ => return None,
            },
            K::At if matches!(next, Some(K::Time | K::Local)) => (ZONE, Infix::Zone),
            K::Collate => (COLLATE, Infix::Collate),
            K::Overlaps if matches!(left.kind, ExprKind::Row(..)) => (CAST, Infix::Overlaps),
            _ => return None,
        })
    }

    /// Applies an operator to what stands left of it. The flag: whether it ends with itself, so that nothing right of it
    /// could belong to it.
    fn apply(&mut self, left: Expr, level: u8, infix: Infix, mode: Mode) -> Result<(Expr, bool)> {
        let at = left.at;
        let mut closed = false;
        let kind = match infix {
            Infix::Operator => return self.binary(left, level, mode),
            Infix::And => self.chain(left, AND)?,
            Infix::Or => self.chain(left, OR)?,
            Infix::Cast => {
                let at = self.here();
                self.advance();
                let ty = self.type_name()?;
                ExprKind::Cast(Box::new(Cast { input: left, ty, at }))
            }
            Infix::Is => return self.is_test(left, mode),
            Infix::IsNull(negated) => {
                self.advance();
                closed = true;
                ExprKind::Is(Box::new(left), Test::Null, negated)
            }
            Infix::Between(negated) => self.between(left, negated)?,
            Infix::In(negated) => {
                closed = true;
                self.in_list(left, negated)?
            }
            Infix::Like(kind, negated) => return self.like(left, kind, negated),
            Infix::Zone => self.at_zone(left)?,
            Infix::Collate => {
                self.advance();
                ExprKind::Collate(Box::new(left), self.any_name()?)
            }
            Infix::Overlaps => self.overlaps(left)?,
        };
        Ok((Expr { kind, at }, closed))
    }

    fn binary(&mut self, left: Expr, level: u8, mode: Mode) -> Result<(Expr, bool)> {
        let at = left.at;
        let op = self.operator()?;
        if mode == Mode::Full && self.is_quantifier() {
            return Ok((Expr { kind: self.quantified(left, op)?, at }, true));
        }
        let right = self.operand(level + 1, mode)?;
        Ok((Expr { kind: ExprKind::Binary(Box::new((op, left, right))), at }, false))
    }

    /// `a AND b AND c` is one list.
    fn chain(&mut self, left: Expr, level: u8) -> Result<ExprKind> {
        self.advance();
        let right = self.operand(level + 1, Mode::Full)?;
        let (list, make): (_, fn(Vec<Expr>) -> ExprKind) = match (left.kind, level) {
            (ExprKind::And(list), AND) => (Ok(list), ExprKind::And),
            (ExprKind::Or(list), OR) => (Ok(list), ExprKind::Or),
            (kind, AND) => (Err(kind), ExprKind::And),
            (kind, _) => (Err(kind), ExprKind::Or),
        };
        let mut list = list.unwrap_or_else(|kind| vec![Expr { kind, at: left.at }]);
        list.push(right);
        Ok(make(list))
    }

    /// An operator, perhaps as `OPERATOR(schema.op)`.
    pub fn operator(&mut self) -> Result<Operator> {
        let at = self.here();
        if self.take_keyword(K::Operator) {
            let (schema, name) = self.in_parens(Self::operator_parts)?;
            return Ok(Operator { schema, name, at });
        }
        Ok(Operator { schema: Vec::new(), name: self.operator_symbol()?, at })
    }

    /// `schema.op`.
    pub fn operator_parts(&mut self) -> Result<(Vec<String>, Cow<'static, str>)> {
        let mut schema = Vec::new();
        while self.is_column_name(0) {
            schema.push(self.name()?.text);
            self.expect(Kind::Dot)?;
        }
        Ok((schema, self.operator_symbol()?))
    }

    fn operator_symbol(&mut self) -> Result<Cow<'static, str>> {
        let name = match self.kind() {
            Kind::Plus => "+",
            Kind::Minus => "-",
            Kind::Star => "*",
            Kind::Slash => "/",
            Kind::Percent => "%",
            Kind::Caret => "^",
            Kind::Less => "<",
            Kind::Greater => ">",
            Kind::Equals => "=",
            Kind::LessEquals => "<=",
            Kind::GreaterEquals => ">=",
            Kind::NotEquals => "<>",
            Kind::Operator => return Ok(Cow::Owned(self.take_text().to_owned())),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(Cow::Borrowed(name))
    }

    fn is_quantifier(&self) -> bool {
        matches!(self.keyword(), Some(K::Any | K::Some | K::All))
    }

    fn quantified(&mut self, left: Expr, op: Operator) -> Result<ExprKind> {
        let all = self.is(K::All);
        self.advance();
        let right = match self.parens_of(true)? {
            Parens::Query(query) => InList::Query(query),
            Parens::Exprs(list) => InList::Exprs(list),
        };
        Ok(ExprKind::Quantified(Box::new(Quantified { left, op, all, right })))
    }

    fn in_list(&mut self, input: Expr, negated: bool) -> Result<ExprKind> {
        let at = self.here();
        self.take_keyword(K::Not);
        self.advance();
        let list = match self.parens()? {
            Parens::Query(query) => InList::Query(query),
            Parens::Exprs(list) => InList::Exprs(list),
        };
        Ok(ExprKind::In(Box::new(In { input, list, negated, at })))
    }

    fn between(&mut self, input: Expr, negated: bool) -> Result<ExprKind> {
        let at = self.here();
        self.take_keyword(K::Not);
        self.advance();
        let symmetric = self.take_keyword(K::Symmetric);
        if !symmetric {
            self.take_keyword(K::Asymmetric);
        }
        let low = self.plain_expr()?;
        self.expect_keyword(K::And)?;
        let high = self.operand(PATTERN + 1, Mode::Full)?;
        Ok(ExprKind::Between(Box::new(Between { input, low, high, negated, symmetric, at })))
    }

    fn like(&mut self, input: Expr, kind: LikeKind, negated: bool) -> Result<(Expr, bool)> {
        let (at, op_at) = (input.at, self.here());
        self.take_keyword(K::Not);
        self.advance();
        if kind == LikeKind::Similar {
            self.expect_keyword(K::To)?;
        } else if self.is_quantifier() {
            let name = match (kind, negated) {
                (LikeKind::ILike, false) => "~~*",
                (LikeKind::ILike, true) => "!~~*",
                (_, false) => "~~",
                (_, true) => "!~~",
            };
            let op = Operator { schema: Vec::new(), name: Cow::Borrowed(name), at: op_at };
            return Ok((Expr { kind: self.quantified(input, op)?, at }, true));
        }
        let pattern = self.operand(PATTERN + 1, Mode::Full)?;
        let escape = match self.take_keyword(K::Escape) {
            true => Some(self.operand(PATTERN + 1, Mode::Full)?),
            false => None,
        };
        let like = Like { kind, input, pattern, escape, negated, at: op_at };
        Ok((Expr { kind: ExprKind::Like(Box::new(like)), at }, false))
    }

    fn at_zone(&mut self, input: Expr) -> Result<ExprKind> {
        self.advance();
        if self.take_keyword(K::Local) {
            return Ok(system_call("timezone", vec![input]));
        }
        self.expect_keywords(&[K::Time, K::Zone])?;
        let zone = self.operand(ZONE + 1, Mode::Full)?;
        Ok(system_call("timezone", vec![zone, input]))
    }

    fn overlaps(&mut self, left: Expr) -> Result<ExprKind> {
        self.advance();
        let right = self.primary()?;
        let places = [left.at, right.at];
        let (ExprKind::Row(mut items, _), ExprKind::Row(right, _)) = (left.kind, right.kind) else {
            return Err(self.unexpected());
        };
        let sides = [(items.len(), "left"), (right.len(), "right")];
        for ((count, side), at) in sides.into_iter().zip(places) {
            if count != 2 {
                let message = format!("wrong number of parameters on {side} side of OVERLAPS expression");
                return Err(self.error(at, SqlState::SYNTAX_ERROR, message));
            }
        }
        items.extend(right);
        Ok(system_call("overlaps", items))
    }

    /// What stands behind `IS`.
    fn is_test(&mut self, input: Expr, mode: Mode) -> Result<(Expr, bool)> {
        let (at, is_at) = (input.at, self.here());
        self.advance();
        let negated = self.take_keyword(K::Not);
        let test = match self.keyword() {
            Some(K::Null) => Test::Null,
            Some(K::True) => Test::True,
            Some(K::False) => Test::False,
            Some(K::Unknown) => Test::Unknown,
            Some(K::Document) => Test::Document,
            Some(K::Json) => return Ok((self.is_json(input, negated)?, true)),
            Some(K::Distinct) => {
                self.advance();
                self.expect_keyword(K::From)?;
                let right = self.operand(IS + 1, mode)?;
                let distinct = Distinct { left: input, right, negated, at: is_at };
                return Ok((Expr { kind: ExprKind::Distinct(Box::new(distinct)), at }, false));
            }
            _ => return Ok((self.is_normalized(input, negated)?, true)),
        };
        self.advance();
        Ok((Expr { kind: ExprKind::Is(Box::new(input), test, negated), at }, true))
    }

    fn is_json(&mut self, input: Expr, negated: bool) -> Result<Expr> {
        let at = input.at;
        self.advance();
        let kind = match self.keyword() {
            Some(K::Object) => Some(JsonKind::Object),
            Some(K::Array) => Some(JsonKind::Array),
            Some(K::Scalar) => Some(JsonKind::Scalar),
            Some(K::Value) => Some(JsonKind::Any),
            _ => None,
        };
        if kind.is_some() {
            self.advance();
        }
        let unique = self.take_keywords(&[K::With, K::Unique]);
        if unique || self.take_keywords(&[K::Without, K::Unique]) {
            self.take_keyword(K::Keys);
        }
        let test = Test::Json(kind.unwrap_or(JsonKind::Any), unique);
        Ok(Expr { kind: ExprKind::Is(Box::new(input), test, negated), at })
    }

    /// `IS [NOT] [form] NORMALIZED`.
    fn is_normalized(&mut self, input: Expr, negated: bool) -> Result<Expr> {
        let at = input.at;
        let mut args = vec![input];
        args.extend(self.normal_form());
        self.expect_keyword(K::Normalized)?;
        let test = Expr { kind: system_call("is_normalized", args), at };
        Ok(if negated { Expr { kind: ExprKind::Not(Box::new(test)), at } } else { test })
    }

    /// `NFC` and its kin, as a text.
    pub fn normal_form(&mut self) -> Option<Expr> {
        let form = self.keyword().filter(|form| matches!(form, K::Nfc | K::Nfd | K::Nfkc | K::Nfkd))?;
        let at = self.here();
        self.advance();
        Some(Expr { kind: ExprKind::String(form.word().to_uppercase()), at })
    }
}

/// A number's sign belongs to it, so that the smallest integer is one.
fn negated(input: Expr, at: u32) -> Expr {
    let kind = match input.kind {
        ExprKind::Number(digits) => ExprKind::Number(match digits.strip_prefix('-') {
            Some(positive) => positive.to_owned(),
            None => format!("-{digits}"),
        }),
        kind => {
            let op = Operator { schema: Vec::new(), name: Cow::Borrowed("-"), at };
            ExprKind::Unary(Box::new((op, Expr { kind, at: input.at })))
        }
    };
    Expr { kind, at }
}
