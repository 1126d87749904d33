//! Calls of functions, and what only looks like them.

use crate::report::{Result, SqlState};

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::primary::system_call;
use super::tree::*;

impl Parser<'_> {
    /// A call whose name was read; or a text of a type with modifiers, which begins as one.
    pub fn call(&mut self, names: Vec<String>, at: u32) -> Result<Expr> {
        let mut function = Function { names, ..Function::default() };
        self.nested(|parser| parser.call_arguments(&mut function))?;
        if self.is_string_at(0) {
            self.check_modifiers(&function)?;
            let modifiers = function.args.into_iter().map(|arg| arg.value).collect();
            return self.typed_string(TypeName { modifiers, ..TypeName::plain(function.names, at) });
        }
        self.call_clauses(&mut function)?;
        Ok(Expr { kind: ExprKind::Function(Box::new(function)), at })
    }

    /// Types have values in parentheses, and nothing else that calls have.
    fn check_modifiers(&self, function: &Function) -> Result<()> {
        if function.star || function.distinct || function.variadic {
            return Err(self.unexpected());
        }
        if let Some(name) = function.args.iter().find_map(|arg| arg.name.as_ref()) {
            let message = "type modifier cannot have parameter name";
            return Err(self.error(name.at, SqlState::SYNTAX_ERROR, message));
        }
        match function.order_by.first() {
            Some(item) => {
                let message = "type modifier cannot have ORDER BY";
                Err(self.error(item.expr.at, SqlState::SYNTAX_ERROR, message))
            }
            None => Ok(()),
        }
    }

    fn call_arguments(&mut self, function: &mut Function) -> Result<()> {
        self.expect(Kind::LParen)?;
        if self.take(Kind::RParen) {
            return Ok(());
        }
        if self.take(Kind::Star) {
            function.star = true;
            return self.expect(Kind::RParen);
        }
        function.distinct = self.take_keyword(K::Distinct);
        let quantified = function.distinct || self.take_keyword(K::All);
        loop {
            function.variadic = !quantified && self.take_keyword(K::Variadic);
            let argument = self.argument()?;
            function.args.push(argument);
            if function.variadic || !self.take(Kind::Comma) {
                break;
            }
        }
        function.order_by = self.order_by()?;
        self.expect(Kind::RParen)
    }

    /// `value`, `name => value` or `name := value`.
    fn argument(&mut self) -> Result<Argument> {
        let named = self.is_function_name(0) && matches!(self.kind_at(1), Kind::Arrow | Kind::Assign);
        let mut name = None;
        if named {
            name = Some(self.function_name()?);
            self.advance();
        }
        Ok(Argument { name, value: self.expr()? })
    }

    fn call_clauses(&mut self, function: &mut Function) -> Result<()> {
        if self.is(K::Within) && self.is_at(1, K::Group) {
            let at = self.here();
            self.within_group(function, at)?;
        }
        if self.is(K::Filter) && self.kind_at(1) == Kind::LParen {
            self.advance();
            function.filter = Some(self.in_parens(|parser| {
                parser.expect_keyword(K::Where)?;
                parser.expr()
            })?);
        }
        if self.take_keyword(K::Over) {
            function.over = Some(self.window()?);
        }
        Ok(())
    }

    fn within_group(&mut self, function: &mut Function, at: u32) -> Result<()> {
        let clash = [
            (!function.order_by.is_empty(), "cannot use multiple ORDER BY clauses with WITHIN GROUP"),
            (function.distinct, "cannot use DISTINCT with WITHIN GROUP"),
            (function.variadic, "cannot use VARIADIC with WITHIN GROUP"),
        ];
        if let Some((_, message)) = clash.into_iter().find(|(clashes, _)| *clashes) {
            return Err(self.error(at, SqlState::SYNTAX_ERROR, message));
        }
        self.expect_keywords(&[K::Within, K::Group])?;
        function.within_group = true;
        function.order_by = self.in_parens(Self::order_by)?;
        if function.order_by.is_empty() {
            return Err(self.unexpected());
        }
        Ok(())
    }

    /// A window behind `OVER`: a name or a specification.
    fn window(&mut self) -> Result<Window> {
        let at = self.here();
        if self.kind() != Kind::LParen {
            let name = Some(self.name()?);
            let (partition_by, order_by) = (Vec::new(), Vec::new());
            return Ok(Window { name, reference: true, partition_by, order_by, frame: None, at });
        }
        self.window_in_parens()
    }

    pub fn window_in_parens(&mut self) -> Result<Window> {
        let at = self.here();
        self.expect(Kind::LParen)?;
        let begins_clause = matches!(self.keyword(), Some(K::Partition | K::Range | K::Rows | K::Groups));
        let name = if self.is_column_name(0) && !begins_clause { Some(self.name()?) } else { None };
        let mut partition_by = Vec::new();
        if self.take_keyword(K::Partition) {
            self.expect_keyword(K::By)?;
            partition_by = self.exprs()?;
        }
        let order_by = self.order_by()?;
        let frame = match self.keyword() {
            Some(unit @ (K::Range | K::Rows | K::Groups)) => Some(Box::new(self.frame(unit)?)),
            _ => None,
        };
        self.expect(Kind::RParen)?;
        Ok(Window { name, reference: false, partition_by, order_by, frame, at })
    }

    fn frame(&mut self, unit: K) -> Result<Frame> {
        self.advance();
        let between = self.take_keyword(K::Between);
        let start_at = self.here();
        let start = self.bound()?;
        let error =
            |parser: &Self, at: u32, message: &str| Err(parser.error(at, SqlState::WINDOWING_ERROR, message));
        if matches!(start, Bound::UnboundedFollowing) {
            return error(self, start_at, "frame start cannot be UNBOUNDED FOLLOWING");
        }
        let mut end = None;
        if between {
            self.expect_keyword(K::And)?;
            let end_at = self.here();
            let bound = self.bound()?;
            match (&start, &bound) {
                (_, Bound::UnboundedPreceding) => {
                    return error(self, end_at, "frame end cannot be UNBOUNDED PRECEDING");
                }
                (Bound::CurrentRow, Bound::Preceding(_)) => {
                    return error(self, end_at, "frame starting from current row cannot have preceding rows");
                }
                (Bound::Following(_), Bound::Preceding(_) | Bound::CurrentRow) => {
                    return error(
                        self,
                        end_at,
                        "frame starting from following row cannot have preceding rows",
                    );
                }
                _ => {}
            }
            end = Some(bound);
        } else if matches!(start, Bound::Following(_)) {
            return error(self, start_at, "frame starting from following row cannot end with current row");
        }
        Ok(Frame { unit, start, end, exclude: self.exclusion()? })
    }

    fn exclusion(&mut self) -> Result<Option<K>> {
        if !self.take_keyword(K::Exclude) {
            return Ok(None);
        }
        if self.take_keywords(&[K::Current, K::Row]) {
            return Ok(Some(K::Current));
        }
        if self.take_keywords(&[K::No, K::Others]) {
            return Ok(None);
        }
        match self.keyword() {
            Some(what @ (K::Group | K::Ties)) => {
                self.advance();
                Ok(Some(what))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn bound(&mut self) -> Result<Bound> {
        if self.take_keywords(&[K::Unbounded, K::Preceding]) {
            return Ok(Bound::UnboundedPreceding);
        }
        if self.take_keywords(&[K::Unbounded, K::Following]) {
            return Ok(Bound::UnboundedFollowing);
        }
        if self.take_keywords(&[K::Current, K::Row]) {
            return Ok(Bound::CurrentRow);
        }
        let offset = self.expr()?;
        if self.take_keyword(K::Preceding) {
            return Ok(Bound::Preceding(offset));
        }
        self.expect_keyword(K::Following)?;
        Ok(Bound::Following(offset))
    }

    /// Words that have a grammar of their own where parentheses follow, types' names before a text, and the values that
    /// need no parentheses. None if the word is a name here.
    pub fn special(&mut self, keyword: K, parenthesis: bool) -> Result<Option<ExprKind>> {
        if let Some(value) = self.value_function(keyword, parenthesis)? {
            return Ok(Some(value));
        }
        if keyword == K::Collation && self.is_at(1, K::For) {
            self.advance();
            self.advance();
            let input = self.in_parens(Self::expr)?;
            return Ok(Some(system_call("pg_collation_for", vec![input])));
        }
        if self.begins_system_type() {
            let at = self.here();
            return Ok(Some(self.system_typed_string(at)?.kind));
        }
        if !parenthesis {
            return Ok(None);
        }
        Ok(Some(match keyword {
            K::Cast | K::Treat => self.cast(keyword)?,
            K::Coalesce => ExprKind::Coalesce(self.parenthesized_exprs()?),
            K::Greatest => ExprKind::MinMax(true, self.parenthesized_exprs()?),
            K::Least => ExprKind::MinMax(false, self.parenthesized_exprs()?),
            K::Nullif => self.nullif()?,
            K::Extract => self.extract()?,
            K::Position => self.position()?,
            K::Substring => self.substring()?,
            K::Overlay => self.overlay()?,
            K::Trim => self.trim()?,
            K::Normalize => self.normalize()?,
            K::MergeAction => {
                self.advance();
                self.advance();
                self.expect(Kind::RParen)?;
                system_call("merge_action", Vec::new())
            }
            _ if is_document_function(keyword) => {
                return self.not_supported(self.here(), &keyword.word().to_uppercase());
            }
            _ => return Ok(None),
        }))
    }

    fn parenthesized_exprs(&mut self) -> Result<Vec<Expr>> {
        self.advance();
        self.in_parens(Self::exprs)
    }

    fn value_function(&mut self, keyword: K, parenthesis: bool) -> Result<Option<ExprKind>> {
        let with_precision = match keyword {
            K::CurrentTime | K::CurrentTimestamp | K::Localtime | K::Localtimestamp => true,
            K::CurrentDate | K::CurrentRole | K::CurrentUser | K::SessionUser => false,
            K::SystemUser | K::User | K::CurrentCatalog => false,
            K::CurrentSchema if !parenthesis => false,
            _ => return Ok(None),
        };
        self.advance();
        let precision = match with_precision && parenthesis {
            true => Some(self.in_parens(Self::integer)?),
            false => None,
        };
        Ok(Some(ExprKind::Value(keyword, precision)))
    }

    fn cast(&mut self, keyword: K) -> Result<ExprKind> {
        let at = self.here();
        self.advance();
        self.expect(Kind::LParen)?;
        let input = self.expr()?;
        self.expect_keyword(K::As)?;
        let ty = self.type_name()?;
        self.expect(Kind::RParen)?;
        if keyword == K::Treat {
            // PostgreSQL's way: a call of the function that is called as the type.
            let name = ty.names.last().cloned().unwrap_or_default();
            return Ok(system_call(&name, vec![input]));
        }
        Ok(ExprKind::Cast(Box::new(Cast { input, ty, at })))
    }

    fn nullif(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect(Kind::LParen)?;
        let left = self.expr()?;
        self.expect(Kind::Comma)?;
        let right = self.expr()?;
        self.expect(Kind::RParen)?;
        Ok(ExprKind::NullIf(Box::new((left, right))))
    }

    fn extract(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect(Kind::LParen)?;
        let at = self.here();
        let field = match self.take_string()? {
            Some(text) => text,
            None => {
                let fits = match self.keyword() {
                    None => true,
                    Some(keyword) => {
                        matches!(keyword, K::Year | K::Month | K::Day | K::Hour | K::Minute | K::Second)
                    }
                };
                if !fits {
                    return Err(self.unexpected());
                }
                self.label()?.text
            }
        };
        self.expect_keyword(K::From)?;
        let field = Expr { kind: ExprKind::String(field), at };
        let input = self.expr()?;
        self.expect(Kind::RParen)?;
        Ok(system_call("extract", vec![field, input]))
    }

    fn position(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect(Kind::LParen)?;
        let needle = self.plain_expr()?;
        self.expect_keyword(K::In)?;
        let haystack = self.plain_expr()?;
        self.expect(Kind::RParen)?;
        Ok(system_call("position", vec![haystack, needle]))
    }

    fn substring(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect(Kind::LParen)?;
        if self.take(Kind::RParen) {
            return Ok(plain_call("substring", Vec::new()));
        }
        let first = self.argument()?;
        if first.name.is_some() || matches!(self.kind(), Kind::Comma | Kind::RParen) {
            return self.other_arguments("substring", first);
        }
        let mut args = vec![first.value];
        if self.take_keyword(K::Similar) {
            args.push(self.expr()?);
            self.expect_keyword(K::Escape)?;
            args.push(self.expr()?);
        } else if self.take_keyword(K::From) {
            args.push(self.expr()?);
            if self.take_keyword(K::For) {
                args.push(self.expr()?);
            }
        } else {
            let at = self.here();
            self.expect_keyword(K::For)?;
            let length = self.expr()?;
            let start = if self.take_keyword(K::From) { Some(self.expr()?) } else { None };
            let one = Expr { kind: ExprKind::Number("1".to_owned()), at };
            let length = match start {
                Some(_) => length,
                // The length is an integer then, whatever else it might be.
                None => {
                    let (at, ty) = (length.at, TypeName::system("int4", length.at));
                    Expr { kind: ExprKind::Cast(Box::new(Cast { input: length, ty, at })), at }
                }
            };
            args.extend([start.unwrap_or(one), length]);
        }
        self.expect(Kind::RParen)?;
        Ok(system_call("substring", args))
    }

    /// The arguments behind the first one, where a function was called in the ordinary way after all.
    fn other_arguments(&mut self, name: &str, first: Argument) -> Result<ExprKind> {
        let mut args = vec![first];
        while self.take(Kind::Comma) {
            args.push(self.argument()?);
        }
        self.expect(Kind::RParen)?;
        Ok(plain_call(name, args))
    }

    fn overlay(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect(Kind::LParen)?;
        if self.take(Kind::RParen) {
            return Ok(plain_call("overlay", Vec::new()));
        }
        let first = self.argument()?;
        if first.name.is_some() || matches!(self.kind(), Kind::Comma | Kind::RParen) {
            return self.other_arguments("overlay", first);
        }
        self.expect_keyword(K::Placing)?;
        let mut args = vec![first.value, self.expr()?];
        self.expect_keyword(K::From)?;
        args.push(self.expr()?);
        if self.take_keyword(K::For) {
            args.push(self.expr()?);
        }
        self.expect(Kind::RParen)?;
        Ok(system_call("overlay", args))
    }

    fn trim(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect(Kind::LParen)?;
        let name = match self.keyword() {
            Some(K::Leading) => "ltrim",
            Some(K::Trailing) => "rtrim",
            _ => "btrim",
        };
        if matches!(self.keyword(), Some(K::Leading | K::Trailing | K::Both)) {
            self.advance();
        }
        let mut characters = None;
        if !self.is(K::From) {
            let first = self.expr()?;
            if !self.is(K::From) {
                let mut args = vec![first];
                while self.take(Kind::Comma) {
                    args.push(self.expr()?);
                }
                self.expect(Kind::RParen)?;
                return Ok(system_call(name, args));
            }
            characters = Some(first);
        }
        self.expect_keyword(K::From)?;
        let mut args = self.exprs()?;
        args.extend(characters);
        self.expect(Kind::RParen)?;
        Ok(system_call(name, args))
    }

    fn normalize(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect(Kind::LParen)?;
        let mut args = vec![self.expr()?];
        if self.take(Kind::Comma) {
            args.push(self.normal_form().ok_or_else(|| self.unexpected())?);
        }
        self.expect(Kind::RParen)?;
        Ok(system_call("normalize", args))
    }
}

fn plain_call(name: &str, args: Vec<Argument>) -> ExprKind {
    ExprKind::Function(Box::new(Function { names: vec![name.to_owned()], args, ..Function::default() }))
}

/// Whether a word begins one of the functions on XML and JSON that have grammars of their own.
fn is_document_function(keyword: K) -> bool {
    matches!(
        keyword,
        K::Xmlconcat
            | K::Xmlelement
            | K::Xmlexists
            | K::Xmlforest
            | K::Xmlparse
            | K::Xmlpi
            | K::Xmlroot
            | K::Xmlserialize
            | K::Xmltable
            | K::Json
            | K::JsonArray
            | K::JsonArrayagg
            | K::JsonExists
            | K::JsonObject
            | K::JsonObjectagg
            | K::JsonQuery
            | K::JsonScalar
            | K::JsonSerialize
            | K::JsonTable
            | K::JsonValue
    )
}
