//! Analysed expressions as PostgreSQL writes them, so that what is stored of them can be read again and is what clients know.

use std::fmt::Write as _;

use crate::sql::functions::quote_ident;
use crate::sql::types::{Datum, Formats, Type, output};

use super::expr::{CallExpr, Column, Expr};

/// What columns are called; `None`: such an expression has no text.
pub type ColumnName<'n> = &'n dyn Fn(&Column) -> Option<String>;
/// What a relation is called.
pub type ClassName<'n> = &'n dyn Fn(u32) -> Option<String>;

/// Writes expressions.
pub struct Deparser<'n> {
    /// What columns are called.
    pub column: ColumnName<'n>,
    /// What relations are called.
    pub class: ClassName<'n>,
}

/// A type with its modifier, as `format_type` has it.
pub fn format_type(ty: Type, typmod: i32) -> String {
    let (base, brackets) = match ty.element() {
        Some(element) => (element, "[]"),
        None => (ty, ""),
    };
    let name = base.sql_name();
    if typmod < 0 {
        return name + brackets;
    }
    let made = match base {
        Type::VARCHAR | Type::BPCHAR => format!("{name}({})", typmod - 4),
        Type::NUMERIC => {
            let bits = typmod - 4;
            let scale = (bits & 0x7FF ^ 0x400) - 0x400;
            format!("{name}({},{scale})", bits >> 16 & 0xFFFF)
        }
        Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => match name.split_once(' ') {
            Some((first, rest)) => format!("{first}({typmod}) {rest}"),
            None => format!("{name}({typmod})"),
        },
        Type::INTERVAL => format!("{name}({typmod})"),
        _ => name,
    };
    made + brackets
}

