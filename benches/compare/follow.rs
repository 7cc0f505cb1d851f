//! The load of a log that many follow: it logs them in, writes, and reads what comes to each.
//!
//! ```text
//! compare load follow VIEWERS PORT KEY CIPHER MAC KEX LOG RATE SECONDS
//! ```
//!
//! Followers do not say when they are in place, so lines are written now and then until each has got one, and the last of them
//! too. Then this says `ready`, and goes on with a line of standard input: writes RATE lines a second for SECONDS, each as a write
//! of its own, and ends in a panic unless each viewer gets each line once and in order. Then it says how many were delivered, and
//! the median and the 99th percentile of the milliseconds from a line's being written until it was decrypted at a viewer; the end
//! of standard input ends it.

use crate::delays::Delays;
use crate::lines::{Seen, line};
use crate::load::{DEADLINE, HELD_AT_ONCE, wait_for_line};
use crate::login::Login;
use core::time::Duration;
use mio::Waker;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event};
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::transport::Client;

/// Between the lines that are written before it counts.
const MARKS_APART: Duration = Duration::from_millis(200);

struct Crowd {
    login: Login,
    command: String,
    log: File,
    waker: Arc<Waker>,
    to_begin: u64,
    under_way: u64,
    /// Those who have been told that the command is done.
    viewers: HashMap<PeerId, Seen>,
    /// Who of them has got a line at all.
    in_place: usize,
    /// Lines that are written, or will have been in the end.
    lines: u64,
    /// Who has got the last of them.
    arrived: usize,
    /// Marks are still written.
    is_marking: bool,
    delays: Delays,
    begin: Instant,
    until: Instant,
}

impl Crowd {
    fn log_in(&mut self, cx: &mut Context<'_>, peers: &mut Peers<'_, Client>) -> Result<(), Error> {
        while self.to_begin > 0 && self.under_way < HELD_AT_ONCE {
            self.login.begin(cx, peers)?;
            self.to_begin -= 1;
            self.under_way += 1;
        }
        Ok(())
    }

    const fn all_are_logged_in(&self) -> bool {
        self.to_begin + self.under_way == 0
    }

    /// Writes another line, unless all have got one.
    fn mark(&mut self) -> Result<(), Error> {
        if self.is_marking && self.all_are_logged_in() && self.in_place < self.viewers.len() {
            self.log.write_all(&line(self.begin.elapsed(), self.lines))?;
            self.lines += 1;
            self.arrived = 0;
        }
        Ok(())
    }

    fn channel_event(
        &mut self,
        peer: PeerId,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
    ) -> Result<(), Error> {
        match event {
            ChannelEvent::Opened => conn.channel(id)?.request_exec(self.command.as_bytes())?,
            ChannelEvent::Reply { success } => {
                assert!(success, "the command is refused");
                self.viewers.insert(peer, Seen::default());
                self.under_way -= 1;
                self.waker.wake()?; // for the next one
            }
            ChannelEvent::Data { data } => {
                let now = self.begin.elapsed();
                let seen = self.viewers.get_mut(&peer).expect("it was told");
                let before = seen.next();
                seen.take(data, |since| self.delays.add(now.saturating_sub(since)));
                if seen.next() != before {
                    self.in_place += usize::from(before.is_none());
                    self.arrived += usize::from(seen.next() == Some(self.lines));
                }
                conn.channel(id)?.adjust_window(data.len())?;
            }
            ChannelEvent::Stderr { data } => conn.channel(id)?.adjust_window(data.len())?,
            ChannelEvent::Closed | ChannelEvent::OpenFailure { .. } => panic!("a viewer was ended"),
            _ => {}
        }
        Ok(())
    }
}

impl Application<Client> for Crowd {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
    ) -> Result<(), Error> {
        match self.login.event(conn, 1, event)? {
            Some((id, event)) => self.channel_event(peer, conn, id, event),
            None => Ok(()),
        }
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, why: Result<(), Error>) {
        panic!("a viewer was ended: {why:?}");
    }

    fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        if source == Source::Timer {
            assert!(
                cx.now < self.until,
                "it takes too long: {} of {} viewers are in place, {} have all of it",
                self.in_place,
                self.viewers.len(),
                self.arrived
            );
            self.mark()?;
            cx.set_timer(Some(cx.now + MARKS_APART));
        }
        self.log_in(cx, peers)
    }

    fn is_done(&self) -> bool {
        self.all_are_logged_in() && self.arrived == self.viewers.len() && self.lines > 0
    }
}

/// Appends so many lines, each at its time.
fn write(mut log: File, begin: Instant, first: u64, lines: u64, rate: u64) -> JoinHandle<()> {
    thread::spawn(move || {
        let now = Instant::now();
        for number in 0..lines {
            let due = now + Duration::from_nanos(1_000_000_000 / rate * number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            log.write_all(&line(begin.elapsed(), first + number)).expect("written");
        }
    })
}

/// Does it, by the words behind those of the login.
pub fn run(login: Login, viewers: u64, words: &[String]) {
    let [path, rate, seconds] = words else { panic!("a log, a rate and seconds") };
    let (rate, seconds): (u64, u64) = (rate.parse().expect("a rate"), seconds.parse().expect("seconds"));
    let begin = Instant::now();
    let app = |waker| {
        Ok(Crowd {
            login,
            command: format!("tail -n0 -f {path}"),
            log: OpenOptions::new().append(true).open(path)?,
            waker,
            to_begin: viewers,
            under_way: 0,
            viewers: HashMap::new(),
            in_place: 0,
            lines: 0,
            arrived: 0,
            is_marking: true,
            delays: Delays::new(),
            begin,
            until: begin + DEADLINE,
        })
    };
    let mut driver = Driver::with_waker(app).expect("a loop");
    driver
        .with(|crowd: &mut Crowd, cx, peers| {
            cx.set_timer(Some(cx.now + MARKS_APART));
            crowd.log_in(cx, peers)
        })
        .expect("connected");
    driver.run().expect("a loop");
    println!("ready");
    wait_for_line();
    let crowd = &mut driver.app;
    let (first, lines) = (crowd.lines, rate * seconds);
    (crowd.is_marking, crowd.lines, crowd.arrived, crowd.delays) = (false, first + lines, 0, Delays::new());
    let writer = write(crowd.log.try_clone().expect("a descriptor"), begin, first, lines, rate);
    driver.run().expect("a loop");
    writer.join().expect("written");
    let delays = &driver.app.delays;
    println!("{} {} {}", lines * viewers, delays.at(0.5), delays.at(0.99));
    wait_for_line();
    std::process::exit(0); // thousands of connections close by themselves
}
