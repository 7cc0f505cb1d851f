//! One host: its connection, made anew whenever it is lost, and the channel through which its logs are read.
//!
//! It knows logins and channels, not what is in a log. All logs of a host share one connection.

mod command;
mod notices;

pub(super) use command::ByCommand;
pub(super) use notices::Notices;

use super::{INTERRUPTED, NO_CONNECTION};
use crate::connection::{ChannelEvent, ChannelId, Connection, Event};
use crate::driver::login::{Login, Refused};
use crate::driver::options::Options;
use crate::driver::proxy::{self, Proxy, Tell, Unreached};
use crate::driver::task::Timers;
use crate::driver::text::{escaped, escaped_lines, key_kind};
use crate::driver::{Error, PeerId, Stream};
use crate::sftp::{ClientChannel, ClientEvent};
use crate::tell;
use crate::transport::{self, Client};
use crate::weblog::follow::sftp;
use crate::weblog::follow::via::{Via, Ways};
use crate::wire::DisconnectReason;
use command::Reader;
use core::time::Duration;
use mio::Waker;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::Instant;

/// After a connection was lost, the next is tried after this time at the most, and after twice the time each further one.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Between two tries at the most.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A connection by which logs were read for so long has lasted: after it pauses begin anew. A host that ends each at once is
/// dialled less and less often.
const LASTING: Duration = PAUSE_MAX;

/// How a host speaks to its user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    /// How often a connection is tried again: before it was up once never, if nothing is said, and for ever afterwards.
    pub(super) retry: Option<u32>,
    /// The only way that may be taken to read logs.
    pub(super) via: Option<Via>,
    /// Logs are followed.
    pub(super) follow: bool,
}

/// The way that a thread has found, or not.
type Reached = Result<(Stream, Proxy), Unreached>;

enum State {
    /// A thread looks for the way there.
    Connecting(Receiver<Reached>),
    /// The next try comes at this time.
    Pausing(Instant),
    Connected(Box<Connected>),
    /// Nothing comes from there any more; the exit status.
    Over(u8),
}

struct Connected {
    peer: PeerId,
    login: Login,
    way: Way,
    /// A session was opened for a log.
    has_session: bool,
    /// Held as long as the connection.
    _proxy: Proxy,
}

enum Way {
    /// Nobody is logged in yet, or the channel is being opened.
    None,
    Opening(ChannelId),
    /// The server has not said its version.
    Starting(ChannelId, sftp::Channel),
    Sftp(ChannelId, Rc<sftp::Host>),
    /// A channel for each log, which a command there reads.
    Commands(HashMap<ChannelId, Reader>),
}

/// What the watch is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    Nothing,
    /// The logs can be read now.
    Ready,
    /// The same, by commands.
    ReadyForCommands(Via),
    /// The connection has no session for the log of this number.
    Full(usize),
}

pub(super) struct Host {
    pub(super) options: Options,
    /// The number of the connection that takes the logs which this one has no session for.
    pub(super) overflow: Option<usize>,
    /// For texts, as it was typed: several may lead to one address.
    name: String,
    manner: Manner,
    state: State,
    /// It was up once.
    was_up: bool,
    told_fingerprint: bool,
    told_loss: bool,
    tries: u32,
    pause: Duration,
    /// Since when logs are read by this connection.
    up: Option<Instant>,
    lost: Option<Instant>,
    /// What was asked when it was written last.
    written: u64,
    /// The connection is being ended, with this status.
    ending: Option<u8>,
    ways: Ways,
    /// What the host says of itself.
    notices: Notices,
}

impl Host {
    pub(super) fn new(options: Options, manner: Manner, waker: &Arc<Waker>) -> Self {
        let mut host = Self::resting(options, manner, Instant::now());
        host.connect(waker);
        host
    }

    /// One that is tried at this time.
    fn resting(options: Options, manner: Manner, at: Instant) -> Self {
        let name = escaped(options.typed_host.as_bytes());
        Self {
            options,
            overflow: None,
            name,
            manner,
            state: State::Pausing(at),
            was_up: false,
            told_fingerprint: false,
            told_loss: false,
            tries: 0,
            pause: PAUSE_MIN,
            up: None,
            lost: None,
            written: 0,
            ending: None,
            ways: Ways::new(manner.via),
            notices: Notices::default(),
        }
    }

    /// Another connection to the same host, for logs that are read in the same way.
    pub(super) fn another(&self, waker: &Arc<Waker>) -> Self {
        let manner = Manner { via: Some(self.ways.current()), ..self.manner };
        Self { told_fingerprint: true, told_loss: true, ..Self::new(self.options.clone(), manner, waker) }
    }

