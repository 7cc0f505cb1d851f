//! Against the real thing: OpenSSH of two generations, as processes on the loopback interface.
//!
//! Nothing here is skipped: what is missing makes it fail, and `tests/run` installs it.

mod article;
mod axes;
mod copy;
mod dashboard;
mod demo;
mod follow;
mod forward;
mod gate;
mod hostkeys;
mod hundred;
mod keepalive;
mod logins;
mod logrotate;
mod logs;
mod matrix;
mod openssh;
mod peers;
mod progress;
mod proxy;
mod reports;
mod serve;
mod sessions;
mod sftp;
mod streams;
mod suspended;
mod tokens;
mod tools;
mod watch;
mod ways;
mod weblog;
