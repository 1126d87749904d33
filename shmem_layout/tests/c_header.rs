//! The layout that C sees is the layout that Rust sees: a C compiler reads the generated header and prints `sizeof`,
//! `_Alignof` and every `offsetof`, which must be Rust's.
#![cfg(not(model))]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use shmem_layout::{ALL_STRUCTS, reflect};

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("the program prints ASCII")
}

/// What C must print: a line per struct and per field.
fn expected() -> String {
    let mut lines = String::new();
    for layout in ALL_STRUCTS {
        writeln!(lines, "{} {} {}", layout.name, layout.size, layout.align).unwrap();
        for field in layout.fields {
            writeln!(lines, "{}.{} {} {}", layout.name, field.name, field.offset, field.size).unwrap();
        }
    }
    lines
}

fn c_program() -> String {
    let mut source =
        String::from("#include <stddef.h>\n#include <stdio.h>\n#include \"layout.h\"\nint main(void) {\n");
    for layout in ALL_STRUCTS {
        let name = layout.name;
        writeln!(source, "printf(\"{name} %zu %zu\\n\", sizeof(struct {name}), _Alignof(struct {name}));")
            .unwrap();
        for field in layout.fields {
            let field = field.name;
            writeln!(
                source,
                "printf(\"{name}.{field} %zu %zu\\n\", offsetof(struct {name}, {field}), sizeof(((struct {name} *)0)->{field}));"
            )
            .unwrap();
        }
    }
    source + "return 0; }\n"
}

#[test]
fn c_compiler_agrees_on_every_offset() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-header-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut header = String::new();
    reflect::write_c_header(&mut header, ALL_STRUCTS).unwrap();
    std::fs::write(dir.join("layout.h"), header).unwrap();
    std::fs::write(dir.join("print.c"), c_program()).unwrap();
    let program = dir.join("print");
    run(Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpadded", "-Werror", "-o"])
        .arg(&program)
        .arg(dir.join("print.c")));
    let printed = run(&mut Command::new(&program));
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(printed, expected());
}
