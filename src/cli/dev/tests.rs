use std::os::unix::fs::PermissionsExt;

use super::super::serve::{Bound, Reachable};
use super::super::snippets::AGENTS;
use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn arguments(&self) -> DevArguments {
        DevArguments {
            dir: self.0.path().join("dev"),
            bind: None,
            port: None,
            host: Vec::new(),
        }
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("dev").join(FILE)
    }
}

fn start(arguments: &DevArguments) -> Prepared {
    prepare(arguments, OffsetDateTime::now_utc()).unwrap_or_else(|failure| panic!("{failure}"))
}

/// As if each listener got the port that it asked for.
fn greeting(prepared: &Prepared) -> String {
    let config = &prepared.config;
    let listeners = config.listeners.iter().map(|listener| Bound {
        name: listener.name.clone(),
        address: listener.address,
    });
    prepared.greeting(&Reachable {
        listeners: listeners.collect(),
        api: config
            .api
            .as_ref()
            .map(|api| format!("http://{}", api.address)),
    })
}

fn store_of(prepared: &Prepared) -> &crate::backend::embedded::Config {
    match &prepared.config.backend {
        Backend::Embedded(store) => store,
        Backend::Sls(_) => panic!("dev has a store"),
    }
}

fn secret_of(prepared: &Prepared) -> String {
    let store = store_of(prepared);
    store.projects[0].keys[0].secret.expose().to_owned()
}

fn names_of(prepared: &Prepared) -> Vec<String> {
    let certified = &prepared.config.listeners[0].endpoints[0].certified;
    let facts = config::certificate::facts(&certified.cert).unwrap();
    let addresses = facts.addresses.iter().map(ToString::to_string);
    facts.names.iter().cloned().chain(addresses).collect()
}

