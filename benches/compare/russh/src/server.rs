//! The server: a handler a connection, a task a command that sends.

use crate::follow::{Files, follow};
use crate::{BLOCK, Outcome, PACKET_MAX, Server, WINDOW, ZEROS, limits};
use bytes::Bytes;
use russh::keys::{PublicKey, load_secret_key};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

pub async fn serve(options: Server) -> Outcome<()> {
    let config = Arc::new(Config {
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![load_secret_key(&options.host_key, None)?],
        window_size: WINDOW,
        maximum_packet_size: PACKET_MAX,
        limits: limits(),
        preferred: options.names.preferred()?,
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    });
    let text = std::fs::read_to_string(&options.authorized_keys)?;
    let known: Vec<PublicKey> = text.lines().filter_map(|line| PublicKey::from_openssh(line).ok()).collect();
    let (known, files) = (Arc::new(known), Arc::new(Files::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("Server listening on 127.0.0.1 port {}.", listener.local_addr()?.port());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (config, known, files) = (Arc::clone(&config), Arc::clone(&known), Arc::clone(&files));
        tokio::spawn(async move {
            let connection = Connection { known, files, channels: HashMap::new(), echoes: HashSet::new() };
            if let Ok(session) = run_stream(config, socket, connection).await {
                let _ended = session.await;
            }
        });
    }
}

struct Connection {
    known: Arc<Vec<PublicKey>>,
    files: Arc<Files>,
    /// Open, and not asked for anything yet.
    channels: HashMap<ChannelId, Channel<Msg>>,
    /// What comes on them goes back.
    echoes: HashSet<ChannelId>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let is_known = self.known.iter().any(|known| known.key_data() == key.public_key.key_data());
        Ok(if is_known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        let words = String::from_utf8_lossy(command).into_owned();
        let words: Vec<_> = words.split_ascii_whitespace().collect();
        // What comes in on a channel that is dropped goes to `data` alone.
        let Some(channel) = self.channels.remove(&id) else { return Ok(()) };
        match *words.as_slice() {
            ["true"] => end(session, id, 0),
            ["head", "-c", count, "/dev/zero"] => match count.parse() {
                Ok(count) => drop(tokio::spawn(pour(channel, count))),
                Err(_) => end(session, id, 1),
            },
            ["cat", ">/dev/null"] => {}
            ["cat"] => drop(self.echoes.insert(id)),
            ["tail", "-n0", "-f", path] => {
                tokio::spawn(follow(Arc::clone(&self.files), channel, path.into()));
            }
            _ => end(session, id, 127),
        }
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        match self.echoes.contains(&id) {
            true => session.data(id, Bytes::copy_from_slice(data)),
            false => Ok(()),
        }
    }

    /// Of `cat`; the others have ended, or do not look at it.
    async fn channel_eof(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        end(session, id, 0);
        Ok(())
    }
}

/// A command is done; of a channel that is gone nobody asks.
fn end(session: &mut Session, id: ChannelId, status: u32) {
    let _gone = session.exit_status_request(id, status);
    let _gone = session.eof(id);
    let _gone = session.close(id);
}

async fn pour(channel: Channel<Msg>, count: u64) -> Result<(), russh::Error> {
    let mut left = count;
    while left > 0 {
        let n = left.min(BLOCK as u64);
        channel.data_bytes(Bytes::from_static(&ZEROS[..n as usize])).await?;
        left -= n;
    }
    channel.exit_status(0).await?;
    channel.eof().await?;
    channel.close().await
}
