//! T-46: whether a server tells who exists.

use super::super::openssh::{Files, Running, ours};
use super::hashed;
use super::raw::Raw;
use std::time::{Duration, Instant};

/// Failing logins of each of the two.
const LOGINS: usize = 100;

/// What comes of a wrong password, and how long it takes; nothing more once the connection has ended.
fn guess(guesser: &mut Raw) -> Option<(String, Duration)> {
    let ticket = guesser.ticket.take()?;
    let began = Instant::now();
    guesser.conn.request_password(ticket, b"a guess").unwrap();
    let answer = guesser.answer();
    Some((answer, began.elapsed()))
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
        let mut guessers = names.map(|name| Raw::connect(port, name));
        for (guesser, answers) in guessers.iter_mut().zip(&mut answers) {
            answers.push(guesser.answer());
        }
        // By turns, and each of them first as often as the other.
        for turn in 0.. {
            let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
            let mut is_over = true;
            for n in order {
                if let Some((answer, time)) = guess(&mut guessers[n]) {
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
