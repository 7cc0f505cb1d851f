//! The keywords: one table, with the field that each one sets.

use super::choice::{
    AddressFamily, CanonicalizeHostname, LogLevel, PubkeyAuthentication, RequestTty, SessionType,
    StrictHostKeyChecking, YesNoAsk,
};
use super::forward::{DynamicForwards, LocalForwards, RemoteForwards};
use super::value::{
    AddKeysToAgent, AgentSocket, Command, EscapeChar, Field, Files, ForwardAgent, Interval, Keystrokes, List,
    Mask, ProxyJump, RekeyLimit, SendEnv, SetEnv, Timeout,
};

/// What a keyword sets.
pub(super) enum Sets {
    /// A field.
    Field(fn(&mut Config) -> &mut dyn Field),
    /// What is read next: `Host`, `Match`, `Include`, `RefuseConnection`.
    Reading,
    /// Nothing: ssh knows it.
    Nothing,
}

/// Declares [`Config`], its defaults and the table; the keyword is the field's name without `_`.
macro_rules! keywords {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $default:expr, $keyword:literal;)*) => {
        /// What a configuration says, typed. A field is the keyword of the same name; ssh_config(5) has the meaning.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config { $($(#[$doc])* pub $field: $type,)* }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        const FIELDS: &[(&str, Sets)] = &[$(($keyword, Sets::Field(|config| &mut config.$field)),)*];
    };
}

