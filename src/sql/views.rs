//! The views that live in shared memory or in the session's process: their names, columns and types. The rows come from
//! the host.

use super::types::Type;

/// A column of a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
}

/// Makes the enum of views, their names and their columns, from one list.
macro_rules! views {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal { $($column:ident: $ty:expr,)* })*) => {
        /// A view that the host has the rows of.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum SystemView {
            $($(#[doc = $doc])* $variant,)*
        }

        impl SystemView {
            /// Every view.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in `pg_catalog`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its columns in their order.
            pub fn columns(self) -> &'static [ViewColumn] {
                match self {
                    $(Self::$variant => const { &[$(ViewColumn { name: stringify!($column), ty: $ty },)*] },)*
                }
            }
        }
    };
}

const TEXTS: Type = Type::TEXT_ARRAY;

views! {
    /// What every process does.
    Activity "pg_stat_activity" {
        datid: Type::OID, datname: Type::NAME, pid: Type::INT4, leader_pid: Type::INT4, usesysid: Type::OID,
        usename: Type::NAME, application_name: Type::TEXT, client_addr: Type::INET, client_hostname: Type::TEXT,
        client_port: Type::INT4, backend_start: Type::TIMESTAMPTZ, xact_start: Type::TIMESTAMPTZ,
        query_start: Type::TIMESTAMPTZ, state_change: Type::TIMESTAMPTZ, wait_event_type: Type::TEXT,
        wait_event: Type::TEXT, state: Type::TEXT, backend_xid: Type::XID, backend_xmin: Type::XID,
        query_id: Type::INT8, query: Type::TEXT, backend_type: Type::TEXT,
    }
    /// Every setting.
    Settings "pg_settings" {
        name: Type::TEXT, setting: Type::TEXT, unit: Type::TEXT, category: Type::TEXT, short_desc: Type::TEXT,
        extra_desc: Type::TEXT, context: Type::TEXT, vartype: Type::TEXT, source: Type::TEXT, min_val: Type::TEXT,
        max_val: Type::TEXT, enumvals: TEXTS, boot_val: Type::TEXT, reset_val: Type::TEXT, sourcefile: Type::TEXT,
        sourceline: Type::INT4, pending_restart: Type::BOOL,
    }
    /// The configuration files' entries.
    FileSettings "pg_file_settings" {
        sourcefile: Type::TEXT, sourceline: Type::INT4, seqno: Type::INT4, name: Type::TEXT, setting: Type::TEXT,
        applied: Type::BOOL, error: Type::TEXT,
    }
    /// `pg_hba.conf`'s lines.
    HbaFileRules "pg_hba_file_rules" {
        rule_number: Type::INT4, file_name: Type::TEXT, line_number: Type::INT4, type: Type::TEXT, database: TEXTS,
        user_name: TEXTS, address: Type::TEXT, netmask: Type::TEXT, auth_method: Type::TEXT, options: TEXTS,
        error: Type::TEXT,
    }
    /// `pg_ident.conf`'s lines.
    IdentFileMappings "pg_ident_file_mappings" {
        map_number: Type::INT4, file_name: Type::TEXT, line_number: Type::INT4, map_name: Type::TEXT,
        sys_name: Type::TEXT, pg_username: Type::TEXT, error: Type::TEXT,
    }
    /// Each connection's TLS.
    StatSsl "pg_stat_ssl" {
        pid: Type::INT4, ssl: Type::BOOL, version: Type::TEXT, cipher: Type::TEXT, bits: Type::INT4,
        client_dn: Type::TEXT, client_serial: Type::NUMERIC, issuer_dn: Type::TEXT,
    }
    /// Each connection's GSSAPI.
    StatGssapi "pg_stat_gssapi" {
        pid: Type::INT4, gss_authenticated: Type::BOOL, principal: Type::TEXT, encrypted: Type::BOOL,
        credentials_delegated: Type::BOOL,
    }
    /// The shared memory's regions.
    ShmemAllocations "pg_shmem_allocations" {
        name: Type::TEXT, off: Type::INT8, size: Type::INT8, allocated_size: Type::INT8,
    }
    /// Waits, counted and timed by their event; tuskd's own.
    StatWaitEvent "pg_stat_wait_event" {
        wait_event_type: Type::TEXT, wait_event: Type::TEXT, count: Type::INT8, total_ms: Type::FLOAT8,
        p50_us: Type::FLOAT8, p99_us: Type::FLOAT8,
    }
    /// Contained deaths and what became of them; tuskd's own.
    StatCrashCleanup "pg_stat_crash_cleanup" {
        pid: Type::INT4, backend_type: Type::TEXT, died_at: Type::TIMESTAMPTZ, signal: Type::INT4,
        tier: Type::INT4, cleaned_at: Type::TIMESTAMPTZ, detail: Type::TEXT,
    }
    /// What the log has done; behind PostgreSQL's columns are tuskd's own.
    StatWal "pg_stat_wal" {
        wal_records: Type::INT8, wal_fpi: Type::INT8, wal_bytes: Type::NUMERIC, wal_buffers_full: Type::INT8,
        stats_reset: Type::TIMESTAMPTZ, wal_write: Type::INT8, wal_sync: Type::INT8, wal_write_time: Type::FLOAT8,
        wal_sync_time: Type::FLOAT8, wal_bytes_written: Type::NUMERIC, flushes_at_once: Type::INT8,
    }
    /// What the background writer has done.
    StatBgwriter "pg_stat_bgwriter" {
        buffers_clean: Type::INT8, maxwritten_clean: Type::INT8, buffers_alloc: Type::INT8,
        stats_reset: Type::TIMESTAMPTZ,
    }
    /// What the checkpointer has done.
    StatCheckpointer "pg_stat_checkpointer" {
        num_timed: Type::INT8, num_requested: Type::INT8, num_done: Type::INT8, restartpoints_timed: Type::INT8,
        restartpoints_req: Type::INT8, restartpoints_done: Type::INT8, write_time: Type::FLOAT8,
        sync_time: Type::FLOAT8, buffers_written: Type::INT8, slru_written: Type::INT8,
        stats_reset: Type::TIMESTAMPTZ,
    }
    /// What the archiver has done.
    StatArchiver "pg_stat_archiver" {
        archived_count: Type::INT8, last_archived_wal: Type::TEXT, last_archived_time: Type::TIMESTAMPTZ,
        failed_count: Type::INT8, last_failed_wal: Type::TEXT, last_failed_time: Type::TIMESTAMPTZ,
        stats_reset: Type::TIMESTAMPTZ,
    }
    /// Locks held and waited for.
    Locks "pg_locks" {
        locktype: Type::TEXT, database: Type::OID, relation: Type::OID, page: Type::INT4, tuple: Type::INT2,
        virtualxid: Type::TEXT, transactionid: Type::XID, classid: Type::OID, objid: Type::OID,
        objsubid: Type::INT2, virtualtransaction: Type::TEXT, pid: Type::INT4, mode: Type::TEXT,
        granted: Type::BOOL, fastpath: Type::BOOL, waitstart: Type::TIMESTAMPTZ,
    }
    /// Transactions prepared for a commit in two phases.
    PreparedXacts "pg_prepared_xacts" {
        transaction: Type::XID, gid: Type::TEXT, prepared: Type::TIMESTAMPTZ, owner: Type::NAME,
        database: Type::NAME,
    }
    /// The postmaster's state; tuskd's own.
    Postmaster "pg_postmaster" {
        pid: Type::INT4, state: Type::TEXT, start_time: Type::TIMESTAMPTZ, alive: Type::BOOL,
        children: Type::INT4, spare_backends: Type::INT4,
    }
    /// The roles, without their passwords.
    Roles "pg_roles" {
        rolname: Type::NAME, rolsuper: Type::BOOL, rolinherit: Type::BOOL, rolcreaterole: Type::BOOL,
        rolcreatedb: Type::BOOL, rolcanlogin: Type::BOOL, rolreplication: Type::BOOL, rolconnlimit: Type::INT4,
        rolpassword: Type::TEXT, rolvaliduntil: Type::TIMESTAMPTZ, rolbypassrls: Type::BOOL, rolconfig: TEXTS,
        oid: Type::OID,
    }
    /// The roles, for superusers.
    Authid "pg_authid" {
        oid: Type::OID, rolname: Type::NAME, rolsuper: Type::BOOL, rolinherit: Type::BOOL,
        rolcreaterole: Type::BOOL, rolcreatedb: Type::BOOL, rolcanlogin: Type::BOOL, rolreplication: Type::BOOL,
        rolbypassrls: Type::BOOL, rolconnlimit: Type::INT4, rolpassword: Type::TEXT,
        rolvaliduntil: Type::TIMESTAMPTZ,
    }
    /// The databases.
    Database "pg_database" {
        oid: Type::OID, datname: Type::NAME, datdba: Type::OID, encoding: Type::INT4, datlocprovider: Type::CHAR,
        datistemplate: Type::BOOL, datallowconn: Type::BOOL, dathasloginevt: Type::BOOL, datconnlimit: Type::INT4,
        datfrozenxid: Type::XID, datminmxid: Type::XID, dattablespace: Type::OID, datcollate: Type::TEXT,
        datctype: Type::TEXT, datlocale: Type::TEXT, daticurules: Type::TEXT, datcollversion: Type::TEXT,
        datacl: TEXTS,
    }
}

impl SystemView {
    /// The view of a name, in `pg_catalog` or without a schema.
    pub fn by_name(schema: Option<&str>, name: &str) -> Option<Self> {
        if schema.is_some_and(|schema| schema != "pg_catalog") {
            return None;
        }
        Self::ALL.iter().copied().find(|view| view.name() == name)
    }
}
