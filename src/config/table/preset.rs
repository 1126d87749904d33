//! What cannot be chosen, and what only developers choose.

use super::aliases::ON_OFF;
use super::settings;
use crate::config::check::lists;
use crate::config::definition::{Choice, Definition, Key, MAX_INT, choice, int, switch, text};
use crate::config::show;
use crate::config::units::Unit;

settings! {
    file preset;
    section "Preset Options" {
        BLOCK_SIZE: i64 = int("block_size", 8192, 8192, 8192).internal().not_in_sample(),
            "Shows the size of a disk block.";
        DATA_CHECKSUMS: bool = switch("data_checksums", false).internal().computed().not_in_sample(),
            "Shows whether data checksums are turned on for this cluster.";
        DATA_DIRECTORY_MODE: i64 = int("data_directory_mode", 0o700, 0, 0o777).internal().computed()
            .not_in_sample().show(show::octal),
            "Shows the mode of the data directory.",
            "The parameter value is a numeric mode specification in the form accepted by the chmod and umask \
             system calls. (To use the customary octal format the number must start with a 0 (zero).)";
        DEBUG_ASSERTIONS: bool = switch("debug_assertions", false).internal().not_in_sample(),
            "Shows whether the running server has assertion checks enabled.";
        HUGE_PAGES_STATUS: Choice = choice("huge_pages_status", "unknown", &["off", "on", "unknown"])
            .internal().not_in_sample(),
            "Indicates the status of huge pages.";
        IN_HOT_STANDBY: bool = switch("in_hot_standby", false).internal().report().not_in_sample(),
            "Shows whether hot standby is currently active.";
        INTEGER_DATETIMES: bool = switch("integer_datetimes", true).internal().report().not_in_sample(),
            "Shows whether datetimes are integer based.";
        MAX_FUNCTION_ARGS: i64 = int("max_function_args", 100, 100, 100).internal().not_in_sample(),
            "Shows the maximum number of function arguments.";
        MAX_IDENTIFIER_LENGTH: i64 = int("max_identifier_length", 63, 63, 63).internal().not_in_sample(),
            "Shows the maximum identifier length.";
        MAX_INDEX_KEYS: i64 = int("max_index_keys", 32, 32, 32).internal().not_in_sample(),
            "Shows the maximum number of index keys.";
        NUM_OS_SEMAPHORES: i64 = int("num_os_semaphores", 0, 0, MAX_INT).internal().computed().not_in_sample(),
            "Shows the number of semaphores required for the server.";
        SEGMENT_SIZE: i64 = int("segment_size", 131_072, 131_072, 131_072).unit(Unit::Pages).internal()
            .not_in_sample(),
            "Shows the number of pages per disk file.";
        SERVER_ENCODING: str = text("server_encoding", "SQL_ASCII").internal().report().not_in_sample(),
            "Shows the server (database) character set encoding.";
        SERVER_VERSION: str = text("server_version", "18.4").internal().report().not_in_sample(),
            "Shows the server version.";
        SERVER_VERSION_NUM: i64 = int("server_version_num", 180_004, 180_004, 180_004).internal()
            .not_in_sample(),
            "Shows the server version as an integer.";
        SHARED_MEMORY_SIZE: i64 = int("shared_memory_size", 0, 0, MAX_INT).unit(Unit::Megabytes).internal()
            .computed().not_in_sample(),
            "Shows the size of the server's main shared memory area (rounded up to the nearest MB).";
        SHARED_MEMORY_SIZE_IN_HUGE_PAGES: i64 = int("shared_memory_size_in_huge_pages", -1, -1, MAX_INT)
            .internal().computed().not_in_sample(),
            "Shows the number of huge pages needed for the main shared memory area.",
            "-1 means huge pages are not supported.";
        SSL_LIBRARY: str = text("ssl_library", "rustls").internal().not_in_sample(),
            "Shows the name of the SSL library.";
        WAL_BLOCK_SIZE: i64 = int("wal_block_size", 8192, 8192, 8192).internal().not_in_sample(),
            "Shows the block size in the write ahead log.";
        WAL_SEGMENT_SIZE: i64 = int("wal_segment_size", 16_777_216, 1_048_576, 1_073_741_824)
            .unit(Unit::Bytes).internal().computed().not_in_sample(),
            "Shows the size of write ahead log segments.";
    }
    section "Developer Options" {
        ALLOW_IN_PLACE_TABLESPACES: bool = switch("allow_in_place_tablespaces", false).superuser()
            .not_in_sample(),
            "Allows tablespaces directly inside pg_tblspc, for testing.";
        ALLOW_SYSTEM_TABLE_MODS: bool = switch("allow_system_table_mods", false).superuser().not_in_sample(),
            "Allows modifications of the structure of system tables.";
        BACKTRACE_FUNCTIONS: str = text("backtrace_functions", "").superuser().not_in_sample(),
            "Log backtrace for errors in these functions.";
        DEBUG_DISCARD_CACHES: i64 = int("debug_discard_caches", 0, 0, 0).superuser().not_in_sample(),
            "Aggressively flush system caches for debugging purposes.",
            "0 means use normal caching behavior.";
        DEBUG_IO_DIRECT: str = text("debug_io_direct", "").postmaster().list().not_in_sample()
            .check(lists::debug_io_direct),
            "Use direct I/O for file access.",
            "An empty string disables direct I/O.";
        DEBUG_LOGICAL_REPLICATION_STREAMING: Choice = choice("debug_logical_replication_streaming", "buffered", &["buffered", "immediate"])
            .not_in_sample(),
            "Forces immediate streaming or serialization of changes in large transactions.",
            "On the publisher, it allows streaming or serializing each change in logical decoding. On the \
             subscriber, it allows serialization of all changes to files and notifies the parallel apply \
             workers to read and apply them at the end of the transaction.";
        DEBUG_PARALLEL_QUERY: Choice = choice("debug_parallel_query", "off", &["off", "on", "regress"])
            .aliases(ON_OFF).explain().not_in_sample(),
            "Forces the planner's use parallel query nodes.",
            "This can be useful for testing the parallel query infrastructure by forcing the planner to \
             generate plans that contain nodes that perform tuple communication between workers and the main \
             process.";
        IGNORE_CHECKSUM_FAILURE: bool = switch("ignore_checksum_failure", false).superuser().not_in_sample(),
            "Continues processing after a checksum failure.",
            "Detection of a checksum failure normally causes PostgreSQL to report an error, aborting the \
             current transaction. Setting ignore_checksum_failure to true causes the system to ignore the \
             failure (but still report a warning), and continue processing. This behavior could cause crashes \
             or other serious problems. Only has an effect if checksums are enabled.";
        IGNORE_INVALID_PAGES: bool = switch("ignore_invalid_pages", false).postmaster().not_in_sample(),
            "Continues recovery after an invalid pages failure.",
            "Detection of WAL records having references to invalid pages during recovery causes PostgreSQL to \
             raise a PANIC-level error, aborting the recovery. Setting \"ignore_invalid_pages\" to true causes \
             the system to ignore invalid page references in WAL records (but still report a warning), and \
             continue recovery. This behavior may cause crashes, data loss, propagate or hide corruption, or \
             other serious problems. Only has an effect during recovery or in standby mode.";
        IGNORE_SYSTEM_INDEXES: bool = switch("ignore_system_indexes", false).backend().not_in_sample(),
            "Disables reading from system indexes.",
            "It does not prevent updating the indexes, so it is safe to use.  The worst consequence is \
             slowness.";
        JIT_DEBUGGING_SUPPORT: bool = switch("jit_debugging_support", false).superuser_backend()
            .not_in_sample(),
            "Register JIT-compiled functions with debugger.";
        JIT_DUMP_BITCODE: bool = switch("jit_dump_bitcode", false).superuser().not_in_sample(),
            "Write out LLVM bitcode to facilitate JIT debugging.";
        JIT_EXPRESSIONS: bool = switch("jit_expressions", true).not_in_sample(),
            "Allow JIT compilation of expressions.";
        JIT_PROFILING_SUPPORT: bool = switch("jit_profiling_support", false).superuser_backend()
            .not_in_sample(),
            "Register JIT-compiled functions with perf profiler.";
        JIT_TUPLE_DEFORMING: bool = switch("jit_tuple_deforming", true).not_in_sample(),
            "Allow JIT compilation of tuple deforming.";
        POST_AUTH_DELAY: i64 = int("post_auth_delay", 0, 0, 2147).unit(Unit::Seconds).backend()
            .not_in_sample(),
            "Sets the amount of time to wait after authentication on connection startup.",
            "This allows attaching a debugger to the process.";
        PRE_AUTH_DELAY: i64 = int("pre_auth_delay", 0, 0, 60).unit(Unit::Seconds).sighup().not_in_sample(),
            "Sets the amount of time to wait before authentication on connection startup.",
            "This allows attaching a debugger to the process.";
        REMOVE_TEMP_FILES_AFTER_CRASH: bool = switch("remove_temp_files_after_crash", true).sighup()
            .not_in_sample(),
            "Remove temporary files after backend crash.";
        SEND_ABORT_FOR_CRASH: bool = switch("send_abort_for_crash", false).sighup().not_in_sample(),
            "Send SIGABRT not SIGQUIT to child processes after backend crash.";
        SEND_ABORT_FOR_KILL: bool = switch("send_abort_for_kill", false).sighup().not_in_sample(),
            "Send SIGABRT not SIGKILL to stuck child processes.";
        TRACE_CONNECTION_NEGOTIATION: bool = switch("trace_connection_negotiation", false).postmaster()
            .not_in_sample(),
            "Logs details of pre-authentication connection handshake.";
        TRACE_NOTIFY: bool = switch("trace_notify", false).not_in_sample(),
            "Generates debugging output for LISTEN and NOTIFY.";
        TRACE_SORT: bool = switch("trace_sort", false).not_in_sample(),
            "Emit information about resource usage in sorting.";
        WAL_CONSISTENCY_CHECKING: str = text("wal_consistency_checking", "").superuser().list()
            .not_in_sample().check(lists::wal_consistency_checking),
            "Sets the WAL resource managers for which WAL consistency checks are done.",
            "Full-page images will be logged for all data blocks and cross-checked against the results of WAL \
             replay.";
        ZERO_DAMAGED_PAGES: bool = switch("zero_damaged_pages", false).superuser().not_in_sample(),
            "Continues processing past damaged page headers.",
            "Detection of a damaged page header normally causes PostgreSQL to report an error, aborting the \
             current transaction. Setting \"zero_damaged_pages\" to true causes the system to instead report a \
             warning, zero out the damaged page, and continue processing. This behavior will destroy data, \
             namely all the rows on the damaged page.";
    }
}
