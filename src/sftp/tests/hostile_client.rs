//! A client that breaks the rules, and a backend that does.

use super::memory::Memory;
use super::*;
use crate::wire::MALFORMED;

/// Keeps every question, to be answered later.
#[derive(Default)]
struct Later(Vec<(Ticket, String)>);

impl Backend for Later {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, _: &mut SftpServer) {
        self.0.push((ticket, format!("{request:?}")));
    }
}

/// A server with a backend that has the answers, or delays them.
struct Served<B> {
    server: SftpServer,
    backend: B,
    reassembly: Reassembly,
}

impl<B: Backend> Served<B> {
    fn new(backend: B) -> Self {
        let limits = ServerLimits {
            extensions: vec![Extension::Fsync, Extension::CopyData],
            ..ServerLimits::default()
        };
        let mut served = Self { server: SftpServer::new(limits), backend, reassembly: Reassembly::new() };
        served.send(INIT_PACKET).unwrap();
        served.server.consume_output(usize::MAX);
        served
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.server.serve(&mut self.backend, &mut self.reassembly, bytes)
    }

    fn ask(&mut self, request: &Request<'_>) {
        let mut bytes = Vec::new();
        request.encode(7, &mut bytes);
        self.send(&bytes).unwrap();
    }

    /// The code of the STATUS that is the answer; 0 if it is another answer.
    fn code(&mut self, request: &Request<'_>) -> u32 {
        self.ask(request);
        let codes = codes(self.server.output());
        self.server.consume_output(usize::MAX);
        assert_eq!(codes.len(), 1);
        codes[0]
    }

    fn open(&mut self, request: &Request<'_>) -> Vec<u8> {
        self.ask(request);
        let packet = packets(self.server.output()).remove(0);
        self.server.consume_output(usize::MAX);
        assert_eq!(packet[0], 102);
        packet[9..].to_vec()
    }
}

const OPEN: Request<'_> = Request::Open { filename: b"/a", pflags: Pflags::READ, attrs: vectors::NO_ATTRS };
const OPENDIR: Request<'_> = Request::Opendir { path: b"/" };

const fn stat(path: &[u8]) -> Request<'_> {
    Request::Stat { path }
}

fn read<'a>(handle: &'a [u8], len: u32) -> Request<'a> {
    Request::Read { handle, offset: 0, len }
}

#[test]
fn t97_handles_that_the_server_did_not_give_or_took_back_are_refused() {
    let mut served = Served::new(Memory::new());
    let stale = served.open(&OPEN);
    assert_eq!(served.code(&Request::Close { handle: &stale }), 0);
    let good = served.open(&OPEN);
    assert_eq!(good[..4], stale[..4], "the same place");
    let directory = served.open(&OPENDIR);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let beyond = changed(3, 2); // there are the places 0 and 1
    let bad = [
        Vec::new(),
        b"foreign".to_vec(),
        vec![0; 5000],
        stale,
        beyond,
        changed(0, 0xff),
        changed(11, good[11] + 1),
        changed(3, directory[3]),
        good[..11].to_vec(),
        [&good[..], b"\0"].concat(),
    ];
    for handle in bad.iter().map(|handle| &handle[..]) {
        for request in [
            Request::Close { handle },
            read(handle, 1),
            Request::Write { handle, offset: 0, data: b"" },
            Request::Fstat { handle },
            Request::Fsetstat { handle, attrs: Attributes::default() },
            Request::Readdir { handle },
            Request::Fsync { handle },
            Request::CopyData {
                read_handle: &good,
                read_offset: 0,
                read_length: 0,
                write_handle: handle,
                write_offset: 0,
            },
            Request::CopyData {
                read_handle: handle,
                read_offset: 0,
                read_length: 0,
                write_handle: &good,
                write_offset: 0,
            },
        ] {
            assert_eq!(served.code(&request), 4, "{request:?}");
        }
    }
    assert_eq!(served.code(&read(&directory, 1)), 4, "a directory is not read as a file");
    assert_eq!(served.code(&Request::Readdir { handle: &good }), 4, "a file has no entries");
    assert_eq!((served.code(&read(&good, 1)), served.code(&Request::Readdir { handle: &directory })), (0, 0));
}

