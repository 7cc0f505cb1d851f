//! JSON, one object a line, by the names that servers give their fields: Caddy's, Traefik's, and the usual ones of nginx.
//!
//! Of a name only letters and digits count: `request_method`, `requestMethod` and `RequestMethod` are one. It counts however
//! deep the object lies that holds it, with dots or without, but under names that speak of something else (the response's
//! headers, the server behind). What the client chose the name of too, the headers of its request, says no more than where it
//! came from and what it is. Of several that mean the same the one is taken that says it best, as `meaning` ranks them.

mod scanner;

use super::fields::{client, number, seconds, without_port};
use crate::weblog::record::{Escapes, Malformed, Record, Text};
use crate::weblog::time::Stamp;
use core::time::Duration;
use scanner::Scalar;

/// Who writes in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Caddy,
    Traefik,
    Other,
}

/// Reads a line. `None` for one of Caddy's that tells of something else.
pub(super) fn parse(line: &[u8]) -> Result<Option<(Record<'_>, Dialect)>, Malformed> {
    let mut table = Table::default();
    scanner::scan(line, speaks_of_something_else, |holder, name, value| table.take(holder, name, value))?;
    table.record()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Time,
    Client,
    User,
    Host,
    Request,
    Method,
    Target,
    Query,
    Protocol,
    Status,
    Size,
    Referrer,
    Agent,
    Seconds,
    Milliseconds,
    ForwardedFor,
    Logger,
}

const FIELDS: usize = 17;

/// What was found so far, each field with the rank of its name.
#[derive(Default)]
struct Table<'a> {
    record: Record<'a>,
    request: Option<Text<'a>>,
    logger: Option<&'a [u8]>,
    /// A number without a unit: Traefik's counts nanoseconds, all others' seconds.
    duration: Option<&'a [u8]>,
    ranks: [u8; FIELDS],
    traefik: bool,
}

/// The longest name that means something, in letters and digits.
const NAME_MAX: usize = 24;

/// A name's letters and digits, small; empty if they are too many.
fn letters<'n>(name: &[u8], into: &'n mut [u8; NAME_MAX]) -> &'n [u8] {
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        let Some(place) = into.get_mut(length) else { return b"" };
        *place = byte.to_ascii_lowercase();
        length += 1;
    }
    into.get(..length).unwrap_or_default()
}

fn speaks_of_something_else(name: &[u8]) -> bool {
    matches!(
        letters(name, &mut [0; NAME_MAX]),
        b"respheaders"
            | b"responseheaders"
            | b"tls"
            | b"serviceurl"
            | b"upstream"
            | b"file"
            | b"geoip"
            | b"kubernetes"
            | b"cloud"
            | b"container"
            | b"error"
            | b"process"
            | b"observer"
            | b"args"
            | b"params"
            | b"queryparams"
            | b"cookies"
    )
}

/// What the headers of a request are called by.
const HEADERS: &[u8] = b"headers";

fn are_headers(holder: &[u8]) -> bool {
    let mut of_holder = [0; NAME_MAX];
    let holder = letters(holder, &mut of_holder);
    matches!(holder.strip_prefix(b"request").unwrap_or(holder), HEADERS | b"header")
}

/// What holds a name, and the name there: one with dots tells both. A header's name is the client's, dots in it too.
fn placed<'n>(holder: &'n [u8], name: &'n [u8]) -> (&'n [u8], &'n [u8]) {
    if are_headers(holder) {
        return (HEADERS, name);
    }
    // So Traefik writes a header.
    if let Some(header) =
        name.strip_prefix(b"request_").filter(|header| header.first().is_some_and(u8::is_ascii_uppercase))
    {
        return (HEADERS, header);
    }
    let (mut holder, mut rest) = (holder, name);
    while let Some((part, behind)) = memchr::memchr(b'.', rest).and_then(|at| rest.split_at_checked(at)) {
        (holder, rest) = (part, behind.get(1..).unwrap_or_default());
        if are_headers(holder) {
            return (HEADERS, rest);
        }
    }
    (holder, rest)
}

