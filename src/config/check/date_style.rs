//! `DateStyle`: an output style and an order of day, month and year, each of which may be left out.

use super::{Refusal, text};
use crate::config::Settings;
use crate::config::keys;
use crate::config::list;
use crate::config::value::Value;

/// Merges what is given into what was there.
pub(in crate::config) fn check(value: &mut Value, settings: &Settings) -> Result<(), Refusal> {
    let items = list::identifiers(text(value)).ok_or_else(|| Refusal::detail("List syntax is invalid."))?;
    // What a word merely implies gives way to what another names, wherever it stands.
    let (mut style, mut order) = (Part::default(), Part::default());
    for item in &items {
        let [new_style, new_order] = meaning(&item.to_ascii_lowercase(), settings)
            .ok_or_else(|| Refusal::detail(format!("Unrecognized key word: \"{item}\".")))?;
        style.merge(new_style)?;
        order.merge(new_order)?;
    }
    let (old_style, old_order) = settings.get(keys::DATESTYLE).split_once(", ").unwrap_or(("ISO", "MDY"));
    let (style, order) = (style.or(old_style), order.or(old_order));
    *value = Value::Text(format!("{style}, {order}").into());
    Ok(())
}

/// What one word says of style or order.
enum Said {
    Nothing,
    Named(&'static str),
    Implied(String),
}

/// What all words say of style or order.
#[derive(Default)]
struct Part {
    named: Option<&'static str>,
    implied: Option<String>,
}

impl Part {
    fn merge(&mut self, said: Said) -> Result<(), Refusal> {
        match said {
            Said::Named(new) if *self.named.get_or_insert(new) != new => {
                Err(Refusal::detail("Conflicting \"DateStyle\" specifications."))
            }
            Said::Implied(new) => {
                self.implied.get_or_insert(new);
                Ok(())
            }
            Said::Named(_) | Said::Nothing => Ok(()),
        }
    }

    fn or<'a>(&'a self, old: &'a str) -> &'a str {
        self.named.or(self.implied.as_deref()).unwrap_or(old)
    }
}

/// What a word says of style and order.
fn meaning(word: &str, settings: &Settings) -> Option<[Said; 2]> {
    let style = |name| Some([Said::Named(name), Said::Nothing]);
    let order = |name| Some([Said::Nothing, Said::Named(name)]);
    match word {
        "iso" => style("ISO"),
        "sql" => style("SQL"),
        "german" => Some([Said::Named("German"), Said::Implied("DMY".to_owned())]),
        "ymd" => order("YMD"),
        "dmy" => order("DMY"),
        "mdy" | "us" => order("MDY"),
        "default" => {
            let reset = settings.reset_text(keys::DATESTYLE.index());
            let (style, order) = reset.split_once(", ")?;
            Some([style, order].map(|part| Said::Implied(part.to_owned())))
        }
        _ if word.starts_with("postgres") => style("Postgres"),
        _ if word.starts_with("euro") => order("DMY"),
        _ if word.starts_with("noneuro") => order("MDY"),
        _ => None,
    }
}
