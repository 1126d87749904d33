//! Rows, their description, and COPY's data: values are written where they are sent from.

use super::{Encoder, begin, put_count, put_i16, put_i32, put_string, put_u32};
use crate::protocol::Format;
use crate::report::{Report, Result, SqlState};

/// The longest message: what PostgreSQL's buffers can hold.
const MAX_MESSAGE: usize = 0x3fff_ffff;
/// The most columns whose number a message can say with a sign, as some clients read it.
const MAX_COLUMNS: usize = i16::MAX as usize;

/// One column of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FieldDescription<'a> {
    /// Its name.
    pub name: &'a str,
    /// The table it is a column of, or 0.
    pub table_oid: u32,
    /// The column's number there, or 0.
    pub column: i16,
    /// Its type.
    pub type_oid: u32,
    /// That type's bytes; negative if they vary.
    pub type_size: i16,
    /// That type's modifier, or -1.
    pub type_modifier: i32,
    /// How values will be written; text if that is not settled yet.
    pub format: Format,
}

/// A message under way that takes its bytes back when it is dropped unfinished.
#[derive(Debug)]
struct Open<'b> {
    out: &'b mut Vec<u8>,
    length_at: usize,
    finished: bool,
}

impl<'b> Open<'b> {
    fn new(out: &'b mut Vec<u8>, kind: u8) -> Self {
        let length_at = begin(out, kind);
        Self { out, length_at, finished: false }
    }

    fn finish(mut self) -> Result<()> {
        let length = self.out.len() - self.length_at;
        if length > MAX_MESSAGE {
            return Err(Report::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("string buffer exceeds maximum allowed length ({MAX_MESSAGE} bytes)"),
            ));
        }
        // The limit fits into 32 bits.
        self.patch(self.length_at, length as u32);
        self.finished = true;
        Ok(())
    }

    fn patch(&mut self, at: usize, number: u32) {
        self.out[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // The type stands before the length.
            self.out.truncate(self.length_at - 1);
        }
    }
}

/// A row under way.
#[derive(Debug)]
pub struct Row<'b> {
    message: Open<'b>,
    columns: usize,
    /// Where the length of the field under way is.
    field_at: Option<usize>,
}

impl Row<'_> {
    /// Begins a field that is not null; its value is what is appended until the next call.
    pub fn begin_field(&mut self) -> &mut Vec<u8> {
        self.next_column();
        self.field_at = Some(self.message.out.len());
        self.message.out.extend([0; 4]);
        self.message.out
    }

    /// A whole field.
    pub fn field(&mut self, value: &[u8]) {
        self.begin_field().extend(value);
    }

    /// A null.
    pub fn null(&mut self) {
        self.next_column();
        put_i32(self.message.out, -1);
    }

    fn next_column(&mut self) {
        self.end_field();
        self.columns += 1;
    }

    fn end_field(&mut self) {
        if let Some(at) = self.field_at.take() {
            let length = self.message.out.len() - at - 4;
            // A field that is too long makes a message that is too long, which `finish` refuses.
            self.message.patch(at, u32::try_from(length).unwrap_or(u32::MAX));
        }
    }

    /// Ends the row. Without it, nothing of the row is sent.
    ///
    /// # Errors
    ///
    /// 54000 if it has too many bytes or columns.
    pub fn finish(mut self) -> Result<()> {
        self.end_field();
        if self.columns > MAX_COLUMNS {
            return Err(Report::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a row can have at most {MAX_COLUMNS} columns"),
            ));
        }
        let count_at = self.message.length_at + 4;
        self.message.out[count_at..count_at + 2].copy_from_slice(&(self.columns as u16).to_be_bytes());
        self.message.finish()
    }
}

/// A piece of COPY's data under way.
#[derive(Debug)]
pub struct CopyPiece<'b> {
    message: Open<'b>,
}

