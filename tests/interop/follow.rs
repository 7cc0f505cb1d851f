//! What following a log on a host relies on, on real ones: OpenSSH's `sftp-server`, and a shell behind `sshd`.

use super::openssh::{Files, Generation, Server, Trust, ssh_trusting, sshd, user};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use strombus::sftp::{Answer, ClientEvent, Pflags, Reassembly, Request, SftpClient, Step};
use strombus::weblog::follow::shell::{COMMAND, Event, Next, ShellFollower, Start};

fn ssh(generation: Generation, files: &Files, server: &Server) -> Command {
    let mut command = ssh_trusting(generation, files, server.port, &Trust::test_key(files, server.port));
    command.args(["-T", "-l", &user()]);
    command
}

/// SFTP through `ssh -s`: one request after another.
struct Sftp {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    client: SftpClient<()>,
    reassembly: Reassembly,
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Size(u64),
    Status(u32),
}

impl Sftp {
    fn new(command: &mut Command) -> Self {
        let mut child = command
            .args(["-s", "127.0.0.1", "sftp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut sftp =
            Self { child, stdin, stdout, client: SftpClient::new(), reassembly: Reassembly::new() };
        assert_eq!(sftp.next(), None, "it is ready");
        sftp
    }

    fn ask(&mut self, request: &Request<'_>) -> Said {
        self.client.request((), request).unwrap();
        self.next().unwrap()
    }

    /// What comes next: an answer, or that it is ready.
    fn next(&mut self) -> Option<Said> {
        let mut chunk = [0; 4096];
        loop {
            self.stdin.write_all(self.client.output()).unwrap();
            self.client.consume_output(self.client.output().len());
            let n = self.stdout.read(&mut chunk).unwrap();
            assert!(n > 0, "it lives");
            let mut data = &chunk[..n];
            let mut said = None;
            loop {
                match self.client.handle_input(&mut self.reassembly, &mut data).unwrap() {
                    Step::NeedInput | Step::Busy => break,
                    Step::Progress => {}
                    Step::Event(ClientEvent::Ready) => said = Some(None),
                    Step::Event(ClientEvent::Answer { answer, .. }) => {
                        said = Some(Some(match answer {
                            Answer::Handle(handle) => Said::Handle(handle.to_vec()),
                            Answer::Data(data) => Said::Data(data.to_vec()),
                            Answer::Attrs(attrs) => Said::Size(attrs.size.unwrap()),
                            Answer::Status(status) => Said::Status(status.code.0),
                            other => panic!("{other:?}"),
                        }));
                    }
                }
            }
            if let Some(said) = said {
                return said;
            }
        }
    }
}

impl Drop for Sftp {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn a_handle_reads_on_in_its_file_when_the_name_goes_to_another_and_when_it_is_gone() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &["Subsystem sftp internal-sftp"]);
        let log = files.path("access.log");
        fs::write(&log, "one\n").unwrap();
        let mut writer = OpenOptions::new().append(true).open(&log).unwrap();
        let path = files.text("access.log");
        let stat = Request::Stat { path: path.as_bytes() };
        let mut sftp = Sftp::new(&mut ssh(generation, &files, &server));
        let open =
            Request::Open { filename: path.as_bytes(), pflags: Pflags::READ, attrs: Default::default() };
        let Said::Handle(handle) = sftp.ask(&open) else { panic!("it is there") };
        let read = |offset| Request::Read { handle: handle.as_slice(), offset, len: 100 };
        let fstat = Request::Fstat { handle: handle.as_slice() };
        assert_eq!(sftp.ask(&read(0)), Said::Data(b"one\n".to_vec()));
        assert_eq!(sftp.ask(&read(4)), Said::Status(1), "the end");

        fs::rename(&log, files.path("access.log.1")).unwrap();
        assert_eq!(sftp.ask(&stat), Said::Status(2), "no such file");
        fs::write(&log, "another file\n").unwrap();
        writer.write_all(b"two\n").unwrap();
        assert_eq!((sftp.ask(&fstat), sftp.ask(&stat)), (Said::Size(8), Said::Size(13)));
        assert_eq!(sftp.ask(&read(4)), Said::Data(b"two\n".to_vec()));

        fs::remove_file(files.path("access.log.1")).unwrap();
        writer.write_all(b"three\n").unwrap();
        assert_eq!(sftp.ask(&fstat), Said::Size(14));
        assert_eq!(sftp.ask(&read(8)), Said::Data(b"three\n".to_vec()));

        fs::write(&log, "").unwrap();
        assert_eq!((sftp.ask(&fstat), sftp.ask(&stat)), (Said::Size(14), Said::Size(0)), "{generation:?}");
    }
}

#[test]
fn a_shell_behind_sshd_follows_a_log() {
    for generation in Generation::ALL {
        let files = Files::new();
        let server = sshd(generation, &files, &[]);
        let log = files.write("access.log", "one\n");
        let mut follower = ShellFollower::new(log.as_bytes(), Start::Line(1));
        let mut command = ssh(generation, &files, &server);
        let mut child = command
            .args(["127.0.0.1", COMMAND])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&follower.begin([7; 16])).unwrap();
        let (mut stdout, mut text) = (child.stdout.take().unwrap(), Vec::new());
        for (append, expected) in [("two\n", "one\n"), ("", "one\ntwo\n")] {
            while text.len() < expected.len() {
                let mut chunk = [0; 4096];
                let n = stdout.read(&mut chunk).unwrap();
                assert!(n > 0, "it lives");
                let next = follower.handle_data(&chunk[..n], |event| {
                    if let Event::Data { bytes, .. } = event {
                        text.extend_from_slice(bytes);
                    }
                });
                assert_eq!(next, Ok(Next::Wait));
            }
            assert_eq!(text, expected.as_bytes(), "{generation:?}");
            OpenOptions::new().append(true).open(&log).unwrap().write_all(append.as_bytes()).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
