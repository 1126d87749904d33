//! How many sessions a role and a database may have at once.
//!
//! A session says who it is before it counts, so that of two that come at the same moment neither can overlook the other;
//! at worst both are refused, as in PostgreSQL.

use shmem_layout::{Phase, SlotIndex};

use super::super::context::ProcessContext;
use super::super::kinds::Kind;
use super::Over;
use crate::auth::databases::{self, Database};
use crate::auth::login;
use crate::auth::roles::Role;
use crate::sync::Ordering;

/// Refuses one session too many for the role. From here on this one is counted.
pub fn check_role(ctx: &ProcessContext<'_>, role: &Role) -> Result<(), Over> {
    let activities = ctx.server.activities;
    activities.of(ctx.id.slot()).set_identity(role.oid, &role.name, 0, "");
    if role.connection_limit < 0 {
        return Ok(());
    }
    let sessions = count(ctx, |slot| activities.user_of(slot) == role.oid);
    login::check_connection_limit(role, sessions).map_err(Over::Told)
}

/// The same for the database.
pub fn check_database(ctx: &ProcessContext<'_>, role: &Role, database: &Database) -> Result<(), Over> {
    let activities = ctx.server.activities;
    activities.of(ctx.id.slot()).set_identity(role.oid, &role.name, database.oid, &database.name);
    if database.connection_limit < 0 {
        return Ok(());
    }
    let sessions = count(ctx, |slot| activities.database_of(slot) == database.oid);
    databases::check_connection_limit(database, role.superuser, sessions).map_err(Over::Told)
}

/// Sessions that are not on their way out.
fn count(ctx: &ProcessContext<'_>, is_one: impl Fn(SlotIndex) -> bool) -> u32 {
    let slots = ctx.server.ipc.slots().iter().enumerate();
    let sessions = slots.filter(|(index, slot)| {
        let phase = Phase::from_word(slot.phase.load(Ordering::Acquire));
        slot.kind.load(Ordering::Acquire) == Kind::Backend.number()
            && matches!(phase, Phase::Starting | Phase::Running)
            && SlotIndex::new(*index).is_some_and(&is_one)
    });
    sessions.count() as u32
}
