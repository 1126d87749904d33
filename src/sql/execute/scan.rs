//! A table's rows.

use std::rc::Rc;
use std::sync::Arc;

use crate::access::Ctid;
use crate::access::btree::{Direction, ScanOp};
use crate::catalog::descriptor::RelationKind;
use crate::report::Result;
use crate::sql::plan::{IndexTest, Path, TableScan};
use crate::sql::tables::{IndexCondition, IndexCursor, RowBatch, TableCursor, TableShape, with_tables};
use crate::sql::types::{Datum, Row, Type};
use crate::storage::ids::BlockNumber;

use super::{Context, Node, eval};

/// Where a scan is.
enum State {
    New,
    Sequential(TableCursor),
    Index(IndexCursor, Vec<IndexCondition>),
    Over,
}

/// See the module.
pub struct TableRows {
    plan: Arc<TableScan>,
    state: State,
    batch: RowBatch,
    shape: Option<Rc<TableShape>>,
    /// Columns that the condition reads, and the others, with their places.
    first: Vec<(usize, usize)>,
    rest: Vec<(usize, usize)>,
    room: Row,
}

impl TableRows {
    pub fn new(plan: Arc<TableScan>) -> Self {
        let read = plan.filter.as_ref().map(crate::sql::plan::columns_of).unwrap_or_default();
        let places = plan.columns.iter().enumerate().map(|(place, column)| (*column, place));
        let (mut first, mut rest): (Vec<_>, Vec<_>) = places.partition(|(_, place)| read.contains(place));
        // Columns are read best in their order.
        first.sort_unstable();
        rest.sort_unstable();
        let room = vec![Datum::Null; plan.columns.len()];
        Self { plan, state: State::New, batch: RowBatch::default(), shape: None, first, rest, room }
    }

    /// Fills the batch; `false`: there is nothing more.
    fn refill(&mut self, ctx: &mut Context<'_>) -> Result<bool> {
        ctx.host.check_interrupts()?;
        if matches!(self.state, State::New) {
            self.begin(ctx)?;
            if !self.batch.is_empty() {
                return Ok(true);
            }
        }
        let view = ctx.view()?;
        let (plan, batch, shape) = (&self.plan, &mut self.batch, &mut self.shape);
        let wants_shape = shape.is_none();
        let state = &mut self.state;
        let (more, found) = with_tables(ctx.host, |access| {
            let more = match state {
                State::Sequential(cursor) => {
                    let own = plan.relation.columns.len();
                    let with_headers = plan.columns.iter().any(|column| (own + 1..own + 5).contains(column));
                    access.scan(&plan.relation, cursor, view, with_headers, batch)?
                }
                State::Index(cursor, conditions) => {
                    let (index, direction) = index_of(&plan.path);
                    access.index_scan(&plan.relation, (index, direction), conditions, cursor, view, batch)?
                }
                State::New | State::Over => false,
            };
            let shape = if wants_shape { Some(access.table(&plan.relation)?.shape.clone()) } else { None };
            Ok((more, shape))
        })?;
        if found.is_some() {
            *shape = found;
        }
        if !more {
            self.state = State::Over;
        }
        Ok(more)
    }

    fn begin(&mut self, ctx: &mut Context<'_>) -> Result<()> {
        let relation = &self.plan.relation;
        if relation.is_fixed || relation.kind == RelationKind::Sequence {
            self.state = State::Over;
            let batch = &mut self.batch;
            self.shape = Some(with_tables(ctx.host, |access| access.made_rows(relation, batch))?);
            return Ok(());
        }
        self.state = match &self.plan.path {
            Path::Sequential => State::Sequential(TableCursor::default()),
            Path::Index { tests, .. } => match conditions(tests, ctx)? {
                Some(conditions) => State::Index(IndexCursor::default(), conditions),
                None => State::Over,
            },
            Path::Address(value) => {
                let wanted = eval(value, &[], ctx)?;
                self.fetch(&wanted, ctx)?;
                State::Over
            }
        };
        Ok(())
    }

