//! Bounds, with the core of a server on the other side and no channel between.

use super::*;
use crate::connection::ChannelId;
use crate::copy::progress::Bar;
use crate::copy::transfer::Sink;
use crate::driver::task::Tasks;
use crate::sftp::{self, Backend, Reassembly, ServerLimits, SftpServer, Status, Ticket};
use std::collections::VecDeque;

/// What was asked, and not answered yet.
#[derive(Default)]
struct Held(VecDeque<(Ticket, usize)>);

impl Backend for Held {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, sftp::Handle>, _: &mut SftpServer) {
        let len = if let Request::Read { len, .. } = request { len as usize } else { 0 };
        self.0.push_back((ticket, len));
    }
}

struct Peer {
    server: SftpServer,
    reassembly: Reassembly,
    held: Held,
}

impl Peer {
    fn new(handles: usize) -> (Rc<Remote>, Self) {
        let limits = ServerLimits { handles, in_flight: 512, ..ServerLimits::default() };
        let (server, reassembly) = (SftpServer::new(limits), Reassembly::new());
        let mut peer = Self { server, reassembly, held: Held::default() };
        let mut channel = ClientChannel::new(ChannelId::NONE);
        let mut is_ready = false;
        while !is_ready {
            let output = channel.client.output().to_vec();
            channel.client.consume_output(output.len());
            peer.server.serve(&mut peer.held, &mut peer.reassembly, &output).unwrap();
            let answers = peer.server.output().to_vec();
            peer.server.consume_output(answers.len());
            channel.handle_data(&answers, |_, _| is_ready = true).unwrap();
        }
        (Rc::new(Remote::new(channel, None)), peer)
    }

    /// Takes what was asked, as far as a server takes it.
    fn take(&mut self, remote: &Remote) {
        let mut channel = remote.sftp.channel.borrow_mut();
        let output = channel.client.output().to_vec();
        channel.client.consume_output(output.len());
        self.server.serve(&mut self.held, &mut self.reassembly, &output).unwrap();
    }

    /// Answers the oldest request: with a handle, with the data that it asked for, or by the end of the file.
    fn answer(&mut self, remote: &Remote, is_end: bool) {
        self.take(remote);
        let (ticket, len) = self.held.0.pop_front().unwrap();
        let data = vec![7; len];
        let answer = match ticket.handle() {
            Some(handle) => Answer::Handle(handle),
            None if is_end => Answer::Status(Status::new(StatusCode::EOF)),
            None => Answer::Data(&data),
        };
        self.server.answer(ticket, &answer).unwrap();
        let answers = self.server.output().to_vec();
        self.server.consume_output(answers.len());
        remote.handle_data(&answers).unwrap();
    }
}

fn under_way(remote: &Remote) -> usize {
    remote.sftp.channel.borrow().client.in_flight()
}

/// A file that is opened and read in a task, and whether it was.
fn reading(remote: &Rc<Remote>, block: u32, len: u64) -> (Tasks, Rc<Cell<Option<bool>>>) {
    let (tasks, read) = (Tasks::default(), Rc::new(Cell::new(None)));
    let incoming = Incoming::new(Sink::Memory(Vec::new()), Bar::default(), block, 0, len, len);
    let (remote, told) = (Rc::clone(remote), Rc::clone(&read));
    tasks.starter().start(async move {
        let handle = remote.open(b"f", Pflags::READ, None).await.unwrap();
        told.set(Some(incoming.read(&remote, &handle).await.is_ok()));
    });
    (tasks, read)
}

#[test]
fn reads_under_way_are_bounded_by_their_number_and_by_their_bytes() {
    let bytes = BYTES_MAX / sftp::LEN_MAX as usize;
    for (block, most) in [(512, TRANSFERS_MAX), (sftp::LEN_MAX, bytes)] {
        let (remote, mut peer) = Peer::new(10);
        let (mut tasks, _) = reading(&remote, block, 1 << 40);
        tasks.run();
        peer.answer(&remote, false);
        tasks.run();
        assert_eq!(under_way(&remote), TRANSFERS_START, "{block}");
        for answers in 1..=most + 10 {
            peer.answer(&remote, false);
            remote.sftp.room.wake();
            tasks.run();
            assert_eq!(under_way(&remote), (TRANSFERS_START + answers).min(most), "{block}");
        }
    }
}

#[test]
fn what_came_behind_an_end_counts_no_more() {
    let (remote, mut peer) = Peer::new(10);
    let (mut tasks, read) = reading(&remote, 1000, 10_000);
    tasks.run();
    peer.answer(&remote, false);
    tasks.run();
    for n in 0..10 {
        assert_eq!((under_way(&remote), read.get()), (10 - n, None));
        peer.answer(&remote, n == 0);
        tasks.run();
    }
    assert_eq!((read.get(), remote.bytes.get()), (Some(false), 0));
}

#[test]
fn no_more_files_are_open_than_the_server_has_handles_for() {
    // A fourth of the handles is for listings.
    for (handles, most) in [(1, 1), (8, 6), (100_000, FILES_MAX)] {
        let (remote, mut peer) = Peer::new(handles);
        let mut tasks = Tasks::default();
        let open: Rc<RefCell<Vec<Handle>>> = Rc::default();
        for _ in 0..250 {
            let (remote, open) = (Rc::clone(&remote), Rc::clone(&open));
            tasks.starter().start(async move {
                let handle = remote.open(b"f", Pflags::READ, None).await.unwrap();
                open.borrow_mut().push(handle);
            });
        }
        tasks.run();
        peer.take(&remote);
        assert_eq!(peer.held.0.len(), most);
        peer.answer(&remote, false);
        tasks.run();
        assert_eq!((under_way(&remote), open.borrow().len()), (most - 1, 1));
    }
}

#[test]
fn no_more_directories_are_listed_than_the_bound_and_a_fourth_of_the_handles() {
    for (handles, most) in [(1, 1), (8, 2), (100_000, LISTINGS_MAX)] {
        let (remote, _) = Peer::new(handles);
        let listed: Vec<_> = (0..50).map_while(|_| remote.listings.try_take()).collect();
        assert_eq!(listed.len(), most, "{handles}");
    }
}

#[test]
fn a_server_that_tells_nothing_has_handles_enough_for_a_few_files() {
    let mut channel = ClientChannel::new(ChannelId::NONE);
    let mut is_ready = false;
    // VERSION, and no extension.
    channel.handle_data(&[0, 0, 0, 5, 2, 0, 0, 0, 3], |_, _| is_ready = true).unwrap();
    assert!(is_ready);
    let remote = Remote::new(channel, None);
    let mut permits = Vec::new();
    permits.extend(core::iter::from_fn(|| remote.handles.try_take()).take(1000));
    permits.extend(core::iter::from_fn(|| remote.listings.try_take()).take(1000));
    assert_eq!(permits.len(), HANDLES_UNTOLD);
}
