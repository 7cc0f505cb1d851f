//! A server that breaks the rules, and an application that does.

use super::*;
use crate::transport::Misuse;
use crate::wire::MALFORMED;

const VERSION_PACKET: &[u8] = b"\0\0\0\x05\x02\0\0\0\x03";

/// A client that may be asked by, of a server without extensions.
fn ready() -> SftpClient<u8> {
    let mut client = SftpClient::new();
    assert_eq!(told(&mut client, VERSION_PACKET), Ok(1));
    client.consume_output(usize::MAX);
    client
}

/// How many events came of these bytes.
fn told(client: &mut SftpClient<u8>, mut bytes: &[u8]) -> Result<usize, Fault> {
    let mut reassembly = Reassembly::new();
    let mut events = 0;
    loop {
        match client.handle_input(&mut reassembly, &mut bytes)? {
            Step::Event(_) => events += 1,
            Step::NeedInput => return Ok(events),
            Step::Progress | Step::Busy => {}
        }
    }
}

/// What comes of an answer to a request.
fn answered(request: &Request<'_>, packet: &[u8]) -> Result<usize, Fault> {
    let mut client = ready();
    client.extensions = version_of_all()[9..].to_vec();
    client.request(1, request).unwrap();
    let end = told(&mut client, &framed(packet));
    if let Err(fault) = end {
        assert_eq!(told(&mut client, VERSION_PACKET), Err(fault), "it stays so");
        assert_eq!(client.request(2, request), Err(NOT_READY));
    }
    end
}

fn version_of_all() -> Vec<u8> {
    let mut packet = VERSION_PACKET.to_vec();
    for extension in Extension::ALL {
        for text in [extension.name(), extension.version()] {
            packet.extend(framed(text));
        }
    }
    framed(&packet[4..])
}

const READ: Request<'_> = Request::Read { handle: b"h", offset: 0, len: 4 };
const REALPATH: Request<'_> = Request::Realpath { path: b"." };

/// A request that is answered so.
fn request_for(expected: Expected) -> Request<'static> {
    vectors::requests()
        .into_iter()
        .map(|(request, _)| request)
        .map(|request| match request {
            Request::Read { handle, offset, .. } => Request::Read { handle, offset, len: 5 },
            request => request,
        })
        .find(|request| request.expected() == expected)
        .unwrap()
}

#[test]
fn t99_each_answer_that_is_cut_ends_the_channel() {
    for (answer, expected, packet) in vectors::answers() {
        let request = request_for(expected);
        if request == Request::Limits {
            continue; // the client's own, below
        }
        let packet = [&packet[..1], b"\0\0\0\0", &packet[5..]].concat();
        assert_eq!(answered(&request, &packet), Ok(1), "{answer:?}");
        for n in 1..packet.len() {
            let open_end = matches!(answer, Answer::Extended(_)) && n >= 5;
            let no_texts = matches!(answer, Answer::Status(_)) && n == 9;
            let end = answered(&request, &packet[..n]);
            assert_eq!(end, if open_end || no_texts { Ok(1) } else { Err(MALFORMED) }, "{answer:?} {n}");
        }
        let more = answered(&request, &[&packet[..], b"\0"].concat());
        assert_eq!(more.is_ok(), matches!(answer, Answer::Extended(_)));
    }
}

#[test]
fn t99_an_answer_of_another_type_ends_the_channel() {
    for (request, _) in vectors::requests() {
        for (answer, _, packet) in vectors::answers() {
            let packet = [&packet[..1], b"\0\0\0\0", &packet[5..]].concat();
            let mut changed = ready();
            changed.extensions = version_of_all()[9..].to_vec();
            if matches!(request, Request::Read { len, .. } if len > LEN_DEFAULT) {
                continue;
            }
            changed.request(0, &request).unwrap();
            let fits = match (&answer, request.expected()) {
                (Answer::Status(_), _)
                | (Answer::Handle(_), Expected::Handle)
                | (Answer::Data(_), Expected::Data { .. })
                | (Answer::Names(_), Expected::Names)
                | (Answer::Attrs(_), Expected::Attrs) => true,
                (Answer::Names(names), Expected::OneName) => names.len() == 1,
                // The types of an extended reply are its request's.
                (
                    _,
                    Expected::StatVfs | Expected::Limits | Expected::UsersGroups { .. } | Expected::Extended,
                ) => {
                    if packet[0] == 201 {
                        continue;
                    }
                    false
                }
                _ => false,
            };
            let end = told(&mut changed, &framed(&packet));
            let fault = match (&answer, request.expected()) {
                (Answer::Names(_), Expected::OneName) => NOT_ONE_NAME,
                _ => ANSWER_OF_ANOTHER_TYPE,
            };
            assert_eq!(end, if fits { Ok(1) } else { Err(fault) }, "{request:?} {answer:?}");
        }
    }
}

