//! Agents that are dead, silent, slow or lie, at the end of a socket.

use super::*;
use mio::{Events, Poll, Token};
use std::os::unix::net::UnixListener;
use tempfile::TempDir;

/// Longer than anything here takes; who waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bound that a test can wait for.
const SHORT: Duration = Duration::from_millis(50);

const ED25519: SignatureAlgorithm = SignatureAlgorithm::Ed25519;

/// The loop.
struct Loop {
    poll: Poll,
    waker: Arc<Waker>,
}

impl Loop {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        Self { poll, waker }
    }

    fn wait(&mut self, client: &mut AgentClient) -> Result<Answer, AgentFailure> {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(answer) = client.answer() {
                return answer;
            }
            while let Err(error) = self.poll.poll(&mut events, Some(PATIENCE)) {
                assert_eq!(error.kind(), ErrorKind::Interrupted); // a signal to the process
            }
            assert!(!events.is_empty(), "nobody woke the loop");
        }
    }

    fn ask(&mut self, client: &mut AgentClient, request: Request) -> Result<Answer, AgentFailure> {
        client.ask(request)?;
        self.wait(client)
    }

    /// The thread has ended once nobody else holds the waker.
    fn thread_ends(&self) {
        let start = Instant::now();
        while Arc::strong_count(&self.waker) > 1 {
            assert!(start.elapsed() < PATIENCE, "the thread goes on");
            thread::yield_now();
        }
    }
}

fn sign() -> Request {
    Request::Sign { blob: b"blob".to_vec(), data: b"data".to_vec(), algorithm: ED25519 }
}

/// An agent that serves one connection.
struct Fake {
    directory: TempDir,
    serving: thread::JoinHandle<()>,
}

impl Fake {
    fn start(serve: impl FnOnce(UnixStream) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("agent")).unwrap();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            serve(stream);
        });
        Self { directory, serving }
    }

    /// One that answers each request in turn with such bytes, and then stays until the client goes.
    fn answering(answers: &[&[u8]]) -> Self {
        let answers: Vec<_> = answers.iter().map(|answer| answer.to_vec()).collect();
        Self::start(move |mut stream| {
            for answer in answers {
                read_request(&mut stream);
                stream.write_all(&answer).unwrap();
            }
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        })
    }

    fn client(&self, limit: Duration, waker: &Arc<Waker>) -> AgentClient {
        AgentClient::connect_within(limit, &self.directory.path().join("agent"), Arc::clone(waker))
    }
}

fn read_request(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).unwrap();
    message
}

/// What becomes of a client that asks for the keys.
fn lists(answers: &[&[u8]]) -> Result<Answer, AgentFailure> {
    let (mut around, fake) = (Loop::new(), Fake::answering(answers));
    let mut client = fake.client(PATIENCE, &around.waker);
    let answer = around.ask(&mut client, Request::Identities);
    if let Err(failure) = &answer {
        assert_eq!(client.ask(sign()), Err(failure.clone()), "at once");
        assert!(!client.is_busy());
    }
    drop(client);
    fake.serving.join().unwrap();
    around.thread_ends();
    answer
}

const NO_KEYS: &[u8] = &[0, 0, 0, 5, 12, 0, 0, 0, 0];

#[test]
fn t92_lengths_counts_and_numbers_that_lie_end_the_connection_with_a_text() {
    use AgentError::{Length, TooManyIdentities, Unasked, Unexpected};
    for (answer, expected) in [
        (&[0xff; 4][..], Length),
        (&[0; 4], Length),
        (&[0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff], TooManyIdentities),
        (&[0, 0, 0, 1, 14], Unexpected(14)),
        (&[0, 0, 0, 1, 6], Unexpected(6)),
        (&[NO_KEYS, NO_KEYS].concat(), Unasked),
    ] {
        let expected = AgentFailure::Protocol(expected);
        assert_eq!(lists(&[answer]), Err(expected.clone()), "{answer:?}");
        assert!(expected.to_string().starts_with("the agent"), "{expected}");
    }
    assert_eq!(lists(&[NO_KEYS]), Ok(Answer::Identities(vec![])));
}

