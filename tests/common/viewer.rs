//! `ssh-weblog-server` on a log of its own, and viewers that read as much as they are told to.
#![allow(dead_code, reason = "each user takes a part of it")]

use memchr::{memchr, memmem};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use strombus::connection::{ChannelEvent, ChannelId, ChannelLimits, Connection, Event, Step};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::keys::private_key;
use strombus::transport::{Client, ClientConfig, RecvBuf};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};
use tempfile::TempDir;

/// Who hears nothing for longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user's key.
pub fn key() -> Arc<PrivateKey> {
    let file = include_bytes!("../../vectors/keys/ed25519");
    Arc::new(private_key::parse(file).unwrap().plain().unwrap().key)
}

/// The program, serving the log `shop` to ann. It is ended when this is dropped.
pub struct Server {
    directory: TempDir,
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// `limits` are the lines of `[limits]`.
    pub fn start(limits: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::write(directory.path().join(name), text).unwrap();
            fs::set_permissions(directory.path().join(name), Permissions::from_mode(0o600)).unwrap();
        };
        write("ann.pub", include_str!("../../vectors/keys/ed25519.pub"));
        write("shop.log", "");
        let config = "listen = ['127.0.0.1:0']\nstate_dir = 'state'\n[[log]]\npath = 'shop.log'\nlog_format = 'combined'\n\
                      [[user]]\nname = 'ann'\nauthorized_keys = 'ann.pub'\n[limits]\n";
        write("config.toml", &format!("{config}{limits}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssh-weblog-server"));
        command.args(["--config", "config.toml"]).current_dir(directory.path()).env("HOME", directory.path());
        command.env_remove("NOTIFY_SOCKET").env_remove("STATE_DIRECTORY");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended before it listened");
            if let Some(address) = line.trim_end().strip_prefix("listening on ") {
                break address.parse().unwrap();
            }
        };
        thread::spawn(move || while let Ok(1..) = told.read(&mut [0; 4096]) {});
        Self { directory, child, address }
    }

    pub fn log(&self) -> PathBuf {
        self.directory.path().join("shop.log")
    }

    /// What a web server writes to.
    pub fn open_log(&self) -> File {
        OpenOptions::new().append(true).open(self.log()).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory that it has (bytes), as the system counts it.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// What its metrics say of `name`, for all labels.
    pub fn metric(&self, name: &str) -> u64 {
        let mut viewer = Viewer::begin(self, "metrics", ChannelLimits::default());
        viewer.read_until(|viewer| viewer.is_closed);
        let text = String::from_utf8(viewer.out).unwrap();
        let of = |line: &str| line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}{{"));
        let samples = text.lines().filter(|line| of(line)).filter_map(|line| line.rsplit(' ').next());
        samples.map(|sample| sample.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A session of ann's, over a socket that is read only when it is said.
pub struct Viewer {
    conn: Connection<Client>,
    stream: TcpStream,
    input: RecvBuf,
    channel: Option<ChannelId>,
    command: Vec<u8>,
    /// The command is being done.
    is_begun: bool,
    is_closed: bool,
    /// What came on the channel and was not taken from here.
    pub out: Vec<u8>,
}

impl Viewer {
    /// Logs in, and has the command done.
    pub fn begin(server: &Server, command: &str, limits: ChannelLimits) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
        let config = Arc::<ClientConfig>::default();
        let conn = Connection::new(config, ann, limits, Box::new(SystemRng), Instant::now());
        let mut viewer = Self {
            conn,
            stream,
            input: RecvBuf::new(),
            channel: None,
            command: command.into(),
            is_begun: false,
            is_closed: false,
            out: Vec::new(),
        };
        viewer.take();
        viewer.read_until(|viewer| viewer.is_begun);
        viewer
    }

    /// Reads from the socket until it is so.
    pub fn read_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            assert!(self.read(usize::MAX), "the server closed");
        }
    }

    /// Reads at the most so many bytes from the socket; false at its end.
    pub fn read(&mut self, max: usize) -> bool {
        let space = self.input.space();
        let n = space.len().min(max);
        let n = match self.stream.read(&mut space[..n]) {
            Ok(0) => return false,
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("{error}"),
        };
        self.input.filled(n);
        self.take();
        true
    }

    /// Takes the packets that are whole, and says what is to be said.
    fn take(&mut self) {
        loop {
            match self.conn.handle_input(&mut self.input, Instant::now()).unwrap() {
                Step::NeedInput => break,
                Step::NeedVerdict => unreachable!("each question is answered at once"),
                Step::Progress => {}
                Step::Event(Event::Kex(host)) => self.conn.accept_host_key(host.ticket).unwrap(),
                Step::Event(Event::Userauth(ClientUserauthEvent::Continue { ticket, .. })) => {
                    self.conn.request_publickey(ticket, key()).unwrap();
                }
                Step::Event(Event::Authenticated) => self.channel = Some(self.conn.open_session().unwrap()),
                Step::Event(Event::Channel(id, event)) => {
                    let channel = self.conn.channel(id);
                    match event {
                        ChannelEvent::Opened => channel.unwrap().request_exec(&self.command).unwrap(),
                        ChannelEvent::Reply { success } => {
                            assert!(success, "the command is refused");
                            self.is_begun = true;
                        }
                        ChannelEvent::Data { data } => {
                            self.out.extend_from_slice(data);
                            channel.unwrap().adjust_window(data.len()).unwrap();
                        }
                        ChannelEvent::Closed => self.is_closed = true,
                        _ => drop(channel.is_ok()),
                    }
                }
                Step::Event(_) => {}
            }
        }
        let output = self.conn.output();
        self.stream.write_all(output).unwrap();
        let n = output.len();
        self.conn.consume_output(n);
    }
}

/// The line of a hit that says when it was written, and its number.
pub fn line(since: Duration, number: u64) -> String {
    format!(
        "192.0.2.7 - - [01/Mar/2026:12:00:00 +0000] \"GET /t{:012}-{number:09} HTTP/1.1\" 200 1234 \
         \"https://news.example/item\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n",
        since.as_micros()
    )
}

/// What a viewer saw of such lines, by their numbers from 0, in the default form or in JSON.
#[derive(Debug, Default)]
pub struct Seen {
    cut: Vec<u8>,
    pub received: u64,
    /// As it was told.
    pub skipped: u64,
    /// Records that were not the next one.
    pub wrong: u64,
}

impl Seen {
    /// More bytes came; `each` is told when a record was written.
    pub fn take(&mut self, mut data: &[u8], mut each: impl FnMut(Duration)) {
        if !self.cut.is_empty() {
            let Some(end) = memchr(b'\n', data) else { return self.cut.extend_from_slice(data) };
            self.cut.extend_from_slice(&data[..end]);
            let line = core::mem::take(&mut self.cut);
            self.line(&line, &mut each);
            data = &data[end + 1..];
        }
        while let Some(end) = memchr(b'\n', data) {
            self.line(&data[..end], &mut each);
            data = &data[end + 1..];
        }
        self.cut.extend_from_slice(data);
    }

    /// Takes what came to a viewer; whether it was told of that many records.
    pub fn has_all(&mut self, viewer: &mut Viewer, records: u64) -> bool {
        self.take(&core::mem::take(&mut viewer.out), |_| {});
        self.received + self.skipped >= records
    }

    fn line(&mut self, line: &[u8], each: &mut impl FnMut(Duration)) {
        let Some(at) = memmem::find(line, b"/t") else {
            let text = std::str::from_utf8(line).unwrap();
            assert!(text.starts_with("… ") || text.starts_with("{\"skipped\":"), "{text}");
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            self.skipped += digits.parse::<u64>().unwrap();
            return;
        };
        let (since, number) = (number(&line[at + 2..at + 14]), number(&line[at + 15..at + 24]));
        self.wrong += u64::from(number != self.received + self.skipped);
        self.received += 1;
        each(Duration::from_micros(since));
    }
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
