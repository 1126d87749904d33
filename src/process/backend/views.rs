//! Rows of the views that live in shared memory, in settings and in files.

use shmem_layout::{Phase, SlotIndex};

use super::super::activity::ActivityRow;
use super::super::kinds::Kind;
use super::host::{Backend, EPOCH_2000_US};
use crate::auth::databases::Database;
use crate::auth::roles::{Role, RolesFile};
use crate::auth::{hba, ident};
use crate::config;
use crate::ipc::WaitEvent;
use crate::report::{self, Report, SqlState};
use crate::sql::host::Host;
use crate::sql::types::{Datum, Numeric, Row, Type};
use crate::sql::views::SystemView;
use crate::sync::Ordering;

/// PostgreSQL's number for UTF-8.
const UTF8: i32 = 6;
/// The owner of what `init` makes.
const BOOTSTRAP_ROLE: u32 = 10;
/// `pg_default`.
const DEFAULT_TABLESPACE: u32 = 1663;

fn opt(text: Option<impl Into<std::sync::Arc<str>>>) -> Datum {
    text.map_or(Datum::Null, Datum::text)
}

fn texts<T: AsRef<str>>(list: &[T]) -> Datum {
    Datum::array(Type::TEXT, list.iter().map(|text| Datum::text(text.as_ref())).collect())
}

fn opt_texts(list: Option<&Vec<String>>) -> Datum {
    list.map_or(Datum::Null, |list| texts(list))
}

/// A time in microseconds since 1970; 0 is none.
pub(super) fn time(us: u64) -> Datum {
    if us == 0 { Datum::Null } else { Datum::Timestamptz(us as i64 - EPOCH_2000_US) }
}