/// What a name means, and how well it says so: the higher is taken.
fn meaning(holder: &[u8], name: &[u8]) -> Option<(Field, u8)> {
    Some(match (holder, name) {
        (HEADERS, b"referer" | b"referrer") => (Field::Referrer, 8),
        (HEADERS, b"useragent") => (Field::Agent, 8),
        (HEADERS, b"xforwardedfor") => (Field::ForwardedFor, 9),
        (HEADERS, _) => return None,
        (b"source" | b"client", b"ip" | b"address") => (Field::Client, 8),
        (b"url", b"original") => (Field::Target, 8),
        (b"useragent", b"original") => (Field::Agent, 9),
        (b"user", b"name") => (Field::User, 5),
        (_, b"timeiso8601" | b"startutc") => (Field::Time, 9),
        (_, b"timestamp" | b"startlocal") => (Field::Time, 8),
        (_, b"time") => (Field::Time, 7),
        (_, b"timelocal" | b"datetime") => (Field::Time, 6),
        (_, b"ts") => (Field::Time, 5),
        (_, b"msec") => (Field::Time, 4),
        (_, b"clientip") => (Field::Client, 9),
        (_, b"remoteaddr" | b"clienthost") => (Field::Client, 7),
        (_, b"remoteip") => (Field::Client, 6),
        (_, b"clientaddr" | b"remotehost") => (Field::Client, 5),
        (_, b"client" | b"ip") => (Field::Client, 2),
        (_, b"remoteuser" | b"clientusername") => (Field::User, 9),
        (_, b"userid" | b"authuser") => (Field::User, 8),
        (_, b"username" | b"user") => (Field::User, 6),
        (_, b"vhost" | b"virtualhost") => (Field::Host, 9),
        (_, b"host" | b"requesthost") => (Field::Host, 8),
        (_, b"httphost") => (Field::Host, 7),
        (_, b"authority" | b"domain") => (Field::Host, 6),
        (_, b"servername") => (Field::Host, 5),
        (_, b"requestaddr") => (Field::Host, 4),
        (_, b"request" | b"requestline") => (Field::Request, 9),
        (_, b"requestmethod") => (Field::Method, 9),
        (_, b"method" | b"httpmethod") => (Field::Method, 8),
        (_, b"verb") => (Field::Method, 5),
        (_, b"requesturi" | b"requestpath") => (Field::Target, 9),
        (_, b"requesturl") => (Field::Target, 8),
        (_, b"uri") => (Field::Target, 7),
        (_, b"url" | b"uripath") => (Field::Target, 6),
        (_, b"path") => (Field::Target, 5),
        (_, b"args" | b"querystring") => (Field::Query, 9),
        (_, b"query") => (Field::Query, 8),
        (_, b"serverprotocol" | b"requestprotocol") => (Field::Protocol, 9),
        (_, b"protocol" | b"proto") => (Field::Protocol, 8),
        (_, b"downstreamstatus") => (Field::Status, 9),
        (_, b"status") => (Field::Status, 8),
        (_, b"statuscode" | b"responsestatus" | b"httpstatus") => (Field::Status, 7),
        (_, b"originstatus") => (Field::Status, 5),
        (_, b"downstreamcontentsize" | b"bodybytessent") => (Field::Size, 9),
        (_, b"bytessent") => (Field::Size, 8),
        (_, b"size" | b"responsesize" | b"byteswritten") => (Field::Size, 7),
        (_, b"bytes") => (Field::Size, 6),
        (_, b"origincontentsize") => (Field::Size, 4),
        (_, b"httpreferer" | b"httpreferrer" | b"requestreferer" | b"requestreferrer") => {
            (Field::Referrer, 9)
        }
        (_, b"referer" | b"referrer") => (Field::Referrer, 8),
        (_, b"httpuseragent" | b"requestuseragent") => (Field::Agent, 9),
        (_, b"useragent") => (Field::Agent, 8),
        (_, b"agent") => (Field::Agent, 7),
        (_, b"requesttime") => (Field::Seconds, 9),
        (_, b"duration" | b"requestduration") => (Field::Seconds, 8),
        (_, b"latency" | b"elapsed") => (Field::Seconds, 7),
        (_, b"requesttimems" | b"durationms" | b"latencyms") => (Field::Milliseconds, 9),
        (_, b"httpxforwardedfor" | b"requestxforwardedfor" | b"xforwardedfor") => (Field::ForwardedFor, 9),
        (b"", b"logger") => (Field::Logger, 9),
        _ => return None,
    })
}