impl CopyPiece<'_> {
    /// Where to append.
    pub const fn out(&mut self) -> &mut Vec<u8> {
        self.message.out
    }

    /// Ends the piece. Without it, nothing of it is sent.
    ///
    /// # Errors
    ///
    /// 54000 if it has too many bytes.
    pub fn finish(self) -> Result<()> {
        self.message.finish()
    }
}

impl Encoder<'_> {
    /// What the columns of the rows to come are.
    pub fn row_description<'a>(&mut self, fields: impl ExactSizeIterator<Item = FieldDescription<'a>>) {
        self.message(b'T', |out| {
            put_count(out, fields.len());
            for field in fields {
                put_string(out, field.name);
                put_u32(out, field.table_oid);
                put_i16(out, field.column);
                put_u32(out, field.type_oid);
                put_i16(out, field.type_size);
                put_i32(out, field.type_modifier);
                put_i16(out, field.format.code());
            }
        });
    }

    /// Begins a row.
    pub fn begin_row(&mut self) -> Row<'_> {
        let message = Open::new(self.out, b'D');
        message.out.extend([0; 2]);
        Row { message, columns: 0, field_at: None }
    }

    /// The result of a FunctionCall.
    ///
    /// # Errors
    ///
    /// 54000 if it has too many bytes.
    pub fn function_call_response(&mut self, value: Option<&[u8]>) -> Result<()> {
        let message = Open::new(self.out, b'V');
        put_i32(message.out, value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX)));
        message.out.extend(value.unwrap_or_default());
        message.finish()
    }

    /// Begins a piece of COPY's data.
    pub fn begin_copy_data(&mut self) -> CopyPiece<'_> {
        CopyPiece { message: Open::new(self.out, b'd') }
    }

    /// A whole piece of COPY's data.
    ///
    /// # Errors
    ///
    /// 54000 if it has too many bytes.
    pub fn copy_data(&mut self, data: &[u8]) -> Result<()> {
        let mut piece = self.begin_copy_data();
        piece.out().extend(data);
        piece.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_in_place() {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        let mut row = encoder.begin_row();
        row.begin_field().extend(b"ab");
        row.null();
        row.begin_field();
        row.field(b"c");
        row.finish().unwrap();
        assert_eq!(out, b"D\0\0\0\x19\0\x04\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0\0\0\0\x01c");
    }

    #[test]
    fn a_row_given_up_leaves_nothing() {
        let mut out = b"kept".to_vec();
        let mut encoder = Encoder::new(&mut out);
        let mut row = encoder.begin_row();
        row.begin_field().extend(b"ab");
        drop(row);
        let mut piece = encoder.begin_copy_data();
        piece.out().extend(b"ab");
        drop(piece);
        assert_eq!(out, b"kept");
    }

    #[test]
    fn a_row_of_too_many_columns_is_refused() {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        let mut row = encoder.begin_row();
        for _ in 0..=MAX_COLUMNS {
            row.null();
        }
        assert_eq!(row.finish().unwrap_err().sqlstate, SqlState::PROGRAM_LIMIT_EXCEEDED);
        assert!(out.is_empty());
    }

    #[test]
    fn a_row_of_no_columns_is_a_row() {
        let mut out = Vec::new();
        Encoder::new(&mut out).begin_row().finish().unwrap();
        assert_eq!(out, b"D\0\0\0\x06\0\0");
    }

    #[test]
    fn copy_data_and_function_results_have_their_bytes() {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        encoder.copy_data(b"1\n").unwrap();
        encoder.function_call_response(Some(b"x")).unwrap();
        encoder.function_call_response(None).unwrap();
        assert_eq!(out, b"d\0\0\0\x061\nV\0\0\0\x09\0\0\0\x01xV\0\0\0\x08\xff\xff\xff\xff");
    }

    #[test]
    fn columns_are_described() {
        let field = FieldDescription {
            name: "?column?",
            table_oid: 0,
            column: 0,
            type_oid: 23,
            type_size: 4,
            type_modifier: -1,
            format: Format::Text,
        };
        let mut out = Vec::new();
        Encoder::new(&mut out).row_description([field].into_iter());
        assert_eq!(out, b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0");
    }
}
