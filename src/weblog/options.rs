//! What to show, as options: of `ssh-weblog`, and of the commands that `ssh-weblog-server` takes.

use super::show::{Show, View};
use clap::Args;

/// How records are shown.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ShowOptions {
    /// What is shown of each hit
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "json")]
    pub show: Option<Show>,
    /// One JSON object a hit
    #[arg(long)]
    pub json: bool,
}

impl ShowOptions {
    /// The view that these options ask for; `escaped` and `coloured` are for where it goes.
    #[must_use]
    pub fn view(&self, escaped: bool, coloured: bool) -> View {
        if self.json {
            return View::Json;
        }
        View::Text { show: self.show.unwrap_or_default(), escaped, coloured }
    }
}

/// Splits a command as a shell does: blanks, `'…'`, `"…"` and `\`; nothing is expanded. `None` if a quote is not closed.
#[must_use]
pub fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        end if end == character => break,
                        '\\' if character == '"' => word.push(characters.next()?),
                        inside => word.push(inside),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

/// Quotes a word for a POSIX shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{quoted, words};

    #[test]
    fn words_are_split_as_a_shell_does_and_nothing_is_expanded() {
        let split = |command: &str| words(command);
        let some = |words: &[&str]| Some(words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(split("  tail --json\tshop "), some(&["tail", "--json", "shop"]));
        assert_eq!(
            split(r#"a 'b $c' "d \" e" f\ g '' h"i"j"#),
            some(&["a", "b $c", "d \" e", "f g", "", "hij"])
        );
        assert_eq!(split("logs; id"), some(&["logs;", "id"]));
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("a\\"), None);
    }

    #[test]
    fn t100_a_quoted_path_is_one_word_whatever_it_holds() {
        for path in ["/var/log/a.log", "it's", "a b;$(id)`id`", "-n", "\"\n\\"] {
            assert_eq!(words(&quoted(path)), Some(vec![path.to_owned()]), "{path}");
        }
    }
}
