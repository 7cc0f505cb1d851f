//! `--dashboard`: the [`Dashboard`] on the terminal at standard output.
//!
//! It is there as soon as something can be shown, and away while a question is open: that is asked on the screen it was started
//! from. What would be written to standard error meanwhile is shown in its last line, and written once it is away. It does not
//! know where the lines come from.

use crate::driver::terminal::{Keyboard, Screen, screen_size};
use crate::driver::text;
use crate::weblog::dashboard::{Dashboard, End, LEAVE, Look, Tally};
use crate::weblog::lines::Line;
use crate::weblog::record::{Malformed, Record};
use crate::weblog::view::{Place, Run};
use core::time::Duration;
use mio::Waker;
use rustix::process::{Signal, kill_current_process_group};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

/// So long it stays away for a question that waits, at the least: another thread has to be woken to ask it.
const AWAY: Duration = Duration::from_millis(200);

/// Ctrl-Z, which raw mode makes a byte.
const SUSPEND: u8 = 0x1a;

/// One read of the keyboard (bytes).
const CHUNK: usize = 1024;

pub(super) struct Board {
    tally: Tally,
    dashboard: Dashboard,
    keyboard: Keyboard,
    waker: Arc<Waker>,
    stage: Stage,
    /// Ctrl-Z was typed.
    suspends: bool,
    /// What was to be written to standard error.
    told: VecDeque<String>,
    /// The line that is being shown.
    line: Vec<u8>,
}

enum Stage {
    /// Not before that time, if one is named; else as soon as it can be.
    Away(Option<Instant>),
    There(Screen),
    /// The screen is there until its end is written.
    Leaving(Screen, Why),
}

/// Why the screen is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Somebody is to be asked.
    Question,
    /// Ctrl-Z was typed.
    Suspend,
}

impl Board {
    /// `names` are those of the logs.
    pub(super) fn new(names: &str, waker: Arc<Waker>, now: Instant) -> io::Result<Self> {
        let look = Look::of(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()));
        Ok(Self {
            tally: Tally::default(),
            dashboard: Dashboard::new(names, look, screen_size(), now),
            keyboard: Keyboard::open()?,
            waker,
            stage: Stage::Away(None),
            suspends: false,
            told: VecDeque::new(),
            line: Vec::new(),
        })
    }

    /// Where keys come from.
    pub(super) fn descriptor(&self) -> RawFd {
        self.keyboard.descriptor()
    }

    /// A line of a source, with what its format made of it.
    pub(super) fn line(
        &mut self,
        run: &mut Run,
        place: Place<'_>,
        line: &Line<'_>,
        record: Result<Option<&Record<'_>>, Malformed>,
        now: Instant,
    ) {
        self.line.clear();
        let (tally, dashboard) = (&mut self.tally, &mut self.dashboard);
        run.line_and(place, line, record, &mut self.line, |shown, hit| {
            tally.hit(shown, hit, now);
            dashboard.hit(shown, hit, now);
        });
    }

    /// Whether there is something to look at.
    pub(super) const fn has_hits(&self) -> bool {
        self.tally.hits() > 0
    }

    /// A word about all of it.
    pub(super) fn note(&mut self, text: &str) {
        self.dashboard.note(text);
    }

    pub(super) fn resize(&mut self) {
        self.dashboard.resize(screen_size());
    }

    /// The process was stopped and goes on: its terminal was another's meanwhile.
    pub(super) fn resume(&mut self) {
        if let Stage::There(_) = self.stage {
            self.stage = Stage::Away(None);
        }
    }

    /// When a [`turn`](Self::turn) has something to do, if nothing else happens.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Away(until) => *until,
            Stage::There(_) => self.dashboard.due(&self.tally),
            Stage::Leaving(..) => None,
        }
    }

    /// Takes what was typed and gives what is to be written. `is_ready` says that something can be shown, `is_written` that all
    /// that was given is written.
    pub(super) fn turn(
        &mut self,
        is_ready: bool,
        is_written: bool,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> io::Result<Option<End>> {
        match core::mem::replace(&mut self.stage, Stage::Away(None)) {
            Stage::Away(until) if is_ready && until.is_none_or(|until| until <= now) => self.enter(out)?,
            Stage::Leaving(screen, why) if is_written => {
                screen.leave(|| self.release());
                match why {
                    Why::Question => self.stage = Stage::Away(Some(now + AWAY)),
                    // All that the shell takes for one job, as the terminal would. This goes on with that.
                    Why::Suspend => {
                        self.stage = Stage::Away(Some(now));
                        kill_current_process_group(Signal::TSTP)?;
                    }
                }
            }
            Stage::There(screen) if screen.is_wanted() => self.go_away(screen, Why::Question, out),
            stage => self.stage = stage,
        }
        if !matches!(self.stage, Stage::There(_)) {
            return Ok(None);
        }
        let told = text::hold();
        told.iter().for_each(|text| self.dashboard.note(text.trim_end()));
        self.keep(told);
        if let Some(end) = self.read(now) {
            return Ok(Some(end));
        }
        if core::mem::take(&mut self.suspends)
            && let Stage::There(screen) = core::mem::replace(&mut self.stage, Stage::Away(None))
        {
            self.go_away(screen, Why::Suspend, out);
            return Ok(None);
        }
        if is_written && self.dashboard.due(&self.tally).is_some_and(|due| due <= now) {
            self.dashboard.draw(&self.tally, now, out);
        }
        Ok(None)
    }

    fn go_away(&mut self, screen: Screen, why: Why, out: &mut Vec<u8>) {
        out.extend_from_slice(LEAVE);
        self.stage = Stage::Leaving(screen, why);
    }

    fn enter(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match Screen::take(&self.keyboard, LEAVE, &self.waker) {
            Ok(screen) => {
                self.stage = Stage::There(screen);
                self.resize();
                self.dashboard.enter(out);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(()), // the waker tells when it is free
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, now: Instant) -> Option<End> {
        let mut chunk = [0; CHUNK];
        loop {
            match self.keyboard.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Without a keyboard it goes on; signals end it.
                Ok(0) | Err(_) => return None,
                Ok(n) => {
                    let typed = chunk.get(..n).unwrap_or_default();
                    self.suspends |= typed.contains(&SUSPEND);
                    let end = self.dashboard.input(typed, &self.tally, now);
                    if end.is_some() {
                        return end;
                    }
                }
            }
        }
    }

    fn keep(&mut self, told: VecDeque<String>) {
        self.told.extend(told);
        let over = self.told.len().saturating_sub(text::HELD_MAX);
        self.told.drain(..over);
    }

    /// Ends it: the terminal is in its former mode, and what gives it back is appended, if it was taken.
    pub(super) fn leave(&mut self, out: &mut Vec<u8>) {
        if let Stage::There(_) = core::mem::replace(&mut self.stage, Stage::Away(None)) {
            out.extend_from_slice(LEAVE);
        }
    }

    /// What was told meanwhile goes to standard error, which is seen again.
    pub(super) fn release(&mut self) {
        let told = text::release();
        self.keep(told);
        for text in self.told.drain(..) {
            let _nobody_reads = io::stderr().lock().write_all(text.as_bytes());
        }
    }
}
