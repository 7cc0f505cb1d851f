//! One line of a configuration file: its keyword, its words.

/// What separates a keyword from the rest, and words from each other.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The keyword of a line and what follows behind blanks and at most one `=`; nothing for an empty line or a comment.
/// sshd_config(5) has the same.
#[must_use]
pub fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']).trim_start_matches(BLANKS);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find([' ', '\t', '\r', '\n', '=']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    Some((keyword, rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(BLANKS)))
}

/// The words of a text, up to a comment: blanks separate them, but not within `'…'` or `"…"`; a backslash stands before
/// a quote, another backslash or, outside of quotes, a space. Nothing if a quote is not closed.
#[must_use]
pub fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match characters.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let (mut word, mut quote) = (String::new(), None);
        while let Some(character) = characters.next_if(|c| quote.is_some() || !matches!(c, ' ' | '\t')) {
            match (character, quote) {
                ('\\', _) => {
                    let escapes = |c: &char| matches!(c, '\'' | '"' | '\\') || (*c == ' ' && quote.is_none());
                    word.push(characters.next_if(escapes).unwrap_or('\\'));
                }
                ('\'' | '"', None) => quote = Some(character),
                (_, Some(open)) if open == character => quote = None,
                _ => word.push(character),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::{split, words};

    #[test]
    fn a_line_is_a_keyword_and_the_rest() {
        for (line, expected) in [
            ("", None),
            (" \t\r", None),
            ("  # Port 22", None),
            ("Port 22", Some(("Port", "22"))),
            ("\tPort\t 22 \x0c\r", Some(("Port", "22"))),
            ("Port=22", Some(("Port", "22"))),
            ("Port = 22", Some(("Port", "22"))),
            ("Port == 22", Some(("Port", "= 22"))),
            ("Port", Some(("Port", ""))),
            ("Port=", Some(("Port", ""))),
            ("=", Some(("", ""))),
        ] {
            assert_eq!(split(line), expected, "{line:?}");
        }
    }

    #[test]
    fn words_are_quoted_and_escaped_as_ssh_reads_them() {
        let some = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words("a  b\tc"), some(&["a", "b", "c"]));
        assert_eq!(words(r#""a b" 'c "d' e"f g"h"#), some(&["a b", "c \"d", "ef gh"]));
        assert_eq!(
            words(r#"a\ b "a\ b" \" \' \\ \n "\"""#),
            some(&["a b", "a\\ b", "\"", "'", "\\", "\\n", "\""])
        );
        assert_eq!(words("a # b \""), some(&["a"]));
        assert_eq!(words("a#b ''"), some(&["a#b", ""]));
        assert_eq!(words("a \"b"), None);
        assert_eq!(words("a 'b\""), None);
        assert_eq!(words("a\\"), some(&["a\\"]));
    }
}
