//! Which states each side has, what every message does in each of them, and what must hold of that whatever else changes.
//!
//! A side is explored breadth first: each state once, by the shortest way there, and in it every message that there is,
//! from a peer that may say anything at any time, each to a fresh copy. What comes out is compared with `client.txt` and
//! `server.txt`, so that a change of the machine shows in a review; [`properties`] are asserted on it. It does not know
//! more than one channel at a time, counters (tries, windows, chatter), nor time but that of a delayed answer.

mod alphabet;
mod machine;
mod peer;
mod properties;
mod table;

use super::pair;
use crate::crypto::kex::Method;
use crate::crypto::sign::PrivateKey;
use crate::transport::{Client, Server};
use machine::{Side, State, Step, exchange, explore, is_authenticated, service};
use peer::World;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Made once: thousands of copies use them.
static HOST_KEY: LazyLock<Arc<PrivateKey>> = LazyLock::new(pair::host_key);
static USER_KEY: LazyLock<Arc<PrivateKey>> = LazyLock::new(pair::user_key);

const STRICT: World = World { name: "curve25519-sha256", method: Method::Curve25519, strict: true };
const LOOSE: World = World { strict: false, ..STRICT };

fn says(letter: &str) -> Step {
    Step::Says(alphabet::letter(letter))
}

/// Everything, but what follows a wrong guess at a later exchange once more with each state of a channel.
fn everything(state: &str) -> bool {
    !exchange(state).ends_with("+skip") || without_channels(state)
}

fn without_channels(state: &str) -> bool {
    !is_authenticated(state) || service(state) == "connection no channel"
}

/// A side that was explored.
trait Explored: Side {
    const NAME: &'static str;
    /// With the marker of strict key exchange: all of it.
    fn strict() -> &'static [State];
    /// Without: as far as channels.
    fn loose() -> &'static [State];
}

macro_rules! explored {
    ($side:ident $name:literal) => {
        impl Explored for $side {
            const NAME: &'static str = $name;

            fn strict() -> &'static [State] {
                static STATES: LazyLock<Vec<State>> = LazyLock::new(|| explore::<$side>(STRICT, everything));
                &STATES
            }

            fn loose() -> &'static [State] {
                static STATES: LazyLock<Vec<State>> =
                    LazyLock::new(|| explore::<$side>(LOOSE, without_channels));
                &STATES
            }
        }
    };
}

explored!(Client "client");
explored!(Server "server");

/// The table of a side: the strict machine, and where the other differs.
fn text<S: Explored>() -> String {
    let first_line =
        "Made by STROMBUS_WRITE_STATES=1 cargo test --lib states; read src/tests/states/mod.rs.\n";
    let states = S::strict().len();
    let differs = |state: &&State| {
        let strict = S::strict().iter().find(|other| other.name == state.name);
        strict.is_none_or(|strict| table::row(strict) != table::row(state))
    };
    let loose: Vec<_> = S::loose().iter().filter(differs).collect();
    [
        first_line,
        &format!("\n# The {}, strict key exchange: {states} states\n", S::NAME),
        &table::table(S::strict().iter()),
        &format!("\n# Without: {} states that differ\n", loose.len()),
        &table::table(loose.into_iter()),
    ]
    .concat()
}

fn compare<S: Explored>() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/states").join(S::NAME).with_extension("txt");
    let text = text::<S>();
    if std::env::var_os("STROMBUS_WRITE_STATES").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap();
    let changed = text.lines().zip(known.lines()).find(|(now, then)| now != then);
    assert!(text == known, "{} is not the machine of today: {changed:?}", path.display());
}

#[test]
fn every_message_has_a_letter() {
    let spoken: Vec<_> = alphabet::ALPHABET.iter().map(alphabet::Letter::number).collect();
    let known = (0..=u8::MAX).filter(|number| crate::wire::number::name(*number).is_some());
    assert_eq!(known.filter(|number| !spoken.contains(number)).collect::<Vec<_>>(), [0; 0]);
}

#[test]
fn the_client_is_the_machine_that_is_written_down() {
    compare::<Client>();
}

#[test]
fn the_server_is_the_machine_that_is_written_down() {
    compare::<Server>();
}
