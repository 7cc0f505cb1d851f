//! The client: one connection, one command.

use crate::{BLOCK, Client, Outcome, PACKET_MAX, WINDOW, ZEROS, limits};
use bytes::Bytes;
use russh::client::{Config, Handler, connect};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{ChannelMsg, Disconnect};
use std::sync::Arc;

struct Trusting;

impl Handler for Trusting {
    type Error = russh::Error;

    /// The benchmark's own server, on loopback.
    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

pub async fn ask(options: Client) -> Outcome<()> {
    let config = Config {
        limits: limits(),
        window_size: WINDOW,
        maximum_packet_size: PACKET_MAX,
        preferred: options.names.preferred()?,
        nodelay: true,
        ..Config::default()
    };
    let key = PrivateKeyWithHashAlg::new(Arc::new(load_secret_key(&options.key, None)?), None);
    let mut session = connect(Arc::new(config), ("127.0.0.1", options.port), Trusting).await?;
    if !session.authenticate_publickey("root", key).await?.success() {
        return Err("the login is refused".into());
    }
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, options.command).await?;
    let mut left = options.pour;
    while left > 0 {
        let n = left.min(BLOCK as u64);
        channel.data_bytes(Bytes::from_static(&ZEROS[..n as usize])).await?;
        left -= n;
    }
    if options.pour > 0 {
        channel.eof().await?;
    }
    let mut status = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    session.disconnect(Disconnect::ByApplication, "", "").await?;
    if status == Some(0) { Ok(()) } else { Err(format!("the command ended with {status:?}").into()) }
}
