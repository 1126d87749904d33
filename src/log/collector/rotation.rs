//! When a new file is begun, and what it is called.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::config::{Destination, LogConfig};
use super::super::stamp;
use super::files::LogFile;
use super::{Collector, after, current_logfiles, file_access_state, has_no_descriptor_left, reason};
use crate::report::{Report, Result, Severity};

/// After a rotation that found no descriptor free.
const RETRY_DELAY: SignedDuration = SignedDuration::from_secs(1);

/// Why files are rotated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Age,
    /// Only those that are big enough.
    Size,
    Request,
}

impl Collector {
    /// When files are next rotated by age.
    pub fn next_rotation(&self) -> Option<Timestamp> {
        self.next_rotation.filter(|_| !self.is_rotation_disabled)
    }

    /// Begins new files because somebody asked for it. A name that is the same as before is opened anew, so that a file
    /// that was moved away is left alone from now on.
    pub fn rotate(&mut self, now: Timestamp) {
        self.rotate_files(Cause::Request, now);
    }

    /// Puts other settings into force, with new files where they say so.
    pub fn reload(&mut self, config: LogConfig, now: Timestamp) {
        let before = std::mem::replace(&mut self.config, config);
        let (old, new) = (&before, &self.config);
        let is_moved = old.log_directory != new.log_directory || old.log_filename != new.log_filename;
        let has_other_forms = old.log_destination.csvlog != new.log_destination.csvlog
            || old.log_destination.jsonlog != new.log_destination.jsonlog;
        let was_disabled = std::mem::replace(&mut self.is_rotation_disabled, false);
        if old.log_directory != new.log_directory {
            self.make_directory();
        }
        if old.log_rotation_age_minutes != new.log_rotation_age_minutes
            || old.log_timezone != new.log_timezone
        {
            self.schedule(now);
        }
        if is_moved || has_other_forms || was_disabled {
            self.rotate_files(Cause::Request, now);
        } else {
            self.write_current_logfiles();
        }
    }

    /// The files of the first moment; without them there is no logger.
    pub(super) fn open_first(&mut self, now: Timestamp) -> Result<()> {
        self.make_directory();
        for destination in Destination::ALL {
            if self.is_wanted(destination) {
                let path = path(&self.config, destination, now);
                let file = self.open(path.clone(), false);
                let file = file.map_err(|error| Box::new(could_not_open(&path, &error, Severity::Fatal)))?;
                self.files.set(destination, Some(file));
            }
        }
        self.schedule(now);
        self.write_current_logfiles();
        Ok(())
    }

    pub(super) fn rotate_if_due(&mut self, now: Timestamp) {
        if self.next_rotation().is_some_and(|due| now >= due) {
            self.rotate_files(Cause::Age, now);
        } else if !self.is_rotation_disabled && Destination::ALL.into_iter().any(|form| self.is_too_big(form))
        {
            self.rotate_files(Cause::Size, now);
        }
    }

    fn rotate_files(&mut self, cause: Cause, now: Timestamp) {
        // By age the name is that of the scheduled time, however late it got.
        let name_time = self.next_rotation.filter(|_| cause == Cause::Age).unwrap_or(now);
        let mut has_failed = false;
        for destination in Destination::ALL {
            if !self.is_wanted(destination) {
                self.files.set(destination, None);
            } else if cause != Cause::Size || self.is_too_big(destination) {
                let path = path(&self.config, destination, name_time);
                if let Err(error) = self.begin_file(destination, path.clone(), cause) {
                    self.rotation_failed(&path, &error, cause, now);
                    has_failed = true;
                    break;
                }
            }
        }
        if !has_failed {
            self.schedule(now);
        }
        self.write_current_logfiles();
    }

    fn begin_file(&mut self, destination: Destination, path: PathBuf, cause: Cause) -> io::Result<()> {
        let before = self.files.get(destination);
        let has_other_name = before.is_some_and(|before| before.path != path);
        let truncate = self.config.log_truncate_on_rotation && cause == Cause::Age && has_other_name;
        let file = self.open(path, truncate)?;
        self.files.set(destination, Some(file));
        Ok(())
    }

    /// A lack of descriptors passes; anything else would fail again and again, so that nothing but a reload or a request
    /// tries once more. The old files are written on.
    fn rotation_failed(&mut self, path: &Path, error: &io::Error, cause: Cause, now: Timestamp) {
        self.reports.push(could_not_open(path, error, Severity::Log));
        if has_no_descriptor_left(error) {
            if cause == Cause::Age {
                self.next_rotation = Some(after(now, RETRY_DELAY));
            }
        } else {
            self.reports.push(Report::log("disabling automatic rotation (use SIGHUP to re-enable)"));
            self.is_rotation_disabled = true;
        }
    }

