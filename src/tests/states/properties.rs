//! What holds of the machines in every state: the properties that learners of state machines check (Fiterău-Broştean et
//! al., SPIN 2017; Bäumer et al., CCS 2025), each as its sentence and the check of it.

use super::machine::{Bench, Outcome, State, Step, exchange, is_authenticated, is_first, row, service};
use super::{Explored, LOOSE, STRICT, table, without_channels};
use crate::crypto::kex::{KeyExchange, Method};
use crate::tests::pair::Seen;
use crate::transport::algorithms::KEX;
use crate::transport::{Client, MAC_ERROR, PACKET_LENGTH, Server};
use crate::wire::number::{self, Sender};

/// From our KEXINIT to our NEWKEYS.
const OWN_EXCHANGE: [&str; 4] = ["SentInit", "Exchange", "Exchange+skip", "AwaitVerdict"];

fn all<S: Explored>() -> impl Iterator<Item = &'static State> {
    S::strict().iter().chain(S::loose())
}

/// Both machines of both sides.
fn all_of_both() -> impl Iterator<Item = (Sender, &'static State)> {
    let client = all::<Client>().map(|state| (Sender::Client, state));
    client.chain(all::<Server>().map(|state| (Sender::Server, state)))
}

fn is_idle(state: &str) -> bool {
    exchange(state) == "Idle"
}

/// The peer is not in an exchange, so that it may say everything.
fn is_peer_free(state: &str) -> bool {
    is_idle(state) || (exchange(state) == "SentInit" && !is_first(state))
}

/// The halves of the channel, if there is one: outbound, inbound.
fn halves(state: &str) -> Option<(&str, &str)> {
    let (outbound, rest) = service(state).strip_prefix("connection ")?.split_once('/')?;
    Some((outbound, rest.split(' ').next().unwrap()))
}

/// A question or a delay keeps the machine from listening.
fn listens(state: &State) -> bool {
    !state.on("2").waits
}

#[test]
fn the_states_are_those_that_are_meant() {
    let count = |states: &[State], of: &str| states.iter().filter(|s| exchange(&s.name) == of).count();
    for states in [Client::strict(), Server::strict()] {
        // As often as there are states of channels, and once for the first exchange.
        let channels = states.iter().filter(|s| is_idle(&s.name) && is_authenticated(&s.name)).count();
        assert!(channels >= 12, "{channels}");
        for of in ["SentInit", "Exchange", "NewKeys"] {
            assert_eq!(count(states, of), channels + 1, "{of}");
        }
        assert_eq!(count(states, "ended"), 0);
    }
}

/// P1: the userauth service is reached only after NEWKEYS both ways.
#[test]
fn p01_the_login_begins_after_newkeys_both_ways() {
    for (_, state) in all_of_both().filter(|(_, state)| is_first(&state.name)) {
        assert!(matches!(service(&state.name), "userauth ServiceRequest" | "userauth NoService"));
        for (letter, outcome) in state.letters().filter(|(l, _)| matches!(l.number(), 5 | 6 | 50..=127)) {
            assert!(outcome.obeys_nothing_in(&state.name), "{}: {}", state.name, letter.name);
        }
        for (step, outcome) in &state.row {
            let sent = outcome.numbers();
            // A client asks for the service directly behind its NEWKEYS.
            let after_newkeys = sent.iter().skip_while(|n| **n != number::NEWKEYS);
            let asks = after_newkeys.filter(|n| **n == number::SERVICE_REQUEST).count();
            let early = sent.iter().filter(|n| matches!(n, 5 | 6 | 50..=127)).count();
            assert_eq!(early, asks, "{}: {}", state.name, step.name());
        }
    }
}

