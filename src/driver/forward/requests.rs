//! What clients ask a server to listen on, in the order in which they asked.
//!
//! An address that must be looked up takes its time, on a thread; what the same client asks after it waits until it is answered.
//! Who may have what is decided before.

use super::dial::Dialer;
use super::listen::{Address, Listener};
use super::{Context, Error, Forwarded, Forwards, PeerId, Peers};
use crate::connection::{Bind, Connection, GLOBAL_REPLIES_OWED_MAX};
use crate::transport::Server;
use mio::Waker;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What is done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// It is listened on a port of these addresses.
    Tcp {
        /// As the client asks for it.
        address: String,
        /// 0 for one that is free.
        port: u16,
        /// Where that is.
        at: Address,
    },
    /// It is listened on a Unix socket.
    Unix {
        /// The path.
        socket_path: String,
        /// What the mode lacks.
        mask: u32,
        /// Whether it takes the place of what is there.
        unlink: bool,
    },
    /// It is listened there no longer.
    Stop(Bind),
    /// Nothing.
    Refuse,
}

/// One that is not answered.
struct Open {
    ask: Ask,
    want_reply: bool,
    /// A thread looks up the address.
    under_way: bool,
}

/// The requests of all clients.
pub struct Requests {
    binder: Dialer<PeerId, (Vec<Listener>, u16)>,
    open: HashMap<PeerId, VecDeque<Open>>,
}

impl Requests {
    /// Has none yet. `waker` is that of the loop.
    #[must_use]
    pub fn new(waker: &Arc<Waker>) -> Self {
        Self { binder: Dialer::new(Arc::clone(waker)), open: HashMap::new() }
    }

    /// Does what a client asks for, now or when what it asked before is done, and answers it.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn serve(
        &mut self,
        cx: &mut Context<'_>,
        forwards: &mut Forwards<Server>,
        peer: PeerId,
        conn: &mut Connection<Server>,
        (ask, want_reply): (Ask, bool),
    ) -> Result<(), Error> {
        let open = self.open.entry(peer).or_default();
        // Who wants no reply is not held to be answered first.
        if want_reply || open.len() < GLOBAL_REPLIES_OWED_MAX {
            open.push_back(Open { ask, want_reply, under_way: false });
        }
        self.advance(cx, forwards, peer, conn)
    }

    /// The loop was woken, perhaps for this. A connection that ends by its answer tells that in its own turn: it is no error of
    /// the loop, which serves others.
    pub fn woken(
        &mut self,
        cx: &mut Context<'_>,
        forwards: &mut Forwards<Server>,
        peers: &mut Peers<'_, Server>,
    ) {
        while let Some((peer, outcome)) = self.binder.outcome() {
            let Some(open) = self.open.get_mut(&peer).and_then(VecDeque::pop_front) else { continue };
            let Some(conn) = peers.get(peer) else { continue };
            if let Ask::Tcp { address, .. } = &open.ask {
                let bound = outcome
                    .and_then(|(listeners, port)| listen(cx, forwards, peer, listeners, address, port));
                let _ended = answer(conn, open.want_reply, bound.ok());
            }
            let _ended = self.advance(cx, forwards, peer, conn);
        }
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        forwards: &mut Forwards<Server>,
        peer: PeerId,
        conn: &mut Connection<Server>,
    ) -> Result<(), Error> {
        let Some(queue) = self.open.get_mut(&peer) else { return Ok(()) };
        while let Some(open) = queue.front_mut().filter(|open| !open.under_way) {
            let bound = match &open.ask {
                Ask::Tcp { port, at, .. } if at.is_name() => {
                    let (at, port) = (at.clone(), *port);
                    self.binder.start(peer, Box::new(move || Listener::tcp(&at, port)));
                    open.under_way = true;
                    return Ok(());
                }
                Ask::Tcp { address, port, at } => Listener::tcp(at, *port)
                    .and_then(|(listeners, port)| listen(cx, forwards, peer, listeners, address, port))
                    .ok(),
                Ask::Unix { socket_path, mask, unlink } => {
                    let lead = Forwarded::Streamlocal { socket_path: socket_path.clone() };
                    Listener::unix(Path::new(socket_path), *mask, *unlink)
                        .and_then(|listener| forwards.listen(cx, peer, vec![listener], &lead))
                        .map(|()| 0)
                        .ok()
                }
                Ask::Stop(bind) => forwards.stop_listening(cx, peer, &lead(bind)).then_some(0),
                Ask::Refuse => None,
            };
            answer(conn, open.want_reply, bound)?;
            queue.pop_front();
        }
        self.open.retain(|_, queue| !queue.is_empty());
        Ok(())
    }

    /// A client is gone.
    pub fn disconnect(&mut self, peer: PeerId) {
        self.open.remove(&peer);
        self.binder.forget(|of| of == peer);
    }
}

fn listen(
    cx: &mut Context<'_>,
    forwards: &mut Forwards<Server>,
    peer: PeerId,
    listeners: Vec<Listener>,
    address: &str,
    port: u16,
) -> io::Result<u16> {
    let lead = Forwarded::Tcpip { connected_address: address.to_owned(), connected_port: port };
    forwards.listen(cx, peer, listeners, &lead).map(|()| port)
}

fn lead(bind: &Bind) -> Forwarded {
    match bind {
        Bind::Tcpip { address, port } => {
            Forwarded::Tcpip { connected_address: address.clone(), connected_port: *port }
        }
        Bind::Streamlocal { socket_path } => Forwarded::Streamlocal { socket_path: socket_path.clone() },
    }
}

fn answer(conn: &mut Connection<Server>, want_reply: bool, bound: Option<u16>) -> Result<(), Error> {
    match bound {
        _ if !want_reply => Ok(()),
        Some(port) => Ok(conn.accept_global_request(port)?),
        None => Ok(conn.refuse_global_request()?),
    }
}