impl Backend<'_, '_, '_> {
    /// The rows of a view, with its columns in their order.
    pub fn view_rows(&mut self, view: SystemView) -> report::Result<Vec<Row>> {
        Ok(match view {
            SystemView::Activity => self.activity_rows(),
            SystemView::Settings => self.setting_rows(),
            SystemView::FileSettings => self.file_setting_rows(),
            SystemView::HbaFileRules => self.hba_rows()?,
            SystemView::IdentFileMappings => self.ident_rows()?,
            SystemView::StatSsl => self.ssl_rows(),
            SystemView::StatGssapi => self.gssapi_rows(),
            SystemView::ShmemAllocations => self.region_rows(),
            SystemView::StatWaitEvent => self.wait_rows(),
            // Every death is a crash restart until containment comes, and a crash restart forgets all.
            SystemView::StatCrashCleanup => Vec::new(),
            SystemView::Database => {
                let roles = RolesFile::read(&self.ctx.server.data_dir)?;
                roles.databases().iter().map(database_row).collect()
            }
            SystemView::Roles => self.roles()?.iter().map(role_row).collect(),
            SystemView::Authid => self.authid_rows()?,
            SystemView::Postmaster => vec![self.postmaster_row()],
            SystemView::StatWal => vec![self.wal_row()],
            SystemView::StatBgwriter => vec![self.bgwriter_row()],
            SystemView::StatCheckpointer => vec![self.checkpointer_row()],
            SystemView::StatArchiver => vec![self.archiver_row()],
            SystemView::Locks => self.lock_rows(),
            SystemView::PreparedXacts => self.prepared_rows()?,
        })
    }

    fn require_superuser(&self, view: SystemView) -> report::Result<()> {
        if self.state.facts.superuser {
            return Ok(());
        }
        let text = format!("permission denied for view {}", view.name());
        Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, text))
    }

    fn hba_rows(&self) -> report::Result<Vec<Row>> {
        self.require_superuser(SystemView::HbaFileRules)?;
        let settings = &self.ctx.settings;
        let path = std::path::Path::new(settings.get(config::HBA_FILE));
        let rules = hba::rules(path, settings.get(config::SSL))?;
        let row = |rule: hba::RuleRow| {
            vec![
                rule.rule_number.map_or(Datum::Null, Datum::Int4),
                Datum::text(rule.file_name),
                Datum::Int4(rule.line_number),
                opt(rule.kind),
                opt_texts(rule.database.as_ref()),
                opt_texts(rule.user_name.as_ref()),
                opt(rule.address),
                opt(rule.netmask),
                opt(rule.auth_method),
                opt_texts(rule.options.as_ref()),
                opt(rule.error),
            ]
        };
        Ok(rules.into_iter().map(row).collect())
    }

    fn ident_rows(&self) -> report::Result<Vec<Row>> {
        self.require_superuser(SystemView::IdentFileMappings)?;
        let mappings = ident::mappings(std::path::Path::new(self.ctx.settings.get(config::IDENT_FILE)))?;
        let row = |mapping: ident::MappingRow| {
            vec![
                mapping.map_number.map_or(Datum::Null, Datum::Int4),
                Datum::text(mapping.file_name),
                Datum::Int4(mapping.line_number),
                opt(mapping.map_name),
                opt(mapping.sys_name),
                opt(mapping.pg_username),
                opt(mapping.error),
            ]
        };
        Ok(mappings.into_iter().map(row).collect())
    }

    fn sessions(&self) -> impl Iterator<Item = (i32, ActivityRow)> {
        let sessions = self.living().filter(|(_, kind, _)| *kind == Kind::Backend);
        sessions.map(|(slot, _, pid)| (pid, self.ctx.server.activities.read(slot)))
    }

    fn ssl_rows(&self) -> Vec<Row> {
        let text = |text: String| if text.is_empty() { Datum::Null } else { Datum::text(text) };
        let row = |(pid, row): (i32, ActivityRow)| {
            let Some(tls) = row.tls else {
                let mut none = vec![Datum::Int4(pid), Datum::Bool(false)];
                none.resize(SystemView::StatSsl.columns().len(), Datum::Null);
                return none;
            };
            let serial = tls
                .client_serial
                .parse()
                .map_or(Datum::Null, |serial: Numeric| Datum::Numeric(serial.into()));
            vec![
                Datum::Int4(pid),
                Datum::Bool(true),
                text(tls.version),
                text(tls.cipher),
                Datum::Int4(tls.bits as i32),
                text(tls.client_dn),
                serial,
                text(tls.issuer_dn),
            ]
        };
        self.sessions().map(row).collect()
    }

    fn gssapi_rows(&self) -> Vec<Row> {
        let no = || Datum::Bool(false);
        self.sessions().map(|(pid, _)| vec![Datum::Int4(pid), no(), Datum::Null, no(), no()]).collect()
    }

    /// Living slots with their kinds.
    pub(super) fn living(&self) -> impl Iterator<Item = (SlotIndex, Kind, i32)> {
        let slots = self.ctx.server.ipc.slots().iter().enumerate();
        slots.filter_map(|(index, slot)| {
            let phase = Phase::from_word(slot.phase.load(Ordering::Acquire));
            let kind = Kind::from_number(slot.kind.load(Ordering::Acquire))?;
            let pid = slot.pid.load(Ordering::Acquire) as i32;
            (phase != Phase::Free && pid != 0).then_some((SlotIndex::new(index)?, kind, pid))
        })
    }

    fn activity_rows(&self) -> Vec<Row> {
        let shown = self.living().filter(|(_, kind, _)| *kind != Kind::SpareBackend);
        shown.map(|(slot, kind, pid)| self.activity_row(slot, kind, pid)).collect()
    }

    fn activity_row(&self, slot: SlotIndex, kind: Kind, pid: i32) -> Row {
        let row: ActivityRow = self.ctx.server.activities.read(slot);
        let words = &self.ctx.server.ipc.slots()[slot.index()];
        let waits = WaitEvent::from_number(words.wait_event.load(Ordering::Relaxed));
        let is_session = kind == Kind::Backend;
        let may_see = self.state.facts.superuser || row.user_name == self.state.facts.user;
        // Workers that are connected to a database have one too.
        let id = |number: u32| if number == 0 { Datum::Null } else { Datum::Oid(number) };
        let name = |text: &str| if text.is_empty() { Datum::Null } else { Datum::text(text) };
        let seen = |datum: Datum| if may_see { datum } else { Datum::Null };
        let query = match (is_session, may_see) {
            (true, true) => row.query.as_str(),
            (true, false) => "<insufficient privilege>",
            (false, _) => "",
        };
        let address = (!row.client_address.is_empty()).then_some(row.client_address.as_str());
        let port = if row.client_port == 0 { -1 } else { row.client_port as i32 };
        vec![
            id(row.database),
            name(&row.database_name),
            Datum::Int4(pid),
            Datum::Null,
            id(row.user),
            name(&row.user_name),
            if is_session { Datum::text(row.application_name.as_str()) } else { Datum::text("") },
            seen(opt(address)),
            Datum::Null,
            if is_session { seen(Datum::Int4(port)) } else { Datum::Null },
            seen(time(row.backend_start_us)),
            seen(time(row.transaction_start_us)),
            seen(time(row.query_start_us)),
            seen(time(row.state_change_us)),
            seen(opt(waits.map(WaitEvent::class))),
            seen(opt(waits.map(WaitEvent::name))),
            if is_session { seen(opt(row.state.name())) } else { Datum::Null },
            seen(self.xid_of(slot)),
            Datum::Null,
            Datum::Null,
            Datum::text(query),
            Datum::text(row.backend_type(kind)),
        ]
    }

    fn setting_rows(&self) -> Vec<Row> {
        let rows = self.ctx.settings.rows(self.state.facts.superuser).into_iter();
        rows.map(|row| {
            vec![
                Datum::text(row.name),
                Datum::text(row.setting),
                opt(row.unit),
                Datum::text(row.category),
                Datum::text(row.short_desc),
                opt(row.extra_desc),
                Datum::text(row.context),
                Datum::text(row.vartype),
                Datum::text(row.source),
                opt(row.min_val),
                opt(row.max_val),
                row.enumvals.map_or(Datum::Null, texts),
                opt(row.boot_val),
                opt(row.reset_val),
                opt(row.sourcefile),
                row.sourceline.map_or(Datum::Null, |line| Datum::Int4(line as i32)),
                Datum::Bool(row.pending_restart),
            ]
        })
        .collect()
    }

    fn file_setting_rows(&self) -> Vec<Row> {
        let rows = self.ctx.settings.file_setting_rows().into_iter();
        rows.map(|row| {
            vec![
                opt(row.sourcefile),
                Datum::Int4(row.sourceline as i32),
                Datum::Int4(row.seqno as i32),
                opt(row.name),
                opt(row.setting),
                Datum::Bool(row.applied),
                opt(row.error),
            ]
        })
        .collect()
    }

    fn region_rows(&self) -> Vec<Row> {
        let regions = self.ctx.server.ipc.segment().regions().iter();
        regions
            .map(|region| {
                let len = Datum::Int8(region.len as i64);
                let allocated = Datum::Int8(region.len.next_multiple_of(64) as i64);
                vec![Datum::text(region.name()), Datum::Int8(region.offset as i64), len, allocated]
            })
            .collect()
    }

    fn wait_rows(&self) -> Vec<Row> {
        let stats = self.ctx.server.ipc.wait_stats();
        WaitEvent::ALL
            .iter()
            .map(|event| {
                let summary = stats.summary(*event);
                let micros = |fraction: f64| {
                    summary
                        .quantile(fraction)
                        .map_or(Datum::Null, |time| Datum::Float8(time.as_nanos() as f64 / 1e3))
                };
                vec![
                    Datum::text(event.class()),
                    Datum::text(event.name()),
                    Datum::Int8(summary.count as i64),
                    Datum::Float8(summary.total.as_secs_f64() * 1e3),
                    micros(0.5),
                    micros(0.99),
                ]
            })
            .collect()
    }

    pub(super) fn roles(&self) -> report::Result<Vec<Role>> {
        Ok(RolesFile::read(&self.ctx.server.data_dir)?.roles().to_vec())
    }

    fn authid_rows(&self) -> report::Result<Vec<Row>> {
        if !self.state.facts.superuser {
            let text = "permission denied for table pg_authid";
            return Err(Report::error(SqlState::INSUFFICIENT_PRIVILEGE, text));
        }
        let row = |role: &Role| {
            vec![
                Datum::Oid(role.oid),
                Datum::text(role.name.as_str()),
                Datum::Bool(role.superuser),
                Datum::Bool(role.inherit),
                Datum::Bool(role.create_role),
                Datum::Bool(role.create_db),
                Datum::Bool(role.login),
                Datum::Bool(role.replication),
                Datum::Bool(role.bypass_rls),
                Datum::Int4(role.connection_limit),
                opt(role.password.as_deref()),
                valid_until(role),
            ]
        };
        Ok(self.roles()?.iter().map(row).collect())
    }

    fn postmaster_row(&self) -> Row {
        let children = self.living().count() as i32;
        let spares = self.living().filter(|(_, kind, _)| *kind == Kind::SpareBackend).count() as i32;
        let control = self.ctx.server.ipc.control();
        let accepts = control.postmaster_state.load(Ordering::Relaxed) == 1;
        vec![
            Datum::Int4(control.postmaster_pid.load(Ordering::Relaxed) as i32),
            Datum::text(if accepts { "accepting" } else { "not accepting" }),
            Datum::Timestamptz(self.state.facts.postmaster_start),
            Datum::Bool(self.postmaster_alive()),
            Datum::Int4(children),
            Datum::Int4(spares),
        ]
    }
}

