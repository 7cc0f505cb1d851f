//! The threads: order, bounds, and sessions that go away.

use super::super::files::Reply;
use super::super::workers::{Desk, Done, Job, SPARE_MAX, THREADS_MAX, TURN_MAX, Workers, lock};
use super::*;
use mio::{Events, Poll, Token, Waker};
use std::thread;

/// A session's server with what a client asked of it.
struct Asking {
    server: SftpServer,
    desk: Arc<Desk<usize>>,
}

impl Asking {
    fn new(key: usize, service: Service, descriptors: &Arc<Descriptors>) -> Self {
        let limits = ServerLimits { extensions: Extension::ALL.to_vec(), ..ServerLimits::default() };
        let files = Served::directory(Arc::new(service), Arc::clone(descriptors));
        let mut asking = Self { server: SftpServer::new(limits), desk: Arc::new(Desk::new(key, files)) };
        let mut init = &b"\0\0\0\x05\x01\0\0\0\x03"[..];
        assert_eq!(asking.server.handle_input(&mut Reassembly::new(), &mut init).unwrap(), Step::Progress);
        asking.server.consume_output(asking.server.output().len());
        asking
    }

    fn job(&mut self, id: u32, request: &Request<'_>) -> Job {
        let (mut packet, mut reassembly) = (Vec::new(), Reassembly::new());
        request.encode(id, &mut packet);
        let step = self.server.handle_input(&mut reassembly, &mut &packet[..]).unwrap();
        let Step::Event((ticket, _)) = step else { panic!("{step:?}") };
        Job { ticket, packet }
    }

    /// The ids of what the server answered.
    fn ids(&self) -> Vec<u32> {
        let (mut rest, mut ids) = (self.server.output(), Vec::new());
        while let Some((length, after)) = rest.split_first_chunk() {
            let (packet, next) = after.split_at(u32::from_be_bytes(*length) as usize);
            ids.push(u32::from_be_bytes(packet[1..5].try_into().unwrap()));
            rest = next;
        }
        ids
    }
}

/// The loop's end.
struct Loop {
    poll: Poll,
    workers: Workers<usize>,
}

impl Loop {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        Self { poll, workers: Workers::new(waker) }
    }

    fn answer(&mut self) -> Done<usize> {
        loop {
            if let Some(done) = self.workers.answer() {
                return done;
            }
            self.poll.poll(&mut Events::with_capacity(1), None).unwrap();
        }
    }
}

#[test]
fn a_sessions_requests_are_answered_in_their_order() {
    let place = Place::new();
    let descriptors = Arc::new(Descriptors::new(10));
    let (mut around, mut asking) = (Loop::new(), Asking::new(1, place.service(), &descriptors));
    let stat = Request::Stat { path: b"file" };
    for id in 0..60 {
        let job = asking.job(id, &stat);
        around.workers.submit(&asking.desk, job).unwrap();
    }
    for _ in 0..60 {
        let Done { key, ticket, reply } = around.answer();
        assert_eq!(key, 1);
        asking.server.answer(ticket, &reply.answer()).unwrap();
    }
    assert_eq!(asking.ids(), Vec::from_iter(0..60));
}

#[test]
fn there_are_no_more_threads_than_the_bound_and_none_before_there_is_work() {
    let place = Place::new();
    let descriptors = Arc::new(Descriptors::new(10));
    let mut around = Loop::new();
    let mut sessions: Vec<_> = (0..20).map(|key| Asking::new(key, place.service(), &descriptors)).collect();
    assert_eq!(around.workers.threads(), 0);
    for round in 0..3 {
        for asking in &mut sessions {
            let job = asking.job(round, &Request::Lstat { path: b"file" });
            around.workers.submit(&asking.desk, job).unwrap();
        }
        let mut keys: Vec<_> = (0..20).map(|_| around.answer().key).collect();
        keys.sort_unstable();
        assert_eq!(keys, Vec::from_iter(0..20));
        assert!((1..=THREADS_MAX).contains(&around.workers.threads()));
    }
}