    /// The exit status, once nothing comes from there any more.
    pub(super) const fn over(&self) -> Option<u8> {
        match self.state {
            State::Over(status) => Some(status),
            _ => None,
        }
    }

    /// Whether nobody will be asked anything for its sake, as it stands.
    pub(super) const fn is_settled(&self) -> bool {
        match &self.state {
            State::Over(_) => true,
            State::Connected(connected) => !matches!(connected.way, Way::None),
            State::Connecting(_) | State::Pausing(_) => false,
        }
    }

    /// Whether its logs could be read at some time.
    pub(super) const fn was_up(&self) -> bool {
        self.was_up
    }

    pub(super) const fn peer(&self) -> Option<PeerId> {
        match &self.state {
            State::Connected(connected) => Some(connected.peer),
            _ => None,
        }
    }

    /// The files there, while they can be read.
    pub(super) fn files(&self) -> Option<&Rc<sftp::Host>> {
        match &self.state {
            State::Connected(connected) => match &connected.way {
                Way::Sftp(_, host) => Some(host),
                _ => None,
            },
            _ => None,
        }
    }

    fn say(&self, text: &str) {
        tell!("{}: {text}", self.name);
    }

    /// Lets a thread find the way.
    fn connect(&mut self, waker: &Arc<Waker>) {
        let (sender, receiver) = sync_channel(1);
        let (options, Manner { quiet, verbose, .. }) = (self.options.clone(), self.manner);
        let waker = Arc::clone(waker);
        let tell: Tell = Arc::new(move |text| {
            if !quiet {
                tell!("{text}");
            }
        });
        let started = thread::Builder::new().name("connect".to_owned()).spawn(move || {
            let _nobody_waits = sender.send(proxy::connect(&options, verbose, &tell));
            let _nobody_waits = waker.wake();
        });
        self.state = State::Connecting(receiver);
        if let Err(error) = started {
            self.say(&format!("no thread to connect with: {error}"));
            self.state = State::Over(NO_CONNECTION);
        }
    }

