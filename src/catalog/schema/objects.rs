//! Catalogs of what else a database has. Columns and OIDs are PostgreSQL 18's.

use super::catalogs;

catalogs! {
    /// Schemas.
    PgNamespace PG_NAMESPACE = 2615 "pg_namespace" local type 10047 {
        oid: Oid, nspname: Name, nspowner: Oid, nspacl: Opt<Acl>,
    }
    indexes {
        PG_NAMESPACE_NSPNAME_INDEX = 2684 "pg_namespace_nspname_index" unique (nspname),
        PG_NAMESPACE_OID_INDEX = 2685 "pg_namespace_oid_index" primary (oid),
    }
    /// Types.
    PgType PG_TYPE = 1247 "pg_type" local type 71 {
        oid: Oid, typname: Name, typnamespace: Oid, typowner: Oid, typlen: Int2, typbyval: Bool,
        typtype: Char, typcategory: Char, typispreferred: Bool, typisdefined: Bool, typdelim: Char,
        typrelid: Oid, typsubscript: Regproc, typelem: Oid, typarray: Oid, typinput: Regproc,
        typoutput: Regproc, typreceive: Regproc, typsend: Regproc, typmodin: Regproc,
        typmodout: Regproc, typanalyze: Regproc, typalign: Char, typstorage: Char, typnotnull: Bool,
        typbasetype: Oid, typtypmod: Int4, typndims: Int4, typcollation: Oid,
        typdefaultbin: Opt<NodeTree>, typdefault: Opt<Text>, typacl: Opt<Acl>,
    }
    indexes {
        PG_TYPE_OID_INDEX = 2703 "pg_type_oid_index" primary (oid),
        PG_TYPE_TYPNAME_NSP_INDEX = 2704 "pg_type_typname_nsp_index" unique (typname, typnamespace),
    }
    /// Constraints.
    PgConstraint PG_CONSTRAINT = 2606 "pg_constraint" local type 10003 {
        oid: Oid, conname: Name, connamespace: Oid, contype: Char, condeferrable: Bool,
        condeferred: Bool, conenforced: Bool, convalidated: Bool, conrelid: Oid, contypid: Oid,
        conindid: Oid, conparentid: Oid, confrelid: Oid, confupdtype: Char, confdeltype: Char,
        confmatchtype: Char, conislocal: Bool, coninhcount: Int2, connoinherit: Bool, conperiod: Bool,
        conkey: Opt<Int2s>, confkey: Opt<Int2s>, conpfeqop: Opt<Oids>, conppeqop: Opt<Oids>,
        conffeqop: Opt<Oids>, confdelsetcols: Opt<Int2s>, conexclop: Opt<Oids>, conbin: Opt<NodeTree>,
    }
    indexes {
        PG_CONSTRAINT_CONPARENTID_INDEX = 2579 "pg_constraint_conparentid_index" plain (conparentid),
        PG_CONSTRAINT_CONNAME_NSP_INDEX = 2664 "pg_constraint_conname_nsp_index" plain (conname, connamespace),
        PG_CONSTRAINT_CONRELID_CONTYPID_CONNAME_INDEX = 2665 "pg_constraint_conrelid_contypid_conname_index" unique (conrelid, contypid, conname),
        PG_CONSTRAINT_CONTYPID_INDEX = 2666 "pg_constraint_contypid_index" plain (contypid),
        PG_CONSTRAINT_OID_INDEX = 2667 "pg_constraint_oid_index" primary (oid),
    }
    /// Which object needs which.
    PgDepend PG_DEPEND = 2608 "pg_depend" local type 10051 {
        classid: Oid, objid: Oid, objsubid: Int4, refclassid: Oid, refobjid: Oid, refobjsubid: Int4,
        deptype: Char,
    }
    indexes {
        PG_DEPEND_DEPENDER_INDEX = 2673 "pg_depend_depender_index" plain (classid, objid, objsubid),
        PG_DEPEND_REFERENCE_INDEX = 2674 "pg_depend_reference_index" plain (refclassid, refobjid, refobjsubid),
    }
    /// Comments.
    PgDescription PG_DESCRIPTION = 2609 "pg_description" local type 10041 {
        objoid: Oid, classoid: Oid, objsubid: Int4, description: Text,
    }
    indexes {
        PG_DESCRIPTION_O_C_O_INDEX = 2675 "pg_description_o_c_o_index" primary (objoid, classoid, objsubid),
    }
    /// What ANALYZE found out about columns.
    PgStatistic PG_STATISTIC = 2619 "pg_statistic" local type 10029 {
        starelid: Oid, staattnum: Int2, stainherit: Bool, stanullfrac: Float4, stawidth: Int4,
        stadistinct: Float4, stakind1: Int2, stakind2: Int2, stakind3: Int2, stakind4: Int2,
        stakind5: Int2, staop1: Oid, staop2: Oid, staop3: Oid, staop4: Oid, staop5: Oid, stacoll1: Oid,
        stacoll2: Oid, stacoll3: Oid, stacoll4: Oid, stacoll5: Oid, stanumbers1: Opt<Float4s>,
        stanumbers2: Opt<Float4s>, stanumbers3: Opt<Float4s>, stanumbers4: Opt<Float4s>,
        stanumbers5: Opt<Float4s>, stavalues1: Opt<AnyArray>, stavalues2: Opt<AnyArray>,
        stavalues3: Opt<AnyArray>, stavalues4: Opt<AnyArray>, stavalues5: Opt<AnyArray>,
    }
    indexes {
        PG_STATISTIC_RELID_ATT_INH_INDEX = 2696 "pg_statistic_relid_att_inh_index" primary (starelid, staattnum, stainherit),
    }
}
