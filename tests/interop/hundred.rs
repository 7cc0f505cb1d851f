//! Many hosts at once, on one core.

use super::openssh::{Files, Generation, Running, free_port, is_long, ours, sshd};
use super::weblog::{Watching, append, here, hit};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// Hosts in a short run and in a long one.
const HOSTS: (usize, usize) = (20, 100);

/// Lines of each host's log.
const LINES: u64 = 100;

/// A core that this process may run on.
fn core() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim().split(['-', ',']).next().unwrap().to_owned()
}

fn threads(running: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/task", running.child.id())).unwrap().count()
}

/// Processor time of a process (seconds).
fn processor(running: &Running) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", running.child.id())).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

fn log(host: usize) -> String {
    format!("host{host}.log")
}

/// Hosts by names of their own, of which all but the last are one sshd.
fn config(files: &Files, hosts: usize, port: u16) -> String {
    let mut config = String::new();
    for host in 0..=hosts {
        let port = if host == hosts { free_port() } else { port };
        config += &format!("Host host{host}\nHostName 127.0.0.1\nPort {port}\nHostKeyAlias all\n");
    }
    let key = fs::read_to_string(files.path("host_key.pub")).unwrap();
    let known_hosts = files.write("known_hosts", &format!("all {key}"));
    config += &format!(
        "Host *\nUserKnownHostsFile {known_hosts}\nGlobalKnownHostsFile none\nIdentityFile {}\nBatchMode yes\n",
        files.text("user_key")
    );
    files.write("config", &config)
}

/// Watches so many hosts, and one that nobody reaches, once each of the others has shown its first line.
fn watch(files: &Files, config: &str, hosts: impl Iterator<Item = usize>) -> Watching {
    let mut command = Command::new("taskset");
    command.args(["-c", &core()]).arg(ours("ssh-weblog").get_program()).env_remove("SSH_AUTH_SOCK");
    command.args(["-F", config, "-n1", "--format", "{path}"]);
    let user = here().split_once('@').unwrap().0.to_owned();
    command.args(hosts.map(|host| format!("{user}@host{host}:{}", files.text(&log(host)))));
    Watching::start(&mut command)
}

#[test]
fn many_hosts_are_watched_by_one_thread_each_line_once_and_one_that_fails_stops_no_other() {
    let hosts = if is_long() { HOSTS.1 } else { HOSTS.0 };
    for generation in Generation::ALL {
        let files = Files::new();
        let subsystem = format!("Subsystem sftp {}", generation.program("sftp-server").display());
        let server = sshd(generation, &files, &[&subsystem, "MaxStartups 200"]);
        let config = config(&files, hosts, server.port);
        for host in 0..hosts {
            append(&files.path(&log(host)), &hit("-", &format!("/{host}/0"), 200));
        }
        // What one host costs.
        let mut one = watch(&files, &config, [0].into_iter());
        assert_eq!(one.line().as_deref(), Some("/0/0"), "{}", one.running.log());
        let threads_of_one = threads(&one.running);
        drop(one);

        let mut all = watch(&files, &config, 0..=hosts);
        let mut next: BTreeMap<usize, u64> = (0..hosts).map(|host| (host, 0)).collect();
        let mut read = |all: &mut Watching, count: usize| {
            for _ in 0..count {
                let line = all.line().unwrap_or_else(|| panic!("{}", all.running.log()));
                let (host, number) = line.strip_prefix('/').unwrap().split_once('/').unwrap();
                let next = next.get_mut(&host.parse().unwrap()).unwrap();
                assert_eq!(number.parse(), Ok(*next), "{line}");
                *next += 1;
            }
        };
        read(&mut all, hosts);
        let refused = all.running.wait_for("Connection refused");
        assert!(refused.is_some(), "{}", all.running.log());
        let logged_in = processor(&all.running);
        assert_eq!(threads(&all.running), threads_of_one);
        for number in 1..=LINES {
            for host in 0..hosts {
                append(&files.path(&log(host)), &hit("-", &format!("/{host}/{number}"), 200));
            }
        }
        read(&mut all, hosts * usize::try_from(LINES).unwrap());
        let used = processor(&all.running);
        all.running.signal(Signal::INT);
        assert_eq!(all.line(), None, "nothing comes twice");
        assert_eq!(all.running.wait().code(), Some(130), "{}", all.running.log());
        println!(
            "figure: {hosts} hosts of {generation:?} on one core: {logged_in:.2} s of it for the logins, {:.2} s for {} lines",
            used - logged_in,
            LINES * hosts as u64
        );
    }
}
