//! Sequences: made with their parameters as a row, counted on their page.

use super::cx::{Cx, oid_key};
use super::dependencies::DependencyKind;
use super::descriptor::{
    ColumnDescriptor, RelationDescriptor, RelationKind, RelationPersistence, SequenceParameters,
};
use super::make_relation::relation_exists;
use super::relation_rows::{attribute, class};
use super::requests::{NewSequence, ObjectAddress};
use super::schema::*;
use super::types::oids;
use crate::access::sequence::{Counter, Counting, Sequence, Taken};
use crate::report::{Report, Result, SqlState};
use crate::storage::ids::RelFile;

fn counting(parameters: &SequenceParameters) -> Counting {
    Counting {
        increment: parameters.increment,
        min: parameters.min,
        max: parameters.max,
        cache: parameters.cache,
        cycles: parameters.cycles,
    }
}

fn row(oid: u32, parameters: &SequenceParameters) -> PgSequence {
    PgSequence {
        seqrelid: oid,
        seqtypid: parameters.type_oid,
        seqstart: parameters.start,
        seqincrement: parameters.increment,
        seqmax: parameters.max,
        seqmin: parameters.min,
        seqcache: parameters.cache,
        seqcycle: parameters.cycles,
    }
}

fn storage(relation: &RelationDescriptor) -> Sequence {
    let is_logged = relation.persistence != RelationPersistence::Temporary;
    Sequence { file: relation.file, is_logged }
}