/// P2: a channel opens only after valid credentials.
#[test]
fn p02_no_channel_before_the_login() {
    for (side, state) in all_of_both().filter(|(_, state)| !is_authenticated(&state.name)) {
        for (letter, outcome) in state.letters().filter(|(l, _)| (80..=127).contains(&l.number())) {
            let nothing =
                if state.name.contains("+skip") { true } else { outcome.waits || outcome.is_refused(2) };
            assert!(nothing && outcome.told.is_empty(), "{}: {}", state.name, letter.name);
        }
        for (step, outcome) in state.row.iter().filter(|(_, outcome)| is_authenticated(&outcome.next)) {
            let expected = match side {
                // The application says yes to a password, to a key whose signature holds, or to answers.
                Sender::Server => ("accept user", &["Credential", "Interactive"][..]),
                // The server says yes to a request that is out; a question whether a key would do is none.
                Sender::Client => ("52", &["None", "Password", "Publickey", "Interactive"][..]),
            };
            assert_eq!(step.name(), expected.0, "{}", state.name);
            let asked = service(&state.name).strip_prefix("userauth ").unwrap();
            assert!(expected.1.contains(&asked), "{}", state.name);
            assert!(!outcome.ended);
        }
    }
}

/// P3: after closing nothing more is sent. That of connections is asserted wherever the exploration meets an end.
#[test]
fn p03_nothing_is_sent_on_a_channel_after_close() {
    let closed = all_of_both().filter(|(_, state)| halves(&state.name).is_some_and(|h| h.0 == "Closed"));
    let mut count = 0;
    for (_, state) in closed {
        for (step, outcome) in &state.row {
            let sent = outcome.numbers();
            assert!(!sent.iter().any(|n| (93..=100).contains(n)), "{}: {}", state.name, step.name());
            count += 1;
        }
    }
    assert!(count > 1000);
    let ends = all_of_both().flat_map(|(_, state)| &state.row).filter(|(_, outcome)| outcome.ended);
    for (step, outcome) in ends {
        let last = outcome.numbers().last().copied();
        assert!(last.is_none_or(|n| n == number::DISCONNECT), "{}", step.name());
        assert!(outcome.sends(number::DISCONNECT) <= 1, "{}", step.name());
    }
}

/// P4: from KEXINIT sent to NEWKEYS sent only messages of the exchange and 1 to 4 go out.
#[test]
fn p04_between_kexinit_and_newkeys_nothing_but_the_exchange_is_sent() {
    for (_, state) in all_of_both() {
        for (step, outcome) in &state.row {
            let sent = outcome.numbers();
            let exchange = match OWN_EXCHANGE.contains(&exchange(&state.name)) {
                true => sent.split(|n| *n == number::NEWKEYS).next(),
                false => sent.split(|n| *n == number::KEXINIT).nth(1),
            };
            let barred = |n: &u8| !matches!(n, 1..=4 | 20 | 30..=49);
            assert!(!exchange.unwrap_or_default().iter().any(barred), "{}: {}", state.name, step.name());
        }
    }
}

/// P5: a rekey succeeds from every state after the login and changes no other state; before it, it is refused.
#[test]
fn p05_a_rekey_succeeds_from_everywhere_and_changes_nothing_else() {
    fn of<S: Explored>() {
        for state in S::strict() {
            if !is_authenticated(&state.name) {
                let refused = state.on("20").is_refused(2) || state.on("20").waits;
                let first = is_first(&state.name);
                assert!(first || refused, "{}", state.name);
                continue;
            }
            let begins: &[Step] = match exchange(&state.name) {
                "Idle" => &[Step::Does("rekey"), super::says("20"), super::says("20.guess")],
                _ => &[Step::Does("write")], // under way; what is written waits
            };
            for begin in begins {
                let mut bench = Bench::<S>::at(STRICT, &state.path);
                let exchanges = bench.end.conn.exchanges();
                bench.take(*begin);
                bench.finish_exchange();
                assert_eq!(bench.end.conn.exchanges(), exchanges + 1, "{}", state.name);
                assert_eq!(bench.state(), format!("Idle | {}", service(&state.name)), "{}", begin.name());
                assert_eq!(bench.say("80.reply").numbers(), [number::REQUEST_FAILURE]);
            }
        }
    }
    of::<Client>();
    of::<Server>();
}

