//! From settings to what the layers below want of them.

use jiff::tz::TimeZone;

use crate::config::{self, Settings};
use crate::log::{Destinations, LogConfig, Verbosity};
use crate::protocol::tls::{TlsConfig, TlsSettings, TlsVersion};
use crate::report::{Result, Severity};

/// What TLS sessions begin with; `None`: `ssl` is off.
///
/// # Errors
/// FATAL in PostgreSQL's words, if a file is not as it must be.
pub fn tls_config(settings: &Settings) -> Result<Option<TlsConfig>> {
    if !settings.get(config::SSL) {
        return Ok(None);
    }
    let file = |name: &str| (!name.is_empty()).then(|| settings.data_directory().join(name));
    let data_dir = settings.data_directory();
    let tls = TlsSettings {
        cert_file: data_dir.join(settings.get(config::SSL_CERT_FILE)),
        key_file: data_dir.join(settings.get(config::SSL_KEY_FILE)),
        ca_file: file(settings.get(config::SSL_CA_FILE)),
        crl_file: file(settings.get(config::SSL_CRL_FILE)),
        min_version: TlsVersion::from_name(settings.get(config::SSL_MIN_PROTOCOL_VERSION)),
        max_version: TlsVersion::from_name(settings.get(config::SSL_MAX_PROTOCOL_VERSION)),
        prefer_server_ciphers: settings.get(config::SSL_PREFER_SERVER_CIPHERS),
    };
    TlsConfig::load(&tls).map(Some)
}

/// What the log wants to know.
pub fn log_config(settings: &Settings) -> LogConfig {
    let zone = TimeZone::get(settings.get(config::LOG_TIMEZONE)).unwrap_or(TimeZone::UTC);
    LogConfig {
        log_destination: Destinations::parse(settings.get(config::LOG_DESTINATION)).unwrap_or_default(),
        logging_collector: settings.get(config::LOGGING_COLLECTOR),
        log_directory: settings.get(config::LOG_DIRECTORY).into(),
        log_filename: settings.get(config::LOG_FILENAME).to_string(),
        log_rotation_age_minutes: settings.get(config::LOG_ROTATION_AGE) as u32,
        log_rotation_size_kb: settings.get(config::LOG_ROTATION_SIZE) as u32,
        log_truncate_on_rotation: settings.get(config::LOG_TRUNCATE_ON_ROTATION),
        log_file_mode: settings.get(config::LOG_FILE_MODE) as u32,
        log_line_prefix: settings.get(config::LOG_LINE_PREFIX).to_string(),
        log_timezone: zone,
        log_min_messages: severity(settings.get(config::LOG_MIN_MESSAGES)),
        log_min_error_statement: severity(settings.get(config::LOG_MIN_ERROR_STATEMENT)),
        log_error_verbosity: match settings.get(config::LOG_ERROR_VERBOSITY) {
            "terse" => Verbosity::Terse,
            "verbose" => Verbosity::Verbose,
            _ => Verbosity::Default,
        },
    }
}

/// A level by its name in settings.
pub fn severity(name: &str) -> Severity {
    match name {
        "debug5" => Severity::Debug5,
        "debug4" => Severity::Debug4,
        "debug3" => Severity::Debug3,
        "debug2" | "debug" => Severity::Debug2,
        "debug1" => Severity::Debug1,
        "info" => Severity::Info,
        "notice" => Severity::Notice,
        "log" => Severity::Log,
        "error" => Severity::Error,
        "fatal" => Severity::Fatal,
        "panic" => Severity::Panic,
        _ => Severity::Warning,
    }
}