#[test]
fn t99_an_answer_to_nothing_or_a_second_one_ends_the_channel() {
    let ok = |id: u8| framed(&[101, 0, 0, 0, id, 0, 0, 0, 0]);
    let mut client = ready();
    assert_eq!(told(&mut client, &ok(0)), Err(UNKNOWN_ID));
    let mut client = ready();
    client.request(1, &Request::Rmdir { path: b"/d" }).unwrap();
    client.request(2, &Request::Rmdir { path: b"/e" }).unwrap();
    assert_eq!(told(&mut client, &[ok(1), ok(0), ok(1)].concat()), Err(UNKNOWN_ID));
    let mut client = ready();
    client.request(1, &Request::Rmdir { path: b"/d" }).unwrap();
    client.request(2, &Request::Rmdir { path: b"/e" }).unwrap();
    assert_eq!(told(&mut client, &ok(2)), Err(UNKNOWN_ID));
    assert!(client.into_tokens().eq([1, 2]), "those have no answer");
}

#[test]
fn t99_data_is_never_empty_and_never_more_than_was_asked_for() {
    assert_eq!(answered(&READ, b"\x67\0\0\0\0\0\0\0\x04four"), Ok(1));
    assert_eq!(answered(&READ, b"\x67\0\0\0\0\0\0\0\x01f"), Ok(1));
    assert_eq!(answered(&READ, b"\x67\0\0\0\0\0\0\0\0"), Err(EMPTY_DATA));
    assert_eq!(answered(&READ, b"\x67\0\0\0\0\0\0\0\x05fives"), Err(DATA_EXCEEDS_REQUEST));
}

#[test]
fn t99_ok_is_no_answer_to_a_request_for_something() {
    for (request, _) in vectors::requests() {
        if matches!(request, Request::Read { len, .. } if len > LEN_DEFAULT) {
            continue;
        }
        let end = match request.expected() {
            Expected::Status | Expected::Extended => Ok(1),
            _ => Err(STATUS_WITHOUT_ANSWER),
        };
        assert_eq!(answered(&request, b"\x65\0\0\0\0\0\0\0\0"), end, "{request:?}");
    }
}

#[test]
fn t99_handles_above_the_bound_end_the_channel() {
    let handle = |len: usize| [b"\x66\0\0\0\0", &framed(&vec![7; len])[..]].concat();
    let open = Request::Opendir { path: b"/" };
    assert_eq!(answered(&open, &handle(HANDLE_LEN_MAX)), Ok(1));
    assert_eq!(answered(&open, &handle(HANDLE_LEN_MAX + 1)), Err(HANDLE_TOO_LONG));
}

#[test]
fn t99_one_path_is_one_and_a_path() {
    let names = |paths: &[&[u8]]| {
        let mut names = NamesBuf::new();
        for path in paths {
            assert!(names.push(&Name { filename: path, longname: b"", attrs: Attributes::default() }));
        }
        encoded::<&[u8]>(&Answer::Names(names.names()))[4..].to_vec()
    };
    let (longest, too_long) = (vec![b'x'; PATH_LEN_MAX], vec![b'x'; PATH_LEN_MAX + 1]);
    assert_eq!(answered(&REALPATH, &names(&[&longest])), Ok(1));
    for paths in [&[][..] as &[&[u8]], &[b""], &[b"/a", b"/b"], &[b"/a\0"], &[&too_long]] {
        assert_eq!(answered(&REALPATH, &names(paths)), Err(NOT_ONE_NAME), "{paths:?}");
    }
}

#[test]
fn t99_no_names_are_the_end_and_ffffffff_names_are_none() {
    let mut client = ready();
    client.request(1, &Request::Readdir { handle: b"h" }).unwrap();
    let (bytes, mut reassembly) = (framed(b"\x68\0\0\0\0\0\0\0\0"), Reassembly::new());
    let end = client.handle_input(&mut reassembly, &mut &bytes[..]);
    let Ok(Step::Event(ClientEvent::Answer { answer: Answer::Status(status), .. })) = end else {
        panic!("{end:?}")
    };
    assert_eq!(status.code, StatusCode::EOF);
    let many = b"\x68\0\0\0\0\xff\xff\xff\xff\0\0\0\x01a\0\0\0\0\0\0\0\0";
    assert_eq!(answered(&Request::Readdir { handle: b"h" }, many), Err(MALFORMED));
    let attrs = b"\x69\0\0\0\0\x80\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0";
    assert_eq!(answered(&Request::Fstat { handle: b"h" }, attrs), Err(MALFORMED));
}

