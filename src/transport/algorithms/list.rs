//! Lists of algorithms as users write them (ssh_config(5)).

use super::{Algorithm, Offered};
use crate::wire::list_matches;

/// Why a list was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadList {
    /// No row has this name.
    Unknown(String),
    /// It leaves nothing.
    Nothing,
}

/// The rows of `known` that a list of names picks, in the list's order; the error is the first name that no row has.
pub fn pick<T: Copy>(known: &[Algorithm<T>], names: &str) -> Result<Vec<Algorithm<T>>, BadList> {
    named(known, names, false)
}

/// A list as ssh_config(5) has it: names that replace `default`, or names that change it, with `+` in front to append
/// them, `^` to put them first, `-` to remove them. A name stands once, where it came first.
///
/// Names are rows of `known`. What is removed may be patterns with `*`, `?` and `!`, and needs not be known; elsewhere
/// patterns are for `wildcards`, and find no legacy row.
pub fn edit<T: Copy>(
    known: &[Algorithm<T>],
    default: &[Algorithm<T>],
    list: &str,
    wildcards: bool,
) -> Result<Vec<Algorithm<T>>, BadList> {
    let rows = if let Some(names) = list.strip_prefix('+') {
        joined(default, &named(known, names, wildcards)?)
    } else if let Some(names) = list.strip_prefix('^') {
        joined(&named(known, names, wildcards)?, default)
    } else if let Some(patterns) = list.strip_prefix('-') {
        default.iter().filter(|row| !is_match(patterns, row)).copied().collect()
    } else {
        named(known, list, wildcards)?
    };
    if rows.is_empty() { Err(BadList::Nothing) } else { Ok(rows) }
}

fn named<T: Copy>(
    known: &[Algorithm<T>],
    names: &str,
    wildcards: bool,
) -> Result<Vec<Algorithm<T>>, BadList> {
    let mut rows = Vec::new();
    for name in names.split(',') {
        let found: Vec<_> = if wildcards && name.contains(['*', '?']) {
            let picks = |row: &&Algorithm<T>| row.offered != Offered::Legacy && is_match(name, row);
            known.iter().filter(picks).copied().collect()
        } else {
            known.iter().filter(|row| row.name == name).copied().collect()
        };
        if found.is_empty() {
            return Err(BadList::Unknown(name.to_owned()));
        }
        rows = joined(&rows, &found);
    }
    Ok(rows)
}

fn is_match<T>(patterns: &str, row: &Algorithm<T>) -> bool {
    list_matches(patterns.as_bytes(), row.name.as_bytes(), u8::eq)
}

/// Both lists, without the rows of the second that the first has.
fn joined<T: Copy>(first: &[Algorithm<T>], second: &[Algorithm<T>]) -> Vec<Algorithm<T>> {
    let is_new = |row: &&Algorithm<T>| first.iter().all(|other| other.name != row.name);
    first.iter().chain(second.iter().filter(is_new)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    const fn row(name: &'static str, offered: Offered) -> Algorithm<()> {
        Algorithm { name, algorithm: (), offered }
    }

    const KNOWN: [Algorithm<()>; 5] = [
        row("a1", Offered::ByBoth),
        row("a2", Offered::ByBoth),
        row("b1", Offered::ByBoth),
        row("b2", Offered::ByName),
        row("a-old", Offered::Legacy),
    ];

    fn edited(list: &str, wildcards: bool) -> Result<Vec<&'static str>, BadList> {
        edit(&KNOWN, &KNOWN[..3], list, wildcards).map(|rows| names(&rows).collect())
    }

    #[test]
    fn a_list_replaces_or_changes_the_default() {
        for (list, expected) in [
            ("b2", &["b2"][..]),
            ("b1,a1", &["b1", "a1"]),
            ("a1,b1,a1", &["a1", "b1"]),
            ("+b2", &["a1", "a2", "b1", "b2"]),
            ("+a1", &["a1", "a2", "b1"]),
            ("+a-old,b2", &["a1", "a2", "b1", "a-old", "b2"]),
            ("^b2", &["b2", "a1", "a2", "b1"]),
            ("^b1,a2", &["b1", "a2", "a1"]),
            ("-a1", &["a2", "b1"]),
            ("-a*", &["b1"]),
            ("-?1", &["a2"]),
            ("-b?,a2", &["a1"]),
            ("-!a1,a*", &["a1", "b1"]),
            ("-unknown", &["a1", "a2", "b1"]),
            ("-A1", &["a1", "a2", "b1"]),
            ("-", &["a1", "a2", "b1"]),
        ] {
            for wildcards in [false, true] {
                assert_eq!(edited(list, wildcards).as_deref(), Ok(expected), "{list}");
            }
        }
    }

    #[test]
    fn patterns_pick_where_they_may() {
        assert_eq!(edited("b*,a1", true).unwrap(), ["b1", "b2", "a1"]);
        assert_eq!(edited("+?2", true).unwrap(), ["a1", "a2", "b1", "b2"]);
        assert_eq!(edited("^?2", true).unwrap(), ["a2", "b2", "a1", "b1"]);
        for list in ["b*", "+?2", "^?2"] {
            assert!(matches!(edited(list, false), Err(BadList::Unknown(_))), "{list}");
        }
    }

    #[test]
    fn t26_no_pattern_finds_a_legacy_row() {
        assert_eq!(edited("*", true).unwrap(), ["a1", "a2", "b1", "b2"]);
        assert_eq!(edited("+a*", true).unwrap(), ["a1", "a2", "b1"]);
        assert_eq!(edited("a-ol?", true), Err(BadList::Unknown("a-ol?".to_owned())));
    }

    #[test]
    fn a_name_that_is_not_known_is_told() {
        for (list, name) in [
            ("a1,c", "c"),
            ("+c", "c"),
            ("^a1,c", "c"),
            ("A1", "A1"),
            ("", ""),
            ("+", ""),
            ("^", ""),
            ("a1,,b1", ""),
            ("+-a1", "-a1"),
            ("!a1", "!a1"),
            ("!a*", "!a*"),
            (" a1", " a1"),
        ] {
            for wildcards in [false, true] {
                assert_eq!(edited(list, wildcards), Err(BadList::Unknown(name.to_owned())), "{list}");
            }
        }
        assert_eq!(edited("-*", false), Err(BadList::Nothing));
        assert_eq!(pick(&KNOWN, "+a1"), Err(BadList::Unknown("+a1".to_owned())));
    }
}
