//! A directory that becomes a link to the outside, and back again, while it is used.

use super::*;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use rustix::fs::{CWD, RenameFlags, renameat_with, symlink};
use std::thread;

/// Rounds of all requests.
const ROUNDS: u32 = 5_000;

/// Swaps two names at once until told to stop.
fn swapping(place: &Place, is_over: &AtomicBool, swaps: &AtomicU64) {
    let (inside, outside) = (place.path("root/d"), place.path("root/e"));
    while !is_over.load(Ordering::Relaxed) {
        renameat_with(CWD, &inside, CWD, &outside, RenameFlags::EXCHANGE).unwrap();
        swaps.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells the other thread that it is over, even if a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Uses what is below `d` in all ways; how many found it, and how many did not.
fn use_it(session: &mut Session, counts: &mut (u32, u32)) {
    let mut count = |seen: &Seen| match seen {
        Seen::Status(StatusCode::NO_SUCH_FILE) => counts.1 += 1,
        _ => counts.0 += 1,
    };
    for path in [&b"/d/secret"[..], b"/d/../d/secret"] {
        let read = session.read(path);
        assert_ne!(read, Seen::Data(SECRET.to_vec()));
        count(&read);
    }
    match session.open(b"/d/new", Pflags::WRITE | Pflags::CREAT | Pflags::TRUNC) {
        Seen::Handle(handle) => {
            session.ask(&Request::Write { handle: &handle, offset: 0, data: b"mine" });
            session.ask(&Request::Close { handle: &handle });
        }
        other => count(&other),
    }
    let real = session.ask(&Request::Realpath { path: b"/d/secret" });
    assert!(!format!("{real:?}").contains("outside"), "{real:?}");
    for request in [
        Request::Setstat { path: b"/d/secret", attrs: touched() },
        Request::Setstat { path: b"/d/secret", attrs: Attributes { size: Some(2), ..Attributes::default() } },
        Request::Lsetstat { path: b"/d/secret", attrs: touched() },
        Request::Hardlink { oldpath: b"/d/secret", newpath: b"/linked" },
        Request::Hardlink { oldpath: b"/file", newpath: b"/d/linked" },
        Request::Rename { oldpath: b"/d/new", newpath: b"/d/newer" },
        Request::PosixRename { oldpath: b"/d/secret", newpath: b"/d/moved" },
        Request::PosixRename { oldpath: b"/d/moved", newpath: b"/d/secret" },
        Request::Symlink { targetpath: b"secret", linkpath: b"/d/s" },
        Request::Mkdir { path: b"/d/made", attrs: Attributes::default() },
        Request::Rmdir { path: b"/d/made" },
        Request::Remove { filename: b"/d/s" },
        Request::Remove { filename: b"/d/newer" },
        Request::Remove { filename: b"/d/linked" },
    ] {
        count(&session.ask(&request));
    }
    let linked = session.read(b"/linked");
    assert_ne!(linked, Seen::Data(SECRET.to_vec()), "a link to the outside was made");
    session.ask(&Request::Remove { filename: b"/linked" });
}

fn race(target: impl FnOnce(&Place) -> PathBuf) {
    let place = Place::new();
    fs::create_dir(place.path("root/d")).unwrap();
    fs::write(place.path("root/d/secret"), b"of the root").unwrap();
    symlink(target(&place), place.path("root/e")).unwrap();
    let before = place.outside();
    let (is_over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut counts = (0, 0);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| swapping(&place, &is_over, &swaps));
        let mut session = place.session();
        let mut rounds = 0;
        while rounds < ROUNDS || counts.0 < 1000 || counts.1 < 1000 {
            use_it(&mut session, &mut counts);
            rounds += 1;
        }
    });
    assert_eq!(place.outside(), before, "{counts:?} of {swaps:?}");
    assert!(swaps.into_inner() > 1000, "{counts:?}");
}

#[test]
fn t98_a_directory_swapped_for_an_absolute_link_never_leads_out() {
    race(|place| place.path("outside"));
}

#[test]
fn t98_a_directory_swapped_for_a_relative_link_never_leads_out() {
    race(|_| "../outside".into());
}
