use std::path::Path;
use std::time::Duration;

use super::super::{Backend, ConfigError, Problem, load, load_store};
use super::projects::is_private;
use crate::backend::sls::client::SignatureVersion;
use crate::backend::sls::{Config, Projects, Route};
use crate::failure::NetworkError;
use crate::logs::Compression;
use crate::tenant::ProjectName;

const EXAMPLE: &str = include_str!("../../../config/sluice-sls.toml");

/// A folder with the files that the example names.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tls")).unwrap();
    for name in ["internet", "intranet", "authorities"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.example.com")]).unwrap();
        let file = dir.path().join("tls").join(name);
        std::fs::write(file.with_extension("pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(file.with_extension("key"), key).unwrap();
    }
    dir
}

fn load_whole(dir: &Path, text: &str) -> Result<super::super::Config, ConfigError> {
    let path = dir.join("sluice.toml");
    std::fs::write(&path, text).unwrap();
    load(&path)
}

fn load_text(dir: &Path, text: &str) -> Result<Config, ConfigError> {
    match load_whole(dir, text)?.backend {
        Backend::Sls(config) => Ok(config),
        Backend::Embedded(_) => panic!("another backend"),
    }
}

fn loaded(text: &str) -> Config {
    load_text(folder().path(), text).unwrap_or_else(|error| panic!("{error}"))
}

/// The example with more lines in its section.
fn with(lines: &str) -> String {
    edited("[sls]\n", &format!("[sls]\n{lines}\n"))
}

fn edited(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    EXAMPLE.replacen(from, to, 1)
}

/// The one problem of a text: its key, its cause and its cure.
fn problem(text: &str) -> (String, String) {
    let mut problems = load_text(folder().path(), text).unwrap_err().0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    let Problem {
        key, cause, cure, ..
    } = problems.remove(0);
    (key, format!("{cause}; {cure}"))
}

fn check(text: &str, key: &str, words: &str) {
    let (found, said) = problem(text);
    assert_eq!(found, key, "{said}");
    assert!(said.contains(words), "{words} in {said}");
}

#[test]
fn the_example_for_alibaba_cloud_is_a_good_configuration() {
    let config = loaded(EXAMPLE);
    let my_project = ProjectName::parse("my-project").unwrap();
    assert_eq!(config.projects, Projects::Only([my_project].into()));
    let [endpoint] = &config.client.endpoints[..] else {
        panic!("one endpoint");
    };
    assert_eq!(&*endpoint.region, "cn-hangzhou");
    assert_eq!(&*endpoint.host, "cn-hangzhou-intranet.log.aliyuncs.com");
    assert_eq!((endpoint.https, endpoint.port), (true, 443));
    assert_eq!(endpoint.signing_region.as_deref(), Some("cn-hangzhou"));
    assert_eq!(endpoint.connect, None);
    assert!(!config.by_partition && !config.verify_logins);
}

#[test]
fn what_the_example_shows_in_comments_is_good_too() {
    let shown: String = EXAMPLE
        .lines()
        .map(|line| {
            let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
            format!("{}\n", setting.unwrap_or(line))
        })
        .collect();
    let config = loaded(&shown);
    assert_eq!(config.client.endpoints.len(), 2);
    let connect = config.client.endpoints[0].connect.as_ref().unwrap();
    assert_eq!(connect.to_string(), "100.100.0.10:443");
}

#[test]
fn every_setting_reaches_the_backend() {
    let more = "signature = \"v4\"\nroute = \"load-balanced\"\ncompression = \"zstd\"\nrequest-timeout = \"10s\"\n\
                connect-timeout = \"2s\"\nlinger-min = \"1ms\"\nlinger-max = \"30ms\"\nwrites-per-logstore = 3\n\
                shards-refresh = \"5m\"\nkey-grace = \"0s\"\nnetwork-error = \"published\"\n\
                proxy = \"http://proxy.example.com:3128\"\nca-file = \"tls/authorities.pem\"";
    let text = with(more).replace("bad-key = \"topic-error\"", "bad-key = \"hold\"");
    let text = text.replacen(
        "region = \"cn-hangzhou\"\n# On",
        "region = \"cn-hangzhou\"\nsigning-region = \"eu-1\"\n# On",
        1,
    );
    let whole = load_whole(folder().path(), &text).unwrap();
    assert_eq!(whole.network_error, NetworkError::Published);
    let config = loaded(&text);
    assert_eq!(config.client.signature, SignatureVersion::V4);
    assert_eq!(config.client.compression, Compression::Zstd);
    assert_eq!(config.client.request_timeout, Duration::from_secs(10));
    assert_eq!(config.client.connect_timeout, Duration::from_secs(2));
    assert!(config.client.proxy.is_some());
    assert_eq!(config.client.authorities.len(), 1);
    assert_eq!(
        config.client.endpoints[0].signing_region.as_deref(),
        Some("eu-1")
    );
    assert_eq!(config.route, Route::LoadBalanced);
    assert_eq!(config.linger_min, Duration::from_millis(1));
    assert_eq!(config.linger_max, Duration::from_millis(30));
    assert_eq!(config.writes_per_logstore_max, 3);
    assert_eq!(config.shards_refresh, Duration::from_secs(300));
    assert_eq!(config.key_grace, Duration::ZERO);
    assert!(config.verify_logins);

    let by_partition = format!("{EXAMPLE}\n[spread]\nmode = \"by-partition\"\n");
    assert!(loaded(&by_partition).by_partition);
}

#[test]
fn an_open_relay_is_refused_to_start() {
    let projects = "projects = [\"my-project\"]\n";
    check(
        &edited(projects, ""),
        "sls.projects",
        "`internet` takes connections from anywhere",
    );
    let behind = |address: &str| {
        let text = edited(projects, "");
        text.replace("0.0.0.0:10012", &format!("{address}:10012"))
            .replace("0.0.0.0:10011", "127.0.0.1:10011")
    };
    assert_eq!(loaded(&behind("10.0.0.1")).projects, Projects::All);
    check(
        &behind("8.8.8.8"),
        "sls.projects",
        "list the projects to serve",
    );
    check(
        &behind("[::]"),
        "sls.projects",
        "list the projects to serve",
    );
    let all = edited(projects, "projects = [\"*\"]\n");
    assert_eq!(loaded(&all).projects, Projects::All);
}

#[test]
fn addresses_are_private_or_open() {
    for private in [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.1.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(is_private(private.parse().unwrap()), "{private}");
    }
    for open in [
        "0.0.0.0",
        "::",
        "8.8.8.8",
        "172.32.0.1",
        "100.64.0.1",
        "2001:db8::1",
        "::ffff:8.8.8.8",
    ] {
        assert!(!is_private(open.parse().unwrap()), "{open}");
    }
}

#[test]
fn names_of_projects_are_checked() {
    let projects =
        |list: &str| edited("projects = [\"my-project\"]", &format!("projects = {list}"));
    check(&projects("[]"), "sls.projects", "nobody can log in");
    check(
        &projects("[\"my-project\", \"My\"]"),
        "sls.projects[1]",
        "`My`",
    );
    check(
        &projects("[\"*\", \"my-project\"]"),
        "sls.projects[0]",
        "only alone",
    );
}

#[test]
fn each_region_of_a_listener_has_one_endpoint_that_can_be_used() {
    let url = "url = \"https://cn-hangzhou-intranet.log.aliyuncs.com\"\n";
    check(
        &edited(
            "region = \"cn-hangzhou\"\n# A certificate",
            "region = \"cn-beijing\"\n# A certificate",
        ),
        "listeners[0].endpoints[0].region",
        "has the region `cn-beijing`",
    );
    let none = &EXAMPLE[..EXAMPLE.find("\n[[sls.endpoints]]").unwrap()];
    check(none, "sls", "add [[sls.endpoints]]");
    let row = "[[sls.endpoints]]\nregion = \"cn-hangzhou\"\nurl = \"https://a.example.com\"\n";
    check(
        &format!("{EXAMPLE}\n{row}"),
        "sls.endpoints[1].region",
        "stands twice",
    );
    check(
        &edited(url, "url = \"https://10.0.0.1\"\n"),
        "sls.endpoints[0].url",
        "an address goes into connect",
    );
    check(
        &edited(url, "url = \"cn-hangzhou.log.aliyuncs.com\"\n"),
        "sls.endpoints[0].url",
        "https://",
    );
    let connect = |to: &str| {
        edited(
            "#connect = \"100.100.0.10:443\"",
            &format!("connect = \"{to}\""),
        )
    };
    check(
        &connect("100.100.0.10"),
        "sls.endpoints[0].connect",
        "host:port",
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let global = edited(
        "cn-hangzhou-intranet.log.aliyuncs.com\"",
        "log-global.aliyuncs.com\"",
    );
    assert_eq!(loaded(&global).client.endpoints[0].signing_region, None);
    let v4 = global.replacen("[sls]\n", "[sls]\nsignature = \"v4\"\n", 1);
    check(
        &v4,
        "sls.endpoints[0].signing-region",
        "does not tell the region",
    );
    let proxied = with("proxy = \"http://proxy.example.com:3128\"");
    let proxied = proxied.replace("#connect", "connect");
    check(
        &proxied,
        "sls.endpoints[0].connect",
        "remove one of the two",
    );
    let balanced = with("route = \"load-balanced\"") + "\n[spread]\nmode = \"by-partition\"\n";
    check(&balanced, "sls.route", "change one of the two");
}

#[test]
fn times_and_counts_have_bounds() {
    for (line, key) in [
        ("request-timeout = \"0s\"\nconnect-timeout = \"0s\"", ""),
        ("request-timeout = \"61s\"", "sls.request-timeout"),
        ("connect-timeout = \"21s\"", "sls.connect-timeout"),
        ("linger-min = \"21ms\"", "sls.linger-min"),
        ("linger-max = \"1001ms\"", "sls.linger-max"),
        ("shards-refresh = \"0s\"", "sls.shards-refresh"),
        ("key-grace = \"25h\"", "sls.key-grace"),
        ("writes-per-logstore = 0", "sls.writes-per-logstore"),
        ("writes-per-logstore = 257", "sls.writes-per-logstore"),
    ] {
        match key {
            "" => drop(load_text(folder().path(), &with(line)).unwrap_err()),
            key => check(&with(line), key, "out of range"),
        }
    }
}

#[test]
fn a_proxys_password_never_reaches_a_message() {
    for wrong in [
        "proxy = \"socks5://user:918273@proxy.example.com\"",
        "proxy = \"918273\"",
        "proxy = 918273",
        "proxy = \"http://user:918273@proxy.example.com/path\"",
    ] {
        let error = load_text(folder().path(), &with(wrong)).unwrap_err();
        assert!(error.to_string().contains("sls.proxy"), "{error}");
        assert!(!error.to_string().contains("918273"), "{error}");
    }
    let config = loaded(&with("proxy = \"http://user:918273@proxy.example.com\""));
    assert!(!format!("{config:?}").contains("918273"));
}

#[test]
fn authorities_that_cannot_be_read_are_refused() {
    check(
        &with("ca-file = \"none.pem\""),
        "sls.ca-file",
        "cannot read ",
    );
    check(
        &with("ca-file = \"tls/internet.key\""),
        "sls.ca-file",
        "CERTIFICATE",
    );
}

#[test]
fn there_is_no_store_to_read_back() {
    let dir = folder();
    let path = dir.path().join("sluice.toml");
    std::fs::write(&path, EXAMPLE).unwrap();
    let error = load_store(&path).unwrap_err().to_string();
    assert!(
        error.contains("backend: the logs go to the Log Service"),
        "{error}"
    );
}

#[test]
fn what_is_written_for_the_other_backend_does_not_count() {
    let embedded = "\n[embedded]\nretention-age = \"1s\"\n[[embedded.projects]]\nname = \"?\"\n";
    loaded(&format!("{EXAMPLE}{embedded}"));
}
