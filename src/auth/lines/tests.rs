//! Continuations, includes of every kind, and what is said about those that fail.

use super::super::scratch::Scratch;
use super::*;

/// Each line as `file:number: field,field … ! error`, files without their folder.
fn shown(scratch: &Scratch, path: &Path) -> Vec<String> {
    let folder = format!("{}/", scratch.path().display());
    let lines = read(path).unwrap().lines;
    lines
        .iter()
        .map(|line| {
            let fields: Vec<String> = line
                .fields
                .iter()
                .map(|field| field.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(","))
                .collect();
            let error = line.error.as_ref().map(|error| format!(" ! {error}")).unwrap_or_default();
            let text = format!("{}:{}: {}{error}", line.file, line.number, fields.join(" "));
            text.replace(&folder, "")
        })
        .collect()
}

#[test]
fn lines_are_joined_and_numbered_by_their_first_part() {
    let scratch = Scratch::new("lines_join");
    let path = scratch.file("f", "a b # c\r\n\n# x \\\ny\nd\\\ne \\\n  f, g\nh\\\\\n\n\"i\\\nj\"\nlast\\");
    assert_eq!(
        shown(&scratch, &path),
        // Of two backslashes, one is left; it is not at the end of a line any more.
        ["f:1: a b", "f:5: de f,g", "f:8: h\\", "f:10: ij", "f:12: last"]
    );
    assert_eq!(read(&path).unwrap().lines[1].raw, "de   f, g");
}

#[test]
fn includes_stand_where_they_are_asked_for() {
    let scratch = Scratch::new("lines_include");
    scratch.folder("d/sub.conf");
    scratch.file("d/b.conf", "b");
    scratch.file("d/a.conf", "a\ninclude ../one");
    scratch.file("d/.hidden.conf", "hidden");
    scratch.file("d/other.txt", "other");
    scratch.file("one", "1");
    scratch.file("names", "x, y\n# c\n\"z z\"\n");
    scratch.file("empty", "# nothing\n");
    let path = scratch.file(
        "f",
        "include one\n\"include_dir\" d\ninclude_if_exists one\ninclude_if_exists none\ninclude a b\nu v,@names,@\"one\" @empty \"@none\"",
    );
    assert_eq!(
        shown(&scratch, &path),
        [
            "one:1: 1",
            "d/a.conf:1: a",
            "one:1: 1",
            "d/b.conf:1: b",
            "one:1: 1",
            "f:5: include a b",
            "f:6: u v,x,y,z z,1 @none",
        ]
    );
    let log = read(&path).unwrap().log;
    let missing = scratch.path().join("none");
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].message, format!("skipping missing authentication file \"{}\"", missing.display()));
    assert_eq!(
        log[0].context.as_ref().unwrap(),
        &format!("line 4 of configuration file \"{}\"", path.display())
    );
}

#[test]
fn failed_includes_are_errors_of_their_line() {
    let scratch = Scratch::new("lines_errors");
    let folder = scratch.path().display().to_string();
    scratch.file("loop", "include loop");
    scratch.file("bad_names", "a @none");
    let path =
        scratch.file("f", "a @none b\ninclude none\ninclude_dir none\ninclude loop\nx @bad_names\ny \\\n");
    std::fs::write(&path, [&std::fs::read(&path).unwrap()[..], b"\xff # \xff\nok # \xff\n"].concat())
        .unwrap();
    let missing = format!("could not open file \"{folder}/none\": No such file or directory");
    let errors: Vec<(u32, Option<String>)> =
        read(&path).unwrap().lines.into_iter().map(|line| (line.number, line.error)).collect();
    assert_eq!(
        errors,
        [
            (1, Some(missing.clone())),
            (2, Some(missing.clone())),
            (3, Some(format!("could not open directory \"{folder}/none\""))),
            (1, Some(format!("could not open file \"{folder}/loop\": maximum nesting depth exceeded"))),
            (5, Some(missing.clone())),
            (6, Some("invalid byte sequence for encoding \"UTF8\"".to_owned())),
            (8, None),
        ]
    );
    let log = read(&path).unwrap().log;
    let messages: Vec<&str> = log.iter().map(|report| report.message.as_str()).collect();
    assert_eq!(
        messages[2],
        format!("could not open configuration directory \"{folder}/none\": No such file or directory")
    );
    assert_eq!(log[0].sqlstate, SqlState::UNDEFINED_FILE);
    // Innermost first, one line for each file on the way.
    let way = log[3].context.as_ref().unwrap();
    assert_eq!(way.lines().count(), 11);
    assert!(way.ends_with(&format!("line 4 of configuration file \"{folder}/f\"")), "{way}");
    assert_eq!(
        log[4].context.as_deref(),
        Some(&*format!(
            "line 1 of configuration file \"{folder}/bad_names\"\nline 5 of configuration file \"{folder}/f\""
        ))
    );
    assert_eq!(log.len(), 6, "{messages:?}");
}

#[test]
fn a_missing_file_is_the_callers_error() {
    let report = read(Path::new("/nonexistent/pg_hba.conf")).unwrap_err();
    assert_eq!(report.message, "could not open file \"/nonexistent/pg_hba.conf\": No such file or directory");
    assert_eq!(report.context, None);
}
