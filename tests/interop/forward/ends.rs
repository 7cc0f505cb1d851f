//! The two programs of a test, and what is at the ends of what they forward.

use super::*;

/// Who speaks with whom; ours where no generation is named.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    pub client: Option<Generation>,
    pub server: Option<Generation>,
}

pub const SIDES: [Sides; 5] = [
    Sides { client: None, server: None },
    Sides { client: None, server: Some(Generation::Bookworm) },
    Sides { client: None, server: Some(Generation::Trixie) },
    Sides { client: Some(Generation::Bookworm), server: None },
    Sides { client: Some(Generation::Trixie), server: None },
];

/// A server that runs, and how to reach it.
pub struct Case {
    pub sides: Sides,
    pub files: Files,
    pub server: Server,
}

impl Case {
    pub fn new(sides: Sides, options: &[&str]) -> Self {
        let files = Files::new();
        let server = match sides.server {
            Some(generation) => {
                let lines: Vec<_> = options.iter().map(|option| option.replacen('=', " ", 1)).collect();
                sshd(generation, &files, &lines.iter().map(String::as_str).collect::<Vec<_>>())
            }
            None => our_sshd(&files, options),
        };
        Self { sides, files, server }
    }

    /// The client; destination and command follow.
    pub fn ssh(&self) -> Command {
        let mut command = self.lenient();
        command.args(["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"]);
        command
    }

    /// The same, which goes on if a forwarding fails.
    pub fn lenient(&self) -> Command {
        match self.sides.client {
            Some(generation) => ssh(generation, &self.files, self.server.port),
            None => our_ssh(&self.files, self.server.port),
        }
    }

    pub fn destination(&self) -> String {
        format!("{}@127.0.0.1", user())
    }

    /// Runs a command there to its end.
    pub fn run(&self, arguments: &[&str], command: &str) -> Output {
        run(self.ssh().args(arguments).args([&self.destination(), command]), b"")
    }

    /// Forwards until it is dropped; all of it is there when this returns.
    pub fn tunnel(&self, arguments: &[&str]) -> Tunnel {
        self.tunnel_by(self.ssh().args(arguments))
    }

    pub fn tunnel_by(&self, command: &mut Command) -> Tunnel {
        command.args([&self.destination(), "echo ready; cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(command);
        let mut line = String::new();
        let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{:?}: {}{}", self.sides, running.log(), self.server.running.log());
        Tunnel { running }
    }
}

pub struct Tunnel {
    pub running: Running,
}

impl Tunnel {
    /// The command's input ends, and so do the command and the connection.
    pub fn finish(mut self) {
        drop(self.running.child.stdin.take());
        assert_eq!(self.running.wait().code(), Some(0), "{}", self.running.log());
    }
}

/// A socket that can be ended in one direction.
pub trait Ends: Read + Write + Send + Sized + 'static {
    fn twin(&self) -> Self;
    fn end(&self);
}

impl Ends for TcpStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl Ends for UnixStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn end(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

/// Sends back what comes, until that ends.
pub fn echo(mut stream: impl Ends) {
    let mut back = stream.twin();
    let _cut = std::io::copy(&mut stream, &mut back);
    let _gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| back.end()));
}

/// A port on which each connection is served by this.
pub fn serve(by: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let by = by.clone();
            thread::spawn(move || by(stream));
        }
    });
    port
}

pub fn serve_unix(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        listener.incoming().map_while(Result::ok).for_each(|s| drop(thread::spawn(|| echo(s))))
    });
}

pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 97_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// Sends all of it, ends, and gets it back.
pub fn comes_back(mut stream: impl Ends, sent: &[u8], what: &str) {
    let mut to = stream.twin();
    thread::scope(|scope| {
        scope.spawn(move || {
            to.write_all(sent).unwrap();
            to.end();
        });
        let mut came = Vec::new();
        stream.read_to_end(&mut came).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(came == sent, "{what}: {} bytes of {} came back, or others", came.len(), sent.len());
    });
}

pub fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
