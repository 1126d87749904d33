//! Functions about transactions' ids and ends, and about advisory locks.

use crate::report::{Report, Result, SqlState};
use crate::sql::store::{AdvisoryKey, AdvisoryLock, TransactionFate};
use crate::sql::types::{Datum, Type};

use super::integers::whole;
use super::{Call, Function, function};

fn current(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    let id = call.ctx.host.transaction_id(true)?;
    Ok(id_datum(call, id))
}

fn current_if_assigned(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    let id = call.ctx.host.transaction_id(false)?;
    Ok(id_datum(call, id))
}

/// An id, as `xid8` or under the name from before that as `bigint`.
fn id_datum(call: &Call<'_, '_>, id: Option<u64>) -> Datum {
    match id {
        None => Datum::Null,
        Some(id) if call.result == Type::INT8 => Datum::Int8(id as i64),
        Some(id) => Datum::U64(id),
    }
}

fn status(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    /// Ids that PostgreSQL keeps for itself: of its beginning, and of what is frozen.
    const SPECIAL: std::ops::RangeInclusive<u64> = 1..=2;
    let id = match &args[0] {
        Datum::U64(id) => *id,
        other => whole(other) as u64,
    };
    if SPECIAL.contains(&id) {
        return Ok(Datum::text("committed"));
    }
    Ok(match call.ctx.host.transaction_fate(id)? {
        TransactionFate::InProgress => Datum::text("in progress"),
        TransactionFate::Committed => Datum::text("committed"),
        TransactionFate::Aborted => Datum::text("aborted"),
        TransactionFate::Forgotten => Datum::Null,
        TransactionFate::Future => {
            let message = format!("transaction ID {id} is in the future");
            return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    })
}

fn key(args: &[Datum]) -> AdvisoryKey {
    match args {
        [first, second] => AdvisoryKey::Two(whole(first) as i32, whole(second) as i32),
        _ => AdvisoryKey::One(args.first().map_or(0, whole)),
    }
}

/// Takes a lock in one of eight ways.
fn lock<const SHARED: bool, const SESSION: bool, const WAIT: bool>(
    call: &mut Call<'_, '_>,
    args: &[Datum],
) -> Result<Datum> {
    let lock = AdvisoryLock { key: key(args), shared: SHARED, session: SESSION, wait: WAIT };
    let is_got = call.ctx.host.lock_advisory(lock)?;
    Ok(if WAIT { Datum::Void } else { Datum::Bool(is_got) })
}

fn unlock<const SHARED: bool>(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let was_held = call.ctx.host.unlock_advisory(key(args), SHARED)?;
    if !was_held {
        let mode = if SHARED { "ShareLock" } else { "ExclusiveLock" };
        let message = format!("you don't own a lock of type {mode}");
        call.ctx.host.notice(Report::warning(SqlState::WARNING, message));
    }
    Ok(Datum::Bool(was_held))
}

fn unlock_all(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    call.ctx.host.unlock_all_advisory().map(|()| Datum::Void)
}

fn blocking_pids(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let pids = call.ctx.host.blocking_pids(whole(&args[0]) as i32)?;
    Ok(Datum::array(Type::INT4, pids.into_iter().map(Datum::Int4).collect()))
}

const ONE: &[Type] = &[Type::INT8];
const TWO: &[Type] = &[Type::INT4, Type::INT4];
const VOID: Type = Type::VOID;
const BOOL: Type = Type::BOOL;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("pg_current_xact_id", 5059, &[], Type::XID8, current).stable(),
    function("pg_current_xact_id_if_assigned", 5060, &[], Type::XID8, current_if_assigned).stable(),
    function("pg_xact_status", 5066, &[Type::XID8], Type::TEXT, status).volatile(),
    function("txid_current", 2943, &[], Type::INT8, current).stable(),
    function("txid_current_if_assigned", 3348, &[], Type::INT8, current_if_assigned).stable(),
    function("txid_status", 3360, &[Type::INT8], Type::TEXT, status).volatile(),
    function("pg_advisory_lock", 2880, ONE, VOID, lock::<false, true, true>).volatile(),
    function("pg_advisory_lock", 2886, TWO, VOID, lock::<false, true, true>).volatile(),
    function("pg_advisory_lock_shared", 2881, ONE, VOID, lock::<true, true, true>).volatile(),
    function("pg_advisory_lock_shared", 2887, TWO, VOID, lock::<true, true, true>).volatile(),
    function("pg_advisory_xact_lock", 3089, ONE, VOID, lock::<false, false, true>).volatile(),
    function("pg_advisory_xact_lock", 3093, TWO, VOID, lock::<false, false, true>).volatile(),
    function("pg_advisory_xact_lock_shared", 3090, ONE, VOID, lock::<true, false, true>).volatile(),
    function("pg_advisory_xact_lock_shared", 3094, TWO, VOID, lock::<true, false, true>).volatile(),
    function("pg_try_advisory_lock", 2882, ONE, BOOL, lock::<false, true, false>).volatile(),
    function("pg_try_advisory_lock", 2888, TWO, BOOL, lock::<false, true, false>).volatile(),
    function("pg_try_advisory_lock_shared", 2883, ONE, BOOL, lock::<true, true, false>).volatile(),
    function("pg_try_advisory_lock_shared", 2889, TWO, BOOL, lock::<true, true, false>).volatile(),
    function("pg_try_advisory_xact_lock", 3091, ONE, BOOL, lock::<false, false, false>).volatile(),
    function("pg_try_advisory_xact_lock", 3095, TWO, BOOL, lock::<false, false, false>).volatile(),
    function("pg_try_advisory_xact_lock_shared", 3092, ONE, BOOL, lock::<true, false, false>).volatile(),
    function("pg_try_advisory_xact_lock_shared", 3096, TWO, BOOL, lock::<true, false, false>).volatile(),
    function("pg_advisory_unlock", 2884, ONE, BOOL, unlock::<false>).volatile(),
    function("pg_advisory_unlock", 2890, TWO, BOOL, unlock::<false>).volatile(),
    function("pg_advisory_unlock_shared", 2885, ONE, BOOL, unlock::<true>).volatile(),
    function("pg_advisory_unlock_shared", 2891, TWO, BOOL, unlock::<true>).volatile(),
    function("pg_advisory_unlock_all", 2892, &[], VOID, unlock_all).volatile(),
    function("pg_blocking_pids", 2561, &[Type::INT4], Type::INT4_ARRAY, blocking_pids).volatile(),
];
