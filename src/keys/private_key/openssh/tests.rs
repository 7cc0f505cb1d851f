use super::*;
use crate::keys::private_key::{PRIVATE_KEY_FILE_MAX, parse as parse_any};
use crate::keys::public_key;

macro_rules! vector {
    ($name:expr) => {
        include_bytes!(concat!("../../../../vectors/keys/", $name))
    };
}

const ED25519: &[u8] = vector!("ed25519");

macro_rules! pairs {
    ($($name:literal)*) => { [$((vector!($name).as_slice(), vector!(concat!($name, ".pub")).as_slice())),*] };
}

/// Files without a passphrase, of every type and size, each with its public half.
const EVERY_TYPE: [(&[u8], &[u8]); 12] = pairs![
    "ed25519" "ed25519-no-comment" "ca-user" "ca-host"
    "ecdsa-256" "ecdsa-384" "ecdsa-521" "ca-ecdsa"
    "rsa-2048" "rsa-3072" "rsa-4096" "ca-rsa"
];

/// Bytes that count upwards.
struct Counting(u8);

impl Rng for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
    }
}

fn parse(file: &[u8]) -> Result<PrivateKeyFile, PrivateKeyError> {
    parse_any(file).and_then(Parsed::plain)
}

fn error(file: &[u8]) -> PrivateKeyError {
    parse(file).unwrap_err()
}

fn unarmour(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    armour::decode(armour::inside(file, LABEL)?)
}

fn armour(body: &[u8]) -> Zeroizing<String> {
    armour::encode(LABEL_TEXT, body, ARMOUR_COLUMNS)
}

#[test]
fn keys_of_ssh_keygen_are_read_with_their_public_half() {
    for (file, public) in EVERY_TYPE {
        let (private, public) = (parse(file).unwrap(), public_key::parse(public).unwrap());
        assert_eq!(private.key.public_key(), public.key);
        assert_eq!(private.comment, public.comment);
        for algorithm in private.key.algorithms() {
            let signature = private.key.sign(*algorithm, b"m").unwrap();
            assert!(public.key.verify(*algorithm, b"m", &signature).is_ok());
        }
    }
}

#[test]
fn a_written_file_is_what_ssh_keygen_writes() {
    for (file, _) in EVERY_TYPE {
        let read = parse(file).unwrap();
        // Only the check number is random: give the writer the one that ssh-keygen drew.
        let body = unarmour(file).unwrap();
        let check_at = HEAD_LEN + read.key.public_key().blob().len();
        let mut rng = Counting(0);
        let mut expected = body.clone();
        rng.fill(&mut expected[check_at..check_at + 4]);
        expected.copy_within(check_at..check_at + 4, check_at + 4);
        let written = write(&read.key, &read.comment, &mut Counting(0)).unwrap();
        assert_eq!(*written, *armour(&expected));
        assert_eq!(armour(&body).as_bytes(), file);
    }
}

#[test]
fn every_padding_is_written_and_read() {
    let key = parse(ED25519).unwrap().key;
    for length in 0..=2 * BLOCK_LEN {
        let comment = "c".repeat(length);
        let file = write(&key, &comment, &mut Counting(0)).unwrap();
        let read = parse(file.as_bytes()).unwrap();
        assert_eq!((read.key.public_key(), read.comment), (key.public_key(), comment));
    }
    let longest = "c".repeat(line::COMMENT_MAX);
    assert_eq!(parse(write(&key, &longest, &mut Counting(0)).unwrap().as_bytes()).unwrap().comment, longest);
    assert_eq!(write(&key, &(longest + "c"), &mut Counting(0)), Err(BadComment));
    assert_eq!(write(&key, "a\nb", &mut Counting(0)), Err(BadComment));
}

#[test]
fn handles_are_read_and_only_an_agent_signs_with_them() {
    for (file, public) in pairs!["sk-ed25519-1" "sk-ed25519-2" "sk-ecdsa-1" "sk-ecdsa-2"] {
        let public = public_key::parse(public).unwrap().key;
        assert!(matches!(parse_any(file), Ok(Parsed::InToken(key)) if key == public));
        let body = unarmour(file).unwrap();
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            if let Ok(parsed) = parse_any(armour(&changed).as_bytes()) {
                assert_eq!(parsed.public_key(), Some(public.clone()), "{at}");
            }
            assert!(parse_any(armour(&body[..at]).as_bytes()).is_err(), "{at}");
        }
    }
    assert_eq!(error(vector!("sk-ed25519-1")), PrivateKeyError::InToken);
    assert!(PrivateKeyError::InToken.to_string().contains("only an agent can sign"));
}