keywords! {
    /// The user there.
    user: Option<String> = None, "User";
    /// The host to connect to, if it is not what was typed.
    host_name: Option<String> = None, "HostName";
    /// TCP.
    port: u16 = 22, "Port";
    /// Of the host.
    address_family: AddressFamily = AddressFamily::Any, "AddressFamily";
    /// Never ask.
    batch_mode: bool = false, "BatchMode";
    /// Only `no` is acted on.
    canonicalize_hostname: CanonicalizeHostname = CanonicalizeHostname::No, "CanonicalizeHostname";
    /// Parsed only.
    check_host_ip: bool = false, "CheckHostIP";
    /// Whether nothing is forwarded, whatever else is said.
    clear_all_forwardings: bool = false, "ClearAllForwardings";
    /// Asked for.
    compression: bool = false, "Compression";
    /// Whether a forwarding that fails ends the connection.
    exit_on_forward_failure: bool = false, "ExitOnForwardFailure";
    /// Whether other hosts may connect to what is listened on here without an address.
    gateway_ports: bool = false, "GatewayPorts";
    /// Whether names are noted down hashed.
    hash_known_hosts: bool = false, "HashKnownHosts";
    /// Whether only configured identities are offered.
    identities_only: bool = false, "IdentitiesOnly";
    /// Whether it is tried.
    kbd_interactive_authentication: bool = true, "KbdInteractiveAuthentication";
    /// Whether it is tried.
    password_authentication: bool = true, "PasswordAuthentication";
    /// Whether it is tried, and how.
    pubkey_authentication: PubkeyAuthentication = PubkeyAuthentication::Yes, "PubkeyAuthentication";
    /// A terminal there.
    request_tty: RequestTty = RequestTty::Auto, "RequestTTY";
    /// What is asked for there.
    session_type: SessionType = SessionType::Default, "SessionType";
    /// Whether standard input is left alone.
    stdin_null: bool = false, "StdinNull";
    /// What talks to the client instead of the host, at the start of a line.
    escape_char: EscapeChar = EscapeChar(Some(b'~')), "EscapeChar";
    /// Hosts that are not known.
    strict_host_key_checking: StrictHostKeyChecking = StrictHostKeyChecking::Ask, "StrictHostKeyChecking";
    /// The bits that the mode of a socket in the file system lacks.
    stream_local_bind_mask: Mask = Mask(0o177), "StreamLocalBindMask";
    /// Whether such a socket takes the place of what is there.
    stream_local_bind_unlink: bool = false, "StreamLocalBindUnlink";
    /// Of the system.
    tcp_keep_alive: bool = true, "TCPKeepAlive";
    /// Whether other keys of a known host are noted down; the default depends on the files of known hosts.
    update_host_keys: YesNoAsk = YesNoAsk::Yes, "UpdateHostKeys";
    /// How often it is tried to connect.
    connection_attempts: u32 = 1, "ConnectionAttempts";
    /// How often a password is asked for.
    number_of_password_prompts: u32 = 3, "NumberOfPasswordPrompts";
    /// How many questions may stay unanswered.
    server_alive_count_max: u32 = 3, "ServerAliveCountMax";
    /// After so many seconds of silence the server is asked whether it is there.
    server_alive_interval: Interval = Interval(0), "ServerAliveInterval";
    /// The shortest RSA key that is taken (bits).
    required_rsa_size: u32 = 1024, "RequiredRSASize";
    /// When keystrokes are sent.
    obscure_keystroke_timing: Keystrokes = Keystrokes(20), "ObscureKeystrokeTiming";
    /// The address here.
    bind_address: Option<String> = None, "BindAddress";
    /// The interface here.
    bind_interface: Option<String> = None, "BindInterface";
    /// Our own: which algorithms the lists start from.
    algorithm_preset: Option<String> = None, "AlgorithmPreset";
    /// A list, or a change to the default by `+`, `-` or `^`; so are the next ones.
    ciphers: Option<String> = None, "Ciphers";
    /// Of host keys.
    host_key_algorithms: Option<String> = None, "HostKeyAlgorithms";
    /// The name that the host's key is known under.
    host_key_alias: Option<String> = None, "HostKeyAlias";
    /// The agent's socket, `SSH_AUTH_SOCK` or `none`.
    identity_agent: AgentSocket = AgentSocket(None), "IdentityAgent";
    /// Patterns of keywords that nobody need know.
    ignore_unknown: Option<String> = None, "IgnoreUnknown";
    /// Key exchange.
    kex_algorithms: Option<String> = None, "KexAlgorithms";
    /// Of what signs certificates.
    ca_signature_algorithms: Option<String> = None, "CASignatureAlgorithms";
    /// Instead of a shell.
    remote_command: Command = Command(None), "RemoteCommand";
    /// How much is told.
    log_level: LogLevel = LogLevel::Info, "LogLevel";
    /// Of packets.
    macs: Option<String> = None, "MACs";
    /// Methods, in this order.
    preferred_authentications: Option<String> = None, "PreferredAuthentications";
    /// Of users' keys.
    pubkey_accepted_algorithms: Option<String> = None, "PubkeyAcceptedAlgorithms";
    /// For `Match tagged`.
    tag: Option<String> = None, "Tag";
    /// SOCKS here.
    dynamic_forward: DynamicForwards = DynamicForwards(Vec::new()), "DynamicForward";
    /// From here.
    local_forward: LocalForwards = LocalForwards(Vec::new()), "LocalForward";
    /// From there.
    remote_forward: RemoteForwards = RemoteForwards(Vec::new()), "RemoteForward";
    /// Private keys, tokens not expanded; empty for the default ones.
    identity_file: Files = Files(Vec::new()), "IdentityFile";
    /// Certificates, tokens not expanded.
    certificate_file: Files = Files(Vec::new()), "CertificateFile";
    /// Known hosts of the system.
    global_known_hosts_file: List = List::of(&["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]), "GlobalKnownHostsFile";
    /// Known hosts of the user, expanded.
    user_known_hosts_file: List = List::of(&["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]), "UserKnownHostsFile";
    /// Keys that no host may have.
    revoked_host_keys: List = List(Vec::new()), "RevokedHostKeys";
    /// Variables for the server.
    send_env: SendEnv = SendEnv(Vec::new()), "SendEnv";
    /// Variables for the server, with values.
    set_env: SetEnv = SetEnv(Vec::new()), "SetEnv";
    /// Keys for the agent.
    add_keys_to_agent: AddKeysToAgent = AddKeysToAgent { add: None, confirm: false, lifetime: 0 }, "AddKeysToAgent";
    /// The agent for the server.
    forward_agent: ForwardAgent = ForwardAgent { forward: false, socket: AgentSocket(None) }, "ForwardAgent";
    /// Until the connection is there.
    connect_timeout: Timeout = Timeout(None), "ConnectTimeout";
    /// When keys are renewed.
    rekey_limit: RekeyLimit = RekeyLimit { bytes: 0, seconds: 0 }, "RekeyLimit";
    /// A process that is the connection; tokens not expanded.
    proxy_command: Command = Command(None), "ProxyCommand";
    /// Hosts on the way.
    proxy_jump: ProxyJump = ProxyJump(Vec::new()), "ProxyJump";
}

/// What steers the reading.
const READING: &[&str] = &["Host", "Match", "Include", "RefuseConnection"];

/// Older names.
const ALIASES: &[(&str, &str)] = &[
    ("ChallengeResponseAuthentication", "KbdInteractiveAuthentication"),
    ("DSAAuthentication", "PubkeyAuthentication"),
    ("HostbasedKeyTypes", "HostbasedAcceptedAlgorithms"),
    ("IdentityFile2", "IdentityFile"),
    ("KeepAlive", "TCPKeepAlive"),
    ("PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms"),
    ("SkeyAuthentication", "KbdInteractiveAuthentication"),
    ("SmartcardDevice", "PKCS11Provider"),
    ("TISAuthentication", "KbdInteractiveAuthentication"),
];

/// What ssh knows, of today or of the past, and nothing here acts on.
const PASSED_OVER: &str = "AFSTokenPassing CanonicalDomains CanonicalizeFallbackLocal CanonicalizeMaxDots \
    CanonicalizePermittedCNAMEs ChannelTimeout Cipher CompressionLevel ControlMaster ControlPath \
    ControlPersist EnableEscapeCommandline EnableSSHKeysign FallBackToRsh FingerprintHash \
    ForkAfterAuthentication ForwardX11 ForwardX11Timeout ForwardX11Trusted GlobalKnownHostsFile2 \
    GSSAPIAuthentication GSSAPIClientIdentity GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange \
    GSSAPIRenewalForcesRekey GSSAPIServerIdentity GSSAPITrustDns HostbasedAcceptedAlgorithms HostbasedAuthentication \
    IPQoS KbdInteractiveDevices KerberosAuthentication KerberosTGTPassing KnownHostsCommand LocalCommand LogVerbose \
    NoHostAuthenticationForLocalhost PermitLocalCommand PermitRemoteOpen PKCS11Provider Protocol ProxyUseFdpass \
    RhostsAuthentication RhostsRSAAuthentication RSAAuthentication SecurityKeyProvider \
    SyslogFacility Tunnel TunnelDevice UsePrivilegedPort UseRoaming UserKnownHostsFile2 UseRsh \
    VerifyHostKeyDNS VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation";

/// The keyword as ssh writes it, and what it sets.
pub(super) fn find(keyword: &str) -> Option<(&'static str, &'static Sets)> {
    let same = |name: &str| name.eq_ignore_ascii_case(keyword);
    let keyword = ALIASES.iter().find(|(alias, _)| same(alias)).map_or(keyword, |(_, name)| name);
    let same = |name: &str| name.eq_ignore_ascii_case(keyword);
    let field = FIELDS.iter().find(|(name, _)| same(name)).map(|(name, sets)| (*name, sets));
    let reading = || READING.iter().find(|name| same(name)).map(|name| (*name, &Sets::Reading));
    let nothing = || PASSED_OVER.split(' ').find(|name| same(name)).map(|name| (name, &Sets::Nothing));
    field.or_else(reading).or_else(nothing)
}

impl Config {
    /// The lines of `ssh -G`: a keyword in lower case and its value.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let mut config = self.clone();
        let mut lines = Vec::new();
        for (name, sets) in FIELDS {
            if let Sets::Field(field) = sets {
                lines.extend(
                    field(&mut config).show().into_iter().map(|value| (name.to_ascii_lowercase(), value)),
                );
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_stands_twice() {
        let passed = PASSED_OVER.split_ascii_whitespace();
        let aliases = ALIASES.iter().map(|(alias, _)| *alias);
        let fields = FIELDS.iter().map(|(name, _)| *name);
        let mut names: Vec<_> = fields
            .chain(READING.iter().copied())
            .chain(passed)
            .chain(aliases)
            .map(str::to_lowercase)
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| find(name).is_some()));
        assert!(
            find("keepalive").unwrap().0 == "TCPKeepAlive"
                && find("Frobnicate").is_none()
                && find("").is_none()
        );
    }
}