/// A text in quotes.
pub fn quoted(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

impl Deparser<'_> {
    /// An expression's text; `None`: it has parts that have none yet.
    pub fn text(&self, expr: &Expr) -> Option<String> {
        let mut out = String::new();
        self.write(expr, &mut out)?;
        Some(out)
    }

    fn write(&self, expr: &Expr, out: &mut String) -> Option<()> {
        match expr {
            Expr::Const(value, ty) => self.constant(value, *ty, out)?,
            Expr::Column(column) => out.push_str(&(self.column)(column)?),
            Expr::Param(index, _) => _ = write!(out, "${}", index + 1),
            Expr::Call(call) => self.call(call, out)?,
            Expr::And(items) => self.list("(", items, " AND ", ")", out)?,
            Expr::Or(items) => self.list("(", items, " OR ", ")", out)?,
            Expr::Not(input) => self.around("(NOT ", input, ")", out)?,
            Expr::IsNull { input, negated } => {
                self.around("(", input, if *negated { " IS NOT NULL)" } else { " IS NULL)" }, out)?;
            }
            Expr::IsBool { input, value, negated } => {
                self.write_open(input, out)?;
                let not = if *negated { "NOT " } else { "" };
                _ = write!(out, " IS {not}{})", if *value { "TRUE" } else { "FALSE" });
            }
            Expr::Distinct { equal, negated } => {
                out.push('(');
                self.write(&equal.args[0], out)?;
                out.push_str(if *negated { " IS NOT DISTINCT FROM " } else { " IS DISTINCT FROM " });
                self.write(equal.args.get(1)?, out)?;
                out.push(')');
            }
            Expr::NullIf { equal, value } => {
                self.around("NULLIF(", value, ", ", out)?;
                self.write(equal.args.get(1)?, out)?;
                out.push(')');
            }
            Expr::Case { operand: None, arms, otherwise, .. } => self.case(arms, otherwise, out)?,
            Expr::Coalesce(items, _) => self.list("COALESCE(", items, ", ", ")", out)?,
            Expr::MinMax { greatest, items, .. } => {
                let name = if *greatest { "GREATEST(" } else { "LEAST(" };
                self.list(name, items, ", ", ")", out)?;
            }
            Expr::Array { items, .. } => self.list("ARRAY[", items, ", ", "]", out)?,
            Expr::AnyAll { call, all, array } => {
                out.push('(');
                self.write(call.args.first()?, out)?;
                _ = write!(out, " {} {} (", call.name, if *all { "ALL" } else { "ANY" });
                self.write(array, out)?;
                out.push_str("))");
            }
            Expr::Convert { input, to, .. } => self.cast(input, *to, -1, out)?,
            Expr::Typmod { input, ty, typmod, .. } => {
                let inner = match &**input {
                    Expr::Convert { input, to, .. } if to == ty => input,
                    _ => input,
                };
                self.cast(inner, *ty, *typmod, out)?;
            }
            Expr::Row(items) => self.list("ROW(", items, ", ", ")", out)?,
            Expr::Subscript { array, indexes, .. } => {
                self.write_open(array, out)?;
                out.push(')');
                for index in indexes {
                    self.around("[", index, "]", out)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn write_open(&self, expr: &Expr, out: &mut String) -> Option<()> {
        out.push('(');
        self.write(expr, out)
    }

    fn around(&self, before: &str, expr: &Expr, behind: &str, out: &mut String) -> Option<()> {
        out.push_str(before);
        self.write(expr, out)?;
        out.push_str(behind);
        Some(())
    }

    fn list(
        &self,
        before: &str,
        items: &[Expr],
        between: &str,
        behind: &str,
        out: &mut String,
    ) -> Option<()> {
        out.push_str(before);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(between);
            }
            self.write(item, out)?;
        }
        out.push_str(behind);
        Some(())
    }

    fn case(&self, arms: &[(Expr, Expr)], otherwise: &Expr, out: &mut String) -> Option<()> {
        out.push_str("\nCASE");
        for (test, result) in arms {
            self.around("\n    WHEN ", test, " THEN ", out)?;
            self.write(result, out)?;
        }
        self.around("\n    ELSE ", otherwise, "\nEND", out)
    }

    fn cast(&self, input: &Expr, ty: Type, typmod: i32, out: &mut String) -> Option<()> {
        let simple = matches!(input, Expr::Const(..));
        if simple {
            self.write(input, out)?;
        } else {
            self.around("(", input, ")", out)?;
        }
        _ = write!(out, "::{}", format_type(ty, typmod));
        Some(())
    }

    fn constant(&self, value: &Datum, ty: Type, out: &mut String) -> Option<()> {
        let formats = Formats { extra_float_digits: 1, ..Formats::default() };
        let text = match (value, ty) {
            (Datum::Null, Type::UNKNOWN) => {
                out.push_str("NULL");
                return Some(());
            }
            (Datum::Null, ty) => {
                _ = write!(out, "NULL::{}", ty.sql_name());
                return Some(());
            }
            (Datum::Bool(value), _) => {
                out.push_str(if *value { "true" } else { "false" });
                return Some(());
            }
            (Datum::Oid(oid), Type::REGCLASS) => (self.class)(*oid)?,
            (value, ty) => output::text_of(value, ty, &formats),
        };
        let is_plain = match ty {
            Type::INT4 => !text.starts_with('-'),
            Type::NUMERIC => text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.'),
            _ => false,
        };
        if is_plain {
            out.push_str(&text);
            return Some(());
        }
        match ty {
            Type::INT4 => _ = write!(out, "'{text}'::integer"),
            Type::UNKNOWN => out.push_str(&quoted(&text)),
            ty => _ = write!(out, "{}::{}", quoted(&text), ty.sql_name()),
        }
        Some(())
    }

    fn call(&self, call: &CallExpr, out: &mut String) -> Option<()> {
        let is_operator = !call.name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        match (is_operator, call.args.as_slice()) {
            (true, [left, right]) => {
                self.write_open(left, out)?;
                _ = write!(out, " {} ", call.name);
                self.write(right, out)?;
                out.push(')');
            }
            (true, [only]) => {
                _ = write!(out, "({} ", call.name);
                self.write(only, out)?;
                out.push(')');
            }
            (true, _) => return None,
            (false, args) => {
                let before = format!("{}(", quote_ident(call.name));
                self.list(&before, args, ", ", ")", out)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_postgresql_writes_them() {
        for (ty, typmod, text) in [
            (Type::VARCHAR, 14, "character varying(10)"),
            (Type::BPCHAR, 5, "character(1)"),
            (Type::NUMERIC, (10 << 16 | 2) + 4, "numeric(10,2)"),
            (Type::NUMERIC, -1, "numeric"),
            (Type::TIMESTAMPTZ, 3, "timestamp(3) with time zone"),
            (Type::TEXT_ARRAY, -1, "text[]"),
            (Type::INT8, -1, "bigint"),
        ] {
            assert_eq!(format_type(ty, typmod), text);
        }
    }

    #[test]
    fn texts_are_quoted_so_that_they_can_be_read_again() {
        for (text, quotes) in [("a", "'a'"), ("it's", "'it''s'"), ("a\\b", "E'a\\\\b'")] {
            assert_eq!(quoted(text), quotes);
        }
    }
}
