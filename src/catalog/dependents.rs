//! Who goes when an object is dropped: everything that needs it, and everything that needs that.
//!
//! The walk goes from an object to those that need it; each is noted behind those that need it, so that the list is in the
//! order in which things are dropped. A part of another object leads to that one, since neither goes without the other.

use std::collections::HashMap;

use super::columns::Int4;
use super::cx::{Cx, key, oid_key};
use super::dependencies::DependencyKind;
use super::requests::{DropBehavior, ObjectAddress};
use super::schema::{PG_DEPEND_DEPENDER_INDEX, PG_DEPEND_REFERENCE_INDEX, PgDepend};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};

/// Lines of a message's detail; those behind them are counted.
const MOST_LINES: usize = 100;

/// How the walk came to an object, the strongest reason for it to go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Why {
    /// It needs something that goes.
    Needs,
    /// It is a part of something that goes, or goes with it.
    With,
    /// It was asked for.
    Asked,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    why: Why,
    /// The object by which the walk came to it.
    by: ObjectAddress,
}

#[derive(Default)]
struct Walk {
    found: HashMap<ObjectAddress, Found>,
    /// In the order of dropping.
    order: Vec<ObjectAddress>,
}

impl Cx<'_, '_, '_> {
    /// Drops objects with all that needs them; notices that say so.
    ///
    /// # Errors
    /// 2BP01 if something needs them that is not to be dropped, and for what cannot be dropped without something else.
    pub fn drop_objects(&mut self, objects: &[ObjectAddress], behavior: DropBehavior) -> Result<Vec<Report>> {
        let mut walk = Walk::default();
        for object in objects {
            if super::dependencies::is_pinned(*object) {
                let message = format!(
                    "cannot drop {} because it is required by the database system",
                    self.describe(*object)?
                );
                return Err(Report::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
            }
            walk.found.insert(*object, Found { why: Why::Asked, by: *object });
        }
        for object in objects {
            self.visit(&mut walk, *object, 0)?;
        }
        let notices = self.say_what_else(&walk, objects, behavior)?;
        // Columns of a table that goes as a whole go with it.
        let gone_whole: Vec<u32> =
            walk.order.iter().filter(|object| object.part == 0).map(|object| object.object).collect();
        for object in &walk.order {
            if object.part == 0 || !gone_whole.contains(&object.object) {
                self.drop_one(*object)?;
            }
        }
        Ok(notices)
    }

    fn visit(&mut self, walk: &mut Walk, object: ObjectAddress, depth: u32) -> Result<()> {
        if walk.order.contains(&object) {
            return Ok(());
        }
        if depth > 10_000 {
            return Err(Report::error(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        if let Some(owner) = self.owner_of_part(object)?
            && !walk.found.contains_key(&owner)
        {
            let found = walk.found[&object];
            if found.why == Why::Asked {
                return Err(self.required_by(object, owner)?);
            }
            walk.found.insert(owner, Found { why: found.why, by: found.by });
            walk.found.insert(object, Found { why: Why::With, by: owner });
            return self.visit(walk, owner, depth + 1);
        }
        for (dependent, kind) in self.dependents(object)? {
            let why = if kind == DependencyKind::Normal { Why::Needs } else { Why::With };
            // What is a part of something that was met before is not a reason of its own.
            match walk.found.get_mut(&dependent) {
                Some(found) if found.why >= why => {}
                Some(found) => found.why = why,
                None => {
                    walk.found.insert(dependent, Found { why, by: object });
                }
            }
            self.visit(walk, dependent, depth + 1)?;
        }
        if !walk.order.contains(&object) {
            walk.order.push(object);
        }
        Ok(())
    }

    /// The object of which another is a part that cannot go alone.
    fn owner_of_part(&mut self, object: ObjectAddress) -> Result<Option<ObjectAddress>> {
        if object.part != 0 {
            return Ok(None);
        }
        let keys = [oid_key(object.class), oid_key(object.object), key::<Int4>(&0)];
        let rows = self.rows::<PgDepend>(PG_DEPEND_DEPENDER_INDEX, &keys)?;
        let internal = rows.into_iter().map(|(_, row)| row).find(|row| row.deptype == b'i');
        Ok(internal.map(|row| ObjectAddress {
            class: row.refclassid,
            object: row.refobjid,
            part: row.refobjsubid,
        }))
    }

    fn required_by(&mut self, object: ObjectAddress, owner: ObjectAddress) -> Result<Box<Report>> {
        let (what, by) = (self.describe(object)?, self.describe(owner)?);
        let message = format!("cannot drop {what} because {by} requires it");
        Ok(Report::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_hint(format!("You can drop {by} instead.")))
    }

    /// Those that need an object, or a part of it.
    fn dependents(&mut self, object: ObjectAddress) -> Result<Vec<(ObjectAddress, DependencyKind)>> {
        let mut keys = vec![oid_key(object.class), oid_key(object.object)];
        if object.part != 0 {
            keys.push(key::<Int4>(&object.part));
        }
        let rows = self.rows::<PgDepend>(PG_DEPEND_REFERENCE_INDEX, &keys)?;
        let mut dependents: Vec<(ObjectAddress, DependencyKind)> = (rows.into_iter())
            .map(|(_, row)| {
                let object = ObjectAddress { class: row.classid, object: row.objid, part: row.objsubid };
                (object, DependencyKind::from_letter(row.deptype))
            })
            // A part of a relation that needs another part of it needs no dropping of its own.
            .filter(|(of, _)| of.class != object.class || of.object != object.object)
            .collect();
        // Newer ones first, so that the list names older ones first.
        dependents.sort_by_key(|(object, _)| std::cmp::Reverse((object.object, object.class, object.part)));
        Ok(dependents)
    }

    /// An error that lists what else would go, or a notice of what goes.
    fn say_what_else(
        &mut self,
        walk: &Walk,
        asked: &[ObjectAddress],
        behavior: DropBehavior,
    ) -> Result<Vec<Report>> {
        let mut lines = Vec::new();
        for object in walk.order.iter().rev() {
            let found = walk.found[object];
            let whole = ObjectAddress { part: 0, ..*object };
            if found.why != Why::Needs || object.part != 0 && walk.found.contains_key(&whole) {
                continue;
            }
            let what = self.describe(*object)?;
            lines.push(match behavior {
                DropBehavior::Cascade => format!("drop cascades to {what}"),
                DropBehavior::Restrict => format!("{what} depends on {}", self.describe(found.by)?),
            });
        }
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let count = lines.len();
        let detail = shortened(&lines);
        if behavior == DropBehavior::Cascade {
            let report = |text: String| Report::new(Severity::Notice, SqlState::SUCCESSFUL_COMPLETION, text);
            return Ok(vec![match lines.as_slice() {
                [one] => report(one.clone()),
                _ => {
                    let mut notice = report(format!("drop cascades to {count} other objects"));
                    notice.detail = Some(detail);
                    notice
                }
            }]);
        }
        let message = match asked {
            [one] => format!("cannot drop {} because other objects depend on it", self.describe(*one)?),
            _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
        };
        Err(Report::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_detail(detail)
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."))
    }
}

fn shortened(lines: &[String]) -> String {
    let mut text = lines[..lines.len().min(MOST_LINES)].join("\n");
    if lines.len() > MOST_LINES {
        let more = lines.len() - MOST_LINES;
        let noun = if more == 1 { "object" } else { "objects" };
        text.push_str(&format!("\nand {more} other {noun} (see server log for list)"));
    }
    text
}
