//! A host that says what no real one says, or refuses what real ones grant: what clients make of it.

use super::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::{self, JoinHandle};
use strombus::connection::{Channel, ChannelEvent, ChannelId, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::driver::files::read_private_key;
use strombus::driver::{Application, Context, Driver, Error, PeerId};
use strombus::transport::{Server as Serving, ServerConfig};
use strombus::userauth::{CredentialEvent, Permissions};

/// What it does once a shell or a command is asked for.
type Start = fn(&mut Channel<'_, Serving>) -> Result<(), Error>;

/// Grants everybody a terminal, sends back what is typed, and refuses a BREAK.
struct Host {
    start: Start,
    tell: Sender<String>,
    /// Bytes, while it answers nothing.
    written: usize,
    gone: bool,
}

/// More than the first window of a session of OpenSSH's or ours (bytes).
const MUCH: usize = 6 << 20;

impl Host {
    fn request(
        &self,
        channel: &mut Channel<'_, Serving>,
        request: Request<'_>,
        want_reply: bool,
    ) -> Result<(), Error> {
        match request {
            Request::PtyReq { .. } => channel.reply(true)?,
            Request::Shell | Request::Exec { .. } => {
                (self.start)(channel)?;
                self.tell("started");
            }
            Request::Break { length_ms } => {
                self.tell(&format!("BREAK of {length_ms} ms"));
                if want_reply {
                    channel.reply(false)?;
                }
            }
            _ if want_reply => channel.reply(false)?,
            _ => {}
        }
        Ok(())
    }

    fn tell(&self, text: &str) {
        let _nobody_asks = self.tell.send(text.to_owned());
    }
}

impl Application<Serving> for Host {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Serving>,
        event: Event<'_, Serving>,
    ) -> Result<(), Error> {
        match event {
            Event::Userauth(CredentialEvent { ticket, .. }) => {
                conn.accept_user(ticket, &Permissions::FULL)?;
            }
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => conn.accept_channel(id)?,
            Event::Channel(id, ChannelEvent::Request { request, want_reply }) => {
                self.request(&mut conn.channel(id)?, request, want_reply)?;
            }
            Event::Channel(id, ChannelEvent::Data { data }) => {
                self.tell(&String::from_utf8_lossy(data));
                let mut channel = conn.channel(id)?;
                channel.write(data);
                channel.adjust_window(data.len())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// It answers only when more was written than any first window takes.
    fn writable(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Serving>,
        id: ChannelId,
    ) -> Result<(), Error> {
        let mut channel = conn.channel(id)?;
        while self.written < MUCH {
            let n = channel.write(&[b'x'; 65_536]);
            self.written += n;
            if n < 65_536 {
                return Ok(());
            }
        }
        channel.reply(true)?;
        channel.send_exit_status(7)?;
        Ok(channel.close()?)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {
        self.gone = true;
    }

    fn is_done(&self) -> bool {
        self.gone
    }
}

/// A host that serves one client.
struct Served {
    files: Files,
    port: u16,
    told: Receiver<String>,
    thread: JoinHandle<()>,
}

impl Served {
    fn new(start: Start) -> Self {
        let files = Files::new();
        let key = Arc::new(read_private_key(&files.path("host_key")).unwrap());
        let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            let mut driver = Driver::new(Host { start, tell, written: 0, gone: false }).unwrap();
            let config = Arc::new(ServerConfig::new(vec![key]));
            let accept = move |_, now| {
                let config = Arc::clone(&config);
                Connection::new(config, Default::default(), Default::default(), Box::new(SystemRng), now)
            };
            driver.listen(listener, Box::new(accept)).unwrap();
            driver.run().unwrap();
        });
        Self { files, port, told, thread }
    }

    fn client(&self, client: Option<Generation>) -> Command {
        let mut command = match client {
            Some(generation) => ssh(generation, &self.files, self.port),
            None => our_ssh(&self.files, self.port),
        };
        command.arg(format!("{}@127.0.0.1", user()));
        command
    }

    /// Waits until the host has told this.
    fn hears(&self, text: &str) {
        let mut all = String::new();
        while !all.contains(text) {
            all += &self.told.recv_timeout(deadline()).unwrap_or_else(|_| panic!("{text:?} in {all:?}"));
        }
    }

    /// Ends the client by an escape.
    fn end(self, terminal: &Terminal) -> String {
        terminal.send("~.");
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 255")), "{screen}");
        self.thread.join().unwrap();
        screen
    }
}

const CLIENTS: [Option<Generation>; 3] = [None, Some(Generation::Bookworm), Some(Generation::Trixie)];

#[test]
fn an_escape_ends_ssh_even_if_the_host_gives_a_terminal_and_says_nothing_more() {
    let silent: Start = |_| Ok(());
    // Nor does it read what is typed, it says.
    let deaf: Start = |channel| {
        channel.reply(true)?;
        channel.send_eow()?;
        channel.write(b"ready\r\n");
        Ok(())
    };
    for (start, is_deaf) in [(silent, false), (deaf, true)] {
        let host = Served::new(start);
        let terminal = Terminal::start(&host.client(None));
        host.hears("started");
        if is_deaf {
            terminal.wait_for("ready");
            terminal.send("unread\r");
        }
        host.end(&terminal);
    }
}

#[test]
fn what_comes_before_the_answer_to_a_request_is_credited_too() {
    for client in CLIENTS {
        let host = Served::new(|channel| {
            while channel.write(&[b'x'; 65_536]) == 65_536 {}
            Ok(())
        });
        let output = run(host.client(client).arg("all"), b"");
        assert_eq!(output.status.code(), Some(7), "{client:?}");
        assert!(output.stdout.len() >= MUCH && output.stdout.iter().all(|byte| *byte == b'x'), "{client:?}");
        host.thread.join().unwrap();
    }
}

/// A client may ignore it (RFC 4254 §6.8); in raw mode none can do otherwise.
#[test]
fn the_keys_for_flow_control_reach_the_host_whatever_it_says_of_them() {
    for client in CLIENTS {
        let host = Served::new(|channel| {
            channel.reply(true)?;
            for client_can_do in [true, false, true] {
                channel.send_xon_xoff(client_can_do)?;
            }
            channel.write(b"ready\r\n");
            Ok(())
        });
        let terminal = Terminal::start(&host.client(client));
        terminal.wait_for("ready");
        for key in ["C-s", "C-q", "C-s"] {
            terminal.key(key);
        }
        terminal.send("typed");
        host.hears("\x13\x11\x13typed\r");
        let screen = terminal.wait_for("typed");
        assert!(!screen.contains("xon"), "{client:?}: {screen}");
        host.end(&terminal);
    }
}

#[test]
fn a_break_comes_to_the_host_and_that_it_sends_none_is_told() {
    for client in CLIENTS {
        let host = Served::new(|channel| {
            channel.reply(true)?;
            channel.write(b"ready\r\n");
            Ok(())
        });
        let terminal = Terminal::start(&host.client(client));
        terminal.wait_for("ready");
        terminal.send("~B");
        host.hears("BREAK of 1000 ms");
        if client.is_none() {
            terminal.wait_for("the host sends no BREAK");
        }
        host.end(&terminal);
    }
}

#[test]
fn of_a_text_of_the_hosts_only_the_beginning_is_shown() {
    let host = Served::new(|channel| {
        channel.reply(true)?;
        channel.send_exit_signal(b"TERM", false, &"#".repeat(5000))?;
        Ok(channel.close()?)
    });
    let output = run(host.client(None).arg("command"), b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(255), "{told}");
    assert!(told.contains("ended by signal TERM: #") && told.matches('#').count() == 1024, "{told}");
    host.thread.join().unwrap();
}
