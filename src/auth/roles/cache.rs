//! The role file as it was read last, read again only when it is another one.
//!
//! The postmaster reads it before it forks, so that a connection costs one `stat` and no parsing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::report::Result;

use super::{PATH, RolesFile};

/// What tells two files of the same name apart: the file is only ever replaced as a whole, so each has its own number,
/// and where that is used again, its own time.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let data = fs::metadata(path)?;
        let modified = (data.mtime(), data.mtime_nsec());
        Ok(Self { device: data.dev(), inode: data.ino(), size: data.size(), modified })
    }
}

/// See the module.
#[derive(Clone, Default)]
pub struct RolesCache {
    read: Option<(Stamp, Arc<RolesFile>)>,
}

impl RolesCache {
    /// The roles of a data directory as they are now.
    ///
    /// # Errors
    ///
    /// As of [`RolesFile::read`].
    pub fn current(&mut self, data_directory: &Path) -> Result<Arc<RolesFile>> {
        // Before the reading: a file that is replaced in between is read once too often, not once too seldom.
        let stamp = Stamp::of(&data_directory.join(PATH)).ok();
        if let Some((read, roles)) = &self.read
            && Some(*read) == stamp
        {
            return Ok(Arc::clone(roles));
        }
        // Without a file, this says why there is none.
        let roles = Arc::new(RolesFile::read(data_directory)?);
        self.read = Some((stamp.unwrap_or_default(), Arc::clone(&roles)));
        Ok(roles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_read_again_and_a_missing_one_is_an_error() {
        let dir = std::env::temp_dir().join(format!("tuskd-roles-cache-{}", std::process::id()));
        fs::create_dir_all(dir.join("global")).unwrap();
        let mut cache = RolesCache::default();
        assert!(cache.current(&dir).is_err());
        RolesFile::new("ann", None).unwrap().write(&dir).unwrap();
        assert!(cache.current(&dir).unwrap().by_name("ann").is_some());
        RolesFile::sample().write(&dir).unwrap();
        assert!(cache.current(&dir).unwrap().by_name("ann").is_none(), "another file, though maybe as long");
        let first = cache.current(&dir).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.current(&dir).unwrap()), "kept");
        fs::remove_file(dir.join(PATH)).unwrap();
        assert!(cache.current(&dir).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