/// The public half is enough to ask an agent: nobody types the passphrase of a handle. It opens all the same.
#[test]
fn an_encrypted_handle_is_named_without_its_passphrase() {
    for (file, public) in [
        (vector!("sk-ed25519-1.encrypted").as_slice(), vector!("sk-ed25519-1.pub").as_slice()),
        (vector!("sk-ecdsa-1.encrypted"), vector!("sk-ecdsa-1.pub")),
    ] {
        let public = public_key::parse(public).unwrap().key;
        assert!(matches!(parse_any(file), Ok(Parsed::InToken(key)) if key == public));
        let body = unarmour(file).unwrap();
        let mut reader = Reader::new(&body);
        let mut string = |before| {
            reader.bytes(before).unwrap();
            reader.string().unwrap()
        };
        let (cipher_name, kdf_name, kdf_options) = (string(MAGIC.len()), string(0), string(0));
        let (public_blob, private) = (string(4), string(0));
        let sealed = Sealed {
            cipher: cipher(cipher_name).unwrap(),
            kdf: kdf(kdf_name, kdf_options).unwrap(),
            public: public_blob.into(),
            private: private.into(),
            tag: [].into(),
        };
        assert_eq!(sealed.open(b"mekmitasdigoat").unwrap_err(), PrivateKeyError::InToken);
        assert_eq!(sealed.open(b"mekmitasdigoa").unwrap_err(), PrivateKeyError::WrongPassphrase);
    }
}

/// The writer's own check: what it encrypts is what it would write in clear, and nothing of it is in the file.
#[test]
fn t38_an_encrypted_file_is_written_and_opens_with_its_passphrase_only() {
    for (file, _) in EVERY_TYPE {
        let read = parse(file).unwrap();
        let written = write_encrypted(&read.key, &read.comment, b"pass", 1, &mut Counting(0)).unwrap();
        let Parsed::Encrypted(encrypted) = parse_any(written.as_bytes()).unwrap() else { panic!() };
        assert_eq!(encrypted.public_key(), Some(&read.key.public_key()));
        let opened = encrypted.decrypt(b"pass").unwrap();
        assert_eq!((opened.key.public_key(), opened.comment), (read.key.public_key(), read.comment));
        for wrong in [b"".as_slice(), b"Pass", b"pass\0", b"pas", &[b'p'; 1000]] {
            assert_eq!(encrypted.decrypt(wrong).unwrap_err(), PrivateKeyError::WrongPassphrase);
        }
        assert_eq!(error(written.as_bytes()), PrivateKeyError::Encrypted);
    }
    let key = parse(ED25519).unwrap().key;
    let write = |passphrase, rounds, comment| {
        write_encrypted(&key, comment, passphrase, rounds, &mut Counting(0)).map(drop)
    };
    assert_eq!(write(b"", 1, ""), Err(WriteError::Kdf(KdfError::EmptyPassphrase)));
    assert_eq!(write(b"p", 0, ""), Err(WriteError::Kdf(KdfError::BadParameters)));
    assert_eq!(write(b"p", 1_000_000_000, ""), Err(WriteError::Kdf(KdfError::TooCostly)));
    assert_eq!(write(b"p", 1, "a\nb"), Err(WriteError::Comment(BadComment)));
    let written = write_encrypted(&key, "", b"p", 1, &mut Counting(0)).unwrap();
    let body = unarmour(written.as_bytes()).unwrap();
    let PrivateKey::Ed25519(inner) = &key else { panic!() };
    assert!(!body.windows(8).any(|window| inner.seed().windows(8).any(|part| part == window)));
}

/// The fields in front of what is encrypted: (cipher, kdf, options, private section, tag).
fn encrypted_file(
    cipher: &[u8],
    kdf: &[u8],
    options: &[u8],
    private: &[u8],
    tag: &[u8],
) -> Zeroizing<String> {
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.bytes(MAGIC);
    writer.string(cipher);
    writer.string(kdf);
    writer.string(options);
    writer.uint32(1);
    writer.string(&parse(ED25519).unwrap().key.public_key().blob());
    writer.string(private);
    writer.bytes(tag);
    armour(&body)
}

