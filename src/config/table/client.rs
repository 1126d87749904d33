//! What clients may choose for their sessions; compatibility.

use super::aliases::{DEBUG_AND_INFO, ON_OFF};
use super::settings;
use crate::config::check::{checks, date_style, encoding, lists, missing, time_zone};
use crate::config::definition::{Choice, Definition, Key, MAX_INT, choice, int, switch, text, text_unset};
use crate::config::units::Unit;

settings! {
    file client;
    section "Client Connection Defaults / Locale and Formatting" {
        CLIENT_ENCODING: str = text("client_encoding", "SQL_ASCII").report().name_length()
            .check(encoding::check),
            "Sets the client's character set encoding.";
        DATESTYLE: str = text("DateStyle", "ISO, MDY").report().list().check(date_style::check),
            "Sets the display format for date and time values.",
            "Also controls interpretation of ambiguous date inputs.";
        DEFAULT_TEXT_SEARCH_CONFIG: str = text("default_text_search_config", "pg_catalog.simple"),
            "Sets default text search configuration.";
        EXTRA_FLOAT_DIGITS: i64 = int("extra_float_digits", 1, -15, 3),
            "Sets the number of digits displayed for floating-point values.",
            "This affects real, double precision, and geometric data types. A zero or negative parameter value \
             is added to the standard number of digits (FLT_DIG or DBL_DIG as appropriate). Any value greater \
             than zero selects precise output mode.";
        ICU_VALIDATION_LEVEL: Choice = choice("icu_validation_level", "warning", &["disabled", "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"])
            .aliases(DEBUG_AND_INFO),
            "Log level for reporting invalid ICU locale strings.";
        INTERVALSTYLE: Choice = choice("IntervalStyle", "postgres", &["postgres", "postgres_verbose", "sql_standard", "iso_8601"])
            .report(),
            "Sets the display format for interval values.";
        LC_MESSAGES: str = text("lc_messages", "").superuser(),
            "Sets the language in which messages are displayed.",
            "An empty string means use the operating system setting.";
        LC_MONETARY: str = text("lc_monetary", "C"),
            "Sets the locale for formatting monetary amounts.",
            "An empty string means use the operating system setting.";
        LC_NUMERIC: str = text("lc_numeric", "C"),
            "Sets the locale for formatting numbers.",
            "An empty string means use the operating system setting.";
        LC_TIME: str = text("lc_time", "C"),
            "Sets the locale for formatting date and time values.",
            "An empty string means use the operating system setting.";
        TIMEZONE: str = text("TimeZone", "GMT").report().check(time_zone::check),
            "Sets the time zone for displaying and interpreting time stamps.";
        TIMEZONE_ABBREVIATIONS: str = text_unset("timezone_abbreviations")
            .check(checks::timezone_abbreviations),
            "Selects a file of time zone abbreviations.";
    }
    section "Client Connection Defaults / Other Defaults" {
        DYNAMIC_LIBRARY_PATH: str = text("dynamic_library_path", "$libdir").superuser().superuser_only(),
            "Sets the path for dynamically loadable modules.",
            "If a dynamically loadable module needs to be opened and the specified name does not have a \
             directory component (i.e., the name does not contain a slash), the system will search this path \
             for the specified file.";
        EXTENSION_CONTROL_PATH: str = text("extension_control_path", "$system").superuser().superuser_only(),
            "Sets the path for extension control files.",
            "The remaining extension script and secondary control files are then loaded from the same \
             directory where the primary control file was found.";
        GIN_FUZZY_SEARCH_LIMIT: i64 = int("gin_fuzzy_search_limit", 0, 0, MAX_INT),
            "Sets the maximum allowed result for exact search by GIN.",
            "0 means no limit.";
    }
    section "Client Connection Defaults / Shared Library Preloading" {
        JIT_PROVIDER: str = text("jit_provider", "llvmjit").postmaster().superuser_only(),
            "JIT provider to use.";
        LOCAL_PRELOAD_LIBRARIES: str = text("local_preload_libraries", "").quoted_list()
            .check(missing::library),
            "Lists unprivileged shared libraries to preload into each backend.";
        SESSION_PRELOAD_LIBRARIES: str = text("session_preload_libraries", "").superuser().quoted_list()
            .superuser_only().check(missing::library),
            "Lists shared libraries to preload into each backend.";
        SHARED_PRELOAD_LIBRARIES: str = text("shared_preload_libraries", "").postmaster().quoted_list()
            .superuser_only().check(missing::library),
            "Lists shared libraries to preload into server.";
    }
    section "Client Connection Defaults / Statement Behavior" {
        BYTEA_OUTPUT: Choice = choice("bytea_output", "hex", &["escape", "hex"]),
            "Sets the output format for bytea.";
        CHECK_FUNCTION_BODIES: bool = switch("check_function_bodies", true),
            "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE.";
        CLIENT_MIN_MESSAGES: Choice = choice("client_min_messages", "notice", &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"])
            .aliases(DEBUG_AND_INFO),
            "Sets the message levels that are sent to the client.",
            "Each level includes all the levels that follow it. The later the level, the fewer messages are \
             sent.";
        CREATEROLE_SELF_GRANT: str = text("createrole_self_grant", "").list()
            .check(lists::createrole_self_grant),
            "Sets whether a CREATEROLE user automatically grants the role to themselves, and with which \
             options.",
            "An empty string disables automatic self grants.";
        DEFAULT_TABLE_ACCESS_METHOD: str = text("default_table_access_method", "heap").name_length()
            .check(checks::not_empty),
            "Sets the default table access method for new tables.";
        DEFAULT_TABLESPACE: str = text("default_tablespace", "").name_length(),
            "Sets the default tablespace to create tables and indexes in.",
            "An empty string means use the database's default tablespace.";
        DEFAULT_TOAST_COMPRESSION: Choice = choice("default_toast_compression", "pglz", &["pglz"]),
            "Sets the default compression method for compressible values.";
        DEFAULT_TRANSACTION_DEFERRABLE: bool = switch("default_transaction_deferrable", false),
            "Sets the default deferrable status of new transactions.";
        DEFAULT_TRANSACTION_ISOLATION: Choice = choice("default_transaction_isolation", "read committed", &["serializable", "repeatable read", "read committed", "read uncommitted"]),
            "Sets the transaction isolation level of each new transaction.";
        DEFAULT_TRANSACTION_READ_ONLY: bool = switch("default_transaction_read_only", false).report(),
            "Sets the default read-only status of new transactions.";
        EVENT_TRIGGERS: bool = switch("event_triggers", true).superuser(),
            "Enables event triggers.",
            "When enabled, event triggers will fire for all applicable statements.";
        GIN_PENDING_LIST_LIMIT: i64 = int("gin_pending_list_limit", 4096, 64, MAX_INT).unit(Unit::Kilobytes),
            "Sets the maximum size of the pending list for GIN index.";
        IDLE_IN_TRANSACTION_SESSION_TIMEOUT: i64 = int("idle_in_transaction_session_timeout", 0, 0, MAX_INT)
            .unit(Unit::Milliseconds),
            "Sets the maximum allowed idle time between queries, when in a transaction.",
            "0 disables the timeout.";
        IDLE_SESSION_TIMEOUT: i64 = int("idle_session_timeout", 0, 0, MAX_INT).unit(Unit::Milliseconds),
            "Sets the maximum allowed idle time between queries, when not in a transaction.",
            "0 disables the timeout.";
        LOCK_TIMEOUT: i64 = int("lock_timeout", 0, 0, MAX_INT).unit(Unit::Milliseconds),
            "Sets the maximum allowed duration of any wait for a lock.",
            "0 disables the timeout.";
        RESTRICT_NONSYSTEM_RELATION_KIND: str = text("restrict_nonsystem_relation_kind", "").list()
            .not_in_sample().check(lists::restrict_nonsystem_relation_kind),
            "Prohibits access to non-system relations of specified kinds.";
        ROW_SECURITY: bool = switch("row_security", true),
            "Enables row security.",
            "When enabled, row security will be applied to all users.";
        SEARCH_PATH: str = text("search_path", "\"$user\", public").report().quoted_list().explain().check(lists::names),
            "Sets the schema search order for names that are not schema-qualified.";
        SESSION_REPLICATION_ROLE: Choice = choice("session_replication_role", "origin", &["origin", "replica", "local"])
            .superuser(),
            "Sets the session's behavior for triggers and rewrite rules.";
        STATEMENT_TIMEOUT: i64 = int("statement_timeout", 0, 0, MAX_INT).unit(Unit::Milliseconds),
            "Sets the maximum allowed duration of any statement.",
            "0 disables the timeout.";
        TEMP_TABLESPACES: str = text("temp_tablespaces", "").quoted_list().check(lists::names),
            "Sets the tablespace(s) to use for temporary tables and sort files.",
            "An empty string means use the database's default tablespace.";
        TRANSACTION_DEFERRABLE: bool = switch("transaction_deferrable", false).not_in_auto_file().no_reset()
            .not_in_sample(),
            "Whether to defer a read-only serializable transaction until it can be executed with no possible \
             serialization failures.";
        TRANSACTION_ISOLATION: Choice = choice("transaction_isolation", "read committed", &["serializable", "repeatable read", "read committed", "read uncommitted"])
            .not_in_auto_file().no_reset().not_in_sample(),
            "Sets the current transaction's isolation level.";
        TRANSACTION_READ_ONLY: bool = switch("transaction_read_only", false).not_in_auto_file().no_reset()
            .not_in_sample(),
            "Sets the current transaction's read-only status.";
        TRANSACTION_TIMEOUT: i64 = int("transaction_timeout", 0, 0, MAX_INT).unit(Unit::Milliseconds),
            "Sets the maximum allowed duration of any transaction within a session (not a prepared \
             transaction).",
            "0 disables the timeout.";
        XMLBINARY: Choice = choice("xmlbinary", "base64", &["base64", "hex"]),
            "Sets how binary values are to be encoded in XML.";
        XMLOPTION: Choice = choice("xmloption", "content", &["content", "document"]),
            "Sets whether XML data in implicit parsing and serialization operations is to be considered as \
             documents or content fragments.";
    }
    section "Version and Platform Compatibility / Other Platforms and Clients" {
        ALLOW_ALTER_SYSTEM: bool = switch("allow_alter_system", true).sighup().not_in_auto_file(),
            "Allows running the ALTER SYSTEM command.",
            "Can be set to off for environments where global configuration changes should be made using a \
             different method.";
        TRANSFORM_NULL_EQUALS: bool = switch("transform_null_equals", false),
            "Treats \"expr=NULL\" as \"expr IS NULL\".",
            "When turned on, expressions of the form expr = NULL (or NULL = expr) are treated as expr IS NULL, \
             that is, they return true if expr evaluates to the null value, and false otherwise. The correct \
             behavior of expr = NULL is to always return null (unknown).";
    }
    section "Version and Platform Compatibility / Previous PostgreSQL Versions" {
        ARRAY_NULLS: bool = switch("array_nulls", true),
            "Enables input of NULL elements in arrays.",
            "When turned on, unquoted NULL in an array input value means a null value; otherwise it is taken \
             literally.";
        BACKSLASH_QUOTE: Choice = choice("backslash_quote", "safe_encoding", &["safe_encoding", "on", "off"])
            .aliases(ON_OFF),
            "Sets whether \"\\'\" is allowed in string literals.";
        ESCAPE_STRING_WARNING: bool = switch("escape_string_warning", true),
            "Warn about backslash escapes in ordinary string literals.";
        LO_COMPAT_PRIVILEGES: bool = switch("lo_compat_privileges", false).superuser(),
            "Enables backward compatibility mode for privilege checks on large objects.",
            "Skips privilege checks when reading or modifying large objects, for compatibility with PostgreSQL \
             releases prior to 9.0.";
        QUOTE_ALL_IDENTIFIERS: bool = switch("quote_all_identifiers", false),
            "When generating SQL fragments, quote all identifiers.";
        STANDARD_CONFORMING_STRINGS: bool = switch("standard_conforming_strings", true).report(),
            "Causes '...' strings to treat backslashes literally.";
        SYNCHRONIZE_SEQSCANS: bool = switch("synchronize_seqscans", true),
            "Enables synchronized sequential scans.";
    }
}
