//! Workers on real sockets: who gets which peer, what they share, and how they end.

mod clients;

use clients::*;
use mio::net::TcpListener;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::gate::{Gate, GateConfig};
use strombus::driver::{
    Application, Context, Driver, Error, INBOX_MAX, PeerId, Peers, Source, Stream, WORKERS_MAX, Workers,
};
use strombus::transport::{Client, Server, ServerConfig};
use strombus::userauth::{
    ClientUserauthConfig, ClientUserauthEvent, Credential, CredentialEvent, Permissions, ServerUserauthConfig,
};

/// Descriptors and threads are the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For tests with more connections than the gate lets in by itself.
const ROOM: &[(&str, &str)] = &[("MaxStartups", "1000"), ("PerSourceMaxStartups", "none")];

/// What a worker's program does when it is told to.
enum Command {
    /// Blocks until the other end is dropped.
    Block(Receiver<()>),
    StopListening,
    Done,
    Fail,
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Connected,
    Event,
    Blocks,
    StoppedListening,
    Ended,
}

/// What happened where.
#[derive(Clone, Copy, Debug)]
struct Told {
    worker: usize,
    thread: ThreadId,
    peer: Option<PeerId>,
    what: What,
}

/// Sends back what comes.
struct Echo {
    worker: usize,
    told: Sender<Told>,
    commands: Receiver<Command>,
    held: HashMap<PeerId, Vec<u8>>,
    done: bool,
}

impl Echo {
    fn tell(&self, what: What, peer: Option<PeerId>) {
        let _nobody_listens =
            self.told.send(Told { worker: self.worker, thread: thread::current().id(), peer, what });
    }

    fn pump(&mut self, peer: PeerId, conn: &mut Connection<Server>, id: ChannelId) -> Result<(), Error> {
        let held = self.held.entry(peer).or_default();
        let mut channel = conn.channel(id)?;
        let n = channel.write(held);
        held.drain(..n);
        channel.adjust_window(n)?;
        Ok(())
    }
}

impl Application<Server> for Echo {
    fn connect(&mut self, _: &mut Context<'_>, peer: PeerId, _: Option<SocketAddr>) {
        self.tell(What::Connected, Some(peer));
    }

    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        self.tell(What::Event, Some(peer));
        match event {
            Event::Userauth(CredentialEvent {
                credential: Credential::Password(password), ticket, ..
            }) if **password == *b"secret" => {
                conn.accept_user(ticket, &Permissions::FULL)?;
            }
            Event::Userauth(question) => conn.refuse_user(question.ticket)?,
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => conn.accept_channel(id)?,
            Event::Channel(id, ChannelEvent::Request { request: Request::Shell, .. }) => {
                conn.channel(id)?.reply(true)?;
            }
            Event::Channel(id, ChannelEvent::Data { data }) => {
                self.held.entry(peer).or_default().extend_from_slice(data);
                self.pump(peer, conn, id)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        self.tell(What::Event, Some(peer));
        self.pump(peer, conn, id)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, peer: PeerId, _: Result<(), Error>) {
        self.held.remove(&peer);
        self.tell(What::Ended, Some(peer));
    }

    fn source(&mut self, cx: &mut Context<'_>, _: &mut Peers<'_, Server>, _: Source) -> Result<(), Error> {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Block(until) => {
                    self.tell(What::Blocks, None);
                    let _dropped = until.recv();
                }
                Command::StopListening => cx.stop_listening(),
                Command::Done => self.done = true,
                Command::Fail => {
                    return Err(io::Error::other(format!("worker {} failed", self.worker)).into());
                }
                Command::Panic => panic!("worker {} panicked", self.worker),
            }
        }
        Ok(())
    }

    fn stopped_listening(&mut self, _: &mut Context<'_>, _: &mut Peers<'_, Server>) -> Result<(), Error> {
        self.tell(What::StoppedListening, None);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// How the run ended; refusals, startups and connections at the gate then.
type Outcome = (Result<(), Error>, (u64, u32, u32));

/// Workers that run.
struct Running {
    address: SocketAddr,
    told: Receiver<Told>,
    history: RefCell<Vec<Told>>,
    commands: Vec<(Sender<Command>, Arc<mio::Waker>)>,
    thread: Option<JoinHandle<Outcome>>,
}

/// Starts workers behind a gate with these options; the second wrong password ends a connection.
fn serve(count: usize, options: &[(&str, &str)]) -> Running {
    let mut config = GateConfig::default();
    for (keyword, value) in options {
        config.set(keyword, value).unwrap().unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    let mut all = Vec::new();
    let mut workers = Workers::new(count, |worker, waker| {
        let (sender, commands) = channel();
        assert_eq!(all.len(), worker);
        all.push((sender, waker));
        Ok(Echo { worker, told: tell.clone(), commands, held: HashMap::new(), done: false })
    })
    .unwrap();
    let host_keys = vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))];
    let server = Arc::new(ServerConfig::new(host_keys));
    let accept = move |_, now| {
        let userauth = ServerUserauthConfig { max_auth_tries: 1, ..Default::default() };
        Connection::new(Arc::clone(&server), userauth, Default::default(), Box::new(SystemRng), now)
    };
    workers.listen_behind(Gate::new(config, Box::new(SystemRng)), listener, accept).unwrap();
    let thread = thread::spawn(move || {
        let result = workers.run();
        let gate = workers.gate().unwrap();
        (result, (gate.refusals(), gate.startups(), gate.connections()))
    });
    Running { address, told, history: RefCell::default(), commands: all, thread: Some(thread) }
}

