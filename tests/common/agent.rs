//! The machine's own ssh-agent, in a directory of its own, and programs that ask it there.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// An agent that runs until it is dropped, and the files beside its socket.
pub struct SshAgent {
    child: Child,
    directory: TempDir,
}

impl SshAgent {
    /// Starts it; it is there once it has said so on standard output.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(directory.path().join("socket"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ssh-agent");
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        Self { child, directory }
    }

    /// A file of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// A program that runs in the directory and knows this agent.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).env("SSH_AUTH_SOCK", self.socket()).stdin(Stdio::null());
        command
    }

    /// Runs one that must succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Ends it before its time; its socket stays, and nobody is behind it.
    pub fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        self.end();
    }
}