    fn fetch(&mut self, wanted: &Datum, ctx: &mut Context<'_>) -> Result<()> {
        let Datum::Tid(block, line) = wanted else { return Ok(()) };
        let Some(block) = BlockNumber::new(*block) else { return Ok(()) };
        let view = ctx.view()?;
        let (plan, batch) = (&self.plan, &mut self.batch);
        let shape = with_tables(ctx.host, |access| {
            access.fetch(&plan.relation, Ctid::new(block, *line), view, batch)?;
            Ok(access.table(&plan.relation)?.shape.clone())
        })?;
        self.shape = Some(shape);
        Ok(())
    }

    /// The next row of the batch that the condition holds for.
    fn next_of_batch(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        let Some(shape) = &self.shape else { return Ok(None) };
        while let Some(row) = self.batch.next_row() {
            if let Some(filter) = &self.plan.filter {
                row.read(shape, &self.first, &mut self.room)?;
                if eval(filter, &self.room, ctx)? != Datum::Bool(true) {
                    continue;
                }
            }
            row.read(shape, &self.rest, &mut self.room)?;
            return Ok(Some(self.room[..self.plan.width].to_vec()));
        }
        Ok(None)
    }
}

fn index_of(path: &Path) -> (usize, Direction) {
    match path {
        Path::Index { index, backward: true, .. } => (*index, Direction::Backward),
        Path::Index { index, .. } => (*index, Direction::Forward),
        Path::Sequential | Path::Address(_) => (0, Direction::Forward),
    }
}

/// The conditions with their values; `None`: nothing meets them.
fn conditions(tests: &[IndexTest], ctx: &mut Context<'_>) -> Result<Option<Vec<IndexCondition>>> {
    let mut conditions = Vec::with_capacity(tests.len());
    for test in tests {
        if test.op == ScanOp::IsNull {
            conditions.push(IndexCondition { column: test.column, op: test.op, value: Datum::Null });
            continue;
        }
        let value = eval(&test.value, &[], ctx)?;
        if value.is_null() {
            return Ok(None);
        }
        match fitted(value, test.ty, test.op) {
            Fitted::Value(value) => {
                conditions.push(IndexCondition { column: test.column, op: test.op, value });
            }
            Fitted::Always => {
                conditions.push(IndexCondition {
                    column: test.column,
                    op: ScanOp::IsNotNull,
                    value: Datum::Null,
                });
            }
            Fitted::Never => return Ok(None),
        }
    }
    Ok(Some(conditions))
}

enum Fitted {
    Value(Datum),
    /// Every value of the column is on that side of it.
    Always,
    Never,
}

/// An integer as one of the column's type, which may be narrower.
fn fitted(value: Datum, ty: Type, op: ScanOp) -> Fitted {
    let number = match value {
        Datum::Int2(value) => i64::from(value),
        Datum::Int4(value) if ty != Type::DATE => i64::from(value),
        Datum::Int8(value) => value,
        other => return Fitted::Value(other),
    };
    let made = match ty {
        Type::INT2 => i16::try_from(number).ok().map(Datum::Int2),
        Type::INT4 => i32::try_from(number).ok().map(Datum::Int4),
        _ => Some(Datum::Int8(number)),
    };
    match made {
        Some(value) => Fitted::Value(value),
        None => {
            let is_below = matches!(op, ScanOp::Less | ScanOp::LessEqual);
            let is_above = matches!(op, ScanOp::Greater | ScanOp::GreaterEqual);
            if is_below && number > 0 || is_above && number < 0 { Fitted::Always } else { Fitted::Never }
        }
    }
}

impl Node for TableRows {
    fn next(&mut self, ctx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.next_of_batch(ctx)? {
                return Ok(Some(row));
            }
            if !self.refill(ctx)? && self.batch.is_spent() {
                return Ok(None);
            }
        }
    }
}