    /// What the thread has found, once it has; `add` makes a peer of it.
    pub(super) fn connected(
        &mut self,
        now: Instant,
        waker: &Arc<Waker>,
        add: impl FnOnce(Stream, Connection<Client>) -> std::io::Result<PeerId>,
    ) {
        let State::Connecting(receiver) = &self.state else { return };
        let reached = match receiver.try_recv() {
            Ok(reached) => reached,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                Err(Unreached::Failed("the connecting thread failed".to_owned()))
            }
        };
        let (stream, proxy) = match reached {
            Ok(reached) => reached,
            Err(Unreached::Interrupted) => return self.state = State::Over(INTERRUPTED),
            Err(Unreached::Failed(text)) => return self.unreached(&escaped_lines(&text), now),
        };
        let login = match Login::new(self.options.clone(), Arc::clone(waker)) {
            Ok(login) => login,
            Err(text) => {
                self.say(&escaped_lines(&text));
                return self.state = State::Over(NO_CONNECTION);
            }
        };
        match add(stream, login.connection(now)) {
            Ok(peer) => {
                let connected = Connected { peer, login, way: Way::None, has_session: false, _proxy: proxy };
                self.state = State::Connected(Box::new(connected));
                self.tell_notices();
            }
            Err(error) => self.unreached(&error.to_string(), now),
        }
    }

    /// There is no connection now. Whether there will be another.
    fn unreached(&mut self, why: &str, now: Instant) {
        if self.up.take().is_some_and(|up| now.saturating_duration_since(up) >= LASTING) {
            self.pause = PAUSE_MIN;
        }
        let tries = self.manner.retry.unwrap_or(if self.was_up { u32::MAX } else { 0 });
        if self.tries >= tries {
            if self.was_up {
                self.say(&format!("connection lost for good ({why})"));
            } else if self.manner.retry.is_some() {
                self.say(&format!("cannot be reached ({why})"));
            } else {
                tell!("{why}");
            }
            self.state = State::Over(NO_CONNECTION);
            return;
        }
        self.lost = self.lost.or(Some(now));
        // Some earlier than the others, so that a hundred watches don't come back at once.
        let jitter = now.elapsed().subsec_nanos() ^ std::process::id().wrapping_mul(0x9e37_79b9);
        let pause = self.pause.mul_f64(0.5 + f64::from(jitter % 512) / 1024.0);
        if !self.manner.quiet {
            let seconds = pause.as_secs_f64().ceil();
            let what = if self.was_up { "connection lost" } else { "cannot be reached" };
            self.say(&format!("{what} ({why}); again in {seconds} s"));
        }
        self.tries = self.tries.saturating_add(1);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.state = State::Pausing(now + pause);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(super) const fn due(&self) -> Option<Instant> {
        match self.state {
            State::Pausing(until) => Some(until),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, waker: &Arc<Waker>) {
        if self.due().is_some_and(|due| due <= now) {
            self.connect(waker);
        }
    }

    fn tell_notices(&mut self) {
        let quiet = self.manner.quiet;
        if let State::Connected(connected) = &mut self.state {
            for notice in connected.login.notices.drain(..).filter(|_| !quiet) {
                tell!("{}", escaped_lines(&notice));
            }
        }
    }

    /// A refusal is final, at whichever try.
    fn refused(&mut self, conn: &mut Connection<Client>, why: Refused) {
        self.tell_notices();
        self.end(conn, why.tell());
    }

    /// Ends the connection, and what comes from there.
    pub(super) fn end(&mut self, conn: &mut Connection<Client>, status: u8) {
        self.lose();
        if let State::Connected(connected) = &self.state {
            connected.login.abort();
        }
        conn.disconnect(DisconnectReason::BY_APPLICATION, "disconnected by user");
        self.ending = self.ending.or(Some(status));
    }

    /// Whoever reads there is told that nothing comes any more.
    fn lose(&self) {
        if let Some(files) = self.files() {
            files.lose();
        }
    }

    /// The loop was woken: an answer of the person, the agent or a passphrase may have come.
    pub(super) fn answered(&mut self, conn: &mut Connection<Client>) {
        if let State::Connected(connected) = &mut self.state
            && let Err(why) = connected.login.answered(conn)
        {
            self.refused(conn, why);
        }
        self.tell_notices();
    }

    pub(super) fn event(
        &mut self,
        conn: &mut Connection<Client>,
        event: Event<'_, Client>,
        now: Instant,
        timers: &Rc<Timers>,
    ) -> Result<News, Error> {
        let State::Connected(connected) = &mut self.state else { return Ok(News::Nothing) };
        let judged = match event {
            Event::Kex(question) => {
                if !self.manner.quiet && !self.told_fingerprint {
                    self.told_fingerprint = true;
                    let fingerprint = question.key.fingerprint();
                    tell!("host key fingerprint: {fingerprint} ({}) {}", key_kind(&question.key), self.name);
                }
                connected.login.judge(conn, question)
            }
            Event::Userauth(event) => connected.login.userauth(conn, event),
            Event::Authenticated => {
                connected.login.authenticated();
                if self.ways.current() == Via::Sftp {
                    connected.way = Way::Opening(conn.open_session()?);
                    return Ok(News::Nothing);
                }
                return Ok(self.by_commands(now));
            }
            Event::Global(event) => {
                connected.login.global(conn, event);
                Ok(())
            }
            Event::Channel(id, event) => {
                let news = self.channel_event(conn, id, event, now, timers)?;
                if news == News::Ready {
                    self.up(now);
                }
                return Ok(news);
            }
        };
        self.tell_notices();
        if let Err(why) = judged {
            self.refused(conn, why);
        }
        Ok(News::Nothing)
    }

    /// The logs are read again, or for the first time.
    fn up(&mut self, now: Instant) {
        if let Some(lost) = self.lost.take().filter(|_| !self.manner.quiet && self.was_up) {
            let away = now.saturating_duration_since(lost).as_secs_f64().round();
            self.say(&format!("reconnected after {away} s"));
        }
        if self.manner.verbose {
            self.say(&format!("via {}", self.ways.current().name()));
        }
        let tells = !self.told_loss && self.manner.follow && !self.manner.quiet;
        if let Some(loses) = self.ways.current().loses().filter(|_| tells) {
            self.told_loss = true;
            self.say(loses);
        }
        (self.was_up, self.tries, self.up, self.lost) = (true, 0, Some(now), None);
    }

    fn channel_event(
        &mut self,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
        now: Instant,
        timers: &Rc<Timers>,
    ) -> Result<News, Error> {
        if let ChannelEvent::Stderr { data } = event {
            self.hear(id, data);
            if !self.manner.quiet {
                let name = &self.name;
                self.notices.push(data, now, |line| tell!("{name}: {line}"));
            }
            conn.channel(id)?.adjust_window(data.len())?;
            return Ok(News::Nothing);
        }
        let State::Connected(connected) = &mut self.state else { return Ok(News::Nothing) };
        if matches!(connected.way, Way::Commands(_)) {
            return self.command_event(conn, id, event, now);
        }
        match (event, &mut connected.way) {
            (ChannelEvent::Opened, Way::Opening(own)) if *own == id => {
                conn.channel(id)?.request_subsystem(b"sftp")?;
            }
            (ChannelEvent::OpenFailure { description, .. }, Way::Opening(own)) if *own == id => {
                let text = format!("no session: {}", escaped(description));
                self.give_up(conn, &text, NO_CONNECTION);
            }
            (ChannelEvent::Reply { success: true }, Way::Opening(own)) if *own == id => {
                let mut channel = ClientChannel::new(id);
                channel.flush(conn)?;
                connected.way = Way::Starting(id, channel);
            }
            (ChannelEvent::Reply { success: false }, Way::Opening(own)) if *own == id => {
                conn.channel(id)?.close()?;
                return Ok(self.lacking(conn, now));
            }
            (ChannelEvent::Data { data }, Way::Starting(own, channel)) if *own == id => {
                conn.channel(id)?.adjust_window(data.len())?;
                let mut ready = false;
                let taken = channel.handle_data(data, |_, event| {
                    ready |= matches!(event, ClientEvent::Ready);
                });
                channel.flush(conn)?;
                if let Err(fault) = taken {
                    self.give_up(conn, &format!("sftp: {}", fault.description), NO_CONNECTION);
                } else if ready
                    && let Way::Starting(id, channel) = core::mem::replace(&mut connected.way, Way::None)
                {
                    connected.way = Way::Sftp(id, sftp::Host::new(channel, Rc::clone(timers)));
                    return Ok(News::Ready);
                }
            }
            (ChannelEvent::Data { data }, Way::Sftp(own, host)) if *own == id => {
                conn.channel(id)?.adjust_window(data.len())?;
                if let Err(fault) = host.handle_data(data) {
                    self.give_up(conn, &format!("sftp: {}", fault.description), NO_CONNECTION);
                }
            }
            (ChannelEvent::Closed, Way::Starting(own, _)) if *own == id => {
                return Ok(self.lacking(conn, now)); // granted, and nothing there that serves
            }
            (ChannelEvent::Closed, _) => {
                // The subsystem has ended: as good as a lost connection.
                conn.disconnect(DisconnectReason::BY_APPLICATION, "the subsystem has ended");
            }
            _ => {}
        }
        Ok(News::Nothing)
    }

    fn give_up(&mut self, conn: &mut Connection<Client>, why: &str, status: u8) {
        self.say(why);
        self.end(conn, status);
    }

    /// Whether the tasks have asked something since they were written last.
    pub(super) fn has_asked(&self) -> bool {
        self.files().is_some_and(|files| files.asked() != self.written)
    }

    /// Writes what the tasks have asked, as far as the channel takes it.
    pub(super) fn flush(&mut self, conn: &mut Connection<Client>) -> Result<(), Error> {
        if let Some(files) = self.files() {
            files.flush(conn)?;
            self.written = files.asked();
        }
        Ok(())
    }

    /// What a channel was refused may go out now.
    pub(super) fn writable(&mut self, conn: &mut Connection<Client>, id: ChannelId) -> Result<(), Error> {
        if let State::Connected(connected) = &mut self.state
            && let Way::Commands(readers) = &mut connected.way
            && let Some(reader) = readers.get_mut(&id)
        {
            return reader.write(&mut conn.channel(id)?);
        }
        self.flush(conn)
    }

    /// Whether the login may wait for somebody outside of the loop.
    pub(super) const fn waits_for_answer(&self) -> bool {
        matches!(&self.state, State::Connected(connected) if matches!(connected.way, Way::None))
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self, why: Result<(), Error>, now: Instant) {
        self.lose();
        self.tell_notices();
        let State::Connected(connected) = &self.state else { return };
        connected.login.abort();
        let text = match why {
            Ok(()) => "the host closed the connection".to_owned(),
            Err(Error::Ssh(transport::Error::Disconnected { description, .. })) => {
                format!("the host ended the connection: {}", escaped(description.as_bytes()))
            }
            Err(error) => connected.login.explain(&error),
        };
        let text = escaped_lines(&text);
        if let Some(status) = self.ending {
            self.state = State::Over(status);
        } else if self.was_up || self.manner.retry.is_some() {
            self.unreached(&text, now);
        } else {
            self.say(&text);
            self.state = State::Over(NO_CONNECTION);
        }
    }
}

#[cfg(test)]
mod tests;
