//! Lines of `COPY`: taken apart and put together.

use super::options::{Layout, Options};

/// A column of a line; `None` is NULL.
pub type Field = Option<Vec<u8>>;

/// Where the first line of `bytes` ends: behind how many bytes, and how many of those are its own. `None`: it does not end
/// here.
pub fn line_end(bytes: &[u8], options: &Options, from: &mut LineState) -> Option<(usize, usize)> {
    let is_csv = options.layout == Layout::Csv;
    while from.at < bytes.len() {
        let byte = bytes[from.at];
        from.at += 1;
        if is_csv {
            if byte == options.quote {
                from.in_quotes = !from.in_quotes;
            } else if byte == options.escape && from.in_quotes && options.escape != options.quote {
                from.at += 1;
            }
            if from.in_quotes {
                continue;
            }
        } else if byte == b'\\' {
            from.at += 1;
            continue;
        }
        if byte == b'\n' {
            let end = from.at;
            let own = if end >= 2 && bytes[end - 2] == b'\r' { end - 2 } else { end - 1 };
            *from = LineState::default();
            return Some((end, own));
        }
    }
    None
}

/// How far a line was looked through.
#[derive(Clone, Copy, Default, Debug)]
pub struct LineState {
    at: usize,
    in_quotes: bool,
}

/// The columns of a line.
pub fn fields(line: &[u8], options: &Options) -> Vec<Field> {
    match options.layout {
        Layout::Csv => csv_fields(line, options),
        _ => text_fields(line, options),
    }
}

fn text_fields(line: &[u8], options: &Options) -> Vec<Field> {
    let field = |raw: &[u8]| (raw != options.null.as_bytes()).then(|| unescaped(raw));
    let (mut fields, mut start, mut at) = (Vec::new(), 0, 0);
    while at < line.len() {
        if line[at] == b'\\' {
            at += 2;
            continue;
        }
        if line[at] == options.delimiter {
            fields.push(field(&line[start..at]));
            start = at + 1;
        }
        at += 1;
    }
    fields.push(field(line.get(start..).unwrap_or_default()));
    fields
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    if !raw.contains(&b'\\') {
        return raw.to_vec();
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(next) = bytes.next() else {
            out.push(b'\\');
            break;
        };
        match next {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut value = u32::from(next - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                }
                out.push(value as u8);
            }
            b'x' if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(u8::is_ascii_hexdigit) else { break };
                    value = value * 16 + char::from(digit).to_digit(16).unwrap_or(0);
                }
                out.push(value as u8);
            }
            other => out.push(other),
        }
    }
    out
}

fn csv_fields(line: &[u8], options: &Options) -> Vec<Field> {
    let mut fields = Vec::new();
    let (mut value, mut was_quoted, mut in_quotes) = (Vec::new(), false, false);
    let mut at = 0;
    loop {
        let byte = line.get(at).copied();
        at += 1;
        match byte {
            Some(byte) if in_quotes => {
                let next = line.get(at).copied();
                let escapes = byte == options.escape
                    && next.is_some_and(|next| next == options.quote || next == options.escape);
                if escapes {
                    value.extend(next);
                    at += 1;
                } else if byte == options.quote {
                    in_quotes = false;
                } else {
                    value.push(byte);
                }
            }
            Some(byte) if byte == options.quote => (in_quotes, was_quoted) = (true, true),
            Some(byte) if byte != options.delimiter => value.push(byte),
            end => {
                let made = std::mem::take(&mut value);
                let is_null = !was_quoted && made == options.null.as_bytes();
                fields.push((!is_null).then_some(made));
                was_quoted = false;
                if end.is_none() {
                    return fields;
                }
            }
        }
    }
}

/// Appends a value in the text layout.
pub fn write_text(text: &str, options: &Options, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            8 => out.extend(b"\\b"),
            12 => out.extend(b"\\f"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            11 => out.extend(b"\\v"),
            b'\\' => out.extend(b"\\\\"),
            byte if byte == options.delimiter => out.extend([b'\\', byte]),
            byte => out.push(byte),
        }
    }
}

/// Appends a value in CSV. `is_only`: it is the line's only one.
pub fn write_csv(text: &str, is_only: bool, options: &Options, out: &mut Vec<u8>) {
    let special =
        |byte: u8| byte == options.delimiter || byte == options.quote || matches!(byte, b'\n' | b'\r');
    let needs_quotes = text == options.null || text.bytes().any(special) || is_only && text == "\\.";
    if !needs_quotes {
        out.extend(text.as_bytes());
        return;
    }
    out.push(options.quote);
    for byte in text.bytes() {
        if byte == options.quote || byte == options.escape {
            out.push(options.escape);
        }
        out.push(byte);
    }
    out.push(options.quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(layout: Layout) -> Options {
        let is_csv = layout == Layout::Csv;
        Options {
            layout,
            delimiter: if is_csv { b',' } else { b'\t' },
            null: if is_csv { String::new() } else { "\\N".to_owned() },
            header: false,
            quote: b'"',
            escape: b'"',
        }
    }

    fn shown(fields: Vec<Field>) -> Vec<String> {
        let show = |field: Field| match field {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => "NULL".to_owned(),
        };
        fields.into_iter().map(show).collect()
    }

    #[test]
    fn lines_are_taken_apart() {
        for (layout, line, expected) in [
            (Layout::Text, "1\ta\\tb\t\\N", vec!["1", "a\tb", "NULL"]),
            (Layout::Text, "", vec![""]),
            (Layout::Text, "\\\\\t\\x41\\101", vec!["\\", "AA"]),
            (Layout::Text, "a\\", vec!["a\\"]),
            (Layout::Csv, "1,\"a,\"\"b\"\"\",,\"\"", vec!["1", "a,\"b\"", "NULL", ""]),
            (Layout::Csv, "x,\"l1\nl2\"", vec!["x", "l1\nl2"]),
        ] {
            assert_eq!(shown(fields(line.as_bytes(), &options(layout))), expected, "{line}");
        }
    }

    #[test]
    fn lines_end_where_no_quote_is_open() {
        let csv = options(Layout::Csv);
        let mut state = LineState::default();
        assert_eq!(line_end(b"\"a\nb\",c\r\nd", &csv, &mut state), Some((9, 7)));
        let mut state = LineState::default();
        assert_eq!(line_end(b"a\\\nb\nc", &options(Layout::Text), &mut state), Some((5, 4)));
        let mut state = LineState::default();
        assert_eq!(line_end(b"abc", &csv, &mut state), None);
    }

    #[test]
    fn what_is_written_comes_back() {
        for layout in [Layout::Text, Layout::Csv] {
            let options = options(layout);
            for text in ["", "a", "a\tb", "a,\"b\"", "\\N", "back\\slash", "l1\nl2", "\\."] {
                let mut out = Vec::new();
                match layout {
                    Layout::Csv => write_csv(text, true, &options, &mut out),
                    _ => write_text(text, &options, &mut out),
                }
                assert_eq!(shown(fields(&out, &options)), [text], "{layout:?} {text:?}");
            }
        }
    }
}
