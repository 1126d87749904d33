//! Memory, disk, background writing, I/O and workers.

use super::aliases::{ON_OFF, WORKER_IS_AUTO};
use super::settings;
use crate::config::check::{checks, missing};
use crate::config::definition::{Choice, Definition, Key, MAX_INT, choice, int, real, switch};
use crate::config::units::Unit;

settings! {
    file resources;
    section "Resource Usage / Background Writer" {
        BGWRITER_DELAY: i64 = int("bgwriter_delay", 200, 10, 10_000).unit(Unit::Milliseconds).sighup(),
            "Background writer sleep time between rounds.";
        BGWRITER_FLUSH_AFTER: i64 = int("bgwriter_flush_after", 64, 0, 256).unit(Unit::Pages).sighup(),
            "Number of pages after which previously performed writes are flushed to disk.",
            "0 disables forced writeback.";
        BGWRITER_LRU_MAXPAGES: i64 = int("bgwriter_lru_maxpages", 100, 0, 1_073_741_823).sighup(),
            "Background writer maximum number of LRU pages to flush per round.",
            "0 disables background writing.";
        BGWRITER_LRU_MULTIPLIER: f64 = real("bgwriter_lru_multiplier", 2.0, 0.0, 10.0).sighup(),
            "Multiple of the average buffer usage to free per round.";
    }
    section "Resource Usage / Disk" {
        FILE_COPY_METHOD: Choice = choice("file_copy_method", "copy", &["copy", "clone"]),
            "Selects the file copy method.";
        FILE_EXTEND_METHOD: Choice = choice("file_extend_method", "posix_fallocate", &["posix_fallocate", "write_zeros"])
            .sighup(),
            "Selects the method used for extending data files.";
        MAX_NOTIFY_QUEUE_PAGES: i64 = int("max_notify_queue_pages", 1_048_576, 64, MAX_INT).postmaster(),
            "Sets the maximum number of allocated pages for NOTIFY / LISTEN queue.";
        TEMP_FILE_LIMIT: i64 = int("temp_file_limit", -1, -1, MAX_INT).unit(Unit::Kilobytes).superuser(),
            "Limits the total size of all temporary files used by each process.",
            "-1 means no limit.";
    }
    section "Resource Usage / I/O" {
        BACKEND_FLUSH_AFTER: i64 = int("backend_flush_after", 0, 0, 256).unit(Unit::Pages),
            "Number of pages after which previously performed writes are flushed to disk.",
            "0 disables forced writeback.";
        EFFECTIVE_IO_CONCURRENCY: i64 = int("effective_io_concurrency", 16, 0, 1000).explain(),
            "Number of simultaneous requests that can be handled efficiently by the disk subsystem.",
            "0 disables simultaneous requests.";
        IO_COMBINE_LIMIT: i64 = int("io_combine_limit", 16, 1, 128).unit(Unit::Pages),
            "Limit on the size of data reads and writes.";
        IO_MAX_COMBINE_LIMIT: i64 = int("io_max_combine_limit", 16, 1, 128).unit(Unit::Pages).postmaster(),
            "Server-wide limit that clamps io_combine_limit.";
        IO_MAX_CONCURRENCY: i64 = int("io_max_concurrency", -1, -1, 1024).postmaster(),
            "Max number of IOs that one process can execute simultaneously.";
        IO_METHOD: Choice = choice("io_method", "auto", &["auto", "io_uring", "sync"]).aliases(WORKER_IS_AUTO)
            .postmaster(),
            "Selects the method for executing asynchronous I/O.";
        IO_WORKERS: i64 = int("io_workers", 3, 1, 32).sighup(),
            "Number of IO worker processes, for io_method=worker.";
        MAINTENANCE_IO_CONCURRENCY: i64 = int("maintenance_io_concurrency", 16, 0, 1000).explain(),
            "A variant of \"effective_io_concurrency\" that is used for maintenance work.",
            "0 disables simultaneous requests.";
    }
    section "Resource Usage / Kernel Resources" {
        MAX_FILES_PER_PROCESS: i64 = int("max_files_per_process", 1000, 64, MAX_INT).postmaster(),
            "Sets the maximum number of files each server process is allowed to open simultaneously.";
    }
    section "Resource Usage / Memory" {
        AUTOVACUUM_WORK_MEM: i64 = int("autovacuum_work_mem", -1, -1, MAX_INT).unit(Unit::Kilobytes).sighup()
            .check(checks::autovacuum_work_mem),
            "Sets the maximum memory to be used by each autovacuum worker process.",
            "-1 means use \"maintenance_work_mem\".";
        COMMIT_TIMESTAMP_BUFFERS: i64 = int("commit_timestamp_buffers", 0, 0, 131_072).unit(Unit::Pages)
            .postmaster(),
            "Sets the size of the dedicated buffer pool used for the commit timestamp cache.",
            "0 means use a fraction of \"shared_buffers\".";
        DYNAMIC_SHARED_MEMORY_TYPE: Choice = choice("dynamic_shared_memory_type", "posix", &["posix", "sysv", "mmap"])
            .postmaster(),
            "Selects the dynamic shared memory implementation used.";
        HASH_MEM_MULTIPLIER: f64 = real("hash_mem_multiplier", 2.0, 1.0, 1000.0).explain(),
            "Multiple of \"work_mem\" to use for hash tables.";
        HUGE_PAGE_SIZE: i64 = int("huge_page_size", 0, 0, MAX_INT).unit(Unit::Kilobytes).postmaster(),
            "The size of huge page that should be requested.",
            "0 means use the system default.";
        HUGE_PAGES: Choice = choice("huge_pages", "try", &["off", "on", "try"]).aliases(ON_OFF).postmaster(),
            "Use of huge pages on Linux or Windows.";
        LOGICAL_DECODING_WORK_MEM: i64 = int("logical_decoding_work_mem", 65_536, 64, MAX_INT)
            .unit(Unit::Kilobytes),
            "Sets the maximum memory to be used for logical decoding.",
            "This much memory can be used by each internal reorder buffer before spilling to disk.";
        MAINTENANCE_WORK_MEM: i64 = int("maintenance_work_mem", 65_536, 64, MAX_INT).unit(Unit::Kilobytes),
            "Sets the maximum memory to be used for maintenance operations.",
            "This includes operations such as VACUUM and CREATE INDEX.";
        MAX_PREPARED_TRANSACTIONS: i64 = int("max_prepared_transactions", 0, 0, 262_143).postmaster(),
            "Sets the maximum number of simultaneously prepared transactions.";
        MAX_STACK_DEPTH: i64 = int("max_stack_depth", 100, 100, MAX_INT).unit(Unit::Kilobytes).superuser(),
            "Sets the maximum stack depth, in kilobytes.";
        MIN_DYNAMIC_SHARED_MEMORY: i64 = int("min_dynamic_shared_memory", 0, 0, MAX_INT).unit(Unit::Megabytes)
            .postmaster(),
            "Amount of dynamic shared memory reserved at startup.";
        MULTIXACT_MEMBER_BUFFERS: i64 = int("multixact_member_buffers", 32, 16, 131_072).unit(Unit::Pages)
            .postmaster(),
            "Sets the size of the dedicated buffer pool used for the MultiXact member cache.";
        MULTIXACT_OFFSET_BUFFERS: i64 = int("multixact_offset_buffers", 16, 16, 131_072).unit(Unit::Pages)
            .postmaster(),
            "Sets the size of the dedicated buffer pool used for the MultiXact offset cache.";
        NOTIFY_BUFFERS: i64 = int("notify_buffers", 16, 16, 131_072).unit(Unit::Pages).postmaster(),
            "Sets the size of the dedicated buffer pool used for the LISTEN/NOTIFY message cache.";
        SERIALIZABLE_BUFFERS: i64 = int("serializable_buffers", 32, 16, 131_072).unit(Unit::Pages)
            .postmaster(),
            "Sets the size of the dedicated buffer pool used for the serializable transaction cache.";
        SHARED_BUFFERS: i64 = int("shared_buffers", 16_384, 16, 1_073_741_823).unit(Unit::Pages).postmaster(),
            "Sets the number of shared memory buffers used by the server.";
        SHARED_MEMORY_TYPE: Choice = choice("shared_memory_type", "mmap", &["sysv", "mmap"]).postmaster()
            .check(missing::shared_memory_type),
            "Selects the shared memory implementation used for the main shared memory region.";
        SUBTRANSACTION_BUFFERS: i64 = int("subtransaction_buffers", 0, 0, 131_072).unit(Unit::Pages)
            .postmaster(),
            "Sets the size of the dedicated buffer pool used for the subtransaction cache.",
            "0 means use a fraction of \"shared_buffers\".";
        TEMP_BUFFERS: i64 = int("temp_buffers", 1024, 100, 1_073_741_823).unit(Unit::Pages).explain(),
            "Sets the maximum number of temporary buffers used by each session.";
        TRANSACTION_BUFFERS: i64 = int("transaction_buffers", 0, 0, 131_072).unit(Unit::Pages).postmaster(),
            "Sets the size of the dedicated buffer pool used for the transaction status cache.",
            "0 means use a fraction of \"shared_buffers\".";
        VACUUM_BUFFER_USAGE_LIMIT: i64 = int("vacuum_buffer_usage_limit", 2048, 0, 16_777_216)
            .unit(Unit::Kilobytes).check(checks::vacuum_buffer_usage_limit),
            "Sets the buffer pool size for VACUUM, ANALYZE, and autovacuum.";
        WORK_MEM: i64 = int("work_mem", 4096, 64, MAX_INT).unit(Unit::Kilobytes).explain(),
            "Sets the maximum memory to be used for query workspaces.",
            "This much memory can be used by each internal sort operation and hash table before switching to \
             temporary disk files.";
    }
    section "Resource Usage / Worker Processes" {
        MAX_PARALLEL_MAINTENANCE_WORKERS: i64 = int("max_parallel_maintenance_workers", 2, 0, 1024),
            "Sets the maximum number of parallel processes per maintenance operation.";
        MAX_PARALLEL_WORKERS: i64 = int("max_parallel_workers", 8, 0, 1024).explain(),
            "Sets the maximum number of parallel workers that can be active at one time.";
        MAX_PARALLEL_WORKERS_PER_GATHER: i64 = int("max_parallel_workers_per_gather", 2, 0, 1024).explain(),
            "Sets the maximum number of parallel processes per executor node.";
        MAX_WORKER_PROCESSES: i64 = int("max_worker_processes", 8, 0, 262_143).postmaster(),
            "Maximum number of concurrent worker processes.";
        PARALLEL_LEADER_PARTICIPATION: bool = switch("parallel_leader_participation", true).explain(),
            "Controls whether Gather and Gather Merge also run subplans.",
            "Should gather nodes also run subplans or just gather tuples?";
    }
}
