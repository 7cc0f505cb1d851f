//! Lines that real servers wrote of requests that hurt: apache2, nginx and caddy on loopback, each with its own formats and with
//! ones whose directives are pasted. Each record must say what was asked and what was answered.

use base64ct::{Base64, Encoding};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use strombus::weblog::format::{News, RecordParser};
use strombus::weblog::record::{Record, Text};
use tempfile::TempDir;

/// What is asked, and what a record of it must say. `None`: nothing is demanded of it.
#[derive(Default)]
struct Request {
    bytes: Vec<u8>,
    method: Option<Option<&'static [u8]>>,
    resource: Option<Vec<u8>>,
    protocol: Option<Option<&'static [u8]>>,
    referrer: Vec<u8>,
    agent: Vec<u8>,
    forwarded_for: Vec<u8>,
    user: Vec<u8>,
    /// The answer has a status line.
    answered: bool,
}

/// What was answered.
struct Answer {
    status: Option<u16>,
    size: Option<u64>,
}

fn request(resource: &[u8], headers: &[(&'static str, &[u8])]) -> Request {
    let mut bytes =
        [b"GET ", resource, b" HTTP/1.1\r\nHost: shop.example:8080\r\nConnection: close\r\n"].concat();
    let mut request = Request {
        method: Some(Some(b"GET")),
        resource: Some(resource.to_vec()),
        protocol: Some(Some(b"HTTP/1.1")),
        answered: true,
        ..Request::default()
    };
    for (name, value) in headers {
        bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        match *name {
            "Referer" => request.referrer = value.to_vec(),
            "User-Agent" => request.agent = value.to_vec(),
            "X-Forwarded-For" => request.forwarded_for = value.to_vec(),
            _ => {}
        }
    }
    request.bytes = [bytes.as_slice(), b"\r\n"].concat();
    request
}

/// Requests that every server takes.
fn requests() -> Vec<Request> {
    let long = [b"/".as_slice(), &[b'x'; 8000]].concat();
    vec![
        request(b"/a?q=1", &[("Referer", b"https://x.org/"), ("User-Agent", b"curl/8")]),
        request(
            br#"/q?a"b\c'd"#,
            &[
                ("Referer", br#"https://x.org/t?title="quoted"\back\x41"#),
                ("User-Agent", br#"a "b" \ c" 200 5 "-"#),
                ("X-Forwarded-For", b"10.0.0.9, 2001:db8::1"),
            ],
        ),
        request(
            b"/caf%C3%A9%22",
            &[("Referer", b"https://x.org/caf\xc3\xa9"), ("User-Agent", b"latin \xe9\xff end")],
        ),
        request(b"/tab", &[("User-Agent", b"a\tb")]),
        request(&long, &[("Referer", &[b"https://x.org/".as_slice(), &[b'y'; 4000]].concat())]),
        request(b"/bare", &[]),
        request(b"/dash", &[("Referer", b"-"), ("User-Agent", b"-")]),
        // Where headers are logged, these look like fields.
        request(
            b"/fields",
            &[
                ("Status", b"599"),
                ("Size", b"18446744073709551615"),
                ("Timestamp", b"2099-01-01T00:00:00Z"),
                ("Vhost", b"other.example"),
                ("Request", b"PUT /other HTTP/1.0"),
                ("Remote-User", b"admin"),
                ("Httpreferer", b"https://other.example/"),
                ("X.Status", b"599"),
            ],
        ),
    ]
}

/// Requests that are none, to servers that log them.
fn garbage() -> Vec<Request> {
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \x1b]52;c;\x07\r\n\r\n".to_vec();
    vec![
        Request { bytes: tls, ..Request::default() },
        Request {
            bytes: b"GET /old\r\n".to_vec(),
            resource: Some(b"/old".to_vec()),
            protocol: Some(None),
            ..Request::default()
        },
        Request { bytes: b"\r\n\r\n\"\\ \"\r\n\r\n".to_vec(), ..Request::default() },
        Request {
            bytes: b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
            ..Request::default()
        },
    ]
}

/// A server in the foreground, ended by its own pid.
struct Server {
    child: Child,
    stderr: Option<JoinHandle<()>>,
    port: u16,
    place: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Its own end, so that it takes its children with it.
            let _has_ended = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let _ended = self.child.wait();
        }
    }
}

/// Starts a server at a port that the kernel chose, whose configuration `config` makes of the place and the port; it is there
/// once it says `word`.
fn start(program: &str, word: &str, config: impl Fn(&Path, u16) -> Vec<String>) -> Server {
    let mut said = String::new();
    for _ in 0..5 {
        let place = tempfile::tempdir().unwrap();
        // A server that gives its privileges up reads it too.
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments = config(place.path(), port);
        let mut command = Command::new(program);
        command.args(arguments).env("HOME", place.path()).env("XDG_DATA_HOME", place.path());
        command.env("XDG_CONFIG_HOME", place.path()).stdin(Stdio::null()).stdout(Stdio::null());
        // Apache signals all of its process group at its end: it gets one of its own.
        let mut child = command
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}: tests/setup installs it"));
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut server = Server { child, stderr: None, port, place };
        loop {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap_or(0) == 0 {
                break; // it has ended: another process has this port by now
            }
            said += &line;
            if line.contains(word) {
                let rest = move || _ = std::io::copy(&mut stderr, &mut std::io::sink());
                server.stderr = Some(std::thread::spawn(rest));
                return server;
            }
        }
    }
    panic!("{program} does not start: {said}");
}

