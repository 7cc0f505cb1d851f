//! The form of the vector files: `#` lines of heading, then blocks of `KEY = value`, an empty line between blocks.

use std::collections::BTreeMap;
use std::path::Path;

/// One block: a case.
pub struct Block {
    file: String,
    fields: BTreeMap<String, String>,
}

impl Block {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str)
    }

    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_else(|| panic!("{self} has no {key}"))
    }

    pub fn hex(&self, key: &str) -> Vec<u8> {
        hex(self.text(key)).unwrap_or_else(|| panic!("{self}: {key} is not hexadecimal"))
    }

    pub fn array<const N: usize>(&self, key: &str) -> [u8; N] {
        self.hex(key).try_into().unwrap_or_else(|_| panic!("{self}: {key} has another length than {N}"))
    }

    pub fn number(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or_else(|_| panic!("{self}: {key} is not a number"))
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, ID {}", self.file, self.get("ID").unwrap_or("?"))
    }
}

/// What the code said to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It accepted the values, and the figures were right: the test asserts them.
    Accepted,
    /// It refused the values.
    Refused,
    /// It is about something that is not implemented; the test names what.
    PassedOver,
}

/// How many blocks of a file ended how.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub valid: usize,
    pub invalid: usize,
    pub policy_accepted: usize,
    pub policy_refused: usize,
    pub passed_over: usize,
}

/// Judges every block of a file, and compares each verdict with the block's `RESULT` and their numbers with `expected`.
/// A block without `RESULT` is valid.
pub fn judge(file: &str, expected: Tally, mut verdict: impl FnMut(&Block) -> Verdict) {
    let mut tally = Tally::default();
    for block in blocks(file) {
        let counted = match (block.get("RESULT").unwrap_or("valid"), verdict(&block)) {
            (_, Verdict::PassedOver) => &mut tally.passed_over,
            ("valid", Verdict::Accepted) => &mut tally.valid,
            ("invalid", Verdict::Refused) => &mut tally.invalid,
            ("policy", Verdict::Accepted) => &mut tally.policy_accepted,
            ("policy", Verdict::Refused) => &mut tally.policy_refused,
            (result, verdict) => panic!("{block}: RESULT = {result}, but the code's verdict is {verdict:?}"),
        };
        *counted += 1;
    }
    assert_eq!(tally, expected, "{file}");
}

/// All blocks of a file, for a test that judges them by other fields than `RESULT`.
pub fn blocks(file: &str) -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(file, &text)
}

fn parse(file: &str, text: &str) -> Vec<Block> {
    text.split("\n\n").map(|lines| block(file, lines)).filter(|block| !block.fields.is_empty()).collect()
}

fn block(file: &str, lines: &str) -> Block {
    let mut fields = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (key, value) = line.split_once(" =").unwrap_or_else(|| panic!("{file}: no field: {line}"));
        let before = fields.insert(key.to_owned(), value.trim_start().to_owned());
        assert!(before.is_none(), "{file}: {key} twice in a block");
    }
    Block { file: file.to_owned(), fields }
}

pub fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}

#[test]
fn blocks_are_read_as_they_are_written() {
    let blocks = parse("f", "# head\n\nID = 1\nKEY =\nMSG = 0aff\n\nID = 2\nKEY = 00\n");
    assert_eq!(blocks.len(), 2);
    assert_eq!(
        (blocks[0].number("ID"), blocks[0].hex("KEY"), blocks[0].hex("MSG")),
        (1, vec![], vec![10, 255])
    );
    assert_eq!(blocks[1].get("MSG"), None);
    assert_eq!((hex("0"), hex("0g"), hex("é")), (None, None, None));
}

#[test]
#[should_panic(expected = "verdict is Accepted")]
fn a_verdict_against_the_result_fails() {
    judge("chacha20-poly1305-openssh.txt", Tally::default(), |_| Verdict::Accepted);
}

#[test]
#[should_panic(expected = "ed25519.txt")]
fn a_block_too_many_fails() {
    judge("ed25519.txt", Tally { passed_over: 115, ..Tally::default() }, |_| Verdict::PassedOver);
}