fn valid_until(role: &Role) -> Datum {
    role.valid_until.map_or(Datum::Null, |us| Datum::Timestamptz(us.saturating_sub(EPOCH_2000_US)))
}

fn role_row(role: &Role) -> Row {
    vec![
        Datum::text(role.name.as_str()),
        Datum::Bool(role.superuser),
        Datum::Bool(role.inherit),
        Datum::Bool(role.create_role),
        Datum::Bool(role.create_db),
        Datum::Bool(role.login),
        Datum::Bool(role.replication),
        Datum::Int4(role.connection_limit),
        Datum::text("********"),
        valid_until(role),
        Datum::Bool(role.bypass_rls),
        Datum::Null,
        Datum::Oid(role.oid),
    ]
}

fn database_row(database: &Database) -> Row {
    vec![
        Datum::Oid(database.oid),
        Datum::text(database.name.as_ref()),
        Datum::Oid(BOOTSTRAP_ROLE),
        Datum::Int4(UTF8),
        // The built-in provider of locales.
        Datum::Char(b'b'),
        Datum::Bool(database.is_template),
        Datum::Bool(database.allows_connections),
        Datum::Bool(false),
        Datum::Int4(-1),
        Datum::Oid(3),
        Datum::Oid(1),
        Datum::Oid(DEFAULT_TABLESPACE),
        Datum::text("C"),
        Datum::text("C"),
        Datum::text("C.UTF-8"),
        Datum::Null,
        Datum::text("1"),
        Datum::Null,
    ]
}
