//! Forwarding: what is listened on here and there, where it leads, and the agent.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strombus::connection::{
    ADMINISTRATIVELY_PROHIBITED, Bind, ChannelEvent, ChannelId, ChannelType, Connection, GlobalEvent,
    open_failure,
};
use strombus::driver::agent::{self, Binding};
use strombus::driver::forward::{Address, Direct, Forwards, Listener, Target};
use strombus::driver::options::Options;
use strombus::driver::text::{escaped, excerpt};
use strombus::driver::{Context, Error, PeerId, Peers, Source, Stream};
use strombus::keys::ssh_config::{Config, End, Forward};
use strombus::tell;
use strombus::transport::Client;

/// All that is forwarded.
pub struct Forwarding {
    forwards: Forwards<Client>,
    config: Config,
    /// Asked of the host, the oldest first, and not answered.
    asked: VecDeque<Forward>,
    /// Where the host listens, and where that leads; nowhere if each connection says it.
    held: Vec<(Bind, Option<End>)>,
    /// The agent, if it is forwarded, and what it is told of the host.
    agent: Option<(PathBuf, Binding)>,
}

impl Forwarding {
    pub fn new(options: &Options, waker: &Arc<mio::Waker>) -> Self {
        let config = options.config.clone();
        let (asked, held, agent) = (VecDeque::new(), Vec::new(), None);
        Self { forwards: Forwards::new(waker), config, asked, held, agent }
    }

    /// Whether no forwarded connection is open.
    pub fn is_idle(&self) -> bool {
        self.forwards.is_idle()
    }

    /// Begins, after the login.
    ///
    /// # Errors
    /// Something failed that the user wants no connection without.
    pub fn start(
        &mut self,
        cx: &mut Context<'_>,
        peer: PeerId,
        conn: &mut Connection<Client>,
    ) -> Result<(), String> {
        let config = self.config.clone();
        for forward in config.local_forward.0.iter().chain(&config.dynamic_forward.0) {
            if let Err(error) = self.listen(cx, peer, forward) {
                tell!("{}: {error}", escaped(format!("bind {}", forward.listen).as_bytes()));
                self.failed("Could not request local forwarding.".to_owned())?;
            }
        }
        for forward in config.remote_forward.0 {
            let asked = match &forward.listen {
                // Without an address the host is asked for its loopback ones.
                End::Tcp { host, port } => {
                    conn.request_tcpip_forward(host.as_deref().unwrap_or("localhost"), *port)
                }
                End::Unix(path) => conn.request_streamlocal_forward(path),
            };
            match asked {
                Ok(()) => self.asked.push_back(forward),
                Err(error) => self.failed(format!("remote forwarding of {}: {error}", forward.listen))?,
            }
        }
        Ok(())
    }

    /// A forwarding failed: an error only if the user said so.
    fn failed(&self, text: String) -> Result<(), String> {
        if self.config.exit_on_forward_failure {
            return Err(text);
        }
        tell!("Warning: {}", escaped(text.as_bytes()));
        Ok(())
    }

    fn listen(&mut self, cx: &mut Context<'_>, peer: PeerId, forward: &Forward) -> std::io::Result<()> {
        let listeners = match &forward.listen {
            End::Tcp { host, port } => {
                let address = Address::at_client(host.as_deref(), self.config.gateway_ports);
                Listener::tcp(&address, *port)?.0
            }
            End::Unix(path) => {
                let (mask, unlink) =
                    (self.config.stream_local_bind_mask.0, self.config.stream_local_bind_unlink);
                vec![Listener::unix(Path::new(path), mask, unlink)?]
            }
        };
        let lead = match forward.connect.clone() {
            Some(End::Tcp { host, port }) => Direct::Tcpip { host: named(host), port },
            Some(End::Unix(socket_path)) => Direct::Streamlocal { socket_path },
            None => Direct::Socks,
        };
        self.forwards.listen(cx, peer, listeners, &lead)
    }

    /// Offers the agent on a session, if it is forwarded; whether the host owes a reply.
    pub fn offer_agent(
        &mut self,
        conn: &mut Connection<Client>,
        session: ChannelId,
        binding: Binding,
    ) -> Result<bool, Error> {
        let forward = &self.config.forward_agent;
        let path = agent::socket(&forward.socket, |name| std::env::var_os(name));
        let Some(path) = path.filter(|_| forward.forward) else { return Ok(false) };
        self.agent = Some((path, binding));
        conn.expect_agent_channels();
        conn.channel(session)?.request_auth_agent()?;
        Ok(true)
    }

