//! What `ssh-weblog-server` gives to OpenSSH's clients: commands, files, the dashboard; its limits, and how it ends.

mod commands;
mod logins;

use super::logins::hash;
use super::openssh::{
    ENDED, Files, Generation, Running, Terminal, Trust, eventually, found, ours, run, ssh_trusting, words,
};
use super::peers::python;
use super::weblog::{Watching, append, hit, listening};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

/// An option of ssh.
const NO_KEY: &str = "PubkeyAuthentication=no";

/// A log called shop, a user called ann who sees it, and what else the configuration says.
struct Serving {
    files: Files,
    running: Running,
    port: u16,
}

impl Serving {
    fn start(more: &str) -> Self {
        Self::start_with(more, "")
    }

    /// `of_ann` stands in her table.
    fn start_with(more: &str, of_ann: &str) -> Self {
        let files = Files::new();
        append(&files.path("shop.log"), &hit("https://before.example/", "/old", 200));
        append(&files.path("other.log"), "");
        files.write("config.toml", &configuration(more, of_ann));
        let (running, port) = configured(&files);
        Self { files, running, port }
    }

    /// Ends it and starts it again.
    fn restart(&mut self) {
        self.running.signal(Signal::TERM);
        assert_eq!(self.running.wait().code(), Some(0), "{}", self.running.log());
        (self.running, self.port) = configured(&self.files);
    }

    /// Makes it read its files again.
    fn reload(&self) {
        self.running.signal(Signal::HUP);
        self.running.wait_for("reloaded").unwrap_or_else(|| panic!("{}", self.running.log()));
    }

    fn ssh(&self, generation: Generation, arguments: &[&str]) -> Command {
        self.ssh_as("ann", generation, arguments)
    }

    fn ssh_as(&self, user: &str, generation: Generation, arguments: &[&str]) -> Command {
        let mut command =
            ssh_trusting(generation, &self.files, self.port, &Trust::first_met(&self.files, "learnt"));
        command.arg(format!("{user}@127.0.0.1")).args(arguments);
        command
    }

    /// With this password, if one is asked for.
    fn ssh_knowing(&self, password: &str, generation: Generation, arguments: &[&str]) -> Command {
        let mut command = self.ssh(generation, arguments);
        command.env("SSH_ASKPASS", self.files.askpass(password)).env("SSH_ASKPASS_REQUIRE", "force");
        command
    }

    /// The same from another address of this machine.
    fn ssh_from(&self, address: &str, arguments: &[&str]) -> Command {
        let mut command = self.ssh(Generation::Trixie, &["-b", address]);
        command.args(arguments);
        command
    }

    fn run(&self, command: &str) -> Output {
        run(&mut self.ssh(Generation::Trixie, &[command]), b"")
    }

