//! Client and server against each other in memory.

use super::memory::Memory;
use super::*;

/// Both sides, the bytes between them cut into pieces.
struct Pair {
    client: SftpClient<u32>,
    server: SftpServer,
    backend: Memory,
    to_server: Reassembly,
    to_client: Reassembly,
    /// Every byte of either direction.
    up: Vec<u8>,
    down: Vec<u8>,
    answers: Vec<(u32, Vec<u8>)>,
    cut: usize,
}

impl Pair {
    fn new(cut: usize) -> Self {
        let mut pair = Self {
            client: SftpClient::new(),
            server: SftpServer::new(everything()),
            backend: Memory::new(),
            to_server: Reassembly::new(),
            to_client: Reassembly::new(),
            up: Vec::new(),
            down: Vec::new(),
            answers: Vec::new(),
            cut,
        };
        pair.run();
        assert!(pair.client.is_writable());
        pair
    }

    /// Carries bytes until neither side has more.
    fn run(&mut self) {
        while !self.client.output().is_empty() || !self.server.output().is_empty() || self.server.is_busy() {
            let up = self.client.output().to_vec();
            self.client.consume_output(up.len());
            for piece in up.chunks(self.cut) {
                self.server.serve(&mut self.backend, &mut self.to_server, piece).unwrap();
            }
            let down = self.server.output().to_vec();
            self.server.consume_output(down.len());
            self.server.serve(&mut self.backend, &mut self.to_server, b"").unwrap();
            for piece in down.chunks(self.cut) {
                take_answers(&mut self.client, &mut self.to_client, piece, &mut self.answers).unwrap();
            }
            self.up.extend(up);
            self.down.extend(down);
        }
    }

    /// What answers this one request.
    fn ask(&mut self, request: &Request<'_>) -> Vec<u8> {
        let token = u32::try_from(self.answers.len()).unwrap() + 1000;
        self.client.request(token, request).unwrap();
        self.run();
        let (answered, answer) = self.answers.last().cloned().unwrap();
        assert_eq!((answered, self.client.in_flight(), self.server.in_flight()), (token, 0, 0));
        answer
    }

    fn handle(&mut self, request: &Request<'_>) -> Vec<u8> {
        let answer = self.ask(request);
        let Ok(Answer::Handle(handle)) = Answer::decode(answer[4], &answer[9..], Expected::Handle) else {
            panic!()
        };
        handle.to_vec()
    }

    fn open(&mut self, filename: &[u8], pflags: Pflags) -> Vec<u8> {
        self.handle(&Request::Open { filename, pflags, attrs: Attributes::default() })
    }
}

fn everything() -> ServerLimits {
    ServerLimits { extensions: Extension::ALL.to_vec(), ..ServerLimits::default() }
}

fn take_answers(
    client: &mut SftpClient<u32>,
    reassembly: &mut Reassembly,
    mut data: &[u8],
    answers: &mut Vec<(u32, Vec<u8>)>,
) -> Result<(), Fault> {
    loop {
        match client.handle_input(reassembly, &mut data)? {
            Step::NeedInput => return Ok(()),
            Step::Busy => panic!("a client is never busy"),
            Step::Event(ClientEvent::Answer { token, answer }) => answers.push((token, encoded(&answer))),
            Step::Progress | Step::Event(ClientEvent::Ready) => {}
        }
    }
}

fn status(code: StatusCode) -> Vec<u8> {
    encoded::<&[u8]>(&Answer::Status(Status::new(code)))
}

fn data(data: &[u8]) -> Vec<u8> {
    encoded::<&[u8]>(&Answer::Data(data))
}

/// The end of `/a` behind what is in `/b`.
const fn copy<'a>(read_handle: &'a [u8], write_handle: &'a [u8]) -> Request<'a> {
    Request::CopyData { read_handle, read_offset: 8, read_length: 0, write_handle, write_offset: 3 }
}

fn names<const N: usize>(all: [&[u8]; N]) -> Vec<u8> {
    let mut names = NamesBuf::new();
    for name in all {
        assert!(names.push(&Name { filename: name, longname: name, attrs: Attributes::default() }));
    }
    encoded::<&[u8]>(&Answer::Names(names.names()))
}

fn size(size: u64) -> Vec<u8> {
    encoded::<&[u8]>(&Answer::Attrs(Attributes { size: Some(size), ..Attributes::default() }))
}

