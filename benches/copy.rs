//! `ssh-weblog-cp` beside `scp` and `sftp` of the newer OpenSSH: many small files and one large one, over loopback and over a link
//! with a delay.
//!
//! ```text
//! cargo build --release --bins --examples && cargo bench --bench copy [-- FILES MIB ROUNDS FILES_OVER_LINK MIB_OVER_LINK]
//! ```
//!
//! All of them copy from and to the newer OpenSSH's sshd with its sftp-server; ours once more from and to ours. Seconds are
//! whole runs, logins included; medians, with the range that single rounds had. Files lie in memory where there is /dev/shm.

#[expect(dead_code, reason = "the interop tests use the rest")]
#[path = "../tests/interop/openssh.rs"]
mod openssh;

#[path = "common/delay.rs"]
mod delay;

use openssh::{Files, Generation, our_sshd, ours, run, sshd};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const GENERATION: Generation = Generation::Trixie;

/// Of the link, there and back.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// One of the small files (bytes).
const SMALL: usize = 4096;

#[derive(Clone, Copy)]
enum Program {
    Ours,
    Scp,
    Sftp,
}

struct Bench {
    files: Files,
    known_hosts: String,
}

impl Bench {
    fn common(&self, command: &mut Command) {
        command.args(["-q", "-F", "none", "-i", &self.files.text("user_key"), "-o", "BatchMode=yes"]);
        command.args(["-o", &format!("UserKnownHostsFile={}", self.known_hosts)]);
        command.args(["-o", "HostKeyAlias=bench"]);
    }

    fn copy(&self, program: Program, port: u16, from: &Path, to: &Path, down: bool) -> f64 {
        let _none_yet = fs::remove_dir_all(to);
        let port = port.to_string();
        let (from, to) = (from.display(), to.display());
        let (mut command, input) = match program {
            Program::Ours | Program::Scp => {
                let mut command = match program {
                    Program::Ours => ours("ssh-weblog-cp"),
                    _ => Command::new(GENERATION.program("scp")),
                };
                self.common(&mut command);
                if matches!(program, Program::Scp) {
                    command.arg("-S").arg(GENERATION.program("ssh"));
                }
                command.args(["-r", "-P", &port]);
                let (near, far) = if down { ("", "127.0.0.1:") } else { ("127.0.0.1:", "") };
                command.arg(format!("{far}{from}")).arg(format!("{near}{to}"));
                (command, String::new())
            }
            Program::Sftp => {
                let mut command = Command::new(GENERATION.program("sftp"));
                self.common(&mut command);
                command.arg("-S").arg(GENERATION.program("ssh")).args(["-P", &port, "-b", "-", "127.0.0.1"]);
                (command, format!("{} -r {from} {to}\n", if down { "get" } else { "put" }))
            }
        };
        let begun = Instant::now();
        let output = run(&mut command, input.as_bytes());
        let took = begun.elapsed().as_secs_f64();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        took
    }
}

fn size(of: &Path) -> (usize, u64) {
    let mut all = (0, 0);
    for entry in fs::read_dir(of).unwrap().map(Result::unwrap) {
        all = (all.0 + 1, all.1 + entry.metadata().unwrap().len());
    }
    all
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let (many, mib, rounds) = (number(0, 10_000), number(1, 4096), number(2, 3));
    let (many_far, mib_far) = (number(3, 300), number(4, 256));
    let files = Files::new();
    let key = fs::read_to_string(files.path("host_key.pub")).unwrap();
    let known_hosts = files.write("known_hosts", &format!("bench {key}"));
    let sftp_server = format!("Subsystem sftp {}", GENERATION.program("sftp-server").display());
    let theirs = sshd(GENERATION, &files, &[&sftp_server]);
    let ours = our_sshd(&files, &["Subsystem=sftp internal-sftp"]);
    let bench = Bench { files, known_hosts };
    let memory = Path::new("/dev/shm");
    let place = tempfile::tempdir_in(if memory.exists() { memory } else { Path::new("/tmp") }).unwrap();
    let (from, to) = (place.path().join("from"), place.path().join("to"));
    let near = [theirs.port, ours.port];
    let far = near.map(|port| delay::link(port, ROUND_TRIP / 2));
    println!(
        "what                        way   ours s  ours to ours  scp s (ratio, range)    sftp s (ratio, range)"
    );
    for (ports, many, mib, link) in [(near, many, mib, "loopback"), (far, many_far, mib_far, "50 ms")] {
        for small in [true, false] {
            let _none_yet = fs::remove_dir_all(&from);
            fs::create_dir(&from).unwrap();
            let what = if small {
                (0..many).for_each(|n| fs::write(from.join(format!("file{n}")), [b'x'; SMALL]).unwrap());
                format!("{many} of {SMALL} B, {link}")
            } else {
                fs::File::create(from.join("large")).unwrap().set_len(mib << 20).unwrap();
                format!("one of {mib} MiB, {link}")
            };
            for down in [true, false] {
                let runs = [(Program::Ours, 0), (Program::Ours, 1), (Program::Scp, 0), (Program::Sftp, 0)];
                let mut took = [(); 4].map(|()| Vec::new());
                for _ in 0..rounds {
                    for ((program, server), all) in runs.iter().zip(&mut took) {
                        all.push(bench.copy(*program, ports[*server], &from, &to, down));
                        assert_eq!(size(&to), size(&from));
                    }
                }
                let beside = |theirs: &[f64]| {
                    let ratios: Vec<_> =
                        theirs.iter().zip(&took[0]).map(|(theirs, ours)| theirs / ours).collect();
                    let low = ratios.iter().copied().fold(f64::MAX, f64::min);
                    let high = ratios.iter().copied().fold(0.0, f64::max);
                    format!("{:7.2} ({:.2}, {low:.2}–{high:.2})", median(theirs.to_vec()), median(ratios))
                };
                let way = if down { "down" } else { "up" };
                let [own, both, ..] = &took;
                let (own, both) = (median(own.clone()), median(both.clone()));
                println!(
                    "{what:27} {way:5} {own:6.2} {both:8.2}  {}  {}",
                    beside(&took[2]),
                    beside(&took[3])
                );
            }
        }
    }
}
