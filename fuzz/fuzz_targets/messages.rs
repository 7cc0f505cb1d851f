//! Every decoder; what is read is written as the same bytes, where there is one way to write it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::wire::message::*;
use strombus::wire::{Decode, Encode, Writer};

fn again<'a, M: Decode<'a> + Encode>(payload: &'a [u8], canonical: bool) {
    if let Ok(message) = M::from_payload(payload) {
        let mut out = vec![payload[0]];
        message.encode(&mut Writer::new(&mut out));
        assert!(!canonical || out == payload);
    }
}

fuzz_target!(|payload: &[u8]| {
    again::<Ignore<'_>>(payload, true);
    again::<Unimplemented>(payload, true);
    again::<Debug<'_>>(payload, false); // a boolean has many forms
    again::<Disconnect<'_>>(payload, true);
    let _ = Disconnect::from_lenient(payload);
    again::<ServiceRequest<'_>>(payload, true);
    again::<ServiceAccept<'_>>(payload, true);
    again::<NewKeys>(payload, true);
    again::<KexInit<'_>>(payload, false);
    again::<KexEcdhInit<'_>>(payload, true);
    again::<KexEcdhReply<'_>>(payload, true);
    again::<ExtInfo<'_>>(payload, true);
    if let Ok(info) = ExtInfo::from_payload(payload) {
        assert!(info.extensions().count() <= payload.len() / 8 + 1);
    }
    again::<UserauthRequest<'_>>(payload, true);
    again::<UserauthFailure<'_>>(payload, false);
    again::<UserauthSuccess>(payload, true);
    again::<UserauthBanner<'_>>(payload, true);
    again::<UserauthPkOk<'_>>(payload, true);
    let _ = PublickeyFields::decode(payload);
    let _ = PasswordFields::decode(payload);
    again::<GlobalRequest<'_>>(payload, false);
    again::<RequestSuccess<'_>>(payload, true);
    again::<ChannelOpen<'_>>(payload, true);
    again::<ChannelOpenConfirmation<'_>>(payload, true);
    again::<ChannelOpenFailure<'_>>(payload, true);
    again::<ChannelWindowAdjust>(payload, true);
    again::<ChannelData<'_>>(payload, true);
    again::<ChannelExtendedData<'_>>(payload, true);
    again::<ChannelEof>(payload, true);
    again::<ChannelClose>(payload, true);
    again::<ChannelRequest<'_>>(payload, false);
    again::<ChannelSuccess>(payload, true);
    again::<ChannelFailure>(payload, true);
});
