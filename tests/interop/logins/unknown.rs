//! T-46: whether a server tells who exists.

use super::super::openssh::{Files, Running, ours};
use super::hashed;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strombus::connection::{Connection, Event, Step};
use strombus::crypto::SystemRng;
use strombus::transport::{Client, ClientConfig, Error, RecvBuf, Ticket};
use strombus::userauth::{ClientUserauthConfig, ClientUserauthEvent};

/// Failing logins of each of the two.
const LOGINS: usize = 100;

/// A client that tries passwords, and waits for each answer.
struct Guesser {
    stream: TcpStream,
    conn: Connection<Client>,
    input: RecvBuf,
    ticket: Option<Ticket>,
}

impl Guesser {
    fn connect(port: u16, user_name: &str) -> Self {
        let config = Arc::new(ClientConfig::default());
        let user = ClientUserauthConfig { user_name: user_name.to_owned() };
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(super::super::openssh::deadline())).unwrap();
        let conn = Connection::new(config, user, Default::default(), Box::new(SystemRng), Instant::now());
        Self { stream, conn, input: RecvBuf::new(), ticket: None }
    }

    /// The next answer of the login, as a text; the end of the connection, too.
    fn answer(&mut self) -> String {
        loop {
            let output = self.conn.output();
            self.stream.write_all(output).unwrap();
            let n = output.len();
            self.conn.consume_output(n);
            match self.conn.handle_input(&mut self.input, Instant::now()) {
                Ok(Step::Event(Event::Kex(question))) => {
                    let ticket = question.ticket;
                    self.conn.accept_host_key(ticket).unwrap();
                }
                Ok(Step::Event(Event::Userauth(event))) => {
                    let text = format!("{event:?}");
                    let ClientUserauthEvent::Continue { ticket, partial_success, .. } = event else {
                        panic!("{text}");
                    };
                    let methods = text.split("ticket").next().unwrap().to_owned();
                    self.ticket = Some(ticket);
                    return format!("{methods} {partial_success}");
                }
                Ok(Step::NeedInput) => {
                    let read = self.stream.read(self.input.space()).unwrap();
                    if read == 0 {
                        return "closed".to_owned();
                    }
                    self.input.filled(read);
                }
                Ok(Step::Event(_)) => panic!("logged in"),
                Ok(_) => {}
                Err(Error::Disconnected { reason, description }) => {
                    return format!("{reason:?} {description:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What comes of a wrong password, and how long it takes; nothing more once the connection has ended.
    fn guess(&mut self) -> Option<(String, Duration)> {
        let ticket = self.ticket.take()?;
        let began = Instant::now();
        self.conn.request_password(ticket, b"a guess").unwrap();
        let answer = self.answer();
        Some((answer, began.elapsed()))
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn t46_an_unknown_user_is_answered_as_a_known_one() {
    let files = Files::new();
    let users = [hashed("ann", "secret"), hashed("bob", "other")].concat();
    let (passwords, log) = (files.write("passwords", &users), files.write("shop.log", ""));
    let mut command = ours("ssh-weblog-server");
    let key = files.text("host_key");
    command.args(["--listen", "127.0.0.1:0", "--password-file", &passwords, "--host-key", &key, &log]);
    let running = Running::start(&mut command);
    let line = running.wait_for("listening on").unwrap_or_else(|| panic!("{}", running.log()));
    let port = line.rsplit(':').next().unwrap().parse().unwrap();
    let names = ["ann", "eve"];
    let (mut times, mut answers) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    while times[0].len() < LOGINS {
        let mut guessers = names.map(|name| Guesser::connect(port, name));
        for (guesser, answers) in guessers.iter_mut().zip(&mut answers) {
            answers.push(guesser.answer());
        }
        // By turns, and each of them first as often as the other.
        for turn in 0.. {
            let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
            let mut is_over = true;
            for n in order {
                if let Some((answer, time)) = guessers[n].guess() {
                    answers[n].push(answer);
                    times[n].push(time);
                    is_over = false;
                }
            }
            if is_over {
                break;
            }
        }
    }
    assert_eq!(answers[0], answers[1], "the sequences of answers");
    assert!(times[0].len() >= LOGINS && times[0].len() == times[1].len());
    let [known, unknown] = times.map(median);
    let ratio = unknown.as_secs_f64() / known.as_secs_f64();
    println!(
        "figure: wrong passwords, {LOGINS} each: an unknown user's answer takes {ratio:.3} of a known one's \
         (medians {unknown:.1?} and {known:.1?})"
    );
}
