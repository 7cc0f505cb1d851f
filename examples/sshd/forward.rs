//! Forwarding: what the options and the user's rights let a client have, and the agent's socket.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strombus::connection::{
    ADMINISTRATIVELY_PROHIBITED, Bind, ChannelEvent, ChannelId, ChannelType, Connection, GlobalEvent,
};
use strombus::driver::forward::{
    Address, Ask, Forwarded, Forwards, GatewayPorts, Listener, Requests, Target,
};
use strombus::driver::{Context, Error, PeerId, Peers, Source};
use strombus::keys::authorized_keys::{endpoint, listener};
use strombus::keys::ssh_config::Mask;
use strombus::tell;
use strombus::transport::Server;
use strombus::userauth::{Endpoint, Permissions};
use tempfile::TempDir;

/// In which direction connections may go.
#[derive(Clone, Copy)]
struct Allowed {
    /// Clients may have the server connect.
    local: bool,
    /// Clients may have the server listen.
    remote: bool,
}

impl Allowed {
    fn parse(value: &str) -> Result<Self, String> {
        let (local, remote) = match value {
            "yes" | "all" => (true, true),
            "no" => (false, false),
            "local" => (true, false),
            "remote" => (false, true),
            _ => return Err("yes, no, local or remote".to_owned()),
        };
        Ok(Self { local, remote })
    }
}

/// What the options say of it.
#[derive(Clone)]
pub struct ForwardOptions {
    tcp: Allowed,
    streamlocal: Allowed,
    agent: bool,
    disabled: bool,
    gateway_ports: GatewayPorts,
    /// PermitOpen and PermitListen.
    permits: Permissions,
    mask: u32,
    unlink: bool,
}

impl Default for ForwardOptions {
    /// Those of sshd_config(5).
    fn default() -> Self {
        let all = Allowed { local: true, remote: true };
        Self {
            tcp: all,
            streamlocal: all,
            agent: true,
            disabled: false,
            gateway_ports: GatewayPorts::No,
            permits: Permissions::FULL,
            mask: 0o177,
            unlink: false,
        }
    }
}

impl ForwardOptions {
    /// Takes an option, if it is one of these.
    pub fn set(&mut self, keyword: &str, value: &str) -> Option<Result<(), String>> {
        self.try_set(keyword.to_ascii_lowercase().as_str(), value).transpose()
    }

    fn try_set(&mut self, keyword: &str, value: &str) -> Result<Option<()>, String> {
        let yes = || match value {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err("yes or no".to_owned()),
        };
        match keyword {
            "allowagentforwarding" => self.agent = yes()?,
            "allowstreamlocalforwarding" => self.streamlocal = Allowed::parse(value)?,
            "allowtcpforwarding" => self.tcp = Allowed::parse(value)?,
            "disableforwarding" => self.disabled = yes()?,
            "gatewayports" => {
                self.gateway_ports = match value {
                    "clientspecified" => GatewayPorts::ClientSpecified,
                    _ if yes()? => GatewayPorts::Yes,
                    _ => GatewayPorts::No,
                }
            }
            "permitlisten" => self.permits.permit_listen = permitted(value, listener)?,
            "permitopen" => self.permits.permit_open = permitted(value, endpoint)?,
            "streamlocalbindmask" => self.mask = Mask::parse(value)?.0,
            "streamlocalbindunlink" => self.unlink = yes()?,
            _ => return Ok(None),
        }
        Ok(Some(()))
    }
}

/// A list of hosts and ports; no list for `any`, and an empty one for `none`.
fn permitted(value: &str, parse: fn(&[u8]) -> Option<Endpoint>) -> Result<Vec<Vec<Endpoint>>, String> {
    let parse = |word: &str| parse(word.as_bytes()).ok_or(format!("{word}: write it as HOST:PORT"));
    match value {
        "any" => Ok(Vec::new()),
        "none" => Ok(vec![Vec::new()]),
        list => Ok(vec![list.split_ascii_whitespace().map(parse).collect::<Result<_, _>>()?]),
    }
}

/// All that is forwarded.
pub struct Forwarding {
    options: ForwardOptions,
    forwards: Forwards<Server>,
    requests: Requests,
    /// The socket of each client's agent, in a directory that goes with it.
    agents: HashMap<PeerId, TempDir>,
}

impl Forwarding {
    pub fn new(options: ForwardOptions, waker: &Arc<mio::Waker>) -> Self {
        let (forwards, requests) = (Forwards::new(waker), Requests::new(waker));
        Self { options, forwards, requests, agents: HashMap::new() }
    }