#[test]
fn t92_an_agent_that_closes_in_the_middle_or_at_once_is_closed() {
    for part in 0..NO_KEYS.len() {
        let mut around = Loop::new();
        let fake = Fake::start(move |mut stream| {
            read_request(&mut stream);
            stream.write_all(&NO_KEYS[..part]).unwrap();
        });
        let mut client = fake.client(PATIENCE, &around.waker);
        client.ask(Request::Identities).unwrap();
        client.ask(sign()).unwrap();
        // Both are told.
        assert_eq!(around.wait(&mut client), Err(AgentFailure::Closed), "{part}");
        assert_eq!(around.wait(&mut client), Err(AgentFailure::Closed), "{part}");
        assert!(client.answer().is_none() && !client.is_busy());
        fake.serving.join().unwrap();
    }
    let (mut around, fake) = (Loop::new(), Fake::start(drop));
    let mut client = fake.client(PATIENCE, &around.waker);
    fake.serving.join().unwrap();
    assert_eq!(around.ask(&mut client, Request::Identities), Err(AgentFailure::Closed));
}

#[test]
fn t92_a_second_answer_is_not_taken_for_that_of_the_next_request() {
    let mut around = Loop::new();
    let (twice, go) = channel::<()>();
    let fake = Fake::start(move |mut stream| {
        read_request(&mut stream);
        stream.write_all(NO_KEYS).unwrap();
        go.recv().unwrap();
        stream.write_all(NO_KEYS).unwrap();
        drop(go); // the word that it is written
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    });
    let mut client = fake.client(PATIENCE, &around.waker);
    assert_eq!(around.ask(&mut client, Request::Identities), Ok(Answer::Identities(vec![])));
    while twice.send(()).is_ok() {
        thread::yield_now();
    }
    let unasked = AgentFailure::Protocol(AgentError::Unasked);
    assert_eq!(around.ask(&mut client, Request::Identities), Err(unasked));
    fake.serving.join().unwrap();
}

#[test]
fn t92_an_agent_that_never_answers_or_drips_is_given_up_at_the_end_of_its_time() {
    let mut around = Loop::new();
    let silent = Fake::answering(&[b""]);
    let mut client = silent.client(SHORT, &around.waker);
    assert_eq!(around.ask(&mut client, Request::Identities), Err(AgentFailure::TimedOut));
    assert_eq!(client.ask(Request::Identities), Err(AgentFailure::TimedOut));
    silent.serving.join().unwrap();

    // The longest message, a byte at a time for as long as somebody listens.
    let drips = Fake::start(|mut stream| {
        read_request(&mut stream);
        stream.set_read_timeout(Some(SHORT / 5)).unwrap();
        stream.write_all(&[0, 4, 0, 0]).unwrap();
        while stream.write_all(&[5]).is_ok() && stream.read(&mut [0]).is_err() {}
    });
    let mut client = drips.client(SHORT, &around.waker);
    assert_eq!(around.ask(&mut client, Request::Identities), Err(AgentFailure::TimedOut));
    drips.serving.join().unwrap();
}