fn options(salt: &[u8], rounds: u32) -> Vec<u8> {
    let mut options = Vec::new();
    let mut writer = Writer::new(&mut options);
    writer.string(salt);
    writer.uint32(rounds);
    options
}

#[test]
fn t89_what_is_said_of_the_encryption_is_judged_before_any_work() {
    let refused = |cipher: &[u8], kdf: &[u8], options: &[u8], private: &[u8], tag: &[u8]| {
        parse_any(encrypted_file(cipher, kdf, options, private, tag).as_bytes()).unwrap_err()
    };
    let good = options(&[1; 16], 1);
    let private = [0; 128];
    let file = encrypted_file(AES256_CTR, BCRYPT, &good, &private, &[]);
    let Parsed::Encrypted(encrypted) = parse_any(file.as_bytes()).unwrap() else { panic!() };
    assert_eq!(encrypted.decrypt(b"p").unwrap_err(), PrivateKeyError::WrongPassphrase);

    let kdf_error = PrivateKeyError::from(Malformed::KeyDerivation);
    for rounds in [1_000_000_000, u32::MAX, 2049] {
        let costly = options(&[1; 16], rounds);
        assert_eq!(refused(AES256_CTR, BCRYPT, &costly, &private, &[]), PrivateKeyError::TooCostly);
    }
    assert_eq!(refused(AES256_CTR, BCRYPT, &options(&[1; 16], 0), &private, &[]), kdf_error);
    assert_eq!(refused(AES256_CTR, BCRYPT, &options(&[], 1), &private, &[]), kdf_error);
    assert_eq!(refused(AES256_CTR, NONE, b"", &private, &[]), kdf_error);
    assert_eq!(refused(AES256_CTR, BCRYPT, &[], &private, &[]), DecodeError::Truncated.into());
    let longer = [&*good, &[0]].concat();
    assert_eq!(refused(AES256_CTR, BCRYPT, &longer, &private, &[]), DecodeError::TrailingBytes.into());
    let lying = [&[0xff; 4], &good[4..]].concat();
    assert_eq!(refused(AES256_CTR, BCRYPT, &lying, &private, &[]), DecodeError::Truncated.into());

    let unknown = PrivateKeyError::UnknownKdf("scrypt".to_owned());
    assert_eq!(refused(AES256_CTR, b"scrypt", &good, &private, &[]), unknown);
    for name in ["3des-cbc", "blowfish-cbc", "rijndael-cbc@lysator.liu.se", "AES256-CTR"] {
        let error = refused(name.as_bytes(), BCRYPT, &good, &private, &[]);
        assert_eq!(error, PrivateKeyError::UnknownCipher(name.to_owned()));
        assert!(error.to_string().contains(name) && error.to_string().contains("ssh-keygen -p"), "{error}");
    }
    for name in [b"".as_slice(), b"\x1b[2J", b"aes256-ctr\0", &[b'a'; 65]] {
        assert_eq!(refused(name, BCRYPT, &good, &private, &[]), Malformed::KeyFields.into());
    }
    for length in [0, 1, 8, 15, 17, 127] {
        let private = vec![0; length];
        assert_eq!(refused(AES256_CTR, BCRYPT, &good, &private, &[]), Malformed::Padding.into(), "{length}");
    }
    for (name, cipher) in CIPHERS {
        for tag in [0, 1, 15, 16, 17] {
            let file = encrypted_file(name, BCRYPT, &good, &private, &vec![0; tag]);
            assert_eq!(parse_any(file.as_bytes()).is_ok(), tag == cipher.tag_len(), "{name:?} {tag}");
        }
    }
}

/// Without the tag nothing would notice another comment.
#[test]
fn t89_a_changed_tag_or_ciphertext_of_an_aead_is_refused() {
    for file in [
        vector!("ed25519.aes128-gcm@openssh.com").as_slice(),
        vector!("ed25519.aes256-gcm@openssh.com"),
        vector!("ed25519.chacha20-poly1305@openssh.com"),
    ] {
        let body = unarmour(file).unwrap();
        let comment = body.len() - 16 - 14;
        for at in [comment, body.len() - 17, body.len() - 16, body.len() - 1] {
            let mut changed = body.clone();
            changed[at] ^= 1;
            let Ok(Parsed::Encrypted(encrypted)) = parse_any(armour(&changed).as_bytes()) else {
                panic!("{at}")
            };
            let error = encrypted.decrypt(b"correct horse battery staple").unwrap_err();
            assert_eq!(error, PrivateKeyError::WrongPassphrase, "{at}");
        }
    }
}

