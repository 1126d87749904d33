//! Expressions without operators: constants, columns, calls, and what stands in parentheses.

use crate::report::{Result, SqlState};

use super::keywords::{Class, Keyword as K};
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::*;

/// What parentheses hold.
pub enum Parens {
    Query(Query),
    Exprs(Vec<Expr>),
}

/// A call of a function that a grammar of its own stands for.
pub fn system_call(name: &str, args: Vec<Expr>) -> ExprKind {
    let args = args.into_iter().map(|value| Argument { name: None, value }).collect();
    let names = vec!["pg_catalog".to_owned(), name.to_owned()];
    ExprKind::Function(Box::new(Function { names, args, special: true, ..Function::default() }))
}

impl Parser<'_> {
    /// PostgreSQL's `c_expr`.
    pub fn primary(&mut self) -> Result<Expr> {
        let at = self.here();
        let kind = match self.kind() {
            Kind::Integer | Kind::Number => ExprKind::Number(self.take_text().to_owned()),
            Kind::String | Kind::Escaped | Kind::Unicode | Kind::Dollar => ExprKind::String(self.string()?),
            Kind::Bits | Kind::Hex => self.bits(),
            Kind::Param => {
                let number = self.take_text()[1..].parse().unwrap_or(0);
                return self.indirection_of(Expr { kind: ExprKind::Param(number), at });
            }
            Kind::LParen => return self.parens_expr(),
            Kind::Quoted | Kind::QuotedUnicode => return self.named(),
            Kind::Word => match self.keyword() {
                Some(keyword) => match self.keyword_expr(keyword)? {
                    Some(kind) => kind,
                    None => return self.named(),
                },
                None => return self.named(),
            },
            _ => return Err(self.unexpected()),
        };
        Ok(Expr { kind, at })
    }

    fn bits(&mut self) -> ExprKind {
        let hex = self.kind() == Kind::Hex;
        let text = self.take_text();
        ExprKind::Bits(text[2..text.len() - 1].to_owned(), hex)
    }

    fn parens_expr(&mut self) -> Result<Expr> {
        let at = self.here();
        let parens = self.parens()?;
        self.indirection_of(parens_value(parens, at))
    }

    /// Parentheses with a query, or with one expression or more. What `((` begins is known when the inner parentheses
    /// are over: only a query goes on with `UNION`, `ORDER BY` and the like.
    pub fn parens(&mut self) -> Result<Parens> {
        self.parens_of(false)
    }

    /// The same, with no more than one expression if there is to be but one.
    pub fn parens_of(&mut self, one: bool) -> Result<Parens> {
        self.nested(|parser| parser.parens_here(one))
    }

    fn parens_here(&mut self, one: bool) -> Result<Parens> {
        self.expect(Kind::LParen)?;
        if self.begins_query() {
            return self.closed(Self::query).map(Parens::Query);
        }
        if self.kind() != Kind::LParen {
            let list = if one { vec![self.expr()?] } else { self.exprs()? };
            self.expect(Kind::RParen)?;
            return Ok(Parens::Exprs(list));
        }
        let at = self.here();
        let inner = match self.parens()? {
            Parens::Query(query) if self.continues_query() || self.kind() == Kind::RParen => {
                let query = self.query_behind(query)?;
                self.expect(Kind::RParen)?;
                return Ok(Parens::Query(query));
            }
            inner => parens_value(inner, at),
        };
        let inner = self.indirection_of(inner)?;
        let mut list = vec![self.continued(inner)?];
        while !one && self.take(Kind::Comma) {
            list.push(self.expr()?);
        }
        self.expect(Kind::RParen)?;
        Ok(Parens::Exprs(list))
    }

    /// What begins with a word that has a grammar of its own; none if it is a name here.
    fn keyword_expr(&mut self, keyword: K) -> Result<Option<ExprKind>> {
        let simple = match keyword {
            K::Null => Some(ExprKind::Null),
            K::True => Some(ExprKind::Bool(true)),
            K::False => Some(ExprKind::Bool(false)),
            K::Default => Some(ExprKind::Default),
            _ => None,
        };
        if simple.is_some() {
            self.advance();
            return Ok(simple);
        }
        let parenthesis = self.kind_at(1) == Kind::LParen;
        Ok(Some(match keyword {
            K::Case => self.nested(Self::case)?,
            K::Array => self.array()?,
            K::Exists if parenthesis => {
                self.advance();
                ExprKind::Exists(Box::new(self.query_in_parens()?))
            }
            K::Row if parenthesis => {
                self.advance();
                self.advance();
                let items = if self.kind() == Kind::RParen { Vec::new() } else { self.exprs()? };
                self.expect(Kind::RParen)?;
                ExprKind::Row(items, true)
            }
            K::Grouping if parenthesis => {
                self.advance();
                ExprKind::Grouping(self.in_parens(Self::exprs)?)
            }
            _ => return self.special(keyword, parenthesis),
        }))
    }

    fn case(&mut self) -> Result<ExprKind> {
        self.advance();
        let operand = if self.is(K::When) { None } else { Some(self.expr()?) };
        let mut arms = Vec::new();
        while self.take_keyword(K::When) {
            let test = self.expr()?;
            self.expect_keyword(K::Then)?;
            arms.push((test, self.expr()?));
        }
        if arms.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.take_keyword(K::Else) { Some(self.expr()?) } else { None };
        self.expect_keyword(K::End)?;
        Ok(ExprKind::Case(Box::new(Case { operand, arms, otherwise })))
    }

    /// `ARRAY[…]` or `ARRAY(query)`.
    fn array(&mut self) -> Result<ExprKind> {
        self.advance();
        match self.kind() {
            Kind::LBracket => self.nested(Self::array_items),
            Kind::LParen => Ok(ExprKind::ArrayQuery(Box::new(self.query_in_parens()?))),
            _ => Err(self.unexpected()),
        }
    }

    /// `[…]`, whose items may be such lists, too.
    fn array_items(&mut self) -> Result<ExprKind> {
        self.expect(Kind::LBracket)?;
        if self.take(Kind::RBracket) {
            return Ok(ExprKind::Array(Vec::new()));
        }
        let items = if self.kind() == Kind::LBracket {
            self.list(|parser| {
                let at = parser.here();
                Ok(Expr { kind: parser.nested(Self::array_items)?, at })
            })?
        } else {
            self.exprs()?
        };
        self.expect(Kind::RBracket)?;
        Ok(ExprKind::Array(items))
    }

    /// What begins with a name: a column, a call, or a text of a type.
    fn named(&mut self) -> Result<Expr> {
        let at = self.here();
        let class = self.keyword().map(K::class);
        if class == Some(Class::Reserved) {
            return Err(self.unexpected());
        }
        let mut parts = vec![self.label()?.text];
        while self.kind() == Kind::Dot && self.is_label(1) && class != Some(Class::TypeFuncName) {
            self.advance();
            parts.push(self.label()?.text);
        }
        let is_function = parts.len() > 1 || class != Some(Class::ColName);
        if self.kind() == Kind::LParen && is_function {
            return self.call(parts, at);
        }
        if self.is_string_at(0) && is_function {
            let ty = TypeName::plain(parts, at);
            return self.typed_string(ty);
        }
        if class == Some(Class::TypeFuncName) {
            return Err(self.unexpected());
        }
        if self.kind() == Kind::Dot && self.kind_at(1) == Kind::Star {
            self.advance();
            self.advance();
            self.no_indirection()?;
            return Ok(Expr { kind: ExprKind::Star(parts), at });
        }
        self.indirection_of(Expr { kind: ExprKind::Column(parts), at })
    }

    /// `type 'text'`: the cast of a text.
    pub fn typed_string(&mut self, ty: TypeName) -> Result<Expr> {
        let (at, input_at) = (ty.at, self.here());
        let input = Expr { kind: ExprKind::String(self.string()?), at: input_at };
        Ok(Expr { kind: ExprKind::Cast(Box::new(Cast { input, ty, at })), at })
    }

    /// An expression with the fields and subscripts behind it.
    pub fn indirection_of(&mut self, input: Expr) -> Result<Expr> {
        let path = self.indirection()?;
        if path.is_empty() {
            return Ok(input);
        }
        let at = input.at;
        Ok(Expr { kind: ExprKind::Indirection(Box::new(input), path), at })
    }

    /// Fields and subscripts, if there are any.
    pub fn indirection(&mut self) -> Result<Vec<Indirection>> {
        let mut path = Vec::new();
        loop {
            match self.kind() {
                Kind::Dot => {
                    self.advance();
                    if self.take(Kind::Star) {
                        self.no_indirection()?;
                        path.push(Indirection::Star);
                        return Ok(path);
                    }
                    path.push(Indirection::Field(self.label()?));
                }
                Kind::LBracket => {
                    self.advance();
                    path.push(self.subscript()?);
                }
                _ => return Ok(path),
            }
        }
    }

    /// Nothing may be taken out of a star; PostgreSQL says so behind what is.
    fn no_indirection(&mut self) -> Result<()> {
        if !matches!(self.kind(), Kind::Dot | Kind::LBracket) {
            return Ok(());
        }
        self.indirection()?;
        let near = match self.kind() {
            Kind::End => "end of input".to_owned(),
            _ => format!("or near \"{}\"", self.token_text(0)),
        };
        let message = format!("improper use of \"*\" at {near}");
        Err(self.error(self.here(), SqlState::SYNTAX_ERROR, message))
    }

    fn subscript(&mut self) -> Result<Indirection> {
        let bound = |parser: &mut Self, end: Kind| match parser.kind() == end {
            true => Ok(None),
            false => parser.expr().map(Some),
        };
        let from = bound(self, Kind::Colon)?;
        let step = match from {
            Some(index) if self.kind() != Kind::Colon => Indirection::Index(index),
            from => {
                self.expect(Kind::Colon)?;
                Indirection::Slice(from, bound(self, Kind::RBracket)?)
            }
        };
        self.expect(Kind::RBracket)?;
        Ok(step)
    }
}

impl TypeName {
    /// A type without anything but its name.
    pub fn plain(names: Vec<String>, at: u32) -> Self {
        Self {
            names,
            system: false,
            modifiers: Vec::new(),
            fields: None,
            dimensions: 0,
            set_of: false,
            of_column: false,
            at,
        }
    }

    /// A type that the grammar has words for.
    pub fn system(name: &str, at: u32) -> Self {
        Self { system: true, ..Self::plain(vec![name.to_owned()], at) }
    }
}

/// What parentheses are worth: one expression is itself, more are a row.
fn parens_value(parens: Parens, at: u32) -> Expr {
    match parens {
        Parens::Query(query) => Expr { kind: ExprKind::Subquery(Box::new(query)), at },
        Parens::Exprs(mut list) => match list.len() {
            1 => list.remove(0),
            _ => Expr { kind: ExprKind::Row(list, false), at },
        },
    }
}
