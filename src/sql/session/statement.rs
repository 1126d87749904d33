//! Statements that have plans: made, checked before each run, and run.

use std::sync::Arc;

use crate::report::{Report, Result, SqlState};
use crate::sql::analyze::environment::UsedRelation;
use crate::sql::analyze::tree::{Body, ChangeKind, Query};
use crate::sql::analyze::{self, Analysed};
use crate::sql::execute::{BoxNode, Context, Node};
use crate::sql::host::Host;
use crate::sql::parse::{self, Planned, Source, Statement, Utility};
use crate::sql::plan::{Plan, plan_query};
use crate::sql::tables::with_tables;
use crate::sql::types::{Row, Type, Wire};

use super::Session;
use super::sink::FieldInfo;

/// A statement's plan, and what it was made of.
#[derive(Clone, Debug)]
pub struct QueryPlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The columns that it answers; none: it answers no rows.
    pub fields: Vec<FieldInfo>,
    /// Relations as they were when it was made, and how it locks them.
    pub relations: Vec<UsedRelation>,
    /// First word of the tag.
    pub tag: &'static str,
    /// Whether it changes rows.
    pub is_change: bool,
}

impl QueryPlan {
    /// The columns of the rows that it answers; none: it answers no rows.
    pub fn answered(&self) -> Option<Vec<FieldInfo>> {
        (!self.is_change || !self.fields.is_empty()).then(|| self.fields.clone())
    }
}

/// A change's word, `SELECT` for what changes nothing.
fn tag_of(query: &Query) -> &'static str {
    match &query.body {
        Body::Change(change) => match change.kind {
            ChangeKind::Insert { .. } => "INSERT",
            ChangeKind::Update { .. } => "UPDATE",
            ChangeKind::Delete { .. } => "DELETE",
        },
        Body::With { query, .. } => tag_of(query),
        _ => "SELECT",
    }
}

/// The tag of a statement that has run.
pub fn row_tag(tag: &str, count: u64, written: u64) -> String {
    match tag {
        "SELECT" | "FETCH" | "COPY" => format!("{tag} {count}"),
        "INSERT" => format!("INSERT 0 {written}"),
        "UPDATE" | "DELETE" => format!("{tag} {written}"),
        tag => tag.to_owned(),
    }
}

impl Session {
    /// Plans an analysed statement; its constants are computed already.
    pub(super) fn planned(&self, host: &mut dyn Host, analysed: Analysed) -> Result<QueryPlan> {
        let fields = analysed.query.columns.iter().map(|column| FieldInfo {
            name: column.name.clone(),
            ty: column.ty,
            typmod: column.typmod,
            wire: Wire::Text,
        });
        let fields = fields.collect();
        let tag = tag_of(&analysed.query);
        let is_change = matches!(analysed.query.body, Body::Change(_) | Body::With { .. });
        let plan = plan_query(&analysed.query, &mut |expr| self.constant(host, expr))?;
        Ok(QueryPlan { plan, fields, relations: analysed.relations, tag, is_change })
    }

    /// Analyses and plans a statement.
    pub(super) fn plan(
        &self,
        host: &mut dyn Host,
        planned: &Planned,
        source: &Source,
        (types, open): (&[Type], bool),
    ) -> Result<(QueryPlan, Vec<Type>)> {
        let analysed = analyze::query(planned, source, &self.environment(host), types, open)?;
        let params = analysed.params.clone();
        Ok((self.planned(host, analysed)?, params))
    }

    /// The plan to be run: the one that there is, or, if a relation has changed since, another one. Relations are locked
    /// for the statement.
    pub(super) fn current_plan(
        &self,
        host: &mut dyn Host,
        plan: &QueryPlan,
        text: &Arc<str>,
        types: &[Type],
    ) -> Result<QueryPlan> {
        if plan.relations.is_empty() || self.is_current(host, plan)? {
            return Ok(plan.clone());
        }
        let parsed = parse::parse_one(text)?;
        let planned = parsed.as_ref().and_then(|parsed| match &parsed.statement {
            Statement::Planned(planned) | Statement::Utility(Utility::Prepare(_, _, planned)) => {
                Some(&**planned)
            }
            Statement::Utility(_) => None,
        });
        let (Some(parsed), Some(planned)) = (&parsed, planned) else {
            return Err(Report::error(SqlState::INTERNAL_ERROR, "a prepared statement without its text"));
        };
        let (made, _) = self.plan(host, planned, &parsed.source, (types, true))?;
        let same = made.fields.len() == plan.fields.len()
            && made.fields.iter().zip(&plan.fields).all(|(a, b)| a.ty == b.ty);
        if !same {
            return Err(Report::not_supported("cached plan must not change result type"));
        }
        Ok(made)
    }

    fn is_current(&self, host: &mut dyn Host, plan: &QueryPlan) -> Result<bool> {
        with_tables(host, |access| {
            access.cx.accept_invalidations();
            for (relation, mode) in &plan.relations {
                access.cx.lock_relation(relation.oid, *mode)?;
                let now = access.cx.relation_by_oid(relation.oid)?;
                if !now.is_some_and(|now| Arc::ptr_eq(&now, relation)) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Refuses what a transaction that only reads must not do.
    pub(super) fn check_read_only(&self, host: &dyn Host, what: &str) -> Result<()> {
        if host.show("transaction_read_only")?.as_deref() != Some("on") {
            return Ok(());
        }
        let message = format!("cannot execute {what} in a read-only transaction");
        Err(Report::error(SqlState::new("25006"), message))
    }

    /// What was written is seen by what comes behind it.
    pub(super) fn next_command(&self, host: &mut dyn Host) -> Result<()> {
        if !host.has_tables() {
            return Ok(());
        }
        with_tables(host, |access| {
            access.cx.next_command();
            Ok(())
        })
    }
}

/// Rows that were made already.
pub struct MadeRows(std::vec::IntoIter<Row>);

impl MadeRows {
    /// These.
    pub fn new(rows: Vec<Row>) -> Self {
        Self(rows.into_iter())
    }

    /// All rows of a statement that is run to its end at once.
    pub fn of(mut node: BoxNode, ctx: &mut Context<'_>) -> Result<Self> {
        let mut rows = Vec::new();
        while let Some(row) = node.next(ctx)? {
            rows.push(row);
        }
        Ok(Self(rows.into_iter()))
    }
}

impl Node for MadeRows {
    fn next(&mut self, _: &mut Context<'_>) -> Result<Option<Row>> {
        Ok(self.0.next())
    }
}
