//! Rows of small catalogs that never change: access methods, collations, languages, operator classes and families of
//! B-trees.
//!
//! A line is a row, its values in the order of the catalog's columns; `~` is null.

use super::columns::{Acl, Bool, Char, Int2, Int4, Kind, Name, Oid, Regproc, Text};
use super::schema::{FixedTable, fixed_by_oid};
use super::types::oids;
use crate::access::row::OwnedDatum;

/// Access methods.
const PG_AM: &str = "\
2 heap 3 t
403 btree 330 i
";

/// Collations.
const PG_COLLATION: &str = "\
100 default 11 10 d true -1 ~ ~ ~ ~ ~
950 C 11 10 c true -1 C C ~ ~ ~
951 POSIX 11 10 c true -1 POSIX POSIX ~ ~ ~
";

/// Languages.
const PG_LANGUAGE: &str = "\
12 internal 10 false false 0 0 2246 ~
13 c 10 false false 0 0 2247 ~
14 sql 10 false true 0 0 2248 ~
";

/// Operator classes.
const PG_OPCLASS: &str = "\
1978 403 int4_ops 11 10 1976 23 true 0
1979 403 int2_ops 11 10 1976 21 true 0
1981 403 oid_ops 11 10 1989 26 true 0
3122 403 date_ops 11 10 434 1082 true 0
3123 403 float8_ops 11 10 1970 701 true 0
3124 403 int8_ops 11 10 1976 20 true 0
3125 403 numeric_ops 11 10 1988 1700 true 0
3126 403 text_ops 11 10 1994 25 true 0
3127 403 timestamptz_ops 11 10 434 1184 true 0
3128 403 timestamp_ops 11 10 434 1114 true 0
4217 403 text_pattern_ops 11 10 2095 25 false 0
4218 403 varchar_pattern_ops 11 10 2095 25 false 0
4219 403 bpchar_pattern_ops 11 10 2097 1042 false 0
10000 403 array_ops 11 10 397 2277 true 0
10002 403 bit_ops 11 10 423 1560 true 0
10003 403 bool_ops 11 10 424 16 true 0
10004 403 bpchar_ops 11 10 426 1042 true 0
10006 403 bytea_ops 11 10 428 17 true 0
10007 403 char_ops 11 10 429 18 true 0
10009 403 cidr_ops 11 10 1974 869 false 0
10012 403 float4_ops 11 10 1970 700 true 0
10015 403 inet_ops 11 10 1974 869 true 0
10022 403 interval_ops 11 10 1982 1186 true 0
10024 403 macaddr_ops 11 10 1984 829 true 0
10026 403 macaddr8_ops 11 10 3371 774 true 0
10028 403 name_ops 11 10 1994 19 true 2275
10032 403 oidvector_ops 11 10 1991 30 true 0
10034 403 record_ops 11 10 2994 2249 true 0
10036 403 record_image_ops 11 10 3194 2249 false 0
10038 403 time_ops 11 10 1996 1083 true 0
10041 403 timetz_ops 11 10 2000 1266 true 0
10043 403 varbit_ops 11 10 2002 1562 true 0
10044 403 varchar_ops 11 10 1994 25 false 0
10047 403 money_ops 11 10 2099 790 true 0
10050 403 tid_ops 11 10 2789 27 true 0
10053 403 xid8_ops 11 10 5067 5069 true 0
10065 403 uuid_ops 11 10 2968 2950 true 0
10067 403 pg_lsn_ops 11 10 3253 3220 true 0
10069 403 enum_ops 11 10 3522 3500 true 0
10071 403 tsvector_ops 11 10 3626 3614 true 0
10074 403 tsquery_ops 11 10 3683 3615 true 0
10076 403 range_ops 11 10 3901 3831 true 0
10080 403 multirange_ops 11 10 4199 4537 true 0
10088 403 jsonb_ops 11 10 4033 3802 true 0
";

