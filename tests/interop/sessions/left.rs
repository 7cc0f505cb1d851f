//! Commands that live on when their session has been closed, or their client has gone.

use super::raw::Raw;
use super::*;

/// As many as examples/sshd keeps a descriptor for once their client is gone.
const ORPHANS_MAX: usize = 64;

/// Opens a session, has a command sleep in it, and closes it without waiting for the server's CLOSE: OpenSSH's comes after the
/// command's end. Nothing if it is refused.
fn leave_asleep(raw: &mut Raw) -> Option<i32> {
    let id = raw.open()?;
    raw.exec(id, "echo $$; exec sleep 100000");
    let pid = raw.line().parse().unwrap();
    raw.channel(id).close().unwrap();
    Some(pid)
}

fn end(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_session_that_was_closed_counts_until_its_command_has_ended() {
    for server in [Some(Generation::Trixie), None] {
        let case = Case::new(None, server, &[("MaxSessions", "3")]);
        let mut leaver = Raw::log_in(&case);
        let asleep: Vec<_> = (0..3).map(|_| leave_asleep(&mut leaver).unwrap()).collect();
        for _ in 0..3 {
            assert_eq!(leave_asleep(&mut leaver), None, "{}", case.name);
        }
        end(asleep[0]);
        let leaver = std::cell::RefCell::new(leaver);
        eventually("there is room again", || {
            let mut leaver = leaver.borrow_mut();
            let id = leaver.open();
            id.inspect(|id| leaver.channel(*id).close().unwrap()).is_some()
        });
        asleep[1..].iter().copied().for_each(end);
    }
}

#[test]
fn for_commands_whose_client_is_gone_no_more_descriptors_are_kept_than_the_bound() {
    let case = Case::new(None, None, &[("MaxSessions", "1000")]);
    let pid = case.server.running.child.id();
    let before = descriptors(pid);
    let mut asleep = Vec::new();
    for more in [ORPHANS_MAX / 2, ORPHANS_MAX / 2 + 9] {
        let mut leaver = Raw::log_in(&case);
        asleep.extend((0..more).map(|_| leave_asleep(&mut leaver).unwrap()));
    }
    eventually("the clients are gone", || descriptors(pid) == before + ORPHANS_MAX);
    // They were let be, and all are waited for when they have ended.
    assert_eq!(children(pid).len(), asleep.len());
    asleep.into_iter().for_each(end);
    // Those without a descriptor are looked at when a client goes.
    eventually("all commands are waited for", || {
        drop(Raw::log_in(&case));
        children(pid).is_empty()
    });
    eventually("all is as before", || descriptors(pid) == before);
}