    /// Standard output of a command that ends with 0.
    fn shown(&self, command: &str) -> String {
        let output = self.run(command);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn log(&self) -> std::path::PathBuf {
        self.files.path("shop.log")
    }

    /// Waits until the server has begun with a command that begins so.
    fn wait_for_command(&self, beginning: &str) {
        let quote = if beginning.contains(' ') { "\"" } else { "" };
        let words = format!(" command={quote}{beginning}");
        self.running.wait_for(&words).unwrap_or_else(|| panic!("{}", self.running.log()));
    }

    /// A session that runs.
    fn watch(&self, command: &str) -> Watching {
        let watching = Watching::start(&mut self.ssh(Generation::Bookworm, &[command]));
        self.wait_for_command(command.split('\'').next().unwrap_or_default());
        watching
    }
}

/// The server with the configuration that was written.
fn configured(files: &Files) -> (Running, u16) {
    listening(ours("ssh-weblog-server").args(["--config", &files.text("config.toml")]))
}

fn configuration(more: &str, of_ann: &str) -> String {
    format!(
        "listen = ['127.0.0.1:0']\nstate_dir = 'state'\n{more}\n[[log]]\nname = 'shop'\npath = 'shop.log'\n[[log]]\nname = \
         'other'\npath = 'other.log'\n[[user]]\nname = 'ann'\nauthorized_keys = 'authorized_keys'\n{of_ann}\n"
    )
}

fn seq(line: &str) -> u64 {
    let (_, rest) = line.split_once("\"seq\":").unwrap_or_else(|| panic!("{line}"));
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn records_are_numbered_and_a_viewer_goes_on_behind_the_number_he_knows() {
    let serving = Serving::start("[limits]\nring = 4");
    let mut live = serving.watch("tail --json shop");
    for number in 1..=3 {
        append(&serving.log(), &hit("-", &format!("/{number}"), 200));
    }
    let lines: Vec<String> = (0..3).map(|_| live.line().unwrap()).collect();
    let first = seq(&lines[0]);
    assert_eq!(lines.iter().map(|line| seq(line)).collect::<Vec<_>>(), [first, first + 1, first + 2]);
    let again = |after: u64| {
        let mut again = serving.watch(&format!("tail --json --after {after} shop"));
        [again.line().unwrap(), again.line().unwrap()]
    };
    assert_eq!(again(first), [lines[1].clone(), lines[2].clone()]);
    for number in 4..=8 {
        append(&serving.log(), &hit("-", &format!("/{number}"), 200));
    }
    while !live.line().unwrap().contains("/8") {}
    // Four are kept: of 2 to 8 the first three are gone.
    let [skipped, next] = again(first);
    assert_eq!(skipped, "{\"skipped\":3}");
    assert!(next.contains("\"/5\"") && seq(&next) == first + 4, "{next}");
    for number in [first + 1_000_000, 5] {
        let [skipped, next] = again(number);
        assert_eq!(skipped, "{\"skipped\":null}");
        assert_eq!(seq(&next), first + 4);
    }
    let output = serving.run("tail --after 1");
    assert_eq!(output.status.code(), Some(2), "it needs exactly one log");
}

#[test]
fn a_report_is_of_the_whole_file_and_a_live_one_goes_on() {
    let serving = Serving::start("");
    append(&serving.log(), &hit("-", "/b", 500));
    let json = serving.shown("stats --json shop");
    assert!(json.contains("\"hits\":2") && json.contains("\"5xx\":1"), "{json}");
    let mut live = serving.watch("stats --every 1s --json shop");
    let first = live.line().unwrap();
    assert!(first.contains("\"hits\":2"), "{first}");
    append(&serving.log(), &hit("-", "/c", 500));
    let mut line = live.line().unwrap();
    while !line.contains("\"hits\":3") {
        assert!(line.contains("\"hits\":2"), "{line}");
        line = live.line().unwrap();
    }
}

#[test]
fn wait_ends_when_it_comes_true_and_not_before() {
    let serving = Serving::start("");
    let mut waiting = serving.watch("wait --status 5xx shop");
    append(&serving.log(), &hit("-", "/fine", 200));
    append(&serving.log(), &hit("-", "/broken", 503));
    let line = waiting.line().unwrap();
    assert!(line.contains("503 GET /broken"), "{line}");
    assert_eq!((waiting.line(), waiting.running.wait().code()), (None, Some(0)));
    let late = serving.run("wait --timeout 1s shop");
    assert_eq!(late.status.code(), Some(1));
    let mut waiting = serving.watch("wait --over 1/s --for 2s shop");
    append(&serving.log(), &hit("-", "/many", 200).repeat(3));
    let line = waiting.line().unwrap();
    assert!(line.starts_with("over 1/s for 2s: 3 hits in 2s"), "{line}");
    while waiting.line().is_some() {}
    assert_eq!(waiting.running.wait().code(), Some(0));
    let mut over = serving.watch("tail --over 1/s --for 2s shop");
    append(&serving.log(), &hit("-", "/many", 200).repeat(3));
    while over.line().is_some() {}
    assert_eq!(over.running.wait().code(), Some(3), "tail ends as ssh-weblog does");
}

#[test]
fn t45_a_user_sees_his_logs_through_his_view_and_nothing_else() {
    let serving = Serving::start_with("", "logs = ['shop']\nview = ['--status', '200', '--anonymize']");
    assert_eq!(
        serving.shown("logs").lines().map(|l| l.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["shop"]
    );
    let metrics = serving.shown("metrics");
    assert!(metrics.contains("log=\"shop\"") && !metrics.contains("other"), "{metrics}");
    for log in ["other", "nothing"] {
        let output = serving.run(&format!("tail {log}"));
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap().replace(log, "LOG");
        assert_eq!(told, "ssh-weblog-server: LOG: no such log; logs names those that there are\n");
    }
    let mut live = serving.watch("tail --status 5xx,2xx --format '{status} {client} {resource}'");
    append(&serving.log(), &(hit("-", "/secret", 500) + &hit("-", "/shown?token=1", 200)));
    assert_eq!(live.line().as_deref(), Some("200 203.0.0.0 /shown"));
    let mut sftp = Command::new(Generation::Trixie.program("sftp"));
    sftp.args([
        "-b",
        "-",
        "-F",
        "none",
        "-P",
        &serving.port.to_string(),
        "-i",
        &serving.files.text("user_key"),
    ]);
    sftp.args(["-o", &format!("UserKnownHostsFile={}", serving.files.text("learnt")), "ann@127.0.0.1"]);
    assert_ne!(run(&mut sftp, b"ls\n").status.code(), Some(0), "a view has no files");
}

#[test]
fn the_logs_are_there_by_sftp_with_their_rotated_siblings_and_cannot_be_changed() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        append(&serving.files.path("shop.log.1"), "older\n");
        append(&serving.files.path("secret"), "no log\n");
        serving.shown("logs"); // learns the host key
        let batch = |commands: &str| {
            let mut sftp = Command::new(generation.program("sftp"));
            sftp.args(["-q", "-b", "-", "-F", "none", "-P", &serving.port.to_string()]);
            sftp.args(["-i", &serving.files.text("user_key"), "-o", "IdentitiesOnly=yes"]);
            sftp.args([
                "-o",
                &format!("UserKnownHostsFile={}", serving.files.text("learnt")),
                "ann@127.0.0.1",
            ]);
            run(&mut sftp, commands.as_bytes())
        };
        let listed = batch("ls -1\nls -1 shop\n");
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains("shop/shop.log\n") && listed.contains("shop/shop.log.1\n"), "{listed}");
        assert!(!listed.contains("secret"), "{listed}");
        let got = serving.files.text("got");
        assert_eq!(batch(&format!("get shop/shop.log.1 {got}\n")).status.code(), Some(0));
        let copied = serving.running.wait_for(" transfer user=ann address=127.0.0.1:").unwrap();
        assert!(copied.ends_with(" path=/shop/shop.log.1 bytes=6"), "{copied}");
        assert_eq!(std::fs::read_to_string(&got).unwrap(), "older\n");
        for refused in [
            format!("put {got} shop/new"),
            "rm shop/shop.log".to_owned(),
            "rename shop/shop.log shop/x".to_owned(),
            "mkdir shop/x".to_owned(),
            "chmod 777 shop/shop.log".to_owned(),
            "ln -s /etc/passwd shop/x".to_owned(),
            format!("get shop/../secret {got}"),
            format!("get /etc/passwd {got}"),
            format!("get ../../secret {got}"),
        ] {
            assert_ne!(batch(&format!("{refused}\n")).status.code(), Some(0), "{refused}");
        }
        assert_eq!(std::fs::read_to_string(serving.files.path("shop.log.1")).unwrap(), "older\n");
    }
}

