//! What a session remembers of the catalog, and what it has to tell others.
//!
//! Everything cached has an object's number ([`Changed`]): relations their OID, schemas and types theirs, names of relations
//! the OID that they had. What the transaction changes it forgets at once, and again if that is rolled back; others are told
//! when it commits. A name that was not there is not remembered.

use std::collections::HashMap;
use std::sync::Arc;

use super::descriptor::{RelationDescriptor, TypeDescriptor};
use super::names::{PG_CATALOG, PUBLIC_SCHEMA};
use super::roles::write_file;
use super::sequence_state::SequenceStates;
use super::types::TypeSupport;
use crate::access::Store;
use crate::access::invalidations::{Changed, Invalidations, News, Position};
use crate::auth::roles::RolesFile;
use crate::report::Report;

/// A session's knowledge of the catalog.
pub struct Catalog {
    database: u32,
    /// What SQL knows of types.
    pub types: TypeSupport,
    /// Schemas that relations are looked for in, in their order: for messages, which leave out what it leads to.
    pub search_path: Vec<u32>,
    /// `maintenance_work_mem`, in bytes.
    pub build_memory: usize,
    position: Position,
    relations: HashMap<u32, Arc<RelationDescriptor>>,
    names: HashMap<(u32, String), u32>,
    schemas: HashMap<String, u32>,
    types_by_oid: HashMap<u32, Arc<TypeDescriptor>>,
    /// What this transaction has changed.
    pending: Vec<Changed>,
    /// The session's sequences.
    pub(super) sequences: SequenceStates,
    /// The session's schema of temporary relations; 0: it has none.
    pub(super) temporary_schema: u32,
    /// Grows whenever something was forgotten: who keeps what it made of descriptors looks at it.
    generation: u64,
    /// Roles as this transaction has them, if it has changed any.
    pub(super) changed_roles: Option<RolesFile>,
}

impl Catalog {
    /// Nothing is known yet.
    pub fn new(database: u32, types: TypeSupport, ring: Invalidations<'_>) -> Self {
        Self {
            database,
            types,
            search_path: vec![PG_CATALOG, PUBLIC_SCHEMA],
            build_memory: 64 << 20,
            position: ring.position(),
            relations: HashMap::new(),
            names: HashMap::new(),
            schemas: HashMap::new(),
            types_by_oid: HashMap::new(),
            pending: Vec::new(),
            sequences: SequenceStates::default(),
            temporary_schema: 0,
            generation: 0,
            changed_roles: None,
        }
    }

    /// The database.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The schema of the session's temporary relations, if it has made one.
    pub fn temporary_schema(&self) -> Option<u32> {
        Some(self.temporary_schema).filter(|oid| *oid != 0)
    }

    /// Differs from an earlier one if anything was forgotten meanwhile: plans made by then are to be made again.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn relation(&self, oid: u32) -> Option<Arc<RelationDescriptor>> {
        self.relations.get(&oid).cloned()
    }

    pub(super) fn keep_relation(&mut self, relation: &Arc<RelationDescriptor>) {
        self.relations.insert(relation.oid, relation.clone());
    }

    pub(super) fn named(&self, namespace: u32, name: &str) -> Option<u32> {
        // A look-up by borrowed parts would need a type of its own for keys; names are short.
        self.names.get(&(namespace, name.to_owned())).copied()
    }

    pub(super) fn keep_name(&mut self, namespace: u32, name: &str, oid: u32) {
        self.names.insert((namespace, name.to_owned()), oid);
    }

    pub(super) fn schema(&self, name: &str) -> Option<u32> {
        self.schemas.get(name).copied()
    }

    pub(super) fn keep_schema(&mut self, name: &str, oid: u32) {
        self.schemas.insert(name.to_owned(), oid);
    }

    pub(super) fn type_of(&self, oid: u32) -> Option<Arc<TypeDescriptor>> {
        self.types_by_oid.get(&oid).cloned()
    }

    pub(super) fn keep_type(&mut self, ty: &Arc<TypeDescriptor>) {
        self.types_by_oid.insert(ty.oid, ty.clone());
    }

    pub(super) fn will_send(&mut self, changed: Changed) {
        self.forget(changed);
        if self.pending.last() != Some(&changed) {
            self.pending.push(changed);
        }
    }

    pub(super) fn accept(&mut self, ring: Invalidations<'_>) {
        match ring.read(&mut self.position) {
            News::Changed(changed) => changed.into_iter().for_each(|changed| self.forget(changed)),
            News::TooMany => self.forget(Changed::EVERYTHING),
        }
    }

    fn forget(&mut self, changed: Changed) {
        self.generation += 1;
        if changed == Changed::EVERYTHING {
            self.relations.clear();
            self.names.clear();
            self.schemas.clear();
            self.types_by_oid.clear();
            return;
        }
        let database = self.database;
        let is_other = |oid: u32| Changed::object(database, oid) != changed;
        self.relations.retain(|oid, _| is_other(*oid));
        self.names.retain(|_, oid| is_other(*oid));
        self.schemas.retain(|_, oid| is_other(*oid));
        self.types_by_oid.retain(|oid, _| is_other(*oid));
    }

    /// Whether the transaction has changed any definition.
    pub fn has_changes(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The transaction has committed, durably, and holds its locks still: others are told. Gives back warnings.
    pub fn committed(&mut self, store: &Store<'_>) -> Vec<Report> {
        store.engine.invalidations.send(std::mem::take(&mut self.pending));
        let roles = self.changed_roles.take();
        roles.and_then(|roles| write_file(store.engine.data_directory(), &roles)).into_iter().collect()
    }

    /// The transaction was rolled back: what it made of the catalog is forgotten.
    pub fn aborted(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        pending.into_iter().for_each(|changed| self.forget(changed));
        self.changed_roles = None;
    }

    /// A savepoint was rolled back. What was changed before it is forgotten too, which only costs a second look; it stays
    /// to be sent.
    pub fn savepoint_aborted(&mut self) {
        let pending = self.pending.clone();
        pending.into_iter().for_each(|changed| self.forget(changed));
    }
}
