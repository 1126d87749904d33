//! Where a query's rows come from: which table is read how, and in which order they are joined.
//!
//! Inner joins are taken apart: all their conditions stand beside each other, each goes to the first place where its columns
//! are known, and tables are joined one by one, the fewest rows first, by an index of the next table where one fits, else
//! by hashes, else each row with each. Joins that keep rows without a partner are planned as they are written.

use std::sync::Arc;

use crate::report::Result;
use crate::sql::analyze::expr::{Column, Expr};
use crate::sql::analyze::tree::{Body, From, FunctionSource, Join, JoinKind, TableSource};

use super::columns::{Columns, Places, all_of, columns_of, conjuncts, note_columns, one_further};
use super::paths::{self, reads_none, selectivity};
use super::planner::Planner;
use super::{HashJoin, NestLoop, Path, Plan, TableScan};

/// A part of FROM with a plan.
pub struct Made {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Where the analysed columns are in its rows.
    pub places: Places,
    /// How many columns those have.
    pub width: usize,
    /// How many rows are expected.
    pub rows: f64,
}

/// A part of FROM among others.
struct Item<'f> {
    from: &'f From,
    at: usize,
    width: usize,
}

/// A condition and which of the items it reads.
struct Condition {
    expr: Expr,
    items: u64,
}

pub fn from_width(from: &From) -> usize {
    match from {
        From::Table(table) => table.width(),
        From::Shared { width, .. } => *width,
        From::View(view, _) => view.columns().len(),
        From::Function { call, ordinality, .. } => call.outs().len().max(1) + usize::from(*ordinality),
        From::Subquery { query, .. } => query.columns.len(),
        From::Join(join) => join.left_width + join.right_width,
    }
}

fn flatten<'f>(from: &'f From, at: usize, items: &mut Vec<Item<'f>>, conditions: &mut Vec<Expr>) {
    match from {
        From::Join(join) if join.kind == JoinKind::Inner && !join.lateral => {
            flatten(&join.left, at, items, conditions);
            flatten(&join.right, at + join.left_width, items, conditions);
            if let Some(on) = &join.on {
                let mut on = on.clone();
                on.each_column(0, &mut |column| column.index += at);
                conjuncts(on, conditions);
            }
        }
        other => items.push(Item { from: other, at, width: from_width(other) }),
    }
}