#[test]
fn the_first_start_makes_a_working_configuration() {
    let folder = Folder::new();
    let prepared = start(&folder.arguments());
    let store = store_of(&prepared);
    let project = &store.projects[0];
    assert_eq!(project.name.as_str(), "test-project-1");
    assert!(project.create_on_first_use);
    assert_eq!(project.keys[0].id, "dev-access-key-id");
    assert_eq!(secret_of(&prepared), "dev-access-key-secret");
    assert_eq!(project.logstores[0].name.as_str(), "test-logstore-1");
    assert_eq!(project.logstores[0].shard_count, 2);
    assert_eq!(store.retention_bytes_max, 1 << 30);
    assert_eq!(store.data_dir, prepared.dir.join("data"));
    let addresses: Vec<String> = prepared
        .config
        .listeners
        .iter()
        .map(|l| l.address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1:10012", "127.0.0.1:10011"]);
    assert_eq!(
        names_of(&prepared),
        ["localhost", "test-project-1.localhost", "127.0.0.1", "::1"]
    );
    let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_greeting_has_what_a_client_needs_and_a_snippet_for_each_agent() {
    let folder = Folder::new();
    let prepared = start(&folder.arguments());
    let text = greeting(&prepared);
    let ca = prepared.dir.join("ca.pem").display().to_string();
    for part in [
        "localhost:10012",
        "localhost:10011",
        "test-project-1",
        "dev-access-key-id#dev-access-key-secret",
        &ca,
        "http://127.0.0.1:10080",
        "7 days, 1GiB a Logstore",
    ] {
        assert!(text.contains(part), "{part}");
    }
    for agent in AGENTS {
        assert!(
            text.contains(&format!("── {} ──\n", agent.name)),
            "{}",
            agent.name
        );
    }
}

#[test]
fn a_second_start_uses_everything_again() {
    let folder = Folder::new();
    let first = start(&folder.arguments());
    let second = start(&folder.arguments());
    assert_eq!(first.made, Made::Authority);
    assert_eq!(second.made, Made::Nothing);
    let chain = |prepared: &Prepared| {
        prepared.config.listeners[0].endpoints[0]
            .certified
            .cert
            .clone()
    };
    assert_eq!(chain(&first), chain(&second));
    assert!(greeting(&first).contains("The CA is new"));
    assert!(!greeting(&second).contains("The CA is new"));
}

#[test]
fn a_project_that_the_user_added_gets_its_name_into_the_certificate() {
    let folder = Folder::new();
    start(&folder.arguments());
    let mut text = fs::read_to_string(folder.file()).unwrap();
    text.push_str(
        "[[embedded.projects]]\nname = \"mine\"\ncreate-on-first-use = true\n\
         [[embedded.projects.keys]]\nid = \"a\"\nsecret = \"b\"\n",
    );
    fs::write(folder.file(), &text).unwrap();
    let prepared = start(&folder.arguments());
    assert_eq!(prepared.made, Made::ServerCertificate);
    assert!(names_of(&prepared).contains(&"mine.localhost".to_owned()));
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
}

#[test]
fn the_published_secret_never_faces_a_network() {
    let folder = Folder::new();
    start(&folder.arguments());
    let open = DevArguments {
        bind: Some(Ipv4Addr::UNSPECIFIED.into()),
        ..folder.arguments()
    };
    let prepared = start(&open);
    let secret = secret_of(&prepared);
    assert_eq!(secret.len(), SECRET_CHARS);
    assert_ne!(secret, PUBLISHED_SECRET);
    assert!(greeting(&prepared).contains(&format!("dev-access-key-id#{secret}")));
    assert!(greeting(&prepared).contains("published secret was replaced"));

    let again = start(&open);
    assert!(!again.secret_replaced);
    assert_eq!(secret_of(&again), secret);
    assert_eq!(secret_of(&start(&folder.arguments())), secret);
}

#[test]
fn the_plain_http_api_stays_on_this_machine() {
    let folder = Folder::new();
    let api = |arguments: DevArguments| {
        let api = start(&arguments).config.api;
        api.map(|api| (api.address.to_string(), api.certified.is_some()))
    };
    let loopback = Some(("127.0.0.1:10080".to_owned(), false));
    assert_eq!(api(folder.arguments()), loopback);
    let open = DevArguments {
        bind: Some(Ipv4Addr::UNSPECIFIED.into()),
        port: Some(20012),
        ..folder.arguments()
    };
    assert_eq!(api(open), loopback);
    let any = DevArguments {
        port: Some(0),
        ..folder.arguments()
    };
    assert_eq!(api(any), Some(("127.0.0.1:0".to_owned(), false)));
}

#[test]
fn an_api_that_the_user_opened_takes_the_published_secret_away() {
    let folder = Folder::new();
    start(&folder.arguments());
    let text = fs::read_to_string(folder.file()).unwrap();
    let open = "address = \"0.0.0.0:10080\"\nallow-plain-http = true";
    fs::write(
        folder.file(),
        text.replace("address = \"127.0.0.1:10080\"", open),
    )
    .unwrap();
    assert!(start(&folder.arguments()).secret_replaced);
}

#[test]
fn a_folder_of_before_the_api_has_none() {
    let folder = Folder::new();
    start(&folder.arguments());
    let text = fs::read_to_string(folder.file()).unwrap();
    fs::write(
        folder.file(),
        text.replace("[embedded.api]\naddress = \"127.0.0.1:10080\"\n", ""),
    )
    .unwrap();
    let prepared = start(&folder.arguments());
    assert!(prepared.config.api.is_none());
    assert!(!greeting(&prepared).contains("http://"));
}

#[test]
fn a_published_secret_that_cannot_be_replaced_is_refused() {
    let folder = Folder::new();
    start(&folder.arguments());
    let text = fs::read_to_string(folder.file()).unwrap();
    let open = DevArguments {
        bind: Some(Ipv4Addr::UNSPECIFIED.into()),
        ..folder.arguments()
    };
    fs::write(
        folder.file(),
        text.replace("\"dev-access-key-secret\"", "'dev-access-key-secret'"),
    )
    .unwrap();
    assert_eq!(secret_of(&start(&open)).len(), SECRET_CHARS);

    fs::write(folder.0.path().join("dev/secret"), PUBLISHED_SECRET).unwrap();
    let elsewhere = text.replace(
        "secret = \"dev-access-key-secret\"",
        "secret-file = \"secret\"",
    );
    fs::write(folder.file(), elsewhere).unwrap();
    let failure = prepare(&open, OffsetDateTime::now_utc())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    assert!(failure.to_string().contains("must not face a network"));
}

#[test]
fn an_edited_address_off_loopback_counts_as_facing_a_network() {
    let folder = Folder::new();
    start(&folder.arguments());
    let text = fs::read_to_string(folder.file()).unwrap();
    fs::write(
        folder.file(),
        text.replace("127.0.0.1:10011", "0.0.0.0:10011"),
    )
    .unwrap();
    assert!(start(&folder.arguments()).secret_replaced);
}

#[test]
fn a_port_moves_both_listeners_and_zero_takes_any() {
    let folder = Folder::new();
    let ports = |port| {
        let prepared = start(&DevArguments {
            port: Some(port),
            ..folder.arguments()
        });
        prepared
            .config
            .listeners
            .iter()
            .map(|l| l.address.port())
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(20012), [20012, 20011]);
    assert_eq!(ports(0), [0, 0]);
}

#[test]
fn a_further_host_is_named_served_and_advertised() {
    let folder = Folder::new();
    let prepared = start(&DevArguments {
        bind: Some("192.0.2.7".parse().unwrap()),
        host: vec!["Gateway.test".into()],
        ..folder.arguments()
    });
    let names = names_of(&prepared);
    for name in [
        "gateway.test",
        "test-project-1.gateway.test",
        "localhost",
        "192.0.2.7",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
    }
    let listener = &prepared.config.listeners[0];
    let endpoints: Vec<&str> = listener.endpoints.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(endpoints, ["localhost", "gateway.test"]);
    assert_eq!(listener.advertised_host.as_deref(), Some("gateway.test"));
    assert!(greeting(&prepared).contains("gateway.test:10012"));
}

#[test]
fn a_single_address_is_what_clients_dial() {
    let folder = Folder::new();
    let at = |bind: &str| {
        start(&DevArguments {
            bind: Some(bind.parse().unwrap()),
            ..folder.arguments()
        })
    };
    let advertised = |p: &Prepared| p.config.listeners[0].advertised_host.clone();
    let lan = at("192.0.2.7");
    assert_eq!(advertised(&lan).as_deref(), Some("192.0.2.7"));
    assert!(greeting(&lan).contains("192.0.2.7:10012"));
    assert!(greeting(&at("2001:db8::7")).contains("[2001:db8::7]:10012"));
    let other_loopback = at("127.0.0.5");
    assert_eq!(advertised(&other_loopback).as_deref(), Some("127.0.0.5"));
    assert_eq!(other_loopback.made, Made::ServerCertificate);
    assert_eq!(advertised(&at("127.0.0.1")), None);
}

#[test]
fn a_broken_configuration_is_reported_and_kept() {
    let folder = Folder::new();
    start(&folder.arguments());
    fs::write(folder.file(), "backend = 5").unwrap();
    let failure = prepare(&folder.arguments(), OffsetDateTime::now_utc())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    assert!(failure.to_string().contains("sluice.toml:1:11: backend: "));
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), "backend = 5");
}

#[test]
fn a_host_with_a_port_is_bad_usage() {
    let folder = Folder::new();
    let arguments = DevArguments {
        host: vec!["gateway.test:10012".into()],
        ..folder.arguments()
    };
    let failure = prepare(&arguments, OffsetDateTime::now_utc())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(failure.exit_code(), 2);
}

#[test]
fn random_text_has_the_asked_length_and_differs() {
    assert_eq!(authority::random_text(30).len(), 30);
    assert_eq!(authority::random_text(200).len(), 200);
    assert_ne!(authority::random_text(30), authority::random_text(30));
    assert!(
        authority::random_text(500)
            .chars()
            .all(|c| c.is_ascii_alphanumeric())
    );
}
