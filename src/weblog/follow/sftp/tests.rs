//! With the core of a server on the other side and no channel between.

use super::*;
use crate::connection::ChannelId;
use crate::driver::task::Tasks;
use crate::sftp::{
    self, Answer, Backend, ClientEvent, Name, NamesBuf, Reassembly, ServerLimits, SftpServer, Status, Ticket,
};
use core::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

enum Said {
    Opened,
    Data(Vec<u8>),
    Attrs(Attributes<'static>),
    Names(NamesBuf),
    Status(StatusCode, &'static [u8]),
}

/// A server's files by their paths: mode, and bytes. What is asked is answered when the test says so.
#[derive(Default)]
struct There {
    files: BTreeMap<&'static [u8], (u32, Vec<u8>)>,
    open: BTreeMap<usize, Vec<u8>>,
    listing: Vec<(&'static [u8], u32)>,
    held: VecDeque<(Ticket, Said)>,
    asked: Vec<&'static str>,
    /// The paths of STAT.
    stats: Vec<Vec<u8>>,
    refuse: Option<(StatusCode, &'static [u8])>,
    /// What it says of each file's size.
    size: Option<u64>,
}

impl There {
    fn attrs(&self, path: &[u8]) -> Said {
        match self.files.get(path) {
            Some((mode, bytes)) => Said::Attrs(Attributes {
                size: Some(self.size.unwrap_or(bytes.len() as u64)),
                permissions: Some(*mode),
                ac_mod_time: Some((1, 1_772_323_200)),
                ..Attributes::default()
            }),
            None => Said::Status(StatusCode::NO_SUCH_FILE, b""),
        }
    }
}

impl Backend for There {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, sftp::Handle>, _: &mut SftpServer) {
        let said = match (self.refuse, request) {
            (Some((code, message)), _) => Said::Status(code, message),
            (_, Request::Stat { path }) => {
                self.stats.push(path.to_vec());
                self.attrs(path)
            }
            (_, Request::Fstat { handle }) => self.attrs(&self.open[&handle.slot()].clone()),
            (_, Request::Open { filename, .. } | Request::Opendir { path: filename }) => {
                self.asked.push("open");
                self.open.insert(ticket.handle().unwrap().slot(), filename.to_vec());
                Said::Opened
            }
            (_, Request::Read { handle, offset, len }) => {
                self.asked.push("read");
                let bytes = &self.files[self.open[&handle.slot()].as_slice()].1;
                let from = bytes.get(offset as usize..).unwrap_or_default();
                match from.get(..len as usize).unwrap_or(from) {
                    [] => Said::Status(StatusCode::EOF, b""),
                    data => Said::Data(data.to_vec()),
                }
            }
            (_, Request::Readdir { .. }) if self.listing.is_empty() => Said::Status(StatusCode::EOF, b""),
            (_, Request::Readdir { .. }) => {
                let mut names = NamesBuf::new();
                for (filename, mode) in self.listing.drain(..) {
                    let attrs = Attributes { permissions: Some(mode), ..Attributes::default() };
                    assert!(names.push(&Name { filename, longname: b"", attrs }));
                }
                Said::Names(names)
            }
            (_, Request::Close { handle }) => {
                self.asked.push("close");
                self.open.remove(&handle.slot());
                Said::Status(StatusCode::OK, b"")
            }
            (_, other) => panic!("{other:?}"),
        };
        self.held.push_back((ticket, said));
    }
}

struct Case {
    host: Rc<Host>,
    timers: Rc<Timers>,
    tasks: Tasks,
    server: SftpServer,
    reassembly: Reassembly,
    there: There,
}

impl Case {
    fn new() -> Self {
        let limits = ServerLimits { in_flight: 512, ..ServerLimits::default() };
        let (mut server, mut reassembly) = (SftpServer::new(limits), Reassembly::new());
        let (mut there, mut channel) = (There::default(), Channel::new(ChannelId::NONE));
        let mut is_ready = false;
        while !is_ready {
            let output = channel.client.output().to_vec();
            channel.client.consume_output(output.len());
            server.serve(&mut there, &mut reassembly, &output).unwrap();
            let answers = server.output().to_vec();
            server.consume_output(answers.len());
            let handled = channel.handle_data(&answers, |_, event| {
                is_ready |= matches!(event, ClientEvent::Ready);
            });
            handled.unwrap();
        }
        let timers = Rc::new(Timers::new(Instant::now()));
        let host = Host::new(channel, Rc::clone(&timers));
        Self { host, timers, tasks: Tasks::default(), server, reassembly, there }
    }

    /// Starts a task; its result is there once it has ended.
    fn start<T: 'static>(&self, task: impl AsyncFnOnce(SftpFiles) -> T + 'static) -> Rc<RefCell<Option<T>>> {
        let (files, result) = (self.host.files(), Rc::new(RefCell::new(None)));
        let told = Rc::clone(&result);
        self.tasks.starter().start(async move {
            let done = task(files).await;
            *told.borrow_mut() = Some(done);
        });
        result
    }

    /// The server takes what was asked.
    fn take(&mut self) {
        self.tasks.run();
        self.host.client.close_dropped();
        let output = self.host.client.channel.borrow().client.output().to_vec();
        self.host.client.channel.borrow_mut().client.consume_output(output.len());
        self.server.serve(&mut self.there, &mut self.reassembly, &output).unwrap();
    }

    /// The server answers the oldest request; whether there was one.
    fn answer(&mut self) -> bool {
        self.take();
        let Some((ticket, said)) = self.there.held.pop_front() else { return false };
        let answer = match &said {
            Said::Opened => Answer::Handle(ticket.handle().unwrap()),
            Said::Data(data) => Answer::Data(data),
            Said::Attrs(attrs) => Answer::Attrs(*attrs),
            Said::Names(names) => Answer::Names(names.names()),
            Said::Status(code, message) => Answer::Status(Status { message, ..Status::new(*code) }),
        };
        self.server.answer(ticket, &answer).unwrap();
        let answers = self.server.output().to_vec();
        self.server.consume_output(answers.len());
        self.host.handle_data(&answers).unwrap();
        self.host.client.room.wake();
        self.tasks.run();
        true
    }

    /// Runs a task to its end.
    fn run<T: 'static>(&mut self, task: impl AsyncFnOnce(SftpFiles) -> T + 'static) -> T {
        let result = self.start(task);
        while self.answer() {}
        result.take().expect("it has ended")
    }
}

#[test]
fn a_file_is_read_to_its_end_by_ever_more_reads_and_by_one_where_it_grows() {
    let mut case = Case::new();
    let block = case.host.client.channel.borrow().client.limits().read_len as usize;
    let bytes: Vec<u8> = (0..40 * block + 7).map(|n| (n / 251) as u8).collect();
    case.there.files.insert(b"log", (FILE, bytes.clone()));
    let (read, calls) = case.run(async |files| {
        let (file, mut read, mut calls) = (files.open(b"log").await.unwrap(), Vec::new(), Vec::new());
        loop {
            let before = read.len() as u64;
            let n = files.read(&file, before, usize::MAX, &mut read).await.unwrap();
            calls.push(n);
            if n == 0 {
                return (read, calls);
            }
        }
    });
    assert_eq!(read, bytes);
    let blocks: Vec<usize> = calls.iter().map(|n| n.div_ceil(block)).collect();
    assert_eq!(blocks, [1, 2, 4, 8, READS_MAX, 10, 0]);
    let asked = case.there.asked.iter().filter(|asked| **asked == "read").count();
    assert_eq!(asked, 1 + 2 + 4 + 8 + READS_MAX * 2 + 1);
    let few = case.run(async |files| {
        let (file, mut read) = (files.open(b"log").await.unwrap(), b"x".to_vec());
        let n = files.read(&file, 3, 5, &mut read).await.unwrap();
        (n, read)
    });
    assert_eq!(few, (5, [b"x", &bytes[3..8]].concat()), "no more than was asked for, behind what was there");
}

#[test]
fn a_file_is_closed_when_it_is_dropped() {
    let mut case = Case::new();
    case.there.files.insert(b"log", (FILE, b"abc".to_vec()));
    case.run(async |files| drop(files.open(b"log").await.unwrap()));
    assert_eq!(case.there.asked, ["open", "close"]);
    assert_eq!(case.server.open_handles(), 0);
}

#[test]
fn what_a_server_says_is_missing_denied_or_a_text_that_is_harmless_and_short() {
    let long: &[u8] = b"\x1b[31m no \xff".repeat(1000).leak();
    for (refuse, expected) in [
        ((StatusCode::NO_SUCH_FILE, &b"x"[..]), Trouble::Missing),
        ((StatusCode::PERMISSION_DENIED, b"x"), Trouble::Denied),
        ((StatusCode::FAILURE, b"\x07why"), Trouble::Other("\\x07why".to_owned())),
        ((StatusCode::CONNECTION_LOST, b""), Trouble::Other(StatusCode::CONNECTION_LOST.words().to_owned())),
    ] {
        let mut case = Case::new();
        case.there.refuse = Some(refuse);
        assert_eq!(case.run(async |files| files.stat(b"log").await), Err(expected.clone()));
        assert_eq!(case.run(async |files| files.open(b"log").await.err()), Some(expected.clone()));
        assert_eq!(case.run(async |files| files.list(b"log", |_| true).await.err()), Some(expected));
    }
    let mut case = Case::new();
    case.there.refuse = Some((StatusCode::FAILURE, long));
    let Err(Trouble::Other(text)) = case.run(async |files| files.stat(b"log").await) else {
        panic!("it was refused")
    };
    assert!(text.len() < 1000 && text.contains("\\x1b[31m no") && !text.contains('\x1b'), "{text}");
    for path in [vec![b'x'; PATH_LEN_MAX + 1], b"a\0b".to_vec()] {
        assert_eq!(case.run(async move |files| files.stat(&path).await), Err(Trouble::Missing));
    }
}

#[test]
fn everybody_who_waits_for_a_channel_that_is_gone_is_told_so() {
    let mut case = Case::new();
    let waiting: Vec<_> =
        (0..sftp::IN_FLIGHT_MAX + 10).map(|_| case.start(async |files| files.stat(b"log").await)).collect();
    case.take();
    assert_eq!(case.there.held.len(), sftp::IN_FLIGHT_MAX, "the others wait for room");
    assert!(waiting.iter().all(|result| result.borrow().is_none()));
    case.host.lose();
    case.tasks.run();
    assert!(waiting.iter().all(|result| *result.borrow() == Some(Err(Trouble::Lost))));
    assert!(case.tasks.is_empty());
    let later = case.start(async |files| files.list(b".", |_| true).await.err());
    case.tasks.run();
    assert_eq!(later.take(), Some(Some(Trouble::Lost)));
}

#[test]
fn nobody_opens_a_fifo_there() {
    let mut case = Case::new();
    case.there.files.insert(b"fifo", (0o010_644, Vec::new()));
    let refused = case.run(async |files| files.open(b"fifo").await.err());
    assert_eq!(refused, Some(Trouble::Other(NOT_REGULAR.to_owned())));
    assert!(case.there.asked.is_empty());
}

#[test]
fn a_listing_looks_through_links_and_keeps_only_names() {
    let mut case = Case::new();
    case.there.files.insert(b"d/link", (FILE, b"abc".to_vec()));
    case.there.files.insert(b"d/unknown", (0o040_755, Vec::new()));
    case.there.listing = vec![
        (b".", 0o040_755),
        (b"..", 0o040_755),
        (b"a.log", FILE),
        (b"link", LINK),
        (b"dangling", LINK),
        (b"../../etc/passwd", FILE),
        (b"", FILE),
        (b"unknown", 0),
    ];
    let listed = case.run(async |files| files.list(b"d", |_| true).await).unwrap();
    let kinds: Vec<_> = listed.iter().map(|(name, stat)| (name.as_slice(), stat.kind, stat.size)).collect();
    assert_eq!(
        kinds,
        [
            (&b"a.log"[..], Some(Kind::Regular), 0),
            (b"link", Some(Kind::Regular), 3),
            (b"unknown", Some(Kind::Directory), 0)
        ]
    );
}

#[test]
fn of_names_that_nobody_wants_nothing_is_asked() {
    let mut case = Case::new();
    case.there.listing = vec![(b"other", LINK), (b"a.log", LINK), (b"another", FILE), (b"b.log", FILE)];
    let listed = case.run(async |files| files.list(b"d", |name| name.ends_with(b".log")).await).unwrap();
    assert_eq!(listed.iter().map(|(name, _)| name.as_slice()).collect::<Vec<_>>(), [b"b.log"]);
    assert_eq!(case.there.stats, [b"d/a.log"]);
}

#[test]
fn many_names_are_asked_for_together_and_each_has_its_own_answer() {
    let mut case = Case::new();
    case.there.files.insert(b"b", (FILE, b"abc".to_vec()));
    let mut paths = vec![b"missing".to_vec(), b"a\0b".to_vec()];
    paths.resize(STATS_MAX * 2, b"b".to_vec());
    let (asked, last) = (paths.clone(), paths.len() - 1);
    let stats = case.start(async move |files| files.stat_all(&asked).await);
    case.take();
    assert_eq!(case.there.held.len(), STATS_MAX - 1, "one of them is none of a file");
    while case.answer() {}
    let stats = stats.take().unwrap().unwrap();
    let sizes: Vec<_> = stats.iter().map(|stat| stat.as_ref().map(|stat| stat.size)).collect();
    assert_eq!(sizes[..3], [Err(&Trouble::Missing), Err(&Trouble::Missing), Ok(3)]);
    assert_eq!((sizes.len(), sizes[last]), (paths.len(), Ok(3)));
    let lost = case.start(async move |files| files.stat_all(&paths).await);
    case.take();
    case.host.lose();
    case.tasks.run();
    assert_eq!(lost.take(), Some(Err(Trouble::Lost)));
}

#[test]
fn a_listing_of_too_many_names_is_refused() {
    let mut case = Case::new();
    // One answer holds so many, and each READDIR gives them again. What is no name counts as well.
    for name in [&b"n"[..], b"a/b"] {
        let names = vec![(name, FILE); 5_000];
        let listed = case.start(async |files| files.list(b"d", |_| true).await);
        for _ in 0..=FITTING_MAX / names.len() + 3 {
            case.there.listing.clone_from(&names);
            case.answer();
        }
        assert_eq!(listed.take(), Some(Err(TooMany.into())));
    }
}

#[test]
fn a_name_that_is_too_long_is_listed_for_nobody() {
    let mut case = Case::new();
    let (longest, longer): (&[u8], &[u8]) =
        (vec![b'n'; NAME_LEN_MAX].leak(), vec![b'n'; NAME_LEN_MAX + 1].leak());
    case.there.listing = vec![(longest, FILE), (longer, FILE)];
    let listed = case.run(async |files| files.list(b"d", |_| true).await).unwrap();
    assert_eq!(listed.iter().map(|(name, _)| name.len()).collect::<Vec<_>>(), [NAME_LEN_MAX]);
}

#[test]
fn t102_a_size_that_no_file_has_is_not_believed() {
    let mut case = Case::new();
    case.there.size = Some(u64::MAX);
    case.there.files.insert(b"log", (FILE, b"abc".to_vec()));
    let stat = case.run(async |files| files.stat(b"log").await).unwrap();
    assert_eq!(stat.size, SIZE_MAX);
}

#[test]
fn a_log_with_nothing_new_is_asked_more_seldom_and_at_once_again_when_there_was() {
    let mut case = Case::new();
    case.there.files.insert(b"log", (FILE, b"abc".to_vec()));
    let waited = case.start(async |files| {
        let file = files.open(b"log").await.unwrap();
        let mut waited = Vec::new();
        for (offset, at_most) in [(3, 1000), (3, 1000), (3, 1000), (3, 1000), (3, 50), (0, 1000), (3, 1000)] {
            files.read(&file, offset, 10, &mut Vec::new()).await.unwrap();
            let before = files.host.timers.now();
            files.wait(Duration::from_millis(at_most)).await;
            waited.push((files.host.timers.now() - before).as_millis());
        }
        waited
    });
    let mut now = case.timers.now();
    while waited.borrow().is_none() {
        while case.answer() {}
        now = case.timers.handle_timeout(now).unwrap_or(now);
        case.timers.handle_timeout(now);
        case.tasks.run();
    }
    assert_eq!(waited.take().unwrap(), [100, 200, 400, 400, 50, 100, 200]);
}
