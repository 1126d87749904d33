//! Where the server listens and whom it lets in.

use super::settings;
use crate::config::check::{lists, missing};
use crate::config::definition::{Choice, Definition, Key, MAX_INT, choice, int, switch, text, text_unset};
use crate::config::show;
use crate::config::units::Unit;

settings! {
    file connections;
    section "File Locations" {
        CONFIG_FILE: str = text_unset("config_file").postmaster().superuser_only().not_in_auto_file(),
            "Sets the server's main configuration file.";
        DATA_DIRECTORY: str = text_unset("data_directory").postmaster().superuser_only().not_in_auto_file(),
            "Sets the server's data directory.";
        EXTERNAL_PID_FILE: str = text_unset("external_pid_file").postmaster().superuser_only(),
            "Writes the postmaster PID to the specified file.";
        HBA_FILE: str = text_unset("hba_file").postmaster().superuser_only(),
            "Sets the server's \"hba\" configuration file.";
        IDENT_FILE: str = text_unset("ident_file").postmaster().superuser_only(),
            "Sets the server's \"ident\" configuration file.";
    }
    section "Connections and Authentication / Authentication" {
        AUTHENTICATION_TIMEOUT: i64 = int("authentication_timeout", 60, 1, 600).unit(Unit::Seconds).sighup(),
            "Sets the maximum allowed time to complete client authentication.";
        GSS_ACCEPT_DELEGATION: bool = switch("gss_accept_delegation", false).sighup(),
            "Sets whether GSSAPI delegation should be accepted from the client.";
        KRB_CASEINS_USERS: bool = switch("krb_caseins_users", false).sighup(),
            "Sets whether Kerberos and GSSAPI user names should be treated as case-insensitive.";
        KRB_SERVER_KEYFILE: str = text("krb_server_keyfile", "").sighup().superuser_only(),
            "Sets the location of the Kerberos server key file.";
        MD5_PASSWORD_WARNINGS: bool = switch("md5_password_warnings", true),
            "Enables deprecation warnings for MD5 passwords.";
        OAUTH_VALIDATOR_LIBRARIES: str = text("oauth_validator_libraries", "").sighup().quoted_list()
            .superuser_only().check(missing::library),
            "Lists libraries that may be called to validate OAuth v2 bearer tokens.";
        PASSWORD_ENCRYPTION: Choice = choice("password_encryption", "scram-sha-256", &["md5", "scram-sha-256"])
            .check(missing::password_encryption),
            "Chooses the algorithm for encrypting passwords.";
        SCRAM_ITERATIONS: i64 = int("scram_iterations", 4096, 1, MAX_INT).report(),
            "Sets the iteration count for SCRAM secret generation.";
    }
    section "Connections and Authentication / Connection Settings" {
        BONJOUR: bool = switch("bonjour", false).postmaster().check(missing::bonjour),
            "Enables advertising the server via Bonjour.";
        BONJOUR_NAME: str = text("bonjour_name", "").postmaster(),
            "Sets the Bonjour service name.",
            "An empty string means use the computer name.";
        LISTEN_ADDRESSES: str = text("listen_addresses", "localhost").postmaster().list()
            .check(lists::listen_addresses),
            "Sets the host name or IP address(es) to listen to.";
        MAX_CONNECTIONS: i64 = int("max_connections", 100, 1, 262_143).postmaster(),
            "Sets the maximum number of concurrent connections.";
        PORT: i64 = int("port", 5432, 1, 65_535).postmaster(),
            "Sets the TCP port the server listens on.";
        RESERVED_CONNECTIONS: i64 = int("reserved_connections", 0, 0, 262_143).postmaster(),
            "Sets the number of connection slots reserved for roles with privileges of \
             pg_use_reserved_connections.";
        SUPERUSER_RESERVED_CONNECTIONS: i64 = int("superuser_reserved_connections", 3, 0, 262_143)
            .postmaster(),
            "Sets the number of connection slots reserved for superusers.";
        UNIX_SOCKET_DIRECTORIES: str = text("unix_socket_directories", "/tmp").postmaster().quoted_list()
            .superuser_only().check(lists::directories),
            "Sets the directories where Unix-domain sockets will be created.";
        UNIX_SOCKET_GROUP: str = text("unix_socket_group", "").postmaster(),
            "Sets the owning group of the Unix-domain socket.",
            "The owning user of the socket is always the user that starts the server. An empty string means \
             use the user's default group.";
        UNIX_SOCKET_PERMISSIONS: i64 = int("unix_socket_permissions", 0o777, 0, 0o777).postmaster()
            .show(show::octal),
            "Sets the access permissions of the Unix-domain socket.",
            "Unix-domain sockets use the usual Unix file system permission set. The parameter value is \
             expected to be a numeric mode specification in the form accepted by the chmod and umask system \
             calls. (To use the customary octal format the number must start with a 0 (zero).)";
    }
    section "Connections and Authentication / SSL" {
        SSL: bool = switch("ssl", false).sighup(),
            "Enables SSL connections.";
        SSL_CA_FILE: str = text("ssl_ca_file", "").sighup(),
            "Location of the SSL certificate authority file.";
        SSL_CERT_FILE: str = text("ssl_cert_file", "server.crt").sighup(),
            "Location of the SSL server certificate file.";
        SSL_CIPHERS: str = text("ssl_ciphers", "HIGH:MEDIUM:+3DES:!aNULL").sighup().superuser_only(),
            "Sets the list of allowed TLSv1.2 (and lower) ciphers.";
        SSL_CRL_DIR: str = text("ssl_crl_dir", "").sighup(),
            "Location of the SSL certificate revocation list directory.";
        SSL_CRL_FILE: str = text("ssl_crl_file", "").sighup(),
            "Location of the SSL certificate revocation list file.";
        SSL_DH_PARAMS_FILE: str = text("ssl_dh_params_file", "").sighup().superuser_only(),
            "Location of the SSL DH parameters file.",
            "An empty string means use compiled-in default parameters.";
        SSL_GROUPS: str = text("ssl_groups", "X25519:prime256v1").sighup().superuser_only(),
            "Sets the group(s) to use for Diffie-Hellman key exchange.",
            "Multiple groups can be specified using a colon-separated list.";
        SSL_KEY_FILE: str = text("ssl_key_file", "server.key").sighup(),
            "Location of the SSL server private key file.";
        SSL_MAX_PROTOCOL_VERSION: Choice = choice("ssl_max_protocol_version", "", &["", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
            .sighup().superuser_only().check(missing::ssl_max_protocol_version),
            "Sets the maximum SSL/TLS protocol version to use.";
        SSL_MIN_PROTOCOL_VERSION: Choice = choice("ssl_min_protocol_version", "TLSv1.2", &["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
            .sighup().superuser_only(),
            "Sets the minimum SSL/TLS protocol version to use.";
        SSL_PASSPHRASE_COMMAND: str = text("ssl_passphrase_command", "").sighup().superuser_only(),
            "Command to obtain passphrases for SSL.",
            "An empty string means use the built-in prompting mechanism.";
        SSL_PASSPHRASE_COMMAND_SUPPORTS_RELOAD: bool = switch("ssl_passphrase_command_supports_reload", false)
            .sighup(),
            "Controls whether \"ssl_passphrase_command\" is called during server reload.";
        SSL_PREFER_SERVER_CIPHERS: bool = switch("ssl_prefer_server_ciphers", true).sighup(),
            "Give priority to server ciphersuite order.";
        SSL_TLS13_CIPHERS: str = text("ssl_tls13_ciphers", "").sighup().superuser_only(),
            "Sets the list of allowed TLSv1.3 cipher suites.",
            "An empty string means use the default cipher suites.";
    }
    section "Connections and Authentication / TCP Settings" {
        CLIENT_CONNECTION_CHECK_INTERVAL: i64 = int("client_connection_check_interval", 0, 0, MAX_INT)
            .unit(Unit::Milliseconds),
            "Sets the time interval between checks for disconnection while running queries.",
            "0 disables connection checks.";
        TCP_KEEPALIVES_COUNT: i64 = int("tcp_keepalives_count", 0, 0, MAX_INT).show(show::zero_without_tcp),
            "Maximum number of TCP keepalive retransmits.",
            "Number of consecutive keepalive retransmits that can be lost before a connection is considered \
             dead. 0 means use the system default.";
        TCP_KEEPALIVES_IDLE: i64 = int("tcp_keepalives_idle", 0, 0, MAX_INT).unit(Unit::Seconds)
            .show(show::zero_without_tcp),
            "Time between issuing TCP keepalives.",
            "0 means use the system default.";
        TCP_KEEPALIVES_INTERVAL: i64 = int("tcp_keepalives_interval", 0, 0, MAX_INT).unit(Unit::Seconds)
            .show(show::zero_without_tcp),
            "Time between TCP keepalive retransmits.",
            "0 means use the system default.";
        TCP_USER_TIMEOUT: i64 = int("tcp_user_timeout", 0, 0, MAX_INT).unit(Unit::Milliseconds)
            .show(show::zero_without_tcp),
            "TCP user timeout.",
            "0 means use the system default.";
    }
}