impl Cx<'_, '_, '_> {
    /// `CREATE SEQUENCE`.
    ///
    /// # Errors
    /// 42P07 if there is a relation of that name.
    pub fn create_sequence(&mut self, new: &NewSequence<'_>) -> Result<u32> {
        self.check_new_name(new.namespace, new.name)?;
        let oid = self.new_oid::<PgClass>(PG_CLASS_OID_INDEX)?;
        let mut of_class = class(oid, new.name, new.namespace, RelationKind::Sequence);
        of_class.relowner = new.owner;
        of_class.relpersistence = new.persistence.letter();
        (of_class.relnatts, of_class.reltuples, of_class.relpages) = (3, 1.0, 1);
        of_class.relfilenode = self.make_counter(oid, new.parameters.start, false, new.persistence)?;
        if !self.try_insert(&of_class)? {
            return Err(relation_exists(new.name));
        }
        let columns = [("last_value", oids::INT8), ("log_cnt", oids::INT8), ("is_called", oids::BOOL)];
        for (number, (name, ty)) in (1..).zip(columns) {
            let column = ColumnDescriptor { not_null: true, ..ColumnDescriptor::new(name, number, ty, -1) };
            self.insert(&attribute(oid, &column))?;
        }
        self.insert(&row(oid, &new.parameters))?;
        let sequence = ObjectAddress::relation(oid);
        let schema = ObjectAddress::of(PG_NAMESPACE, new.namespace);
        self.depend(sequence, schema, DependencyKind::Normal)?;
        self.depend_on_owner(sequence, new.owner)?;
        if let Some((table, column, is_identity)) = new.owned_by {
            let how = if is_identity { DependencyKind::Internal } else { DependencyKind::Auto };
            self.depend(sequence, ObjectAddress::column(table, column), how)?;
        }
        self.changed(oid);
        Ok(oid)
    }

    /// A new file with a counter on it; its number.
    fn make_counter(
        &mut self,
        wanted: u32,
        last: i64,
        is_called: bool,
        persistence: RelationPersistence,
    ) -> Result<u32> {
        let number = self.make_file(wanted)?;
        let file =
            RelFile { tablespace: RelFile::DEFAULT_TABLESPACE, database: self.database(), relation: number };
        let is_logged = persistence != RelationPersistence::Temporary;
        let counter = Counter { last, logged: 0, is_called };
        Sequence { file, is_logged }.create(self.session.store, counter)?;
        Ok(number)
    }

    fn sequence(&mut self, oid: u32) -> Result<(std::sync::Arc<RelationDescriptor>, SequenceParameters)> {
        let relation = self.table_of(oid)?;
        match relation.sequence {
            Some(parameters) => Ok((relation, parameters)),
            None => {
                let message = format!("\"{}\" is not a sequence", relation.name);
                Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    /// Where a sequence is: what `SELECT * FROM sequence` shows.
    ///
    /// # Errors
    /// 42809 if it is no sequence.
    pub fn sequence_counter(&mut self, oid: u32) -> Result<Counter> {
        let (relation, _) = self.sequence(oid)?;
        storage(&relation).read(self.session.store)
    }

    /// `nextval`.
    ///
    /// # Errors
    /// 2200H at its end, 42809 if it is no sequence.
    pub fn nextval(&mut self, oid: u32) -> Result<i64> {
        let (relation, parameters) = self.sequence(oid)?;
        let file = relation.file.relation;
        if let Some(next) = self.catalog.sequences.next_taken(oid, file) {
            return Ok(next);
        }
        let (store, transaction) = (self.session.store, &mut self.session.transaction);
        // The transaction gets an id, so that its commit makes the record durable.
        let before_record = || transaction.assign_top().map(|_| ());
        match storage(&relation).take(store, counting(&parameters), before_record)? {
            Taken::Values { first, last } => {
                self.catalog.sequences.took(oid, file, (first, last), parameters.increment);
                Ok(first)
            }
            Taken::Exhausted => {
                let (which, value) = match parameters.increment > 0 {
                    true => ("maximum", parameters.max),
                    false => ("minimum", parameters.min),
                };
                let message =
                    format!("nextval: reached {which} value of sequence \"{}\" ({value})", relation.name);
                Err(Report::error(SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED, message))
            }
        }
    }

    /// `currval`.
    ///
    /// # Errors
    /// 55000 if this session had no value of it yet.
    pub fn currval(&mut self, oid: u32) -> Result<i64> {
        let (relation, _) = self.sequence(oid)?;
        self.catalog.sequences.given(oid).ok_or_else(|| {
            let message =
                format!("currval of sequence \"{}\" is not yet defined in this session", relation.name);
            Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    /// `lastval`.
    ///
    /// # Errors
    /// 55000 if this session had no value of any sequence yet, or that sequence is gone.
    pub fn lastval(&mut self) -> Result<i64> {
        let undefined = || {
            let message = "lastval is not yet defined in this session";
            Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        };
        let oid = self.catalog.sequences.last().ok_or_else(undefined)?;
        if self.relation_by_oid(oid)?.is_none() {
            return Err(undefined());
        }
        self.catalog.sequences.given(oid).ok_or_else(undefined)
    }

    /// `setval`.
    ///
    /// # Errors
    /// 22003 if the value is not the sequence's.
    pub fn setval(&mut self, oid: u32, value: i64, is_called: bool) -> Result<i64> {
        let (relation, parameters) = self.sequence(oid)?;
        if !(parameters.min..=parameters.max).contains(&value) {
            let message = format!(
                "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                relation.name, parameters.min, parameters.max
            );
            return Err(Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        self.session.transaction.assign_top()?;
        storage(&relation).set(self.session.store, value, is_called)?;
        self.catalog.sequences.put(oid, relation.file.relation, value, is_called);
        Ok(value)
    }

    /// Forgets what this session knows of sequences (`DISCARD SEQUENCES`).
    pub fn discard_sequences(&mut self) {
        self.catalog.sequences.clear();
    }

    /// `ALTER SEQUENCE`: other parameters; with `restart` it begins there again, which is undone if the transaction is
    /// rolled back.
    ///
    /// # Errors
    /// 42809 if it is no sequence.
    pub fn alter_sequence(
        &mut self,
        oid: u32,
        parameters: &SequenceParameters,
        restart: Option<i64>,
    ) -> Result<()> {
        let (relation, _) = self.sequence(oid)?;
        if let Some((ctid, _)) = self.row_of::<PgSequence>(PG_SEQUENCE_SEQRELID_INDEX, oid)? {
            self.update(ctid, &row(oid, parameters))?;
        }
        let counter = storage(&relation).read(self.session.store)?;
        let (last, is_called) = restart.map_or((counter.last, counter.is_called), |value| (value, false));
        let wanted = self.new_oid::<PgClass>(PG_CLASS_OID_INDEX)?;
        let number = self.make_counter(wanted, last, is_called, relation.persistence)?;
        self.files.drop_at_commit(self.session, relation.file);
        if let Some((ctid, mut class)) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, oid)? {
            class.relfilenode = number;
            self.update(ctid, &class)?;
        }
        self.changed(oid);
        Ok(())
    }

    /// `OWNED BY`: the column that a sequence goes with; `None`: none.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn set_sequence_owner_column(&mut self, oid: u32, column: Option<(u32, i16)>) -> Result<()> {
        let sequence = ObjectAddress::relation(oid);
        self.forget_dependencies_on(sequence, PG_CLASS)?;
        if let Some((table, number)) = column {
            self.depend(sequence, ObjectAddress::column(table, number), DependencyKind::Auto)?;
        }
        Ok(())
    }

    /// The sequence that goes with a column, by `OWNED BY`, `serial` or as its identity.
    ///
    /// # Errors
    /// What reading rows may end with.
    pub fn sequence_of_column(&mut self, table: u32, number: i16) -> Result<Option<u32>> {
        let keys =
            [oid_key(PG_CLASS), oid_key(table), super::cx::key::<super::columns::Int4>(&number.into())];
        for (_, row) in self.rows::<PgDepend>(PG_DEPEND_REFERENCE_INDEX, &keys)? {
            if row.classid != PG_CLASS || !matches!(row.deptype, b'a' | b'i') {
                continue;
            }
            let relation = self.relation_by_oid(row.objid)?;
            if relation.is_some_and(|relation| relation.kind == RelationKind::Sequence) {
                return Ok(Some(row.objid));
            }
        }
        Ok(None)
    }
}
