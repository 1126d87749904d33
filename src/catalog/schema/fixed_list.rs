//! Catalogs whose rows the program makes, or that have none yet: their columns, as PostgreSQL 18 has them.
//!
//! What PostgreSQL has as arrays of statistics rows are arrays of records here. A type stands behind `?` where the
//! column may be null.

use super::{FixedTable, fixed_tables};

fixed_tables! {
    2600 "pg_aggregate" local type 10027 "aggfnoid regproc, aggkind char, aggnumdirectargs int2, aggtransfn regproc, \
        aggfinalfn regproc, aggcombinefn regproc, aggserialfn regproc, aggdeserialfn regproc, \
        aggmtransfn regproc, aggminvtransfn regproc, aggmfinalfn regproc, aggfinalextra bool, \
        aggmfinalextra bool, aggfinalmodify char, aggmfinalmodify char, aggsortop oid, \
        aggtranstype oid, aggtransspace int4, aggmtranstype oid, aggmtransspace int4, \
        agginitval text?, aggminitval text?";
    2601 "pg_am" local type 10015 "oid oid, amname name, amhandler regproc, amtype char";
    2602 "pg_amop" local type 10017 "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, \
        amoppurpose char, amopopr oid, amopmethod oid, amopsortfamily oid";
    2603 "pg_amproc" local type 10019 "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, amprocnum int2, \
        amproc regproc";
    2605 "pg_cast" local type 10043 "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, \
        castmethod char";
    3456 "pg_collation" local type 10095 "oid oid, collname name, collnamespace oid, collowner oid, collprovider char, \
        collisdeterministic bool, collencoding int4, collcollate text?, collctype text?, \
        colllocale text?, collicurules text?, collversion text?";
    2607 "pg_conversion" local type 10049 "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, \
        contoencoding int4, conproc regproc, condefault bool";
    826 "pg_default_acl" local type 10088 "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl _aclitem";
    3501 "pg_enum" local type 10045 "oid oid, enumtypid oid, enumsortorder float4, enumlabel name";
    3466 "pg_event_trigger" local type 10039 "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, \
        evttags _text?";
    3079 "pg_extension" local type 10074 "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, \
        extversion text, extconfig _oid?, extcondition _text?";
    2328 "pg_foreign_data_wrapper" local type 10076 "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, \
        fdwacl _aclitem?, fdwoptions _text?";
    1417 "pg_foreign_server" local type 10078 "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text?, srvversion text?, \
        srvacl _aclitem?, srvoptions _text?";
    3118 "pg_foreign_table" local type 10082 "ftrelid oid, ftserver oid, ftoptions _text?";
    3394 "pg_init_privs" local type 10090 "objoid oid, classoid oid, objsubid int4, privtype char, initprivs _aclitem";
    2612 "pg_language" local type 10021 "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, \
        lanplcallfoid oid, laninline oid, lanvalidator oid, lanacl _aclitem?";
    2613 "pg_largeobject" local type 10025 "loid oid, pageno int4, data bytea";
    2995 "pg_largeobject_metadata" local type 10023 "oid oid, lomowner oid, lomacl _aclitem?";
    2616 "pg_opclass" local type 10013 "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, opcfamily oid, \
        opcintype oid, opcdefault bool, opckeytype oid";
    2617 "pg_operator" local type 10009 "oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, oprcanmerge bool, \
        oprcanhash bool, oprleft oid, oprright oid, oprresult oid, oprcom oid, oprnegate oid, \
        oprcode regproc, oprrest regproc, oprjoin regproc";
    2753 "pg_opfamily" local type 10011 "oid oid, opfmethod oid, opfname name, opfnamespace oid, opfowner oid";
    6243 "pg_parameter_acl" shared type 10097 "oid oid, parname text, paracl _aclitem?";
    3350 "pg_partitioned_table" local type 10099 "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, \
        partclass oidvector, partcollation oidvector, partexprs pg_node_tree?";
    3256 "pg_policy" local type 10084 "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles _oid, \
        polqual pg_node_tree?, polwithcheck pg_node_tree?";
    1255 "pg_proc" local type 81 "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, procost float4, \
        prorows float4, provariadic oid, prosupport regproc, prokind char, prosecdef bool, \
        proleakproof bool, proisstrict bool, proretset bool, provolatile char, \
        proparallel char, pronargs int2, pronargdefaults int2, prorettype oid, \
        proargtypes oidvector, proallargtypes _oid?, proargmodes _char?, proargnames _text?, \
        proargdefaults pg_node_tree?, protrftypes _oid?, prosrc text, probin text?, \
        prosqlbody pg_node_tree?, proconfig _text?, proacl _aclitem?";
    6104 "pg_publication" local type 10107 "oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, \
        pubdelete bool, pubtruncate bool, pubviaroot bool, pubgencols char";
    6237 "pg_publication_namespace" local type 10109 "oid oid, pnpubid oid, pnnspid oid";
    6106 "pg_publication_rel" local type 10111 "oid oid, prpubid oid, prrelid oid, prqual pg_node_tree?, prattrs int2vector?";
    3541 "pg_range" local type 10101 "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, \
        rngcanonical regproc, rngsubdiff regproc";
    6000 "pg_replication_origin" shared type 10086 "roident oid, roname text";
    3596 "pg_seclabel" local type 10092 "objoid oid, classoid oid, objsubid int4, provider text, label text";
    3592 "pg_shseclabel" shared type 4066 "objoid oid, classoid oid, provider text, label text";
    3381 "pg_statistic_ext" local type 10031 "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, \
        stxkeys int2vector, stxstattarget int2?, stxkind _char, stxexprs pg_node_tree?";
    3429 "pg_statistic_ext_data" local type 10033 "stxoid oid, stxdinherit bool, stxdndistinct pg_ndistinct?, \
        stxddependencies pg_dependencies?, stxdmcv pg_mcv_list?, stxdexpr _record?";
    6100 "pg_subscription" shared type 6101 "oid oid, subdbid oid, subskiplsn pg_lsn, subname name, subowner oid, subenabled bool, \
        subbinary bool, substream char, subtwophasestate char, subdisableonerr bool, \
        subpasswordrequired bool, subrunasowner bool, subfailover bool, subconninfo text, \
        subslotname name?, subsynccommit text, subpublications _text, suborigin text?";
    6102 "pg_subscription_rel" local type 10114 "srsubid oid, srrelid oid, srsubstate char, srsublsn pg_lsn?";
    3576 "pg_transform" local type 10103 "oid oid, trftype oid, trflang oid, trffromsql regproc, trftosql regproc";
    2620 "pg_trigger" local type 10037 "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, \
        tgenabled char, tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, \
        tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, \
        tgattr int2vector, tgargs bytea, tgqual pg_node_tree?, tgoldtable name?, \
        tgnewtable name?";
    3602 "pg_ts_config" local type 10064 "oid oid, cfgname name, cfgnamespace oid, cfgowner oid, cfgparser oid";
    3603 "pg_ts_config_map" local type 10066 "mapcfg oid, maptokentype int4, mapseqno int4, mapdict oid";
    3600 "pg_ts_dict" local type 10068 "oid oid, dictname name, dictnamespace oid, dictowner oid, dicttemplate oid, \
        dictinitoption text?";
    3601 "pg_ts_parser" local type 10070 "oid oid, prsname name, prsnamespace oid, prsstart regproc, prstoken regproc, \
        prsend regproc, prsheadline regproc, prslextype regproc";
    3764 "pg_ts_template" local type 10072 "oid oid, tmplname name, tmplnamespace oid, tmplinit regproc, tmpllexize regproc";
    1418 "pg_user_mapping" local type 10080 "oid oid, umuser oid, umserver oid, umoptions _text?";
}
