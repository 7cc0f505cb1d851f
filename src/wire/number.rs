//! The table of messages: number, SSH name, and when which side may send it.
//!
//! The only file in which a message number stands (RFC 4250 §4.1). A packet is looked up here by its number, the phase of
//! the connection and the side it comes from before one of its fields is read; the default is to refuse.
//!
//! ```text
//! KEXINIT ──▶ FirstKex ─ both NEWKEYS ─▶ Userauth ─ USERAUTH_SUCCESS ─▶ Connection
//!             (StrictKex)                                                │      ▲
//!                                                            KEXINIT in  ▼      │ NEWKEYS in
//!                                                                       Rekey ──┘
//! ```

macro_rules! table {
    ($( $number:literal $name:ident $from:ident $phases:expr; )*) => {
        $(
            #[doc = concat!("SSH_MSG_", stringify!($name), ".")]
            pub const $name: u8 = $number;
        )*

        const TABLE: [Option<Rule>; 256] = {
            let mut table = [const { None }; 256];
            $( table[$number] = Some(Rule { name: stringify!($name), from: From::$from, phases: $phases }); )*
            table
        };
    };
}

/// Numbers of key exchange methods (RFC 4250 §4.1.2); what each means is known to the method under way.
pub const KEX_METHOD_FIRST: u8 = 30;
/// The last of them.
pub const KEX_METHOD_LAST: u8 = 49;

const FIRST: u8 = Phase::FirstKex as u8;
const STRICT: u8 = Phase::StrictKex as u8;
const REKEY: u8 = Phase::Rekey as u8;
const AUTH: u8 = Phase::Userauth as u8;
const CONN: u8 = Phase::Connection as u8;
const KEX: u8 = FIRST | STRICT | REKEY;
const ANY: u8 = FIRST | REKEY | AUTH | CONN;

table! {
    1 DISCONNECT Both ANY | STRICT;
    2 IGNORE Both ANY;
    3 UNIMPLEMENTED Both ANY;
    4 DEBUG Both ANY;
    5 SERVICE_REQUEST Client AUTH;
    6 SERVICE_ACCEPT Server AUTH;
    7 EXT_INFO Both AUTH;
    20 KEXINIT Both FIRST | STRICT | CONN;
    21 NEWKEYS Both KEX;
    30 KEX_ECDH_INIT Client KEX;
    31 KEX_ECDH_REPLY Server KEX;
    32 KEX_DH_GEX_INIT Client KEX;
    33 KEX_DH_GEX_REPLY Server KEX;
    34 KEX_DH_GEX_REQUEST Client KEX;
    50 USERAUTH_REQUEST Client AUTH | CONN;
    51 USERAUTH_FAILURE Server AUTH;
    52 USERAUTH_SUCCESS Server AUTH;
    53 USERAUTH_BANNER Server AUTH;
    60 USERAUTH_PK_OK Server AUTH;
    61 USERAUTH_INFO_RESPONSE Client AUTH;
    80 GLOBAL_REQUEST Both CONN;
    81 REQUEST_SUCCESS Both CONN;
    82 REQUEST_FAILURE Both CONN;
    90 CHANNEL_OPEN Both CONN;
    91 CHANNEL_OPEN_CONFIRMATION Both CONN;
    92 CHANNEL_OPEN_FAILURE Both CONN;
    93 CHANNEL_WINDOW_ADJUST Both CONN;
    94 CHANNEL_DATA Both CONN;
    95 CHANNEL_EXTENDED_DATA Both CONN;
    96 CHANNEL_EOF Both CONN;
    97 CHANNEL_CLOSE Both CONN;
    98 CHANNEL_REQUEST Both CONN;
    99 CHANNEL_SUCCESS Both CONN;
    100 CHANNEL_FAILURE Both CONN;
    192 PING Both AUTH | CONN;
    193 PONG Both CONN;
}

/// Where a connection stands, as far as it decides which messages may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Until the peer's first NEWKEYS.
    FirstKex = 1,
    /// The same under strict key exchange: nothing but the exchange.
    StrictKex = 2,
    /// A later exchange, from the peer's KEXINIT to its NEWKEYS (RFC 4253 §7.1).
    Rekey = 4,
    /// Keys are in use, no user is authenticated.
    Userauth = 8,
    /// A user is authenticated.
    Connection = 16,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What to do with a message that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Decode it.
    Take,
    /// End the connection: the message is known and not allowed from this side in this phase.
    Refuse,
    /// Answer with SSH_MSG_UNIMPLEMENTED (RFC 4253 §11.4).
    Unimplemented,
}

#[derive(Clone, Copy)]
enum From {
    Client,
    Server,
    Both,
}

#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    from: From,
    phases: u8,
}

/// Looks a message up before anything of it is read.
#[must_use]
pub fn admit(number: u8, phase: Phase, sender: Sender) -> Admission {
    let Some(rule) = TABLE.get(usize::from(number)).copied().flatten() else {
        return unknown(number, phase);
    };
    let side = match rule.from {
        From::Both => true,
        From::Client => sender == Sender::Client,
        From::Server => sender == Sender::Server,
    };
    if side && rule.phases & phase as u8 != 0 { Admission::Take } else { Admission::Refuse }
}

/// Strict key exchange takes no number that it does not know, and a number of a service none before its time.
const fn unknown(number: u8, phase: Phase) -> Admission {
    match (phase, number) {
        (_, 0) | (Phase::StrictKex, _) => Admission::Refuse,
        (Phase::FirstKex | Phase::Rekey, 22..) => Admission::Refuse,
        (Phase::Userauth, 80..=127) => Admission::Refuse,
        _ => Admission::Unimplemented,
    }
}

/// The message's name without the prefix `SSH_MSG_`, for a log.
#[must_use]
pub fn name(number: u8) -> Option<&'static str> {
    TABLE.get(usize::from(number)).copied().flatten().map(|rule| rule.name)
}
