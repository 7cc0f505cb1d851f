//! The files of logs as OpenSSH's `sftp` and `scp` see them, over real connections.

use mio::net::TcpListener;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Event, Request};
use strombus::crypto::SystemRng;
use strombus::crypto::sign::PrivateKey;
use strombus::driver::sftp::{Sessions, Tree};
use strombus::driver::{Application, Context, Driver, Error, PeerId, Peers, Source};
use strombus::transport::{Server, ServerConfig};
use strombus::userauth::Permissions;
use strombus::weblog::serve::tree::{LogFiles, LogTree};
use tempfile::TempDir;

/// Lets everybody in, and serves the tree.
struct Serving {
    tree: Arc<dyn Tree>,
    sessions: Sessions,
    is_over: Arc<AtomicBool>,
}

impl Application<Server> for Serving {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Userauth(question) => drop(conn.accept_user(question.ticket, &Permissions::FULL)?),
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => conn.accept_channel(id)?,
            Event::Channel(id, ChannelEvent::Request { request, want_reply }) => {
                let granted = matches!(request, Request::Subsystem { subsystem_name: b"sftp" });
                if granted {
                    self.sessions.start_tree((peer, id), &self.tree);
                }
                if want_reply {
                    conn.channel(id)?.reply(granted)?;
                }
            }
            Event::Channel(id, ChannelEvent::Data { data }) => {
                self.sessions.handle_data((peer, id), conn, data)?;
            }
            Event::Channel(id, ChannelEvent::Eof) => self.sessions.handle_eof((peer, id), conn)?,
            Event::Channel(id, ChannelEvent::Closed) => self.sessions.close(&(peer, id)),
            _ => {}
        }
        Ok(())
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        self.sessions.pump((peer, id), conn)
    }

    fn disconnect(&mut self, _: &mut Context<'_>, peer: PeerId, _: Result<(), Error>) {
        self.sessions.disconnect(peer);
    }

    fn source(&mut self, _: &mut Context<'_>, peers: &mut Peers<'_, Server>, _: Source) -> Result<(), Error> {
        self.sessions.answered(peers);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Logs in `logs`, a server of them, and where its client works.
struct Case {
    directory: TempDir,
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Case {
    /// `logs/access.log` is the log `shop`.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["logs", "here"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let shop = Arc::new(LogFiles::new("shop".to_owned()));
        shop.set([directory.path().join("logs/access.log")]);
        let tree: Arc<dyn Tree> = Arc::new(LogTree::new(vec![shop]));
        let (is_over, mut wakers) = (Arc::<AtomicBool>::default(), None);
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let config =
            Arc::new(ServerConfig::new(vec![Arc::new(PrivateKey::generate_ed25519(&mut SystemRng))]));
        let mut driver = Driver::with_waker(|waker| {
            wakers = Some(Arc::clone(&waker));
            Ok(Serving { tree, sessions: Sessions::new(waker), is_over: Arc::clone(&is_over) })
        })
        .unwrap();
        let accept = move |_, now| {
            let userauth = Default::default();
            Connection::new(Arc::clone(&config), userauth, Default::default(), Box::new(SystemRng), now)
        };
        driver.listen(listener, Box::new(accept)).unwrap();
        let thread = Some(std::thread::spawn(move || driver.run().unwrap()));
        let case = Self { directory, address, is_over, waker: wakers.unwrap(), thread };
        let key = case.path("key").into_os_string();
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key).status();
        assert!(made.unwrap().success());
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_remove("SSH_AUTH_SOCK").current_dir(self.path("here"));
        command
            .args(["-q", "-F", "none", "-P", &self.address.port().to_string(), "-i"])
            .arg(self.path("key"));
        for option in ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes"] {
            command.args(["-o", option]);
        }
        command
    }

    fn batch(&self, lines: &str) -> Output {
        let mut command = self.client("sftp");
        command.args(["-b", "-", "ann@127.0.0.1"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.waker.wake().unwrap();
        let ended = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || ended.is_ok());
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn openssh_lists_and_fetches_a_log_with_its_rotated_files_and_changes_nothing() {
    let case = Case::new();
    let large = b"203.0.113.7 - - [01/Mar/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n".repeat(50_000);
    for (name, text) in [("access.log", &large[..]), ("access.log.1", b"old\n"), ("access.log.2.gz", b"gz")] {
        fs::write(case.path("logs").join(name), text).unwrap();
    }
    fs::write(case.path("logs/error.log"), "not for ann").unwrap();
    let listed =
        case.batch("ls -l\npwd\ncd shop\nls -1\nls -l access.log.1\ndf\nget access.log\nget -r /shop tree\n");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success(), "{text} {}", String::from_utf8_lossy(&listed.stderr));
    assert!(text.contains("Remote working directory: /\n"), "{text}");
    assert!(
        text.contains("\naccess.log\naccess.log.1\naccess.log.2.gz\n") && !text.contains("error"),
        "{text}"
    );
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with(['d', '-'])).collect();
    let [directory, file] = lines[..] else { panic!("{text}") };
    assert!(directory.starts_with("dr-xr-xr-x") && directory.ends_with(" shop"), "{directory}");
    assert!(file.starts_with("-r--r--r--") && file.ends_with(" access.log.1"), "{file}");
    assert!(fs::read(case.path("here/access.log")).unwrap() == large);
    assert_eq!(names(&case.path("here/tree")), ["access.log", "access.log.1", "access.log.2.gz"]);
    assert!(fs::read(case.path("here/tree/access.log")).unwrap() == large);

    let before = names(&case.path("logs"));
    fs::write(case.path("here/mine"), "x").unwrap();
    for (line, why) in [
        ("put mine /shop/access.log", "permission denied"),
        ("put mine /shop/new", "permission denied"),
        ("rm /shop/access.log.1", "permission denied"),
        ("rename /shop/access.log.1 /shop/x", "permission denied"),
        ("mkdir /x", "permission denied"),
        ("rmdir /shop", "permission denied"),
        ("chmod 777 /shop/access.log", "permission denied"),
        ("ln -s /etc/passwd /shop/x", "permission denied"),
        ("get /shop/error.log", "not found"),
        ("get /shop/../../etc/passwd", "not found"),
        ("cd /etc", "no such file"),
    ] {
        let told = case.batch(&format!("{line}\n"));
        let text = String::from_utf8_lossy(&told.stderr).to_lowercase();
        assert!(!told.status.success() && text.contains(why), "{line}: {text}");
    }
    assert_eq!(names(&case.path("logs")), before);
    assert!(fs::read(case.path("logs/access.log")).unwrap() == large);
}

#[test]
fn scp_fetches_by_pattern_and_is_refused_what_is_not_there() {
    let case = Case::new();
    for name in ["access.log", "access.log.1", "error.log"] {
        fs::write(case.path("logs").join(name), name).unwrap();
    }
    let got = case.client("scp").args(["-p", "ann@127.0.0.1:/shop/*.log*", "."]).output().unwrap();
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    assert_eq!(names(&case.path("here")), ["access.log", "access.log.1"]);
    let (here, there) = (case.path("here/access.log"), case.path("logs/access.log"));
    let seconds = |path: PathBuf| {
        let time = path.metadata().unwrap().modified().unwrap();
        time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    };
    assert_eq!(seconds(here), seconds(there), "its time came with it");
    let none = case.client("scp").args(["ann@127.0.0.1:/shop/error.log", "."]).output().unwrap();
    assert!(!none.status.success());
    assert_eq!(names(&case.path("here")), ["access.log", "access.log.1"]);
}
