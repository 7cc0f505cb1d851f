//! The load of `ssh-weblog-server`: many viewers of a busy log, many of a quiet one, and some that do not keep up.
//!
//! ```text
//! cargo bench --bench viewers -- viewers [VIEWERS RATE SECONDS]
//! cargo bench --bench viewers -- idle [VIEWERS]
//! cargo bench --bench viewers -- stalled [VIEWERS RATE SECONDS]
//! ```
//!
//! The server is the program. The viewers are this process': connections of one loop, that do no more than read and count. Each
//! line of the log says when it was written; a delay is the time from then until the record was decrypted at a viewer. What the
//! writer and the viewers cost is this process', told beside the server's. Beside the first kind a few `ssh` watch, the system's.

#[path = "common/delays.rs"]
mod delays;
#[path = "../tests/common/viewer.rs"]
mod viewer;

use delays::Delays;
use mio::net::TcpStream;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use strombus::connection::{ChannelEvent, ChannelLimits, Connection, Event};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source, Stream};
use strombus::transport::{Client, ClientConfig};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};
use viewer::{Seen, Server, Viewer, line};

/// Logins at a time.
const LOGINS: usize = 32;

/// How long the last records may take.
const LATE: Duration = Duration::from_secs(60);

/// For everyone who is here.
const LIMITS: &str = "max_connections = 20000\nmax_startups = '20000:30:20000'\nlogin_grace = '10m'\n";

/// What an idle viewer may take of the server's memory (bytes).
const IDLE_MAX: u64 = 16 * 1024;

/// Real clients that watch beside the others.
const SSHS: u64 = 3;

/// Viewers on one loop.
struct Crowd {
    address: SocketAddr,
    key: Arc<PrivateKey>,
    config: Arc<ClientConfig>,
    command: &'static str,
    wanted: usize,
    begun: usize,
    watching: usize,
    seen: HashMap<PeerId, Seen>,
    /// Records of all of them that are still to come.
    expected: u64,
    packets: u64,
    delays: Delays,
    /// When the writer began.
    begin: Instant,
    /// What is to come should have come.
    is_late: bool,
}

impl Crowd {
    fn log_in(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Client>) -> Result<(), Error> {
        while self.begun < self.wanted && self.begun - self.watching < LOGINS {
            let stream = Stream::Tcp(TcpStream::connect(self.address)?);
            let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
            let (limits, rng) = (ChannelLimits::default(), Box::new(SystemRng));
            peers.add(cx, stream, Connection::new(Arc::clone(&self.config), ann, limits, rng, cx.now))?;
            self.begun += 1;
        }
        Ok(())
    }
}

impl Application<Client> for Crowd {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        match event {
            Event::Kex(host) => conn.accept_host_key(host.ticket)?,
            Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => {
                conn.request_publickey(ticket, Arc::clone(&self.key))?;
            }
            Event::Authenticated => drop(conn.open_session()?),
            Event::Channel(id, ChannelEvent::Opened) => {
                conn.channel(id)?.request_exec(self.command.as_bytes())?;
            }
            Event::Channel(_, ChannelEvent::Reply { success }) => {
                assert!(success, "the command is refused");
                self.seen.insert(peer, Seen::default());
                self.watching += 1;
                cx.set_timer(Some(cx.now)); // for the next one
            }
            Event::Channel(id, ChannelEvent::Data { data }) => {
                let now = self.begin.elapsed();
                let Self { seen, delays, expected, packets, .. } = self;
                let seen = seen.get_mut(&peer).expect("it watches");
                seen.take(data, |since| {
                    delays.add(now.saturating_sub(since));
                    *expected = expected.saturating_sub(1);
                });
                *packets += 1;
                conn.channel(id)?.adjust_window(data.len())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        panic!("a viewer was ended: {why:?}");
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        _: Source,
    ) -> Result<(), Error> {
        self.is_late = self.watching == self.wanted;
        self.log_in(cx, peers)
    }

    fn is_done(&self) -> bool {
        self.is_late || (self.watching == self.wanted && self.expected == 0)
    }
}

/// Processor time of a process (s).
fn processor(pid: u32) -> f64 {
    /// What Linux counts in, in a second.
    const USER_HZ: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<_> = stat.rsplit(") ").next().expect("a name").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / USER_HZ
}

/// A server, and those who watch it.
struct Watch {
    server: Server,
    driver: Driver<Client, Crowd>,
}

/// What came of a log that was written to.
struct Outcome {
    crowd: Crowd,
    server: f64,
    here: f64,
    wall: f64,
}

impl Watch {
    fn begin(command: &'static str, viewers: usize, limits: &str) -> Self {
        let server = Server::start(&format!("{LIMITS}{limits}"));
        let crowd = Crowd {
            address: server.address,
            key: viewer::key(),
            config: Arc::default(),
            command,
            wanted: viewers,
            begun: 0,
            watching: 0,
            seen: HashMap::new(),
            expected: 0,
            packets: 0,
            delays: Delays::new(),
            begin: Instant::now(),
            is_late: false,
        };
        Self { server, driver: Driver::new(crowd).expect("a loop") }
    }

