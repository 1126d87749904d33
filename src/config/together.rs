//! What values of several settings must fulfil together; looked at when the server starts.

use super::keys;
use super::state::Settings;
use crate::report::{Report, Result, SqlState};

impl Settings {
    /// Refuses settings that contradict each other.
    pub fn check_together(&self) -> Result<()> {
        let complaint = |text: String| Err(Report::fatal(SqlState::INVALID_PARAMETER_VALUE, text));
        let reserved = self.get(keys::SUPERUSER_RESERVED_CONNECTIONS);
        let also_reserved = self.get(keys::RESERVED_CONNECTIONS);
        let connections = self.get(keys::MAX_CONNECTIONS);
        if reserved + also_reserved >= connections {
            return complaint(format!(
                "\"superuser_reserved_connections\" ({reserved}) plus \"reserved_connections\" ({also_reserved}) \
                 must be less than \"max_connections\" ({connections})"
            ));
        }
        if self.get(keys::WAL_LEVEL) == "minimal" {
            if self.get(keys::ARCHIVE_MODE) != "off" {
                return complaint(
                    "WAL archival cannot be enabled when \"wal_level\" is \"minimal\"".to_owned(),
                );
            }
            if self.get(keys::MAX_WAL_SENDERS) > 0 {
                return complaint(
                    "WAL streaming (\"max_wal_senders\" > 0) requires \"wal_level\" to be \"replica\" or \
                     \"logical\""
                        .to_owned(),
                );
            }
            if self.get(keys::SUMMARIZE_WAL) {
                return complaint("WAL cannot be summarized when \"wal_level\" is \"minimal\"".to_owned());
            }
        }
        // In megabytes, of which a segment has 16.
        for (name, key) in [("min_wal_size", keys::MIN_WAL_SIZE), ("max_wal_size", keys::MAX_WAL_SIZE)] {
            if self.get(key) < 32 {
                return complaint(format!("\"{name}\" must be at least twice \"wal_segment_size\""));
            }
        }
        let (least, most) = (self.get(keys::MIN_SPARE_BACKENDS), self.get(keys::MAX_SPARE_BACKENDS));
        if least > most {
            return complaint(format!(
                "\"min_spare_backends\" ({least}) must not be greater than \"max_spare_backends\" ({most})"
            ));
        }
        Ok(())
    }
}
