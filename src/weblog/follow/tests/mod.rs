//! A log under hands that rotate it, in virtual time: each line exactly once, in order.

mod begin;
mod cut;
mod resume;
mod rotate;
mod shapes;
mod turns;

use super::files::{Files, Stat, Trouble};
use super::ledger::Ledger;
use super::local::{Local, LocalFiles};
use super::logs::{Share, TRAY_MAX, Told, Tray};
use super::position::Checkpoint;
use super::{Follower, Note, Options, POLL, Start};
use crate::driver::task::{Tasks, Timers};
use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Instant, UNIX_EPOCH};
use tempfile::TempDir;

/// What is done before one of the calls that are to come.
type Before = (u64, Box<dyn FnOnce()>);

/// What is done before each call.
type Always = Box<dyn FnMut(Call)>;

/// What the host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Open,
    Stat,
    Read,
    List,
}

/// What a host is like whose files are followed.
#[derive(Default)]
struct Manners {
    /// Files have no numbers, as over SFTP.
    blind: bool,
    /// Nothing can be opened.
    denied: Cell<bool>,
    /// So many calls are answered, then the way is lost.
    calls_left: Cell<Option<u64>>,
    /// Before so many calls more this happens.
    before: RefCell<Option<Before>>,
    /// Before each call this happens.
    always: RefCell<Option<Always>>,
}

/// Local files that behave so.
struct TestFiles {
    inner: LocalFiles,
    manners: Rc<Manners>,
}

impl TestFiles {
    fn call(&self, call: Call) -> Result<(), Trouble> {
        if let Some(always) = self.manners.always.borrow_mut().as_mut() {
            always(call);
        }
        let mut before = self.manners.before.borrow_mut();
        if let Some((calls, _)) = before.as_mut() {
            *calls = calls.saturating_sub(1);
        }
        if let Some((_, happens)) = before.take_if(|(calls, _)| *calls == 0) {
            happens();
        }
        let Some(left) = self.manners.calls_left.get() else { return Ok(()) };
        self.manners.calls_left.set(Some(left.saturating_sub(1)));
        if left == 0 { Err(Trouble::Lost) } else { Ok(()) }
    }

    fn seen(&self, stat: Stat) -> Stat {
        let identity = stat.identity.filter(|_| !self.manners.blind);
        Stat { identity, ..stat }
    }
}

impl Files for TestFiles {
    type File = OwnedFd;

    async fn open(&self, path: &[u8]) -> Result<OwnedFd, Trouble> {
        self.call(Call::Open)?;
        let opened = self.inner.open(path).await;
        if self.manners.denied.get() { opened.and(Err(Trouble::Denied)) } else { opened }
    }

    async fn stat(&self, path: &[u8]) -> Result<Stat, Trouble> {
        self.call(Call::Stat)?;
        self.inner.stat(path).await.map(|stat| self.seen(stat))
    }

    async fn fstat(&self, file: &OwnedFd) -> Result<Stat, Trouble> {
        self.call(Call::Stat)?;
        self.inner.fstat(file).await.map(|stat| self.seen(stat))
    }

