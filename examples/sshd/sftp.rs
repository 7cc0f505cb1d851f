//! SFTP on session channels: which requests ask for it, and what the line of the subsystem says.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use strombus::connection::{ChannelEvent, ChannelId, Connection, Request};
use strombus::driver::sftp::{Root, Service, Sessions};
use strombus::driver::{Error, PeerId, options};
use strombus::transport::Server;

/// The command that is served here.
const INTERNAL: &str = "internal-sftp";

/// The SFTP sessions, if a line of sshd_config(5) asks for them, and what each serves.
pub struct Sftp {
    pub sessions: Sessions,
    /// Of `Subsystem sftp`.
    subsystem: Option<Arc<Service>>,
}

impl Sftp {
    pub const fn new(sessions: Sessions, subsystem: Option<Arc<Service>>) -> Self {
        Self { sessions, subsystem }
    }

    /// Takes what happens to a channel of SFTP, and the request for it. Whether it did.
    pub fn event(
        &mut self,
        session: (PeerId, ChannelId),
        conn: &mut Connection<Server>,
        event: &ChannelEvent<'_>,
    ) -> Result<bool, Error> {
        match event {
            ChannelEvent::Request { request, want_reply } if !self.sessions.contains(&session) => {
                let forced = conn.permissions().and_then(|permissions| permissions.force_command.as_deref());
                let Some(service) = self.service(request, forced) else { return Ok(false) };
                self.sessions.start(session, &service);
                if *want_reply {
                    conn.channel(session.1)?.reply(true)?;
                }
            }
            _ if !self.sessions.contains(&session) => return Ok(false),
            ChannelEvent::Request { want_reply: true, .. } => conn.channel(session.1)?.reply(false)?,
            ChannelEvent::Data { data } => self.sessions.handle_data(session, conn, data)?,
            ChannelEvent::Eof => self.sessions.handle_eof(session, conn)?,
            ChannelEvent::Closed => self.sessions.close(&session),
            _ => {}
        }
        Ok(true)
    }

    /// A forced command beats what is asked for, and may be this one.
    fn service(&self, request: &Request<'_>, forced: Option<&[u8]>) -> Option<Arc<Service>> {
        match (request, forced) {
            (Request::Shell | Request::Exec { .. } | Request::Subsystem { .. }, Some(forced)) => {
                let service = service(core::str::from_utf8(forced).ok()?).ok()??;
                Some(Arc::new(service))
            }
            (Request::Subsystem { subsystem_name: b"sftp" }, None) => self.subsystem.clone(),
            _ => None,
        }
    }
}

/// What `Subsystem` says; nothing if it is `none`.
pub fn subsystem(value: &str) -> Result<Option<Arc<Service>>, String> {
    if value.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let command = value.strip_prefix("sftp").filter(|rest| rest.starts_with(char::is_whitespace));
    let command = command.ok_or("sftp is the subsystem that there is")?;
    let service = service(command)?.ok_or_else(|| format!("{INTERNAL} is the command that there is"))?;
    Ok(Some(Arc::new(service)))
}

/// What `internal-sftp [-R] [-d DIR]` serves; nothing if it is another command. A relative directory is in the home.
fn service(command: &str) -> Result<Option<Service>, String> {
    let mut words = command.split_ascii_whitespace();
    if words.next() != Some(INTERNAL) {
        return Ok(None);
    }
    let (mut start, mut read_only) = (options::home(), false);
    while let Some(word) = words.next() {
        match word {
            "-R" => read_only = true,
            "-d" => start = crate::options::of_user(Path::new(words.next().ok_or("-d: which directory")?))?,
            _ => return Err(format!("{word}: -R and -d DIR are the options that there are")),
        }
    }
    // Otherwise /proc/self/mem would be the server's memory for whoever may only use files.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| error.to_string())?;
    let root = Root::open(Path::new("/")).map_err(|error| error.to_string())?;
    Ok(Some(Service { root, start: start.as_os_str().as_bytes().to_vec(), read_only }))
}