#[test]
fn a_session_that_goes_away_closes_its_files_and_what_waits_is_not_done() {
    let place = Place::new();
    let descriptors = Arc::new(Descriptors::new(10));
    let (mut around, mut asking) = (Loop::new(), Asking::new(1, place.service(), &descriptors));
    let attrs = Attributes::default();
    for id in 0..5 {
        let job = asking.job(id, &Request::Open { filename: b"file", pflags: Pflags::READ, attrs });
        around.workers.submit(&asking.desk, job).unwrap();
    }
    for _ in 0..5 {
        let done = around.answer();
        asking.server.answer(done.ticket, &done.reply.answer()).unwrap();
    }
    assert_eq!(descriptors.used(), 5);
    // Nobody gets at the files before the session is gone.
    let desk = Arc::clone(&asking.desk);
    let held = lock(&desk.files);
    let jobs: Vec<_> = (5..10).map(|id| asking.job(id, &Request::Mkdir { path: b"made", attrs })).collect();
    for job in jobs {
        around.workers.submit(&asking.desk, job).unwrap();
    }
    around.workers.end(&asking.desk);
    drop(held);
    while descriptors.used() > 0 {
        thread::yield_now();
    }
    assert!(!place.path("root/made").exists() && around.workers.answer().is_none());
}

#[test]
fn a_long_copy_lets_others_have_their_turns_and_ends_with_its_session() {
    let place = Place::new();
    let descriptors = Arc::new(Descriptors::new(10));
    fs::File::create(place.path("root/large")).unwrap().set_len(1 << 40).unwrap();
    let mut around = Loop::new();
    // As many as there are threads, and one more.
    let mut copying: Vec<_> =
        (0..THREADS_MAX).map(|key| Asking::new(key, place.service(), &descriptors)).collect();
    for (n, asking) in (0..).zip(&mut copying) {
        let name = format!("copy{n}");
        let attrs = Attributes::default();
        let all = Pflags::WRITE | Pflags::CREAT;
        let opened = [(&b"large"[..], Pflags::READ), (name.as_bytes(), all)].map(|(filename, pflags)| {
            let job = asking.job(0, &Request::Open { filename, pflags, attrs });
            around.workers.submit(&asking.desk, job).unwrap();
            let done = around.answer();
            let handle = done.ticket.handle().unwrap();
            asking.server.answer(done.ticket, &done.reply.answer()).unwrap();
            handle
        });
        let [from, to] = opened.map(|handle| handle.as_ref().to_vec());
        let request = Request::CopyData {
            read_handle: &from[..],
            read_offset: 0,
            read_length: 0,
            write_handle: &to[..],
            write_offset: 0,
        };
        let job = asking.job(1, &request);
        around.workers.submit(&asking.desk, job).unwrap();
    }
    let mut other = Asking::new(99, place.service(), &descriptors);
    for id in 0..5 {
        let job = other.job(id, &Request::Stat { path: b"file" });
        around.workers.submit(&other.desk, job).unwrap();
        assert_eq!(around.answer().key, 99);
    }
    for asking in &copying {
        around.workers.end(&asking.desk);
    }
    while descriptors.used() > 0 {
        thread::yield_now();
    }
    assert!(around.workers.answer().is_none(), "nobody is told of a copy that was dropped");
}

#[test]
fn a_session_with_much_to_do_lets_another_have_its_turn_after_a_few_requests() {
    let place = Place::new();
    let descriptors = Arc::new(Descriptors::new(10));
    let mut around = Loop::new();
    let mut sessions: Vec<_> =
        (0..=THREADS_MAX).map(|key| Asking::new(key, place.service(), &descriptors)).collect();
    let stat = Request::Stat { path: b"file" };
    // All threads sit at sessions whose files they do not get; the last session has to wait for one.
    let desks: Vec<_> = sessions.iter().map(|asking| Arc::clone(&asking.desk)).collect();
    let mut held: Vec<_> = desks[..THREADS_MAX].iter().map(|desk| lock(&desk.files)).collect();
    for (key, asking) in sessions.iter_mut().enumerate() {
        let jobs = if key == 0 { 3 * TURN_MAX as u32 } else { 1 };
        for id in 0..jobs {
            let job = asking.job(id, &stat);
            around.workers.submit(&asking.desk, job).unwrap();
        }
    }
    assert_eq!(around.workers.threads(), THREADS_MAX);
    drop(held.remove(0));
    let keys: Vec<_> = (0..=3 * TURN_MAX).map(|_| around.answer().key).collect();
    assert_eq!(keys, [vec![0; TURN_MAX], vec![THREADS_MAX], vec![0; 2 * TURN_MAX]].concat());
}

#[test]
fn no_more_buffers_wait_to_be_used_again_than_the_bound_and_no_small_ones() {
    let around = Loop::new();
    around.workers.give_back(Reply::Data(Vec::with_capacity(100), 0));
    assert_eq!(around.workers.buffer().capacity(), 0);
    for _ in 0..SPARE_MAX + 5 {
        around.workers.give_back(Reply::Data(Vec::with_capacity(1 << 16), 0));
    }
    let used_again = (0..SPARE_MAX + 5).filter(|_| around.workers.buffer().capacity() > 0).count();
    assert_eq!(used_again, SPARE_MAX);
}