#[test]
fn t97_t123_a_read_of_ffffffff_asks_the_backend_for_no_more_than_the_cap() {
    let mut served = Served::new(Later::default());
    served.ask(&OPEN);
    let handle = grant(&mut served);
    served.ask(&read(&handle, u32::MAX));
    let (_, asked) = served.backend.0.pop().unwrap();
    assert!(asked.ends_with(&format!("offset: 0, len: {LEN_MAX} }}")), "{asked}");
    for request in [
        read(&handle, 0),
        Request::Read { handle: &handle, offset: u64::MAX, len: 1 },
        Request::Write { handle: &handle, offset: u64::MAX, data: b"x" },
    ] {
        assert_eq!(served.code(&request), 4, "{request:?}");
    }
}

/// Grants the OPEN that came last.
fn grant(served: &mut Served<Later>) -> Vec<u8> {
    let (ticket, _) = served.backend.0.pop().unwrap();
    let handle = ticket.handle().unwrap();
    served.server.answer(ticket, &Answer::Handle(handle)).unwrap();
    served.server.consume_output(usize::MAX);
    handle.as_ref().to_vec()
}

#[test]
fn t97_100000_opens_end_at_the_bound() {
    let bound = ServerLimits::default().handles;
    let mut served = Served::new(Memory::new());
    let granted: Vec<_> = (0..100_000).map(|_| served.code(&OPEN)).collect();
    assert!(granted[..bound].iter().all(|code| *code == 0) && granted[bound..].iter().all(|code| *code == 4));
    assert_eq!(served.server.open_handles(), bound);
}

#[test]
fn a_place_for_a_handle_is_free_only_once_its_close_was_answered() {
    let mut served = Served::new(Later::default());
    let handles: Vec<_> = (0..ServerLimits::default().handles)
        .map(|_| {
            served.ask(&OPEN);
            grant(&mut served)
        })
        .collect();
    served.ask(&Request::Close { handle: &handles[5] });
    assert_eq!(served.code(&OPEN), 4);
    assert_eq!(served.code(&read(&handles[5], 1)), 4, "and it means nothing any more");
    let (close, _) = served.backend.0.pop().unwrap();
    served.server.answer_status(close, StatusCode::FAILURE).unwrap();
    served.server.consume_output(usize::MAX);
    served.ask(&OPEN);
    let again = grant(&mut served);
    assert!(again[..4] == handles[5][..4] && again != handles[5]);
    assert_eq!(served.code(&read(&handles[5], 1)), 4);
}

#[test]
fn an_open_that_is_refused_leaves_no_handle() {
    let mut served = Served::new(Later::default());
    served.ask(&OPEN);
    let (ticket, _) = served.backend.0.pop().unwrap();
    let reserved = ticket.handle().unwrap();
    assert_eq!(served.code(&read(reserved.as_ref(), 1)), 4, "nor is it one before it is granted");
    served.server.answer_status(ticket, StatusCode::PERMISSION_DENIED).unwrap();
    served.server.consume_output(usize::MAX);
    assert_eq!(served.server.open_handles(), 0);
    assert_eq!(served.code(&read(reserved.as_ref(), 1)), 4);
}

#[test]
fn t97_paths_that_are_too_long_or_have_a_nul_are_refused() {
    let mut served = Served::new(Later::default());
    let (longest, too_long) = (vec![b'x'; PATH_LEN_MAX], vec![b'x'; PATH_LEN_MAX + 1]);
    for path in [&too_long[..], b"/a\0b"] {
        let attrs = Attributes::default();
        for request in [
            Request::Open { filename: path, pflags: Pflags::READ, attrs },
            Request::Opendir { path },
            Request::Lstat { path },
            Request::Stat { path },
            Request::Setstat { path, attrs },
            Request::Remove { filename: path },
            Request::Mkdir { path, attrs },
            Request::Rmdir { path },
            Request::Realpath { path },
            Request::Readlink { path },
            Request::Rename { oldpath: path, newpath: b"x" },
            Request::Rename { oldpath: b"x", newpath: path },
            Request::Symlink { targetpath: path, linkpath: b"x" },
            Request::Symlink { targetpath: b"x", linkpath: path },
        ] {
            assert_eq!(served.code(&request), 4, "{request:?}");
        }
    }
    assert!(served.backend.0.is_empty());
    served.ask(&Request::Stat { path: &longest });
    assert_eq!(served.backend.0.len(), 1);
}