impl<'a> Table<'a> {
    /// Takes a scalar, if its name means something and no better one was found.
    fn take(&mut self, holder: &'a [u8], name: &'a [u8], value: Scalar<'a>) {
        let (holder, name) = placed(holder, name);
        let (mut of_holder, mut of_name) = ([0; NAME_MAX], [0; NAME_MAX]);
        let (holder, name) = (letters(holder, &mut of_holder), letters(name, &mut of_name));
        if name.is_empty() || speaks_of_something_else(holder) {
            return;
        }
        let Some((field, rank)) = meaning(holder, name) else { return };
        self.traefik |= matches!(name, b"downstreamstatus" | b"originstatus" | b"clienthost" | b"startutc");
        let Some(known) = self.ranks.get(field as usize).copied() else { return };
        if rank > known
            && self.set(field, value).is_some()
            && let Some(known) = self.ranks.get_mut(field as usize)
        {
            *known = rank;
        }
    }

    /// `None` if the value is absent or none of such a field.
    fn set(&mut self, field: Field, value: Scalar<'a>) -> Option<()> {
        let (bytes, text) = match value {
            Scalar::String(bytes) => (bytes, Text::new(bytes, Escapes::Json)),
            Scalar::Bare(bytes) => (bytes, None),
        };
        let record = &mut self.record;
        match field {
            Field::Time => record.time = Some(Stamp::parse_any(bytes).ok()?),
            Field::Status => {
                let code = number(bytes).ok().and_then(|code| u16::try_from(code).ok());
                record.status = Some(code.filter(|code| *code < 1000)?);
            }
            Field::Size => (record.size, record.has_size) = (number(bytes).ok()?, true),
            Field::Client => record.client = Some(client(without_port(text?.bytes())).ok()??),
            Field::Host => record.host = Some(text?.part(without_port(bytes))?),
            Field::User => record.user = Some(text?),
            Field::Request => self.request = Some(text?),
            Field::Method => record.method = Some(text?),
            Field::Target => record.target = Some(text?),
            Field::Query => record.query = Some(text?.part(bytes.strip_prefix(b"?").unwrap_or(bytes))?),
            Field::Protocol => record.protocol = Some(text?),
            Field::Referrer => record.referrer = Some(text?),
            Field::Agent => record.agent = Some(text?),
            Field::ForwardedFor => record.forwarded_for = Some(text?),
            Field::Seconds => match duration(bytes) {
                Some(duration) => record.duration = Some(duration),
                None => self.duration = Some(bytes),
            },
            Field::Milliseconds => record.duration = seconds(bytes).map(|thousand| thousand / 1000),
            Field::Logger => self.logger = Some(text?.bytes()),
        }
        Some(())
    }

