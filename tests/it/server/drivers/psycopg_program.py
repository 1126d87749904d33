"""psycopg 3 against a running server: one connection string per argument; says what failed and ends with 1."""

import sys
import threading
import time

import psycopg
from psycopg import errors
from psycopg.types.json import Json


def expect(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def expect_error(kind, sqlstate, what, run):
    try:
        run()
    except kind as error:
        expect(error.sqlstate, sqlstate, what)
        return error
    raise AssertionError(f"{what}: no error")


def constants(conn):
    row = conn.execute("select 1, 'two', 3.5::float8, true, null, 12345678901234567890::numeric").fetchone()
    expect(row[:5], (1, "two", 3.5, True, None), "constants")
    expect(str(row[5]), "12345678901234567890", "numeric")
    expect(conn.execute("select array[1,2,3]").fetchone(), ([1, 2, 3],), "array")
    expect(conn.execute("select '{\"a\": 1}'::jsonb").fetchone(), ({"a": 1},), "jsonb")
    rows = conn.execute("select n from generate_series(1, 1000) as n").fetchall()
    expect(rows, [(n,) for n in range(1, 1001)], "rows")


def parameters(conn):
    for prepare in (False, True, True):
        row = conn.execute("select %s::int4 + 1, %s::text", (41, "x"), prepare=prepare).fetchone()
        expect(row, (42, "x"), "parameters")
    row = conn.execute("select %b::int8, %b::text", (2**40, "é")).fetchone()
    expect(row, (2**40, "é"), "binary parameters")
    with conn.cursor(binary=True) as cur:
        cur.execute("select 7::int4, 'b'::text, '2024-02-29'::date, 1.25::numeric")
        row = cur.fetchone()
        expect((row[0], row[1], row[2].isoformat(), str(row[3])), (7, "b", "2024-02-29", "1.25"), "binary results")
    expect(conn.execute("select %s::jsonb", (Json([1, {"k": None}]),)).fetchone(), ([1, {"k": None}],), "json")


def failures(conn):
    expect_error(errors.DivisionByZero, "22012", "division", lambda: conn.execute("select 1/0"))
    conn.rollback()
    error = expect_error(errors.SyntaxError, "42601", "syntax", lambda: conn.execute("select from where"))
    expect(error.diag.severity, "ERROR", "severity")
    conn.rollback()
    expect_error(errors.UndefinedColumn, "42703", "column", lambda: conn.execute("select frob"))
    expect_error(errors.InFailedSqlTransaction, "25P02", "aborted", lambda: conn.execute("select 1"))
    conn.rollback()
    with conn.transaction():
        conn.execute("set local work_mem = '77kB'")
        expect(conn.execute("show work_mem").fetchone(), ("77kB",), "set local")
    expect(conn.execute("show work_mem").fetchone(), ("4MB",), "after the transaction")
    conn.rollback()


def nested(conn):
    try:
        with conn.transaction():
            with conn.transaction():
                conn.execute("select 1/0")
    except errors.DivisionByZero:
        pass
    expect(conn.info.transaction_status, psycopg.pq.TransactionStatus.IDLE, "savepoints")


def cancelled(conn):
    def cancel():
        # A cancel request for a statement that has not begun does nothing, so it is sent again until the answer is there.
        while not over.wait(0.05):
            conn.cancel_safe()

    over = threading.Event()
    thread = threading.Thread(target=cancel)
    began = time.monotonic()
    thread.start()
    try:
        expect_error(errors.QueryCanceled, "57014", "cancel", lambda: conn.execute("select pg_sleep(60)"))
    finally:
        over.set()
        thread.join()
    conn.rollback()
    if time.monotonic() - began > 30:
        raise AssertionError("the cancel came too late")


def pipelines(conn):
    with conn.pipeline() as pipeline:
        cursors = [conn.execute("select %s::int4 * 2", (n,)) for n in range(200)]
        pipeline.sync()
        expect([cur.fetchone()[0] for cur in cursors], [2 * n for n in range(200)], "pipeline")
    conn.commit()

    def fail():
        # psycopg raises at whichever call it has read the answer by, the end of the block at the latest.
        with conn.pipeline() as pipeline:
            conn.execute("select 'before'")
            conn.execute("select 1/%s::int4", (0,))
            conn.execute("select 'after'")
            pipeline.sync()

    expect_error(errors.DivisionByZero, "22012", "in a pipeline", fail)
    conn.rollback()
    expect(conn.execute("select 'alive'").fetchone(), ("alive",), "after the pipeline")
    conn.rollback()


def settings(conn):
    expect(conn.info.parameter_status("application_name"), "psycopg program", "application_name")
    expect(conn.info.parameter_status("client_encoding"), "UTF8", "client_encoding")
    if conn.info.server_version < 180000:
        raise AssertionError(conn.info.server_version)
    expect(conn.execute("select pg_backend_pid()").fetchone()[0], conn.info.backend_pid, "backend pid")
    sql = "select application_name, state from pg_stat_activity where pid = pg_backend_pid()"
    expect(conn.execute(sql).fetchone(), ("psycopg program", "active"), "pg_stat_activity")
    conn.rollback()


def run(conninfo):
    with psycopg.connect(conninfo, application_name="psycopg program") as conn:
        expect(conn.pgconn.ssl_in_use, "sslmode=verify-ca" in conninfo, "encryption")
        for test in (constants, parameters, failures, nested, cancelled, pipelines, settings):
            try:
                test(conn)
            except Exception as error:
                raise AssertionError(f"{conninfo}: {test.__name__}: {error!r}") from error


for argument in sys.argv[1:]:
    run(argument)
    print("passed", flush=True)
