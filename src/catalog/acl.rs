//! Privileges: their bits and letters, and what is granted by default.

use super::descriptor::AclItem;

/// Bits of [`AclItem::privileges`], as PostgreSQL numbers them.
pub mod bits {
    /// `a`
    pub const INSERT: u64 = 1;
    /// `r`
    pub const SELECT: u64 = 1 << 1;
    /// `w`
    pub const UPDATE: u64 = 1 << 2;
    /// `d`
    pub const DELETE: u64 = 1 << 3;
    /// `D`
    pub const TRUNCATE: u64 = 1 << 4;
    /// `x`
    pub const REFERENCES: u64 = 1 << 5;
    /// `t`
    pub const TRIGGER: u64 = 1 << 6;
    /// `X`
    pub const EXECUTE: u64 = 1 << 7;
    /// `U`
    pub const USAGE: u64 = 1 << 8;
    /// `C`
    pub const CREATE: u64 = 1 << 9;
    /// `T`
    pub const TEMPORARY: u64 = 1 << 10;
    /// `c`
    pub const CONNECT: u64 = 1 << 11;
    /// `s`
    pub const SET: u64 = 1 << 12;
    /// `A`
    pub const ALTER_SYSTEM: u64 = 1 << 13;
    /// `m`
    pub const MAINTAIN: u64 = 1 << 14;
    /// All that a table has.
    pub const OF_TABLE: u64 = INSERT | SELECT | UPDATE | DELETE | TRUNCATE | REFERENCES | TRIGGER | MAINTAIN;
    /// All that a sequence has.
    pub const OF_SEQUENCE: u64 = SELECT | UPDATE | USAGE;
    /// All that a database has.
    pub const OF_DATABASE: u64 = CREATE | TEMPORARY | CONNECT;
    /// All that a schema has.
    pub const OF_SCHEMA: u64 = USAGE | CREATE;
}

/// Letters of the bits, in the order in which they are shown.
const LETTERS: &[u8; 15] = b"arwdDxtXUCTcsAm";

/// Bits of the right to pass privileges on stand so far to the left of theirs.
pub const GRANT_OPTION_SHIFT: u32 = 32;

/// Everybody.
pub const PUBLIC: u32 = 0;

impl AclItem {
    /// `arw*` as it stands in an item.
    pub fn letters(&self) -> String {
        let mut letters = String::new();
        for (bit, letter) in LETTERS.iter().enumerate() {
            if self.privileges >> bit & 1 != 0 {
                letters.push(char::from(*letter));
                if self.privileges >> (bit as u32 + GRANT_OPTION_SHIFT) & 1 != 0 {
                    letters.push('*');
                }
            }
        }
        letters
    }
}

/// The letter of a privilege.
pub fn bit_of_letter(letter: u8) -> Option<u64> {
    LETTERS.iter().position(|of| *of == letter).map(|bit| 1 << bit)
}

/// What stands for `None`, as soon as anything is granted or revoked.
pub fn owner_s(owner: u32, privileges: u64, of_everybody: u64) -> Vec<AclItem> {
    let mut acl = Vec::new();
    if of_everybody != 0 {
        acl.push(AclItem { grantee: PUBLIC, grantor: owner, privileges: of_everybody });
    }
    acl.push(AclItem { grantee: owner, grantor: owner, privileges });
    acl
}

/// Adds privileges for a role, or takes them away; an item without any goes.
pub fn change(acl: &mut Vec<AclItem>, grantee: u32, grantor: u32, privileges: u64, is_grant: bool) {
    let place = acl.iter().position(|item| (item.grantee, item.grantor) == (grantee, grantor));
    match (place, is_grant) {
        (Some(place), true) => acl[place].privileges |= privileges,
        (None, true) => acl.push(AclItem { grantee, grantor, privileges }),
        (Some(place), false) => {
            acl[place].privileges &= !privileges;
            if acl[place].privileges == 0 {
                acl.remove(place);
            }
        }
        (None, false) => {}
    }
}

/// What any of these roles may do, everybody's rights included.
pub fn privileges_of(acl: &[AclItem], roles: &[u32]) -> u64 {
    let mine = acl.iter().filter(|item| item.grantee == PUBLIC || roles.contains(&item.grantee));
    mine.fold(0, |all, item| all | item.privileges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_read_as_postgresqls_and_go_when_nothing_is_left() {
        let mut acl = owner_s(10, bits::OF_TABLE, 0);
        assert_eq!(acl[0].letters(), "arwdDxtm");
        change(&mut acl, 7, 10, bits::SELECT | bits::SELECT << GRANT_OPTION_SHIFT | bits::UPDATE, true);
        assert_eq!(acl[1].letters(), "r*w");
        assert_eq!(privileges_of(&acl, &[7]) & bits::OF_TABLE, bits::SELECT | bits::UPDATE);
        change(&mut acl, 7, 10, bits::SELECT | bits::SELECT << GRANT_OPTION_SHIFT | bits::UPDATE, false);
        assert_eq!(acl.len(), 1);
        assert_eq!(bit_of_letter(b'C'), Some(bits::CREATE));
    }
}