/// Operator families.
const PG_OPFAMILY: &str = "\
397 403 array_ops 11 10
423 403 bit_ops 11 10
424 403 bool_ops 11 10
426 403 bpchar_ops 11 10
428 403 bytea_ops 11 10
429 403 char_ops 11 10
434 403 datetime_ops 11 10
1970 403 float_ops 11 10
1974 403 network_ops 11 10
1976 403 integer_ops 11 10
1982 403 interval_ops 11 10
1984 403 macaddr_ops 11 10
1988 403 numeric_ops 11 10
1989 403 oid_ops 11 10
1991 403 oidvector_ops 11 10
1994 403 text_ops 11 10
1996 403 time_ops 11 10
2000 403 timetz_ops 11 10
2002 403 varbit_ops 11 10
2095 403 text_pattern_ops 11 10
2097 403 bpchar_pattern_ops 11 10
2099 403 money_ops 11 10
2789 403 tid_ops 11 10
2968 403 uuid_ops 11 10
2994 403 record_ops 11 10
3194 403 record_image_ops 11 10
3253 403 pg_lsn_ops 11 10
3371 403 macaddr8_ops 11 10
3522 403 enum_ops 11 10
3626 403 tsvector_ops 11 10
3683 403 tsquery_ops 11 10
3901 403 range_ops 11 10
4033 403 jsonb_ops 11 10
4199 403 multirange_ops 11 10
5067 403 xid8_ops 11 10
";

/// The rows of a catalog, if they are known here.
pub fn rows(catalog: u32) -> Option<Vec<Vec<OwnedDatum>>> {
    let text = match catalog {
        2601 => PG_AM,
        3456 => PG_COLLATION,
        2612 => PG_LANGUAGE,
        2616 => PG_OPCLASS,
        2753 => PG_OPFAMILY,
        _ => return None,
    };
    let table = fixed_by_oid(catalog)?;
    text.lines().map(|line| row(table, line)).collect()
}

fn row(table: &FixedTable, line: &str) -> Option<Vec<OwnedDatum>> {
    let columns = table.columns();
    let words: Vec<&str> = line.split(' ').collect();
    if words.len() != columns.len() {
        return None;
    }
    words.iter().zip(&columns).map(|(word, column)| value(column.type_oid, word)).collect()
}

fn value(type_oid: u32, word: &str) -> Option<OwnedDatum> {
    if word == "~" {
        return Some(super::load::NULL);
    }
    Some(match type_oid {
        oids::OID => Oid::write(&word.parse().ok()?),
        oids::REGPROC => Regproc::write(&word.parse().ok()?),
        oids::NAME => Name::write(&word.to_owned()),
        oids::TEXT => Text::write(&word.to_owned()),
        oids::BOOL => Bool::write(&(word == "true")),
        oids::CHAR => Char::write(word.as_bytes().first()?),
        oids::INT2 => Int2::write(&word.parse().ok()?),
        oids::INT4 => Int4::write(&word.parse().ok()?),
        oids::ACLITEM_ARRAY => Acl::write(&Vec::new()),
        _ => return None,
    })
}

/// The operator class that an index has for a type where nobody names one, from the list of them.
pub fn default_operator_class(type_oid: u32) -> Option<u32> {
    // varchar sorts as text, and what only stands for an OID as that.
    let sorted_as = match type_oid {
        oids::VARCHAR => oids::TEXT,
        650 => 869,
        _ if super::types::is_oid_like(type_oid) && type_oid != oids::XID && type_oid != oids::CID => {
            oids::OID
        }
        _ if super::types::builtin(type_oid)
            .is_some_and(|ty| ty.category == b'A' && type_oid != oids::OIDVECTOR) =>
        {
            oids::ANYARRAY
        }
        _ => type_oid,
    };
    let wanted = sorted_as.to_string();
    PG_OPCLASS.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let is_it = words.get(6) == Some(&wanted.as_str()) && words.get(7) == Some(&"true");
        if is_it { words.first()?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_row() {
        for catalog in [2601, 3456, 2612, 2616, 2753] {
            assert!(rows(catalog).is_some_and(|rows| !rows.is_empty()), "catalog {catalog}");
        }
        for (ty, class) in [(oids::INT4, 1978), (oids::TEXT, 3126), (oids::VARCHAR, 3126), (oids::OID, 1981)]
        {
            assert_eq!(default_operator_class(ty), Some(class), "type {ty}");
        }
        assert_eq!(default_operator_class(oids::TEXT_ARRAY), Some(10000));
        assert_eq!(default_operator_class(114), None, "json has no order");
    }
}
