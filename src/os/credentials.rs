//! Users: who one is, and becoming another for good.
//!
//! Names are looked up in /etc/passwd and /etc/group, and by `getent` where they are not there: the C library's own
//! look-up may load modules that start threads, and then nothing could be forked any more.

use std::io;
use std::process::{Command, Stdio};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use super::process::check_single_threaded;

/// A user of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Number of its first group.
    pub gid: u32,
}

/// The effective user's number.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective user's name; its number if it has none.
pub fn effective_user_name() -> String {
    let uid = effective_uid();
    match find_user(&uid.to_string()) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// The user of a name or of a number; `None` if there is none.
///
/// # Errors
/// If /etc/passwd can't be read.
pub fn find_user(name_or_uid: &str) -> io::Result<Option<User>> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    let found = passwd.lines().filter_map(user_of_line).find(|user| is_meant(user, name_or_uid));
    Ok(found.or_else(|| {
        let line = asked_of_getent("passwd", name_or_uid)?;
        user_of_line(line.trim_end()).filter(|user| is_meant(user, name_or_uid))
    }))
}

fn is_meant(user: &User, name_or_uid: &str) -> bool {
    user.name == name_or_uid || name_or_uid.parse() == Ok(user.uid)
}

/// `NAME:PASSWORD:UID:GID:…`.
fn user_of_line(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name, uid, gid })
}

/// The numbers of all groups that have `user` in them, its first group included.
fn groups_of(user: &User) -> Vec<u32> {
    let text = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let mut groups: Vec<u32> = text.lines().filter_map(|line| group_with(line, &user.name)).collect();
    groups.push(user.gid);
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// The number of the group `NAME:PASSWORD:GID:USER,…` if `user` is in it.
fn group_with(line: &str, user: &str) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let gid = fields.next()?.parse().ok()?;
    fields.next()?.split(',').any(|member| member.trim() == user).then_some(gid)
}

fn asked_of_getent(database: &str, key: &str) -> Option<String> {
    let mut command = Command::new("getent");
    command.args([database, "--", key]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// Gives up this process's user for `user`, with its groups, and for good.
///
/// # Errors
/// If the process has other threads (they would keep the old user), is not root's, or is `user`'s afterwards only in
/// part; then it must end.
pub fn become_user(user: &User) -> io::Result<()> {
    check_single_threaded().map_err(io::Error::other)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<Gid> = groups_of(user).into_iter().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    set_thread_gid(gid)?;
    set_thread_uid(uid)?;
    if user.uid != 0 && set_thread_uid(Uid::ROOT).is_ok() {
        return Err(io::Error::other("the old user could be taken again"));
    }
    // The change hides the process from its own user in /proc, where `tuskd top` and others look for it.
    Ok(set_dumpable_behavior(DumpableBehavior::Dumpable)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_number() {
        let root = find_user("root").unwrap().unwrap();
        assert_eq!(root, User { name: "root".to_owned(), uid: 0, gid: 0 });
        assert_eq!(find_user("0").unwrap(), Some(root));
        assert_eq!(find_user("no such user").unwrap(), None);
        assert_eq!(find_user("").unwrap(), None);
    }

    #[test]
    fn lines_are_users_or_not() {
        for line in ["", "a", "a:x", "a:x:1", "a:x:one:1:", ":x:1:1:", "+::::::"] {
            assert_eq!(user_of_line(line), None, "{line:?}");
        }
        let user = user_of_line("pg:x:70:71:PG:/:/bin/sh").unwrap();
        assert_eq!((user.name.as_str(), user.uid, user.gid), ("pg", 70, 71));
    }

    #[test]
    fn groups_list_their_members() {
        assert_eq!(group_with("ssl-cert:x:105:www,pg", "pg"), Some(105));
        assert_eq!(group_with("ssl-cert:x:105:www,pg2", "pg"), None);
        assert_eq!(group_with("pg:x:70:", "pg"), None);
        assert_eq!(group_with("broken", "pg"), None);
    }
}
