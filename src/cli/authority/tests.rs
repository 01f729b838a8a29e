use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls_pki_types::{ServerName, UnixTime};

use super::*;

fn names(hosts: &[&str]) -> BTreeSet<Name> {
    hosts.iter().map(|host| Name::parse(host)).collect()
}

fn usual() -> BTreeSet<Name> {
    names(&["localhost", "test-project-1.localhost", "127.0.0.1", "::1"])
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// Does a client that trusts only the authority take the server's certificate for this host?
fn trusted(files: &Files, host: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&files.ca).unwrap())
        .unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let leaf = CertificateDer::from_pem_file(&files.server).unwrap();
    let host = ServerName::try_from(host).unwrap();
    verifier
        .verify_server_cert(&leaf, &[], &host, &[], UnixTime::now())
        .is_ok()
}

fn ca_bytes(files: &Files) -> Vec<u8> {
    fs::read(&files.ca).unwrap()
}

#[test]
fn a_client_that_trusts_the_authority_takes_each_name() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    assert_eq!(
        ensure(&files, &usual(), &names(&[]), now()).unwrap(),
        Made::Authority
    );
    for host in ["localhost", "test-project-1.localhost", "127.0.0.1", "::1"] {
        assert!(trusted(&files, host), "{host}");
    }
    assert!(!trusted(&files, "test-project-2.localhost"));
}

#[test]
fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    ensure(&files, &usual(), &names(&[]), now()).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn the_authority_cannot_vouch_for_other_sites() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    ensure(&files, &usual(), &names(&[]), now()).unwrap();
    let authority = read_authority(&files, now()).unwrap();
    for host in [
        "example.com",
        "localhost.example.com",
        "192.0.2.1",
        "2001:db8::1",
    ] {
        make_server(&files, &authority, &names(&["localhost", host]), now()).unwrap();
        assert!(!trusted(&files, host), "{host}");
    }
    make_server(
        &files,
        &authority,
        &names(&["p.localhost", "127.9.9.9"]),
        now(),
    )
    .unwrap();
    assert!(trusted(&files, "p.localhost"));
    assert!(trusted(&files, "127.9.9.9"));
}

#[test]
fn certificates_say_what_they_are_for() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    ensure(&files, &usual(), &names(&[]), now()).unwrap();
    let der = CertificateDer::from_pem_file(&files.ca).unwrap();
    let (_, ca) = X509Certificate::from_der(&der).unwrap();
    assert!(ca.is_ca());
    let constraint = ca.basic_constraints().unwrap().unwrap();
    assert_eq!(constraint.value.path_len_constraint, Some(0));
    assert!(ca.key_usage().unwrap().unwrap().value.key_cert_sign());
    let critical = ca.extensions().iter().any(|extension| {
        extension.critical
            && matches!(
                extension.parsed_extension(),
                ParsedExtension::NameConstraints(_)
            )
    });
    assert!(critical);

    let der = CertificateDer::from_pem_file(&files.server).unwrap();
    let (_, server) = X509Certificate::from_der(&der).unwrap();
    assert!(!server.is_ca());
    assert!(
        server
            .extended_key_usage()
            .unwrap()
            .unwrap()
            .value
            .server_auth
    );
    let has = |wanted: fn(&ParsedExtension<'_>) -> bool| {
        server
            .extensions()
            .iter()
            .any(|extension| wanted(extension.parsed_extension()))
    };
    assert!(has(|e| matches!(
        e,
        ParsedExtension::AuthorityKeyIdentifier(_)
    )));
    assert!(has(|e| matches!(
        e,
        ParsedExtension::SubjectKeyIdentifier(_)
    )));
}

#[test]
fn a_second_start_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    ensure(&files, &usual(), &names(&[]), now()).unwrap();
    let before = (ca_bytes(&files), fs::read(&files.server).unwrap());
    assert_eq!(
        ensure(&files, &usual(), &names(&[]), now()).unwrap(),
        Made::Nothing
    );
    assert_eq!((ca_bytes(&files), fs::read(&files.server).unwrap()), before);
}

#[test]
fn the_server_certificate_is_remade_for_new_names_and_before_it_expires() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    ensure(&files, &usual(), &names(&[]), now()).unwrap();
    let ca = ca_bytes(&files);
    let mut more = usual();
    more.insert(Name::parse("test-project-2.localhost"));
    let made = ensure(&files, &more, &names(&[]), now()).unwrap();
    assert_eq!(made, Made::ServerCertificate);
    assert!(trusted(&files, "test-project-2.localhost"));

    let later = now() + SERVER_LIFE - RENEW_BEFORE + Duration::days(1);
    assert_eq!(
        ensure(&files, &more, &names(&[]), later).unwrap(),
        Made::ServerCertificate
    );
    assert_eq!(ca_bytes(&files), ca);
}

#[test]
fn the_authority_is_widened_for_a_further_host_and_not_narrowed_again() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    ensure(&files, &usual(), &names(&[]), now()).unwrap();
    let hosts = names(&["gateway.test", "192.0.2.7"]);
    let all = usual().union(&hosts).cloned().collect();
    assert_eq!(
        ensure(&files, &all, &hosts, now()).unwrap(),
        Made::Authority
    );
    assert!(trusted(&files, "gateway.test"));
    assert!(trusted(&files, "192.0.2.7"));
    assert!(trusted(&files, "localhost"));
    let ca = ca_bytes(&files);
    assert_eq!(
        ensure(&files, &usual(), &names(&[]), now()).unwrap(),
        Made::ServerCertificate
    );
    assert_eq!(ca_bytes(&files), ca);
}

#[test]
fn an_authority_that_lost_its_key_or_expires_soon_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(dir.path());
    ensure(&files, &usual(), &names(&[]), now()).unwrap();
    fs::write(&files.ca_key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert_eq!(
        ensure(&files, &usual(), &names(&[]), now()).unwrap(),
        Made::Authority
    );
    assert!(trusted(&files, "localhost"));
    let later = now() + AUTHORITY_LIFE;
    assert_eq!(
        ensure(&files, &usual(), &names(&[]), later).unwrap(),
        Made::Authority
    );
}

#[test]
fn a_host_that_is_no_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bad = names(&["ü.test"]);
    let error = ensure(&Files::of(dir.path()), &bad, &names(&[]), now()).unwrap_err();
    assert!(matches!(error, AuthorityError::Name(_)));
}
