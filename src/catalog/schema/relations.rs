//! Catalogs of relations. Columns and OIDs are PostgreSQL 18's.

use super::catalogs;

catalogs! {
    /// Relations.
    PgClass PG_CLASS = 1259 "pg_class" local type 83 {
        oid: Oid, relname: Name, relnamespace: Oid, reltype: Oid, reloftype: Oid, relowner: Oid,
        relam: Oid, relfilenode: Oid, reltablespace: Oid, relpages: Int4, reltuples: Float4,
        relallvisible: Int4, relallfrozen: Int4, reltoastrelid: Oid, relhasindex: Bool,
        relisshared: Bool, relpersistence: Char, relkind: Char, relnatts: Int2, relchecks: Int2,
        relhasrules: Bool, relhastriggers: Bool, relhassubclass: Bool, relrowsecurity: Bool,
        relforcerowsecurity: Bool, relispopulated: Bool, relreplident: Char, relispartition: Bool,
        relrewrite: Oid, relfrozenxid: Xid, relminmxid: Xid, relacl: Opt<Acl>, reloptions: Opt<Texts>,
        relpartbound: Opt<NodeTree>,
    }
    indexes {
        PG_CLASS_OID_INDEX = 2662 "pg_class_oid_index" primary (oid),
        PG_CLASS_RELNAME_NSP_INDEX = 2663 "pg_class_relname_nsp_index" unique (relname, relnamespace),
        PG_CLASS_TBLSPC_RELFILENODE_INDEX = 3455 "pg_class_tblspc_relfilenode_index" plain (reltablespace, relfilenode),
    }
    /// Relations' columns.
    PgAttribute PG_ATTRIBUTE = 1249 "pg_attribute" local type 75 {
        attrelid: Oid, attname: Name, atttypid: Oid, attlen: Int2, attnum: Int2, atttypmod: Int4,
        attndims: Int2, attbyval: Bool, attalign: Char, attstorage: Char, attcompression: Char,
        attnotnull: Bool, atthasdef: Bool, atthasmissing: Bool, attidentity: Char, attgenerated: Char,
        attisdropped: Bool, attislocal: Bool, attinhcount: Int2, attcollation: Oid,
        attstattarget: Opt<Int2>, attacl: Opt<Acl>, attoptions: Opt<Texts>, attfdwoptions: Opt<Texts>,
        attmissingval: Opt<AnyArray>,
    }
    indexes {
        PG_ATTRIBUTE_RELID_ATTNAM_INDEX = 2658 "pg_attribute_relid_attnam_index" unique (attrelid, attname),
        PG_ATTRIBUTE_RELID_ATTNUM_INDEX = 2659 "pg_attribute_relid_attnum_index" primary (attrelid, attnum),
    }
    /// Columns' defaults, as SQL text.
    PgAttrdef PG_ATTRDEF = 2604 "pg_attrdef" local type 10001 {
        oid: Oid, adrelid: Oid, adnum: Int2, adbin: NodeTree,
    }
    indexes {
        PG_ATTRDEF_ADRELID_ADNUM_INDEX = 2656 "pg_attrdef_adrelid_adnum_index" unique (adrelid, adnum),
        PG_ATTRDEF_OID_INDEX = 2657 "pg_attrdef_oid_index" primary (oid),
    }
    /// Indexes.
    PgIndex PG_INDEX = 2610 "pg_index" local type 10007 {
        indexrelid: Oid, indrelid: Oid, indnatts: Int2, indnkeyatts: Int2, indisunique: Bool,
        indnullsnotdistinct: Bool, indisprimary: Bool, indisexclusion: Bool, indimmediate: Bool,
        indisclustered: Bool, indisvalid: Bool, indcheckxmin: Bool, indisready: Bool, indislive: Bool,
        indisreplident: Bool, indkey: Int2Vector, indcollation: OidVector, indclass: OidVector,
        indoption: Int2Vector, indexprs: Opt<NodeTree>, indpred: Opt<NodeTree>,
    }
    indexes {
        PG_INDEX_INDRELID_INDEX = 2678 "pg_index_indrelid_index" plain (indrelid),
        PG_INDEX_INDEXRELID_INDEX = 2679 "pg_index_indexrelid_index" primary (indexrelid),
    }
    /// Sequences' parameters.
    PgSequence PG_SEQUENCE = 2224 "pg_sequence" local type 10105 {
        seqrelid: Oid, seqtypid: Oid, seqstart: Int8, seqincrement: Int8, seqmax: Int8, seqmin: Int8,
        seqcache: Int8, seqcycle: Bool,
    }
    indexes {
        PG_SEQUENCE_SEQRELID_INDEX = 5002 "pg_sequence_seqrelid_index" primary (seqrelid),
    }
    /// Views' queries, as SQL text.
    PgRewrite PG_REWRITE = 2618 "pg_rewrite" local type 10035 {
        oid: Oid, rulename: Name, ev_class: Oid, ev_type: Char, ev_enabled: Char, is_instead: Bool,
        ev_qual: NodeTree, ev_action: NodeTree,
    }
    indexes {
        PG_REWRITE_OID_INDEX = 2692 "pg_rewrite_oid_index" primary (oid),
        PG_REWRITE_REL_RULENAME_INDEX = 2693 "pg_rewrite_rel_rulename_index" unique (ev_class, rulename),
    }
    /// Which table inherits from which.
    PgInherits PG_INHERITS = 2611 "pg_inherits" local type 10005 {
        inhrelid: Oid, inhparent: Oid, inhseqno: Int4, inhdetachpending: Bool,
    }
    indexes {
        PG_INHERITS_PARENT_INDEX = 2187 "pg_inherits_parent_index" plain (inhparent),
        PG_INHERITS_RELID_SEQNO_INDEX = 2680 "pg_inherits_relid_seqno_index" primary (inhrelid, inhseqno),
    }
}