impl Server {
    fn ask(&self, request: &Request) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(&request.bytes).unwrap();
        let _closed_already = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        let status = answer
            .strip_prefix(b"HTTP/1.")
            .and_then(|rest| std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok());
        assert!(status.is_some() || !request.answered, "{}", String::from_utf8_lossy(&request.bytes));
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let size = body.filter(|_| request.answered).map(|at| (answer.len() - at - 4) as u64);
        Answer { status, size }
    }

    /// Asks everything, ends the server in its own way, and gives the answers.
    fn run(mut self, requests: &[Request], signal: &str) -> (TempDir, Vec<Answer>) {
        let answers = requests.iter().map(|request| self.ask(request)).collect();
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        (std::mem::replace(&mut self.place, tempfile::tempdir().unwrap()), answers)
    }
}

/// What a format logs beside the fields of the combined one.
#[derive(Clone, Copy, Default)]
struct Has {
    host: bool,
    forwarded_for: bool,
    user: bool,
    duration: bool,
    /// The path is decoded before it is logged.
    decoded_path: bool,
    /// The referrer and the agent are not there.
    common: bool,
    /// What is no UTF-8 was replaced by the server.
    utf8: bool,
}

fn decoded(field: Option<Text<'_>>) -> Vec<u8> {
    field.map(|field| field.decode().into_owned()).unwrap_or_default()
}

/// A server's text of a header that is absent.
fn known(bytes: &[u8]) -> &[u8] {
    if bytes == b"-" { b"" } else { bytes }
}

fn check(record: &Record<'_>, request: &Request, answer: &Answer, has: Has, line: &str) {
    assert_eq!(decoded(record.client), b"127.0.0.1", "{line}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - record.time.unwrap().seconds()).abs() < 600, "{line}");
    if let Some(method) = request.method {
        assert_eq!(record.method.map(|method| method.decode().into_owned()).as_deref(), method, "{line}");
    }
    if let Some(resource) =
        request.resource.as_ref().filter(|path| !has.decoded_path || !path.contains(&b'%'))
    {
        let found = record.resource().unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(resource), "{line}");
    }
    if let Some(protocol) = request.protocol.filter(|protocol| protocol.is_some() || !has.decoded_path) {
        assert_eq!(record.protocol.map(Text::bytes), protocol, "{line}");
    }
    if answer.status.is_some() {
        assert_eq!(record.status, answer.status, "{line}");
    }
    if let Some(size) = answer.size {
        assert_eq!(record.size, size, "{line}");
    }
    if request.answered {
        let pairs = [
            (record.referrer, &request.referrer, !has.common),
            (record.agent, &request.agent, !has.common),
            (record.forwarded_for, &request.forwarded_for, has.forwarded_for),
            (record.user, &request.user, has.user),
        ];
        for (found, expected, _) in pairs.into_iter().filter(|(_, _, logged)| *logged) {
            let (found, expected) = (decoded(found), known(expected));
            assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(expected), "{line}");
            assert!(found == expected || has.utf8, "{line}");
        }
        assert_eq!(record.host.is_some(), has.host, "{line}");
        assert_eq!(record.duration.is_some(), has.duration, "{line}");
    }
}