/// A copy of a large file that has begun, so slow that it does not come to its end.
fn copying(serving: &Serving, generation: Generation) -> Running {
    append(&serving.files.path("shop.log.1"), &hit("-", "/old", 200).repeat(100_000));
    let mut sftp = Command::new(generation.program("sftp"));
    sftp.args(["-q", "-l", "2000", "-b", "-", "-F", "none", "-P", &serving.port.to_string()]);
    sftp.args(["-i", &serving.files.text("user_key"), "-o", "StrictHostKeyChecking=no"]);
    sftp.args(["-o", &format!("UserKnownHostsFile={}", serving.files.text("learnt")), "ann@127.0.0.1"]);
    let got = serving.files.path("got");
    let mut copying = Running::start(sftp.stdin(Stdio::piped()).stdout(Stdio::null()));
    writeln!(copying.child.stdin.take().unwrap(), "get shop/shop.log.1 {}", got.display()).unwrap();
    serving.running.wait_for("\"command\":\"sftp\"").unwrap();
    eventually("its first bytes are there", || got.metadata().is_ok_and(|metadata| metadata.len() > 0));
    copying
}

/// The audit has a part of the copy.
fn has_a_part(serving: &Serving) {
    let line =
        serving.running.wait_for("\"transfer\"").unwrap_or_else(|| panic!("{}", serving.running.log()));
    let bytes = line.rsplit("\"bytes\":").next().unwrap().trim_end_matches('}').parse::<u64>().unwrap();
    let whole = serving.files.path("shop.log.1").metadata().unwrap().len();
    assert!(line.contains("\"user\":\"ann\"") && line.contains("\"path\":\"/shop/shop.log.1\""), "{line}");
    assert!((1..whole).contains(&bytes), "{line}");
}

