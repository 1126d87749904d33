//! Who may come in and how: `pg_hba.conf`, `pg_ident.conf`, the server's certificate, and the role file.
//!
//! The postmaster reads them at start, where a fault is FATAL, and at each reload, where what was in force stays. Children
//! inherit them by fork, so that a connection costs no reading of files; at a reload they read them again for themselves
//! and say nothing, since the postmaster has.

use std::path::Path;
use std::sync::Arc;

use super::settings::tls_config;
use crate::auth::hba::{self, Hba};
use crate::auth::ident::{self, Ident};
use crate::auth::roles::RolesCache;
use crate::config::{self, Settings};
use crate::protocol::tls::TlsConfig;
use crate::report::{Report, Result, Severity};

/// See the module; cloning it is cheap.
#[derive(Clone, Default)]
pub struct Access {
    /// `pg_hba.conf`.
    pub hba: Arc<Hba>,
    /// `pg_ident.conf`.
    pub ident: Arc<Ident>,
    /// What TLS sessions begin with, if `ssl` is on.
    pub tls: Option<TlsConfig>,
    /// The role file.
    pub roles: RolesCache,
}

impl Access {
    /// Reads everything for a server that starts; `log` is given what the log is to say.
    ///
    /// # Errors
    /// FATAL for a certificate or a `pg_hba.conf` that is not as it must be. A bad `pg_ident.conf` is only logged.
    pub fn load(settings: &Settings, mut log: impl FnMut(&Report)) -> Result<Self> {
        let tls = tls_config(settings)?;
        let path = Path::new(settings.get(config::HBA_FILE));
        let loaded = hba::load(path, settings.get(config::SSL));
        loaded.log.iter().for_each(&mut log);
        let hba = loaded.contents.ok_or_else(|| hba::could_not_load(path))?;
        let loaded = ident::load(Path::new(settings.get(config::IDENT_FILE)));
        loaded.log.iter().for_each(&mut log);
        let ident = loaded.contents.unwrap_or_default();
        // A fault in the role file is told to those who connect, who read it again.
        let mut roles = RolesCache::default();
        let _ = roles.current(settings.data_directory());
        Ok(Self { hba: Arc::new(hba), ident: Arc::new(ident), tls, roles })
    }

    /// Reads everything again; what is faulty stays as it was. What the log is to say.
    pub fn reload(&mut self, settings: &Settings) -> Vec<Report> {
        let mut log = Vec::new();
        match tls_config(settings) {
            Ok(tls) => self.tls = tls,
            Err(mut report) => {
                report.severity = Severity::Log;
                log.push(*report);
                log.push(Report::log("SSL configuration was not reloaded"));
            }
        }
        let path = Path::new(settings.get(config::HBA_FILE));
        let loaded = hba::load(path, settings.get(config::SSL));
        log.extend(loaded.log);
        match loaded.contents {
            Some(hba) => self.hba = Arc::new(hba),
            None => log.push(hba::not_reloaded(path)),
        }
        let path = Path::new(settings.get(config::IDENT_FILE));
        let loaded = ident::load(path);
        log.extend(loaded.log);
        match loaded.contents {
            Some(ident) => self.ident = Arc::new(ident),
            None => log.push(hba::not_reloaded(path)),
        }
        log
    }
}