#[test]
fn t99_a_longname_says_nothing() {
    let packet =
        b"\x68\0\0\0\0\0\0\0\x01\0\0\0\x01a\0\0\0\x27drwxrwxrwx 1 root root 99 Jan 1 1970 evil\0\0\0\0";
    let length = 39 + 2;
    let mut packet = packet.to_vec();
    packet[17] = length;
    let (number, _, fields) = split(&packet).unwrap();
    let Ok(Answer::Names(names)) = Answer::decode(number, fields, Expected::Names) else { panic!() };
    let name = names.iter().next().unwrap();
    assert_eq!((name.filename, name.attrs), (&b"a"[..], Attributes::default()));
}

#[test]
fn a_server_of_another_version_or_without_one_ends_the_channel() {
    let begun = |packet: &[u8]| told(&mut SftpClient::new(), &framed(packet));
    assert_eq!(begun(b"\x02\0\0\0\x03"), Ok(1));
    assert_eq!(begun(b"\x02\0\0\0\x02"), Err(WRONG_VERSION));
    assert_eq!(begun(b"\x02\0\0\0\x04"), Err(WRONG_VERSION));
    assert_eq!(begun(b"\x65\0\0\0\0\0\0\0\0"), Err(NOT_VERSION));
    assert_eq!(begun(b"\x02\0\0\0"), Err(MALFORMED));
    assert_eq!(begun(b"\x02\0\0\0\x03\0"), Err(MALFORMED));
    assert_eq!(begun(b"\x02\0\0\0\x03\0\0\0\x01x"), Err(MALFORMED), "a name without data");
    assert_eq!(told(&mut SftpClient::new(), b"\0\0\0\0"), Err(EMPTY_PACKET));
    assert_eq!(told(&mut SftpClient::new(), b"SSH-"), Err(PACKET_TOO_LONG));
    let long = |len: usize| [b"\x02\0\0\0\x03\0\0\0\0", &framed(&vec![b'x'; len - 8])[..]].concat();
    assert_eq!(begun(&long(EXTENSIONS_LEN_MAX)), Ok(1));
    assert_eq!(begun(&long(EXTENSIONS_LEN_MAX + 1)), Err(EXTENSIONS_TOO_LONG));
}

#[test]
fn an_extension_counts_in_the_version_that_is_known_and_the_first_of_its_name() {
    let mut client = SftpClient::<u8>::new();
    let pairs: [&[u8]; 10] = [
        b"fsync@openssh.com",
        b"1",
        b"statvfs@openssh.com",
        b"1",
        b"copy-data",
        b"2",
        b"copy-data",
        b"1",
        b"own",
        b"\xff",
    ];
    let mut packet = b"\x02\0\0\0\x03".to_vec();
    pairs.iter().for_each(|text| packet.extend(framed(text)));
    assert_eq!(told(&mut client, &framed(&packet)), Ok(1));
    let known: Vec<_> = Extension::ALL.into_iter().filter(|extension| client.supports(*extension)).collect();
    assert_eq!(known, [Extension::Fsync]);
    assert_eq!(client.extensions().data(b"own"), Some(&b"\xff"[..]));
    assert_eq!(client.request(1, &Request::Statvfs { path: b"/" }), Err(UNSUPPORTED_EXTENSION));
    assert_eq!(client.request(1, &Request::Fsync { handle: b"h" }), Ok(()));
}

/// What a client makes of an answer to its question for limits.
fn limited(packet: &[u8]) -> Result<ClientLimits, Fault> {
    let mut client = SftpClient::new();
    assert_eq!(told(&mut client, &version_of_all()), Ok(0));
    assert_eq!(client.request(1, &READ), Err(NOT_READY));
    assert!(client.output().ends_with(b"\xc8\0\0\0\0\0\0\0\x12limits@openssh.com"));
    assert_eq!(told(&mut client, &framed(packet))?, 1);
    client.request(1, &READ).unwrap();
    assert!(client.output().ends_with(b"\x05\0\0\0\x01\0\0\0\x01h\0\0\0\0\0\0\0\0\0\0\0\x04"));
    Ok(*client.limits())
}