#[test]
fn the_audit_has_a_copy_whose_client_is_killed() {
    for generation in Generation::ALL {
        let serving = Serving::start("audit = 'json'");
        copying(&serving, generation).signal(Signal::KILL);
        has_a_part(&serving);
    }
}

#[test]
fn a_copy_holds_up_the_end_no_longer_than_viewers_may_and_is_in_the_audit() {
    for generation in Generation::ALL {
        let mut serving = Serving::start("audit = 'json'");
        let mut copying = copying(&serving, generation);
        serving.running.signal(Signal::TERM);
        has_a_part(&serving);
        assert_eq!(serving.running.wait().code(), Some(0), "{}", serving.running.log());
        assert_ne!(copying.wait().code(), Some(0), "it has not got all");
    }
}

#[test]
fn a_viewer_who_takes_nothing_holds_up_the_end_no_longer_than_he_may() {
    let mut serving = Serving::start("");
    let mut stopped = serving.watch("tail --show raw shop");
    append(&serving.log(), &hit("-", "/first", 200));
    assert!(stopped.line().unwrap().contains("/first"));
    stopped.running.signal(Signal::STOP);
    // More than the sockets and a window hold, so that he has not got all when it stops.
    append(&serving.log(), &hit("-", "/more", 200).repeat(150_000));
    eventually("the server has read them", || serving.shown("metrics").contains("{log=\"shop\"} 150001"));
    let mut live = serving.watch("tail --format '{path}' shop");
    append(&serving.log(), &hit("-", "/last", 200));
    serving.running.signal(Signal::TERM);
    assert_eq!(live.line().as_deref(), Some("/last"));
    assert_eq!(live.line(), None);
    assert_eq!(serving.running.wait().code(), Some(0), "{}", serving.running.log());
    stopped.running.signal(Signal::CONT);
    assert_eq!(stopped.running.wait().code(), Some(255));
}

#[test]
fn ctrl_c_on_a_terminal_shows_the_report_before_130() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        serving.shown("logs");
        let terminal = Terminal::start(&serving.ssh(generation, &["-t", "tail --stats shop"]));
        serving.wait_for_command("tail --stats");
        let mut other = serving.watch("tail --show raw shop");
        append(&serving.log(), &hit("-", "/new", 404));
        assert!(other.line().unwrap().contains("/new"));
        terminal.key("C-c");
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(&format!("{ENDED} 130")), "{screen}");
        let bytes = hit("-", "/new", 404).len();
        let receipt = format!("receipt shop: written {bytes}, read {bytes}, generations 0, gaps none");
        assert!(screen.contains("hits       1") && screen.contains(&receipt), "{screen}");
    }
}

