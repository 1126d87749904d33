//! Catalogs that all databases share. Columns and OIDs are PostgreSQL 18's.

use super::catalogs;

catalogs! {
    /// Databases.
    PgDatabase PG_DATABASE = 1262 "pg_database" shared type 1248 {
        oid: Oid, datname: Name, datdba: Oid, encoding: Int4, datlocprovider: Char, datistemplate: Bool,
        datallowconn: Bool, dathasloginevt: Bool, datconnlimit: Int4, datfrozenxid: Xid,
        datminmxid: Xid, dattablespace: Oid, datcollate: Text, datctype: Text, datlocale: Opt<Text>,
        daticurules: Opt<Text>, datcollversion: Opt<Text>, datacl: Opt<Acl>,
    }
    indexes {
        PG_DATABASE_DATNAME_INDEX = 2671 "pg_database_datname_index" unique (datname),
        PG_DATABASE_OID_INDEX = 2672 "pg_database_oid_index" primary (oid),
    }
    /// Roles.
    PgAuthid PG_AUTHID = 1260 "pg_authid" shared type 2842 {
        oid: Oid, rolname: Name, rolsuper: Bool, rolinherit: Bool, rolcreaterole: Bool,
        rolcreatedb: Bool, rolcanlogin: Bool, rolreplication: Bool, rolbypassrls: Bool,
        rolconnlimit: Int4, rolpassword: Opt<Text>, rolvaliduntil: Opt<Timestamptz>,
    }
    indexes {
        PG_AUTHID_ROLNAME_INDEX = 2676 "pg_authid_rolname_index" unique (rolname),
        PG_AUTHID_OID_INDEX = 2677 "pg_authid_oid_index" primary (oid),
    }
    /// Who is a member of which role.
    PgAuthMembers PG_AUTH_MEMBERS = 1261 "pg_auth_members" shared type 2843 {
        oid: Oid, roleid: Oid, member: Oid, grantor: Oid, admin_option: Bool, inherit_option: Bool,
        set_option: Bool,
    }
    indexes {
        PG_AUTH_MEMBERS_ROLE_MEMBER_INDEX = 2694 "pg_auth_members_role_member_index" unique (roleid, member, grantor),
        PG_AUTH_MEMBERS_MEMBER_ROLE_INDEX = 2695 "pg_auth_members_member_role_index" unique (member, roleid, grantor),
        PG_AUTH_MEMBERS_GRANTOR_INDEX = 6302 "pg_auth_members_grantor_index" plain (grantor),
        PG_AUTH_MEMBERS_OID_INDEX = 6303 "pg_auth_members_oid_index" primary (oid),
    }
    /// Settings of roles and databases.
    PgDbRoleSetting PG_DB_ROLE_SETTING = 2964 "pg_db_role_setting" shared type 10054 {
        setdatabase: Oid, setrole: Oid, setconfig: Opt<Texts>,
    }
    indexes {
        PG_DB_ROLE_SETTING_DATABASEID_ROL_INDEX = 2965 "pg_db_role_setting_databaseid_rol_index" primary (setdatabase, setrole),
    }
    /// Tablespaces.
    PgTablespace PG_TABLESPACE = 1213 "pg_tablespace" shared type 10056 {
        oid: Oid, spcname: Name, spcowner: Oid, spcacl: Opt<Acl>, spcoptions: Opt<Texts>,
    }
    indexes {
        PG_TABLESPACE_OID_INDEX = 2697 "pg_tablespace_oid_index" primary (oid),
        PG_TABLESPACE_SPCNAME_INDEX = 2698 "pg_tablespace_spcname_index" unique (spcname),
    }
    /// Which object needs which shared one.
    PgShdepend PG_SHDEPEND = 1214 "pg_shdepend" shared type 10060 {
        dbid: Oid, classid: Oid, objid: Oid, objsubid: Int4, refclassid: Oid, refobjid: Oid,
        deptype: Char,
    }
    indexes {
        PG_SHDEPEND_DEPENDER_INDEX = 1232 "pg_shdepend_depender_index" plain (dbid, classid, objid, objsubid),
        PG_SHDEPEND_REFERENCE_INDEX = 1233 "pg_shdepend_reference_index" plain (refclassid, refobjid),
    }
    /// Comments on shared objects.
    PgShdescription PG_SHDESCRIPTION = 2396 "pg_shdescription" shared type 10062 {
        objoid: Oid, classoid: Oid, description: Text,
    }
    indexes {
        PG_SHDESCRIPTION_O_C_INDEX = 2397 "pg_shdescription_o_c_index" primary (objoid, classoid),
    }
}
