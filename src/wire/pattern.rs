//! Patterns of OpenSSH's files and options: `*` for any run of bytes, `?` for one; lists of them with `!` in front for "not".
//!
//! The matcher goes back only to the last `*`, never further, so its work is at most the product of both lengths where a
//! recursive one needs exponential time. It does not know what the names mean.

/// Whether two bytes are the same: [`u8::eq`], or [`u8::eq_ignore_ascii_case`] where case does not matter.
type Same = fn(&u8, &u8) -> bool;

/// Whether `name` matches a comma-separated list: one of the patterns does and no negated one does.
pub(crate) fn list_matches(list: &[u8], name: &[u8], same: Same) -> bool {
    let mut found = false;
    for pattern in list.split(|byte| *byte == b',') {
        match pattern {
            [b'!', negated @ ..] if matches(negated, name, same, &mut 0) => return false,
            [b'!', ..] => {}
            _ => found |= matches(pattern, name, same, &mut 0),
        }
    }
    found
}

/// Whether one pattern matches the whole name; commas and `!` mean themselves.
pub(crate) fn pattern_matches(pattern: &[u8], name: &[u8], same: Same) -> bool {
    matches(pattern, name, same, &mut 0)
}

/// The same; `steps` counts the turns taken.
fn matches(mut pattern: &[u8], mut name: &[u8], same: Same, steps: &mut usize) -> bool {
    // What follows the last `*`, and the part of the name that it was last tried at.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        *steps = steps.saturating_add(1);
        match (pattern, name) {
            ([], []) | ([b'*'], _) => return true,
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            // A later try would leave even less of the name.
            ([_, ..], []) => return false,
            ([p, pattern_rest @ ..], [n, name_rest @ ..]) if *p == b'?' || same(p, n) => {
                (pattern, name) = (pattern_rest, name_rest);
            }
            _ => {
                let Some((after_star, [_, shorter @ ..])) = retry else { return false };
                retry = Some((after_star, shorter));
                (pattern, name) = (after_star, shorter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(pattern: &str, name: &str) -> bool {
        matches(pattern.as_bytes(), name.as_bytes(), u8::eq_ignore_ascii_case, &mut 0)
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name) in [
            ("", ""),
            ("*", ""),
            ("*", "a"),
            ("**", "a"),
            ("a", "a"),
            ("A.b", "a.b"),
            ("?", "a"),
            ("*.a", "b.a"),
            ("*.a", "b.a.a"),
            ("a*b*c", "axxbyybzzc"),
            ("*ab", "aab"),
            ("a?c*", "abc"),
            ("[*]:22", "[a]:22"),
        ] {
            assert!(one(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("?", ""),
            ("a", ""),
            ("a", "aa"),
            ("aa", "a"),
            ("*.a", ".b"),
            ("*.a", "a"),
            ("a?", "a"),
            ("a*b", "a"),
            ("a*b*c", "acb"),
            ("*a?", "ba"),
            ("**b", "aaa"),
        ] {
            assert!(!one(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn case_matters_where_the_caller_says_so() {
        assert!(list_matches(b"A*", b"ab", u8::eq_ignore_ascii_case));
        assert!(!list_matches(b"A*", b"ab", u8::eq));
    }

    #[test]
    fn a_list_needs_a_match_and_no_negated_match() {
        for (list, name, expected) in [
            ("a,b", "b", true),
            ("*,!b", "a", true),
            ("*,!b", "b", false),
            ("!b,*", "b", false),
            ("!B,*", "b", false),
            ("!b", "a", false),
            ("", "a", false),
            (",,", "a", false),
            ("!,a", "a", true),
            ("a,!*", "a", false),
            ("!!a", "a", false),
        ] {
            assert_eq!(
                list_matches(list.as_bytes(), name.as_bytes(), u8::eq_ignore_ascii_case),
                expected,
                "{list} {name}"
            );
        }
    }

    #[test]
    fn t87_work_of_a_match_is_linear_in_the_name() {
        let name = "a".repeat(1024);
        let many_stars = "*a".repeat(511) + "*b";
        let mut steps = 0;
        assert!(!matches(many_stars.as_bytes(), name.as_bytes(), u8::eq, &mut steps));
        assert!(steps <= many_stars.len() + 2 * name.len(), "{steps}");

        // Where the name runs out, no later try is made.
        let longer = format!("*{name}b");
        let mut steps = 0;
        assert!(!matches(longer.as_bytes(), name.as_bytes(), u8::eq, &mut steps));
        assert!(steps <= name.len() + 2, "{steps}");

        let worst = format!("*{}b", "a".repeat(512));
        let mut steps = 0;
        assert!(!matches(worst.as_bytes(), name.as_bytes(), u8::eq, &mut steps));
        assert!(steps <= (worst.len() + 1) * (name.len() + 1), "{steps}");
    }
}