#[test]
fn rclone_and_sshfs_read_the_logs_and_change_nothing() {
    let serving = Serving::start("");
    append(&serving.files.path("shop.log.1"), "older\n");
    serving.shown("logs"); // learns the host key
    let whole = std::fs::read_to_string(serving.log()).unwrap();
    let (key, known) = (serving.files.text("user_key"), serving.files.text("learnt"));
    let remote = format!(":sftp,host=127.0.0.1,port={},user=ann,key_file={key}:/", serving.port);
    let rclone = |arguments: &[&str]| {
        let mut rclone = Command::new("rclone");
        rclone.args(["copy", "--config", "/dev/null", "--retries", "1"]).args(arguments);
        run(&mut rclone, b"").status.code()
    };
    let down = serving.files.text("down");
    assert_eq!(rclone(&[&remote, &down]), Some(0));
    let got = |name: &str| std::fs::read_to_string(serving.files.path("down").join(name)).unwrap();
    assert_eq!((got("shop/shop.log"), got("shop/shop.log.1")), (whole.clone(), "older\n".to_owned()));
    append(&serving.files.path("down").join("shop/new"), "x");
    assert_ne!(rclone(&[&down, &remote]), Some(0));

    let mount = serving.files.path("mount");
    std::fs::create_dir(&mount).unwrap();
    let mut sshfs = Command::new("sshfs");
    sshfs.env_remove("SSH_AUTH_SOCK").arg("ann@127.0.0.1:/").arg(&mount);
    sshfs.args(["-p", &serving.port.to_string(), "-F", "none", "-o", &format!("IdentityFile={key}")]);
    sshfs.args(["-o", &format!("UserKnownHostsFile={known}"), "-o", "IdentitiesOnly=yes"]);
    let mounted = run(&mut sshfs, b"");
    assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    let mount = Mount(mount);
    let file = mount.0.join("shop/shop.log");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
    assert!(std::fs::write(mount.0.join("shop/new"), "x").is_err());
    assert!(std::fs::remove_file(&file).is_err() && std::fs::rename(&file, mount.0.join("shop/x")).is_err());
    assert!(std::fs::create_dir(mount.0.join("x")).is_err());
    drop(mount);
    assert_eq!(std::fs::read_to_string(serving.log()).unwrap(), whole);
}

#[test]
fn nothing_is_forwarded_and_a_session_goes_on_without() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        serving.shown("logs");
        let mut command = serving.ssh(generation, &["-X", "logs"]);
        command.env("DISPLAY", "127.0.0.1:99");
        let output = run(&mut command, b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let target = format!("127.0.0.1:{}", serving.port);
        let output = run(&mut serving.ssh(generation, &["-W", &target]), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(255) && told.contains("administratively prohibited"), "{told}");
        for (words, flag) in [("sh", "-T"), ("subsystem", "-s")] {
            let output = run(&mut serving.ssh(generation, &[flag, words]), b"");
            assert_ne!(output.status.code(), Some(0), "{words}");
        }
    }
}

/// A mount, ended with its owner.
struct Mount(std::path::PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ended = Command::new("fusermount3").args(["-u", "-z"]).arg(&self.0).status();
    }
}

#[test]
fn a_terminal_gets_the_dashboard_and_is_given_back_and_a_dumb_one_gets_lines() {
    let serving = Serving::start("");
    serving.shown("logs");
    let dashboard = || {
        let mut command = serving.ssh(Generation::Bookworm, &[]);
        command.env("TERM", "xterm-256color");
        Terminal::start(&command)
    };
    let terminal = dashboard();
    terminal.wait_for("hits/s");
    append(&serving.log(), &hit("https://seen.example/", "/seen", 404));
    let screen = terminal.wait_for("seen.example");
    for word in ["shop", "errors/s", "2xx", "4xx", "5xx", "referrers", "paths", "hosts", "agents"] {
        assert!(screen.contains(word), "{word}: {screen}");
    }
    terminal.resize(60, 20);
    terminal.wait_for("80x24");
    terminal.resize(120, 40);
    terminal.wait_for("hits/s");
    terminal.key("q");
    assert!(terminal.wait_for(ENDED).contains(&format!("{ENDED} 0")));
    let terminal = dashboard();
    terminal.wait_for("hits/s");
    terminal.key("C-c");
    assert!(terminal.wait_for(ENDED).contains(&format!("{ENDED} 130")));
    let dumb = words(&serving.ssh(Generation::Bookworm, &[]));
    let terminal = Terminal::run(&format!("TERM=dumb {dumb}; echo {ENDED} $?"));
    // The two dashboards, and this.
    (0..3).for_each(|_| serving.wait_for_command("\"\""));
    append(&serving.log(), &hit("https://dumb.example/", "/d", 200));
    terminal.wait_for("https://dumb.example/  --> /d");
    terminal.key("C-d");
    assert!(terminal.wait_for(ENDED).contains(&format!("{ENDED} 0")));
}

