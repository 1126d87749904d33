//! The system's name of the process at the other end of a Unix socket.

use super::system::{SystemFiles, text_of};

/// The name of a user number; none if /etc/passwd does not have it.
pub fn user_name(uid: u32, system: &SystemFiles) -> Option<String> {
    find(uid, &text_of(&system.passwd))
}

fn find(uid: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut columns = line.split(':');
        let name = columns.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
        (columns.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_the_number_counts() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n#old:x:7:\n+nis:x:7:\nshort:x\nbad:x:z:\nlp:x:7:7\nlp2:x:7:7\n";
        for (uid, name) in [(0, Some("root")), (7, Some("lp")), (8, None)] {
            assert_eq!(find(uid, passwd).as_deref(), name);
        }
    }

    #[test]
    fn without_the_file_nobody_has_a_name() {
        let system = SystemFiles { passwd: "/nonexistent/passwd".into(), ..SystemFiles::default() };
        assert_eq!(user_name(0, &system), None);
        assert_eq!(user_name(0, &SystemFiles::default()).as_deref(), Some("root"));
    }
}
