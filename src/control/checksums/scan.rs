//! The walk through the relations' files.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::control::data_directory::reason;
use crate::control::program::{Failure, Program, complain};
use crate::storage::files::SEGMENT_BLOCKS;
use crate::storage::ids::{BlockNumber, Fork, PAGE_SIZE, RelFile, RelFork};
use crate::storage::page::{Damage, PageBuf, check};

/// How often progress is shown.
const PERIOD: Duration = Duration::from_secs(1);

/// What was seen.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    pub files: u64,
    pub blocks: u64,
    pub bad: u64,
}

/// What to look at, and how much to say.
pub struct Scan<'p> {
    pub program: &'p Program,
    pub data_dir: PathBuf,
    /// Files of this number only.
    pub filenode: Option<u32>,
    pub verbose: bool,
    pub progress: bool,
}

/// A segment of a fork.
struct Segment {
    path: PathBuf,
    fork: RelFork,
    number: u32,
    bytes: u64,
}

impl Scan<'_> {
    /// Looks at everything.
    ///
    /// # Errors
    /// What cannot be read. A page that is wrong is told and counted.
    pub fn run(&self) -> Result<Counts, Failure> {
        let segments = self.segments()?;
        let total = segments.iter().map(|segment| segment.bytes).sum();
        let mut progress = Progress { is_wanted: self.progress, total, done: 0, shown: None };
        let mut counts = Counts::default();
        for segment in &segments {
            self.check(segment, &mut counts, &mut progress)?;
        }
        progress.show(true);
        Ok(counts)
    }

    /// All files of relations, in order.
    fn segments(&self) -> Result<Vec<Segment>, Failure> {
        let mut segments = Vec::new();
        self.folder(Path::new("global"), RelFile::GLOBAL_TABLESPACE, 0, &mut segments)?;
        self.databases(Path::new("base"), RelFile::DEFAULT_TABLESPACE, &mut segments)?;
        for (tablespace, _) in numbered(&self.data_dir, Path::new("pg_tblspc"))? {
            let folder = Path::new("pg_tblspc").join(tablespace.to_string()).join(RelFile::VERSION_FOLDER);
            self.databases(&folder, tablespace, &mut segments)?;
        }
        segments.sort_by_key(|segment| (segment.fork, segment.number));
        Ok(segments)
    }

    fn databases(&self, folder: &Path, tablespace: u32, segments: &mut Vec<Segment>) -> Result<(), Failure> {
        for (database, _) in numbered(&self.data_dir, folder)? {
            self.folder(&folder.join(database.to_string()), tablespace, database, segments)?;
        }
        Ok(())
    }

    fn folder(
        &self,
        folder: &Path,
        tablespace: u32,
        database: u32,
        segments: &mut Vec<Segment>,
    ) -> Result<(), Failure> {
        for entry in entries(&self.data_dir, folder)? {
            let name = entry.file_name();
            let Some((relation, fork, number)) = name.to_str().and_then(file_name) else { continue };
            if self.filenode.is_some_and(|wanted| wanted != relation) {
                continue;
            }
            let path = folder.join(&name);
            let metadata = entry.metadata().map_err(|error| failed("stat file", &path, &error))?;
            let file = RelFile { tablespace, database, relation };
            segments.push(Segment { path, fork: RelFork { file, fork }, number, bytes: metadata.len() });
        }
        Ok(())
    }

    fn check(&self, segment: &Segment, counts: &mut Counts, progress: &mut Progress) -> Result<(), Failure> {
        let shown = &segment.path;
        let mut file = File::open(self.data_dir.join(shown)).map_err(|e| failed("open file", shown, &e))?;
        let mut page = PageBuf::zeroed();
        counts.files += 1;
        for block in 0.. {
            let number =
                segment.number.checked_mul(SEGMENT_BLOCKS).and_then(|first| first.checked_add(block));
            match read_page(&mut file, &mut page.0) {
                Ok(0) => break,
                Ok(PAGE_SIZE) => {}
                Ok(read) => {
                    let text = format!(
                        "could not read block {block} in file \"{}\": read {read} of {PAGE_SIZE}",
                        shown.display()
                    );
                    return Err(Failure::new(text));
                }
                Err(error) => return Err(failed("read file", shown, &error)),
            }
            counts.blocks += 1;
            progress.advance(PAGE_SIZE as u64);
            let tag = number.and_then(BlockNumber::new).map(|number| segment.fork.block(number));
            let damage = tag.map(|tag| check::verify(&page, tag));
            if let Some(Err(error)) = damage {
                counts.bad += 1;
                self.complain(segment, block, error.damage);
            }
        }
        if self.verbose {
            let name = self.program.name;
            complain(&format!("{name}: checksums verified in file \"{}\"\n", shown.display()));
        }
        Ok(())
    }

    fn complain(&self, segment: &Segment, block: u32, damage: Damage) {
        let (name, file) = (self.program.name, segment.path.display());
        let what = match damage {
            Damage::Checksum { stored, computed } => {
                format!("calculated checksum {computed:X} but block contains {stored:X}")
            }
            other => other.to_string(),
        };
        complain(&format!(
            "{name}: error: checksum verification failed in file \"{file}\", block {block}: {what}\n"
        ));
    }
}

