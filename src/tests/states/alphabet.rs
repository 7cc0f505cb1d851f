//! Every message there is, with one valid body each where it has one; several where the body decides what it means.

use super::peer::Peer;
use super::{HOST_KEY, USER_KEY};
use crate::tests::hostile::payload;
use crate::wire::message::*;
use crate::wire::{NameList, Writer};

/// A message that the peer can say.
pub(super) struct Letter {
    /// The number, and what tells it from others with the same.
    pub(super) name: &'static str,
    payload: fn(&mut Peer) -> Vec<u8>,
}

impl Letter {
    pub(super) fn payload(&self, peer: &mut Peer) -> Vec<u8> {
        let payload = (self.payload)(peer);
        assert_eq!(payload[0], self.number(), "{}", self.name);
        payload
    }

    pub(super) fn number(&self) -> u8 {
        self.name.split('.').next().unwrap().parse().unwrap()
    }

    /// Whether no specification that is implemented here gives the number a meaning.
    pub(super) fn is_unknown(&self) -> bool {
        crate::wire::number::name(self.number()).is_none()
    }
}

/// The letter of that name.
pub(super) fn letter(name: &str) -> &'static Letter {
    ALPHABET.iter().find(|letter| letter.name == name).expect(name)
}

/// A payload of fields that no struct has.
fn raw(number: u8, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut payload = vec![number];
    write(&mut Writer::new(&mut payload));
    payload
}

fn request(user: &str, service: &str, method: &str, fields: &[u8]) -> Vec<u8> {
    payload(&UserauthRequest {
        user_name: user.as_bytes(),
        service_name: service.as_bytes(),
        method_name: method.as_bytes(),
        method_fields: fields,
    })
}

fn of_ann(method: &str, fields: &[u8]) -> Vec<u8> {
    request("ann", "ssh-connection", method, fields)
}

/// A request with ann's key, as a question or with its signature.
fn publickey(peer: &Peer, method: &str, host_key: Option<Vec<u8>>, signed: bool) -> Vec<u8> {
    let key = &*USER_KEY;
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    w.boolean(signed);
    w.string(b"ssh-ed25519");
    w.string(&key.public_key().blob());
    if let Some(k_s) = host_key {
        w.string(&k_s);
    }
    if signed {
        let mut data = Vec::new();
        let mut w = Writer::new(&mut data);
        w.string(&peer.session_id);
        w.bytes(&of_ann(method, &fields));
        Writer::new(&mut fields).string(&key.sign(key.algorithms()[0], &data).unwrap());
    }
    of_ann(method, &fields)
}

fn password(passwords: &[&[u8]], change: bool) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    w.boolean(change);
    passwords.iter().for_each(|password| w.string(password));
    of_ann("password", &fields)
}

fn open(channel_type: &[u8]) -> Vec<u8> {
    payload(&ChannelOpen {
        channel_type,
        sender_channel: 5,
        initial_window_size: 1000,
        maximum_packet_size: 1000,
        type_fields: b"",
    })
}

fn channel_request(recipient_channel: u32, request_type: &[u8], want_reply: bool, fields: &[u8]) -> Vec<u8> {
    payload(&ChannelRequest { recipient_channel, request_type, want_reply, type_fields: fields })
}

fn confirmation(recipient_channel: u32) -> Vec<u8> {
    payload(&ChannelOpenConfirmation {
        recipient_channel,
        sender_channel: 5,
        initial_window_size: 1000,
        maximum_packet_size: 1000,
        type_fields: b"",
    })
}

fn open_failure(recipient_channel: u32) -> Vec<u8> {
    payload(&ChannelOpenFailure { recipient_channel, reason_code: 4, description: b"", language_tag: b"" })
}

fn global_request(want_reply: bool) -> Vec<u8> {
    payload(&GlobalRequest { request_name: b"keepalive@openssh.com", want_reply, request_fields: b"" })
}

fn data(recipient_channel: u32) -> Vec<u8> {
    payload(&ChannelData { recipient_channel, data: b"data" })
}

fn extended_data(recipient_channel: u32, data_type_code: u32) -> Vec<u8> {
    payload(&ChannelExtendedData { recipient_channel, data_type_code, data: b"data" })
}

/// A number in a channel message: that of the only channel, and one that no channel has.
const THE: u32 = 0;
const NO: u32 = 7;

macro_rules! letters {
    ($( $name:literal $payload:expr; )*) => {
        pub(super) static ALPHABET: [Letter; [$($name),*].len()] = [$( Letter { name: $name, payload: $payload } ),*];
    };
}