impl Running {
    fn command(&self, worker: usize, command: Command) {
        let (commands, waker) = &self.commands[worker];
        commands.send(command).unwrap();
        waker.wake().unwrap();
    }

    /// The next of that kind.
    fn wait(&self, what: What) -> Told {
        loop {
            let told = self.told.recv().unwrap();
            self.history.borrow_mut().push(told);
            if told.what == what {
                return told;
            }
        }
    }

    /// Blocks the program of a worker until what this gives is dropped.
    fn block(&self, worker: usize) -> Sender<()> {
        let (until, blocks) = channel();
        self.command(worker, Command::Block(blocks));
        assert_eq!(self.wait(What::Blocks).worker, worker);
        until
    }

    /// The thread that runs the workers.
    fn thread(&self) -> ThreadId {
        self.thread.as_ref().unwrap().thread().id()
    }

    /// The end of all, and everything that was told.
    fn end(mut self) -> (Outcome, Vec<Told>) {
        let outcome = self.thread.take().unwrap().join();
        await_threads();
        let mut history = self.history.take();
        history.extend(self.told.iter());
        (outcome.unwrap_or_else(|payload| std::panic::resume_unwind(payload)), history)
    }
}

/// A test that failed leaves no workers to the next.
impl Drop for Running {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        for (commands, waker) in &self.commands {
            let _it_has_ended = commands.send(Command::Done);
            waker.wake().unwrap();
        }
        let _outcome = thread.join();
    }
}

/// Threads of workers but the first.
fn threads() -> usize {
    let is_worker = |task: &io::Result<fs::DirEntry>| {
        let comm = task.as_ref().unwrap().path().join("comm");
        fs::read_to_string(comm).is_ok_and(|name| name.starts_with("worker "))
    };
    fs::read_dir("/proc/self/task").unwrap().filter(is_worker).count()
}

