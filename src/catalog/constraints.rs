//! Making constraints. That rows meet them is checked by whoever asks.

use super::cx::{Cx, oid_key};
use super::dependencies::DependencyKind;
use super::descriptor::ConstraintKind;
use super::requests::{NewConstraint, ObjectAddress};
use super::schema::*;
use crate::report::{Report, Result, SqlState};

impl Cx<'_, '_, '_> {
    /// `ADD CONSTRAINT`: its row, and who needs whom. A key's index is there.
    ///
    /// # Errors
    /// 42710 if the table has a constraint of that name.
    pub fn create_constraint(&mut self, new: &NewConstraint<'_>) -> Result<u32> {
        let table = self.table_of(new.relation)?;
        let exists = || {
            let message =
                format!("constraint \"{}\" for relation \"{}\" already exists", new.name, table.name);
            Report::error(SqlState::DUPLICATE_OBJECT, message)
        };
        if self.constraint_of(new.relation, new.name)?.is_some() {
            return Err(exists());
        }
        let oid = self.new_oid::<PgConstraint>(PG_CONSTRAINT_OID_INDEX)?;
        if !self.try_insert(&row(oid, table.namespace, new))? {
            return Err(exists());
        }
        self.write_constraint_dependencies(oid, new)?;
        if new.kind == ConstraintKind::Check {
            self.count_checks(new.relation, 1)?;
        }
        self.changed(new.relation);
        if let Some(foreign) = &new.foreign {
            self.changed(foreign.relation);
        }
        Ok(oid)
    }

    /// A table's constraint of a name.
    pub(super) fn constraint_of(
        &mut self,
        relation: u32,
        name: &str,
    ) -> Result<Option<(crate::access::Ctid, PgConstraint)>> {
        let index = PG_CONSTRAINT_CONRELID_CONTYPID_CONNAME_INDEX;
        let rows = self.rows::<PgConstraint>(index, &[oid_key(relation)])?;
        Ok(rows.into_iter().find(|(_, row)| row.conname == name))
    }

    pub(super) fn count_checks(&mut self, relation: u32, more: i16) -> Result<()> {
        let Some((ctid, mut row)) = self.row_of::<PgClass>(PG_CLASS_OID_INDEX, relation)? else {
            return Ok(());
        };
        row.relchecks = (row.relchecks + more).max(0);
        self.update(ctid, &row)
    }

    fn write_constraint_dependencies(&mut self, oid: u32, new: &NewConstraint<'_>) -> Result<()> {
        let constraint = ObjectAddress::of(PG_CONSTRAINT, oid);
        for column in new.columns {
            let on = ObjectAddress::column(new.relation, *column);
            self.depend(constraint, on, DependencyKind::Auto)?;
        }
        if new.columns.is_empty() {
            self.depend(constraint, ObjectAddress::relation(new.relation), DependencyKind::Auto)?;
        }
        if let Some(foreign) = &new.foreign {
            for column in &foreign.columns {
                let on = ObjectAddress::column(foreign.relation, *column);
                self.depend(constraint, on, DependencyKind::Normal)?;
            }
            return self.depend(constraint, ObjectAddress::relation(new.index), DependencyKind::Normal);
        }
        if new.index == 0 {
            return Ok(());
        }
        // The index is the constraint's: it goes with that and cannot be dropped alone.
        let index = ObjectAddress::relation(new.index);
        self.forget_dependencies_on(index, PG_CLASS)?;
        self.depend(index, constraint, DependencyKind::Internal)
    }
}

fn row(oid: u32, namespace: u32, new: &NewConstraint<'_>) -> PgConstraint {
    let foreign = new.foreign.as_ref();
    PgConstraint {
        oid,
        conname: new.name.to_owned(),
        connamespace: namespace,
        contype: new.kind.letter(),
        condeferrable: new.is_deferrable,
        condeferred: new.is_deferred,
        conenforced: true,
        convalidated: new.is_validated,
        conrelid: new.relation,
        contypid: 0,
        conindid: new.index,
        conparentid: 0,
        confrelid: foreign.map_or(0, |foreign| foreign.relation),
        confupdtype: foreign.map_or(b' ', |foreign| foreign.on_update.letter()),
        confdeltype: foreign.map_or(b' ', |foreign| foreign.on_delete.letter()),
        confmatchtype: foreign.map_or(b' ', |foreign| if foreign.match_full { b'f' } else { b's' }),
        conislocal: true,
        coninhcount: 0,
        connoinherit: new.no_inherit || !matches!(new.kind, ConstraintKind::Check | ConstraintKind::NotNull),
        conperiod: false,
        conkey: Some(new.columns.to_vec()).filter(|columns| !columns.is_empty()),
        confkey: foreign.map(|foreign| foreign.columns.clone()),
        conpfeqop: None,
        conppeqop: None,
        conffeqop: None,
        confdelsetcols: foreign
            .map(|foreign| foreign.delete_set_columns.clone())
            .filter(|columns| !columns.is_empty()),
        conexclop: None,
        conbin: new.expression.map(str::to_owned),
    }
}
