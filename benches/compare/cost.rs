//! What processes take of the machine, as Linux tells it.

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, set_child_subreaper, waitid,
};
use std::fs;
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What the times in /proc/PID/stat are counted in, in a second.
const USER_HZ: f64 = 100.0;

/// How long a server's children may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// No client takes longer.
const DEADLINE: Duration = Duration::from_secs(300);

/// Processor seconds of a process and of its children that have ended, user and system.
///
/// /proc/PID/stat has all of it, in hundredths. Of the threads that live, schedstat has nanoseconds: whichever is more counts, for
/// the first lacks what is below a hundredth, and the second the threads that have ended.
pub fn processor(pid: u32) -> f64 {
    processor_if_there(pid).expect("it was not waited for")
}

/// The same with those below it that live.
pub fn processor_of_all(pid: u32) -> f64 {
    // One that has just ended is its parent's.
    processor_if_there(pid).unwrap_or(0.0) + children(pid).into_iter().map(processor_of_all).sum::<f64>()
}

fn processor_if_there(pid: u32) -> Option<f64> {
    let [user, system, children_user, children_system] = ticks(pid)?;
    Some((user + system).max(threads(pid)) + children_user + children_system)
}

/// The same of the children of this process that were waited for, to a hundredth.
pub fn of_children() -> f64 {
    let [_, _, user, system] = ticks(std::process::id()).expect("it runs");
    user + system
}

/// User and system time of a process, and of its children that have ended (s).
fn ticks(pid: u32) -> Option<[f64; 4]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    Some([11, 12, 13, 14].map(|at| fields[at].parse::<f64>().expect("a number") / USER_HZ))
}

fn threads(pid: u32) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0.0 };
    let spent = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    spent.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e9
}

/// The same once it has no children any more: a server that forks has waited for them then.
pub fn settled(pid: u32) -> f64 {
    let until = Instant::now() + PATIENCE;
    while !children(pid).is_empty() {
        assert!(Instant::now() < until, "the server's children do not end");
        thread::sleep(Duration::from_millis(2));
    }
    processor(pid)
}

/// Waits for the end of a process, which is killed if it takes too long; whether it went well, and its processor seconds.
pub fn wait(mut child: Child) -> (bool, f64) {
    let pid = Pid::from_child(&child);
    let (done, over) = channel::<()>();
    let watchdog = thread::spawn(move || {
        if over.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            let _ended = kill_process(pid, Signal::KILL);
        }
    });
    // Its figures are there until it is waited for.
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("a child");
    let spent = processor(child.id());
    drop(done);
    watchdog.join().expect("it only waits");
    (child.wait().expect("a child").success(), spent)
}

/// From now on whoever loses its parent below this process becomes its child.
pub fn adopt() {
    set_child_subreaper(Some(getpid())).expect("Linux");
}

/// Waits for the end of those that were adopted, of whom a server did not wait: all children but these. Their processor seconds.
pub fn of_adopted(but: &[u32]) -> f64 {
    let adopted = children(std::process::id()).into_iter().filter(|pid| !but.contains(pid));
    let spent = adopted.map(|pid| {
        let ended = WaitId::Pid(Pid::from_raw(pid.cast_signed()).expect("not 0"));
        waitid(ended.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("a child");
        let spent = processor(pid);
        waitid(ended, WaitIdOptions::EXITED).expect("a child");
        spent
    });
    spent.sum()
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Anonymous memory (bytes) of a process and those below it; what several share is counted once.
pub fn anonymous(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
    let own = own.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    own.unwrap_or(0.0) * 1024.0 + children(pid).into_iter().map(anonymous).sum::<f64>()
}
