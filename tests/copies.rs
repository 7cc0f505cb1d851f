//! What a packet costs beside its cipher: one copy out, none in, no allocation once warm; and what an idle connection holds.
//!
//! One test, because the counters are the process's.

#[path = "common/alloc.rs"]
mod alloc;
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Step};
use strombus::crypto::Rng;
use strombus::crypto::sign::PrivateKey;
use strombus::transport::algorithms::{Algorithms, CIPHER, COMPRESSION, MAC, pick};
use strombus::transport::{
    Client, ClientConfig, Error, INFLATED_LENGTH, RecvBuf, SendBuf, Server, ServerConfig, TransportConfig,
};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent, Permissions};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// The same bytes for the same seed, without an allocation; not random at all.
struct SeededRng(u64);

impl SeededRng {
    const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 33) as u8;
        }
    }
}

struct Pair {
    client: Connection<Client>,
    server: Connection<Server>,
    up: RecvBuf,
    down: RecvBuf,
    now: Instant,
    here: Option<ChannelId>,
    there: Option<ChannelId>,
    /// Bytes of data at the server, and whether all of them lay in the buffer that was read into.
    arrived: usize,
    in_place: bool,
}

fn carry(output: &[u8], input: &mut RecvBuf) -> usize {
    let space = input.space();
    let n = output.len().min(space.len());
    space[..n].copy_from_slice(&output[..n]);
    input.filled(n);
    n
}

impl Pair {
    fn new(cipher: &str, mac: &str, compression: &str) -> Self {
        let now = Instant::now();
        let algorithms = Algorithms {
            cipher: pick(CIPHER, cipher).unwrap(),
            mac: pick(MAC, mac).unwrap(),
            compression: pick(COMPRESSION, compression).unwrap(),
            ..Algorithms::client()
        };
        let client = ClientConfig { transport: TransportConfig { algorithms, ..TransportConfig::client() } };
        let host_key = PrivateKey::generate_ed25519(&mut SeededRng::new(1));
        let mut server = ServerConfig::new(vec![Arc::new(host_key)]);
        server.transport.algorithms = client.transport.algorithms.clone();
        let ann = ClientUserauthConfig { user_name: "ann".to_owned() };
        Self {
            client: Connection::new(
                Arc::new(client),
                ann,
                Default::default(),
                Box::new(SeededRng::new(2)),
                now,
            ),
            server: Connection::new(
                Arc::new(server),
                Default::default(),
                Default::default(),
                Box::new(SeededRng::new(3)),
                now,
            ),
            up: RecvBuf::new(),
            down: RecvBuf::new(),
            now,
            here: None,
            there: None,
            arrived: 0,
            in_place: true,
        }
    }

    fn round(&mut self) -> bool {
        let n = carry(self.client.output(), &mut self.up);
        self.client.consume_output(n);
        let mut moved = n > 0;
        let buffer = self.up.unread().as_ptr_range();
        while let Step::Progress | Step::Event(_) = self.take_up(buffer.clone()) {
            moved = true;
        }
        let n = carry(self.server.output(), &mut self.down);
        self.server.consume_output(n);
        moved |= n > 0;
        loop {
            match self.client.handle_input(&mut self.down, self.now).unwrap() {
                Step::NeedInput | Step::NeedVerdict => return moved,
                Step::Progress => {}
                Step::Event(event) => match event {
                    Event::Kex(host) => self.client.accept_host_key(host.ticket).unwrap(),
                    Event::Userauth(ClientUserauthEvent::Continue { ticket, .. }) => {
                        self.client.request_password(ticket, b"x").unwrap();
                    }
                    Event::Authenticated => drop(self.client.open_session().unwrap()),
                    Event::Channel(id, ChannelEvent::Opened) => self.here = Some(id),
                    _ => {}
                },
            }
            moved = true;
        }
    }

    fn take_up(&mut self, buffer: std::ops::Range<*const u8>) -> Step<()> {
        match self.server.handle_input(&mut self.up, self.now).unwrap() {
            Step::NeedInput => Step::NeedInput,
            Step::NeedVerdict => Step::NeedVerdict,
            Step::Progress => Step::Progress,
            Step::Event(event) => {
                match event {
                    Event::Userauth(question) => {
                        self.server.accept_user(question.ticket, &Permissions::FULL).unwrap();
                    }
                    Event::Channel(id, ChannelEvent::OpenRequest { .. }) => {
                        self.there = Some(id);
                        self.server.accept_channel(id).unwrap();
                    }
                    Event::Channel(id, ChannelEvent::Data { data }) => {
                        self.in_place &= buffer.contains(&data.as_ptr());
                        self.arrived += data.len();
                        let n = data.len();
                        self.server.channel(id).unwrap().adjust_window(n).unwrap();
                    }
                    _ => {}
                }
                Step::Event(())
            }
        }
    }

    fn running(cipher: &str, mac: &str, compression: &str) -> Self {
        let mut pair = Self::new(cipher, mac, compression);
        while pair.round() {}
        assert!(pair.here.is_some());
        pair
    }
}

