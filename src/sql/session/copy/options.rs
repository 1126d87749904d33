//! `COPY`'s options.

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::parse::Source;
use crate::sql::parse::tree_ddl::{Copy, DefinitionOption, OptionValue};

/// How data are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Lines of columns with delimiters between them.
    Text,
    /// The same, with quotes.
    Csv,
    /// PostgreSQL's own.
    Binary,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Options {
    /// How data are laid out.
    pub layout: Layout,
    /// What stands between columns.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// Whether the first line has the columns' names.
    pub header: bool,
    /// Around values, in CSV.
    pub quote: u8,
    /// Before quotes within values.
    pub escape: u8,
}

fn text_of(option: &DefinitionOption) -> Option<&str> {
    match &option.value {
        Some(OptionValue::Word(text) | OptionValue::String(text) | OptionValue::Number(text)) => Some(text),
        _ => None,
    }
}

fn is_on(option: &DefinitionOption) -> Result<bool> {
    match text_of(option).map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => {
            let message = format!("{} requires a Boolean value", option.name.text);
            Err(Report::error(SqlState::SYNTAX_ERROR, message))
        }
    }
}

fn single(option: &DefinitionOption, what: &str) -> Result<u8> {
    match text_of(option).map(str::as_bytes) {
        Some([byte]) => Ok(*byte),
        _ => {
            let message = format!("COPY {what} must be a single one-byte character");
            Err(Report::error(SqlState::FEATURE_NOT_SUPPORTED, message))
        }
    }
}

impl Options {
    /// What a statement says.
    pub fn read(copy: &Copy, source: &Source) -> Result<Self> {
        let layout = match copy.options.iter().find(|option| option.name.text == "format") {
            None => Layout::Text,
            Some(option) => match text_of(option) {
                Some("text") => Layout::Text,
                Some("csv") => Layout::Csv,
                Some("binary") => Layout::Binary,
                other => {
                    let message = format!("COPY format \"{}\" not recognized", other.unwrap_or_default());
                    let report = Report::error(SqlState::INVALID_PARAMETER_VALUE, message);
                    return Err(report.at(source.position(option.name.at)));
                }
            },
        };
        let is_csv = layout == Layout::Csv;
        let mut options = Self {
            layout,
            delimiter: if is_csv { b',' } else { b'\t' },
            null: if is_csv { String::new() } else { "\\N".to_owned() },
            header: false,
            quote: b'"',
            escape: b'"',
        };
        let mut escape = None;
        for option in &copy.options {
            options.set(option, &mut escape, source)?;
        }
        options.escape = escape.unwrap_or(options.quote);
        options.check()?;
        Ok(options)
    }

    fn set(&mut self, option: &DefinitionOption, escape: &mut Option<u8>, source: &Source) -> Result<()> {
        match option.name.text.as_str() {
            "format" => {}
            // Rows become visible to everybody sooner; what is read of them is the same without it.
            "freeze" => drop(is_on(option)?),
            "delimiter" => self.delimiter = single(option, "delimiter")?,
            "null" => self.null = text_of(option).unwrap_or_default().to_owned(),
            "header" => self.header = is_on(option)?,
            "quote" => self.quote = single(option, "quote")?,
            "escape" => *escape = Some(single(option, "escape")?),
            "encoding" => {
                let name = text_of(option).unwrap_or_default().to_ascii_lowercase();
                if !matches!(name.as_str(), "utf8" | "utf-8" | "unicode") {
                    return Err(Report::not_supported(format!(
                        "COPY in encoding \"{name}\" is not supported yet"
                    )));
                }
            }
            "force_quote"
            | "force_not_null"
            | "force_null"
            | "default"
            | "on_error"
            | "log_verbosity"
            | "reject_limit"
            | "convert_selectively" => {
                let message = format!("COPY's option \"{}\" is not supported yet", option.name.text);
                return Err(Report::not_supported(message).at(source.position(option.name.at)));
            }
            name => {
                let message = format!("option \"{name}\" not recognized");
                let report = Report::error(SqlState::SYNTAX_ERROR, message);
                return Err(report.at(source.position(option.name.at)));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let invalid = |message: &str| Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, message));
        if matches!(self.delimiter, b'\n' | b'\r') {
            return invalid("COPY delimiter cannot be newline or carriage return");
        }
        if self.null.contains(['\n', '\r']) {
            return invalid("COPY null representation cannot use newline or carriage return");
        }
        if self.layout == Layout::Text && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&self.delimiter)
        {
            let delimiter = char::from(self.delimiter);
            return invalid(&format!("COPY delimiter cannot be \"{delimiter}\""));
        }
        if self.layout == Layout::Csv && self.delimiter == self.quote {
            return invalid("COPY delimiter and quote must be different");
        }
        Ok(())
    }

    /// Whether data are in binary.
    pub fn is_binary(&self) -> bool {
        self.layout == Layout::Binary
    }
}
