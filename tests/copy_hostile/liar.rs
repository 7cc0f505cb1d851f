//! The server: a file system that is made up, and logins that let everybody in.

use super::*;

pub const DIRECTORY: u32 = 0o040_755;
pub const FILE: u32 = 0o100_644;
pub const LINK: u32 = 0o120_777;
pub const FIFO: u32 = 0o010_644;

/// What the server says is there. Whatever else is asked for is a file too, with [`EVIL`] in it, but for patterns.
#[derive(Clone, Default)]
pub struct Lies {
    /// Names in directories, with the modes that the listing says.
    pub directories: BTreeMap<Vec<u8>, Vec<(Vec<u8>, u32)>>,
    pub files: BTreeMap<Vec<u8>, (u32, Vec<u8>)>,
    /// Every directory has another one in it.
    pub endless: bool,
    /// So many directories are in the first one, and none can be opened.
    pub wide: usize,
    /// They can, and in each are two others, and so on until so many are within each other.
    pub deep: usize,
    /// READDIRs are answered after all that came with them was taken, and the most that came is noted.
    pub together: Option<Arc<Mutex<usize>>>,
    /// The most that one READ gives.
    pub short: Option<usize>,
    /// READs are answered the last first, once the end was asked for.
    pub backwards: bool,
    /// The file ends here, whatever its attributes say.
    pub ends: Option<u64>,
    /// What is a link: LSTAT says so, STAT and listings don't; listings say no mode at all.
    pub links: Vec<Vec<u8>>,
    /// Every file is said to be empty.
    pub empty: bool,
    /// FSTAT is answered only once the end was read, by this size.
    pub late: Option<u64>,
    /// What may be written, and was; then nothing else is there. Names are not renamed over.
    pub written: Option<Written>,
    /// The first WRITE at this offset is refused.
    pub refused: Option<u64>,
    /// Nothing can be renamed.
    pub fixed: bool,
    /// A partial file that is there can be neither removed nor replaced.
    pub stuck: bool,
    /// What `~ann` means, if the server can tell.
    pub home: Option<&'static [u8]>,
    /// How a session goes that is not served.
    pub unserved: Option<Unserved>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// Requests are answered by CLOSE.
    Closed,
    /// There is no sftp, and commands print [`PRINTED_LEN`] bytes.
    Printing,
    /// After the first data comes EOF, and nothing else.
    Silent,
    /// Requests are answered by DISCONNECT with [`GOODBYE`].
    Disconnected,
    /// There is no sftp, and commands print until their channel is closed.
    Endless,
}

pub const GOODBYE: &str = "bye\nssh-weblog-cp: 9 files copied\nann@127.0.0.1's password: ";

pub type Written = Arc<Mutex<BTreeMap<Vec<u8>, (u32, Vec<u8>)>>>;

pub const PRINTED_LEN: usize = 200_000;
pub const EVIL: &[u8] = b"evil\n";

pub struct Liar {
    pub lies: Lies,
    pub opened: HashMap<Handle, (Vec<u8>, usize)>,
    pub held: Vec<(Ticket, Vec<u8>)>,
    /// The FSTAT that is answered last.
    pub asked: Option<Ticket>,
    pub readdirs: Vec<(Ticket, Handle)>,
}

impl Liar {
    pub fn mode(&self, path: &[u8]) -> (u32, usize) {
        if self.lies.directories.contains_key(path) || self.lies.endless || path == b"wide" {
            return (DIRECTORY, 0);
        }
        match self.lies.files.get(path) {
            Some((mode, data)) => (*mode, data.len()),
            None => (FILE, EVIL.len()),
        }
    }