    fn log_in(&mut self) {
        self.driver.with(Crowd::log_in).expect("connected");
        self.driver.run().expect("logged in");
    }

    /// Writes, and reads all of it.
    fn read(mut self, lines: u64, rate: u64) -> (Outcome, Server) {
        let (pid, own) = (self.server.pid(), std::process::id());
        let before = (processor(pid), processor(own));
        let begin = Instant::now();
        let crowd = &mut self.driver.app;
        (crowd.begin, crowd.expected, crowd.is_late) = (begin, lines * crowd.wanted as u64, false);
        let end = begin + Duration::from_secs(lines / rate) + LATE;
        self.driver
            .with(|_, cx, _| {
                cx.set_timer(Some(end));
                Ok(())
            })
            .expect("a timer");
        let writer = write(&self.server, begin, lines, rate);
        self.driver.run().expect("a loop");
        writer.join().expect("written");
        let wall = begin.elapsed().as_secs_f64();
        let (server, here) = (processor(pid) - before.0, processor(own) - before.1);
        (Outcome { crowd: self.driver.app, server, here, wall }, self.server)
    }
}

/// Appends so many lines, each at its time.
fn write(server: &Server, begin: Instant, lines: u64, rate: u64) -> JoinHandle<()> {
    let mut log = server.open_log();
    thread::spawn(move || {
        for number in 0..lines {
            let due = begin + Duration::from_nanos(1_000_000_000 / rate * number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            log.write_all(line(begin.elapsed(), number).as_bytes()).expect("written");
        }
    })
}

impl Outcome {
    fn print(&self, what: &str, lines: u64) {
        let sum = |of: fn(&Seen) -> u64| self.crowd.seen.values().map(of).sum::<u64>();
        let (received, skipped, wrong) =
            (sum(|seen| seen.received), sum(|seen| seen.skipped), sum(|seen| seen.wrong));
        let expected = lines * self.crowd.wanted as u64;
        println!(
            "{what}: {received} of {expected} records delivered, {skipped} skipped, {wrong} out of order"
        );
        println!("    delay: {}", self.crowd.delays);
        println!(
            "    {:.0} packets a second, {:.1} records in each; processor: server {:.2} s, viewers and writer {:.2} s, of {:.1} s",
            self.crowd.packets as f64 / self.wall,
            received as f64 / self.crowd.packets as f64,
            self.server,
            self.here,
            self.wall,
        );
        assert_eq!((received, wrong), (expected, 0), "{what}: who keeps up gets everything");
    }
}

/// A real client, and the thread that reads what it says until all has come.
struct Ssh {
    child: Child,
    reader: JoinHandle<Seen>,
}

impl Ssh {
    fn begin(address: SocketAddr, key: &Path, command: &str, lines: u64) -> Self {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-i"]).arg(key).args(["-p", &address.port().to_string()]);
        for option in
            ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        {
            ssh.args(["-o", option]);
        }
        ssh.args(["ann@127.0.0.1", command]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = ssh.spawn().expect("ssh is installed");
        let mut out = child.stdout.take().expect("piped");
        let reader = thread::spawn(move || {
            let (mut seen, mut block) = (Seen::default(), vec![0; 64 * 1024]);
            while seen.received + seen.skipped < lines {
                let n = out.read(&mut block).expect("a pipe");
                assert_ne!(n, 0, "ssh ended");
                seen.take(&block[..n], |_| {});
            }
            seen
        });
        Self { child, reader }
    }

    fn finish(mut self) -> Seen {
        let seen = self.reader.join().expect("it reads");
        let _ended = (self.child.kill(), self.child.wait());
        seen
    }
}

fn viewers(count: usize, rate: u64, seconds: u64) {
    let lines = rate * seconds;
    let directory = tempfile::tempdir().expect("a directory");
    let key = directory.path().join("key");
    fs::write(&key, include_bytes!("../vectors/keys/ed25519")).expect("written");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("mine");
    for command in ["tail", "tail --json"] {
        let mut watch = Watch::begin(command, count, "");
        watch.log_in();
        let begin = |_| Ssh::begin(watch.server.address, &key, command, lines);
        let sshs: Vec<_> = (0..SSHS).map(begin).collect();
        let until = Instant::now() + LATE;
        while watch.server.metric("ssh_weblog_viewers") < count as u64 + SSHS {
            assert!(Instant::now() < until, "not all of them watch");
            thread::sleep(Duration::from_millis(20));
        }
        let (outcome, _server) = watch.read(lines, rate);
        outcome.print(&format!("{count} viewers of {rate} records a second, {command}"), lines);
        for seen in sshs.into_iter().map(Ssh::finish) {
            assert_eq!((seen.received, seen.skipped, seen.wrong), (lines, 0, 0), "ssh gets everything");
        }
        println!("    and {SSHS} ssh received {lines} records each");
    }
}

fn idle(count: usize) {
    let mut watch = Watch::begin("tail", count, "");
    // One first: what is made once is no viewer's.
    watch.driver.app.wanted = 1;
    watch.log_in();
    let before = watch.server.resident();
    let (server, here) = (processor(watch.server.pid()), processor(std::process::id()));
    watch.driver.app.wanted = count;
    let begin = Instant::now();
    watch.driver.app.is_late = false;
    watch.log_in();
    let after = watch.server.resident();
    let each = (after - before) / (count as u64 - 1).max(1);
    println!(
        "{count} idle viewers: resident memory of the server {:.1} MB with one, {:.1} MB with all: {each} bytes each, limit \
         {IDLE_MAX}",
        before as f64 / 1e6,
        after as f64 / 1e6,
    );
    println!(
        "    logins took {:.1} s; processor: server {:.1} s, viewers {:.1} s",
        begin.elapsed().as_secs_f64(),
        processor(watch.server.pid()) - server,
        processor(std::process::id()) - here,
    );
    let (outcome, server) = watch.read(1, 1);
    outcome.print("    then a record for all", 1);
    println!("    resident memory after it: {:.1} MB", server.resident() as f64 / 1e6);
}

/// Reads as it likes until all is written, then everything.
fn laggard(mut viewer: Viewer, pause: Option<Duration>, written: &Arc<AtomicBool>) -> JoinHandle<Viewer> {
    let written = Arc::clone(written);
    thread::spawn(move || {
        while !written.load(Ordering::Relaxed) {
            thread::sleep(pause.unwrap_or(Duration::from_millis(100)));
            if pause.is_some() {
                viewer.read(1);
            }
        }
        viewer
    })
}

fn stalled(count: usize, rate: u64, seconds: u64) {
    let lines = rate * seconds;
    for with in [false, true] {
        let mut watch = Watch::begin("tail --json", count, "ring = 1000\n");
        watch.log_in();
        let written = Arc::<AtomicBool>::default();
        let begin = |server| Viewer::begin(server, "tail --json", ChannelLimits::default());
        let mut laggards = Vec::new();
        if with {
            let [one, other, gone] = [(); 3].map(|()| begin(&watch.server));
            laggards.push(("reads nothing", laggard(one, None, &written)));
            laggards.push(("reads a byte a second", laggard(other, Some(Duration::from_secs(1)), &written)));
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(seconds) / 2);
                drop(gone);
            });
        }
        let (outcome, server) = watch.read(lines, rate);
        let what = if with { "beside three that do not keep up" } else { "alone" };
        outcome.print(&format!("{count} viewers of {rate} records a second, {what}"), lines);
        written.store(true, Ordering::Relaxed);
        for (name, thread) in laggards {
            let (mut viewer, mut seen) = (thread.join().expect("it reads"), Seen::default());
            while !seen.has_all(&mut viewer, lines) {
                assert!(viewer.read(usize::MAX), "the server closed");
            }
            println!(
                "    one that {name}: {} received, {} skipped, {} written",
                seen.received, seen.skipped, lines
            );
        }
        if with {
            println!("    {} skipped by the server's count", server.metric("ssh_weblog_skipped_total"));
        }
    }
}

fn main() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the maximum");
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let count = |default| usize::try_from(number(0, default)).expect("a count");
    let is_wanted = |name: &str| {
        words.iter().all(|word| word.parse::<u64>().is_ok()) || words.iter().any(|word| word == name)
    };
    if is_wanted("viewers") {
        viewers(count(1000), number(1, 1000), number(2, 10));
    }
    if is_wanted("idle") {
        idle(count(10_000));
    }
    if is_wanted("stalled") {
        stalled(count(97), number(1, 1000), number(2, 10));
    }
}