#[test]
fn t97_no_more_is_under_way_than_the_bound_and_answers_come_in_any_order() {
    let bound = ServerLimits::default().in_flight;
    let mut served = Served::new(Later::default());
    let mut bytes = Vec::new();
    for id in 0..200 {
        stat(format!("/{id}").as_bytes()).encode(id, &mut bytes);
    }
    served.send(&bytes).unwrap();
    assert_eq!((served.server.in_flight(), served.server.is_busy()), (bound, true));
    let mut answered = Vec::new();
    // The newest first.
    while let Some((ticket, asked)) = served.backend.0.pop() {
        served.server.answer_status(ticket, StatusCode::NO_SUCH_FILE).unwrap();
        let id = split(&packets(served.server.output())[0]).unwrap().1;
        served.server.consume_output(usize::MAX);
        assert!(asked.contains(&format!("{:?}", format!("/{id}").as_bytes())), "{asked}");
        answered.push(id);
        served.send(b"").unwrap();
        assert!(served.server.in_flight() <= bound);
    }
    assert_ne!(answered, (0..200).collect::<Vec<_>>());
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..200) && !served.server.is_busy());
}

#[test]
fn t97_large_reads_that_a_slow_disk_delays_are_bounded_by_their_bytes() {
    let mut served = Served::new(Later::default());
    served.ask(&OPEN);
    let handle = grant(&mut served);
    for _ in 0..40 {
        served.ask(&read(&handle, u32::MAX));
    }
    let in_flight = served.server.in_flight();
    assert!(served.server.is_busy() && in_flight == WORK_LEN_MAX / LEN_MAX as usize + 1, "{in_flight}");
}

#[test]
fn t97_a_client_that_asks_and_does_not_read_is_not_read_either() {
    let mut served = Served::new(Memory::new());
    let handle = served.open(&OPEN);
    served.backend.files.insert(b"/a".to_vec(), vec![1; LEN_MAX as usize]);
    for _ in 0..100 {
        served.ask(&read(&handle, LEN_MAX));
    }
    let pending = served.server.output().len();
    assert!((OUTPUT_MARK..OUTPUT_MARK + PACKET_LEN_MAX).contains(&pending) && served.server.is_busy());
    let mut answers = 0;
    while !served.server.output().is_empty() {
        answers += packets(served.server.output()).len();
        served.server.consume_output(usize::MAX);
        served.send(b"").unwrap();
    }
    assert!(answers == 100 && served.reassembly.unread().is_empty());
}

#[test]
fn more_than_may_be_kept_ends_the_channel() {
    let mut served = Served::new(Later::default());
    let mut bytes = Vec::new();
    for _ in 0..ServerLimits::default().in_flight {
        stat(b"/").encode(1, &mut bytes);
    }
    served.send(&bytes).unwrap();
    let piece = vec![0; 1024 * 1024];
    for _ in 0..KEPT_MAX / piece.len() {
        served.send(&piece).unwrap();
    }
    assert_eq!(served.send(b"\0"), Err(TOO_MUCH_KEPT));
    assert_eq!(served.send(b""), Err(TOO_MUCH_KEPT));
}

#[test]
fn what_the_server_does_not_know_is_unsupported_and_what_it_cannot_read_is_bad() {
    let mut served = Served::new(Later::default());
    let limits = Answer::<&[u8]>::Limits(Limits {
        max_packet_length: PACKET_LEN_MAX as u64,
        max_read_length: LEN_MAX.into(),
        max_write_length: LEN_MAX.into(),
        max_open_handles: 256,
    });
    let mut expected = Vec::new();
    limits.encode(7, &mut expected);
    served.ask(&Request::Limits);
    assert_eq!(served.server.output(), expected);
    served.server.consume_output(usize::MAX);
    let unsupported: [Request<'_>; 7] = [
        Request::Unknown { number: 21, fields: b"" },
        Request::Unknown { number: 2, fields: b"" },
        Request::Unknown { number: 101, fields: b"\0\0\0\0" },
        Request::Extended { request_name: b"x@example.com", fields: b"any" },
        // Known here, and not offered.
        Request::PosixRename { oldpath: b"a", newpath: b"b" },
        Request::Fstatvfs { handle: b"no handle" },
        Request::Extended { request_name: b"statvfs@openssh.com", fields: b"" },
    ];
    assert!(unsupported.iter().all(|request| served.code(request) == 8));
    let bad: [Request<'_>; 4] = [
        Request::Unknown { number: 3, fields: b"" },
        Request::Unknown { number: 17, fields: b"\0\0\0\x01/more" },
        Request::Unknown { number: 9, fields: b"\0\0\0\x01/\0\0\0\x10" },
        Request::Extended { request_name: b"limits@openssh.com", fields: b"more" },
    ];
    assert!(bad.iter().all(|request| served.code(request) == 5));
    assert!(served.backend.0.is_empty());
}

