//! Peers that fall silent: stopped processes, whose sockets stay open.

use super::openssh::{Files, Generation, Running, our_ssh, our_sshd, run, ssh, sshd};
use super::watch::{cut, serving, signal_children};
use super::weblog::{Watching, append, here, hit, ssh_weblog};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

#[test]
fn t108_our_client_leaves_a_server_that_falls_silent() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &[]);
        let mut command = our_ssh(&files, server.port);
        command.args(["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1", "127.0.0.1"]);
        command.arg("echo $PPID; read go; kill -STOP $PPID; exec cat");
        let mut client = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(client.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        client.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        let status = client.wait();
        let stopped = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        kill_process(stopped, Signal::KILL).unwrap();
        assert_eq!(status.code(), Some(255), "{generation:?}");
        assert!(client.wait_for("the peer did not answer in time").is_some(), "{}", client.log());
    }
}

#[test]
fn t108_our_server_leaves_a_client_that_falls_silent() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = our_sshd(&files, &["ClientAliveInterval=1", "ClientAliveCountMax=1"]);
        let mut command = ssh(generation, &files, server.port);
        let mut client = Running::start(
            command.args(["127.0.0.1", "echo up; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()),
        );
        let mut line = String::new();
        BufReader::new(client.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        client.signal(Signal::STOP);
        let told = server.running.wait_for("disconnected: the peer did not answer in time");
        assert!(told.is_some(), "{generation:?}: {}", server.running.log());
        assert!(client.child.try_wait().unwrap().is_none(), "it was only stopped");
    }
}

/// Whoever answers is asked more often than the count allows in vain, and lives.
#[test]
fn peers_that_answer_live_on() {
    for generation in Generation::ALL {
        let files = Files::new();
        let own = ["ClientAliveInterval=1", "ClientAliveCountMax=3"];
        let server = our_sshd(&files, &own);
        let mut command = ssh(generation, &files, server.port);
        let output = run(command.args(["127.0.0.1", "sleep 6; echo alive"]), b"");
        assert_eq!(output.stdout, b"alive\n", "{generation:?} {}", server.running.log());
        let server = sshd(generation, &files, &[]);
        let mut command = our_ssh(&files, server.port);
        command.args(["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3"]);
        let output = run(command.args(["127.0.0.1", "sleep 6; echo alive"]), b"");
        assert_eq!(output.stdout, b"alive\n", "{generation:?} {}", server.running.log());
    }
}

#[test]
fn t108_our_client_answers_a_server_that_waits_for_one_answer_only() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &["ClientAliveInterval 1", "ClientAliveCountMax 1"]);
        let output = run(our_ssh(&files, server.port).args(["127.0.0.1", "sleep 4"]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{generation:?}: {told} {}", server.running.log());
    }
}

#[test]
fn a_watch_that_is_interrupted_does_not_wait_for_a_host_that_has_fallen_silent() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = serving(generation, &files);
        let log = files.path("access.log");
        append(&log, &hit("https://a.example/", "/a", 200));
        let mut command = ssh_weblog(&files, server.port);
        let mut watching =
            Watching::start(command.args(["-n", "+1", &format!("{}:{}", here(), log.display())]));
        assert!(watching.line().is_some(), "{}", watching.running.log());
        signal_children(&server, Signal::STOP);
        watching.running.signal(Signal::INT);
        let status = watching.running.wait();
        cut(&server);
        assert_eq!(status.code(), Some(130), "{generation:?}: {}", watching.running.log());
    }
}
