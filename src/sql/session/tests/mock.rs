//! A host without a server, and a sink that writes results down.

use crate::report::{Report, Result, SqlState};
use crate::sql::host::{
    AlterSystem, Host, Scope, SessionFacts, SettingRow, StatementClass, TransactionEvent,
};
use crate::sql::session::{FieldInfo, ResultSink};
use crate::sql::types::{Datum, Formats, Row, encode};
use crate::sql::views::SystemView;

/// A setting of the mock: its name, its default, its value, and what it was before each level of transaction.
pub struct Setting {
    name: &'static str,
    default: &'static str,
    value: String,
}

/// A host that keeps settings as PostgreSQL does and writes down what it is asked.
pub struct MockHost {
    pub facts: SessionFacts,
    pub clock: i64,
    pub version: u64,
    pub settings: Vec<Setting>,
    /// Values as they were when each level began, and which changes are local to the level.
    levels: Vec<Vec<String>>,
    local: Vec<Vec<(usize, String)>>,
    pub notices: Vec<Report>,
    pub asked: Vec<String>,
    pub interrupt_after: Option<u32>,
}

const SETTINGS: &[(&str, &str)] = &[
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("application_name", ""),
    ("client_encoding", "UTF8"),
    ("search_path", "\"$user\", public"),
    ("session_authorization", "postgres"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "off"),
    ("transaction_deferrable", "off"),
    ("default_transaction_isolation", "read committed"),
];

impl crate::sql::store::StoreHost for MockHost {}

impl MockHost {
    pub fn new() -> Self {
        let facts = SessionFacts {
            pid: 4711,
            user: "postgres".to_owned(),
            session_user: "postgres".to_owned(),
            superuser: true,
            database: "postgres".to_owned(),
            version: "PostgreSQL 18.0 (tuskd)".to_owned(),
            client: Some(("127.0.0.1".to_owned(), 5433)),
            ..SessionFacts::default()
        };
        let settings = SETTINGS
            .iter()
            .map(|&(name, default)| Setting { name, default, value: default.to_owned() })
            .collect();
        Self {
            facts,
            clock: 700_000_000_000_000,
            version: 0,
            settings,
            levels: Vec::new(),
            local: Vec::new(),
            notices: Vec::new(),
            asked: Vec::new(),
            interrupt_after: None,
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.settings.iter().position(|setting| setting.name.eq_ignore_ascii_case(name))
    }

    fn values(&self) -> Vec<String> {
        self.settings.iter().map(|setting| setting.value.clone()).collect()
    }

    fn restore(&mut self, values: Vec<String>) {
        for (setting, value) in self.settings.iter_mut().zip(values) {
            setting.value = value;
        }
        self.version += 1;
    }
}

impl Host for MockHost {
    fn facts(&self) -> &SessionFacts {
        &self.facts
    }

    fn now(&self) -> i64 {
        self.clock
    }

    fn random(&mut self) -> u64 {
        0x0123_4567_89AB_CDEF
    }