/// P6: an unsupported service is refused with reason 7.
#[test]
fn p06_an_unknown_service_is_refused_as_one() {
    let find =
        |service| all::<Server>().filter(move |state| state.name == format!("Idle | userauth {service}"));
    assert!(
        find("NoService").count() == 2
            && find("NoService").all(|state| state.on("5.connection").is_refused(7))
    );
    for asked in ["NoUser", "Answered"] {
        assert!(find(asked).count() == 2 && find(asked).all(|state| state.on("50.service").is_refused(7)));
    }
}

/// P7: SSH_MSG_USERAUTH_SUCCESS is sent once; later requests are ignored.
#[test]
fn p07_one_success_and_later_requests_are_ignored() {
    for state in all::<Server>() {
        for (step, outcome) in &state.row {
            let success = outcome.sends(number::USERAUTH_SUCCESS);
            let login = !is_authenticated(&state.name) && is_authenticated(&outcome.next);
            assert_eq!(success, usize::from(login), "{}: {}", state.name, step.name());
        }
        if is_authenticated(&state.name) && is_peer_free(&state.name) {
            for (letter, outcome) in state.letters().filter(|(l, _)| l.number() == number::USERAUTH_REQUEST) {
                assert!(outcome.is_ignored_in(&state.name), "{}: {}", state.name, letter.name);
            }
        }
    }
    for state in all::<Client>().filter(|state| is_authenticated(&state.name)) {
        assert!(state.on("52").obeys_nothing_in(&state.name), "{}", state.name);
    }
}

/// P8: each failed request gets exactly one SSH_MSG_USERAUTH_FAILURE.
#[test]
fn p08_each_request_is_answered_once() {
    let one = [number::USERAUTH_FAILURE];
    for state in all::<Server>() {
        let asked = service(&state.name);
        for (step, outcome) in &state.row {
            let sent = outcome.numbers();
            let place = format!("{}: {}", state.name, step.name());
            match (asked, step.name()) {
                (_, name) if outcome.waits => assert!(sent.is_empty(), "{name}"),
                ("userauth NoUser" | "userauth Answered" | "userauth Prompting", name)
                    if name.starts_with("50.") =>
                {
                    let answered = sent == one && service(&outcome.next) == "userauth Answered";
                    let open = [
                        "userauth Delaying",
                        "userauth Query",
                        "userauth Credential",
                        "userauth Interactive",
                    ];
                    let open = sent.is_empty() && open.contains(&service(&outcome.next));
                    assert!(answered || open || outcome.ended, "{place}");
                }
                ("userauth Delaying", "wait") => assert_eq!(sent, one, "{place}"),
                ("userauth Query" | "userauth Credential" | "userauth Interactive", "refuse user") => {
                    assert!(sent.is_empty() && service(&outcome.next) == "userauth Delaying", "{place}");
                }
                ("userauth Query", "accept user") => assert_eq!(sent, [number::USERAUTH_PK_OK], "{place}"),
                ("userauth Interactive", "ask") => assert_eq!(sent, [number::USERAUTH_PK_OK], "{place}"),
                ("userauth Prompting", "61") => {
                    assert!(sent.is_empty() && service(&outcome.next) == "userauth Interactive", "{place}");
                }
                ("userauth Credential" | "userauth Interactive", "accept user") => {
                    assert_eq!(sent, [number::USERAUTH_SUCCESS], "{place}")
                }
                _ => assert!(!sent.contains(&number::USERAUTH_FAILURE), "{place}"),
            }
        }
    }
}

/// P9: CLOSE is answered by CLOSE, once.
#[test]
fn p09_close_is_answered_by_close_once() {
    fn of<S: Explored>() {
        let open = S::strict().iter().filter(|state| is_peer_free(&state.name));
        for (state, (outbound, _)) in open.filter_map(|state| Some((state, halves(&state.name)?))) {
            let mut bench = Bench::<S>::at(STRICT, &state.path);
            let mut outcomes = vec![bench.say("97")];
            assert_eq!(service(&bench.state()), "connection no channel", "{}", state.name);
            assert_eq!(outcomes[0].told, ["Closed"], "{}", state.name);
            outcomes.extend(bench.finish_exchange()); // which may have held it
            outcomes.push(bench.say("80.reply"));
            let closes: usize = outcomes.iter().map(|outcome| outcome.sends(number::CHANNEL_CLOSE)).sum();
            assert_eq!(closes, usize::from(outbound != "Closed"), "{}", state.name);
        }
    }
    of::<Client>();
    of::<Server>();
}