/// (a) The bytes that a writer fills stand in the output at the place where he filled them, and what is told of them lies
/// where it was read: one copy out at most, none in.
fn copies() {
    let mut pair = Pair::running("aes128-gcm@openssh.com", "hmac-sha2-256", "none");
    let id = pair.here.unwrap();
    let mut place = None;
    let filled = pair.client.channel(id).unwrap().fill(|space| {
        space[..30_000].fill(7);
        place = Some(space[..30_000].as_ptr_range());
        Ok::<_, ()>(30_000)
    });
    assert_eq!(filled, Ok(Some(30_000)));
    let output = pair.client.output().as_ptr_range();
    let place = place.unwrap();
    assert!(output.contains(&place.start) && output.contains(&place.end), "filled where it leaves from");
    while pair.round() {}
    assert_eq!(pair.arrived, 30_000);
    assert!(pair.in_place, "told where it was read");
}

/// (b) Bulk costs no allocation once the buffers are warm.
fn allocations(cipher: &str, mac: &str, compression: &str, byte: impl FnMut() -> u8) {
    let mut pair = Pair::running(cipher, mac, compression);
    let (id, mut block) = (pair.here.unwrap(), vec![1; 32 * 1024]);
    block.fill_with(byte);
    let mut counted = 0;
    for round in 0..140 {
        if round == 40 {
            counted = alloc::count();
        }
        pair.client.channel(id).unwrap().write(&block);
        pair.round();
    }
    assert!(pair.arrived > 100 * block.len());
    assert_eq!(alloc::count() - counted, 0, "{cipher} {mac} {compression}: allocations in 100 packets");
}

/// (c) What an idle, authenticated connection with an open session holds, its buffers given back.
fn idle(compression: &str) -> (usize, usize) {
    const COUNT: usize = 50;
    let before = alloc::held();
    let mut pairs: Vec<_> = (0..COUNT)
        .map(|_| {
            let mut pair = Pair::running("aes256-gcm@openssh.com", "hmac-sha2-256", compression);
            *pair.client.send_buf() = SendBuf::default();
            *pair.server.send_buf() = SendBuf::default();
            (pair.client, pair.server)
        })
        .collect();
    let both = alloc::held() - before;
    for (client, _) in &mut pairs {
        assert!(client.is_authenticated());
    }
    let servers: Vec<_> = pairs.into_iter().map(|(_, server)| server).collect();
    // The vector of both is gone, one of the servers is there.
    let server = (alloc::held() - before) / COUNT;
    drop(servers);
    (both / COUNT - server, server)
}

/// (d) A length that was announced is not memory.
fn announced() -> usize {
    let mut pair = Pair::new("aes128-gcm@openssh.com", "hmac-sha2-256", "none");
    alloc::peak();
    let before = alloc::held();
    carry(b"SSH-2.0-x\r\n\xff\xff\xff\xff", &mut pair.up);
    assert!(matches!(pair.server.handle_input(&mut pair.up, pair.now), Ok(Step::Progress)));
    assert!(pair.server.handle_input(&mut pair.up, pair.now).is_err());
    alloc::peak() - before
}

/// (e) Nor is what a payload says it expands to: a command of 10 MiB that is ten kilobytes when it comes.
fn expanded() -> usize {
    let mut pair = Pair::running("aes128-gcm@openssh.com", "hmac-sha2-256", "zlib@openssh.com");
    let id = pair.here.unwrap();
    pair.client.channel(id).unwrap().request_exec(&vec![b'a'; 10 << 20]).unwrap();
    let n = carry(pair.client.output(), &mut pair.up);
    assert_eq!((n, n < 16 * 1024), (pair.client.pending_output(), true));
    alloc::peak();
    let before = alloc::held();
    let error = pair.server.handle_input(&mut pair.up, pair.now).err();
    assert_eq!(error, Some(Error::Peer(INFLATED_LENGTH)));
    let peak = alloc::peak() - before;
    pair.up.clear();
    assert!(alloc::held() <= before + 1024, "given back with the rest of the buffer");
    peak
}

#[test]
fn t06_t15_one_copy_out_none_in_no_allocation_a_packet_and_little_for_the_idle() {
    copies();
    for cipher in CIPHER {
        let macs = if cipher.algorithm.is_aead() { 1 } else { MAC.len() };
        for mac in MAC.iter().take(macs) {
            allocations(cipher.name, mac.name, "none", || 1);
        }
    }
    let mut rng = SeededRng::new(4);
    let mut random = [0; 32 * 1024];
    rng.fill(&mut random);
    let mut random = random.iter().copied().cycle();
    allocations("aes128-gcm@openssh.com", "hmac-sha2-256", "zlib@openssh.com", || 1);
    allocations("aes128-gcm@openssh.com", "hmac-sha2-256", "zlib@openssh.com", || random.next().unwrap());
    let (client, server) = idle("none");
    println!("figure: an idle connection holds {client} bytes at the client, {server} at the server");
    assert!(client < 16 * 1024 && server < 16 * 1024);
    let (with, _) = idle("zlib@openssh.com");
    println!("figure: the streams of zlib@openssh.com hold {} bytes more at each side", with - client);
    assert!(with - client < 400 * 1024);
    let announced = announced();
    assert!(announced < 64 * 1024, "{announced} bytes for a length");
    let expanded = expanded();
    assert!(expanded <= 512 * 1024, "{expanded} bytes for a payload that is not taken");
}