    /// The host has answered, perhaps about a forwarding.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub fn global(&mut self, event: &GlobalEvent) -> Result<(), String> {
        match event {
            GlobalEvent::Forwarding { asked, held } => {
                let Some(forward) = self.asked.pop_front() else { return Ok(()) };
                if let (Bind::Tcpip { port: 0, .. }, Bind::Tcpip { port, .. }) = (asked, held) {
                    let to = match &forward.connect {
                        Some(End::Tcp { host, port }) => format!("{}:{port}", named(host.clone())),
                        Some(End::Unix(path)) => path.clone(),
                        None => "SOCKS".to_owned(),
                    };
                    tell!("Allocated port {port} for remote forward to {}", escaped(to.as_bytes()));
                }
                self.held.push((held.clone(), forward.connect));
                Ok(())
            }
            GlobalEvent::ForwardingRefused { .. } => {
                let Some(forward) = self.asked.pop_front() else { return Ok(()) };
                self.failed(match forward.listen {
                    End::Tcp { port, .. } => {
                        format!("remote port forwarding failed for listen port {port}")
                    }
                    End::Unix(path) => format!("remote port forwarding failed for listen path {path}"),
                })
            }
            _ => Ok(()),
        }
    }

    /// Something happened to a channel; whether it is a forwarded one.
    pub fn event(
        &mut self,
        cx: &mut Context<'_>,
        key: (PeerId, ChannelId),
        conn: &mut Connection<Client>,
        event: &ChannelEvent<'_>,
    ) -> Result<bool, Error> {
        let ChannelEvent::OpenRequest { channel_type } = event else {
            let forwarded = self.forwards.event(cx, key, conn, event)?;
            if let (ChannelEvent::OpenFailure { reason_code, description }, true) = (event, forwarded) {
                tell!("channel: open failed: {}: {}", open_failure(*reason_code), excerpt(description));
            }
            return Ok(forwarded);
        };
        let is = |bind: &Bind| match (bind, channel_type) {
            (
                Bind::Tcpip { address, port },
                ChannelType::ForwardedTcpip { connected_address, connected_port, .. },
            ) => address.as_bytes() == *connected_address && port == connected_port,
            (Bind::Streamlocal { socket_path }, ChannelType::ForwardedStreamlocal { socket_path: of }) => {
                socket_path.as_bytes() == *of
            }
            _ => false,
        };
        let target = match (channel_type, self.held.iter().find(|(bind, _)| is(bind)), &self.agent) {
            (ChannelType::AuthAgent, _, Some((path, binding))) => {
                let (path, binding) = (path.clone(), binding.clone());
                Target::Made(Box::new(move || {
                    let stream = agent::connect_for_host(&path, &binding)?;
                    Ok(Stream::Unix(mio::net::UnixStream::from_std(stream)))
                }))
            }
            (_, Some((_, Some(End::Tcp { host, port }))), _) => Target::Tcp(named(host.clone()), *port),
            (_, Some((_, Some(End::Unix(path)))), _) => Target::Unix(path.clone()),
            (_, Some((_, None)), _) => {
                self.forwards.accept_socks(key, conn)?;
                return Ok(true);
            }
            _ => {
                conn.refuse_channel(key.1, ADMINISTRATIVELY_PROHIBITED, "nobody asked for it")?;
                return Ok(true);
            }
        };
        self.forwards.connect(key, target);
        Ok(true)
    }

    /// A channel would take more; whether it is a forwarded one.
    pub fn writable(
        &mut self,
        cx: &mut Context<'_>,
        key: (PeerId, ChannelId),
        conn: &mut Connection<Client>,
    ) -> Result<bool, Error> {
        self.forwards.writable(cx, key, conn)
    }

    /// A descriptor is ready, or the loop was woken.
    pub fn source(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut Peers<'_, Client>,
        source: Source,
    ) -> Result<(), Error> {
        self.forwards.source(cx, peers, source)
    }

    /// The connection is gone.
    pub fn disconnect(&mut self, cx: &mut Context<'_>, peer: PeerId) {
        self.forwards.disconnect(cx, peer);
    }
}

/// A host that is written as nothing is this one.
fn named(host: Option<String>) -> String {
    host.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}