/// P10: an open channel's data arrives whatever rekeys happen.
#[test]
fn p10_data_arrives_whatever_rekeys_happen() {
    fn of<S: Explored>() {
        let idle = S::strict().iter().filter(|state| is_idle(&state.name));
        for (state, halves) in idle.filter_map(|state| Some((state, halves(&state.name)?))) {
            let (receives, sends) = (halves.1 == "Open" && halves.0 != "Closed", halves.0 == "Open");
            let mut bench = Bench::<S>::at(STRICT, &state.path);
            let (mut received, mut sent) = (0, 0);
            for first in [Step::Does("rekey"), super::says("20"), Step::Does("rekey")] {
                let begins = bench.take(first);
                sent += begins.sends(number::CHANNEL_DATA);
                if receives && exchange(&bench.state()) == "SentInit" {
                    assert_eq!(bench.say("94").told, ["Data"], "{}: until the peer's KEXINIT", state.name);
                    received += 1;
                }
                assert_eq!(bench.take(Step::Does("write")).sent, Vec::<Vec<u8>>::new(), "{}", state.name);
                sent += bench.finish_exchange().iter().map(|o| o.sends(number::CHANNEL_DATA)).sum::<usize>();
                if receives {
                    assert_eq!(bench.say("94").told, ["Data"], "{}: afterwards", state.name);
                    received += 1;
                }
                assert_eq!(bench.end.conn.poll_writable().is_some(), sends, "{}: what waited", state.name);
                sent += bench.take(Step::Does("write")).sends(number::CHANNEL_DATA);
            }
            assert_eq!(sent, if sends { 3 } else { 0 }, "{}", state.name);
            let data = Seen::Data(b"data".to_vec());
            assert_eq!(bench.end.seen.iter().filter(|seen| **seen == data).count(), received);
        }
    }
    of::<Client>();
    of::<Server>();
}

/// P11: unknown numbers are answered with SSH_MSG_UNIMPLEMENTED and the right sequence number, at once or when an exchange
/// lets it; where a peer may send nothing but the exchange, numbers beyond it are refused.
#[test]
fn p11_an_unknown_number_is_answered_with_its_sequence_number() {
    fn of<S: Explored>(world: super::World, states: &[State]) {
        for state in states.iter().filter(|state| listens(state) && !state.name.contains("+s")) {
            for (letter, outcome) in state.letters().filter(|(letter, _)| letter.is_unknown()) {
                let place = format!("{}: {}", state.name, letter.name);
                // Strict key exchange is known to be that from the peer's KEXINIT on.
                let strict = world.strict && is_first(&state.name) && exchange(&state.name) != "SentInit";
                let exchange_only = !is_peer_free(&state.name) && letter.number() >= 22;
                let channels_too_early =
                    !is_authenticated(&state.name) && (80..=127).contains(&letter.number());
                if letter.number() == 0 || strict || exchange_only || channels_too_early {
                    assert!(outcome.is_refused(2), "{place}");
                } else {
                    assert!(outcome.is_unimplemented(), "{place}");
                }
            }
        }
    }
    of::<Client>(STRICT, Client::strict());
    of::<Client>(LOOSE, Client::loose());
    of::<Server>(STRICT, Server::strict());
    of::<Server>(LOOSE, Server::loose());
}