/// Each request once, and what comes of it.
fn conversation(cut: usize) -> Pair {
    let none = Attributes::default();
    let (ok, eof, missing) =
        (status(StatusCode::OK), status(StatusCode::EOF), status(StatusCode::NO_SUCH_FILE));
    let p = &mut Pair::new(cut);
    let home: &[u8] = b"/home/.";
    assert_eq!(p.ask(&Request::Realpath { path: b"." }), names([home]));
    assert_eq!(p.ask(&Request::Readlink { path: b"." }), names([home]));
    assert_eq!(p.ask(&Request::ExpandPath { path: b"." }), names([home]));
    assert_eq!(p.ask(&Request::HomeDirectory { username: b"" }), names([b"/home"]));
    assert_eq!(p.ask(&Request::Stat { path: b"/a" }), size(10));
    assert_eq!(p.ask(&Request::Lstat { path: b"/none" }), missing);
    assert_eq!(p.ask(&Request::Open { filename: b"/none", pflags: Pflags::READ, attrs: none }), missing);
    let a = &p.open(b"/a", Pflags::READ);
    assert_eq!(p.ask(&Request::Fstat { handle: a }), size(10));
    assert_eq!(p.ask(&Request::Read { handle: a, offset: 2, len: 3 }), data(b"234"));
    assert_eq!(p.ask(&Request::Read { handle: a, offset: 8, len: 3 }), data(b"89"));
    assert_eq!(p.ask(&Request::Read { handle: a, offset: 10, len: 3 }), eof);
    let b = &p.open(b"/b", Pflags::WRITE | Pflags::CREAT);
    assert_eq!(p.ask(&Request::Write { handle: b, offset: 1, data: b"xy" }), ok);
    assert_eq!(p.ask(&Request::Fsync { handle: b }), ok);
    assert_eq!(p.ask(&Request::Fsetstat { handle: b, attrs: none }), ok);
    assert_eq!(p.backend.files[&b"/b"[..]], b"\0xy");
    assert_eq!(p.ask(&copy(a, b)), ok);
    assert_eq!(p.backend.files[&b"/b"[..]], b"\0xy89");
    let itself = Status::with_message(StatusCode::FAILURE, b"a file cannot be copied to itself");
    assert_eq!(p.ask(&copy(a, a)), encoded::<&[u8]>(&Answer::Status(itself)));
    let vfs = encoded::<&[u8]>(&Answer::StatVfs(StatVfs { bsize: 512, ..StatVfs::default() }));
    assert_eq!(p.ask(&Request::Fstatvfs { handle: b }), vfs);
    assert_eq!(p.ask(&Request::Statvfs { path: b"/" }), vfs);
    assert_eq!(p.ask(&Request::Close { handle: a }), ok);
    assert_eq!(p.ask(&Request::Close { handle: b }), ok);
    let d = &p.handle(&Request::Opendir { path: b"/" });
    assert_eq!(p.ask(&Request::Readdir { handle: d }), names([b"a", b"b"]));
    assert_eq!(p.ask(&Request::Readdir { handle: d }), eof);
    assert_eq!(p.ask(&Request::Close { handle: d }), ok);
    assert_eq!(p.ask(&Request::Rename { oldpath: b"/a", newpath: b"/b" }), status(StatusCode::FAILURE));
    assert_eq!(p.ask(&Request::PosixRename { oldpath: b"/a", newpath: b"/b" }), ok);
    assert_eq!(p.backend.files[&b"/b"[..]], b"0123456789");
    assert_eq!(p.ask(&Request::Remove { filename: b"/b" }), ok);
    for request in [
        Request::Setstat { path: b"/d", attrs: none },
        Request::Lsetstat { path: b"/d", attrs: none },
        Request::Mkdir { path: b"/d", attrs: none },
        Request::Rmdir { path: b"/d" },
        Request::Symlink { targetpath: b"t", linkpath: b"/l" },
        Request::Hardlink { oldpath: b"/d", newpath: b"/e" },
    ] {
        assert_eq!(p.ask(&request), ok);
    }
    let (uids, gids) = (PackedIds::pack(&[0, 5]), PackedIds::pack(&[7]));
    let (uids, gids) = (PackedIds::from_bytes(&uids).unwrap(), PackedIds::from_bytes(&gids).unwrap());
    let usernames = PackedStrings::from_bytes(b"\0\0\0\x02u0\0\0\0\x02u5").unwrap();
    let groupnames = PackedStrings::from_bytes(b"\0\0\0\x02u7").unwrap();
    assert_eq!(
        p.ask(&Request::UsersGroupsById { uids, gids }),
        encoded::<&[u8]>(&Answer::UsersGroups { usernames, groupnames })
    );
    let unsupported = status(StatusCode::OP_UNSUPPORTED);
    assert_eq!(p.ask(&Request::Extended { request_name: b"x", fields: b"" }), unsupported);
    assert_eq!(p.ask(&Request::Unknown { number: 21, fields: b"" }), unsupported);
    assert!(p.backend.is_all_closed() && p.server.open_handles() == 0);
    core::mem::replace(p, Pair::new(1))
}