    /// What came out of it. A record has a status or a target.
    fn record(self) -> Result<Option<(Record<'a>, Dialect)>, Malformed> {
        let mut record = self.record;
        let caddy = self.logger.is_some_and(|logger| logger.starts_with(b"http.log."));
        if caddy && !self.logger.is_some_and(|logger| logger.starts_with(b"http.log.access")) {
            return Ok(None);
        }
        if let Some(request) = self.request {
            (record.target, record.query) = (None, None);
            let (method, protocol) = (record.method, record.protocol);
            record.set_request(request);
            (record.method, record.protocol) = (record.method.or(method), record.protocol.or(protocol));
        }
        if record.status.is_none() && record.target.is_none() {
            return Err(Malformed);
        }
        if record.target.is_some_and(|target| target.bytes().contains(&b'?')) {
            record.query = None;
        }
        match self.duration {
            Some(nanoseconds) if self.traefik => {
                record.duration = number(nanoseconds).ok().map(Duration::from_nanos);
            }
            Some(number) => record.duration = seconds(number).or(record.duration),
            None => {}
        }
        let dialect = match (caddy, self.traefik) {
            (true, _) => Dialect::Caddy,
            (_, true) => Dialect::Traefik,
            _ => Dialect::Other,
        };
        Ok(Some((record, dialect)))
    }
}

