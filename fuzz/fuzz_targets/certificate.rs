//! Certificates: blobs, and the lines of files with them. No certificate that was not signed by the CA counts.
#![no_main]
use libfuzzer_sys::fuzz_target;
use strombus::crypto::sign::PublicKey;
use strombus::crypto::sign::certificate::{Certificate, PRINCIPALS_MAX, PlainOrCertified};
use strombus::keys::certificate::{self, CA_SIGNATURE_ALGORITHMS, Trust, check_host, check_user};
use strombus::userauth::{Circumstances, Origin};

fuzz_target!(|bytes: &[u8]| {
    let certificate = match certificate::parse(bytes) {
        Ok(certificate) => certificate,
        Err(_) => match Certificate::from_blob(bytes) {
            Ok(certificate) => certificate,
            Err(_) => return,
        },
    };
    let blob = certificate.blob();
    assert_eq!(Certificate::from_blob(blob).as_ref(), Ok(&certificate));
    assert!(PublicKey::from_blob(blob).is_err());
    assert_eq!(PlainOrCertified::from_blob(blob).as_ref().map(PlainOrCertified::key), Ok(certificate.key()));
    assert!(certificate.principals().count() <= PRINCIPALS_MAX);
    let names: Vec<_> = certificate.critical_options().map(|(name, _)| name).collect();
    assert!(names.is_sorted_by(|a, b| a < b));

    let principals: Vec<_> = certificate.principals().collect();
    let host = principals.first().map_or("host", |name| std::str::from_utf8(name).unwrap_or("host"));
    let address = Some(std::net::Ipv4Addr::LOCALHOST.into());
    let now = certificate.valid_after();
    let login = Circumstances { now, origin: Origin { address, host_name: None } };
    let authorities = [certificate.ca_key().clone()];
    let trust =
        Trust { authorities: &authorities, revoked: &[], ca_signature_algorithms: CA_SIGNATURE_ALGORITHMS };
    let user = check_user(&certificate, &trust, &principals, &login);
    let host = check_host(&certificate, &trust, host, now);
    assert!(user.is_err() || host.is_err(), "it is for one or the other");
    if user.is_ok() || host.is_ok() {
        assert_eq!(certificate.verify(CA_SIGNATURE_ALGORITHMS), Ok(()));
        let nobody = Trust { authorities: &[], ..trust };
        assert!(check_user(&certificate, &nobody, &principals, &login).is_err());
        let revoked = Trust { revoked: &authorities, ..trust };
        assert!(check_user(&certificate, &revoked, &principals, &login).is_err());
    }
});
