//! SFTP from bytes: into a server, into a client, and operations of a pair of them; the first byte chooses.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use strombus::sftp::*;
use strombus::wire::Fault;

/// Answers at once, later or wrongly, as the bytes choose.
struct Chosen<'a> {
    choices: core::slice::Iter<'a, u8>,
    delayed: Vec<Ticket>,
}

impl Chosen<'_> {
    fn choice(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or_default()
    }

    fn answer(&mut self, ticket: Ticket, server: &mut SftpServer) {
        let data = [7; 40];
        let mut names = NamesBuf::new();
        let answer = match self.choice() % 7 {
            0 => ticket.handle().map_or(Answer::Status(Status::new(StatusCode::OK)), Answer::Handle),
            1 => Answer::Data(&data[..usize::from(self.choice()) % data.len()]),
            2 => {
                for filename in data.chunks(usize::from(self.choice() % 40) + 1) {
                    assert!(names.push(&Name { filename, longname: b"", attrs: Attributes::default() }));
                }
                Answer::Names(names.names())
            }
            3 => Answer::Attrs(Attributes { size: Some(1), ..Attributes::default() }),
            4 => Answer::StatVfs(StatVfs::default()),
            5 => Answer::UsersGroups {
                usernames: PackedStrings::default(),
                groupnames: PackedStrings::default(),
            },
            _ => Answer::Status(Status::new(StatusCode(self.choice().into()))),
        };
        match server.answer(ticket, &answer) {
            Ok(()) | Err(WRONG_ANSWER) => {}
            Err(misuse) => panic!("{misuse:?}"),
        }
    }
}

impl Backend for Chosen<'_> {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer) {
        if let Request::Read { len, .. } = request {
            assert!((1..=LEN_MAX).contains(&len));
        }
        match self.choice() % 4 {
            0 => self.delayed.push(ticket),
            _ => self.answer(ticket, server),
        }
        if self.choice() % 4 == 0
            && let Some(delayed) = self.delayed.pop()
        {
            self.answer(delayed, server);
        }
    }
}

fn new_server() -> SftpServer {
    SftpServer::new(ServerLimits { extensions: Extension::ALL.to_vec(), handles: 4, in_flight: 4 })
}

/// Whatever a client sends: bounds hold, each packet is answered once, and the answers are packets.
fn server(cut: u8, bytes: &[u8]) {
    let mut backend = Chosen { choices: bytes.iter(), delayed: Vec::new() };
    let (mut server, mut reassembly) = (new_server(), Reassembly::new());
    for piece in bytes.chunks(usize::from(cut).max(1)) {
        let served = server.serve(&mut backend, &mut reassembly, piece);
        assert!(server.in_flight() <= 4 && server.open_handles() <= 4);
        if let Err(fault) = served {
            assert_eq!(server.serve(&mut backend, &mut reassembly, piece), Err(fault));
            return;
        }
    }
    while let Some(ticket) = backend.delayed.pop() {
        backend.answer(ticket, &mut server);
        if server.serve(&mut backend, &mut reassembly, b"").is_err() {
            return;
        }
    }
    assert_eq!(server.in_flight(), 0);
    let mut output = server.output();
    while let Some((length, rest)) = output.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        assert!((5..=PACKET_LEN_MAX).contains(&length));
        output = &rest[length..];
    }
    assert!(output.is_empty());
}

/// Requests of each kind of answer, by what a byte chooses.
fn request(choice: u8) -> Request<'static> {
    let handle = b"\0\0\0\0\0\0\0\0\0\0\0\x01";
    match choice % 12 {
        0 => Request::Open { filename: b"/f", pflags: Pflags::READ, attrs: Attributes::default() },
        1 => Request::Opendir { path: b"/" },
        2 => Request::Close { handle },
        3 => Request::Read { handle, offset: choice.into(), len: u32::from(choice) + 1 },
        4 => Request::Readdir { handle },
        5 => Request::Stat { path: b"/f" },
        6 => Request::Realpath { path: b"." },
        7 => Request::Statvfs { path: b"/" },
        8 => Request::UsersGroupsById { uids: PackedIds::default(), gids: PackedIds::default() },
        9 => Request::Extended { request_name: b"x", fields: b"any" },
        10 => Request::CopyData {
            read_handle: handle,
            read_offset: 0,
            read_length: 1,
            write_handle: handle,
            write_offset: 0,
        },
        _ => Request::Rename { oldpath: b"/f", newpath: b"/g" },
    }
}