    async fn read(
        &self,
        file: &OwnedFd,
        offset: u64,
        at_most: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, Trouble> {
        self.call(Call::Read)?;
        self.inner.read(file, offset, at_most, into).await
    }

    async fn list(
        &self,
        directory: &[u8],
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<u8>, Stat)>, Trouble> {
        self.call(Call::List)?;
        let list = self.inner.list(directory, fits).await?;
        Ok(list.into_iter().map(|(name, stat)| (name, self.seen(stat))).collect())
    }

    async fn wait(&self, at_most: Duration) {
        self.inner.wait(at_most).await;
    }
}

/// A log, its writer, and whoever follows it.
struct Rig {
    directory: TempDir,
    path: PathBuf,
    manners: Rc<Manners>,
    timers: Rc<Timers>,
    local: Rc<Local>,
    tasks: Tasks,
    tray: Rc<Tray>,
    ledger: Rc<Ledger>,
    begin: Instant,
    now: Instant,
    /// Lines that were written.
    written: u64,
    lines: Vec<String>,
    offsets: Vec<(u64, u64)>,
    directives: Vec<String>,
    notes: Vec<Note>,
    ended: Option<Option<String>>,
    /// Turns of the loop that it took.
    turns: usize,
}

/// On hosts that number their files, and on others.
const BOTH: [bool; 2] = [false, true];

/// All lines, and on.
fn all() -> Options {
    Options { start: Start::Line(1), ..Options::default() }
}

/// All lines that are there, and no more.
fn once() -> Options {
    Options { follow: false, ..all() }
}

fn line(number: u64) -> String {
    format!(
        "{number:07} 203.0.113.7 - - [01/Mar/2026:00:00:00 +0000] \"GET /{number:07} HTTP/1.1\" 200 1 \"-\" \"-\""
    )
}

impl Rig {
    fn new(blind: bool) -> Self {
        let begin = Instant::now();
        let timers = Rc::new(Timers::new(begin));
        let directory = tempfile::tempdir().unwrap();
        Self {
            path: directory.path().join("access.log"),
            directory,
            manners: Rc::new(Manners { blind, ..Manners::default() }),
            local: Local::new(Rc::clone(&timers)),
            timers,
            tasks: Tasks::default(),
            tray: Rc::default(),
            ledger: Rc::default(),
            begin,
            now: begin,
            written: 0,
            lines: Vec::new(),
            offsets: Vec::new(),
            directives: Vec::new(),
            notes: Vec::new(),
            ended: None,
            turns: 0,
        }
    }

    /// Followed from its beginning, empty.
    fn following(blind: bool) -> Self {
        let mut rig = Self::new(blind);
        rig.write(0);
        rig.start(all());
        rig.run();
        rig
    }

    /// Whoever follows now is another one, that goes on.
    fn start(&mut self, options: Options) {
        self.stop();
        let files = TestFiles { inner: self.local.log(&self.path), manners: Rc::clone(&self.manners) };
        let share = Share { tray: Rc::clone(&self.tray), log: 0 };
        let path = self.path.as_os_str().as_bytes().to_vec();
        let (timers, ledger) = (Rc::clone(&self.timers), Rc::clone(&self.ledger));
        let mut follower = Follower::new(files, path, options, timers, ledger, share);
        let ended = Rc::clone(&self.tray);
        self.ended = None;
        self.tasks.starter().start(async move {
            let why = follower.run().await.err().map(|trouble| trouble.to_string());
            ended.end(0, why);
        });
    }

    /// Nobody follows any more. What was told and not taken is lost with it.
    fn stop(&mut self) {
        self.tasks = Tasks::default();
    }

    /// The same after a time as text, as a run of the program after another.
    fn restart(&mut self) {
        let text = serde_json::to_string(&self.ledger.checkpoint()).unwrap();
        let checkpoint: Checkpoint = serde_json::from_str(&text).unwrap();
        self.ledger = Rc::new(Ledger::from(checkpoint));
        self.start(all());
    }

    /// One turn of the loop; whether it is wanted again at once.
    fn turn(&mut self) -> bool {
        self.turns += 1;
        self.local.turn();
        self.timers.handle_timeout(self.now);
        self.tasks.run();
        let full = self.tray.is_full();
        self.tray.take(|_, told| match told {
            Told::Line(generation, line) => {
                let flags = [(line.partial, "|"), (line.cut, "…")];
                let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
                self.lines.push(String::from_utf8_lossy(line.bytes).into_owned() + &flags);
                self.offsets.push((generation, line.offset));
            }
            Told::Directives(text) => self.directives.push(String::from_utf8_lossy(text).into_owned()),
            Told::Note(note) => self.notes.push(note.clone()),
            Told::End(why) => self.ended = Some(why.map(str::to_owned)),
        });
        full || self.local.wants_turn()
    }

