//! Which object needs which: rows of `pg_depend` and `pg_shdepend`.
//!
//! What every database has from the beginning is needed by everything and never goes, so nothing is written of it.

use super::columns::Int4;
use super::cx::{Cx, key, oid_key};
use super::names::PUBLIC_SCHEMA;
use super::requests::ObjectAddress;
use super::schema::{
    PG_AUTHID, PG_DEPEND_DEPENDER_INDEX, PG_DESCRIPTION_O_C_O_INDEX, PG_NAMESPACE,
    PG_SHDEPEND_DEPENDER_INDEX, PG_SHDESCRIPTION_O_C_INDEX, PgDepend, PgDescription, PgShdepend,
    PgShdescription, stored_by_oid,
};
use crate::report::Result;

/// OIDs below this are of what every database has from the beginning.
const FIRST_UNPINNED: u32 = 12000;

/// How one object needs another, as `pg_depend.deptype` has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DependencyKind {
    /// It is dropped only with `CASCADE` if the other is.
    Normal,
    /// It goes with the other.
    Auto,
    /// It is a part of the other, and cannot be dropped alone.
    Internal,
}

impl DependencyKind {
    /// Its letter.
    pub fn letter(self) -> u8 {
        match self {
            Self::Normal => b'n',
            Self::Auto => b'a',
            Self::Internal => b'i',
        }
    }

    /// Of a letter; what extensions have counts as internal.
    pub fn from_letter(letter: u8) -> Self {
        match letter {
            b'n' => Self::Normal,
            b'a' => Self::Auto,
            _ => Self::Internal,
        }
    }
}

/// Whether an object never goes.
pub(super) fn is_pinned(object: ObjectAddress) -> bool {
    let goes = object.class == PG_NAMESPACE && object.object == PUBLIC_SCHEMA;
    object.object < FIRST_UNPINNED && !goes
}

impl Cx<'_, '_, '_> {
    /// One object needs another from now on.
    pub fn depend(&mut self, object: ObjectAddress, on: ObjectAddress, how: DependencyKind) -> Result<()> {
        if is_pinned(on) || object == on {
            return Ok(());
        }
        self.insert(&PgDepend {
            classid: object.class,
            objid: object.object,
            objsubid: object.part,
            refclassid: on.class,
            refobjid: on.object,
            refobjsubid: on.part,
            deptype: how.letter(),
        })
    }

    /// An object belongs to a role.
    pub(super) fn depend_on_owner(&mut self, object: ObjectAddress, owner: u32) -> Result<()> {
        if is_pinned(ObjectAddress::of(PG_AUTHID, owner)) {
            return Ok(());
        }
        let dbid = self.database_of_class(object.class);
        self.insert(&PgShdepend {
            dbid,
            classid: object.class,
            objid: object.object,
            objsubid: object.part,
            refclassid: PG_AUTHID,
            refobjid: owner,
            deptype: b'o',
        })
    }

    /// The database of objects of a catalog; 0 if it is shared.
    fn database_of_class(&self, class: u32) -> u32 {
        let is_shared = stored_by_oid(class).is_some_and(|table| table.is_shared);
        if is_shared { 0 } else { self.database() }
    }

    /// An object has another owner.
    pub(super) fn change_owner(&mut self, object: ObjectAddress, owner: u32) -> Result<()> {
        self.forget_owner(object)?;
        self.depend_on_owner(object, owner)
    }

    fn forget_owner(&mut self, object: ObjectAddress) -> Result<()> {
        let database = self.database_of_class(object.class);
        let mut keys = vec![oid_key(database), oid_key(object.class), oid_key(object.object)];
        if object.part != 0 {
            keys.push(key::<Int4>(&object.part));
        }
        self.delete_all::<PgShdepend>(PG_SHDEPEND_DEPENDER_INDEX, &keys)
    }

    /// What an object needs is forgotten, its parts' needs too.
    pub(super) fn forget_dependencies(&mut self, object: ObjectAddress) -> Result<()> {
        let mut keys = vec![oid_key(object.class), oid_key(object.object)];
        if object.part != 0 {
            keys.push(key::<Int4>(&object.part));
        }
        self.delete_all::<PgDepend>(PG_DEPEND_DEPENDER_INDEX, &keys)?;
        self.forget_owner(object)
    }

    /// What an object needs of a catalog is forgotten.
    pub(super) fn forget_dependencies_on(&mut self, object: ObjectAddress, class: u32) -> Result<()> {
        let keys = [oid_key(object.class), oid_key(object.object), key::<Int4>(&object.part)];
        for (ctid, row) in self.rows::<PgDepend>(PG_DEPEND_DEPENDER_INDEX, &keys)? {
            if row.refclassid == class {
                self.delete::<PgDepend>(ctid)?;
            }
        }
        Ok(())
    }

    /// Comments on an object and its parts are forgotten.
    pub(super) fn forget_comments(&mut self, object: ObjectAddress) -> Result<()> {
        let mut keys = vec![oid_key(object.object), oid_key(object.class)];
        if stored_by_oid(object.class).is_some_and(|table| table.is_shared) {
            return self.delete_all::<PgShdescription>(PG_SHDESCRIPTION_O_C_INDEX, &keys);
        }
        if object.part != 0 {
            keys.push(key::<Int4>(&object.part));
        }
        self.delete_all::<PgDescription>(PG_DESCRIPTION_O_C_O_INDEX, &keys)
    }

    /// `COMMENT ON …`; `None` and an empty text take it away.
    ///
    /// # Errors
    /// What writing rows may end with.
    pub fn comment(&mut self, object: ObjectAddress, text: Option<&str>) -> Result<()> {
        let keys = [oid_key(object.object), oid_key(object.class), key::<Int4>(&object.part)];
        let text = text.filter(|text| !text.is_empty());
        if stored_by_oid(object.class).is_some_and(|table| table.is_shared) {
            self.delete_all::<PgShdescription>(PG_SHDESCRIPTION_O_C_INDEX, &keys[..2])?;
            return text.map_or(Ok(()), |text| {
                let (objoid, classoid) = (object.object, object.class);
                self.insert(&PgShdescription { objoid, classoid, description: text.to_owned() })
            });
        }
        self.delete_all::<PgDescription>(PG_DESCRIPTION_O_C_O_INDEX, &keys)?;
        text.map_or(Ok(()), |text| {
            self.insert(&PgDescription {
                objoid: object.object,
                classoid: object.class,
                objsubid: object.part,
                description: text.to_owned(),
            })
        })
    }
}