#[test]
fn what_the_server_takes_is_used_within_the_bounds_of_here() {
    let told = |packet: u64, read: u64, write: u64, handles: u64| {
        let limits = Limits {
            max_packet_length: packet,
            max_read_length: read,
            max_write_length: write,
            max_open_handles: handles,
        };
        let used = limited(&encoded::<&[u8]>(&Answer::Limits(limits))[4..]).unwrap();
        (used.packet_len, used.read_len, used.write_len, used.open_handles)
    };
    let default = (PACKET_LEN_DEFAULT, LEN_DEFAULT, LEN_DEFAULT, None);
    assert_eq!(told(0, 0, 0, 0), default);
    assert_eq!(told(50_000, 1000, 2000, 3), (50_000, 1000, 2000, Some(3)));
    let most = u64::from(u32::MAX);
    assert_eq!(told(most, most, most, 1), (PACKET_LEN_MAX, LEN_MAX, LEN_MAX, Some(1)));
    let most = u64::MAX;
    assert_eq!(told(most, most, most, most), (PACKET_LEN_MAX, LEN_MAX, LEN_MAX, Some(most)));
    let refused = limited(b"\x65\0\0\0\0\0\0\0\x08").unwrap();
    assert_eq!((refused.packet_len, refused.read_len, refused.write_len, refused.open_handles), default);
    assert_eq!(limited(b"\xc9\0\0\0\0\0\0\0\0"), Err(MALFORMED));
    assert_eq!(limited(b"\xc9\0\0\0\x01\0\0\0\0"), Err(UNKNOWN_ID));
    assert_eq!(limited(b"\x67\0\0\0\0\0\0\0\x01x"), Err(ANSWER_OF_ANOTHER_TYPE));
    assert_eq!(limited(b"\x65\0\0\0\0\0\0\0\0"), Err(STATUS_WITHOUT_ANSWER));
}

#[test]
fn a_request_that_cannot_be_is_not_sent() {
    let mut client = ready();
    let mut refused = |request: &Request<'_>, why: Misuse| {
        assert_eq!(client.request(1, request), Err(why), "{request:?}");
        assert!(client.output().is_empty() && client.in_flight() == 0);
    };
    let (path, handle, data) =
        (vec![b'x'; PATH_LEN_MAX + 1], vec![0; PACKET_LEN_DEFAULT], vec![0; LEN_DEFAULT as usize + 1]);
    refused(&Request::Read { handle: b"h", offset: 0, len: 0 }, LEN_OUT_OF_BOUNDS);
    refused(&Request::Read { handle: b"h", offset: 0, len: LEN_DEFAULT + 1 }, LEN_OUT_OF_BOUNDS);
    refused(&Request::Write { handle: b"h", offset: 0, data: &data }, LEN_OUT_OF_BOUNDS);
    refused(&Request::Stat { path: &path }, REQUEST_TOO_LONG);
    refused(&Request::Rename { oldpath: b"x", newpath: &path }, REQUEST_TOO_LONG);
    refused(&Request::Close { handle: &handle }, REQUEST_TOO_LONG);
    refused(&Request::PosixRename { oldpath: b"x", newpath: b"y" }, UNSUPPORTED_EXTENSION);
    assert_eq!(SftpClient::new().request(1, &READ), Err(NOT_READY));
}

#[test]
fn no_more_is_under_way_or_unsent_than_the_bounds() {
    let mut client = ready();
    for _ in 0..IN_FLIGHT_MAX {
        client.request(1, &READ).unwrap();
    }
    assert_eq!(client.request(1, &READ), Err(TOO_MUCH_ASKED));
    client.consume_output(usize::MAX);
    assert!(!client.is_writable());
    assert_eq!(told(&mut client, &framed(b"\x67\0\0\0\x05\0\0\0\x01x")), Ok(1));
    assert_eq!(client.request(1, &READ), Ok(()));

    let mut client = ready();
    let data = vec![0; LEN_DEFAULT as usize];
    while client.request(1, &Request::Write { handle: b"h", offset: 0, data: &data }).is_ok() {}
    assert!(client.in_flight() < IN_FLIGHT_MAX);
    assert!((OUTPUT_MARK..OUTPUT_MARK + PACKET_LEN_DEFAULT).contains(&client.output().len()));
    client.consume_output(PACKET_LEN_DEFAULT);
    assert!(client.is_writable());
}

#[test]
fn ids_go_round_and_pass_over_those_under_way() {
    let mut client = ready();
    client.next_id = u32::MAX;
    client.request(1, &READ).unwrap();
    client.request(2, &READ).unwrap();
    client.next_id = u32::MAX;
    client.request(3, &READ).unwrap();
    let ids: Vec<_> = packets(client.output()).iter().map(|packet| split(packet).unwrap().1).collect();
    assert_eq!(ids, [u32::MAX, 0, 1]);
}
