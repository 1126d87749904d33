//! Databases' files: copied when a database is made, and listed when it goes.

use super::cx::Cx;
use super::load::file_of;
use super::schema::{CatalogRow, PG_CLASS, PgClass, stored, stored_by_oid};
use super::tables::{system_file, system_table};
use crate::access::page_images::copy_fork;
use crate::access::row::RowReader;
use crate::access::visibility::ReadView;
use crate::report::Result;
use crate::storage::ids::{Fork, RelFile};

impl Cx<'_, '_, '_> {
    /// Files of all relations of a database that outlive their session. Nobody is connected to it, but for this session.
    pub(super) fn files_of_database(&mut self, database: u32) -> Result<Vec<RelFile>> {
        let mut files = Vec::new();
        for table in stored().filter(|table| !table.is_shared) {
            files.push(system_file(false, database, table.oid));
            files.extend(table.indexes.iter().map(|index| system_file(false, database, index.oid)));
        }
        let table = system_table(self.session.store, database, PgClass::TABLE);
        let snapshot = self.session.transaction.latest_snapshot();
        let mut scan = table.scan(self.session, ReadView { snapshot, command: u32::MAX }, None)?;
        while let Some(row) = scan.next(self.session)? {
            let class = PgClass::read(&mut RowReader::new(table.layout(), row.bytes)?)?;
            let has_file = class.relfilenode != 0 && !class.relisshared && stored_by_oid(class.oid).is_none();
            if has_file && class.relpersistence != b't' && class.oid != PG_CLASS {
                files.push(file_of(&class, database));
            }
        }
        drop(scan);
        self.session.transaction.drop_snapshot(snapshot);
        Ok(files)
    }

    /// Makes a database's files as another's are. Nobody writes in that one meanwhile.
    pub(super) fn copy_database(&mut self, from: u32, to: u32) -> Result<()> {
        for file in self.files_of_database(from)? {
            let copy = RelFile { database: to, ..file };
            self.session.store.storage.files().create_folder(copy)?;
            self.files.create(self.session, copy)?;
            copy_fork(self.session.store, file, copy, Fork::Main)?;
        }
        Ok(())
    }
}