#[test]
fn line_ends_of_other_systems_are_read() {
    let text = core::str::from_utf8(ED25519).unwrap();
    assert!(parse(text.trim_end().as_bytes()).is_ok());
    assert!(parse(text.replace('\n', "\r\n").as_bytes()).is_ok());
    assert!(parse(format!("{text} \r\n\n").as_bytes()).is_ok());
}

#[test]
fn armour_must_be_whole_and_last() {
    let text = core::str::from_utf8(ED25519).unwrap();
    for file in [text.replace("-----END", "-----"), format!("{text}x"), format!("{text}{text}")] {
        assert_eq!(error(file.as_bytes()), Malformed::Armour.into());
    }
    for file in [text.replace("b3Bl", "b3 l"), text.replace("b3Bl", "b3Bl="), text.replace("b3Bl", "b3B")] {
        assert_eq!(error(file.as_bytes()), Malformed::Base64.into());
    }
}

#[test]
fn a_file_beyond_the_bound_is_not_read() {
    let mut file = ED25519.to_vec();
    file.resize(PRIVATE_KEY_FILE_MAX, b'\n');
    assert!(parse(&file).is_ok());
    file.push(b'\n');
    assert_eq!(error(&file), PrivateKeyError::TooLarge);
}

/// The fields of a file, to be spoilt one by one.
struct Fields {
    magic: Vec<u8>,
    cipher: &'static [u8],
    kdf: &'static [u8],
    kdf_options: &'static [u8],
    count: u32,
    public: Vec<u8>,
    check: [u32; 2],
    key_type: Vec<u8>,
    public_inside: Vec<u8>,
    pair: Vec<u8>,
    comment: Vec<u8>,
    padding: Vec<u8>,
    tail: Vec<u8>,
}

impl Fields {
    fn good() -> Self {
        let key = PrivateKey::ed25519_from_seed(&crate::crypto::Secret::new([7; 32]));
        let public = key.public_key().blob();
        let public_inside = public[public.len() - 32..].to_vec();
        Self {
            magic: MAGIC.to_vec(),
            cipher: NONE,
            kdf: NONE,
            kdf_options: b"",
            count: 1,
            public,
            check: [0xa5a5_a5a5; 2],
            key_type: ED25519_NAME.to_vec(),
            pair: [[7; 32].as_slice(), &public_inside].concat(),
            public_inside,
            comment: b"12345".to_vec(),
            padding: vec![],
            tail: vec![],
        }
    }

    fn file(&self) -> Zeroizing<String> {
        let mut body = Vec::new();
        let mut writer = Writer::new(&mut body);
        writer.bytes(&self.magic);
        writer.string(self.cipher);
        writer.string(self.kdf);
        writer.string(self.kdf_options);
        writer.uint32(self.count);
        writer.string(&self.public);
        writer.nested(|writer| {
            writer.uint32(self.check[0]);
            writer.uint32(self.check[1]);
            writer.string(&self.key_type);
            writer.string(&self.public_inside);
            writer.string(&self.pair);
            writer.string(&self.comment);
            writer.bytes(&self.padding);
        });
        writer.bytes(&self.tail);
        armour(&body)
    }
}

const ED25519_NAME: &[u8] = ed25519::NAME.as_bytes();

fn spoilt(spoil: impl FnOnce(&mut Fields)) -> Result<PrivateKeyFile, PrivateKeyError> {
    let mut fields = Fields::good();
    spoil(&mut fields);
    parse(fields.file().as_bytes())
}

