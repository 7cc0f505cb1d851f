//! The load of one who types while much comes: two sessions of one connection, bytes from the server on one as fast as they come,
//! and on the other a byte there and back, and the next once it has come.
//!
//! ```text
//! compare load keystroke SECONDS PORT KEY CIPHER MAC KEX
//! ```
//!
//! It begins with the first of the many bytes, ends after SECONDS, and says the median and the 99th percentile of the
//! milliseconds that a byte took, and the seconds that a GiB of the many took.

use crate::delays::Delays;
use crate::load::DEADLINE;
use crate::login::Login;
use core::time::Duration;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event};
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::transport::Client;

/// More than comes in any time.
const MANY: &str = "head -c 1000000000000000 /dev/zero";

struct Typist {
    login: Login,
    /// The session with the many bytes, and the one that echoes.
    many: Option<ChannelId>,
    echo: Option<ChannelId>,
    echoes: bool,
    time: Duration,
    /// When the first of the many bytes and the echo were there.
    begin: Option<Instant>,
    end: Instant,
    bytes: u64,
    /// What is on its way, and since when.
    typed: u8,
    since: Instant,
    delays: Delays,
    is_done: bool,
}

impl Typist {
    /// Types another byte.
    fn next(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        self.typed = self.typed.wrapping_add(1);
        self.since = Instant::now();
        self.type_it(conn)
    }

    fn type_it(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        let echo = self.echo.expect("it was opened");
        // If it is not taken, there will be a time for it.
        conn.channel(echo)?.write(&[self.typed]);
        Ok(())
    }

    fn channel_event(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::Opened if self.many.is_none() => {
                self.many = Some(id);
                conn.channel(id)?.request_exec(MANY.as_bytes())?;
            }
            ChannelEvent::Opened => {
                self.echo = Some(id);
                conn.channel(id)?.request_exec(b"cat")?;
            }
            ChannelEvent::Reply { success } => {
                assert!(success, "the command is refused");
                self.echoes |= self.echo == Some(id);
            }
            ChannelEvent::Data { data } if self.many == Some(id) => {
                if self.begin.is_some() {
                    self.bytes += data.len() as u64;
                } else if self.echoes {
                    let now = Instant::now();
                    (self.begin, self.end) = (Some(now), now + self.time);
                    cx.set_timer(Some(self.end));
                    self.next(conn)?;
                }
                conn.channel(id)?.adjust_window(data.len())?;
            }
            ChannelEvent::Data { data } => {
                assert_eq!(data, [self.typed], "not what was typed");
                self.delays.add(self.since.elapsed());
                conn.channel(id)?.adjust_window(data.len())?;
                self.next(conn)?;
            }
            ChannelEvent::Closed | ChannelEvent::OpenFailure { .. } => panic!("a session was ended"),
            _ => {}
        }
        Ok(())
    }
}

impl Application<Client> for Typist {
    fn event(
        &mut self,
        cx: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        match self.login.event(conn, 2, event)? {
            Some((id, event)) => self.channel_event(cx, conn, id, event),
            None => Ok(()),
        }
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        _: ChannelId,
    ) -> Result<(), Error> {
        self.type_it(conn)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        panic!("the connection was ended: {why:?}");
    }

    fn source(&mut self, _: &mut Context<'_>, _: &mut Peers<'_, Client>, _: Source) -> Result<(), Error> {
        assert!(self.begin.is_some(), "it does not begin");
        self.is_done = true;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

/// Does it.
pub fn run(login: Login, seconds: u64) {
    let now = Instant::now();
    let mut driver = Driver::new(Typist {
        login,
        many: None,
        echo: None,
        echoes: false,
        time: Duration::from_secs(seconds),
        begin: None,
        end: now + DEADLINE,
        bytes: 0,
        typed: 0,
        since: now,
        delays: Delays::new(),
        is_done: false,
    })
    .expect("a loop");
    driver
        .with(|typist: &mut Typist, cx, peers| {
            cx.set_timer(Some(typist.end));
            typist.login.begin(cx, peers)
        })
        .expect("connected");
    driver.run().expect("a loop");
    let Typist { begin, bytes, since, mut delays, .. } = driver.app;
    // The last one has taken so long at least.
    delays.add(since.elapsed());
    let wall = begin.expect("it began").elapsed().as_secs_f64();
    let gibibytes = bytes as f64 / (1 << 30) as f64;
    println!("{} {} {}", delays.at(0.5), delays.at(0.99), wall / gibibytes);
    std::process::exit(0); // what is on its way is of no use
}
