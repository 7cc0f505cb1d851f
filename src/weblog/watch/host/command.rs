//! Logs that commands on the host read, a channel each.

use super::{Host, News, State, Way};
use crate::connection::{Channel, ChannelEvent, ChannelId, Connection, Request};
use crate::crypto::{Rng, SystemRng};
use crate::driver::Error;
use crate::driver::text::escaped;
use crate::tell;
use crate::transport::Client;
use crate::weblog::follow::NOT_REGULAR;
use crate::weblog::follow::files::{DENIED, MISSING};
use crate::weblog::follow::shell::{self, NONCE_LEN, Next};
use crate::weblog::follow::stream::{ShellLog, TailLog};
use crate::weblog::watch::UNREADABLE;
use crate::wire::{DisconnectReason, Fault};
use core::cell::RefCell;
use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

/// A log that a command there reads.
pub(super) struct Reader {
    log: ByCommand,
    /// What the command is still to be sent.
    input: Vec<u8>,
    /// Bytes whose credit waits until what came was taken.
    credit: usize,
    /// The command could not be run there.
    refused: bool,
    /// How it ended there: its output may still come.
    status: Option<u32>,
    /// Something came of its output.
    came: bool,
    /// The last of what it says beside its output.
    words: Vec<u8>,
    begun: Instant,
}

/// What stands in the place of a command's output where none runs for this user: OpenSSH's internal-sftp, nologin(8).
const NO_COMMANDS: [&[u8]; 2] =
    [b"This service allows sftp connections only.\n", b"This account is currently not available.\n"];

/// Bytes that are kept of what a command says beside its output.
const WORDS_MAX: usize = 1024;

/// A follower there that has run for less than this is not begun again at once: the connection is made anew, with its pauses.
const RUN_MIN: Duration = Duration::from_secs(1);

/// How a command's output is to be understood.
pub(in crate::weblog::watch) enum ByCommand {
    Shell(Rc<RefCell<ShellLog>>),
    Tail(TailLog, Vec<u8>),
}

impl Host {
    /// Logs are read by commands from here on.
    pub(super) fn by_commands(&mut self, now: Instant) -> News {
        if let State::Connected(connected) = &mut self.state {
            connected.way = Way::Commands(HashMap::new());
        }
        self.up(now);
        News::ReadyForCommands(self.ways.current())
    }

    /// The host lacks the way that was tried: another, or the end.
    pub(super) fn lacking(&mut self, conn: &mut Connection<Client>, now: Instant) -> News {
        match self.ways.lacking() {
            Ok(_) => self.by_commands(now),
            Err(text) => {
                self.give_up(conn, text, UNREADABLE);
                News::Nothing
            }
        }
    }

    /// Begins to read a log by a command.
    ///
    /// # Errors
    /// The connection's.
    pub(in crate::weblog::watch) fn read_by(
        &mut self,
        conn: &mut Connection<Client>,
        log: ByCommand,
        now: Instant,
    ) -> Result<(), Error> {
        if let State::Connected(connected) = &mut self.state
            && let Way::Commands(readers) = &mut connected.way
        {
            let id = conn.open_session()?;
            readers.insert(id, Reader::new(log, now));
        }
        Ok(())
    }

    pub(super) fn command_event(
        &mut self,
        conn: &mut Connection<Client>,
        id: ChannelId,
        event: ChannelEvent<'_>,
        now: Instant,
    ) -> Result<News, Error> {
        let mut is_over = false;
        let State::Connected(connected) = &mut self.state else { return Ok(News::Nothing) };
        let Way::Commands(readers) = &mut connected.way else { return Ok(News::Nothing) };
        let Some(reader) = readers.get_mut(&id) else { return Ok(News::Nothing) };
        match event {
            ChannelEvent::Opened => {
                connected.has_session = true;
                let command = match &mut reader.log {
                    ByCommand::Shell(log) => {
                        let mut random = [0; NONCE_LEN / 2];
                        SystemRng.fill(&mut random);
                        reader.input = log.borrow_mut().begin(random);
                        shell::COMMAND.as_bytes()
                    }
                    ByCommand::Tail(_, command) => command.as_slice(),
                };
                conn.channel(id)?.request_exec(command)?;
            }
            // As many sessions as sshd's MaxSessions has this connection.
            ChannelEvent::OpenFailure { .. } if connected.has_session => {
                let log = reader.log.number();
                readers.remove(&id);
                return Ok(News::Full(log));
            }
            ChannelEvent::OpenFailure { description, .. } => {
                reader.log.end(format!("no session for it: {}", escaped(description)));
                readers.remove(&id);
            }
            ChannelEvent::Reply { success } => {
                (reader.refused, reader.begun) = (!success, now);
                if success {
                    reader.write(&mut conn.channel(id)?)?;
                } else {
                    conn.channel(id)?.close()?;
                }
            }
            ChannelEvent::Data { data } if reader.is_refused_by(data) => {
                reader.refused = true;
                conn.channel(id)?.close()?;
            }
            ChannelEvent::Data { data } => {
                reader.came = true;
                reader.credit += data.len();
                match reader.log.handle_data(data) {
                    Ok(Next::Wait) => {}
                    Ok(Next::Again) => conn.channel(id)?.close()?,
                    Ok(Next::Special | Next::Done) => is_over = true,
                    Err(fault) => {
                        tell!("{}: {}", self.name, fault.description);
                        conn.channel(id)?.close()?;
                    }
                }
            }
            ChannelEvent::Request { request: Request::ExitStatus { exit_status }, .. } => {
                reader.status = Some(exit_status);
            }
            ChannelEvent::Closed => {
                let Some(reader) = readers.remove(&id) else { return Ok(News::Nothing) };
                return self.command_ended(conn, reader, now);
            }
            _ => {}
        }
        if is_over {
            readers.remove(&id); // its end is no reason to begin it anew
            conn.channel(id)?.close()?;
        }
        Ok(News::Nothing)
    }

