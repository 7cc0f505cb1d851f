//! The client of all rows in which servers are compared: one loop that asks for commands, and reads and credits, or pours. It is
//! a process of its own, so that what it takes is told apart:
//!
//! ```text
//! compare load WORK COUNT PORT KEY CIPHER MAC KEX
//! ```
//!
//! WORK is `take` or `pour` for COUNT bytes, `login` for so many connections with `true`, `hold` for so many with a session. The
//! last says `ready` and ends with its standard input; the first two tell the seconds from the first byte that came or was written
//! to the exit status. `follow` and `keystroke` are loads of their own.

use crate::login::Login;
use crate::{follow, keystroke};
use core::time::Duration;
use mio::Waker;
use std::sync::Arc;
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request};
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::transport::Client;
use strombus::wire::DisconnectReason;

/// Logins at a time.
pub const LOGINS_AT_ONCE: u64 = 8;

/// Connections that are being made at a time to be held.
pub const HELD_AT_ONCE: u64 = 32;

/// No work takes longer.
pub const DEADLINE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Take,
    Pour,
    Login,
    Hold,
    /// [`follow`].
    Follow,
    /// [`keystroke`].
    Keystroke,
}

impl Work {
    pub const ALL: [Self; 6] =
        [Self::Take, Self::Pour, Self::Login, Self::Hold, Self::Follow, Self::Keystroke];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Pour => "pour",
            Self::Login => "login",
            Self::Hold => "hold",
            Self::Follow => "follow",
            Self::Keystroke => "keystroke",
        }
    }

    /// What the server is asked for, if that is one thing.
    pub fn command(self, count: u64) -> Option<String> {
        match self {
            Self::Take => Some(format!("head -c {count} /dev/zero")),
            Self::Pour => Some("cat >/dev/null".to_owned()),
            Self::Login => Some("true".to_owned()),
            Self::Hold | Self::Follow | Self::Keystroke => None,
        }
    }
}

struct Load {
    work: Work,
    command: Option<String>,
    login: Login,
    waker: Arc<Waker>,
    /// Connections still to be begun, and those that are under way.
    to_begin: u64,
    under_way: u64,
    /// Bytes still to come, or to be poured.
    left: u64,
    /// When the first of them came or was written, and how long it took from there to the exit status.
    begun: Option<Instant>,
    took: Duration,
    /// Commands that ended with 0.
    ended: u64,
    until: Instant,
}

impl Load {
    fn begin(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Client>) -> Result<(), Error> {
        let at_once = if self.work == Work::Hold { HELD_AT_ONCE } else { LOGINS_AT_ONCE };
        while self.to_begin > 0 && self.under_way < at_once {
            self.login.begin(cx, peers)?;
            self.to_begin -= 1;
            self.under_way += 1;
        }
        Ok(())
    }

    /// A connection is where it should get to.
    fn done(&mut self) -> Result<(), Error> {
        self.under_way -= 1;
        if self.to_begin > 0 {
            self.waker.wake()?;
        }
        Ok(())
    }

    fn pour(&mut self, conn: &mut Connection<Client>, id: ChannelId) -> Result<(), Error> {
        self.begun.get_or_insert_with(Instant::now);
        while self.left > 0 {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            let filled = conn.channel(id)?.fill(|space| {
                let n = space.len().min(left);
                space[..n].fill(0);
                Ok::<_, Error>(n)
            })?;
            let Some(n @ 1..) = filled else { return Ok(()) };
            self.left -= n as u64;
        }
        Ok(conn.channel(id)?.send_eof()?)
    }

    fn channel_event(
        &mut self,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::Opened => match &self.command {
                Some(command) => conn.channel(id)?.request_exec(command.as_bytes())?,
                None => self.done()?,
            },
            ChannelEvent::Reply { success } => {
                assert!(success, "the command is refused");
                if self.work == Work::Pour {
                    self.pour(conn, id)?;
                }
            }
            ChannelEvent::Data { data } => {
                self.begun.get_or_insert_with(Instant::now);
                self.left -= data.len() as u64;
                conn.channel(id)?.adjust_window(data.len())?;
            }
            ChannelEvent::Request { request: Request::ExitStatus { exit_status }, .. } => {
                assert_eq!(exit_status, 0, "the command fails");
                self.took = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
                self.ended += 1;
            }
            ChannelEvent::Closed => conn.disconnect(DisconnectReason::BY_APPLICATION, "done"),
            ChannelEvent::OpenFailure { .. } => panic!("no session is granted"),
            _ => {}
        }
        Ok(())
    }
}

impl Application<Client> for Load {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        match self.login.event(conn, 1, event)? {
            Some((id, event)) => self.channel_event(conn, id, event),
            None => Ok(()),
        }
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Client>,
        id: ChannelId,
    ) -> Result<(), Error> {
        self.pour(conn, id)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        why.unwrap_or_else(|error| panic!("a connection was ended: {error}"));
        self.done().expect("a loop");
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        assert!(source != Source::Timer || Instant::now() < self.until, "it takes too long");
        self.begin(cx, peers)
    }

    fn is_done(&self) -> bool {
        self.to_begin + self.under_way == 0
    }
}

/// What whoever began this says when it is to go on; or he has gone.
pub fn wait_for_line() {
    std::io::stdin().read_line(&mut String::new()).expect("standard input");
}

/// Does the work that the words tell.
pub fn run(words: &[String]) {
    let [work, count, port, key, cipher, mac, kex, more @ ..] = words else { panic!("seven words") };
    let work = *Work::ALL.iter().find(|known| known.name() == work).expect("a work");
    let count = count.parse().expect("a count");
    let login = Login::new([port, key, cipher, mac, kex]);
    match work {
        Work::Follow => follow::run(login, count, more),
        Work::Keystroke => keystroke::run(login, count),
        _ => run_load(work, count, login),
    }
}

fn run_load(work: Work, count: u64, login: Login) {
    let is_bulk = matches!(work, Work::Take | Work::Pour);
    let until = Instant::now() + DEADLINE;
    let app = |waker| {
        let (left, to_begin) = if is_bulk { (count, 1) } else { (0, count) };
        Ok(Load {
            work,
            command: work.command(count),
            login,
            waker,
            to_begin,
            under_way: 0,
            left,
            begun: None,
            took: Duration::ZERO,
            ended: 0,
            until,
        })
    };
    let mut driver = Driver::with_waker(app).expect("a loop");
    driver
        .with(|load: &mut Load, cx, peers| {
            cx.set_timer(Some(until));
            load.begin(cx, peers)
        })
        .expect("connected");
    driver.run().expect("a loop");
    if work == Work::Hold {
        println!("ready");
        wait_for_line();
        std::process::exit(0); // thousands of connections close by themselves
    }
    assert_eq!((driver.app.left, driver.app.ended), (0, if is_bulk { 1 } else { count }), "all of it");
    if is_bulk {
        println!("{}", driver.app.took.as_secs_f64());
    }
}
