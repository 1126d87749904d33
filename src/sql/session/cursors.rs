//! Cursors: `DECLARE`, `FETCH`, `MOVE`. Rows are made as far as they are asked for, and kept, so that one can go back.

use std::sync::Arc;

use crate::access::visibility::ReadView;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::execute::{self, BoxNode};
use crate::sql::host::Host;
use crate::sql::parse::tree::{Name, Query};
use crate::sql::parse::tree_ddl::Direction;
use crate::sql::parse::{Parsed, Planned};
use crate::sql::types::{Row, Wire};

use super::sink::FieldInfo;
use super::statement::MadeRows;
use super::{Output, Session};

/// A query under way, and where in it one is.
pub(super) struct Cursor {
    node: BoxNode,
    text: Arc<str>,
    fields: Vec<FieldInfo>,
    /// Rows made so far.
    rows: Vec<Row>,
    is_over: bool,
    /// Place of the row at hand, from 1; 0 is before the first, and one more than there are behind the last.
    at: usize,
    may_go_back: bool,
    view: Option<ReadView>,
}

impl Cursor {
    /// Its columns.
    pub fn fields(&self) -> &[FieldInfo] {
        &self.fields
    }

    /// Makes rows up to this one, counted from 1; whether it is there.
    fn reach(&mut self, session: &Session, host: &mut dyn Host, place: usize) -> Result<bool> {
        if self.rows.len() >= place || self.is_over {
            return Ok(self.rows.len() >= place && place > 0);
        }
        let mut ctx = session.context(host, Arc::from([]), self.text.clone());
        ctx.view = self.view.take();
        while self.rows.len() < place {
            match self.node.next(&mut ctx)? {
                Some(row) => self.rows.push(row),
                None => {
                    self.is_over = true;
                    break;
                }
            }
        }
        self.view = ctx.view.take();
        Ok(self.rows.len() >= place)
    }

    /// The next row, this way.
    fn step(&mut self, session: &Session, host: &mut dyn Host, forward: bool) -> Result<Option<Row>> {
        if forward {
            let is_there = self.reach(session, host, self.at + 1)?;
            self.at = if is_there { self.at + 1 } else { self.rows.len() + 1 };
        } else {
            self.at = self.at.saturating_sub(1);
        }
        Ok(self.at.checked_sub(1).and_then(|index| self.rows.get(index)).cloned())
    }

    fn steps(
        &mut self,
        session: &Session,
        host: &mut dyn Host,
        forward: bool,
        count: Option<i64>,
    ) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let (forward, count) = match count {
            Some(0) => {
                let here = self.at.checked_sub(1).and_then(|index| self.rows.get(index));
                return Ok(here.cloned().into_iter().collect());
            }
            Some(count) if count < 0 => (!forward, count.unsigned_abs()),
            Some(count) => (forward, count.unsigned_abs()),
            None => (forward, u64::MAX),
        };
        if !forward {
            self.check_back()?;
        }
        while (rows.len() as u64) < count {
            match self.step(session, host, forward)? {
                Some(row) => rows.push(row),
                None => break,
            }
        }
        Ok(rows)
    }

    fn check_back(&self) -> Result<()> {
        if self.may_go_back {
            return Ok(());
        }
        Err(Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
            .with_hint("Declare it with SCROLL option to enable backward scan."))
    }

    fn absolute(&mut self, session: &Session, host: &mut dyn Host, place: i64) -> Result<Vec<Row>> {
        let target = if place >= 0 {
            place.unsigned_abs() as usize
        } else {
            self.reach(session, host, usize::MAX)?;
            (self.rows.len() + 1).saturating_sub(place.unsigned_abs() as usize)
        };
        if target < self.at {
            self.check_back()?;
        }
        let is_there = target > 0 && self.reach(session, host, target)?;
        self.at = if is_there || target == 0 { target } else { self.rows.len() + 1 };
        let row = self.at.checked_sub(1).and_then(|index| self.rows.get(index));
        Ok(row.cloned().into_iter().collect())
    }

    fn fetch(&mut self, session: &Session, host: &mut dyn Host, direction: Direction) -> Result<Vec<Row>> {
        match direction {
            Direction::Forward(count) => self.steps(session, host, true, count),
            Direction::Backward(count) => self.steps(session, host, false, count),
            Direction::Absolute(place) => self.absolute(session, host, place),
            Direction::Relative(0) => self.steps(session, host, true, Some(0)),
            Direction::Relative(distance) => {
                let target = (self.at as i64).saturating_add(distance).max(0);
                self.absolute(session, host, target)
            }
        }
    }
}

fn no_cursor(name: &str) -> Box<Report> {
    Report::error(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

impl Session {
    /// `DECLARE`.
    pub(super) fn declare(
        &mut self,
        host: &mut dyn Host,
        parsed: &Parsed,
        name: &Name,
        options: &[&'static str],
        query: &Query,
    ) -> Result<()> {
        let has = |word: &str| options.iter().any(|option| option.eq_ignore_ascii_case(word));
        if has("WITH HOLD") || has("HOLD") {
            let at = parsed.source.position(name.at);
            return Err(Report::not_supported("DECLARE CURSOR WITH HOLD is not supported yet").at(at));
        }
        self.transaction.require_block("DECLARE CURSOR")?;
        if self.cursors.contains_key(&name.text) || self.portals.contains_key(&name.text) {
            let message = format!("cursor \"{}\" already exists", name.text);
            return Err(Report::error(SqlState::DUPLICATE_CURSOR, message));
        }
        let planned = Planned::Query(query.clone());
        let (mut plan, _) = self.plan(host, &planned, &parsed.source, (&[], false))?;
        if plan.is_change {
            let message = "DECLARE CURSOR must not contain data-modifying statements in WITH";
            return Err(Report::error(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        if has("BINARY") {
            plan.fields.iter_mut().for_each(|field| field.wire = Wire::Binary);
        }
        let text: Arc<str> = parsed.source.text.clone();
        let mut ctx = self.context(host, Arc::from([]), text.clone());
        // What it shows is what there is now, whenever it is asked.
        let view = if ctx.host.has_tables() { Some(ctx.view()?) } else { None };
        let cursor = Cursor {
            node: execute::start(&plan.plan),
            text,
            fields: plan.fields,
            rows: Vec::new(),
            is_over: false,
            at: 0,
            may_go_back: !has("NO SCROLL"),
            view,
        };
        self.cursors.insert(name.text.clone(), cursor);
        Ok(())
    }

    /// `FETCH`, `MOVE`.
    pub(super) fn fetch(
        &mut self,
        host: &mut dyn Host,
        name: &Name,
        direction: Direction,
        is_move: bool,
    ) -> Result<Output> {
        let mut cursor = self.cursors.remove(&name.text).ok_or_else(|| no_cursor(&name.text))?;
        let fetched = cursor.fetch(self, host, direction);
        let fields = cursor.fields.clone();
        self.cursors.insert(name.text.clone(), cursor);
        let rows = fetched?;
        if is_move {
            return Ok(Output::Done(format!("MOVE {}", rows.len())));
        }
        let node: BoxNode = Box::new(MadeRows::new(rows));
        Ok(Output::Rows { node, fields, params: Arc::from([]), tag: "FETCH", is_change: false })
    }

    /// `CLOSE`; whether there was such a cursor.
    pub(super) fn close_cursor(&mut self, name: &str) -> bool {
        self.cursors.remove(name).is_some()
    }
}
