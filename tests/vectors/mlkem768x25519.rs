use strombus::crypto::kex::Method;

use crate::Given;
use crate::reader::{Tally, Verdict, judge};

#[test]
fn mlkem768x25519() {
    let method = Method::MlKem768X25519;
    judge("mlkem768x25519-sha256.txt", Tally { valid: 6, invalid: 8, ..Tally::default() }, |block| {
        if block.get("SEED").is_none() {
            // A message alone, for whichever key.
            let any = [1; 96];
            return match (block.get("C_INIT"), block.get("S_REPLY")) {
                (Some(_), None) => method.respond(&block.hex("C_INIT"), &mut Given(&any)).map(|_| ()),
                (None, Some(_)) => {
                    method.client_start(&mut Given(&any)).agree(&block.hex("S_REPLY")).map(|_| ())
                }
                _ => panic!("{block}"),
            }
            .map_or(Verdict::Refused, |()| Verdict::Accepted);
        }
        let drawn_by_client = [block.hex("SEED"), block.hex("CLIENT_X25519")].concat();
        let drawn_by_server = [block.hex("M"), block.hex("SERVER_X25519")].concat();
        let client = method.client_start(&mut Given(&drawn_by_client));
        assert_eq!(client.public(), block.hex("C_INIT"), "{block}");
        let (s_reply, server_k) = method.respond(client.public(), &mut Given(&drawn_by_server)).unwrap();
        assert_eq!(s_reply, block.hex("S_REPLY"), "{block}");
        let client_k = client.agree(&s_reply).unwrap();
        let k = block.hex("K");
        assert_eq!((client_k.encoded(), server_k.encoded()), (&*k, &*k), "{block}");
        Verdict::Accepted
    });
}