/// Reads a log in the format that is found out and in the one that is pasted.
fn read(
    log: PathBuf,
    name: Option<&str>,
    pasted: Option<&str>,
    requests: &[Request],
    answers: &[Answer],
    has: Has,
) {
    let log = fs::read(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let lines: Vec<&[u8]> = log.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
    let all = String::from_utf8_lossy(&log).into_owned();
    assert_eq!(lines.len(), requests.len(), "{all}");
    let mut parsers = Vec::new();
    parsers.extend(name.map(|_| RecordParser::detecting()));
    parsers.extend(pasted.map(|pasted| RecordParser::named(pasted).unwrap()));
    for (at, mut parser) in parsers.into_iter().enumerate() {
        for ((line, request), answer) in lines.iter().zip(requests).zip(answers) {
            let text = String::from_utf8_lossy(line);
            let record = parser.parse(line).unwrap_or_else(|_| panic!("not understood: {text}")).unwrap();
            check(&record, request, answer, has, &text);
        }
        if let Some(name) = name.filter(|_| at == 0) {
            assert_eq!(
                (parser.name(), parser.take_news().is_some_and(|news| matches!(news, News::Found(_)))),
                (Some(name), true)
            );
        }
    }
}

#[test]
fn lines_of_apache_say_what_was_asked() {
    let combined = r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#;
    let vhost = r#"%v:%p %h %l %u %t \"%r\" %>s %B \"%{Referer}i\" \"%{User-Agent}i\""#;
    let own = r#"%{%Y-%m-%d %H:%M:%S}t.%{msec_frac}t%{%z}t %a %v:%p \"%m %U%q %H\" %>s/%B %D us \"%{Referer}i\" \"%{User-Agent}i\" \"%{X-Forwarded-For}i\""#;
    let server = start("/usr/sbin/apache2", "resuming normal operations", |place, port| {
        let modules = ["mpm_prefork", "authz_core"]
            .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
        let logs: String = [
            ("common", "%h %l %u %t \\\"%r\\\" %>s %b"),
            ("combined", combined),
            ("vhost", vhost),
            ("own", own),
        ]
        .iter()
        .map(|(name, format)| {
            format!("LogFormat \"{format}\" {name}\nCustomLog {}/{name}.log {name}\n", place.display())
        })
        .collect();
        let config = format!(
            "{}ServerName shop.example\nListen 127.0.0.1:{port}\nServerRoot {place}\nDefaultRuntimeDir {place}\n\
             PidFile {place}/pid\nErrorLog /dev/stderr\nUser www-data\nGroup www-data\nDocumentRoot {place}\n{logs}\
             StartServers 1\nMinSpareServers 1\nMaxSpareServers 1\nMaxRequestWorkers 1\nServerLimit 1\n\
             LimitRequestFieldSize 16000\nLimitRequestLine 16000\n",
            modules.concat(),
            place = place.display()
        );
        fs::write(place.join("httpd.conf"), config).unwrap();
        ["-DFOREGROUND", "-f", &place.join("httpd.conf").display().to_string()].map(str::to_owned).into()
    });
    let requests: Vec<_> = requests().into_iter().chain(garbage()).collect();
    let (place, answers) = server.run(&requests, "-WINCH");
    let path = |name: &str| place.path().join(name);
    let directive = format!("LogFormat \"{combined}\" combined");
    let common = Has { common: true, ..Has::default() };
    read(path("common.log"), Some("common"), Some("%h %l %u %t \"%r\" %>s %b"), &requests, &answers, common);
    read(path("combined.log"), Some("combined"), Some(&directive), &requests, &answers, Has::default());
    let host = Has { host: true, ..Has::default() };
    read(path("vhost.log"), Some("vhost"), Some(vhost), &requests, &answers, host);
    let has = Has { host: true, forwarded_for: true, duration: true, decoded_path: true, ..Has::default() };
    read(path("own.log"), None, Some(own), &requests, &answers, has);
}

#[test]
fn lines_of_nginx_say_what_was_asked() {
    let main = r#"log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';"#;
    let own = r#"log_format own '$time_iso8601 $http_host $remote_addr "$request_method" "$request_uri" $server_protocol $status '
                      '$body_bytes_sent $request_time "$http_referer" "$http_user_agent" "$http_x_forwarded_for" $remote_user';"#;
    let json = r#"log_format json escape=json '{"time_iso8601":"$time_iso8601","remote_addr":"$remote_addr","host":"$http_host",'
                      '"request":"$request","status":"$status","body_bytes_sent":"$body_bytes_sent","request_time":"$request_time",'
                      '"http_referer":"$http_referer","http_user_agent":"$http_user_agent",'
                      '"http_x_forwarded_for":"$http_x_forwarded_for","remote_user":"$remote_user"}';"#;
    let server = start("/usr/sbin/nginx", "using the \"epoll\" event method", |place, port| {
        let logs: String = ["combined", "main", "own", "json"]
            .map(|name| format!("access_log {}/{name}.log {name};\n", place.display()))
            .concat();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {}/{name};\n", place.display()))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr notice;\nevents {{}}\nhttp {{\n{paths}\
             {main}\n{own}\n{json}\n{logs}large_client_header_buffers 4 16k;\n\
             server {{ listen 127.0.0.1:{port}; server_name shop.example; location / {{ return 200 'hello'; }} }} }}\n",
            place = place.display()
        );
        fs::write(place.join("nginx.conf"), config).unwrap();
        [
            "-p",
            &place.display().to_string(),
            "-e",
            "stderr",
            "-c",
            &place.join("nginx.conf").display().to_string(),
        ]
        .map(str::to_owned)
        .into()
    });
    let mut requests = requests();
    let login = Base64::encode_string("ann \"lee\" caf\u{e9}:secret".as_bytes());
    let mut user = request(b"/user", &[("Authorization", format!("Basic {login}").as_bytes())]);
    user.user = "ann \"lee\" caf\u{e9}".as_bytes().to_vec();
    requests.push(user);
    requests
        .push(request(b"/control", &[("Referer", b"\x1b]52;c;\x07\x7f\x01"), ("User-Agent", b"\x1b[31m")]));
    requests.extend(garbage());
    let (place, answers) = server.run(&requests, "-QUIT");
    let path = |name: &str| place.path().join(name);
    let combined = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
    let user = Has { user: true, ..Has::default() };
    read(path("combined.log"), Some("combined"), Some(combined), &requests, &answers, user);
    let forwarded = Has { forwarded_for: true, ..user };
    read(path("main.log"), Some("nginx"), Some(main), &requests, &answers, forwarded);
    let all = Has { host: true, duration: true, ..forwarded };
    read(path("own.log"), None, Some(own), &requests, &answers, all);
    read(path("json.log"), Some("json"), Some(json), &requests, &answers, all);
}

#[test]
fn lines_of_caddy_say_what_was_asked() {
    let server = start("/usr/bin/caddy", "serving initial configuration", |place, port| {
        let config = format!(
            r#"{{"admin":{{"disabled":true}},"logging":{{"logs":{{"default":{{"exclude":["http.log.access"]}},
               "access":{{"writer":{{"output":"file","filename":"{}/access.log"}},"include":["http.log.access"]}}}}}},
               "apps":{{"http":{{"servers":{{"shop":{{"listen":["127.0.0.1:{port}"],"automatic_https":{{"disable":true}},"logs":{{}},
               "routes":[{{"handle":[{{"handler":"static_response","body":"hello"}}]}}]}}}}}}}}}}"#,
            place.display()
        );
        fs::write(place.join("caddy.json"), config).unwrap();
        ["run", "--config", &place.join("caddy.json").display().to_string()].map(str::to_owned).into()
    });
    let requests = requests();
    let (place, answers) = server.run(&requests, "-TERM");
    let has = Has { host: true, forwarded_for: true, duration: true, utf8: true, ..Has::default() };
    read(place.path().join("access.log"), Some("caddy"), None, &requests, &answers, has);
}