#[test]
fn a_signature_may_take_longer_than_a_list() {
    let mut around = Loop::new();
    let fake = Fake::start(|mut stream| {
        for answer in [&[0, 0, 0, 1, 5][..], &[0, 0, 0, 1, 5]] {
            read_request(&mut stream);
            // No request comes while this one waits: the read ends by its time alone.
            stream.set_read_timeout(Some(4 * SHORT)).unwrap();
            assert!(stream.read(&mut [0]).is_err());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
    let mut client = fake.client(SHORT, &around.waker);
    assert_eq!(around.ask(&mut client, sign()), Ok(Answer::Refused));
    assert_eq!(around.ask(&mut client, sign()), Ok(Answer::Refused));
    fake.serving.join().unwrap();
}

#[test]
fn an_agent_that_does_not_read_is_given_up() {
    let (mut around, (go, stop)) = (Loop::new(), channel::<()>());
    let fake = Fake::start(move |_stream| {
        let _stop = stop.recv();
    });
    let mut client = fake.client(SHORT, &around.waker);
    // More than the system keeps for who does not read.
    let request = Request::SessionBind {
        host_key: vec![0; crate::keys::agent::MESSAGE_MAX - 100],
        session_id: vec![],
        signature: vec![],
        is_forwarding: false,
    };
    assert_eq!(around.ask(&mut client, request), Err(AgentFailure::TimedOut));
    drop(go);
    fake.serving.join().unwrap();
}

#[test]
fn a_client_that_is_dropped_leaves_neither_a_connection_nor_a_thread() {
    // While the agent waits for a person, with another request behind.
    let around = Loop::new();
    let (asked, is_asked) = channel();
    let fake = Fake::start(move |mut stream| {
        read_request(&mut stream);
        asked.send(()).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the client has hung up");
    });
    let mut client = fake.client(PATIENCE, &around.waker);
    client.ask(sign()).unwrap();
    client.ask(sign()).unwrap();
    is_asked.recv_timeout(PATIENCE).unwrap();
    drop(client);
    fake.serving.join().unwrap();
    around.thread_ends();

    // At once, connected or not.
    let fake = Fake::start(|mut stream| assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap_or(0), 0));
    drop(fake.client(PATIENCE, &around.waker));
    around.thread_ends();
    let _also_if_it_never_came = UnixStream::connect(fake.directory.path().join("agent"));
    fake.serving.join().unwrap();
}

#[test]
fn an_agent_that_is_not_there_or_does_not_accept_is_told() {
    let (mut around, directory) = (Loop::new(), tempfile::tempdir().unwrap());
    let path = directory.path().join("agent");
    let connect =
        |path: &Path, around: &Loop| AgentClient::connect_within(SHORT, path, Arc::clone(&around.waker));
    for path in [path.clone(), directory.path().join("x".repeat(200)), directory.path().to_owned()] {
        let mut client = connect(&path, &around);
        let failure = around.ask(&mut client, Request::Identities).unwrap_err();
        assert!(failure.to_string().starts_with("the agent cannot be reached: "), "{failure}");
    }
    // A listener that accepts nobody, with room for one who waits.
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let mut client = connect(&path, &around);
    assert_eq!(around.ask(&mut client, Request::Identities), Err(AgentFailure::TimedOut));
}

#[test]
fn a_request_that_cannot_be_made_fails_alone_and_no_more_than_the_bound_wait() {
    let (mut around, fake) = (Loop::new(), Fake::answering(&[NO_KEYS; REQUESTS_MAX]));
    let mut client = fake.client(PATIENCE, &around.waker);
    let sha1 = SignatureAlgorithm::Rsa(crate::crypto::sign::rsa::Scheme::Sha1);
    for (data, algorithm, why) in [
        (vec![], sha1, CannotAsk::WrongAlgorithm),
        (vec![0; crate::keys::agent::MESSAGE_MAX], ED25519, CannotAsk::TooLong),
    ] {
        let request = Request::Sign { blob: vec![], data, algorithm };
        assert_eq!(around.ask(&mut client, request), Err(AgentFailure::Request(why)));
    }
    for _ in 0..REQUESTS_MAX {
        client.ask(Request::Identities).unwrap();
    }
    assert_eq!(client.ask(Request::Identities), Err(AgentFailure::Request(CannotAsk::Busy)));
    for _ in 0..REQUESTS_MAX {
        assert_eq!(around.wait(&mut client), Ok(Answer::Identities(vec![])));
    }
    assert!(client.answer().is_none());
}

#[test]
fn identity_agent_says_which_socket() {
    let variable = |name: &str| match name {
        "SSH_AUTH_SOCK" => Some("/run/agent".into()),
        "OTHER" => Some("/run/other".into()),
        "EMPTY" => Some(OsString::new()),
        _ => None,
    };
    for (word, expected) in [
        (None, Some("/run/agent")),
        (Some("SSH_AUTH_SOCK"), Some("/run/agent")),
        (Some("none"), None),
        (Some("$OTHER"), Some("/run/other")),
        (Some("$EMPTY"), None),
        (Some("$UNSET"), None),
        (Some("/tmp/socket"), Some("/tmp/socket")),
        (Some(""), None),
    ] {
        let found = socket(&AgentSocket(word.map(str::to_owned)), variable);
        assert_eq!(found, expected.map(PathBuf::from), "{word:?}");
    }
    assert_eq!(socket(&AgentSocket(None), |_| None), None);
}
