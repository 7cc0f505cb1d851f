//! The form of a recording: `#` lines of heading, a block of settings, then a block for each time that bytes came in.
//!
//! ```text
//! ID = 7                   counts the blocks from 0, in which nothing comes in
//! IN = 00000120…           what one read brought
//! EVENTS = Opened; Eof     what the application was told, one event after the other; it acts on these alone
//! OUT = 5353482d…          what went out after that
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use strombus::wire::number::Sender;

/// Who renews the keys after the first exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rekey {
    Nobody,
    Local,
    Remote,
}

/// What a machine is made with, and who it talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the machine is.
    pub role: Sender,
    /// The identification line of the peer.
    pub peer: String,
    pub user_name: String,
    /// Of the machine's generator.
    pub seed: u64,
    /// The one algorithm of each list.
    pub kex: String,
    pub cipher: String,
    pub mac: String,
    pub compression: String,
    pub rekey: Rekey,
    /// How often the client sends data that come back.
    pub rounds: usize,
}

/// What came in at once, what the application was told of it, and what went out then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    pub input: Vec<u8>,
    pub events: Vec<String>,
    pub output: Vec<u8>,
}

/// A conversation as one side saw it.
pub struct Recording {
    /// Of the file, without its ending.
    pub name: String,
    pub settings: Settings,
    pub turns: Vec<Turn>,
}

const ROLES: [(&str, Sender); 2] = [("client", Sender::Client), ("server", Sender::Server)];
const REKEYS: [(&str, Rekey); 3] =
    [("nobody", Rekey::Nobody), ("local", Rekey::Local), ("remote", Rekey::Remote)];

/// The word for a value, or the value for a word.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, other)| other == value).unwrap().0
}

fn value<T: Copy>(words: &[(&str, T)], word: &str) -> T {
    words.iter().find(|(other, _)| *other == word).unwrap_or_else(|| panic!("no such word: {word}")).1
}

/// Where the recordings are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/replay")
}

/// Every recording there is.
pub fn read_all() -> Vec<Recording> {
    let mut paths: Vec<_> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Recording::parse(path, &fs::read_to_string(path).unwrap())).collect()
}

/// Puts these in the place of those that were there.
pub fn replace_all(recordings: &[Recording]) {
    let directory = directory();
    fs::create_dir_all(&directory).unwrap();
    for entry in fs::read_dir(&directory).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for recording in recordings {
        fs::write(directory.join(format!("{}.txt", recording.name)), recording.text()).unwrap();
    }
}

impl Recording {
    fn text(&self) -> String {
        let Settings { role, peer, user_name, seed, kex, cipher, mac, compression, rekey, rounds } =
            &self.settings;
        let role = word(&ROLES, role);
        let mut text = format!(
            "# A conversation of our {role} with {peer}, as our side saw it; read by tests/replay.\n\
             # The host key is vectors/keys/ed25519, the user's is vectors/keys/ed25519-no-comment.\n"
        );
        if peer.contains("strombus") {
            text += "# The peer is ours too: no OpenSSH that is installed for the tests has the method.\n";
        }
        text += "# Recorded anew, with all others, by: STROMBUS_RECORD=1 cargo test --test replay\n\n";
        for (key, value) in [
            ("ROLE", role),
            ("PEER", peer),
            ("USER", user_name),
            ("SEED", &seed.to_string()),
            ("KEX", kex),
            ("CIPHER", cipher),
            ("MAC", mac),
            ("COMPRESSION", compression),
            ("REKEY", word(&REKEYS, rekey)),
            ("ROUNDS", &rounds.to_string()),
        ] {
            writeln!(text, "{key} = {value}").unwrap();
        }
        for (id, turn) in self.turns.iter().enumerate() {
            let (input, events, output) = (hex(&turn.input), turn.events.join("; "), hex(&turn.output));
            for (key, value) in
                [("\nID", &id.to_string()), ("IN", &input), ("EVENTS", &events), ("OUT", &output)]
            {
                writeln!(text, "{}", format!("{key} = {value}").trim_end()).unwrap();
            }
        }
        text
    }

    fn parse(path: &Path, text: &str) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut blocks =
            text.split("\n\n").map(|lines| block(&name, lines)).filter(|fields| !fields.is_empty());
        let head = blocks.next().unwrap_or_else(|| panic!("{name} is empty"));
        let settings = Settings {
            role: value(&ROLES, head["ROLE"]),
            peer: head["PEER"].to_owned(),
            user_name: head["USER"].to_owned(),
            seed: head["SEED"].parse().unwrap(),
            kex: head["KEX"].to_owned(),
            cipher: head["CIPHER"].to_owned(),
            mac: head["MAC"].to_owned(),
            compression: head["COMPRESSION"].to_owned(),
            rekey: value(&REKEYS, head["REKEY"]),
            rounds: head["ROUNDS"].parse().unwrap(),
        };
        let turn = |(id, fields): (usize, BTreeMap<&str, &str>)| {
            assert_eq!(fields["ID"].parse(), Ok(id), "{name}");
            let events = fields["EVENTS"].split("; ").filter(|event| !event.is_empty());
            Turn {
                input: bytes(fields["IN"]),
                events: events.map(str::to_owned).collect(),
                output: bytes(fields["OUT"]),
            }
        };
        let turns = blocks.enumerate().map(turn).collect();
        Self { name, settings, turns }
    }
}

fn block<'t>(name: &str, lines: &'t str) -> BTreeMap<&'t str, &'t str> {
    let mut fields = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (key, value) = line.split_once(" =").unwrap_or_else(|| panic!("{name}: no field: {line}"));
        assert_eq!(fields.insert(key, value.trim_start()), None, "{name}: {key} twice in a block");
    }
    fields
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.is_ascii() && hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
