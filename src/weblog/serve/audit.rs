//! The audit log: who came, what he did, why he was turned away; a line each on standard error.
//!
//! The lines are events of `tracing`, of the target [`TARGET`], written by a subscriber of our own. Texts from outside are
//! escaped and cut where they are written, so that one event is one line and a value is never taken for a name. No secret is ever
//! an argument here. A thread writes: a standard error that takes nothing holds up nobody, what does not fit into the queue is
//! lost, and how much that was is told. It knows no connection.

use super::settings::AuditForm;
use crate::driver::text::escaped;
use core::fmt::{self, Write as _};
use core::time::Duration;
use jiff::Timestamp;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use tracing::field::{Field, Visit, display};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, info};

/// The target of the events.
pub const TARGET: &str = "ssh-weblog-server";

/// What is kept of a text from outside (bytes).
pub const TEXT_MAX: usize = 1024;

/// Lines that wait to be written.
pub const LINES_MAX: usize = 1024;

/// How long the end waits for what is not written yet.
const FINISH_WAIT: Duration = Duration::from_secs(1);

/// A login. `by` says which line of which file let the user in, if one did.
pub fn login(user: &[u8], address: Option<SocketAddr>, method: &str, by: &str) {
    let (user, address) = (text(user), canonical(address));
    info!(target: TARGET, user = display(user), address, method, by = some(by), "login");
}

/// A peer was turned away, or a credential of his; `fingerprint` is that of his key.
pub fn refused(address: Option<SocketAddr>, user: Option<&[u8]>, why: &str, fingerprint: Option<&str>) {
    let (user, address) = (user.map(|user| display(text(user))), canonical(address));
    info!(target: TARGET, user, address, why, key = fingerprint, "refused");
}

/// A command, as it was sent; of a session without one it is empty.
pub fn command(user: &[u8], address: Option<SocketAddr>, command: &[u8]) {
    let (user, address, command) = (text(user), canonical(address), text(command));
    info!(target: TARGET, user = display(user), address, command = display(command), "command");
}

/// A file that was opened to be copied is closed again: so many bytes of it were read.
pub fn transfer(user: &[u8], address: Option<SocketAddr>, path: &[u8], bytes: u64) {
    let (user, address, path) = (text(user), canonical(address), text(path));
    info!(target: TARGET, user = display(user), address, path = display(path), bytes, "transfer");
}

/// A connection whose user had logged in has ended after so long.
pub fn end(user: &[u8], address: Option<SocketAddr>, after: Duration, why: &str) {
    let (user, address, seconds) = (text(user), canonical(address), after.as_secs());
    info!(target: TARGET, user = display(user), address, seconds, why, "end");
}

/// What an operator should know, and is about no user. As text it stands alone in its line.
pub fn notice(words: &str) {
    info!(target: TARGET, text = words, "notice");
}