    /// Everything that can be done now.
    fn run(&mut self) {
        while self.turn() {}
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.run();
    }

    /// The same for as many turns as a MiB could take, and nobody takes what is told.
    fn pass_untaken(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..50 {
            self.local.turn();
            self.timers.handle_timeout(self.now);
            self.tasks.run();
        }
    }

    /// What was read after the next look, and has not been taken.
    fn read(&mut self) -> Vec<String> {
        self.pass(POLL);
        core::mem::take(&mut self.lines)
    }

    fn clock(&self) -> u64 {
        1_772_323_200 + self.now.duration_since(self.begin).as_secs()
    }

    fn writer(&self) -> File {
        OpenOptions::new().append(true).create(true).open(&self.path).unwrap()
    }

    fn put(&self, writer: &mut File, text: &str) {
        writer.write_all(text.as_bytes()).unwrap();
        writer.set_modified(UNIX_EPOCH + Duration::from_secs(self.clock())).unwrap();
    }

    fn append(&self, text: &str) {
        self.put(&mut self.writer(), text);
    }

    /// So many numbered lines more, by this writer.
    fn write_by(&mut self, writer: &mut File, count: u64) {
        let text: String = (self.written..self.written + count).map(|n| line(n) + "\n").collect();
        self.written += count;
        self.put(writer, &text);
    }

    fn write(&mut self, count: u64) {
        let mut writer = self.writer();
        self.write_by(&mut writer, count);
    }

    fn sibling(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(ending);
        name.into()
    }

    /// `.1` becomes `.2` and so on, and the log `.1`.
    fn rotate(&self) {
        self.shift();
        fs::rename(&self.path, self.sibling(".1")).unwrap();
    }

    fn shift(&self) {
        for number in (1..20).rev() {
            for packed in ["", ".gz"] {
                let from = self.sibling(&format!(".{number}{packed}"));
                if from.exists() {
                    fs::rename(from, self.sibling(&format!(".{}{packed}", number + 1))).unwrap();
                }
            }
        }
    }

    /// As logrotate does where the writer cannot be told.
    fn copy_and_truncate(&self) {
        self.shift();
        self.copy(".1");
        self.writer().set_len(0).unwrap();
    }

    fn copy(&self, ending: &str) {
        fs::copy(&self.path, self.sibling(ending)).unwrap();
        let copy = File::options().append(true).open(self.sibling(ending)).unwrap();
        copy.set_modified(UNIX_EPOCH + Duration::from_secs(self.clock())).unwrap();
    }

    fn gzip(&self, ending: &str) {
        let plain = self.sibling(ending);
        let modified = fs::metadata(&plain).unwrap().modified().unwrap();
        let packed = File::create(self.sibling(&format!("{ending}.gz"))).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
        encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
        encoder.finish().unwrap().set_modified(modified).unwrap();
        fs::remove_file(plain).unwrap();
    }

    /// Each line that was written was told exactly once, in order.
    #[track_caller]
    fn check(&mut self) {
        self.pass(POLL);
        let expected: Vec<String> = (0..self.written).map(line).collect();
        if self.lines != expected {
            let numbers: Vec<&str> = self.lines.iter().map(|line| line.get(..7).unwrap_or(line)).collect();
            panic!("of {} lines ({:?}): {numbers:?}", self.written, self.notes);
        }
    }

    /// The same in any order: what was written to an old file comes when it comes.
    #[track_caller]
    fn check_unordered(&mut self) {
        self.pass(POLL);
        self.lines.sort();
        self.check();
    }

    /// The receipt says that nothing is missing.
    #[track_caller]
    fn check_receipt(&self) {
        let receipt = self.ledger.receipt();
        assert_eq!((receipt.written, &receipt.gaps), (receipt.read, &Vec::new()), "{:?}", self.notes);
    }

    fn count(&self, of: impl Fn(&Note) -> bool) -> usize {
        self.notes.iter().filter(|note| of(note)).count()
    }
}
