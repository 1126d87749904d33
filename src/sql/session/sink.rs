//! Where results go.

use crate::report::{Report, Result};
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

/// What came of a look for COPY's data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyInput {
    /// Some.
    Data,
    /// There are no more.
    Done,
    /// The client gives up, and says why.
    Failed(String),
    /// Something else wants to be looked at first.
    Interrupted,
}

fn no_copy<T>() -> Result<T> {
    Err(Report::not_supported("there is no connection for COPY's data"))
}

/// Takes what statements answer; an error ends the statement.
pub trait ResultSink {
    /// COPY wants data of so many columns.
    fn copy_in(&mut self, _is_binary: bool, _columns: usize) -> Result<()> {
        no_copy()
    }

    /// Appends the next piece of COPY's data, for which it waits.
    fn copy_read(&mut self, _to: &mut Vec<u8>) -> Result<CopyInput> {
        no_copy()
    }

    /// COPY's data of so many columns follow.
    fn copy_out(&mut self, _is_binary: bool, _columns: usize) -> Result<()> {
        no_copy()
    }

    /// A piece of COPY's data.
    fn copy_data(&mut self, _bytes: &[u8]) -> Result<()> {
        no_copy()
    }

    /// COPY's data have ended.
    fn copy_end(&mut self) -> Result<()> {
        no_copy()
    }

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
