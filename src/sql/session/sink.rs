//! Where results go.

use crate::report::Result;
use crate::sql::types::{Datum, Formats, Type, Wire};

/// A column of a result, as `RowDescription` has it. Columns are of no table yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Its length or precision, -1 if it has none.
    pub typmod: i32,
    /// How its values travel.
    pub wire: Wire,
}

/// Takes what statements answer; an error ends the statement.
pub trait ResultSink {
    /// Rows follow, of these columns. Only simple queries say so unasked.
    fn describe(&mut self, fields: &[FieldInfo]) -> Result<()>;
    /// A row; [`crate::sql::types::encode`] writes its values.
    fn row(&mut self, row: &[Datum], fields: &[FieldInfo], formats: &Formats) -> Result<()>;
    /// The statement is done; its command tag.
    fn complete(&mut self, tag: &str) -> Result<()>;
    /// There was no statement.
    fn empty(&mut self) -> Result<()>;
    /// The portal has more rows than were asked for.
    fn suspended(&mut self) -> Result<()>;
}