letters! {
    "0" |_| vec![0];
    "1" |_| payload(&Disconnect { reason_code: 11, description: b"", language_tag: b"" });
    "2" |_| payload(&Ignore { data: b"" });
    "3" |_| payload(&Unimplemented { packet_sequence_number: 0 });
    "4" |_| payload(&Debug { always_display: true, message: b"", language_tag: b"" });
    "5" |_| payload(&ServiceRequest { service_name: b"ssh-userauth" });
    "5.connection" |_| payload(&ServiceRequest { service_name: b"ssh-connection" });
    "6" |_| payload(&ServiceAccept { service_name: b"ssh-userauth" });
    "6.connection" |_| payload(&ServiceAccept { service_name: b"ssh-connection" });
    "7" |_| payload(&ExtInfo { nr_extensions: 0, pairs: b"" });
    "8" |_| vec![8];
    "9" |_| vec![9];
    "19" |_| vec![19];
    "20" |peer| peer.kexinit(false);
    "20.guess" |peer| peer.kexinit(true);
    "21" |_| vec![21];
    "22" |_| vec![22];
    "29" |_| vec![29];
    "30" Peer::kex_init;
    "31" Peer::kex_reply;
    "32" |_| raw(32, |w| w.mpint(b"e"));
    "33" |_| raw(33, |w| { w.string(&HOST_KEY.public_key().blob()); w.mpint(b"f"); w.string(b""); });
    "34" |_| raw(34, |w| [2048, 3072, 8192].into_iter().for_each(|bits| w.uint32(bits)));
    "35" |_| vec![35];
    "49" |_| vec![49];
    "50.none" |_| of_ann("none", b"");
    "50.password" |_| password(&[b"password"], false);
    "50.change" |_| password(&[b"old", b"new"], true);
    "50.query" |peer| publickey(peer, "publickey", None, false);
    "50.signed" |peer| publickey(peer, "publickey", None, true);
    "50.hostbound" |peer| {
        let k_s = HOST_KEY.public_key().blob();
        publickey(peer, "publickey-hostbound-v00@openssh.com", Some(k_s), true)
    };
    "50.keyboard" |_| of_ann("keyboard-interactive", &[0; 8]);
    "50.bob" |_| request("bob", "ssh-connection", "none", b"");
    "50.service" |_| request("ann", "ssh-foo", "none", b"");
    "51" |_| payload(&UserauthFailure {
        authentications_that_can_continue: NameList::from_own("publickey,password"),
        partial_success: false,
    });
    "51.partial" |_| payload(&UserauthFailure {
        authentications_that_can_continue: NameList::from_own("publickey,password"),
        partial_success: true,
    });
    "52" |_| payload(&UserauthSuccess {});
    "53" |_| payload(&UserauthBanner { message: b"", language_tag: b"" });
    "54" |_| vec![54];
    "60.pk-ok" |_| payload(&UserauthPkOk {
        public_key_algorithm_name: b"ssh-ed25519",
        public_key_blob: &USER_KEY.public_key().blob(),
    });
    "60.change" |_| payload(&UserauthPasswdChangereq { prompt: b"", language_tag: b"" });
    "60.info" |_| raw(60, |w| { (0..3).for_each(|_| w.string(b"")); w.uint32(0); });
    "61" |_| raw(61, |w| w.uint32(0));
    "62" |_| vec![62];
    "79" |_| vec![79];
    "80" |_| global_request(false);
    "80.reply" |_| global_request(true);
    "81" |_| payload(&RequestSuccess { response_fields: b"" });
    "82" |_| payload(&RequestFailure {});
    "83" |_| vec![83];
    "90.session" |_| open(b"session");
    "90.x11" |_| open(b"x11");
    "90.unknown" |_| open(b"tun@openssh.com");
    "91" |_| confirmation(THE);
    "91.no" |_| confirmation(NO);
    "92" |_| open_failure(THE);
    "92.no" |_| open_failure(NO);
    "93" |_| payload(&ChannelWindowAdjust { recipient_channel: THE, bytes_to_add: 1 });
    "93.no" |_| payload(&ChannelWindowAdjust { recipient_channel: NO, bytes_to_add: 1 });
    "94" |_| data(THE);
    "94.no" |_| data(NO);
    "95.stderr" |_| extended_data(THE, 1);
    "95.unknown" |_| extended_data(THE, 7);
    "95.no" |_| extended_data(NO, 1);
    "96" |_| payload(&ChannelEof { recipient_channel: THE });
    "96.no" |_| payload(&ChannelEof { recipient_channel: NO });
    "97" |_| payload(&ChannelClose { recipient_channel: THE });
    "97.no" |_| payload(&ChannelClose { recipient_channel: NO });
    "98.exec" |_| channel_request(THE, b"exec", true, b"\0\0\0\x03cat");
    "98.exit" |_| channel_request(THE, b"exit-status", false, &[0; 4]);
    "98.unknown" |_| channel_request(THE, b"unknown", true, b"");
    "98.quiet" |_| channel_request(THE, b"unknown", false, b"");
    "98.no" |_| channel_request(NO, b"exec", true, b"\0\0\0\x03cat");
    "99" |_| payload(&ChannelSuccess { recipient_channel: THE });
    "99.no" |_| payload(&ChannelSuccess { recipient_channel: NO });
    "100" |_| payload(&ChannelFailure { recipient_channel: THE });
    "100.no" |_| payload(&ChannelFailure { recipient_channel: NO });
    "101" |_| vec![101];
    "127" |_| vec![127];
    "128" |_| vec![128];
    "191" |_| vec![191];
    "192" |_| payload(&Ping { data: b"" });
    "193" |_| payload(&Pong { data: b"" });
    "194" |_| vec![194];
    "255" |_| vec![255];
}