fn items_of(expr: &Expr, items: &[Item<'_>]) -> u64 {
    let mut of = 0;
    for column in columns_of(expr) {
        let item = items.iter().position(|item| (item.at..item.at + item.width).contains(&column));
        of |= item.map_or(0, |item| 1 << item);
    }
    of
}

impl Planner<'_> {
    /// The plan of FROM under these conditions, of which none is left; rows have the columns that are needed.
    pub fn from(&mut self, from: &From, needed: &Columns, mut conditions: Vec<Expr>) -> Result<Made> {
        let mut items = Vec::new();
        flatten(from, 0, &mut items, &mut conditions);
        if items.len() > 60 {
            // More than there are bits: as written, with the conditions above.
            return self.as_written(from, needed, conditions);
        }
        if let [only] = items.as_slice() {
            return self.single(only.from, needed, conditions);
        }
        let conditions: Vec<Condition> =
            conditions.into_iter().map(|expr| Condition { items: items_of(&expr, &items), expr }).collect();
        self.joined(&items, needed, conditions)
    }

    fn as_written(&mut self, from: &From, needed: &Columns, conditions: Vec<Expr>) -> Result<Made> {
        let From::Join(join) = from else { return self.single(from, needed, conditions) };
        let mut needed = needed.clone();
        conditions.iter().for_each(|condition| note_columns(condition, &mut needed));
        let made = self.written_join(join, &needed, Vec::new())?;
        self.filtered(made, conditions)
    }

    /// Conditions above a part that could not take them.
    fn filtered(&mut self, mut made: Made, conditions: Vec<Expr>) -> Result<Made> {
        let left = conditions.iter().map(selectivity).product::<f64>();
        if let Some(mut condition) = all_of(conditions) {
            made.places.apply(&mut condition);
            let condition = Arc::new(self.expr(&condition)?);
            made.plan = Arc::new(Plan::Filter { input: made.plan, condition });
            made.rows = (made.rows * left).max(1.0);
        }
        Ok(made)
    }

    /// A part that is no inner join.
    fn single(&mut self, from: &From, needed: &Columns, conditions: Vec<Expr>) -> Result<Made> {
        match from {
            From::Table(table) => self.table(table, needed, conditions, None),
            From::Join(join) => {
                let mut needed = needed.clone();
                conditions.iter().for_each(|condition| note_columns(condition, &mut needed));
                self.written_join(join, &needed, conditions)
            }
            From::Subquery { query, alias } => {
                let mut query = (**query).clone();
                let mut kept = Vec::new();
                for condition in conditions {
                    kept.extend(push_into(&mut query, condition));
                }
                let plan = self.query(&query)?;
                let width = query.columns.len();
                let plan = Arc::new(Plan::Subquery { input: plan, alias: alias.as_str().into() });
                let made = Made { plan, places: Places::identity(width), width, rows: 1000.0 };
                self.filtered(made, kept)
            }
            other => {
                let width = from_width(other);
                let plan = Arc::new(self.leaf(other)?);
                let made = Made { plan, places: Places::identity(width), width, rows: 1000.0 };
                self.filtered(made, conditions)
            }
        }
    }

    fn leaf(&mut self, from: &From) -> Result<Plan> {
        Ok(match from {
            From::View(view, alias) => Plan::View(*view, alias.as_str().into()),
            From::Shared { number, alias, .. } => {
                Plan::Shared { number: *number, alias: alias.as_str().into() }
            }
            From::Function { call, alias, ordinality } => {
                let mut call = call.clone();
                match &mut call {
                    FunctionSource::Set(call) => {
                        call.args.iter_mut().try_for_each(|arg| self.finish(arg, false))?;
                    }
                    FunctionSource::Scalar(expr) => self.finish(expr, false)?,
                }
                Plan::Function { call: Arc::new(call), alias: alias.as_str().into(), ordinality: *ordinality }
            }
            From::Table(_) | From::Subquery { .. } | From::Join(_) => Plan::OneRow,
        })
    }

    /// A table, read under conditions on its columns. `outer`: it is read anew for each row of what is joined before it,
    /// whose columns stand before its own at `at` and are in these places of that row.
    fn table(
        &mut self,
        table: &TableSource,
        needed: &Columns,
        mut conditions: Vec<Expr>,
        outer: Option<(usize, &Places)>,
    ) -> Result<Made> {
        let at = outer.map_or(0, |(at, _)| at);
        let width = table.width();
        let is_known = |expr: &Expr| reads_none(expr, (at, width));
        let choice = paths::choose(&table.relation, at, width, &conditions, &is_known);
        let mut number = 0;
        conditions.retain(|_| {
            number += 1;
            !choice.used.contains(&(number - 1))
        });
        let own = at..at + width;
        let mut columns: Vec<usize> = needed.range(own.clone()).map(|column| column - at).collect();
        let handed_up = columns.len();
        for condition in &conditions {
            for column in columns_of(condition).range(own.clone()) {
                if !columns.contains(&(column - at)) {
                    columns.push(column - at);
                }
            }
        }
        let mut places = Places(vec![None; width]);
        for (place, column) in columns.iter().enumerate() {
            places.0[*column] = Some(place);
        }
        let mut filter = all_of(conditions);
        let mut path = choice.path;
        let placed = |expr: &mut Expr, depth: usize| match outer {
            Some((at, before)) => inner_columns(expr, (at, width), before, &places, depth),
            None => places.apply(expr),
        };
        let depth = self.depth;
        if let Some(filter) = &mut filter {
            placed(filter, depth);
        }
        match &mut path {
            Path::Sequential => {}
            Path::Index { tests, .. } => tests.iter_mut().for_each(|test| placed(&mut test.value, depth)),
            Path::Address(value) => placed(value, depth),
        }
        self.depth += usize::from(outer.is_some());
        let finished = self.finish_table(&mut filter, &mut path);
        self.depth = depth;
        finished?;
        let scan = TableScan {
            relation: table.relation.clone(),
            alias: table.alias.as_str().into(),
            columns,
            width: handed_up,
            filter,
            path,
        };
        for place in &mut places.0 {
            *place = place.filter(|place| *place < handed_up);
        }
        Ok(Made { plan: Arc::new(Plan::Table(Arc::new(scan))), places, width: handed_up, rows: choice.rows })
    }

    fn finish_table(&mut self, filter: &mut Option<Expr>, path: &mut Path) -> Result<()> {
        filter.iter_mut().try_for_each(|filter| self.finish(filter, false))?;
        match path {
            Path::Sequential => Ok(()),
            Path::Index { tests, .. } => {
                tests.iter_mut().try_for_each(|test| self.finish(&mut test.value, false))
            }
            Path::Address(value) => self.finish(value, false),
        }
    }

    /// Inner joins of several items.
    fn joined(&mut self, items: &[Item<'_>], needed: &Columns, conditions: Vec<Condition>) -> Result<Made> {
        let mut needed = needed.clone();
        for condition in conditions.iter().filter(|condition| condition.items.count_ones() != 1) {
            note_columns(&condition.expr, &mut needed);
        }
        let total: usize = items.iter().map(|item| item.width).sum();
        let mut left: Vec<Condition> = conditions;
        let first = self.first_item(items, &left);
        let mut current =
            self.item(&items[first], &needed, take(&mut left, 1 << first, 1 << first), total)?;
        let mut done = 1_u64 << first;
        while done.count_ones() < items.len() as u32 {
            let next = self.next_item(items, done, &left);
            let with = done | 1 << next;
            current = self.join_item(current, &items[next], (done, 1 << next), &needed, &mut left, total)?;
            done = with;
        }
        let rest = left.into_iter().map(|condition| condition.expr).collect();
        self.filtered(current, rest)
    }

    fn estimate(&self, item: &Item<'_>, number: usize, conditions: &[Condition]) -> f64 {
        let own: Vec<Expr> = conditions
            .iter()
            .filter(|condition| condition.items == 1 << number)
            .map(|condition| condition.expr.clone())
            .collect();
        match item.from {
            From::Table(table) => {
                let width = item.width;
                let is_known = |expr: &Expr| reads_none(expr, (item.at, width));
                paths::choose(&table.relation, item.at, width, &own, &is_known).rows
            }
            _ => 1000.0 * own.iter().map(selectivity).product::<f64>(),
        }
    }

    fn first_item(&self, items: &[Item<'_>], conditions: &[Condition]) -> usize {
        let mut best = (0, f64::INFINITY);
        for (number, item) in items.iter().enumerate() {
            let rows = self.estimate(item, number, conditions);
            if rows < best.1 {
                best = (number, rows);
            }
        }
        best.0
    }

    /// The next item: one that a condition ties to what is joined already, the fewest rows first.
    fn next_item(&self, items: &[Item<'_>], done: u64, conditions: &[Condition]) -> usize {
        let mut best: Option<(usize, bool, f64)> = None;
        for (number, item) in items.iter().enumerate().filter(|(number, _)| done & 1 << number == 0) {
            let with = done | 1 << number;
            let is_tied = conditions.iter().any(|condition| {
                condition.items & 1 << number != 0
                    && condition.items & done != 0
                    && condition.items & !with == 0
            });
            let rows = self.estimate(item, number, conditions);
            let is_better = best.is_none_or(|(_, tied, least)| (is_tied, -rows) > (tied, -least));
            if is_better {
                best = Some((number, is_tied, rows));
            }
        }
        best.map_or(0, |(number, ..)| number)
    }

    /// An item by itself, its columns in their places of the whole row.
    fn item(
        &mut self,
        item: &Item<'_>,
        needed: &Columns,
        conditions: Vec<Expr>,
        total: usize,
    ) -> Result<Made> {
        let (at, width) = (item.at, item.width);
        let own: Columns = needed.range(at..at + width).map(|column| column - at).collect();
        let moved = conditions.into_iter().map(|mut condition| {
            condition.each_column(0, &mut |column| column.index -= at);
            condition
        });
        let made = self.single(item.from, &own, moved.collect())?;
        let mut places = Places(vec![None; total]);
        places.0[at..at + width].copy_from_slice(&made.places.0);
        Ok(Made { places, ..made })
    }

    fn join_item(
        &mut self,
        current: Made,
        item: &Item<'_>,
        (done, own): (u64, u64),
        needed: &Columns,
        left: &mut Vec<Condition>,
        total: usize,
    ) -> Result<Made> {
        let alone = take(left, own, own);
        let shared = take(left, own, done | own);
        if let From::Table(table) = item.from
            && let Some(made) = self.by_inner_index(&current, (item, table), needed, &alone, &shared)?
        {
            return Ok(made);
        }
        let right = self.item(item, needed, alone, total)?;
        self.hash_or_loop(JoinKind::Inner, current, right, shared)
    }

    /// The next table by one of its indexes, whose keys are computed from each row that there is already.
    fn by_inner_index(
        &mut self,
        current: &Made,
        (item, table): (&Item<'_>, &TableSource),
        needed: &Columns,
        alone: &[Expr],
        shared: &[Expr],
    ) -> Result<Option<Made>> {
        let (at, width) = (item.at, item.width);
        let all: Vec<Expr> = alone.iter().chain(shared).cloned().collect();
        let is_known = |expr: &Expr| reads_none(expr, (at, width));
        let choice = paths::choose(&table.relation, at, width, &all, &is_known);
        let by_shared = choice.used.iter().any(|number| *number >= alone.len());
        let whole = paths::row_count(&table.relation);
        let is_worth_it = choice.is_unique || current.rows * choice.rows.max(1.0) < whole;
        if !by_shared || !is_worth_it || current.rows * 4.0 > whole && whole < 1000.0 {
            return Ok(None);
        }
        let right = self.table(table, needed, all, Some((at, &current.places)))?;
        let mut places = current.places.clone();
        for (column, place) in right.places.0.iter().enumerate() {
            places.0[at + column] = place.map(|place| place + current.width);
        }
        let join = NestLoop {
            kind: JoinKind::Inner,
            left: current.plan.clone(),
            left_width: current.width,
            right: right.plan,
            right_width: right.width,
            on: None,
            lateral: true,
        };
        let rows = (current.rows * right.rows).max(1.0);
        let (plan, width) = (Arc::new(Plan::NestLoop(Arc::new(join))), current.width + right.width);
        Ok(Some(Made { plan, places, width, rows }))
    }

    /// A join of two sides whose places are those of one row.
    fn hash_or_loop(
        &mut self,
        kind: JoinKind,
        left: Made,
        right: Made,
        conditions: Vec<Expr>,
    ) -> Result<Made> {
        let (mut left_keys, mut right_keys, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for condition in conditions {
            match equal_sides(&condition, &left.places, &right.places) {
                Some((mut of_left, mut of_right)) => {
                    left.places.apply(&mut of_left);
                    right.places.apply(&mut of_right);
                    left_keys.push(self.expr(&of_left)?);
                    right_keys.push(self.expr(&of_right)?);
                }
                None => rest.push(condition),
            }
        }
        let mut places = left.places.clone();
        for (place, other) in places.0.iter_mut().zip(&right.places.0) {
            *place = place.or(other.map(|other| other + left.width));
        }
        let mut on = all_of(rest);
        if let Some(on) = &mut on {
            places.apply(on);
            self.finish(on, false)?;
        }
        let width = left.width + right.width;
        let is_hashed = !left_keys.is_empty();
        let rows = if is_hashed { left.rows.max(right.rows) } else { left.rows * right.rows };
        let (left_width, right_width) = (left.width, right.width);
        let plan = match is_hashed {
            true => Plan::HashJoin(Arc::new(HashJoin {
                kind,
                left: left.plan,
                left_width,
                right: right.plan,
                right_width,
                left_keys,
                right_keys,
                on,
            })),
            false => Plan::NestLoop(Arc::new(NestLoop {
                kind,
                left: left.plan,
                left_width,
                right: right.plan,
                right_width,
                on,
                lateral: false,
            })),
        };
        Ok(Made { plan: Arc::new(plan), places, width, rows })
    }

    /// A join that keeps rows without a partner, or whose right side sees the left one's rows.
    fn written_join(&mut self, join: &Join, needed: &Columns, above: Vec<Expr>) -> Result<Made> {
        let (left_width, total) = (join.left_width, join.left_width + join.right_width);
        let mut needed = needed.clone();
        let mut on = Vec::new();
        if let Some(condition) = &join.on {
            note_columns(condition, &mut needed);
            conjuncts(condition.clone(), &mut on);
        }
        if join.lateral {
            let made = self.lateral_join(join, &mut needed, on)?;
            return self.filtered(made, above);
        }
        let is_left = |expr: &Expr| columns_of(expr).range(left_width..).next().is_none();
        let is_right = |expr: &Expr| columns_of(expr).range(..left_width).next().is_none();
        // Conditions above hold for the side whose rows are all kept; those of the join, for the other.
        let (kept_left, kept_right) = match join.kind {
            JoinKind::Inner => (true, true),
            JoinKind::Left => (true, false),
            JoinKind::Right => (false, true),
            JoinKind::Full => (false, false),
        };
        let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
        let mut kept = Vec::new();
        for condition in above {
            match () {
                () if kept_left && is_left(&condition) => of_left.push(condition),
                () if kept_right && is_right(&condition) => of_right.push(condition),
                () => kept.push(condition),
            }
        }
        let mut shared = Vec::new();
        for condition in on {
            match () {
                () if kept_left && !kept_right && is_right(&condition) => of_right.push(condition),
                () if kept_right && !kept_left && is_left(&condition) => of_left.push(condition),
                () => shared.push(condition),
            }
        }
        let left_item = Item { from: &join.left, at: 0, width: left_width };
        let right_item = Item { from: &join.right, at: left_width, width: join.right_width };
        let left = self.side(&left_item, &needed, of_left, total)?;
        let right = self.side(&right_item, &needed, of_right, total)?;
        let made = self.hash_or_loop(join.kind, left, right, shared)?;
        self.filtered(made, kept)
    }

    /// One side of a join, which may be joins itself.
    fn side(
        &mut self,
        item: &Item<'_>,
        needed: &Columns,
        conditions: Vec<Expr>,
        total: usize,
    ) -> Result<Made> {
        let (at, width) = (item.at, item.width);
        let own: Columns = needed.range(at..at + width).map(|column| column - at).collect();
        let moved = conditions.into_iter().map(|mut condition| {
            condition.each_column(0, &mut |column| column.index -= at);
            condition
        });
        let made = self.from(item.from, &own, moved.collect())?;
        let mut places = Places(vec![None; total]);
        places.0[at..at + width].copy_from_slice(&made.places.0);
        Ok(Made { places, ..made })
    }

    fn lateral_join(&mut self, join: &Join, needed: &mut Columns, on: Vec<Expr>) -> Result<Made> {
        let (left_width, total) = (join.left_width, join.left_width + join.right_width);
        let mut right = join.right.clone();
        right.each_column(1, &mut |column| {
            needed.insert(column.index);
        });
        let left_item = Item { from: &join.left, at: 0, width: left_width };
        let left = self.side(&left_item, needed, Vec::new(), total)?;
        right.each_column(1, &mut |column| {
            if let Some(Some(place)) = left.places.0.get(column.index) {
                column.index = *place;
            }
        });
        let right_item = Item { from: &right, at: left_width, width: join.right_width };
        self.depth += 1;
        let right = self.side(&right_item, needed, Vec::new(), total);
        self.depth -= 1;
        let right = right?;
        let mut places = left.places.clone();
        for (place, other) in places.0.iter_mut().zip(&right.places.0) {
            *place = place.or(other.map(|other| other + left.width));
        }
        let mut on = all_of(on);
        if let Some(on) = &mut on {
            places.apply(on);
            self.finish(on, false)?;
        }
        let (width, rows) = (left.width + right.width, left.rows * right.rows);
        let plan = NestLoop {
            kind: join.kind,
            left: left.plan,
            left_width: left.width,
            right: right.plan,
            right_width: right.width,
            on,
            lateral: true,
        };
        Ok(Made { plan: Arc::new(Plan::NestLoop(Arc::new(plan))), places, width, rows })
    }
}

/// Conditions that read some of these items, and none but those.
fn take(conditions: &mut Vec<Condition>, some_of: u64, within: u64) -> Vec<Expr> {
    let (taken, left) = std::mem::take(conditions)
        .into_iter()
        .partition(|condition| condition.items & some_of != 0 && condition.items & !within == 0);
    *conditions = left;
    let taken: Vec<Condition> = taken;
    taken.into_iter().map(|condition| condition.expr).collect()
}

/// Columns of an expression of a table that is read anew for each row before it: its own in their places, those of that row
/// one level up, those further out one level further.
fn inner_columns(expr: &mut Expr, (at, width): (usize, usize), before: &Places, own: &Places, depth: usize) {
    one_further(expr, depth);
    expr.each_column(0, &mut |column: &mut Column| {
        if (at..at + width).contains(&column.index) {
            if let Some(Some(place)) = own.0.get(column.index - at) {
                column.index = *place;
            }
        } else {
            // Above 0, so that no further walk of this level meets it; subqueries count on from there.
            column.level += 1;
            if let Some(Some(place)) = before.0.get(column.index) {
                column.index = *place;
            }
        }
    });
}

/// Whether values can be found by their hashes, those that are equal having equal ones.
fn is_hashable(left: &Expr, right: &Expr) -> bool {
    let (left, right) = (left.ty(), right.ty());
    crate::sql::execute::hashing::is_hashable(left) && crate::sql::execute::hashing::agree(left, right)
}

/// The sides of an equality between one side of a join and the other.
fn equal_sides(condition: &Expr, left: &Places, right: &Places) -> Option<(Expr, Expr)> {
    let Expr::Call(call) = condition else { return None };
    let [a, b] = call.args.as_slice() else { return None };
    if call.name != "=" || !is_hashable(a, b) {
        return None;
    }
    let within = |expr: &Expr, places: &Places| {
        let columns = columns_of(expr);
        !columns.is_empty() && columns.iter().all(|column| places.0.get(*column).is_some_and(Option::is_some))
    };
    if within(a, left) && within(b, right) {
        return Some((a.clone(), b.clone()));
    }
    (within(b, left) && within(a, right)).then(|| (b.clone(), a.clone()))
}

/// Puts a condition on a query's columns into the query, if that changes nothing; else gives it back.
fn push_into(query: &mut crate::sql::analyze::tree::Query, mut condition: Expr) -> Option<Expr> {
    let is_plain = query.limit.is_none() && query.offset.is_none() && query.locking.is_empty();
    let Body::Select(select) = &mut query.body else { return Some(condition) };
    let takes = is_plain
        && select.grouping.is_none()
        && select.distinct.is_none()
        && select.set_calls.is_empty()
        && !super::columns::is_volatile(&condition);
    let columns = columns_of(&condition);
    let are_simple = columns
        .iter()
        .all(|column| select.targets.get(*column).is_some_and(|target| !super::columns::is_volatile(target)));
    if !takes || !are_simple || contains_subquery(&condition) {
        return Some(condition);
    }
    substitute(&mut condition, &select.targets);
    select.filter = Some(match select.filter.take() {
        Some(filter) => Expr::And(vec![filter, condition]),
        None => condition,
    });
    None
}

fn contains_subquery(expr: &Expr) -> bool {
    let mut copy = expr.clone();
    fn within(expr: &mut Expr) -> bool {
        matches!(expr, Expr::Subquery(_)) || expr.children_mut().into_iter().any(within)
    }
    within(&mut copy)
}

fn substitute(expr: &mut Expr, targets: &[Expr]) {
    if let Expr::Column(column) = expr
        && column.level == 0
    {
        if let Some(target) = targets.get(column.index) {
            *expr = target.clone();
        }
        return;
    }
    expr.children_mut().into_iter().for_each(|child| substitute(child, targets));
}
