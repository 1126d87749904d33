//! Which function or operator is meant: PostgreSQL's rules for choosing among several of one name.

use crate::sql::types::Type;

use super::coerce::{Context, can_coerce};

/// What there is to choose from: argument types, one for each argument at hand.
pub struct Candidate<T> {
    /// The types that it takes.
    pub types: Vec<Type>,
    /// What it is.
    pub item: T,
}

/// The outcome of a choice.
pub enum Choice<T> {
    /// One fits best.
    One(Candidate<T>),
    /// None fits.
    None,
    /// Several fit equally well.
    Ambiguous,
}

/// Chooses among candidates with the right number of arguments.
pub fn choose<T>(candidates: Vec<Candidate<T>>, actual: &[Type]) -> Choice<T> {
    let fits = |candidate: &Candidate<T>| {
        consistent(&candidate.types, actual)
            && candidate.types.iter().zip(actual).all(|(&to, &from)| can_coerce(from, to, Context::Implicit))
    };
    let mut candidates: Vec<_> = candidates.into_iter().collect();
    if let Some(at) = candidates.iter().position(|candidate| candidate.types == actual) {
        return Choice::One(candidates.swap_remove(at));
    }
    candidates.retain(fits);
    candidates = best(candidates, |candidate| exact_matches(&candidate.types, actual));
    candidates = best(candidates, |candidate| preferred_matches(&candidate.types, actual));
    if candidates.len() > 1 && actual.contains(&Type::UNKNOWN) {
        candidates = by_category(candidates, actual);
    }
    if candidates.len() > 1
        && let Some(guess) = by_known_type(&candidates, actual)
    {
        return Choice::One(candidates.swap_remove(guess));
    }
    match candidates.len() {
        0 => Choice::None,
        1 => candidates.pop().map_or(Choice::None, Choice::One),
        _ => Choice::Ambiguous,
    }
}

/// Whether the polymorphic types of a candidate can stand for one type each.
fn consistent(types: &[Type], actual: &[Type]) -> bool {
    let mut exact: Option<Type> = None;
    let mut category: Option<u8> = None;
    for (&to, &from) in types.iter().zip(actual).filter(|(_, from)| **from != Type::UNKNOWN) {
        match to {
            Type::ANYELEMENT | Type::ANYNONARRAY | Type::ANYARRAY => {
                let element = if to == Type::ANYARRAY { from.element().unwrap_or(from) } else { from };
                if *exact.get_or_insert(element) != element {
                    return false;
                }
            }
            Type::ANYCOMPATIBLE | Type::ANYCOMPATIBLEARRAY => {
                let element = if to == Type::ANYCOMPATIBLE { from } else { from.element().unwrap_or(from) };
                if *category.get_or_insert(element.category()) != element.category() {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

/// Those with the highest score.
fn best<T>(candidates: Vec<Candidate<T>>, score: impl Fn(&Candidate<T>) -> usize) -> Vec<Candidate<T>> {
    if candidates.len() < 2 {
        return candidates;
    }
    let highest = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.into_iter().filter(|candidate| score(candidate) == highest).collect()
}

fn exact_matches(types: &[Type], actual: &[Type]) -> usize {
    types.iter().zip(actual).filter(|(to, from)| to == from && **from != Type::UNKNOWN).count()
}

fn preferred_matches(types: &[Type], actual: &[Type]) -> usize {
    let counts = |(to, from): &(&Type, &Type)| {
        **from != Type::UNKNOWN && (to == from || (to.preferred() && to.category() == from.category()))
    };
    types.iter().zip(actual).filter(counts).count()
}

/// For each argument of unknown type: strings if a candidate takes one there, else the category that all share; within
/// it the preferred type.
fn by_category<T>(candidates: Vec<Candidate<T>>, actual: &[Type]) -> Vec<Candidate<T>> {
    let mut chosen = Vec::new();
    for (index, _) in actual.iter().enumerate().filter(|(_, ty)| **ty == Type::UNKNOWN) {
        let categories: Vec<u8> =
            candidates.iter().map(|candidate| candidate.types[index].category()).collect();
        let category = if categories.contains(&b'S') { b'S' } else { categories[0] };
        if category != b'S' && categories.iter().any(|&other| other != category) {
            return candidates;
        }
        let preferred = candidates.iter().any(|candidate| {
            candidate.types[index].category() == category && candidate.types[index].preferred()
        });
        chosen.push((index, category, preferred));
    }
    let fits = |candidate: &Candidate<T>| {
        chosen.iter().all(|&(index, category, preferred)| {
            let ty = candidate.types[index];
            ty.category() == category && (!preferred || ty.preferred())
        })
    };
    if candidates.iter().any(fits) { candidates.into_iter().filter(fits).collect() } else { candidates }
}

/// If all known arguments are of one type, the unknown ones may be of it, too.
fn by_known_type<T>(candidates: &[Candidate<T>], actual: &[Type]) -> Option<usize> {
    let mut known = actual.iter().filter(|ty| **ty != Type::UNKNOWN);
    let first = *known.next()?;
    if known.any(|ty| *ty != first) || !actual.contains(&Type::UNKNOWN) {
        return None;
    }
    let mut fitting = (0..candidates.len())
        .filter(|&at| candidates[at].types.iter().all(|&to| can_coerce(first, to, Context::Implicit)));
    let only = fitting.next()?;
    fitting.next().is_none().then_some(only)
}