/// Waits until no thread of a worker is left: the system still shows one for a moment after it was joined.
fn await_threads() {
    while threads() > 0 {
        thread::yield_now();
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A stream to a server that comes from `127.0.0.n`.
fn come(n: u8, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from(([127, 0, 0, n], 0)))?;
    connect(&socket, &address)?;
    Ok(socket.into())
}

/// The beginning of what one who comes from there is told.
fn greeting(n: u8, address: SocketAddr) -> (TcpStream, String) {
    let mut stream = come(n, address).unwrap();
    let mut first = [0; 8];
    stream.read_exact(&mut first).unwrap();
    (stream, String::from_utf8_lossy(&first).into_owned())
}

const ADMITTED: &str = "SSH-2.0-";
const MAX_STARTUPS: &str = "Exceeded";
const PENALTY: &str = "Not allo";

fn byte(at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

#[test]
fn connections_are_spread_and_what_happens_to_one_happens_on_one_thread() {
    let _alone = alone();
    let server = serve(4, ROOM);
    let mut parties = [2, 3, 4].map(|n| party(4, n, server.address, b"secret"));
    for party in &mut parties {
        assert!(echo(party, 0));
    }
    for _ in 0..5 {
        assert!(parties.iter_mut().all(|party| echo(party, 30_000)));
    }
    let first = server.thread();
    server.command(2, Command::Done);
    let (outcome, told) = server.end();
    assert!(matches!(outcome, (Ok(()), (0, 0, 12))), "{outcome:?}");
    let mut threads = BTreeSet::new();
    for worker in 0..4 {
        let here = || told.iter().filter(move |told| told.worker == worker);
        let peers: HashSet<_> = here().filter_map(|told| told.peer).collect();
        assert_eq!(peers.len(), 3, "of worker {worker}");
        let ids: HashSet<_> = here().map(|told| told.thread).collect();
        assert_eq!(ids.len(), 1, "of worker {worker}");
        assert_eq!(worker == 0, ids.contains(&first), "the first runs where all are run");
        threads.extend(ids.iter().map(|id| format!("{id:?}")));
    }
    assert_eq!(threads.len(), 4);
}

#[test]
fn whoever_has_the_fewest_peers_gets_the_next() {
    let _alone = alone();
    let server = serve(3, &[]);
    let mut connected = HashMap::new();
    for _ in 0..6 {
        let (stream, _) = greeting(2, server.address);
        connected.entry(server.wait(What::Connected).worker).or_insert_with(Vec::new).push(stream);
    }
    assert!((0..3).all(|worker| connected[&worker].len() == 2));
    for worker in [1, 0, 2, 2] {
        drop(connected.get_mut(&worker).unwrap().pop().unwrap());
        assert_eq!(server.wait(What::Ended).worker, worker);
        let (stream, _) = greeting(2, server.address);
        assert_eq!(server.wait(What::Connected).worker, worker);
        connected.get_mut(&worker).unwrap().push(stream);
    }
    server.command(0, Command::Done);
    assert!(matches!(server.end().0, (Ok(()), (0, 6, 6))));
}

#[test]
fn one_worker_is_a_loop_on_the_thread_that_runs_it() {
    let _alone = alone();
    let server = serve(1, &[]);
    let mut client = log_in(2, server.address);
    assert!(echo(&mut client, 1000));
    let thread = server.thread();
    assert_eq!(threads(), 0);
    server.command(0, Command::StopListening);
    assert!(echo(&mut client, 1000));
    server.command(0, Command::Done);
    let (outcome, told) = server.end();
    assert!(matches!(outcome, (Ok(()), (0, 0, 1))), "{outcome:?}");
    assert!(told.iter().all(|told| told.thread == thread && told.what != What::StoppedListening));
}

#[test]
fn so_many_workers_and_no_more() {
    let _alone = alone();
    let made = |count| {
        let mut made = 0;
        let (tell, _) = channel();
        let result = Workers::<Server, _>::new(count, |worker, _| {
            made += 1;
            let (told, commands) = (tell.clone(), channel().1);
            Ok(Echo { worker, told, commands, held: HashMap::new(), done: false })
        });
        (result.is_ok(), made)
    };
    assert_eq!(made(0), (true, thread::available_parallelism().unwrap().get().min(WORKERS_MAX)));
    assert_eq!(made(3), (true, 3));
    assert_eq!(made(WORKERS_MAX + 1), (false, 0));
}

#[test]
fn t60_connections_without_a_login_are_counted_over_all_workers() {
    let _alone = alone();
    let server = serve(3, &[("MaxStartups", "6:100:6")]);
    let mut silent: Vec<_> = (0..6).map(|n| greeting(2 + n, server.address)).collect();
    assert!(silent.iter().all(|(_, said)| said == ADMITTED));
    let workers: BTreeSet<_> = (0..6).map(|_| server.wait(What::Connected).worker).collect();
    assert_eq!(workers.len(), 3);
    assert_eq!(greeting(20, server.address).1, MAX_STARTUPS);
    // Whoever goes or logs in makes room, whatever worker it is of.
    for n in 0..6 {
        drop(silent.remove(0));
        server.wait(What::Ended);
        let client = log_in(30 + n, server.address);
        let (stream, said) = greeting(40 + n, server.address);
        assert_eq!(said, ADMITTED);
        assert_eq!(greeting(20, server.address).1, MAX_STARTUPS);
        silent.push((stream, said));
        drop(client);
        server.wait(What::Ended);
    }
    server.command(1, Command::Done);
    let (outcome, _) = server.end();
    assert!(matches!(outcome, (Ok(()), (7, 6, 6))), "{outcome:?}");
}

#[test]
fn t60_connections_of_a_source_are_counted_over_all_workers() {
    let _alone = alone();
    let server = serve(3, &[("PerSourceMaxStartups", "3")]);
    let of_source: Vec<_> = (0..3).map(|_| greeting(2, server.address)).collect();
    assert!(of_source.iter().all(|(_, said)| said == ADMITTED));
    let workers: BTreeSet<_> = (0..3).map(|_| server.wait(What::Connected).worker).collect();
    assert_eq!(workers.len(), 3);
    assert_eq!(greeting(2, server.address).1, MAX_STARTUPS);
    let (_other, said) = greeting(3, server.address);
    assert_eq!(said, ADMITTED);
    server.command(0, Command::Done);
    assert!(matches!(server.end().0, (Ok(()), (1, 4, 4))));
}

#[test]
fn t60_what_a_source_did_at_one_worker_counts_at_all() {
    let _alone = alone();
    let server = serve(3, &[("PerSourcePenalties", "authfail:1h min:2h max:20h")]);
    // Three logins that fail, one at each worker: two of them alone are no penalty yet.
    let mut failed = BTreeSet::new();
    let _kept: Vec<_> = (0..3)
        .map(|_| {
            let mut party = party(1, 2, server.address, b"wrong");
            assert!(!echo(&mut party, 0));
            failed.insert(server.wait(What::Ended).worker);
            // One that stays at the worker, so that the next one goes to another.
            greeting(3, server.address)
        })
        .collect();
    assert_eq!(failed.len(), 3);
    assert_eq!(greeting(2, server.address).1, PENALTY);
    assert_eq!(greeting(4, server.address).1, ADMITTED);
    server.command(0, Command::Done);
    assert!(matches!(server.end().0, (Ok(()), (1, ..))));
}

#[test]
fn two_hundred_connections_at_once_work_and_leave_nothing() {
    let _alone = alone();
    let before = descriptors();
    let server = serve(4, ROOM);
    let mut all = party(200, 2, server.address, b"secret");
    assert!(echo(&mut all, 20_000));
    // All are there at the same time.
    assert!(echo(&mut all, 20_000));
    drop(all);
    let ended: Vec<_> = (0..200).map(|_| server.wait(What::Ended).worker).collect();
    for worker in 0..4 {
        assert_eq!(ended.iter().filter(|ended| **ended == worker).count(), 50);
    }
    server.command(3, Command::Done);
    let (outcome, _) = server.end();
    assert!(matches!(outcome, (Ok(()), (0, 0, 0))), "{outcome:?}");
    assert_eq!(descriptors(), before);
}

#[test]
fn t109_a_program_that_blocks_does_not_stop_the_peers_of_other_workers() {
    let _alone = alone();
    let server = serve(2, &[]);
    let mut clients = [2, 3].map(|n| log_in(n, server.address));
    let until = server.block(1);
    for _ in 0..10 {
        assert!(echo(&mut clients[0], 10_000));
    }
    // One more, for whom the first is as good as the other.
    assert!(echo(&mut log_in(4, server.address), 10_000));
    drop(until);
    assert!(echo(&mut clients[1], 10_000));
    server.command(0, Command::Done);
    assert!(matches!(server.end().0.0, Ok(())));
}

#[test]
fn t60_a_worker_takes_so_many_that_wait_and_the_others_the_rest() {
    let _alone = alone();
    let server = serve(3, ROOM);
    let until = server.block(1);
    let each = INBOX_MAX + 20;
    let streams: Vec<_> = (0..INBOX_MAX + 2 * each).map(|_| come(2, server.address).unwrap()).collect();
    let count = |workers: &[usize], worker| workers.iter().filter(|other| **other == worker).count();
    let taken: Vec<_> = (0..2 * each).map(|_| server.wait(What::Connected).worker).collect();
    assert_eq!([0, 1, 2].map(|worker| count(&taken, worker)), [each, 0, each]);
    drop(until);
    let late: Vec<_> = (0..INBOX_MAX).map(|_| server.wait(What::Connected).worker).collect();
    assert_eq!(count(&late, 1), INBOX_MAX);
    for mut stream in &streams {
        let mut first = [0; 8];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(first, *ADMITTED.as_bytes());
    }
    server.command(0, Command::Done);
    assert!(matches!(server.end().0, (Ok(()), (0, 232, 232))));
}

#[test]
fn a_program_that_is_done_ends_all_whichever_worker_it_is_of() {
    let _alone = alone();
    for worker in 0..3 {
        let server = serve(3, &[]);
        let (address, _client) = (server.address, log_in(2, server.address));
        server.command(worker, Command::Done);
        let (outcome, told) = server.end();
        assert!(matches!(outcome, (Ok(()), (0, 0, 1))), "{outcome:?}");
        assert!(told.iter().all(|told| told.what != What::StoppedListening));
        assert_eq!(come(2, address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}

#[test]
fn an_error_ends_all_and_is_told_whichever_worker_it_is_of() {
    let _alone = alone();
    for worker in 0..3 {
        let server = serve(3, &[]);
        let _clients = [2, 3, 4].map(|n| log_in(n, server.address));
        server.command(worker, Command::Fail);
        let ((result, _), _) = server.end();
        assert_eq!(result.unwrap_err().to_string(), format!("worker {worker} failed"));
    }
}

#[test]
fn a_panic_ends_all_and_goes_on_whichever_worker_it_is_of() {
    let _alone = alone();
    for worker in 0..3 {
        let server = serve(3, &[]);
        let (address, _clients) = (server.address, [2, 3, 4].map(|n| log_in(n, server.address)));
        server.command(worker, Command::Panic);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.end())).unwrap_err();
        assert_eq!(*panicked.downcast::<String>().unwrap(), format!("worker {worker} panicked"));
        await_threads();
        assert_eq!(come(2, address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}

#[test]
fn after_the_listening_each_worker_ends_when_its_own_program_is_done() {
    let _alone = alone();
    for stops in 0..3 {
        let server = serve(3, &[]);
        let mut clients = [2, 3, 4].map(|n| log_in(n, server.address));
        server.command(stops, Command::StopListening);
        let told: BTreeSet<_> = (0..2).map(|_| server.wait(What::StoppedListening).worker).collect();
        assert_eq!(told, (0..3).filter(|worker| *worker != stops).collect(), "all but the one that stopped");
        assert_eq!(come(2, server.address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert!(clients.iter_mut().all(|client| echo(client, 10_000)), "who is there stays");
        // The first worker's program is done before the others, too.
        for (worker, client) in clients.into_iter().enumerate() {
            let mut client = client;
            assert!(echo(&mut client, 10_000));
            drop(client);
            assert_eq!(server.wait(What::Ended).worker, worker);
            server.command(worker, Command::Done);
        }
        let (outcome, told) = server.end();
        assert!(matches!(outcome, (Ok(()), (0, 0, 0))), "{outcome:?}");
        assert_eq!(told.iter().filter(|told| told.what == What::StoppedListening).count(), 2, "once each");
    }
}

#[test]
fn those_on_their_way_to_a_worker_come_before_it_hears_that_no_more_do() {
    let _alone = alone();
    let server = serve(3, ROOM);
    let until = server.block(1);
    let streams: Vec<_> = (0..9).map(|_| come(2, server.address).unwrap()).collect();
    for _ in 0..6 {
        assert_ne!(server.wait(What::Connected).worker, 1);
    }
    server.command(0, Command::StopListening);
    assert_eq!(server.wait(What::StoppedListening).worker, 2);
    drop(until);
    assert_eq!(server.wait(What::StoppedListening).worker, 1);
    let of_other = |told: &&Told| told.worker == 1 && told.what == What::Connected;
    assert_eq!(server.history.borrow().iter().filter(of_other).count(), 3);
    drop(streams);
    for worker in 0..3 {
        server.command(worker, Command::Done);
    }
    assert!(matches!(server.end().0.0, Ok(())));
}
