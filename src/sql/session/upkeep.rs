//! `VACUUM` and `ANALYZE`.

use std::sync::Arc;

use crate::access::heap::vacuum::VacuumOptions;
use crate::catalog::descriptor::{RelationDescriptor, RelationKind};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::host::Host;
use crate::sql::parse::Source;
use crate::sql::parse::tree::{Name, Relation};
use crate::sql::parse::tree_ddl::{DefinitionOption, OptionValue};
use crate::sql::tables::{RowBatch, TableCursor, with_tables};
use crate::sql::types::Datum;
use crate::txn::locks::LockMode;

use super::Session;

/// What is to be done.
#[derive(Clone, Copy)]
struct Upkeep {
    vacuums: bool,
    analyzes: bool,
    freezes: bool,
}

fn is_on(option: &DefinitionOption) -> bool {
    !matches!(&option.value, Some(OptionValue::Word(word) | OptionValue::String(word) | OptionValue::Number(word))
        if matches!(word.to_ascii_lowercase().as_str(), "false" | "off" | "0"))
}

impl Upkeep {
    fn read(is_analyze: bool, options: &[DefinitionOption], source: &Source) -> Result<Self> {
        let mut upkeep = Self { vacuums: !is_analyze, analyzes: is_analyze, freezes: false };
        for option in options {
            match option.name.text.as_str() {
                "analyze" if !is_analyze => upkeep.analyzes = is_on(option),
                "freeze" if !is_analyze => upkeep.freezes = is_on(option),
                _ if !is_on(option) => {}
                name => {
                    let what = if is_analyze { "ANALYZE" } else { "VACUUM" };
                    let message = format!("{what} with the option \"{name}\" is not supported yet");
                    return Err(Report::not_supported(message).at(source.position(option.name.at)));
                }
            }
        }
        Ok(upkeep)
    }
}

impl Session {
    /// `VACUUM`, `ANALYZE`.
    pub(super) fn upkeep(
        &mut self,
        host: &mut dyn Host,
        source: &Source,
        (is_analyze, options): (bool, &[DefinitionOption]),
        tables: &[(Relation, Vec<Name>)],
    ) -> Result<()> {
        let upkeep = Upkeep::read(is_analyze, options, source)?;
        if upkeep.vacuums {
            self.transaction.prevent_in_block("VACUUM")?;
        }
        let relations = match tables {
            [] => self.all_tables(host)?,
            tables => self.named_tables(host, source, tables)?,
        };
        for oid in relations {
            host.check_interrupts()?;
            self.keep_up(host, oid, upkeep)?;
        }
        self.next_command(host)
    }

    fn all_tables(&mut self, host: &mut dyn Host) -> Result<Vec<u32>> {
        let rows = self.run_internal(host, "SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'r'")?;
        let oid = |row: Vec<Datum>| match row.first() {
            Some(Datum::Oid(oid)) => Some(*oid),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(oid).collect())
    }

    fn named_tables(
        &mut self,
        host: &mut dyn Host,
        source: &Source,
        tables: &[(Relation, Vec<Name>)],
    ) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for (table, _) in tables {
            let relation = self.upkept_table(host, source, table)?;
            if relation.kind == RelationKind::Table {
                found.push(relation.oid);
                continue;
            }
            let message = format!(
                "skipping \"{}\" --- cannot vacuum non-tables or special system tables",
                relation.name
            );
            host.notice(Report::warning(SqlState::WARNING, message));
        }
        Ok(found)
    }

    fn upkept_table(
        &self,
        host: &mut dyn Host,
        source: &Source,
        table: &Relation,
    ) -> Result<Arc<RelationDescriptor>> {
        let path = crate::sql::analyze::environment::search_path(host)?;
        let (schema, last) = match table.name.parts.as_slice() {
            [.., schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => (None, table.name.last()),
        };
        let mode = LockMode::ShareUpdateExclusive;
        let found = with_tables(host, |access| access.cx.open_relation(schema, last, &path, mode))?;
        found.ok_or_else(|| {
            let message = format!("relation \"{}\" does not exist", table.name.dotted());
            Report::error(SqlState::UNDEFINED_TABLE, message).at(source.position(table.name.at))
        })
    }

    fn keep_up(&mut self, host: &mut dyn Host, oid: u32, upkeep: Upkeep) -> Result<()> {
        let found = with_tables(host, |access| {
            access.cx.lock_relation(oid, LockMode::ShareUpdateExclusive)?;
            access.cx.relation_by_oid(oid)
        })?;
        // It may have been dropped since the list was made.
        let Some(relation) = found.filter(|relation| !relation.is_fixed) else { return Ok(()) };
        if upkeep.vacuums {
            with_tables(host, |access| {
                let open = access.table(&relation)?;
                let options = VacuumOptions { freezes_all: upkeep.freezes, ..VacuumOptions::default() };
                let stats = open.table.vacuum(access.cx.session.store, options)?;
                open.table.heap().forget_target();
                let rows = stats.remaining.saturating_sub(stats.recently_dead);
                // What was not looked at was not counted.
                if stats.scanned_pages >= stats.pages && !relation.is_system {
                    access.cx.set_size(oid, stats.pages as i32, rows as f32)?;
                }
                Ok(())
            })?;
        }
        if upkeep.analyzes && !relation.is_system {
            self.count_rows(host, &relation)?;
        }
        Ok(())
    }

    /// How many rows and pages there are.
    fn count_rows(&mut self, host: &mut dyn Host, relation: &Arc<RelationDescriptor>) -> Result<()> {
        let view = with_tables(host, |access| access.view())?;
        let (mut cursor, mut batch, mut rows) = (TableCursor::default(), RowBatch::default(), 0_u64);
        loop {
            host.check_interrupts()?;
            let more =
                with_tables(host, |access| access.scan(relation, &mut cursor, view, false, &mut batch))?;
            if !more {
                break;
            }
            rows += batch.len() as u64;
        }
        with_tables(host, |access| {
            access.release_view(view);
            let pages = access.table(relation)?.table.heap().blocks(access.cx.session.store)?;
            access.cx.set_size(relation.oid, pages as i32, rows as f32)
        })
    }
}