#[test]
fn each_request_is_answered_as_the_backend_says_however_the_stream_is_cut() {
    let whole = conversation(usize::MAX);
    for cut in [1, 2, 3, 5, 64] {
        let same = conversation(cut);
        assert!(same.up == whole.up && same.down == whole.down && same.answers == whole.answers);
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let whole = conversation(usize::MAX);
    for at in 0..=whole.up.len() {
        let (mut server, mut backend) = (SftpServer::new(everything()), Memory::new());
        let mut reassembly = Reassembly::new();
        let (a, b) = whole.up.split_at(at);
        server.serve(&mut backend, &mut reassembly, a).unwrap();
        server.serve(&mut backend, &mut reassembly, b).unwrap();
        assert_eq!(server.output(), whole.down, "{at}");
    }
}

#[test]
fn what_a_server_offers_is_what_the_client_knows_and_what_it_takes_is_used() {
    let pair = Pair::new(usize::MAX);
    assert!(Extension::ALL.iter().all(|extension| pair.client.supports(*extension)));
    assert_eq!(pair.client.extensions().len(), Extension::ALL.len());
    let limits = ClientLimits {
        packet_len: PACKET_LEN_MAX,
        read_len: LEN_MAX,
        write_len: LEN_MAX,
        open_handles: Some(256),
    };
    assert_eq!(*pair.client.limits(), limits);
}

#[test]
fn the_largest_blocks_pass_in_both_directions() {
    let mut pair = Pair::new(32 * 1024);
    let block: Vec<u8> = (0..LEN_MAX).map(|i| i.to_le_bytes()[0]).collect();
    let handle = &pair.open(b"/big", Pflags::WRITE | Pflags::CREAT);
    assert_eq!(pair.ask(&Request::Write { handle, offset: 0, data: &block }), status(StatusCode::OK));
    assert_eq!(pair.ask(&Request::Read { handle, offset: 0, len: LEN_MAX }), data(&block));
}

#[test]
fn many_requests_under_way_each_get_their_own_answer() {
    let mut pair = Pair::new(1000);
    let handle = &pair.open(b"/a", Pflags::READ);
    let mut asked = 0;
    while pair.client.is_writable() {
        pair.client.request(asked, &Request::Read { handle, offset: u64::from(asked) % 10, len: 1 }).unwrap();
        asked += 1;
    }
    assert_eq!((asked as usize, pair.client.in_flight()), (IN_FLIGHT_MAX, IN_FLIGHT_MAX));
    pair.run();
    let answers = &pair.answers[1..];
    assert_eq!(answers.len(), IN_FLIGHT_MAX);
    assert!(answers.iter().all(|(token, answer)| *answer == data(&[b'0' + (token % 10) as u8])));
}

#[test]
fn a_short_read_is_data_and_the_rest_can_be_asked_for() {
    let mut pair = Pair::new(usize::MAX);
    pair.backend.short = 4;
    let handle = &pair.open(b"/a", Pflags::READ);
    for (offset, part) in [(0, &b"0123"[..]), (4, b"4567"), (8, b"89")] {
        assert_eq!(pair.ask(&Request::Read { handle, offset, len: 10 }), data(part));
    }
    assert_eq!(pair.ask(&Request::Read { handle, offset: 10, len: 10 }), status(StatusCode::EOF));
}

#[test]
fn what_comes_whole_is_not_copied() {
    let mut client = SftpClient::new();
    let mut reassembly = Reassembly::new();
    let mut version = &b"\0\0\0\x05\x02\0\0\0\x03"[..];
    assert_eq!(client.handle_input(&mut reassembly, &mut version), Ok(Step::Event(ClientEvent::Ready)));
    client.request((), &Request::Read { handle: b"h", offset: 0, len: 4 }).unwrap();
    let input = framed(b"\x67\0\0\0\0\0\0\0\x04some");
    let mut rest = &input[..];
    let Ok(Step::Event(ClientEvent::Answer { answer: Answer::Data(data), .. })) =
        client.handle_input(&mut reassembly, &mut rest)
    else {
        panic!("it is an answer")
    };
    assert!(core::ptr::eq(data, &input[13..]));
    // What is borrowed locks neither the client …
    client.request((), &Request::Close { handle: b"h" }).unwrap();
    assert_eq!(data, b"some");
    // … nor are bytes kept.
    assert!(reassembly.unread().is_empty() && rest.is_empty());
}