#[test]
fn what_was_read_is_sent_before_the_end_and_a_dashboard_leaves_the_terminal() {
    const WHY: &str = "ssh-weblog-server: the server is stopping";
    for generation in Generation::ALL {
        let mut serving = Serving::start("");
        let mut live = Watching::start(&mut serving.ssh(generation, &["tail --format '{path}' shop"]));
        serving.wait_for_command("tail ");
        let mut command = serving.ssh(generation, &[]);
        command.env("TERM", "xterm-256color");
        let terminal = Terminal::start(&command);
        terminal.wait_for("hits/s");
        append(&serving.log(), &hit("-", "/last", 200));
        serving.running.signal(Signal::TERM);
        assert_eq!(live.line().as_deref(), Some("/last"));
        assert_eq!(live.line(), None);
        live.running.wait_for(WHY).expect("he is told why");
        assert_eq!(live.running.wait().code(), Some(255));
        let screen = terminal.wait_for(ENDED);
        assert!(screen.contains(WHY), "{screen}");
        assert!(!screen.contains("hits/s"), "the alternate screen was left: {screen}");
        assert_eq!(serving.running.wait().code(), Some(0), "{}", serving.running.log());
    }
}

#[test]
fn a_second_signal_ends_at_once_and_waits_for_nobody() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut serving = Serving::start("");
        let mut stopped = serving.watch("tail --show raw shop");
        append(&serving.log(), &hit("-", "/first", 200));
        assert!(stopped.line().unwrap().contains("/first"));
        stopped.running.signal(Signal::STOP);
        // More than the sockets and a window hold, so that he has not got all when it stops.
        append(&serving.log(), &hit("-", "/more", 200).repeat(150_000));
        let all = "ssh_weblog_records_total{log=\"shop\"} 150001";
        eventually("the server has read them", || serving.shown("metrics").contains(all));
        serving.running.signal(signal);
        serving.running.wait_for("stopping: what was read is sent").unwrap();
        serving.running.signal(signal);
        assert_eq!(serving.running.wait().code(), Some(0), "{}", serving.running.log());
        let (_, after) =
            serving.running.log().split_once("stopping").map(|(a, b)| (a.len(), b.to_owned())).unwrap();
        assert!(!after.contains(" end user=ann"), "he was not waited for, nor told: {after}");
        stopped.running.signal(Signal::CONT);
        assert_eq!(stopped.running.wait().code(), Some(255));
    }
}

#[test]
fn a_reload_takes_new_users_and_logs_and_a_bad_file_changes_nothing() {
    let serving = Serving::start("");
    let mut live = serving.watch("tail --format '{path}' shop");
    append(&serving.files.path("new.log"), "");
    let good = configuration("", "") + "[[log]]\nname = 'new'\npath = 'new.log'\n";
    serving.files.write("config.toml", &(good.clone() + "nonsense = 1\n"));
    serving.running.signal(Signal::HUP);
    let told = serving.running.wait_for("not reloaded").unwrap();
    assert!(told.contains("config.toml:") && !told.contains("nonsense = 1"), "{told}");
    assert!(!serving.shown("logs").contains("new "));
    serving.files.write("config.toml", &good);
    serving.reload();
    assert!(serving.shown("logs").contains("new "));
    append(&serving.log(), &hit("-", "/still", 200));
    assert_eq!(live.line().as_deref(), Some("/still"), "a session lives through it");
    serving.files.write("config.toml", &good.replace("'ann'", "'bob'"));
    serving.reload();
    assert_eq!(live.line(), None, "a session of a user who is gone ends");
    assert_eq!(serving.run("logs").status.code(), Some(255));
}