    fn check_interrupts(&mut self) -> Result<()> {
        match &mut self.interrupt_after {
            Some(0) => {
                Err(Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn sleep_until(&mut self, deadline: i64) -> Result<()> {
        self.clock = deadline;
        self.asked.push(format!("sleep until {deadline}"));
        Ok(())
    }

    fn cancel_backend(&mut self, pid: i32) -> Result<bool> {
        self.asked.push(format!("cancel {pid}"));
        Ok(pid == 4712)
    }

    fn terminate_backend(&mut self, pid: i32, timeout_ms: i64) -> Result<bool> {
        self.asked.push(format!("terminate {pid} {timeout_ms}"));
        Ok(pid == 4712)
    }

    fn reload_conf(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn rotate_logfile(&mut self) -> Result<bool> {
        Ok(false)
    }

    fn conf_load_time(&self) -> i64 {
        0
    }

    fn postmaster_alive(&self) -> bool {
        true
    }

    fn is_in_recovery(&self) -> bool {
        false
    }

    fn current_logfile(&self, _format: Option<&str>) -> Option<String> {
        None
    }

    fn show(&self, name: &str) -> Result<Option<String>> {
        Ok(self.find(name).map(|at| self.settings[at].value.clone()))
    }

    fn settings(&self) -> Vec<SettingRow> {
        let row = |setting: &Setting| SettingRow {
            name: setting.name.to_owned(),
            setting: setting.value.clone(),
            description: String::new(),
        };
        self.settings.iter().map(row).collect()
    }

    fn set(&mut self, name: &str, value: Option<&str>, scope: Scope) -> Result<()> {
        let Some(at) = self.find(name) else {
            let message = format!("unrecognized configuration parameter \"{name}\"");
            return Err(Report::error(SqlState::UNDEFINED_OBJECT, message));
        };
        self.version += 1;
        let setting = &mut self.settings[at];
        let before = std::mem::replace(&mut setting.value, value.unwrap_or(setting.default).to_owned());
        if scope == Scope::Local
            && let Some(local) = self.local.last_mut()
        {
            local.push((at, before));
        }
        Ok(())
    }

    fn reset_all(&mut self) -> Result<()> {
        self.settings.iter_mut().for_each(|setting| setting.value = setting.default.to_owned());
        self.version += 1;
        Ok(())
    }

    fn alter_system(&mut self, change: AlterSystem) -> Result<()> {
        self.asked.push(format!("{change:?}"));
        Ok(())
    }

    fn settings_version(&self) -> u64 {
        self.version
    }

    fn transaction(&mut self, event: TransactionEvent) {
        self.asked.push(format!("{event:?}"));
        match event {
            TransactionEvent::Begin | TransactionEvent::BeginNested => {
                self.levels.push(self.values());
                self.local.push(Vec::new());
            }
            TransactionEvent::Commit => {
                self.levels.pop();
                for (at, before) in self.local.pop().unwrap_or_default().into_iter().rev() {
                    self.settings[at].value = before;
                }
                self.version += 1;
            }
            TransactionEvent::CommitNested => {
                self.levels.pop();
                let local = self.local.pop().unwrap_or_default();
                if let Some(outer) = self.local.last_mut() {
                    outer.extend(local);
                }
            }
            TransactionEvent::Abort | TransactionEvent::AbortNested => {
                self.local.pop();
                if let Some(values) = self.levels.pop() {
                    self.restore(values);
                }
            }
        }
    }

    fn query_begins(&mut self, _text: &str, _class: StatementClass) {}

    fn statement_begins(&mut self, _tag: &str, _text: &str) {}

    fn rows(&mut self, view: SystemView) -> Result<Vec<Row>> {
        Ok(match view {
            SystemView::StatWaitEvent => vec![
                vec![
                    Datum::text("Client"),
                    Datum::text("ClientRead"),
                    Datum::Int8(3),
                    Datum::Float8(1.5),
                    Datum::Float8(10.0),
                    Datum::Float8(20.0),
                ],
                vec![
                    Datum::text("LWLock"),
                    Datum::text("WALWrite"),
                    Datum::Int8(7),
                    Datum::Float8(0.5),
                    Datum::Float8(1.0),
                    Datum::Float8(2.0),
                ],
            ],
            _ => Vec::new(),
        })
    }

    fn notice(&mut self, report: Report) {
        self.notices.push(report);
    }
}

/// Writes down what a session answers, a line each.
#[derive(Default)]
pub struct Transcript {
    pub lines: Vec<String>,
}

/// A report's lines.
pub fn report_lines(report: &Report) -> Vec<String> {
    let position = report.position.map_or(String::new(), |at| format!(" @{at}"));
    let name = report.severity.name().to_lowercase();
    let mut lines = vec![format!("{name} {} {}{position}", report.sqlstate, report.message)];
    lines.extend(report.detail.iter().map(|detail| format!("  detail {detail}")));
    lines.extend(report.hint.iter().map(|hint| format!("  hint {hint}")));
    lines
}

impl ResultSink for Transcript {
    fn describe(&mut self, fields: &[FieldInfo]) -> Result<()> {
        let columns: Vec<String> = fields
            .iter()
            .map(|field| format!("{}:{}:{}", field.name, field.ty.oid(), field.typmod))
            .collect();
        self.lines.push(format!("columns {}", columns.join(" ")));
        Ok(())
    }

    fn row(&mut self, row: &[Datum], fields: &[FieldInfo], formats: &Formats) -> Result<()> {
        let mut values = Vec::new();
        for (value, field) in row.iter().zip(fields) {
            let mut bytes = Vec::new();
            encode(value, field.ty, field.wire, formats, &mut bytes)?;
            values.push(match (value, String::from_utf8(bytes)) {
                (Datum::Null, _) => "NULL".to_owned(),
                (_, Ok(text)) if !text.contains('\0') => format!("'{}'", text.replace('\n', "\\n")),
                (_, Ok(text)) => format!("{:?}", text.into_bytes()),
                (_, Err(error)) => format!("{:?}", error.into_bytes()),
            });
        }
        self.lines.push(format!("row {}", values.join(" ")));
        Ok(())
    }

    fn complete(&mut self, tag: &str) -> Result<()> {
        self.lines.push(format!("tag {tag}"));
        Ok(())
    }

    fn empty(&mut self) -> Result<()> {
        self.lines.push("empty".to_owned());
        Ok(())
    }

    fn suspended(&mut self) -> Result<()> {
        self.lines.push("suspended".to_owned());
        Ok(())
    }
}