    /// A command has ended, which none does that follows, unless it could not run or is to be begun anew.
    fn command_ended(
        &mut self,
        conn: &mut Connection<Client>,
        reader: Reader,
        now: Instant,
    ) -> Result<News, Error> {
        let ran = now.saturating_duration_since(reader.begun);
        match reader.log {
            ByCommand::Shell(log) if log.borrow().has_begun() => match ran < RUN_MIN {
                true => conn.disconnect(DisconnectReason::BY_APPLICATION, "the follower has ended"),
                false => self.read_by(conn, ByCommand::Shell(log), now)?,
            },
            ByCommand::Shell(_) => return Ok(self.lacking(conn, now)),
            ByCommand::Tail(..) if reader.refused => return Ok(self.lacking(conn, now)),
            // It has answered; a connection made anew would bring the same.
            ByCommand::Tail(mut log, _)
                if !self.manner.follow || (reader.status.is_some() && ran < RUN_MIN) =>
            {
                log.end(why(reader.status, &reader.words, self.manner.follow));
            }
            ByCommand::Tail(..) => conn.disconnect(DisconnectReason::BY_APPLICATION, "tail has ended"),
        }
        Ok(News::Nothing)
    }

    /// What a command says beside its output.
    pub(super) fn hear(&mut self, id: ChannelId, words: &[u8]) {
        if let State::Connected(connected) = &mut self.state
            && let Way::Commands(readers) = &mut connected.way
            && let Some(Reader { words: heard, .. }) = readers.get_mut(&id)
        {
            heard.extend_from_slice(words.get(words.len().saturating_sub(WORDS_MAX)..).unwrap_or_default());
            heard.drain(..heard.len().saturating_sub(WORDS_MAX));
        }
    }

    /// Whether credit waits for commands.
    pub(in crate::weblog::watch) fn owes_credit(&self) -> bool {
        match &self.state {
            State::Connected(connected) => match &connected.way {
                Way::Commands(readers) => readers.values().any(|reader| reader.credit > 0),
                _ => false,
            },
            _ => false,
        }
    }

    /// What came was taken: commands may say more.
    pub(in crate::weblog::watch) fn give_credit(
        &mut self,
        conn: &mut Connection<Client>,
    ) -> Result<(), Error> {
        if let State::Connected(connected) = &mut self.state
            && let Way::Commands(readers) = &mut connected.way
        {
            for (id, reader) in readers {
                conn.channel(*id)?.adjust_window(core::mem::take(&mut reader.credit))?;
            }
        }
        Ok(())
    }
}

impl Reader {
    const fn new(log: ByCommand, begun: Instant) -> Self {
        let input = Vec::new();
        Self { log, input, credit: 0, refused: false, status: None, came: false, words: Vec::new(), begun }
    }

    /// Whether that came in place of the output of `tail`.
    fn is_refused_by(&self, data: &[u8]) -> bool {
        matches!(self.log, ByCommand::Tail(..)) && !self.came && NO_COMMANDS.contains(&data)
    }

    /// Sends the command's input, and then its end.
    pub(super) fn write(&mut self, channel: &mut Channel<'_, Client>) -> Result<(), Error> {
        if self.input.is_empty() {
            return Ok(());
        }
        let n = channel.write(&self.input);
        self.input.drain(..n);
        if self.input.is_empty() {
            channel.send_eof()?;
        }
        Ok(())
    }
}

/// Why nothing more comes of `tail`, unless that was all there is. Its words are those of the C locale.
fn why(status: Option<u32>, words: &[u8], follows: bool) -> Option<String> {
    let words = String::from_utf8_lossy(words);
    let last =
        words.lines().last().map(|line| format!(" ({})", escaped(line.as_bytes()))).unwrap_or_default();
    match status {
        Some(0) if !follows => None,
        _ if last.contains("No such file or directory") => Some(MISSING.to_owned()),
        _ if last.contains("Permission denied") => Some(DENIED.to_owned()),
        Some(status) => Some(format!(
            "tail there ended with status {status}{last}; look at the path, or take another --via"
        )),
        None => Some(format!("tail there did not end by itself{last}; try again")),
    }
}

impl ByCommand {
    /// Takes what the command said; its log ends if that was all.
    ///
    /// # Errors
    /// It is not of the follower there.
    fn handle_data(&mut self, data: &[u8]) -> Result<Next, Fault> {
        let next = match self {
            Self::Shell(log) => log.borrow_mut().handle_data(data)?,
            Self::Tail(log, _) => {
                log.handle_data(data);
                Next::Wait
            }
        };
        match (next, &mut *self) {
            (Next::Special, _) => self.end(NOT_REGULAR.to_owned()),
            (Next::Done, Self::Shell(log)) => log.borrow_mut().finish(),
            _ => {}
        }
        Ok(next)
    }

    /// The number of the log.
    fn number(&self) -> usize {
        match self {
            Self::Shell(log) => log.borrow().log(),
            Self::Tail(log, _) => log.log(),
        }
    }

    /// Nothing comes of it because of a trouble: a text for the user.
    fn end(&mut self, why: String) {
        match self {
            Self::Shell(log) => log.borrow().end(why),
            Self::Tail(log, _) => log.end(Some(why)),
        }
    }
}