#[test]
fn a_channel_that_does_not_begin_with_init_or_begins_twice_ends() {
    let begun = |bytes: &[u8]| {
        let mut server = SftpServer::new(ServerLimits::default());
        let (mut backend, mut reassembly) = (Later::default(), Reassembly::new());
        let end = server.serve(&mut backend, &mut reassembly, bytes);
        let again = server.serve(&mut backend, &mut reassembly, INIT_PACKET);
        assert!(end.is_ok() || again == end);
        (end, codes(server.output()))
    };
    assert_eq!(begun(b"\0\0\0\x0a\x11\0\0\0\x07\0\0\0\x01/"), (Err(NOT_INIT), vec![5]));
    assert_eq!(begun(b"\0\0\0\x01\x11"), (Err(MALFORMED), vec![]));
    assert_eq!(begun(b"\0\0\0\x05\x01\0\0\0\x02"), (Err(VERSION_TOO_LOW), vec![]));
    assert_eq!(begun(b"\0\0\0\x04\x01\0\0\0"), (Err(MALFORMED), vec![]));
    assert_eq!(begun(b"\0\0\0\x06\x01\0\0\0\x03\0"), (Err(MALFORMED), vec![]));
    assert_eq!(begun(b"\0\0\0\0"), (Err(EMPTY_PACKET), vec![]));
    assert_eq!(begun(b"\0\x04\0\x01"), (Err(PACKET_TOO_LONG), vec![]));
    assert_eq!(begun(b"\xff\xff\xff\xff"), (Err(PACKET_TOO_LONG), vec![]));
    assert_eq!(begun(&[INIT_PACKET, b"\0\0\0\x02\x11\0"].concat()), (Err(MALFORMED), vec![0]));
    assert_eq!(begun(&[INIT_PACKET, INIT_PACKET].concat()), (Err(SECOND_INIT), vec![0]));
    assert_eq!(begun(b"\0\0\0\x05\x01\0\0\0\x06"), (Ok(()), vec![0]), "a client that speaks more speaks 3");
}

#[test]
fn an_answer_that_does_not_fit_is_a_failure_to_the_client_and_an_error_to_the_backend() {
    let mut served = Served::new(Later::default());
    let mut other = Served::new(Later::default());
    let ask = |served: &mut Served<Later>, request: &Request<'_>| {
        served.ask(request);
        served.backend.0.pop().unwrap().0
    };
    let foreign = ask(&mut other, &OPEN);
    assert_eq!(served.server.answer_status(foreign, StatusCode::OK), Err(STALE_TICKET));

    let mut wrong = |answer: &dyn Fn(&Ticket) -> Answer<'static, Handle>, request: &Request<'_>| {
        let ticket = ask(&mut served, request);
        let answer = answer(&ticket);
        assert_eq!(served.server.answer(ticket, &answer), Err(WRONG_ANSWER));
        assert_eq!(codes(served.server.output()), [4]);
        served.server.consume_output(usize::MAX);
        assert_eq!((served.server.open_handles(), served.server.in_flight()), (0, 0));
    };
    wrong(&|_| Answer::Data(b"x"), &OPEN);
    wrong(&|_| Answer::Status(Status::new(StatusCode::OK)), &OPEN);
    wrong(&|_| Answer::Handle(Handle::new(9, 9)), &OPEN);
    wrong(&|_| Answer::Attrs(Attributes::default()), &Request::Rmdir { path: b"/" });
    wrong(&|_| Answer::Names(Names::default()), &Request::Realpath { path: b"/" });
    wrong(&|ticket| ticket.handle().map_or(Answer::Data(b""), Answer::Handle), &Request::Stat { path: b"/" });

    let names = vec![0; PACKET_LEN_MAX];
    let ticket = ask(&mut served, &OPENDIR);
    let handle = ticket.handle().unwrap();
    served.server.answer(ticket, &Answer::Handle(handle)).unwrap();
    served.server.consume_output(usize::MAX);
    let ticket = ask(&mut served, &Request::Readdir { handle: handle.as_ref() });
    let too_long = Answer::Names(Names::counted(1, &names));
    assert_eq!(served.server.answer(ticket, &too_long), Err(ANSWER_TOO_LONG));
    assert_eq!(codes(served.server.output()), [4]);
    served.server.consume_output(usize::MAX);

    let ticket = ask(&mut served, &Request::Readdir { handle: handle.as_ref() });
    served.send(INIT_PACKET).unwrap_err();
    assert_eq!(
        served.server.answer_status(ticket, StatusCode::EOF),
        Ok(()),
        "dropped, for the channel has failed"
    );
    assert!(served.server.output().is_empty());
}