/// How far it is, on standard error.
struct Progress {
    is_wanted: bool,
    total: u64,
    done: u64,
    shown: Option<Instant>,
}

impl Progress {
    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if self.is_wanted && self.shown.is_none_or(|at| at.elapsed() >= PERIOD) {
            self.show(false);
        }
    }

    fn show(&mut self, is_last: bool) {
        if !self.is_wanted {
            return;
        }
        self.shown = Some(Instant::now());
        // A file may have grown since it was measured.
        let total = self.total.max(self.done);
        let percent = (self.done * 100).checked_div(total).unwrap_or(0);
        let (done, total) = (self.done >> 20, (total >> 20).to_string());
        let width = total.len();
        let end = if is_last || !io::stderr().is_terminal() { "\n" } else { "\r" };
        complain(&format!("{done:>width$}/{total} MB ({percent}%) computed{end}"));
    }
}

/// Fills a page as far as the file goes; how far.
fn read_page(file: &mut File, page: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < page.len() {
        match file.read(&mut page[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// What is in a folder; nothing if it is not there.
fn entries(data_dir: &Path, folder: &Path) -> Result<Vec<fs::DirEntry>, Failure> {
    match fs::read_dir(data_dir.join(folder)).and_then(Iterator::collect) {
        Ok(entries) => Ok(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("open directory", folder, &error)),
    }
}

/// What in a folder has a number for its name.
fn numbered(data_dir: &Path, folder: &Path) -> Result<Vec<(u32, fs::DirEntry)>, Failure> {
    let number = |entry: fs::DirEntry| Some((entry.file_name().to_str()?.parse().ok()?, entry));
    Ok(entries(data_dir, folder)?.into_iter().filter_map(number).collect())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("could not {what} \"{}\": {}", path.display(), reason(error)))
}

/// Relation, fork and segment of a file's name; `None` for files that are no relation's.
fn file_name(name: &str) -> Option<(u32, Fork, u32)> {
    let digits = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && !text.starts_with('0') { text.parse().ok() } else { None }
    };
    let (name, segment) = match name.split_once('.') {
        Some((name, segment)) => (name, digits(segment)?),
        None => (name, 0),
    };
    let (number, suffix) = name.split_at(name.find('_').unwrap_or(name.len()));
    let fork = Fork::ALL.into_iter().find(|fork| fork.suffix() == suffix)?;
    Some((digits(number)?, fork, segment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::program::Style;

    #[test]
    fn names_of_relations_files_are_known() {
        for (name, expected) in [
            ("16384", Some((16384, Fork::Main, 0))),
            ("16384_fsm.2", Some((16384, Fork::FreeSpaceMap, 2))),
            ("1_init", Some((1, Fork::Init, 0))),
            ("pg_control", None),
            ("16384_other", None),
            ("16384.", None),
            ("016384", None),
            ("t3_16384", None),
            ("99999999999", None),
        ] {
            assert_eq!(file_name(name), expected, "{name}");
        }
    }

    #[test]
    fn each_wrong_page_is_counted() {
        let data_dir = std::env::temp_dir().join(format!("tuskd-scan-{}", std::process::id()));
        let _ = fs::remove_dir_all(&data_dir);
        let folder = data_dir.join("base/5");
        fs::create_dir_all(&folder).unwrap();
        let file = RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: 5, relation: 77 };
        let mut bytes = Vec::new();
        for block in 0..4 {
            let mut page = PageBuf::zeroed();
            if block != 2 {
                page.view_mut().init(0);
                let tag = RelFork { file, fork: Fork::Main }.block(BlockNumber::new(block).unwrap());
                check::seal(&mut page, tag);
            }
            bytes.extend_from_slice(&page.0);
        }
        // One bit of the last page.
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(folder.join("77"), &bytes).unwrap();
        // A page at another's place.
        fs::write(folder.join("78"), &bytes[..PAGE_SIZE]).unwrap();
        fs::write(folder.join("PG_VERSION"), "18").unwrap();
        let program = Program::new("x", "x", "x", Style::Tagged);
        let scan = |filenode| Scan {
            program: &program,
            data_dir: data_dir.clone(),
            filenode,
            verbose: false,
            progress: false,
        };
        assert_eq!(scan(None).run().unwrap(), Counts { files: 2, blocks: 5, bad: 2 });
        assert_eq!(scan(Some(77)).run().unwrap(), Counts { files: 1, blocks: 4, bad: 1 });
        fs::write(folder.join("78"), &bytes[..100]).unwrap();
        let failure = scan(Some(78)).run().unwrap_err();
        assert_eq!(failure.message(), "could not read block 0 in file \"base/5/78\": read 100 of 8192");
        fs::remove_dir_all(&data_dir).unwrap();
    }
}
