//! `client_encoding`: the names that PostgreSQL knows, spelled anyhow.

use super::{Refusal, text};
use crate::config::Settings;
use crate::config::value::Value;
use crate::report::SqlState;

/// Names as they are shown.
const ENCODINGS: [&str; 42] = [
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
];

/// Other names, in lower-case letters and digits only.
const OTHER_NAMES: [(&str, &str); 25] = [
    ("unicode", "UTF8"),
    ("iso88591", "LATIN1"),
    ("iso88592", "LATIN2"),
    ("iso88593", "LATIN3"),
    ("iso88594", "LATIN4"),
    ("iso88599", "LATIN5"),
    ("iso885910", "LATIN6"),
    ("iso885913", "LATIN7"),
    ("iso885914", "LATIN8"),
    ("iso885915", "LATIN9"),
    ("iso885916", "LATIN10"),
    ("koi8", "KOI8R"),
    ("win", "WIN1251"),
    ("alt", "WIN866"),
    ("tcvn", "WIN1258"),
    ("tcvn5712", "WIN1258"),
    ("vscii", "WIN1258"),
    ("abc", "WIN1258"),
    ("mskanji", "SJIS"),
    ("shiftjis", "SJIS"),
    ("win932", "SJIS"),
    ("win936", "GBK"),
    ("win949", "UHC"),
    ("win950", "BIG5"),
    ("sqlascii", "SQL_ASCII"),
];

fn simplified(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The encoding's name as it is shown.
fn canonical(name: &str) -> Option<&'static str> {
    let name = simplified(name);
    let name = match name.strip_prefix("windows") {
        Some(number) if !number.is_empty() => format!("win{number}"),
        _ => name,
    };
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, shown)| *shown);
    other.or_else(|| ENCODINGS.into_iter().find(|shown| simplified(shown) == name))
}

/// Databases are in UTF-8, and nothing here converts: clients take UTF-8, or bytes as they are.
pub(in crate::config) fn check(value: &mut Value, _: &Settings) -> Result<(), Refusal> {
    let shown = canonical(text(value)).ok_or_else(Refusal::plain)?;
    if !matches!(shown, "UTF8" | "SQL_ASCII") {
        return Err(Refusal::detail(format!("Conversion between {shown} and UTF8 is not supported."))
            .of(SqlState::FEATURE_NOT_SUPPORTED));
    }
    *value = Value::Text(shown.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_many_names() {
        let cases = [
            ("utf-8", Some("UTF8")),
            ("Unicode", Some("UTF8")),
            ("sql_ascii", Some("SQL_ASCII")),
            ("latin-1", Some("LATIN1")),
            ("ISO-8859-1", Some("LATIN1")),
            ("iso_8859_5", Some("ISO_8859_5")),
            ("windows-1252", Some("WIN1252")),
            ("windows949", Some("UHC")),
            ("foo", None),
            ("", None),
        ];
        for (name, shown) in cases {
            assert_eq!(canonical(name), shown, "{name}");
        }
    }
}