    /// What a client asks to be connected to, if it may be.
    fn target(&self, permissions: &Permissions, channel_type: ChannelType<'_>) -> Option<Target> {
        let options = &self.options;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        match channel_type {
            ChannelType::DirectTcpip { host, port, .. } if options.tcp.local && !options.disabled => {
                let host = text(host)?;
                let may = permissions.permits_open(&host, port) && options.permits.permits_open(&host, port);
                may.then_some(Target::Tcp(host, port))
            }
            ChannelType::DirectStreamlocal { socket_path }
                if options.streamlocal.local && !options.disabled && permissions.port_forwarding =>
            {
                Some(Target::Unix(text(socket_path)?))
            }
            _ => None,
        }
    }

    /// What is done about a request to listen.
    fn ask(&self, permissions: &Permissions, bind: Bind) -> Ask {
        let options = &self.options;
        match bind {
            _ if options.disabled => Ask::Refuse,
            Bind::Tcpip { address, port }
                if options.tcp.remote
                    && permissions.permits_listen(&address, port)
                    && options.permits.permits_listen(&address, port) =>
            {
                Ask::Tcp { at: Address::at_server(&address, options.gateway_ports), address, port }
            }
            Bind::Streamlocal { socket_path }
                if options.streamlocal.remote && permissions.port_forwarding =>
            {
                Ask::Unix { socket_path, mask: options.mask, unlink: options.unlink }
            }
            _ => Ask::Refuse,
        }
    }

    /// A client asks to listen, or not to listen any more.
    pub fn global(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        event: GlobalEvent,
    ) -> Result<(), Error> {
        let permissions = conn.permissions().cloned().unwrap_or(Permissions::BARE);
        let ask = match event {
            GlobalEvent::Forward { bind, want_reply } => (self.ask(&permissions, bind), want_reply),
            GlobalEvent::CancelForward { bind, want_reply } => (Ask::Stop(bind), want_reply),
            _ => return Ok(()),
        };
        self.requests.serve(cx, &mut self.forwards, peer, conn, ask)
    }

    /// Something happened to a channel; whether it is a forwarded one.
    pub fn event(
        &mut self,
        cx: &mut Context<'_>,
        key: (PeerId, ChannelId),
        conn: &mut Connection<Server>,
        event: &ChannelEvent<'_>,
    ) -> Result<bool, Error> {
        match event {
            ChannelEvent::OpenRequest { channel_type: ChannelType::Session } => Ok(false),
            ChannelEvent::OpenRequest { channel_type } => {
                let permissions = conn.permissions().cloned().unwrap_or(Permissions::BARE);
                match self.target(&permissions, *channel_type) {
                    Some(target) => self.forwards.connect(key, target),
                    None => conn.refuse_channel(key.1, ADMINISTRATIVELY_PROHIBITED, "not allowed")?,
                }
                Ok(true)
            }
            event => self.forwards.event(cx, key, conn, event),
        }
    }

    /// A client offers its agent. The socket on which it is then, if it may be forwarded.
    pub fn agent(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &Connection<Server>,
    ) -> Option<PathBuf> {
        let may = conn.permissions().is_some_and(|permissions| permissions.agent_forwarding);
        if !may || !self.options.agent || self.options.disabled {
            return None;
        }
        let path = |directory: &TempDir| directory.path().join("agent");
        if let Some(directory) = self.agents.get(&peer) {
            return Some(path(directory));
        }
        // The directory is the user's alone.
        let made = tempfile::Builder::new().prefix("ssh-").tempdir().and_then(|directory| {
            let socket = Listener::unix(Path::new(&path(&directory)), 0o177, false)?;
            self.forwards.listen(cx, peer, vec![socket], &Forwarded::Agent)?;
            Ok(directory)
        });
        match made {
            Ok(directory) => Some(path(self.agents.entry(peer).or_insert(directory))),
            Err(error) => {
                tell!("no socket for the agent: {error}");
                None
            }
        }
    }

    /// A channel would take more; whether it is a forwarded one.
    pub fn writable(
        &mut self,
        cx: &mut Context<'_>,
        key: (PeerId, ChannelId),
        conn: &mut Connection<Server>,
    ) -> Result<bool, Error> {
        self.forwards.writable(cx, key, conn)
    }

    /// A descriptor is ready, or the loop was woken.
    pub fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Server>,
        source: Source,
    ) -> Result<(), Error> {
        self.forwards.source(cx, peers, source)?;
        if source == Source::Woken {
            self.requests.woken(cx, &mut self.forwards, peers);
        }
        Ok(())
    }

    /// A client is gone.
    pub fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId) {
        self.forwards.disconnect(cx, peer);
        self.requests.disconnect(peer);
        self.agents.remove(&peer);
    }
}
