//! Security keys in software, behind an agent's socket (RFC 9987; OpenSSH's PROTOCOL.u2f for what such a key signs).
//!
//! It knows no user and no touch: which flags its signatures carry is the test's choice.

use ed25519_dalek::{Signer, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use strombus::crypto::{Hash, Rng, SystemRng};
use strombus::wire::{Reader, Writer};

/// Somebody touched it.
pub const PRESENT: u8 = 0x01;
/// It knows who.
pub const VERIFIED: u8 = 0x04;

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION: u8 = 27;
const EXTENSION_FAILURE: u8 = 28;

/// As OpenSSH's agent.
const MESSAGE_MAX: usize = 256 * 1024;

const APPLICATION: &[u8] = b"ssh:";

/// The types of keys that a token holds; it has one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ed25519,
    Ecdsa,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::Ecdsa];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "sk-ssh-ed25519@openssh.com",
            Self::Ecdsa => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }
}

struct Keys {
    ed25519: SigningKey,
    ecdsa: EcdsaKeyPair,
    flags: AtomicU8,
    counter: AtomicU32,
    takes_session_bind: bool,
    /// What was asked, by number; of an extension its name too.
    asked: Mutex<Vec<(u8, String)>>,
}

/// A token that is asked by its socket, until it is dropped.
pub struct Token {
    keys: Arc<Keys>,
    socket: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Token {
    /// Fresh keys, whose signatures carry `flags`.
    pub fn start(socket: &Path, flags: u8, takes_session_bind: bool) -> Self {
        let mut seed = [0; 32];
        SystemRng.fill(&mut seed);
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let keys = Arc::new(Keys {
            ed25519: SigningKey::from_bytes(&seed),
            ecdsa: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(),
            flags: AtomicU8::new(flags),
            counter: AtomicU32::new(1),
            takes_session_bind,
            asked: Mutex::default(),
        });
        let listener = UnixListener::bind(socket).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, ended) = (Arc::clone(&keys), Arc::clone(&over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let keys = Arc::clone(&theirs);
                thread::spawn(move || {
                    let _hung_up = keys.serve(stream);
                });
            }
        });
        Self { keys, socket: socket.to_owned(), over, thread: Some(thread) }
    }

    /// From now on its signatures carry these.
    pub fn set_flags(&self, flags: u8) {
        self.keys.flags.store(flags, Ordering::SeqCst);
    }

    /// The key as it stands in a file.
    pub fn line(&self, kind: Kind) -> String {
        use base64ct::{Base64, Encoding};
        format!("{} {} token\n", kind.name(), Base64::encode_string(&self.keys.blob(kind)))
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<(u8, String)> {
        std::mem::take(&mut self.keys.asked.lock().unwrap())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _woken = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Keys {
    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 || length > MESSAGE_MAX {
                return Ok(());
            }
            let mut request = vec![0; length];
            stream.read_exact(&mut request)?;
            let answer = self.answer(&request).unwrap_or_else(|| vec![FAILURE]);
            let mut frame = Vec::new();
            Writer::new(&mut frame).string(&answer);
            stream.write_all(&frame)?;
        }
    }

    /// Nothing where the request cannot be read or met.
    fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut r = Reader::new(request);
        let number = r.byte().ok()?;
        let name = if number == EXTENSION { r.text().ok()?.to_owned() } else { String::new() };
        self.asked.lock().unwrap().push((number, name.clone()));
        match number {
            REQUEST_IDENTITIES => {
                let mut answer = vec![IDENTITIES_ANSWER];
                let mut w = Writer::new(&mut answer);
                w.uint32(2);
                for kind in Kind::ALL {
                    w.string(&self.blob(kind));
                    w.string(b"token");
                }
                Some(answer)
            }
            SIGN_REQUEST => {
                let (blob, data) = (r.string().ok()?, r.string().ok()?);
                let kind = Kind::ALL.into_iter().find(|kind| self.blob(*kind) == blob)?;
                let mut answer = vec![SIGN_RESPONSE];
                Writer::new(&mut answer).string(&self.sign(kind, data));
                Some(answer)
            }
            EXTENSION if name == "session-bind@openssh.com" && self.takes_session_bind => Some(vec![SUCCESS]),
            EXTENSION => Some(vec![EXTENSION_FAILURE]),
            _ => None,
        }
    }

    fn blob(&self, kind: Kind) -> Vec<u8> {
        let mut blob = Vec::new();
        let mut w = Writer::new(&mut blob);
        w.string(kind.name().as_bytes());
        match kind {
            Kind::Ed25519 => w.string(self.ed25519.verifying_key().as_bytes()),
            Kind::Ecdsa => {
                w.string(b"nistp256");
                w.string(self.ecdsa.public_key().as_ref());
            }
        }
        w.string(APPLICATION);
        blob
    }

    /// The signature's blob: over the hashes of application and data with the flags and the counter between them.
    fn sign(&self, kind: Kind, data: &[u8]) -> Vec<u8> {
        let flags = self.flags.load(Ordering::SeqCst);
        let counter = self.counter.fetch_add(1, Ordering::SeqCst);
        let [application, data] = [APPLICATION, data].map(|bytes| Hash::Sha256.digest(bytes));
        let signed = [application.as_bytes(), &[flags], &counter.to_be_bytes(), data.as_bytes()].concat();
        let mut blob = Vec::new();
        let mut w = Writer::new(&mut blob);
        w.string(kind.name().as_bytes());
        match kind {
            Kind::Ed25519 => w.string(&self.ed25519.sign(&signed).to_bytes()),
            Kind::Ecdsa => {
                let signature = self.ecdsa.sign(&SystemRandom::new(), &signed).unwrap();
                let (r, s) = signature.as_ref().split_at(32);
                w.nested(|w| {
                    w.mpint(r);
                    w.mpint(s);
                });
            }
        }
        w.byte(flags);
        w.uint32(counter);
        blob
    }
}
