//! What a server answers as lines of text that can be compared and kept in files.

use super::{BackendMessage, Fields};

/// The lines of one message: columns with their types' OIDs and modifiers, rows, command tags, errors and notices with
/// SQLSTATE, message, `@` position, detail and hint, and ReadyForQuery's byte.
pub fn lines(message: &BackendMessage<'_>) -> Vec<String> {
    use BackendMessage as M;
    match message {
        M::RowDescription(columns) => {
            let column = columns.iter().map(|c| format!(" {}:{}:{}", c.name, c.type_oid, c.type_modifier));
            vec![format!("columns{}", column.collect::<String>())]
        }
        M::DataRow(values) => vec![format!("row{}", values.iter().map(value).collect::<String>())],
        M::CommandComplete { tag } => vec![format!("tag {tag}")],
        M::EmptyQueryResponse => vec!["empty".to_owned()],
        M::ReadyForQuery(status) => vec![format!("ready {}", char::from(*status))],
        M::ErrorResponse(fields) | M::NoticeResponse(fields) => report(fields),
        M::ParameterStatus { name, value } => vec![format!("parameter {name} = {value}")],
        other => vec![format!("{other:?}")],
    }
}

fn value(value: Option<&[u8]>) -> String {
    match value {
        None => " NULL".to_owned(),
        Some(bytes) => format!(" '{}'", String::from_utf8_lossy(bytes).replace('\n', "\\n")),
    }
}

fn report(fields: &Fields<'_>) -> Vec<String> {
    let position = fields.get(b'P').map_or(String::new(), |at| format!(" @{at}"));
    let name = fields.severity().to_lowercase();
    let mut lines = vec![format!("{name} {} {}{position}", fields.sqlstate(), fields.message())];
    lines.extend(fields.get(b'D').map(|detail| format!("  detail {detail}")));
    lines.extend(fields.get(b'H').map(|hint| format!("  hint {hint}")));
    lines
}

/// The statements of a file: each ends at a line that ends with a semicolon, which belongs to it; comments that begin a
/// line are left out.
pub fn statements(file: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    for line in file.lines() {
        if current.is_empty() && (line.trim().is_empty() || line.starts_with("--")) {
            continue;
        }
        current.push_str(line);
        if line.trim_end().ends_with(';') {
            all.push(std::mem::take(&mut current));
        } else {
            current.push('\n');
        }
    }
    if !current.trim().is_empty() {
        all.push(current);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn files_are_split_at_lines_that_end_a_statement() {
        let file = "-- a comment\nselect 1;\n\nselect\n -- inside\n 2; select 3;\nselect 'no end'\n";
        assert_eq!(statements(file), ["select 1;", "select\n -- inside\n 2; select 3;", "select 'no end'\n"]);
    }
}