    pub fn attrs(&self, path: &[u8]) -> Attributes<'static> {
        let (mode, size) = self.mode(path);
        Attributes {
            size: Some(if self.lies.empty { 0 } else { size as u64 }),
            permissions: Some(mode),
            ac_mod_time: Some((1_000_000_000, 1_100_000_000)),
            ..Attributes::default()
        }
    }

    pub fn listing(&self, path: &[u8], page: usize) -> Vec<(Vec<u8>, u32)> {
        if path == b"wide" {
            let from = page * 1000;
            return (from..self.lies.wide.min(from + 1000))
                .map(|n| (format!("d{n}").into(), DIRECTORY))
                .collect();
        }
        let depth = path.split(|byte| *byte == b'/').count() - 1;
        if path.starts_with(b"wide/") && page == 0 && depth < self.lies.deep {
            return vec![(b"a".to_vec(), DIRECTORY), (b"b".to_vec(), DIRECTORY)];
        }
        match (page, self.lies.endless) {
            (0, true) => vec![(b"d".to_vec(), DIRECTORY)],
            (0, false) => self.lies.directories.get(path).cloned().unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn readdir(&mut self, ticket: Ticket, handle: Handle, server: &mut SftpServer) {
        let Some((path, page)) = self.opened.get_mut(&handle) else {
            // It was closed meanwhile.
            return server.answer_status(ticket, StatusCode::FAILURE).unwrap();
        };
        *page += 1;
        let (path, page) = (path.clone(), *page - 1);
        let mut names = NamesBuf::new();
        for (filename, mode) in self.listing(&path, page) {
            let permissions = Some(mode).filter(|_| self.lies.links.is_empty());
            let attrs = Attributes { permissions, ..Attributes::default() };
            assert!(names.push(&Name { filename: &filename, longname: b"", attrs }));
        }
        match names.names().is_empty() {
            true => server.answer_status(ticket, StatusCode::EOF).unwrap(),
            false => server.answer(ticket, &Answer::Names(names.names())).unwrap(),
        }
    }

    /// Answers the READDIRs that came together.
    pub fn answer_readdirs(&mut self, server: &mut SftpServer) {
        let Some(most) = self.lies.together.clone() else { return };
        let mut most = most.lock().unwrap();
        *most = self.readdirs.len().max(*most);
        for (ticket, handle) in core::mem::take(&mut self.readdirs) {
            self.readdir(ticket, handle, server);
        }
    }

    pub fn read(&mut self, ticket: Ticket, handle: Handle, offset: u64, len: u32, server: &mut SftpServer) {
        let path = &self.opened[&handle].0;
        let data = self.lies.files.get(path).map_or(EVIL, |(_, data)| data.as_slice());
        let end = self.lies.ends.map_or(data.len(), |end| end as usize);
        let rest = data[..end].get(offset as usize..).unwrap_or_default();
        let data = &rest[..rest.len().min(len as usize).min(self.lies.short.unwrap_or(usize::MAX))];
        if self.lies.backwards && !data.is_empty() {
            return self.held.push((ticket, data.to_vec()));
        }
        for (ticket, data) in self.held.drain(..).rev() {
            server.answer(ticket, &Answer::Data(&data)).unwrap();
        }
        match data {
            b"" => server.answer_status(ticket, StatusCode::EOF).unwrap(),
            data => return server.answer(ticket, &Answer::Data(data)).unwrap(),
        }
        if let Some(ticket) = self.asked.take() {
            let attrs = Attributes { size: self.lies.late, ..self.attrs(b"") };
            server.answer(ticket, &Answer::Attrs(attrs)).unwrap();
        }
    }
}

impl Liar {
    /// An honest server without any extension.
    pub fn write(
        &mut self,
        written: &Written,
        ticket: Ticket,
        request: &Request<'_, Handle>,
        server: &mut SftpServer,
    ) {
        let mut written = written.lock().unwrap();
        let code = match *request {
            Request::Stat { path } | Request::Lstat { path } => match written.get(path) {
                Some((mode, data)) => {
                    let (size, permissions) = (Some(data.len() as u64), Some(FILE & !0o777 | mode));
                    let attrs = Attributes { size, permissions, ..Attributes::default() };
                    return server.answer(ticket, &Answer::Attrs(attrs)).unwrap();
                }
                None => StatusCode::NO_SUCH_FILE,
            },
            Request::Open { filename, pflags, .. }
                if written.contains_key(filename) && pflags.contains(Pflags::READ) =>
            {
                let handle = ticket.handle().unwrap();
                self.opened.insert(handle, (filename.to_vec(), 0));
                return server.answer(ticket, &Answer::Handle(handle)).unwrap();
            }
            Request::Read { handle, offset, len } => {
                let data = written[&self.opened[&handle].0].1.get(offset as usize..).unwrap_or_default();
                let data = &data[..data.len().min(len as usize)];
                return server.answer(ticket, &Answer::Data(data)).unwrap();
            }
            Request::Open { filename, .. } if written.contains_key(filename) => StatusCode::FAILURE,
            Request::Remove { filename } if self.lies.stuck && filename.ends_with(b".part") => {
                StatusCode::PERMISSION_DENIED
            }
            Request::Open { filename, pflags, attrs } => {
                assert!(pflags.contains(Pflags::WRITE | Pflags::CREAT | Pflags::EXCL));
                written.insert(filename.to_vec(), (attrs.permissions.unwrap(), Vec::new()));
                let handle = ticket.handle().unwrap();
                self.opened.insert(handle, (filename.to_vec(), 0));
                return server.answer(ticket, &Answer::Handle(handle)).unwrap();
            }
            Request::Write { offset, .. } if self.lies.refused == Some(offset) => {
                self.lies.refused = None;
                StatusCode::FAILURE
            }
            Request::Write { handle, offset, data } => {
                let file = &mut written.get_mut(&self.opened[&handle].0).unwrap().1;
                file.resize(file.len().max(offset as usize + data.len()), 0);
                file[offset as usize..][..data.len()].copy_from_slice(data);
                StatusCode::OK
            }
            Request::Fsetstat { handle, attrs } => {
                written.get_mut(&self.opened[&handle].0).unwrap().0 = attrs.permissions.unwrap();
                StatusCode::OK
            }
            Request::Close { .. } => StatusCode::OK,
            Request::Remove { filename } => match written.remove(filename) {
                Some(_) => StatusCode::OK,
                None => StatusCode::NO_SUCH_FILE,
            },
            Request::Rename { .. } if self.lies.fixed => StatusCode::PERMISSION_DENIED,
            Request::Rename { newpath, .. } if written.contains_key(newpath) => StatusCode::FAILURE,
            Request::Rename { oldpath, newpath } => {
                let file = written.remove(oldpath).unwrap();
                written.insert(newpath.to_vec(), file);
                StatusCode::OK
            }
            _ => StatusCode::OP_UNSUPPORTED,
        };
        server.answer_status(ticket, code).unwrap();
    }
}

impl Backend for Liar {
    fn handle_request(&mut self, ticket: Ticket, request: Request<'_, Handle>, server: &mut SftpServer) {
        if let Some(written) = self.lies.written.clone() {
            return self.write(&written, ticket, &request, server);
        }
        match request {
            Request::ExpandPath { path } => {
                let rest = path.strip_prefix(b"~ann").unwrap();
                let expanded = if rest.is_empty() { self.lies.home.unwrap() } else { b"/etc/canary" };
                let mut names = NamesBuf::new();
                let attrs = Attributes::default();
                assert!(names.push(&Name { filename: expanded, longname: b"", attrs }));
                server.answer(ticket, &Answer::Names(names.names())).unwrap();
            }
            Request::Stat { path } if path.contains(&b'*') && !self.lies.files.contains_key(path) => {
                server.answer_status(ticket, StatusCode::NO_SUCH_FILE).unwrap();
            }
            Request::Lstat { path } if self.lies.links.iter().any(|link| link == path) => {
                let attrs = Attributes { permissions: Some(LINK), ..self.attrs(path) };
                server.answer(ticket, &Answer::Attrs(attrs)).unwrap();
            }
            Request::Stat { path } | Request::Lstat { path } => {
                server.answer(ticket, &Answer::Attrs(self.attrs(path))).unwrap();
            }
            Request::Fstat { .. } if self.lies.late.is_some() => self.asked = Some(ticket),
            Request::Fstat { handle } => {
                let attrs = self.attrs(&self.opened[&handle].0);
                server.answer(ticket, &Answer::Attrs(attrs)).unwrap();
            }
            Request::Opendir { path } if path.starts_with(b"wide/") && self.lies.deep == 0 => {
                server.answer_status(ticket, StatusCode::PERMISSION_DENIED).unwrap();
            }
            Request::Open { filename: path, .. } | Request::Opendir { path } => {
                let handle = ticket.handle().unwrap();
                self.opened.insert(handle, (path.to_vec(), 0));
                server.answer(ticket, &Answer::Handle(handle)).unwrap();
            }
            Request::Readdir { handle } if self.lies.together.is_some() => {
                self.readdirs.push((ticket, handle));
            }
            Request::Readdir { handle } => self.readdir(ticket, handle, server),
            Request::Read { handle, offset, len } => self.read(ticket, handle, offset, len, server),
            Request::Close { handle } => {
                self.opened.remove(&handle);
                server.answer_status(ticket, StatusCode::OK).unwrap();
            }
            _ => server.answer_status(ticket, StatusCode::PERMISSION_DENIED).unwrap(),
        }
    }
}

/// One client, served on a thread.
pub struct Serving {
    pub liar: Liar,
    pub channel: Option<ServerChannel>,
    pub done: bool,
}

impl Application<Server> for Serving {
    fn event(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Server>,
        event: Event<'_, Server>,
    ) -> Result<(), Error> {
        match event {
            Event::Userauth(CredentialEvent { ticket, .. }) => {
                conn.accept_user(ticket, &Permissions::FULL)?;
            }
            Event::Channel(id, ChannelEvent::OpenRequest { .. }) => conn.accept_channel(id)?,
            Event::Channel(id, ChannelEvent::Request { request, .. })
                if self.liar.lies.unserved == Some(Unserved::Printing) =>
            {
                let mut channel = conn.channel(id)?;
                let prints = matches!(request, ChannelRequest::Exec { .. });
                channel.reply(prints)?;
                if prints {
                    assert_eq!(channel.write(&[b'x'; PRINTED_LEN]), PRINTED_LEN);
                    channel.send_exit_status(0)?;
                    channel.close()?;
                }
            }
            Event::Channel(id, ChannelEvent::Request { .. })
                if self.liar.lies.unserved == Some(Unserved::Closed) || self.channel.is_some() =>
            {
                conn.channel(id)?.close()?;
            }
            Event::Channel(id, ChannelEvent::Request { request, .. })
                if self.liar.lies.unserved == Some(Unserved::Endless) =>
            {
                let mut channel = conn.channel(id)?;
                let prints = matches!(request, ChannelRequest::Exec { .. });
                channel.reply(prints)?;
                if prints {
                    while channel.write(&[b'x'; PRINTED_LEN]) == PRINTED_LEN {}
                }
            }
            Event::Channel(_, ChannelEvent::Request { .. })
                if self.liar.lies.unserved == Some(Unserved::Disconnected) =>
            {
                conn.disconnect(DisconnectReason::BY_APPLICATION, GOODBYE);
            }
            Event::Channel(id, ChannelEvent::Data { .. })
                if self.liar.lies.unserved == Some(Unserved::Silent) =>
            {
                conn.channel(id)?.send_eof()?;
            }
            Event::Channel(id, ChannelEvent::Request { request: ChannelRequest::Subsystem { .. }, .. }) => {
                let extensions = self.liar.lies.home.map(|_| Extension::ExpandPath).into_iter().collect();
                let limits = ServerLimits { in_flight: 512, extensions, ..ServerLimits::default() };
                self.channel = Some(ServerChannel::new(id, SftpServer::new(limits)));
                conn.channel(id)?.reply(true)?;
            }
            Event::Channel(_, ChannelEvent::Data { data }) => {
                let channel = self.channel.as_mut().unwrap();
                channel.handle_data(conn, &mut self.liar, data)?.unwrap();
                self.liar.answer_readdirs(&mut channel.server);
                channel.pump(conn, &mut self.liar)?.unwrap();
            }
            _ => {}
        }
        Ok(())
    }

    fn writable(
        &mut self,
        _: &mut Context<'_>,
        _: PeerId,
        conn: &mut Connection<Server>,
        id: ChannelId,
    ) -> Result<(), Error> {
        if self.liar.lies.unserved == Some(Unserved::Endless) {
            while conn.channel(id)?.write(&[b'x'; PRINTED_LEN]) == PRINTED_LEN {}
            return Ok(());
        }
        self.channel.as_mut().unwrap().pump(conn, &mut self.liar)?.unwrap();
        Ok(())
    }

    fn disconnect(&mut self, _: &mut Context<'_>, _: PeerId, _: Result<(), Error>) {
        self.done = true;
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
