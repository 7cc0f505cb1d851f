//! One stream through a link with a delay and a rate, as an exec's output or input. What counts is the time of the payload alone:
//! what is taken, from the first byte that came to the last; what is poured, from the first write to the answer to its end (an exit
//! status, half a round trip after the last byte). Plain TCP is measured by the same.

use crate::contest::{Contest, Contestant, Round};
use crate::delay::Link;
use crate::load::Work;
use crate::openssh::{Files, Generation, run, ssh};
use crate::peers::{Names, Peer, load};
use crate::rows::Sizes;
use crate::table::Column;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

const BYTES: u64 = 64 << 20;

/// 100 ms there and back, 200 Mbit/s.
const LINK: Link = Link { delay: Duration::from_millis(50), rate: Some(25_000_000) };

const NAMES: Names = Names {
    cipher: "aes128-gcm@openssh.com",
    mac: "hmac-sha2-256-etm@openssh.com",
    kex: "curve25519-sha256",
};

struct Stream(Work);

pub fn all() -> Vec<Box<dyn Contest>> {
    vec![Box::new(Stream(Work::Take)), Box::new(Stream(Work::Pour))]
}

impl Contest for Stream {
    fn name(&self) -> String {
        if self.0 == Work::Take { "link-down" } else { "link-up" }.to_owned()
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column { head: "s", digits: 3, is_compared: true },
            Column { head: "Mbit/s", digits: 1, is_compared: false },
        ]
    }

    fn contestants<'f>(&self, files: &'f Files, _: Sizes) -> Vec<Contestant<'f>> {
        let work = self.0;
        let theirs = Peer::OpenSsh(Generation::Trixie);
        let [ours, theirs] = [Peer::OURS, theirs].map(|peer| peer.serve(files, NAMES).expect("a server"));
        let (our_port, their_port, bare_port) =
            (LINK.to(ours.port), LINK.to(theirs.port), LINK.to(bare_server(work)));
        vec![
            Contestant {
                name: "ours",
                round: round(ours, move || {
                    let output = run(&mut load(files, NAMES, our_port, work, BYTES), b"");
                    let told = String::from_utf8_lossy(&output.stdout);
                    let why = || String::from_utf8_lossy(&output.stderr).into_owned();
                    told.trim().parse().map_err(|_| why())
                }),
            },
            Contestant { name: "OpenSSH 10", round: round(theirs, move || openssh(files, their_port, work)) },
            Contestant { name: "limit: plain TCP", round: round((), move || Ok(bare(bare_port, work))) },
        ]
    }
}

/// A round of something that takes so many seconds, as long as what it needs lasts.
fn round<'f>(needs: impl Sized + 'f, mut seconds: impl FnMut() -> Result<f64, String> + 'f) -> Round<'f> {
    Box::new(move || {
        let _lasts = &needs;
        let seconds = seconds()?;
        Ok(vec![seconds, BYTES as f64 * 8.0 / 1e6 / seconds])
    })
}

/// By `ssh`, whose pipes are read and written here.
fn openssh(files: &Files, port: u16, work: Work) -> Result<f64, String> {
    let mut command = ssh(Generation::Trixie, files, port);
    command.args(["-c", NAMES.cipher, "127.0.0.1"]);
    command.arg(match work {
        Work::Take => format!("head -c {BYTES} /dev/zero"),
        // It says when it can be poured to.
        _ => "echo; exec cat >/dev/null".to_owned(),
    });
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let seconds = match work {
        Work::Take => took(&mut stdout),
        _ => {
            stdout.read_exact(&mut [0]).map_err(|error| error.to_string())?;
            let begun = Instant::now();
            pour(&mut stdin);
            drop(stdin);
            child.wait().map_err(|error| error.to_string())?;
            begun.elapsed().as_secs_f64()
        }
    };
    match child.wait().map_err(|error| error.to_string())? {
        status if status.success() => Ok(seconds),
        status => Err(format!("ssh ended with {status}")),
    }
}

/// The same without SSH: a server that takes or pours, once for each connection.
fn bare_server(work: Work) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            match work {
                Work::Take => pour(&mut socket),
                _ => {
                    took(&mut socket);
                    socket.write_all(&[0]).expect("someone waits");
                }
            }
        }
    });
    port
}

fn bare(port: u16, work: Work) -> f64 {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    if work == Work::Take {
        return took(&mut socket);
    }
    let begun = Instant::now();
    pour(&mut socket);
    socket.shutdown(Shutdown::Write).expect("open");
    socket.read_exact(&mut [0]).expect("an answer");
    begun.elapsed().as_secs_f64()
}

fn pour(to: &mut impl Write) {
    let block = vec![0; 1 << 16];
    (0..BYTES >> 16).for_each(|_| to.write_all(&block).expect("someone reads"));
}

/// Reads all; seconds from the first byte to the last.
fn took(from: &mut impl Read) -> f64 {
    let (mut block, mut left) = (vec![0; 1 << 16], BYTES);
    let mut begun = None;
    while left > 0 {
        match from.read(&mut block).expect("someone writes") {
            0 => panic!("the stream ended early"),
            n => left -= n as u64,
        }
        begun.get_or_insert_with(Instant::now);
    }
    begun.expect("something came").elapsed().as_secs_f64()
}
