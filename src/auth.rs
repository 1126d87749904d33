//! Who a client is: pg_hba.conf, pg_ident.conf, passwords, roles, and the machine that drives a client through them.
//!
//! Pure logic and files. Nothing here has a socket: the backend feeds [`authenticator::Authenticator`] with what it
//! received and sends what it is told to.

// One authentication, from the connection's facts to an identity or a refusal.
pub mod authenticator;
// Base64 as SCRAM writes it.
mod base64;
// What is wrong with one line of a file.
mod complaint;
// The databases there are until a catalog lists them.
pub mod databases;
// pg_hba.conf.
pub mod hba;
// Host names of clients, from /etc/hosts.
pub mod hosts;
// pg_ident.conf.
pub mod ident;
// This host's own addresses and networks.
mod interfaces;
// The two files as lines, includes read in.
pub mod lines;
// Whether a role may have a session.
pub mod login;
// MD5 passwords.
pub mod md5;
// Names as the two files match them.
pub mod names;
// Stored passwords of every kind.
pub mod password;
// The name of the user at the other end of a Unix socket.
pub mod peer;
// Random bytes.
mod random;
// Roles, in a file until there is a catalog.
pub mod roles;
// SCRAM-SHA-256, both sides.
pub mod scram;
// A folder for one test.
#[cfg(test)]
mod scratch;
// The files of the system that are read.
pub mod system;
// One line as fields of tokens.
pub mod tokens;
