//! Lists in values, separated by commas: identifiers, words and directories, each quoted with double quotes where
//! it needs it.

/// How an item is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Items {
    /// Unquoted ones end at white space, and are lower-cased.
    Identifiers,
    /// Unquoted ones end at white space, and are kept.
    Words,
    /// White space within is kept.
    Directories,
}

/// Identifiers, lower-cased unless quoted; nothing where the syntax is bad.
pub fn identifiers(text: &str) -> Option<Vec<String>> {
    split(text, Items::Identifiers)
}

/// Words as they are; nothing where the syntax is bad.
pub fn words(text: &str) -> Option<Vec<String>> {
    split(text, Items::Words)
}

/// Directories; nothing where the syntax is bad.
pub fn directories(text: &str) -> Option<Vec<String>> {
    split(text, Items::Directories)
}

fn split(text: &str, kind: Items) -> Option<Vec<String>> {
    let mut rest = text.trim_ascii_start();
    let mut items = Vec::new();
    if rest.is_empty() {
        return Some(items);
    }
    loop {
        let (item, behind) =
            if let Some(quoted) = rest.strip_prefix('"') { until_quote(quoted)? } else { bare(rest, kind)? };
        items.push(item);
        rest = behind.trim_ascii_start();
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind.trim_ascii_start(),
            None if rest.is_empty() => return Some(items),
            None => return None,
        }
    }
}

/// What stands before the closing quote, of which two are one, and what stands behind it.
fn until_quote(text: &str) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        item.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                item.push('"');
                rest = behind;
            }
            None => return Some((item, behind)),
        }
    }
}

fn bare(text: &str, kind: Items) -> Option<(String, &str)> {
    let end = match kind {
        Items::Directories => text.find(','),
        Items::Identifiers | Items::Words => text.find(|c: char| c == ',' || c.is_ascii_whitespace()),
    };
    let (item, rest) = text.split_at(end.unwrap_or(text.len()));
    let item = item.trim_ascii_end();
    if item.is_empty() {
        return None;
    }
    let item = if kind == Items::Identifiers { item.to_ascii_lowercase() } else { item.to_owned() };
    Some((item, rest))
}

/// The name, in double quotes where it would otherwise be read differently.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Key words that are not names unless quoted.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split() {
        type Split = fn(&str) -> Option<Vec<String>>;
        let cases: [(Split, &str, Option<&[&str]>); 16] = [
            (identifiers, "", Some(&[])),
            (identifiers, "  ", Some(&[])),
            (identifiers, "\"$user\", public", Some(&["$user", "public"])),
            (identifiers, "A , \"B c\"\"d\"", Some(&["a", "B c\"d"])),
            (identifiers, "a b", None),
            (identifiers, "a,", None),
            (identifiers, ",a", None),
            (identifiers, "a,,b", None),
            (identifiers, "\"a", None),
            (identifiers, "\"a\"b", None),
            (identifiers, "\"\"", Some(&[""])),
            (words, "Localhost,::1", Some(&["Localhost", "::1"])),
            (words, "*", Some(&["*"])),
            (directories, "/a b , /c", Some(&["/a b", "/c"])),
            (directories, "\"/a,b\"", Some(&["/a,b"])),
            (directories, "/a,", None),
        ];
        for (split, text, expected) in cases {
            let expected = expected.map(|items| items.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>());
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn names_are_quoted_where_they_need_it() {
        let cases = [
            ("public", "public"),
            ("_a1", "_a1"),
            ("1a", "\"1a\""),
            ("Foo", "\"Foo\""),
            ("a\"b", "\"a\"\"b\""),
            ("select", "\"select\""),
            ("", "\"\""),
            ("$user", "\"$user\""),
            ("é", "\"é\""),
        ];
        for (name, quoted) in cases {
            assert_eq!(quote_identifier(name), quoted);
        }
    }
}