#[test]
fn t89_each_check_of_the_format_is_made() {
    let refused = |spoil: fn(&mut Fields)| spoilt(spoil).unwrap_err();
    assert!(spoilt(|_| ()).is_ok());
    assert_eq!(refused(|f| f.magic[14] = b'2'), Malformed::Magic.into());
    assert_eq!(refused(|f| f.cipher = b"aes256-ctr"), Malformed::KeyDerivation.into());
    assert_eq!(refused(|f| f.cipher = b""), Malformed::KeyFields.into());
    assert_eq!(refused(|f| f.kdf = b"bcrypt"), Malformed::KeyDerivation.into());
    assert_eq!(refused(|f| f.kdf_options = b"x"), Malformed::KeyDerivation.into());
    for count in [0, 2, u32::MAX] {
        let spoil = move |f: &mut Fields| f.count = count;
        assert_eq!(spoilt(spoil).unwrap_err(), Malformed::KeyCount.into());
    }
    assert_eq!(refused(|f| f.tail = vec![0]), Malformed::Fields(DecodeError::TrailingBytes).into());
    assert_eq!(refused(|f| f.check[1] ^= 1), Malformed::CheckNumbers.into());
    assert_eq!(refused(|f| f.key_type = b"ssh-ed25518".to_vec()), Malformed::PublicKey.into());
    // Another seed, another public half, another public key in one of the three places.
    assert_eq!(refused(|f| f.pair[0] ^= 1), Malformed::PublicKey.into());
    assert_eq!(refused(|f| f.pair[63] ^= 1), Malformed::PublicKey.into());
    assert_eq!(refused(|f| f.public_inside[31] ^= 1), Malformed::PublicKey.into());
    let both_inside = |f: &mut Fields| {
        f.public_inside[31] ^= 1;
        f.pair[63] ^= 1;
    };
    assert_eq!(refused(both_inside), Malformed::PublicKey.into());
    assert_eq!(refused(|f| *f.public.last_mut().unwrap() ^= 1), Malformed::PublicKey.into());
    assert_eq!(refused(|f| f.public.push(0)), Malformed::PublicKey.into());
    assert_eq!(refused(|f| f.public.clear()), Malformed::PublicKey.into());
}

#[test]
fn t89_short_and_long_ed25519_fields_are_refused() {
    for length in [0, 31, 33, 63, 65, 96] {
        for pair in [true, false] {
            let refused = spoilt(|f| {
                if pair {
                    f.pair.resize(length, 1)
                } else {
                    f.public_inside.resize(length, 1)
                }
                // Keep the section a multiple of 8, so that the length is what is wrong.
                let inside = f.pair.len() + f.public_inside.len() + f.comment.len() + 8 + 15 + 12;
                f.padding = (1..).take(inside.next_multiple_of(8) - inside).collect();
            });
            assert_eq!(refused.unwrap_err(), Malformed::KeyFields.into(), "{length} {pair}");
        }
    }
}

/// The fields of an ECDSA key, each off by itself.
#[test]
fn t89_ecdsa_fields_that_differ_are_refused() {
    let key = PrivateKey::ecdsa_from_scalar(Curve::Nistp256, &[7; 32]).unwrap();
    let other = PrivateKey::ecdsa_from_scalar(Curve::Nistp256, &[8; 32]).unwrap();
    let (PublicKey::Ecdsa(q), PublicKey::Ecdsa(other_q)) = (key.public_key(), other.public_key()) else {
        panic!()
    };
    let read = |curve: &[u8], q: &[u8], d: &[u8]| {
        let mut fields = Vec::new();
        let mut writer = Writer::new(&mut fields);
        writer.string(curve);
        writer.string(q);
        writer.string(d);
        parse_private_fields(b"ecdsa-sha2-nistp256", &mut Reader::new(&fields)).map(|held| match held {
            Held::Key(key) => key.public_key(),
            Held::Handle(_) => panic!(),
        })
    };
    let (q, other_q) = (q.as_bytes(), other_q.as_bytes());
    assert_eq!(read(b"nistp256", q, &[7; 32]), Ok(key.public_key()));
    assert_eq!(read(b"nistp384", q, &[7; 32]), Err(Malformed::KeyFields.into()));
    assert_eq!(read(b"nistp256", other_q, &[7; 32]), Err(Malformed::PublicKey.into()));
    assert_eq!(read(b"nistp256", &q[1..], &[7; 32]), Err(Malformed::PublicKey.into()));
    assert_eq!(read(b"nistp256", q, &[7; 33]), Err(Malformed::KeyFields.into()));
    assert_eq!(read(b"nistp256", q, &[7; 31]), Err(Malformed::PublicKey.into()));
    assert_eq!(read(b"nistp256", q, b""), Err(Malformed::Fields(DecodeError::NotPositive).into()));
    assert_eq!(read(b"nistp256", q, &[0x80; 32]), Err(Malformed::Fields(DecodeError::NotPositive).into()));
    assert_eq!(read(b"nistp256", q, &[&[0], &[0xff; 32][..]].concat()), Err(Malformed::KeyFields.into()));
}