#[test]
fn limits_are_told_to_who_hits_them_and_counted() {
    let serving = Serving::start("[limits]\nidle = '1s'\nmax_auth_tries = 1\nlogin_grace = '2s'\n");
    let idle = serving.run("tail shop");
    assert_eq!(idle.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&idle.stderr).contains("idle for too long"));
    let trust = Trust::first_met(&serving.files, "learnt");
    let mut wrong = ssh_trusting(Generation::Trixie, &serving.files, serving.port, &trust);
    assert_eq!(run(wrong.args(["nobody@127.0.0.1", "logs"]), b"").status.code(), Some(255));
    let mut silent = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
    std::io::copy(&mut silent, &mut std::io::sink()).unwrap(); // until the server ends it
    drop(silent);
    serving.running.wait_for("login_grace").unwrap_or_else(|| panic!("{}", serving.running.log()));
    let mut forward = ssh_trusting(Generation::Trixie, &serving.files, serving.port, &trust);
    forward.args(["-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "ann@127.0.0.1", "logs"]);
    assert_eq!(run(&mut forward, b"").status.code(), Some(255));
    serving
        .running
        .wait_for("nothing is forwarded here")
        .unwrap_or_else(|| panic!("{}", serving.running.log()));
    let mut variable = ssh_trusting(Generation::Trixie, &serving.files, serving.port, &trust);
    variable.args(["-o", "SetEnv=LD_PRELOAD=x", "ann@127.0.0.1", "logs"]);
    assert_eq!(run(&mut variable, b"").status.code(), Some(0), "it is passed over");
    let metrics = serving.shown("metrics");
    for line in ["credential", "idle", "login_grace", "request"] {
        let line = format!("ssh_weblog_refusals_total{{reason=\"{line}\"}} ");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

#[test]
fn a_connection_has_no_more_sessions_than_the_limit_and_an_address_no_more_connections() {
    let serving = Serving::start("[limits]\nmax_sessions = 1\nper_source = 2\n");
    let path = serving.files.text("control");
    let shared = |master: &str| {
        let trust = Trust::first_met(&serving.files, "learnt");
        let mut ssh = ssh_trusting(Generation::Trixie, &serving.files, serving.port, &trust);
        ssh.args(["-o", &format!("ControlMaster={master}"), "-o", &format!("ControlPath={path}")]);
        ssh
    };
    let mut first = Watching::start(shared("yes").args(["ann@127.0.0.1", "tail", "shop"]));
    serving.wait_for_command("tail shop");
    // The second session is refused on that connection, so that ssh makes another.
    let second = run(shared("no").args(["ann@127.0.0.1", "metrics"]), b"");
    assert_eq!(second.status.code(), Some(0));
    let metrics = String::from_utf8(second.stdout).unwrap();
    assert!(metrics.contains("reason=\"max_sessions\"} 1"), "{metrics}");
    let also = serving.watch("tail shop");
    assert_eq!(serving.run("logs").status.code(), Some(255), "two connections are there");
    drop(also);
    append(&serving.log(), &hit("https://a.example/", "/a", 200));
    assert_eq!(first.line().as_deref(), Some("https://a.example/  --> /a"));
}

/// The metric of refusals for this reason, once somebody may log in again.
fn refusals(serving: &Serving, reason: &str) -> u64 {
    let metrics = found("somebody may log in again", || {
        let output = run(&mut serving.ssh_from("127.0.0.2", &["metrics"]), b"");
        (output.status.code() == Some(0)).then(|| String::from_utf8(output.stdout).unwrap())
    });
    let line = format!("ssh_weblog_refusals_total{{reason=\"{reason}\"}} ");
    let of = metrics.lines().find_map(|shown| shown.strip_prefix(&line));
    of.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn whoever_comes_beyond_a_limit_of_connections_is_refused_and_counted() {
    for (limit, reason, is_logged_in) in [
        ("max_startups = '1:100:1'", "max_startups", false),
        ("max_connections = 1", "max_connections", true),
        ("per_source = 1", "per_source", true),
    ] {
        let serving = Serving::start(&format!("[limits]\n{limit}\n"));
        let (mut watching, mut silent) = (None, None);
        if is_logged_in {
            watching = Some(serving.watch("tail shop"));
        } else {
            let mut stream = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
            stream.read_exact(&mut [0; 4]).unwrap(); // it is through the gate
            silent = Some(stream);
        }
        assert_eq!(serving.run("logs").status.code(), Some(255), "{reason}");
        let told = serving.running.wait_for(" refused address=127.0.0.1:");
        assert!(told.is_some(), "{reason}: {}", serving.running.log());
        drop((watching, silent));
        assert!(refusals(&serving, reason) >= 1, "{reason}");
    }
}

#[test]
fn whoever_fails_at_the_login_too_often_is_ended_then_refused_and_both_are_counted() {
    let of_ann = format!("password_hash = '{}'", hash("right"));
    let serving = Serving::start_with("[limits]\nmax_auth_tries = 1\n", &of_ann);
    serving.shown("logs"); // learns the host key
    let stranger = || {
        let output = run(&mut serving.ssh_knowing("wrong", Generation::Trixie, &["-o", NO_KEY, "logs"]), b"");
        assert_eq!(output.status.code(), Some(255));
        String::from_utf8(output.stderr).unwrap()
    };
    let told = stranger();
    assert!(told.contains("too many authentication failures"), "{told}");
    // Each failure adds to the penalty, and at last there is one.
    while !serving.running.log().contains("a penalty: logins failed") {
        stranger();
    }
    for (reason, count) in [("max_auth_tries", 1), ("penalty", 1), ("credential", 2)] {
        assert!(refusals(&serving, reason) >= count, "{reason}");
    }
}

#[test]
fn the_audit_has_the_fingerprint_of_a_key_that_was_refused() {
    for generation in Generation::ALL {
        let serving = Serving::start("");
        let keygen = |arguments: &[&str]| {
            let output = run(Command::new(generation.program("ssh-keygen")).args(arguments), b"");
            assert_eq!(output.status.code(), Some(0));
            String::from_utf8(output.stdout).unwrap()
        };
        let other = serving.files.text("other_key");
        keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &other]);
        std::fs::rename(serving.files.path("user_key"), serving.files.path("away")).unwrap();
        let refused = run(&mut serving.ssh(generation, &["-o", "BatchMode=yes", "-i", &other, "logs"]), b"");
        assert_eq!(refused.status.code(), Some(255));
        let line = serving.running.wait_for(" refused user=ann address=127.0.0.1:").unwrap();
        let fingerprint = keygen(&["-lf", &other]);
        assert!(line.contains(fingerprint.split(' ').nth(1).unwrap()), "{line}: {fingerprint}");
    }
}

#[test]
fn t108_a_client_that_falls_silent_is_left_and_counted() {
    let serving = Serving::start("[limits]\nkeepalive = '1s'\n");
    let stopped = serving.watch("tail shop");
    stopped.running.signal(Signal::STOP);
    assert!(serving.running.wait_for(" end user=ann").is_some(), "{}", serving.running.log());
    assert_eq!(refusals(&serving, "keepalive"), 1);
}

/// The lines of metrics, read by the parser that Prometheus's own client has.
#[test]
fn metrics_are_openmetrics_to_a_real_parser() {
    let serving = Serving::start("");
    let metrics = serving.shown("metrics");
    let script = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as p\nfor f in \
                  p(sys.stdin.read()):\n  print(f.name, f.type, len(f.samples))\n";
    let output = run(python().args(["-c", script]), metrics.as_bytes());
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}{metrics}", String::from_utf8_lossy(&output.stderr));
    for family in
        ["ssh_weblog_connections gauge 1", "ssh_weblog_logins counter 1", "ssh_weblog_records counter 2"]
    {
        assert!(shown.contains(family), "{family}: {shown}");
    }
}