/// P12: under strict key exchange the handshake is linear: any other message in any position ends the connection.
#[test]
fn p12_strict_key_exchange_is_linear() {
    fn of<S: Explored>(reply: &str) {
        let first: Vec<_> = S::strict().iter().filter(|state| is_first(&state.name)).collect();
        for state in &first {
            let goes_on: Vec<_> =
                state.letters().filter(|(_, o)| !o.waits && !o.ended).map(|(l, _)| l.name).collect();
            let place = exchange(&state.name);
            match place {
                // Whatever is let pass here is found out when the peer's KEXINIT comes and was not its first packet.
                "SentInit" => {
                    for letter in goes_on.iter().filter(|name| !name.starts_with("20")) {
                        for kexinit in ["20", "20.guess"] {
                            let mut bench = Bench::<S>::at(STRICT, &state.path);
                            let outcome = bench.say(letter);
                            assert!(outcome.sent.is_empty() || outcome.is_unimplemented(), "{letter}");
                            assert!(bench.say(kexinit).is_refused(2), "{letter}");
                        }
                    }
                }
                "Exchange" => assert_eq!(goes_on, [reply]),
                "AwaitVerdict" => assert!(goes_on.is_empty()),
                "NewKeys" => assert_eq!(goes_on, ["21"]),
                // One packet, whatever it is, and never a second one.
                "Exchange+skip" => {
                    let passed_over = |o: &Outcome| exchange(&o.next) == "Exchange" && o.sent.is_empty();
                    assert!(state.letters().all(|(_, outcome)| passed_over(outcome)));
                }
                _ => panic!("{place}"),
            }
            let refused = state.letters().filter(|(l, o)| o.ended && l.number() != number::DISCONNECT);
            assert!(refused.into_iter().all(|(_, outcome)| outcome.is_refused(2)), "{place}");
        }
        // Without it, what has no meaning for the exchange changes nothing.
        for state in
            S::loose().iter().filter(|s| is_first(&s.name) && listens(s) && !s.name.contains("+skip"))
        {
            assert!(
                ["2", "3", "4"].iter().all(|name| state.on(name).is_ignored_in(&state.name)),
                "{}",
                state.name
            );
        }
    }
    of::<Client>("31");
    of::<Server>("30");
}

/// P13: under strict key exchange each direction begins its sequence numbers anew at NEWKEYS; without, they go on.
#[test]
fn p13_sequence_numbers_begin_anew_with_the_keys() {
    fn of<S: Explored>() {
        let login = S::strict().iter().find(|state| state.name == "Idle | connection no channel").unwrap();
        for world in [STRICT, LOOSE] {
            let mut bench = Bench::<S>::at(world, &login.path);
            for _ in 0..3 {
                bench.take(Step::Does("rekey"));
                bench.finish_exchange();
                // The packets are authentic under these numbers only.
                assert_eq!(bench.peer.sequence_numbers == [0, 0], world.strict);
                assert!(bench.say("255").is_unimplemented());
            }
            // Who counts otherwise is not understood, in one direction or the other.
            for direction in 0..2 {
                let mut bench = Bench::<S>::at(world, &login.path);
                bench.peer.resets[direction] = !world.strict;
                bench.take(super::says("20"));
                bench.finish_exchange();
                let payload = super::alphabet::letter("80.reply").payload(&mut bench.peer);
                let packet = bench.peer.seal(&payload);
                bench.feed(&packet);
                let output = crate::tests::pair::all_output(&mut bench.end.conn);
                let answer = bench.peer.open(&output);
                let wrong = [MAC_ERROR.into(), PACKET_LENGTH.into()].map(Some); // the length is sealed too
                match direction {
                    0 => assert!(wrong.contains(&bench.end.error), "{:?}", bench.end.error),
                    _ => assert_eq!((answer, &bench.end.error), (None, &None)),
                }
            }
        }
    }
    of::<Client>();
    of::<Server>();
}