/// How a server begins that knows everything and tells no limits.
static VERSION_AND_LIMITS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (mut server, mut backend) = (new_server(), Chosen { choices: [].iter(), delayed: Vec::new() });
    let mut client = SftpClient::<()>::new();
    server.serve(&mut backend, &mut Reassembly::new(), client.output()).expect("INIT");
    client.consume_output(usize::MAX);
    let version = server.output().to_vec();
    let _ = client.handle_input(&mut Reassembly::new(), &mut &version[..]).expect("VERSION");
    server.serve(&mut backend, &mut Reassembly::new(), client.output()).expect("limits");
    server.output().to_vec()
});

/// Takes all that is there, and tells it in words.
fn told(
    client: &mut SftpClient<u8>,
    reassembly: &mut Reassembly,
    mut data: &[u8],
    all: &mut Vec<String>,
) -> Result<(), Fault> {
    loop {
        match client.handle_input(reassembly, &mut data)? {
            Step::NeedInput => return Ok(()),
            Step::Busy => panic!("a client is never busy"),
            Step::Progress => {}
            Step::Event(event) => {
                if let ClientEvent::Answer { token, answer: Answer::Data(data) } = &event {
                    assert!((1..=usize::from(*token) + 1).contains(&data.len()));
                }
                all.push(format!("{event:?}"));
            }
        }
    }
}

/// Whatever a server sends is told alike however it is cut: from the beginning, or in answer to a dozen requests.
fn client(cut: u8, bytes: &[u8]) {
    let run = |cut: usize| {
        let (mut client, mut reassembly, mut all) = (SftpClient::new(), Reassembly::new(), Vec::new());
        let mut bytes = bytes;
        if let [1, choices @ ..] = bytes
            && let Some((choices, rest)) = choices.split_at_checked(12)
        {
            told(&mut client, &mut reassembly, &VERSION_AND_LIMITS, &mut all)
                .expect("that is how a server begins");
            for choice in choices {
                client.request(*choice, &request(*choice)).expect("it is ready");
            }
            bytes = rest;
        }
        for piece in bytes.chunks(cut) {
            if let Err(fault) = told(&mut client, &mut reassembly, piece, &mut all) {
                assert!(!client.is_writable());
                all.push(fault.description.to_owned());
                break;
            }
        }
        all
    };
    assert_eq!(run(usize::from(cut).max(1)), run(1));
}

/// A client that keeps to the rules and a server with an odd backend never find fault with each other.
fn pair(cut: u8, operations: &[u8]) {
    let cut = usize::from(cut).max(1);
    let mut backend = Chosen { choices: operations.iter(), delayed: Vec::new() };
    let (mut server, mut client) = (new_server(), SftpClient::new());
    let (mut up, mut down) = (Reassembly::new(), Reassembly::new());
    let (mut asked, mut all) = (0, Vec::new());
    let mut operations = operations.iter();
    loop {
        let operation = operations.next();
        if let Some(choice) = operation
            && client.request(*choice, &request(*choice)).is_ok()
        {
            asked += 1;
        }
        if operation.is_none()
            && let Some(ticket) = backend.delayed.pop()
        {
            backend.answer(ticket, &mut server);
        }
        let sent = client.output().len().min(cut);
        server.serve(&mut backend, &mut up, &client.output()[..sent]).expect("the client keeps to the rules");
        client.consume_output(sent);
        let sent = server.output().len().min(cut);
        told(&mut client, &mut down, &server.output()[..sent], &mut all)
            .expect("the server keeps to the rules");
        server.consume_output(sent);
        let is_idle = client.output().is_empty() && server.output().is_empty() && backend.delayed.is_empty();
        if operation.is_none() && is_idle && !server.is_busy() {
            break;
        }
    }
    assert_eq!((client.in_flight(), all.len()), (0, asked + 1));
}

fuzz_target!(|bytes: &[u8]| {
    let [what, cut, bytes @ ..] = bytes else { return };
    match what % 3 {
        0 => server(*cut, bytes),
        1 => client(*cut, bytes),
        _ => pair(*cut, bytes),
    }
});
