//! Process titles: what `ps` shows of each child.
//!
//! `postgres: ` and `cluster_name: ` first, then the kind's words, then a part that changes; writing it costs no system
//! call. `update_process_title = off` freezes the part that changes.

use super::kinds::Kind;
use crate::os::proctitle::ProcessTitle;

/// Bytes that a title may have.
pub const CAPACITY: usize = 1024;

/// A child's title.
pub struct Title {
    title: ProcessTitle,
    fixed: String,
    /// As it was at first.
    kinds_own: String,
    updates: bool,
    shown: String,
    activity: String,
}

impl Title {
    /// The title of a process of this kind. `cluster_name`: bytes outside 0x20..0x7E become `?`.
    pub fn new(title: ProcessTitle, kind: Kind, cluster_name: &str, as_in_18: bool, updates: bool) -> Self {
        let info = kind.info();
        let words = if as_in_18 { info.title_18 } else { info.title };
        let cluster = clean(cluster_name);
        let prefix = if cluster.is_empty() { String::new() } else { format!("{cluster}: ") };
        let fixed = format!("postgres: {prefix}{words}");
        let mut made = Self {
            title,
            fixed: fixed.clone(),
            kinds_own: fixed.clone(),
            updates,
            shown: fixed,
            activity: String::new(),
        };
        made.title.set(&made.shown);
        made
    }

    /// Replaces the kind's words, when a spare becomes a session or a worker gets its name.
    pub fn set_fixed(&mut self, words: &str) {
        let prefix = self.fixed.rfind(": ").map_or(self.fixed.len(), |i| i + 2);
        self.fixed.truncate(prefix);
        self.fixed.push_str(words);
        self.activity.clear();
        self.shown.clone_from(&self.fixed);
        self.title.set(&self.shown);
    }

    /// The kind's words again, and nothing behind them.
    pub fn reset(&mut self) {
        self.fixed.clone_from(&self.kinds_own);
        self.activity.clear();
        self.shown.clone_from(&self.fixed);
        self.title.set(&self.shown);
    }

    /// The part behind the fixed words, for the log's `%i`.
    pub fn activity(&self) -> &str {
        &self.activity
    }

    /// Changes the part behind the fixed words.
    pub fn set_activity(&mut self, activity: &str) {
        if self.activity == activity {
            return;
        }
        self.activity.clear();
        self.activity.push_str(activity);
        if !self.updates {
            return;
        }
        self.shown.truncate(0);
        self.shown.push_str(&self.fixed);
        if !activity.is_empty() {
            self.shown.push(' ');
            self.shown.push_str(activity);
        }
        self.title.set(&self.shown);
    }
}

/// A cluster name as titles show it.
pub fn clean(name: &str) -> String {
    name.bytes().map(|b| if (0x20..=0x7e).contains(&b) { char::from(b) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names_are_printable() {
        assert_eq!(clean("main 1"), "main 1");
        assert_eq!(clean("\tα"), "???");
    }
}