/// P14: behaviour is the same for all key exchange methods. One of two round trips has other numbers on its way, and needs
/// its own steps here; of those of finite fields one stands for all, which differ in nothing but size. `tests/run long` tries
/// them all, otherwise one hybrid and one curve.
#[test]
fn p14_all_methods_make_the_same_machine() {
    fn of<S: Explored>() {
        let long = std::env::var_os("STROMBUS_LONG").is_some();
        let methods = || {
            KEX.iter().filter_map(move |row| match row.algorithm {
                KeyExchange::OneStep(method @ (Method::MlKem768X25519 | Method::EcdhNistP256)) => {
                    Some((row.name, method))
                }
                KeyExchange::OneStep(Method::DhGroup16Sha512 | Method::DhGroup18Sha512) => None,
                KeyExchange::OneStep(method) if long => Some((row.name, method)),
                _ => None,
            })
        };
        let exchanges = |state: &&'static State| !is_idle(&state.name) && without_channels(&state.name);
        for state in S::strict().iter().filter(exchanges) {
            for (method_name, method) in methods() {
                let (name, path) = (state.name.clone(), state.path.clone());
                let world = super::World { name: method_name, method, ..STRICT };
                let same = State { row: row::<S>(world, &path), name, path };
                assert_eq!(table::row(&same), table::row(state), "{method_name}: {}", state.name);
            }
        }
    }
    of::<Client>();
    of::<Server>();
}

/// P15: a message of the other role is never obeyed.
#[test]
fn p15_a_message_of_the_other_role_is_never_obeyed() {
    for (side, state) in all_of_both() {
        let (numbers, bodies): (&[u8], &[&str]) = match side {
            Sender::Server => (&[6, 31, 33, 51, 52, 53, 60], &["95.stderr", "98.exit"]),
            Sender::Client => (&[5, 30, 32, 34, 50, 61], &["90.session", "98.exec"]),
        };
        for (letter, outcome) in state.letters() {
            if numbers.contains(&letter.number()) {
                assert!(outcome.obeys_nothing_in(&state.name), "{}: {}", state.name, letter.name);
            }
            if bodies.contains(&letter.name) {
                let stays = outcome.obeys_nothing_in(&state.name) || outcome.next == state.name;
                assert!(stays && outcome.told.is_empty(), "{}: {}", state.name, letter.name);
            }
        }
    }
}

/// Strict or not decides about the first exchange, and about nothing after it.
#[test]
fn strict_key_exchange_is_about_the_first_exchange_only() {
    fn of<S: Explored>() {
        for state in S::loose().iter().filter(|state| !is_first(&state.name)) {
            let strict = S::strict().iter().find(|other| other.name == state.name).expect(&state.name);
            assert_eq!(table::row(strict), table::row(state), "{}", state.name);
        }
    }
    of::<Client>();
    of::<Server>();
}

/// What an application may not do now changes nothing and sends nothing.
#[test]
fn a_call_that_is_refused_changes_nothing() {
    for (side, state) in all_of_both() {
        for (step, outcome) in state.row.iter().filter(|(_, outcome)| outcome.waits) {
            assert!(outcome.is_ignored_in(&state.name), "{side:?} {}: {}", state.name, step.name());
        }
    }
}

/// A message for a channel: which end the connection, which are passed over, which are told, in each state of a channel.
#[test]
fn t67_each_channel_message_in_each_state_of_a_channel() {
    for (side, state) in all_of_both().filter(|(_, s)| is_authenticated(&s.name) && is_peer_free(&s.name)) {
        let place = |name| format!("{side:?} {}: {name}", state.name);
        for name in ["91.no", "92.no", "94.no", "95.no", "96.no", "97.no", "98.no"] {
            assert!(state.on(name).is_refused(2), "{}", place(name));
        }
        for name in ["93.no", "99.no", "100.no"] {
            assert!(state.on(name).is_ignored_in(&state.name), "{}", place(name));
        }
        let opening = service(&state.name) == "connection Opening";
        for name in ["91", "92"] {
            assert_eq!(state.on(name).is_refused(2), !opening, "{}", place(name));
        }
        let halves = halves(&state.name);
        for name in ["94", "95.stderr", "95.unknown"] {
            let outcome = state.on(name);
            match halves {
                None | Some((_, "Eof")) => assert!(outcome.is_refused(2), "{}", place(name)),
                Some(("Closed", _)) => assert!(outcome.is_ignored_in(&state.name), "{}", place(name)),
                Some(_) => assert!(!outcome.ended && outcome.next == state.name, "{}", place(name)),
            }
        }
        for name in ["96", "97", "98.exec", "98.exit", "98.unknown", "98.quiet"] {
            assert_eq!(state.on(name).is_refused(2), halves.is_none(), "{}", place(name));
        }
    }
}