    fn open(&self, path: PathBuf, truncate: bool) -> io::Result<LogFile> {
        LogFile::open(&self.data_dir, path, self.config.log_file_mode, truncate)
    }

    /// Text is always wanted: whatever is no message goes there.
    fn is_wanted(&self, destination: Destination) -> bool {
        destination == Destination::Stderr || self.config.log_destination.contains(destination)
    }

    fn is_too_big(&self, destination: Destination) -> bool {
        let limit_bytes = u64::from(self.config.log_rotation_size_kb) * 1024;
        let file = self.files.get(destination);
        limit_bytes > 0 && file.is_some_and(|file| file.size_bytes >= limit_bytes)
    }

    fn schedule(&mut self, now: Timestamp) {
        let age_minutes = self.config.log_rotation_age_minutes;
        self.next_rotation = next_rotation(age_minutes, now, &self.config.log_timezone);
    }

    fn make_directory(&self) {
        let path = self.data_dir.join(&self.config.log_directory);
        let mode = if has_group_access(&self.data_dir) { 0o750 } else { 0o700 };
        // Mostly it is there; if it cannot be made, opening a file will say why.
        let _ = DirBuilder::new().mode(mode).create(path);
    }

    fn write_current_logfiles(&mut self) {
        let wanted = self.config.log_destination;
        let open = Destination::ALL.into_iter().filter(|form| wanted.contains(*form));
        let files = open.filter_map(|form| Some((form, self.files.get(form)?.path.as_path()))).collect();
        let written = current_logfiles::write(&self.data_dir, files, has_group_access(&self.data_dir));
        self.reports.extend(written.err().map(|report| *report));
    }
}

/// The data directory's group may read logs if it may read data.
fn has_group_access(data_dir: &Path) -> bool {
    std::fs::metadata(data_dir).is_ok_and(|found| found.permissions().mode() & 0o070 != 0)
}

/// Rotation happens at multiples of its age in local time: with an age of a day at midnight.
fn next_rotation(age_minutes: u32, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if age_minutes == 0 {
        return None;
    }
    let age_seconds = i64::from(age_minutes) * 60;
    let offset_seconds = i64::from(zone.to_offset(now).seconds());
    let local = now.as_second() + offset_seconds;
    let next = local - local.rem_euclid(age_seconds) + age_seconds;
    Timestamp::from_second(next - offset_seconds).ok()
}

/// The file of a form at a time. The other forms' names have their suffix instead of `.log`, or behind a name that does
/// not end so.
fn path(config: &LogConfig, destination: Destination, time: Timestamp) -> PathBuf {
    let name = stamp::file_name(&config.log_filename, time, &config.log_timezone);
    let suffix = match destination {
        Destination::Stderr => return config.log_directory.join(name),
        Destination::Csvlog => ".csv",
        Destination::Jsonlog => ".json",
    };
    let stem = name.strip_suffix(".log").unwrap_or(&name);
    config.log_directory.join(format!("{stem}{suffix}"))
}

fn could_not_open(path: &Path, error: &io::Error, severity: Severity) -> Report {
    let text = format!("could not open log file \"{}\": {}", path.display(), reason(error));
    Report::new(severity, file_access_state(error), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_by_age_is_aligned_in_local_time() {
        let cases = [
            (24 * 60, "2017-02-11T03:25:15Z", "Asia/Tokyo", Some("2017-02-11T15:00:00Z")),
            (24 * 60, "2017-02-11T15:00:00Z", "Asia/Tokyo", Some("2017-02-12T15:00:00Z")),
            (24 * 60, "2017-02-11T03:25:15Z", "GMT", Some("2017-02-12T00:00:00Z")),
            (60, "2017-02-11T03:25:15Z", "Asia/Kolkata", Some("2017-02-11T03:30:00Z")),
            (1, "2017-02-11T03:25:59.999Z", "GMT", Some("2017-02-11T03:26:00Z")),
            (0, "2017-02-11T03:25:15Z", "GMT", None),
        ];
        for (age, now, zone, expected) in cases {
            let zone = TimeZone::get(zone).unwrap();
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(next_rotation(age, now.parse().unwrap(), &zone), expected, "{age} {now}");
        }
    }

    #[test]
    fn suffixes() {
        let cases = [
            ("pg-%d.log", "log/pg-11.log", "log/pg-11.csv", "log/pg-11.json"),
            ("pg", "log/pg", "log/pg.csv", "log/pg.json"),
            ("pg.txt", "log/pg.txt", "log/pg.txt.csv", "log/pg.txt.json"),
        ];
        let now = "2017-02-11T03:25:15Z".parse().unwrap();
        for (pattern, text, csv, json) in cases {
            let config = LogConfig { log_filename: pattern.to_owned(), ..LogConfig::default() };
            let found = Destination::ALL.map(|form| path(&config, form, now));
            assert_eq!(found, [text, csv, json].map(PathBuf::from));
        }
    }
}
