//! `DateStyle`: an output style and an order of day, month and year, each of which may be left out.

use super::{Refusal, text};
use crate::config::Settings;
use crate::config::keys;
use crate::config::list;
use crate::config::value::Value;

/// Merges what is given into what was there.
pub(in crate::config) fn check(value: &mut Value, settings: &Settings) -> Result<(), Refusal> {
    let items = list::identifiers(text(value)).ok_or_else(|| Refusal::detail("List syntax is invalid."))?;
    let (mut style, mut order) = (None, None);
    for item in &items {
        let (new_style, new_order) = meaning(item, settings)
            .ok_or_else(|| Refusal::detail(format!("Unrecognized key word: \"{item}\".")))?;
        // A style that implies an order gives way to one that is named.
        let implied = new_style.is_some() && new_order.is_some();
        merge(&mut style, new_style, false)?;
        merge(&mut order, new_order, implied)?;
    }
    let (old_style, old_order) = settings.get(keys::DATESTYLE).split_once(", ").unwrap_or(("ISO", "MDY"));
    let (style, order) = (style.as_deref().unwrap_or(old_style), order.as_deref().unwrap_or(old_order));
    *value = Value::Text(format!("{style}, {order}").into());
    Ok(())
}

fn merge(old: &mut Option<String>, new: Option<String>, implied: bool) -> Result<(), Refusal> {
    match (&*old, new) {
        (Some(_), _) if implied => {}
        (Some(old), Some(new)) if *old != new => {
            return Err(Refusal::detail("Conflicting \"DateStyle\" specifications."));
        }
        (None, Some(new)) => *old = Some(new),
        _ => {}
    }
    Ok(())
}

/// Style and order that a word stands for.
fn meaning(word: &str, settings: &Settings) -> Option<(Option<String>, Option<String>)> {
    let style = |name: &str| Some((Some(name.to_owned()), None));
    let order = |name: &str| Some((None, Some(name.to_owned())));
    match word {
        "iso" => style("ISO"),
        "sql" => style("SQL"),
        "german" => Some((Some("German".to_owned()), Some("DMY".to_owned()))),
        "ymd" => order("YMD"),
        "dmy" => order("DMY"),
        "mdy" | "us" => order("MDY"),
        "default" => {
            let reset = settings.reset_text(keys::DATESTYLE.index());
            let (style, order) = reset.split_once(", ")?;
            Some((Some(style.to_owned()), Some(order.to_owned())))
        }
        _ if word.starts_with("postgres") => style("Postgres"),
        _ if word.starts_with("euro") => order("DMY"),
        _ if word.starts_with("noneuro") => order("MDY"),
        _ => None,
    }
}