#[test]
fn padding_counts_up_and_ends_a_block() {
    let padded = |comment: usize, padding: &[u8]| {
        spoilt(|f| {
            f.comment = vec![b'c'; comment];
            f.padding = padding.to_vec();
        })
    };
    assert!(padded(5, &[]).is_ok());
    assert!(padded(2, &[1, 2, 3]).is_ok());
    assert!(padded(5, &[1, 2, 3, 4, 5, 6, 7, 8]).is_ok());
    let longest: Vec<u8> = (1..=248).collect();
    assert!(padded(5, &longest).is_ok());
    let too_long: Vec<u8> = (1..=255).chain([0]).collect();
    for (comment, padding) in
        [(5, &[1][..]), (4, &[]), (2, &[1, 2, 4]), (2, &[0, 1, 2]), (2, &[3, 2, 1]), (5, too_long.as_slice())]
    {
        assert_eq!(padded(comment, padding).unwrap_err(), Malformed::Padding.into(), "{comment} {padding:?}");
    }
}

#[test]
fn unknown_types_are_named_only_if_they_are_names() {
    let typed = |name: &[u8]| {
        spoilt(|f| {
            f.key_type = name.to_vec();
            f.public = [&[0, 0, 0, name.len() as u8], name].concat();
            f.padding = (1..).take((19 - name.len() % 8) % 8).collect();
        })
    };
    let unknown = PrivateKeyError::UnknownType("ssh-new".to_owned());
    assert_eq!(typed(b"ssh-new").unwrap_err(), unknown);
    for name in [b"".as_slice(), b"a b", b"\x1b[2J", &[b'a'; 65], b"\xff"] {
        assert_eq!(typed(name).unwrap_err(), Malformed::KeyFields.into());
    }
}

#[test]
fn t89_t40_no_cut_or_changed_byte_panics_or_gives_another_key() {
    let public = parse(ED25519).unwrap().key.public_key();
    let whole = ED25519.len() - 1;
    for cut in 0..ED25519.len() {
        assert_eq!(parse(&ED25519[..cut]).is_ok(), cut >= whole, "{cut}");
    }
    let body = unarmour(ED25519).unwrap();
    for cut in 0..body.len() {
        assert!(parse(armour(&body[..cut]).as_bytes()).is_err(), "{cut}");
    }
    for at in 0..body.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = body.clone();
            changed[at] ^= change;
            if let Ok(read) = parse(armour(&changed).as_bytes()) {
                assert_eq!(read.key.public_key(), public);
            }
        }
    }
    for at in 0..ED25519.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut changed = ED25519.to_vec();
            changed[at] ^= change;
            if let Ok(read) = parse(&changed) {
                assert_eq!(read.key.public_key(), public);
            }
        }
    }
}

/// The other types have their own fields: none of them may be off.
#[test]
fn t89_t40_no_cut_or_changed_byte_of_other_types_panics_or_gives_another_key() {
    for file in [vector!("ecdsa-256").as_slice(), vector!("ecdsa-521"), vector!("rsa-2048")] {
        let public = parse(file).unwrap().key.public_key();
        let body = unarmour(file).unwrap();
        for cut in 0..body.len() {
            assert!(parse(armour(&body[..cut]).as_bytes()).is_err(), "{cut}");
        }
        for at in 0..body.len() {
            for change in [0x01, 0x80] {
                let mut changed = body.clone();
                changed[at] ^= change;
                if let Ok(read) = parse(armour(&changed).as_bytes()) {
                    assert_eq!(read.key.public_key(), public, "{at}");
                }
            }
        }
    }
}

#[test]
fn t40_each_length_field_is_bounded_by_the_bytes_there() {
    let body = unarmour(ED25519).unwrap();
    for at in 0..body.len() - 4 {
        for length in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let mut changed = body.clone();
            changed[at..at + 4].copy_from_slice(&length.to_be_bytes());
            if let Ok(read) = parse(armour(&changed).as_bytes()) {
                assert_eq!(read.key.public_key(), parse(ED25519).unwrap().key.public_key());
            }
        }
    }
}
