//! Versions and help texts of each program that this one can be called as.

use super::program::Program;

/// PostgreSQL's major version, as in `PG_VERSION`.
pub const MAJOR_VERSION: &str = "18";

/// The version of PostgreSQL that clients are told.
pub const SERVER_VERSION: &str = "18.4";

/// tuskd's own version.
pub const TUSKD_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `--version` prints: PostgreSQL's line, which scripts take apart at the blanks, and ours behind it.
pub fn version(name: &str) -> String {
    format!("{name} (PostgreSQL) {SERVER_VERSION} (tuskd {TUSKD_VERSION})\n")
}

/// `tuskd --help`.
pub fn tuskd() -> String {
    format!(
        "tuskd {TUSKD_VERSION} is a PostgreSQL-compatible database server for Linux.

Usage:
  tuskd run        [-D DIR] [-p PORT] [-k SOCKETDIR] [-c NAME=VALUE]... [--user NAME]
  tuskd init       [-D DIR] [-U OWNER] [-A METHOD] [--user NAME] ...
  tuskd start      [-D DIR] [-l FILE] [-W] [-t SECS] [-s] [-o OPTIONS] [-p PORT] [-k SOCKETDIR]
                   [-c NAME=VALUE]... [--end-orphans] [--user NAME]
  tuskd stop       [-D DIR] [-m smart|fast|immediate] [-W] [-t SECS] [-s]
  tuskd restart    as stop and start
  tuskd reload     [-D DIR] [-s]
  tuskd status     [-D DIR]
  tuskd promote    [-D DIR]
  tuskd logrotate  [-D DIR] [-s]
  tuskd kill       SIGNAL PID
  tuskd isready    [-h HOST] [-p PORT] [-d DBNAME] [-U USER] [-t SECS] [-q]
  tuskd top        [-D DIR] [-d SECONDS] [-n COUNT]
  tuskd doctor     [-D DIR] [--json]
  tuskd waldump    [-D DIR] [-s LSN] [-e LSN] [-n COUNT] [-r RMGR] [-x XID] [-t TIMELINE] [--json] [SEGMENTFILE]
  tuskd controldata [-D DIR]
  tuskd checksums  [-D DIR] [-c] [-f FILENODE] [-P] [-v]
  tuskd install-links DIR
  tuskd demo

As root, --user NAME gives up root's rights for NAME's before anything is made or started.
Without -D the data directory is $PGDATA, or tuskd-data in the current directory.
  run            runs a server in the foreground; an absent or empty data directory is made first
  init           makes a data directory (\"tuskd init --help\" lists its options)
  start          runs a server in the background and waits until it is ready
  top            shows the server's processes, what they wait for, and for how long
  doctor         looks for what makes this machine slow or dangerous for a server, and says what mends it
  waldump        shows the records of the write-ahead log, a line each
  controldata    shows the control file
  checksums      looks whether every page of a stopped server is what was written there
  install-links  makes links to this program in DIR: postgres, postmaster, pg_ctl, initdb, pg_isready,
                 pg_controldata, pg_checksums. Called by one of these names it takes that program's options.
"
    )
}

/// `initdb --help`.
pub fn init(program: &Program) -> String {
    format!(
        "{command} makes a new data directory.

Usage:
  {command} [OPTION]... [DATADIR]

Options:
  -A, --auth=METHOD         authentication method for local connections
      --auth-host=METHOD    authentication method for TCP connections from this machine
      --auth-local=METHOD   authentication method for connections through the Unix socket
                            (default: the superuser by peer, everybody else by scram-sha-256)
 [-D, --pgdata=]DATADIR     the directory to be made
  -E, --encoding=UTF8       encoding; there is no other
  -g, --allow-group-access  let the directory's group read it
  -k, --data-checksums      page checksums; they are always on
      --locale=C            locale; there is no other
      --no-locale           the same
      --pwfile=FILE         read the superuser's password from the first line of a file
  -T, --text-search-config=CFG
                            default text search configuration
  -U, --username=NAME       name of the superuser (default: your own)
  -W, --pwprompt            ask for the superuser's password
  -c, --set NAME=VALUE      write a setting into postgresql.conf
  -n, --no-clean            leave what a failed attempt made
  -N, --no-sync             do not wait until everything is on disk
      --no-instructions     do not say what comes next
  -S, --sync-only           put an existing directory on disk, then exit
  -V, --version             print the version, then exit
  -?, --help                print this, then exit

Without a data directory, the environment variable PGDATA is used.
",
        command = program.command
    )
}

/// `postgres --help`.
pub fn postgres(program: &Program) -> String {
    format!(
        "{command} is the server.

Usage:
  {command} [OPTION]...

Options:
  -B NBUFFERS        number of shared buffers
  -c NAME=VALUE      set a setting
  -C NAME            print a setting, then exit
  -d 1-5             debugging level
  -D DATADIR         data directory
  -e                 European date input (DMY)
  -F                 turn fsync off
  -h HOSTNAME        host name or address to listen on
  -i                 listen on all addresses (deprecated)
  -k DIRECTORY       directory of the Unix socket
  -l                 enable TLS
  -N MAX-CONNECT     maximum number of connections
  -p PORT            port to listen on
  -S WORK-MEM        memory for sorts, in kB
  -V, --version      print the version, then exit
  --NAME=VALUE       set a setting
  -?, --help         print this, then exit

Developer options:
  -f s|i|o|b|t|n|m|h forbid some kinds of plan
  -O                 allow changes of system tables
  -P                 do not use system indexes
  -s                 log statistics after each statement
  -t pa|pl|ex        log timings after each statement
  -T                 abort all sessions if one dies
  -W NUM             wait NUM seconds after authentication

Single-user mode (--single) and bootstrapping mode (--boot) are not supported.
",
        command = program.command
    )
}

/// `pg_ctl --help`.
pub fn pg_ctl() -> String {
    "pg_ctl makes, starts, stops and controls a server.

Usage:
  pg_ctl init[db]   [-D DATADIR] [-s] [-o OPTIONS]
  pg_ctl start      [-D DATADIR] [-l FILENAME] [-W] [-t SECS] [-s] [-o OPTIONS] [-p PATH] [-c]
                    [--end-orphans]
  pg_ctl stop       [-D DATADIR] [-m SHUTDOWN-MODE] [-W] [-t SECS] [-s]
  pg_ctl restart    [-D DATADIR] [-m SHUTDOWN-MODE] [-W] [-t SECS] [-s] [-o OPTIONS] [-c]
  pg_ctl reload     [-D DATADIR] [-s]
  pg_ctl status     [-D DATADIR]
  pg_ctl promote    [-D DATADIR] [-W] [-t SECS] [-s]
  pg_ctl logrotate  [-D DATADIR] [-s]
  pg_ctl kill       SIGNALNAME PID

Common options:
  -D, --pgdata=DATADIR   data directory (default: the environment variable PGDATA)
  -s, --silent           print errors only
  -t, --timeout=SECS     seconds to wait (default 60, or PGCTLTIMEOUT)
  -V, --version          print the version, then exit
  -w, --wait             wait until it is done (default)
  -W, --no-wait          do not wait
  -?, --help             print this, then exit

Options for start or restart:
  -c, --core-files       let the server write core files
  -l, --log=FILENAME     append the server's output to FILENAME
  -o, --options=OPTIONS  options for the server, or for initdb
  -p PATH-TO-POSTGRES    normally not necessary
      --end-orphans      end sessions that outlived their postmaster first

Options for stop or restart:
  -m, --mode=MODE        \"smart\": when all clients have left; \"fast\" (default): clients are disconnected;
                         \"immediate\": without a proper shutdown, recovery at the next start

Signals for kill:
  ABRT HUP INT KILL QUIT TERM USR1 USR2
"
    .to_owned()
}

/// `pg_controldata --help`.
pub fn controldata(program: &Program) -> String {
    format!(
        "{command} shows the control file of a data directory.

Usage:
  {command} [OPTION] [DATADIR]

Options:
 [-D, --pgdata=]DATADIR  data directory
  -V, --version          print the version, then exit
  -?, --help             print this, then exit

Without a data directory, the environment variable PGDATA is used.
",
        command = program.command
    )
}

/// `pg_checksums --help`.
pub fn checksums(program: &Program) -> String {
    format!(
        "{command} looks whether every page of a stopped server is what was written there.

Usage:
  {command} [OPTION]... [DATADIR]

Options:
 [-D, --pgdata=]DATADIR    data directory
  -c, --check              check checksums (default)
  -d, --disable            refused: checksums are always on
  -e, --enable             refused: checksums are always on
  -f, --filenode=FILENODE  check the relation with this file number only
  -N, --no-sync            nothing is written, so there is nothing to wait for
  -P, --progress           show how far it is
      --sync-method=METHOD the same
  -v, --verbose            name each file
  -V, --version            print the version, then exit
  -?, --help               print this, then exit

Without a data directory, the environment variable PGDATA is used.
",
        command = program.command
    )
}

/// `pg_isready --help`.
pub fn pg_isready() -> String {
    "pg_isready tells whether a server accepts connections.

Usage:
  pg_isready [OPTION]...

Options:
  -d, --dbname=DBNAME      database name, or a connection string
  -q, --quiet              say nothing
  -V, --version            print the version, then exit
  -?, --help               print this, then exit

Connection options:
  -h, --host=HOSTNAME      host name or socket directory
  -p, --port=PORT          port
  -t, --timeout=SECS       seconds to wait, 0 without limit (default: 3)
  -U, --username=USERNAME  user name

Exit code: 0 accepting connections, 1 rejecting them (starting up, for example), 2 no response, 3 no attempt was made.
"
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_can_be_taken_apart() {
        let text = version("postgres");
        assert_eq!(text.split(' ').nth(2), Some("18.4"));
        assert!(SERVER_VERSION.starts_with(MAJOR_VERSION));
    }
}
