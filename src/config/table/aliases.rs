//! Words that choices take besides those they show, each with what it stands for.

/// Booleans in other words, where `on` and `off` are among the words.
pub(super) const ON_OFF: &[(&str, &str)] =
    &[("true", "on"), ("yes", "on"), ("1", "on"), ("false", "off"), ("no", "off"), ("0", "off")];

/// Compression by PostgreSQL's own method, which `on` means.
pub(super) const PGLZ_OR_OFF: &[(&str, &str)] = &[
    ("on", "pglz"),
    ("true", "pglz"),
    ("yes", "pglz"),
    ("1", "pglz"),
    ("false", "off"),
    ("no", "off"),
    ("0", "off"),
];

/// Severities of the log.
pub(super) const DEBUG_IS_DEBUG2: &[(&str, &str)] = &[("debug", "debug2")];

/// Severities of clients, who are told INFO anyway.
pub(super) const DEBUG_AND_INFO: &[(&str, &str)] = &[("debug", "debug2"), ("info", "info")];

/// Levels that later became one.
pub(super) const OLD_WAL_LEVELS: &[(&str, &str)] = &[("archive", "replica"), ("hot_standby", "replica")];

/// PostgreSQL's default, which asks for I/O that does not block; here the kernel does what its workers do.
pub(super) const WORKER_IS_AUTO: &[(&str, &str)] = &[("worker", "auto")];