fn text(bytes: &[u8]) -> String {
    // Cut here already: a peer's text may be long.
    String::from_utf8_lossy(bytes.get(..TEXT_MAX + 1).unwrap_or(bytes)).into_owned()
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn canonical(address: Option<SocketAddr>) -> Option<tracing::field::DisplayValue<SocketAddr>> {
    address.map(|address| display(SocketAddr::new(address.ip().to_canonical(), address.port())))
}

/// The log of this process, once it is begun.
#[derive(Clone, Debug)]
pub struct Audit {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

enum Message {
    Line(String),
    /// All before it is written.
    Written(SyncSender<()>),
}

/// Begins the log of this process, on standard error.
///
/// # Errors
/// It has one, or the system has no thread left.
pub fn start(form: AuditForm) -> io::Result<Audit> {
    let (audit, writer) = Audit::new(form, io::stderr())?;
    tracing::subscriber::set_global_default(writer).map_err(io::Error::other)?;
    Ok(audit)
}

impl Audit {
    fn new(form: AuditForm, out: impl Write + Send + 'static) -> io::Result<(Self, Writer)> {
        let (queue, lines) = sync_channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        thread::Builder::new().name("audit".to_owned()).spawn(move || write(form, &lines, &counter, out))?;
        let audit = Self { queue, lost };
        Ok((audit.clone(), Writer { form, audit }))
    }

    /// Lines that were lost because nobody took them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until what was said is written, but not long for a reader who takes nothing.
    pub fn finish(&self) {
        let (written, is_written) = sync_channel(1);
        if self.queue.try_send(Message::Written(written)).is_ok() {
            let _too_long = is_written.recv_timeout(FINISH_WAIT);
        }
    }

    fn push(&self, line: String) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Line(line))
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread that writes. That nobody reads is no reason to end.
fn write(form: AuditForm, lines: &Receiver<Message>, lost: &AtomicU64, mut out: impl Write) {
    let mut told = 0;
    for message in lines {
        match message {
            Message::Line(line) => {
                let _nobody_reads = out.write_all(line.as_bytes());
            }
            Message::Written(written) => {
                let _nobody_waits = written.try_send(());
            }
        }
        let now = lost.load(Ordering::Relaxed);
        if now > told {
            let mut line = Line::begin(form);
            line.event = "notice".to_owned();
            line.text("text", &format!("{} lines of this log were lost", now - told));
            let _nobody_reads = out.write_all(line.end().as_bytes());
            told = now;
        }
    }
}

/// Turns events into lines.
struct Writer {
    form: AuditForm,
    audit: Audit,
}

impl Subscriber for Writer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::begin(self.form);
        event.record(&mut line);
        self.audit.push(line.end());
    }

    // There are no spans here.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A line that is being made.
struct Line {
    form: AuditForm,
    /// What happened: the event's message.
    event: String,
    /// The values with their names, each with what separates it from what stands before.
    values: String,
    /// Of a notice.
    text: String,
}

impl Line {
    const fn begin(form: AuditForm) -> Self {
        Self { form, event: String::new(), values: String::new(), text: String::new() }
    }

    /// A value that may have come from outside.
    fn text(&mut self, name: &str, value: &str) {
        let value = escaped(cut(value).as_bytes());
        let _into_a_string = match self.form {
            AuditForm::Json => write!(self.values, ",\"{name}\":{}", serde_json::Value::from(value)),
            AuditForm::Text if name == "text" => {
                self.text = value;
                Ok(())
            }
            AuditForm::Text if is_word(&value) => write!(self.values, " {name}={value}"),
            // The quote that ends it is the only one.
            AuditForm::Text => write!(self.values, " {name}=\"{}\"", value.replace('"', "\\x22")),
        };
    }

    fn number(&mut self, name: &str, value: u64) {
        let _into_a_string = match self.form {
            AuditForm::Json => write!(self.values, ",\"{name}\":{value}"),
            AuditForm::Text => write!(self.values, " {name}={value}"),
        };
    }

    fn end(self) -> String {
        let Self { form, event, values, text } = self;
        let time = format!("{:.3}", Timestamp::now());
        match form {
            AuditForm::Json => format!("{{\"time\":\"{time}\",\"event\":\"{event}\"{values}}}\n"),
            AuditForm::Text if event == "notice" => format!("{text}{values}\n"),
            AuditForm::Text => format!("{time} {event}{values}\n"),
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.event = value;
        } else {
            self.text(field.name(), &value);
        }
    }
}

/// Not more than [`TEXT_MAX`] bytes, and a sign that there were more.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Whether a value can stand without quotes.
fn is_word(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@[]+,%~".contains(&byte);
    !value.is_empty() && value.bytes().all(plain)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::{Read, pipe};
    use std::sync::{Mutex, PoisonError};
    use tracing::subscriber::with_default;

    /// Somewhere to write.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that come of what is said.
    pub(in super::super) fn lines(form: AuditForm, say: impl FnOnce()) -> Vec<String> {
        let paper = Paper::default();
        let (audit, writer) = Audit::new(form, paper.clone()).unwrap();
        with_default(writer, say);
        audit.finish();
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    fn address() -> Option<SocketAddr> {
        Some("[::ffff:203.0.113.7]:4711".parse().unwrap())
    }

    fn everything() {
        login(b"ann", address(), "publickey", "ED25519 SHA256:abc (/etc/ann.pub:1)");
        login(b"bob", None, "password", "");
        refused(address(), Some(b"eve"), "no such user", Some("SHA256:abc/+"));
        refused(address(), None, "too many connections", None);
        command(b"ann", address(), b"tail --json \"shop\"");
        transfer(b"ann", address(), b"/shop/access.log", 4096);
        end(b"ann", address(), Duration::from_millis(61_900), "by the peer");
        notice("reloaded");
    }

    #[test]
    fn a_line_says_who_did_what_in_either_form() {
        let text: Vec<_> = lines(AuditForm::Text, everything);
        let (times, told): (Vec<_>, Vec<_>) =
            text[..7].iter().map(|line| line.split_once(' ').unwrap()).unzip();
        assert!(times.iter().all(|time| time.parse::<Timestamp>().is_ok() && time.len() == 24), "{times:?}");
        assert_eq!(
            told,
            [
                r#"login user=ann address=203.0.113.7:4711 method=publickey by="ED25519 SHA256:abc (/etc/ann.pub:1)""#,
                "login user=bob method=password",
                r#"refused user=eve address=203.0.113.7:4711 why="no such user" key=SHA256:abc/+"#,
                r#"refused address=203.0.113.7:4711 why="too many connections""#,
                r#"command user=ann address=203.0.113.7:4711 command="tail --json \x22shop\x22""#,
                "transfer user=ann address=203.0.113.7:4711 path=/shop/access.log bytes=4096",
                r#"end user=ann address=203.0.113.7:4711 seconds=61 why="by the peer""#,
            ]
        );
        assert_eq!(text[7..], ["reloaded"], "an operator's line stands as it is");
        let json: Vec<serde_json::Value> = lines(AuditForm::Json, everything)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let words = |key: &str| {
            json.iter().map(|line| line[key].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            words("event"),
            ["login", "login", "refused", "refused", "command", "transfer", "end", "notice"]
        );
        assert!(words("time").iter().all(|time| time.parse::<Timestamp>().is_ok()));
        assert_eq!(words("command")[4], "tail --json \"shop\"");
        assert_eq!((json[5]["bytes"].as_u64(), json[6]["seconds"].as_u64()), (Some(4096), Some(61)));
        assert_eq!((json[7]["text"].as_str(), json[1].get("address")), (Some("reloaded"), None));
    }

    #[test]
    fn t82_t105_whatever_a_peer_is_called_an_event_is_one_line_and_a_value_is_no_name() {
        for hostile in [
            &b"ann\n2026-03-01T00:00:00.000Z login user=root"[..],
            b"ann address=127.0.0.1 x",
            b"ann\" address=\"127.0.0.1",
            b"\\\" address=x",
            b"\x1b]0;pwn\x07\r\0\x7f",
            "\u{202e}\u{9b}31m\u{2028}".as_bytes(),
            b"caf\xe9\xff",
            b"",
            &[b'a'; 100_000],
            "ö".repeat(100_000).as_bytes(),
        ] {
            let say = || {
                command(hostile, address(), hostile);
                transfer(hostile, address(), hostile, 1);
                refused(address(), Some(hostile), &String::from_utf8_lossy(hostile), None);
                notice(&String::from_utf8_lossy(hostile));
            };
            for line in lines(AuditForm::Text, say).iter().take(3) {
                let words = outside_quotes(line);
                let names: Vec<_> = words.iter().filter_map(|word| Some(word.split_once('=')?.0)).collect();
                assert_eq!(names.iter().filter(|name| **name == "address").count(), 1, "{line}");
                assert_eq!(names.iter().filter(|name| **name == "user").count(), 1, "{line}");
                assert!(line.contains(" address=203.0.113.7:4711"), "{line}");
            }
            for form in [AuditForm::Text, AuditForm::Json] {
                let lines = lines(form, say);
                assert_eq!(lines.len(), 4, "{lines:?}");
                assert!(!lines.concat().contains(crate::driver::text::acts), "{lines:?}");
                assert!(lines.iter().all(|line| line.len() < 4 * TEXT_MAX), "{lines:?}");
            }
            let line = lines(AuditForm::Json, say).remove(0);
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line.as_object().unwrap().len(), 5, "{line}");
        }
        let cut = &lines(AuditForm::Text, || notice(&"a".repeat(TEXT_MAX + 1)))[0];
        assert_eq!(*cut, "a".repeat(TEXT_MAX) + "…");
        assert_eq!(lines(AuditForm::Text, || notice(&"a".repeat(TEXT_MAX)))[0].len(), TEXT_MAX);
    }

    /// Words of a line, with what is quoted left out.
    fn outside_quotes(line: &str) -> Vec<String> {
        let plain: String = line.split('"').step_by(2).collect();
        plain.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn events_of_others_are_none_of_ours() {
        let said = lines(AuditForm::Text, || {
            info!("somebody else's");
            let span = tracing::info_span!(target: TARGET, "span");
            let _within = span.enter();
            notice("ours");
        });
        assert_eq!(said, ["ours"]);
    }

    #[test]
    fn who_takes_no_line_holds_up_nobody_and_is_told_how_many_he_missed() {
        let (mut theirs, ours) = pipe().unwrap();
        let (audit, writer) = Audit::new(AuditForm::Text, ours).unwrap();
        let line = "x".repeat(TEXT_MAX);
        let many = 2 * LINES_MAX + 64 * 1024 / TEXT_MAX; // the queue, and the pipe's buffer
        with_default(writer, || (0..many).for_each(|_| notice(&line))); // the writer is dropped
        assert!(audit.lost() > 0, "the queue is bounded");
        audit.finish(); // does not wait for ever
        let lost = audit.lost();
        drop(audit);
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        let written = text.lines().filter(|written| **written == line).count();
        assert_eq!(written as u64 + lost, many as u64);
        let told: u64 = text
            .lines()
            .filter_map(|line| line.strip_suffix(" lines of this log were lost")?.parse::<u64>().ok())
            .sum();
        assert_eq!(told, lost);
    }

    /// Takes nothing before it is allowed to.
    struct Closed(Receiver<()>);

    impl Write for Closed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _never_again = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_end_does_not_wait_for_ever_for_who_takes_no_line() {
        let (_opens, closed) = sync_channel(0);
        let (audit, writer) = Audit::new(AuditForm::Text, Closed(closed)).unwrap();
        with_default(writer, || notice("nobody takes this"));
        let (ended, has_ended) = sync_channel(1);
        let ending = thread::spawn(move || {
            audit.finish();
            let _nobody_waits = ended.send(audit.lost());
        });
        // It is waited for in vain only if this fails.
        assert_eq!(has_ended.recv_timeout(Duration::from_secs(60)), Ok(0));
        ending.join().unwrap();
    }

    #[test]
    fn a_log_that_nobody_reads_any_more_is_no_end() {
        let (theirs, ours) = pipe().unwrap();
        let (audit, writer) = Audit::new(AuditForm::Json, ours).unwrap();
        drop(theirs);
        with_default(writer, everything);
        audit.finish();
        assert_eq!(audit.lost(), 0);
    }
}
