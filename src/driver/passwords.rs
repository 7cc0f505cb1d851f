//! Passwords checked off the loop: argon2id costs a tenth of a second and more.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use core::fmt;
use mio::Waker;
use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use zeroize::Zeroizing;

/// Checks that may wait; who comes beyond is refused.
pub const QUEUE_MAX: usize = 256;

/// Threads that check; each holds the memory of one hash at a time.
const THREADS: usize = 2;

/// Hashes by user name. What an unknown user is checked against costs the same and fits no password.
pub struct Passwords {
    hashes: HashMap<Vec<u8>, String>,
    /// Fits no password, and costs what the costliest of the others does.
    nobody: String,
    cost: Cost,
}

/// What a check costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    const DEFAULT: Self = Self {
        memory: Params::DEFAULT_M_COST,
        passes: Params::DEFAULT_T_COST,
        lanes: Params::DEFAULT_P_COST,
    };

    fn of(hash: &PasswordHash) -> Option<Self> {
        let of = |name: &str| hash.params.get_decimal(name);
        Some(Self { memory: of("m")?, passes: of("t")?, lanes: of("p")? })
    }

    const fn work(self) -> u64 {
        self.memory as u64 * self.passes as u64
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passwords({} users)", self.hashes.len())
    }
}

/// The most memory that a hash may ask for (KiB): a GiB.
pub const HASH_MEMORY_MAX: u32 = 1024 * 1024;

/// The most passes.
pub const HASH_PASSES_MAX: u32 = 64;

/// The cost of new hashes: 19 MiB, two passes, one lane, the crate's (and OWASP's) recommendation.
fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// Hashes a password for a password file, with a random salt.
///
/// # Errors
/// A text for the user.
pub fn hash(password: &[u8]) -> Result<String, String> {
    hash_at(Cost::DEFAULT, password)
}

fn hash_at(Cost { memory, passes, lanes }: Cost, password: &[u8]) -> Result<String, String> {
    let mut salt = [0; 16];
    crate::crypto::Rng::fill(&mut crate::crypto::SystemRng, &mut salt);
    let params = Params::new(memory, passes, lanes, None).map_err(|error| error.to_string())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|e| e.to_string())
}

impl Passwords {
    /// Reads lines `NAME:$argon2id$…`, and bare hashes, which belong to `user`; `#` begins a comment.
    ///
    /// # Errors
    /// The line's number and what is wrong with it.
    pub fn parse(file: &str, user: Option<&str>) -> Result<Self, (usize, String)> {
        let mut passwords = Self::new().map_err(|error| (0, error))?;
        for (number, line) in (1..).zip(file.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = match line.split_once(':') {
                Some((name, hash)) => (name, hash),
                None => (user.ok_or_else(|| (number, "write it as NAME:HASH".to_owned()))?, line),
            };
            passwords.add(name, hash).map_err(|why| (number, why))?;
        }
        Ok(passwords)
    }

    /// Nobody's yet.
    ///
    /// # Errors
    /// A text for the user.
    pub fn new() -> Result<Self, String> {
        Ok(Self { hashes: HashMap::new(), nobody: of_nobody(Cost::DEFAULT)?, cost: Cost::DEFAULT })
    }

    /// Adds a user's hash.
    ///
    /// # Errors
    /// It is none of argon2id, it costs more than [`HASH_MEMORY_MAX`] and [`HASH_PASSES_MAX`], or the user has one; a text for
    /// the user, without the hash.
    pub fn add(&mut self, name: &str, hash: &str) -> Result<(), String> {
        let not_one = |_| "this is no hash of a password; make one with hash-password".to_owned();
        let parsed = PasswordHash::new(hash).map_err(not_one)?;
        if parsed.algorithm.as_str() != "argon2id" {
            return Err("only argon2id hashes are taken; make one with hash-password".to_owned());
        }
        let cost = Cost::of(&parsed).ok_or("the hash does not say what it costs")?;
        if cost.memory > HASH_MEMORY_MAX || cost.passes > HASH_PASSES_MAX {
            return Err(format!(
                "the hash may ask for {HASH_MEMORY_MAX} KiB and {HASH_PASSES_MAX} passes at the most"
            ));
        }
        if cost.work() > self.cost.work() {
            (self.nobody, self.cost) = (of_nobody(cost)?, cost);
        }
        match self.hashes.insert(name.as_bytes().to_vec(), hash.to_owned()) {
            Some(_) => Err(format!("{name} stands here twice")),
            None => Ok(()),
        }
    }

    /// Who has a password here.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.hashes.keys().map(Vec::as_slice)
    }

    /// Whether the password is the user's. Slow on purpose, and as slow for a user who does not exist.
    #[must_use]
    pub fn verify(&self, user: &[u8], password: &[u8]) -> bool {
        let known = self.hashes.get(user);
        let hash = known.unwrap_or(&self.nobody);
        let fits =
            PasswordHash::new(hash).is_ok_and(|hash| argon2id().verify_password(password, &hash).is_ok());
        fits && known.is_some()
    }
}

/// A hash of something that nobody knows.
fn of_nobody(cost: Cost) -> Result<String, String> {
    let mut random = Zeroizing::new([0; 32]);
    crate::crypto::Rng::fill(&mut crate::crypto::SystemRng, &mut *random);
    hash_at(cost, &*random)
}

struct Job<T> {
    user: Vec<u8>,
    password: Zeroizing<Vec<u8>>,
    passwords: Arc<Passwords>,
    about: T,
}