/// A duration with its units, as Go writes it: `1.5ms`, `1m2.5s`.
fn duration(text: &[u8]) -> Option<Duration> {
    let (mut rest, mut all) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let (number, behind) = rest.split_at_checked(digits)?;
        let length = behind.iter().take_while(|byte| !byte.is_ascii_digit() && **byte != b'.').count();
        let (unit, behind) = behind.split_at_checked(length)?;
        let number = seconds(number)?;
        let part = match unit {
            b"h" => number.checked_mul(3600)?,
            b"m" => number.checked_mul(60)?,
            b"s" => number,
            b"ms" => number / 1000,
            b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => number / 1_000_000,
            b"ns" => number / 1_000_000_000,
            _ => return None,
        };
        all = all.checked_add(part)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::{Dialect, NAME_MAX, duration, letters, parse};
    use crate::weblog::record::{Malformed, Text};
    use core::time::Duration;

    fn text(field: Option<Text<'_>>) -> Option<String> {
        field.map(|field| String::from_utf8_lossy(&field.decode()).into_owned())
    }

    const NGINX: &str = r#"{"time_iso8601":"2026-03-01T00:00:00+00:00","remote_addr":"203.0.113.7","request":"GET /a HTTP/2.0","status":"200","body_bytes_sent":"0","http_referer":"https://x.org/","request_time":"0.269"}"#;
    const CADDY: &str = r#"{"level":"info","ts":1772323200.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.9","client_ip":"203.0.113.7","proto":"HTTP/2.0","method":"GET","host":"x.net:8443","uri":"/a","headers":{"Referer":["https://x.org/","second"],"User-Agent":["curl/8"],"X-Forwarded-For":["10.0.0.9"]},"tls":{"proto":"h2","server_name":"other"}},"bytes_read":7,"user_id":"ann","duration":0.268977,"size":5,"status":200,"resp_headers":{"Server":["Caddy"],"Status":["404"]}}"#;
    const TRAEFIK: &str = r#"{"ClientAddr":"203.0.113.7:40","ClientHost":"203.0.113.7","ClientUsername":"-","RequestMethod":"GET","RequestHost":"x.net","RequestPath":"/a","RequestProtocol":"HTTP/1.1","DownstreamStatus":200,"OriginStatus":502,"DownstreamContentSize":5,"Duration":1830000,"StartUTC":"2026-03-01T00:00:00.1Z","ServiceURL":{"Host":"10.0.0.2","Path":"/"},"request_Referer":"https://x.org/","request_User-Agent":"curl/8","level":"info","msg":"","time":"2026-03-01T01:00:00+01:00"}"#;

    #[test]
    fn nginx_gives_every_field_with_numbers_in_quotes() {
        let (record, dialect) = parse(NGINX.as_bytes()).unwrap().unwrap();
        assert_eq!(dialect, Dialect::Other);
        assert_eq!(record.time.unwrap().rfc3339(), "2026-03-01T00:00:00+00:00");
        assert_eq!(text(record.client).unwrap(), "203.0.113.7");
        assert_eq!((text(record.method).unwrap(), text(record.target).unwrap()), ("GET".into(), "/a".into()));
        assert_eq!(text(record.protocol).unwrap(), "HTTP/2.0");
        assert_eq!((record.status, record.size), (Some(200), 0));
        assert_eq!(text(record.referrer).unwrap(), "https://x.org/");
        assert_eq!(record.duration, Some(Duration::from_millis(269)));
        assert!(record.is_referred());
    }

    #[test]
    fn caddy_gives_every_field_and_only_of_requests() {
        let (record, dialect) = parse(CADDY.as_bytes()).unwrap().unwrap();
        assert_eq!(dialect, Dialect::Caddy);
        assert_eq!(record.time.unwrap().rfc3339(), "2026-03-01T00:00:00.25+00:00");
        for (field, expected) in [
            (record.client, "203.0.113.7"),
            (record.user, "ann"),
            (record.host, "x.net"),
            (record.method, "GET"),
            (record.target, "/a"),
            (record.protocol, "HTTP/2.0"),
            (record.referrer, "https://x.org/"),
            (record.agent, "curl/8"),
            (record.forwarded_for, "10.0.0.9"),
        ] {
            assert_eq!(text(field).as_deref(), Some(expected));
        }
        assert_eq!((record.status, record.size), (Some(200), 5));
        assert_eq!(record.duration, Some(Duration::from_nanos(268_977_000)));
        let error = CADDY.replace("http.log.access", "http.log.error");
        assert_eq!(parse(error.as_bytes()), Ok(None));
        let words =
            CADDY.replace("1772323200.25", "\"01/Mar/2026:01:00:00 +0100\"").replace("0.268977", "\"1.5ms\"");
        let (record, _) = parse(words.as_bytes()).unwrap().unwrap();
        assert_eq!(record.time.unwrap().rfc3339(), "2026-03-01T01:00:00+01:00");
        assert_eq!(record.duration, Some(Duration::from_micros(1500)));
    }

    #[test]
    fn traefik_counts_nanoseconds_and_says_what_the_client_got() {
        let (record, dialect) = parse(TRAEFIK.as_bytes()).unwrap().unwrap();
        assert_eq!(dialect, Dialect::Traefik);
        assert_eq!(record.time.unwrap().rfc3339(), "2026-03-01T00:00:00.1+00:00");
        for (field, expected) in [
            (record.client, Some("203.0.113.7")),
            (record.user, None),
            (record.host, Some("x.net")),
            (record.target, Some("/a")),
            (record.referrer, Some("https://x.org/")),
            (record.agent, Some("curl/8")),
        ] {
            assert_eq!(text(field).as_deref(), expected);
        }
        assert_eq!((record.status, record.size), (Some(200), 5));
        assert_eq!(record.duration, Some(Duration::from_nanos(1_830_000)));
    }

    #[test]
    fn names_count_nested_dotted_and_in_any_case() {
        for line in [
            r#"{"@nginx_fields":{"Request_URI":"/a?q=1","STATUS":404,"RequestMethod":"GET"}}"#,
            r#"{"http.request.method":"GET","url.original":"/a?q=1","http.response.status_code":404}"#,
            r#"{"url":{"path":"/a","query":"q=1"},"http":{"request":{"method":"GET"},"response":{"status_code":404}}}"#,
            r#"{"uri":"/a","args":"q=1","request_method":"GET","status":"404","log":{"file":{"path":"/var/log"}}}"#,
            r#"{"log.file.path":"/x","request":"GET /a?q=1","status":404}"#,
        ] {
            let (record, _) = parse(line.as_bytes()).unwrap().unwrap();
            assert_eq!(record.resource().as_deref(), Some(&b"/a?q=1"[..]), "{line}");
            assert_eq!((text(record.method).unwrap().as_str(), record.status), ("GET", Some(404)), "{line}");
        }
    }

    #[test]
    fn names_under_what_speaks_of_something_else_do_not_count() {
        for line in [
            r#"{"uri":"/a","status":200,"kubernetes":{"labels":{"host":"pod","referer":"x"}}}"#,
            r#"{"resp_headers":{"Status":["404"],"Host":["x"]},"uri":"/a","status":200}"#,
            r#"{"upstream.status":"502","uri":"/a","status":200,"upstream.host":"10.0.0.2"}"#,
        ] {
            let (record, _) = parse(line.as_bytes()).unwrap().unwrap();
            assert_eq!((record.status, record.host, record.referrer), (Some(200), None, None), "{line}");
        }
    }

    #[test]
    fn a_client_names_no_field_by_its_headers() {
        let names = [
            "Status",
            "Timestamp",
            "Time-Iso8601",
            "Vhost",
            "Host",
            "Request",
            "Remote-User",
            "Httpreferer",
            "Httpuseragent",
            "Body-Bytes-Sent",
            "Size",
            "Remote-Addr",
            "Clientip",
            "Method",
            "Uri",
            "Args",
            "Logger",
            "Request-Time",
            "Duration",
            "Downstream-Status",
            "X.Status",
            "url.original",
        ];
        let said = names.map(|name| format!(r#""{name}":["599"],"request.{name}":["599"],"#)).concat();
        for place in [r#""headers":{"#, r#""Headers":{"#] {
            let line = CADDY.replace(r#""headers":{"#, &format!("{place}{said}"));
            assert_eq!(parse(line.as_bytes()), parse(CADDY.as_bytes()), "{line}");
        }
        let said = names.map(|name| format!(r#""request_{name}":"599","#)).concat();
        let line = TRAEFIK.replace(r#"{"ClientAddr""#, &format!(r#"{{{said}"ClientAddr""#));
        assert_eq!(parse(line.as_bytes()), parse(TRAEFIK.as_bytes()), "{line}");
        let dotted = r#"{"request.headers.X.Status":"599","request.headers.Referer":"https://x.org/","status":200,"uri":"/a"}"#;
        let (record, _) = parse(dotted.as_bytes()).unwrap().unwrap();
        assert_eq!((record.status, text(record.referrer).as_deref()), (Some(200), Some("https://x.org/")));
    }

    #[test]
    fn a_name_of_too_many_letters_is_none() {
        let mut into = [0; NAME_MAX];
        let most = "a-".repeat(NAME_MAX);
        assert_eq!(letters(most.as_bytes(), &mut into), [b'a'; NAME_MAX]);
        assert_eq!(letters((most + "a").as_bytes(), &mut into), b"");
    }

    #[test]
    fn a_status_has_three_digits_at_the_most() {
        for (status, expected) in [("0", Some(0)), ("999", Some(999)), ("1000", None)] {
            let line = format!(r#"{{"uri":"/a","status":{status}}}"#);
            assert_eq!(parse(line.as_bytes()).unwrap().unwrap().0.status, expected);
        }
    }

    #[test]
    fn an_object_that_tells_of_no_request_is_refused() {
        for line in
            [r#"{"level":"info","msg":"started","time":"2026-03-01T00:00:00Z"}"#, "{}", r#"{"status":"OK"}"#]
        {
            assert_eq!(parse(line.as_bytes()), Err(Malformed), "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_stay() {
        let line = b"{\"status\":200,\"uri\":\"/caf\xe9\\u001b\\\"\"}";
        let (record, _) = parse(line).unwrap().unwrap();
        assert_eq!(record.resource().as_deref(), Some(&b"/caf\xe9\x1b\""[..]));
    }

    #[test]
    fn durations_have_units_or_are_none() {
        assert_eq!(duration(b"1m2.5s"), Some(Duration::from_millis(62_500)));
        assert_eq!(duration("5\u{b5}s".as_bytes()), Some(Duration::from_micros(5)));
        for bad in ["", "1", "ms", "1x", "1.2.3s", "99999999999999999999h"] {
            assert_eq!(duration(bad.as_bytes()), None, "{bad}");
        }
    }
}
