//! Finding the record for a connection.

use std::net::IpAddr;

use crate::auth::hosts::{HostLookup, Names};
use crate::auth::interfaces;
use crate::auth::roles::RoleSource;
use crate::auth::system::SystemFiles;

use super::address::contains;
use super::{Address, ConnectionType, Hba, Record};

/// What decides which record a connection gets.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The client's address; none on a Unix socket.
    pub client: Option<IpAddr>,
    /// Whether it came through TLS.
    pub tls: bool,
    /// The role asked for.
    pub user: &'a str,
    /// The database asked for.
    pub database: &'a str,
    /// Whether it is for physical replication, which has no database.
    pub physical_replication: bool,
}

/// The answer.
#[derive(Debug)]
pub struct Match<'a> {
    /// The record; none if none matches.
    pub record: Option<&'a Record>,
    /// What was found about the client's name, if a record asked for it.
    pub host: HostLookup,
}

impl Hba {
    /// The first record that matches.
    pub fn find<'a>(
        &'a self,
        request: &Request<'_>,
        roles: &dyn RoleSource,
        system: &SystemFiles,
    ) -> Match<'a> {
        let mut names = Names::new(request.client, system);
        let record = self.records.iter().find(|record| {
            record.takes_connection(request)
                && record.takes_client(request, &mut names, system)
                && record.takes_names(request, roles)
        });
        Match { record, host: names.found() }
    }
}

impl Record {
    fn takes_connection(&self, request: &Request<'_>) -> bool {
        let is_tcp = request.client.is_some();
        match self.connection {
            ConnectionType::Local => !is_tcp,
            ConnectionType::Host | ConnectionType::HostNoGssEnc => is_tcp,
            ConnectionType::HostSsl => is_tcp && request.tls,
            ConnectionType::HostNoSsl => is_tcp && !request.tls,
            ConnectionType::HostGssEnc => false,
        }
    }

    fn takes_client(&self, request: &Request<'_>, names: &mut Names<'_>, system: &SystemFiles) -> bool {
        let (Some(address), Some(client)) = (&self.address, request.client) else {
            return true;
        };
        match address {
            Address::All => true,
            Address::Network { address, mask } => contains(*address, *mask, client),
            Address::Name(pattern) => names.matches(pattern),
            Address::SameHost => interfaces::read(system).iter().any(|own| own.address == client),
            Address::SameNet => {
                interfaces::read(system).iter().any(|own| contains(own.address, own.mask, client))
            }
        }
    }

    fn takes_names(&self, request: &Request<'_>, roles: &dyn RoleSource) -> bool {
        let takes_database = self.databases.iter().any(|name| {
            if request.physical_replication {
                name.matches_replication()
            } else {
                name.matches_database(request.database, request.user, roles)
            }
        });
        takes_database && self.users.iter().any(|name| name.matches_role(request.user, roles))
    }
}