/// Threads that check passwords; `T` says what each answer is about.
pub struct Checker<T> {
    jobs: SyncSender<Job<T>>,
    answers: Receiver<(T, bool)>,
}

impl<T: Send + 'static> Checker<T> {
    /// Starts the threads; `waker` is used after each answer.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn spawn(waker: &Arc<Waker>) -> io::Result<Self> {
        let (jobs, theirs) = sync_channel(QUEUE_MAX);
        let (answer, answers) = channel();
        let theirs = Arc::new(Mutex::new(theirs));
        for _ in 0..THREADS {
            let (jobs, answer, waker) = (Arc::clone(&theirs), answer.clone(), Arc::clone(waker));
            thread::Builder::new().name("password".to_owned()).spawn(move || work(&jobs, &answer, &waker))?;
        }
        Ok(Self { jobs, answers })
    }

    /// Checks a password later.
    ///
    /// # Errors
    /// Gives `about` back if too many checks wait.
    pub fn check(
        &self,
        passwords: &Arc<Passwords>,
        user: &[u8],
        password: Zeroizing<Vec<u8>>,
        about: T,
    ) -> Result<(), T> {
        let job = Job { user: user.to_vec(), password, passwords: Arc::clone(passwords), about };
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job.about,
        })
    }

    /// An answer that has come.
    #[must_use]
    pub fn answer(&self) -> Option<(T, bool)> {
        self.answers.try_recv().ok()
    }
}

fn work<T>(jobs: &Mutex<Receiver<Job<T>>>, answer: &Sender<(T, bool)>, waker: &Waker) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let fits = job.passwords.verify(&job.user, &job.password);
        if answer.send((job.about, fits)).is_err() || waker.wake().is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Checker, Passwords, QUEUE_MAX, THREADS, hash};
    use argon2::PasswordHash;
    use mio::{Poll, Token, Waker};
    use std::sync::Arc;

    #[test]
    fn a_hash_fits_its_user_and_password_only() {
        let made = hash(b"secret").unwrap();
        let passwords = Passwords::parse(&format!("# comment\n\nann:{made}\n{made}"), Some("bob")).unwrap();
        assert!(passwords.verify(b"ann", b"secret") && passwords.verify(b"bob", b"secret"));
        assert!(!passwords.verify(b"ann", b"Secret") && !passwords.verify(b"eve", b"secret"));
        assert_ne!(hash(b"secret").unwrap(), made, "salted");
    }

    #[test]
    fn t46_an_unknown_user_is_checked_against_a_hash_of_the_same_cost() {
        let passwords = Passwords::parse(&format!("ann:{}", hash(b"x").unwrap()), None).unwrap();
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(&passwords.nobody), cost(&passwords.hashes[&b"ann"[..]]));
        assert!(PasswordHash::new(&passwords.nobody).is_ok());
        // One that costs more: so does nobody's.
        let costly = super::hash_at(super::Cost { memory: 20_000, passes: 3, lanes: 1 }, b"x").unwrap();
        let passwords =
            Passwords::parse(&format!("ann:{}\nbob:{costly}", hash(b"x").unwrap()), None).unwrap();
        assert_eq!(cost(&passwords.nobody), cost(&costly));
    }

    #[test]
    fn a_hash_that_costs_too_much_is_refused_before_it_is_checked() {
        for (memory, passes, good) in
            [(8, 64, true), (1024 * 1024, 1, true), (1024 * 1024 + 1, 1, false), (8, 65, false)]
        {
            let hash = format!("$argon2id$v=19$m={memory},t={passes},p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA");
            // What is refused has no `nobody` made for it.
            let cheap = super::Cost { memory: u32::MAX, passes: u32::MAX, lanes: 1 };
            let mut passwords = Passwords { cost: cheap, ..Passwords::new().unwrap() };
            assert_eq!(passwords.add("ann", &hash).is_ok(), good, "{hash}");
        }
    }

    #[test]
    fn t105_a_name_is_only_looked_up_whatever_it_holds() {
        let passwords = Passwords::parse(&format!("ann:{}", hash(b"x").unwrap()), None).unwrap();
        for name in [&b"../../root"[..], b"ann\0", b"", &[b'a'; 30_000], b"\xff"] {
            assert!(!passwords.verify(name, b"x"));
        }
    }

    #[test]
    fn who_comes_when_as_many_wait_as_may_is_given_back() {
        let poll = Poll::new().unwrap();
        let checker = Checker::spawn(&Arc::new(Waker::new(poll.registry(), Token(0)).unwrap())).unwrap();
        let passwords = Arc::new(Passwords::new().unwrap());
        let check = |n| checker.check(&passwords, b"ann", b"x".to_vec().into(), n).err();
        let (taken, given_back) = (0..10 * QUEUE_MAX).find_map(|n| Some((n, check(n)?))).expect("a bound");
        assert_eq!(given_back, taken);
        let answered = std::iter::from_fn(|| checker.answer()).count();
        assert!(taken >= QUEUE_MAX && taken - answered <= QUEUE_MAX + THREADS, "{taken}, {answered}");
    }

    #[test]
    fn a_bad_line_is_named() {
        let made = hash(b"x").unwrap();
        for (file, line) in
            [("ann", 1), ("\nann:plain", 2), ("ann:$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", 1)]
        {
            assert_eq!(Passwords::parse(file, None).unwrap_err().0, line, "{file}");
        }
        assert_eq!(Passwords::parse(&format!("a:{made}\na:{made}"), None).unwrap_err().0, 2);
    }
}
