//! Open files of a process, with a limit.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use super::sync_table::SyncKey;
use crate::os::file::DataFile;

/// What came of opening.
pub enum Opened {
    /// It is open.
    There(Rc<DataFile>),
    /// There is no such file.
    Missing,
}

/// Open files, least recently used out first.
pub struct Descriptors {
    open: HashMap<SyncKey, (Rc<DataFile>, u64)>,
    /// The one used last, as most uses are of the same file.
    last: Option<(SyncKey, Rc<DataFile>)>,
    uses: u64,
    limit: usize,
}

impl Descriptors {
    /// At most `limit` of them, at least one.
    pub fn new(limit: usize) -> Self {
        Self { open: HashMap::new(), last: None, uses: 0, limit: limit.max(1) }
    }

    /// Closes all.
    pub fn clear(&mut self) {
        self.open.clear();
        self.last = None;
    }

    /// Closes one.
    pub fn close(&mut self, key: SyncKey) {
        self.open.remove(&key);
        self.last = None;
    }

    /// The file of `key`, opened by `open` if it is not open yet. If the process has too many descriptors, others are closed
    /// first.
    pub fn get(&mut self, key: SyncKey, open: impl Fn() -> io::Result<DataFile>) -> io::Result<Opened> {
        if let Some((last, file)) = &self.last
            && *last == key
        {
            return Ok(Opened::There(Rc::clone(file)));
        }
        self.uses += 1;
        let file = match self.open.get_mut(&key) {
            Some((file, used)) => {
                *used = self.uses;
                Rc::clone(file)
            }
            None => match self.open_new(open) {
                Ok(file) => {
                    let file = Rc::new(file);
                    self.open.insert(key, (Rc::clone(&file), self.uses));
                    file
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Missing),
                Err(error) => return Err(error),
            },
        };
        self.last = Some((key, Rc::clone(&file)));
        Ok(Opened::There(file))
    }

    fn open_new(&mut self, open: impl Fn() -> io::Result<DataFile>) -> io::Result<DataFile> {
        while self.open.len() >= self.limit {
            self.close_oldest();
        }
        loop {
            let result = open();
            let is_too_many =
                matches!(&result, Err(e) if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)));
            if !is_too_many || !self.close_oldest() {
                return result;
            }
        }
    }

    /// `false` if none is open.
    fn close_oldest(&mut self) -> bool {
        self.last = None;
        let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
        oldest.is_some_and(|key| self.open.remove(&key).is_some())
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.open.len()
    }
}
