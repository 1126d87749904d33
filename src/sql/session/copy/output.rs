//! Rows made data that go out.

use super::binary::SIGNATURE;
use super::format::{write_csv, write_text};
use super::options::{Layout, Options};
use crate::report::Result;
use crate::sql::session::FieldInfo;
use crate::sql::types::{Datum, Formats, Wire, encode, output};

/// See the module.
pub struct Writer<'f> {
    fields: &'f [FieldInfo],
    options: Options,
}

impl<'f> Writer<'f> {
    pub fn new(fields: &'f [FieldInfo], options: Options) -> Self {
        Self { fields, options }
    }

    /// What stands before the rows.
    pub fn begin(&self, out: &mut Vec<u8>) {
        if self.options.layout == Layout::Binary {
            out.extend(SIGNATURE);
            out.extend([0; 8]);
        } else if self.options.header {
            let names = self.fields.iter().map(|field| Some(field.name.clone()));
            self.line(names, out);
        }
    }

    /// What stands behind them.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.options.layout == Layout::Binary {
            out.extend((-1_i16).to_be_bytes());
        }
    }

    /// A row.
    pub fn row(&self, row: &[Datum], formats: &Formats, out: &mut Vec<u8>) -> Result<()> {
        if self.options.layout == Layout::Binary {
            return self.binary_row(row, formats, out);
        }
        let texts = row
            .iter()
            .zip(self.fields)
            .map(|(datum, field)| (!datum.is_null()).then(|| output::text_of(datum, field.ty, formats)));
        self.line(texts, out);
        Ok(())
    }

    fn line(&self, texts: impl Iterator<Item = Option<String>>, out: &mut Vec<u8>) {
        let is_only = self.fields.len() == 1;
        for (at, text) in texts.enumerate() {
            if at > 0 {
                out.push(self.options.delimiter);
            }
            match text {
                None => out.extend(self.options.null.as_bytes()),
                Some(text) if self.options.layout == Layout::Csv => {
                    write_csv(&text, is_only, &self.options, out);
                }
                Some(text) => write_text(&text, &self.options, out),
            }
        }
        out.push(b'\n');
    }

    fn binary_row(&self, row: &[Datum], formats: &Formats, out: &mut Vec<u8>) -> Result<()> {
        out.extend((row.len() as i16).to_be_bytes());
        for (datum, field) in row.iter().zip(self.fields) {
            if datum.is_null() {
                out.extend((-1_i32).to_be_bytes());
                continue;
            }
            let at = out.len();
            out.extend([0; 4]);
            encode(datum, field.ty, Wire::Binary, formats, out)?;
            let length = (out.len() - at - 4) as i32;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}
