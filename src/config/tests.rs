use std::collections::BTreeSet;
use std::time::Duration;

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error as SerdeError};

use super::*;
use crate::tenant::Secret;

const REFERENCE: &str = include_str!("../../config/sluice.toml");

/// A folder with the files that the reference names.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for sub in ["tls", "secrets"] {
        std::fs::create_dir(dir.path().join(sub)).unwrap();
    }
    for name in ["internet", "intranet"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.example.com")]).unwrap();
        let tls = dir.path().join("tls");
        std::fs::write(tls.join(format!("{name}.pem")), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(tls.join(format!("{name}.key")), key).unwrap();
    }
    std::fs::write(dir.path().join("secrets/log-agent"), "s3cret\n").unwrap();
    dir
}

fn load_text(dir: &Path, text: &str) -> Result<Config, ConfigError> {
    let path = dir.join("sluice.toml");
    std::fs::write(&path, text).unwrap();
    load(&path)
}

/// The problem lines of the reference with the first line that is `from` replaced, without the folder.
fn problems_after(from: &str, to: &str) -> Vec<String> {
    let dir = folder();
    let mut lines: Vec<&str> = REFERENCE.lines().collect();
    lines[line_of(from) - 1] = to;
    let edited = lines.join("\n");
    let error = load_text(dir.path(), &edited).unwrap_err();
    let prefix = format!("{}/", dir.path().display());
    error
        .0
        .iter()
        .map(|p| p.to_string().replace(&prefix, ""))
        .collect()
}

fn store_of(config: &Config) -> &crate::backend::embedded::Config {
    match &config.backend {
        Backend::Embedded(store) => store,
        Backend::Sls(_) => panic!("another backend"),
    }
}

fn line_of(needle: &str) -> usize {
    REFERENCE.lines().position(|line| line == needle).unwrap() + 1
}

#[test]
fn the_reference_file_is_a_good_configuration() {
    let dir = folder();
    let config = load_text(dir.path(), REFERENCE).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.listeners[0].address.port(), 10012);
    let embedded = store_of(&config);
    assert_eq!(embedded.data_dir, dir.path().join("data"));
    let key = &embedded.projects[0].keys[0];
    assert_eq!(key.secret, Secret::new("s3cret"));
    assert!(key.rights.write && !key.rights.read && !key.rights.admin);
    assert_eq!(key.logstores, None);
    assert_eq!(embedded.projects[0].logstores[0].shard_count, 2);
}

#[test]
fn the_reference_files_defaults_are_the_codes() {
    let written: File = toml::from_str(REFERENCE).unwrap();
    assert_eq!(written.limits, Limits::default());
    assert_eq!(written.mapping, mapping::MappingSection::default());
    assert_eq!(written.spread, Spread::default());
    assert_eq!(written.auth, Auth::default());
    assert_eq!(written.log, Log::default());
    assert_eq!(written.backend, BackendName::default());

    let mut bare = written.sls;
    bare.endpoints.clear();
    assert_eq!(bare, sls::SlsSection::default());

    let dir = folder();
    let base = dir.path();
    let mut sink = Problems::new(base, "");
    let written = written.embedded.convert(base, &mut sink);
    let mut bare = embedded::EmbeddedSection::default().convert(base, &mut sink);
    bare.projects = written.projects.clone();
    assert_eq!(written, bare);

    // Defaults of keys that stand in lists: without them the result is the same.
    let full = load_text(base, REFERENCE).unwrap();
    let mut short = REFERENCE.to_owned();
    for line in [
        "strict-sni = false\n",
        "create-on-first-use = false\n",
        "created-shards = 2\n",
        "rights = [\"write\"]\n",
        "\nshards = 2\n",
    ] {
        assert!(short.contains(line), "{line}");
        short = short.replacen(line, "\n", 1);
    }
    let short = load_text(base, &short).unwrap();
    assert_eq!(store_of(&full), store_of(&short));
    assert!(!short.listeners[0].strict_sni);
}

#[test]
fn the_reference_file_has_every_key_and_no_other() {
    let mut known = BTreeSet::new();
    known.extend(fields::<File>());
    known.extend(fields::<listeners::ListenerSection>());
    known.extend(fields::<listeners::EndpointSection>());
    known.extend(fields::<Limits>());
    known.extend(fields::<mapping::MappingSection>());
    known.extend(fields::<Spread>());
    known.extend(fields::<Auth>());
    known.extend(fields::<Log>());
    known.extend(fields::<embedded::EmbeddedSection>());
    known.extend(fields::<api::ApiSection>());
    known.extend(fields::<embedded::ProjectSection>());
    known.extend(fields::<embedded::KeySection>());
    known.extend(fields::<embedded::LogstoreSection>());
    known.extend(fields::<sls::SlsSection>());
    known.extend(fields::<sls::EndpointSection>());

    let written: BTreeSet<&str> = REFERENCE.lines().filter_map(key_of_line).collect();
    assert_eq!(written, known);
}

/// The keys that a line names: of `key = …`, `#key = …`, `[table]`, `[[table.list]]`.
fn key_of_line(line: &str) -> Option<&str> {
    if let Some(header) = line.strip_prefix('[') {
        let header = header.trim_matches(['[', ']']);
        return header.rsplit('.').next();
    }
    let (key, _) = line.strip_prefix('#').unwrap_or(line).split_once(" = ")?;
    key.chars()
        .all(|c| c.is_ascii_lowercase() || c == '-')
        .then_some(key)
}

/// The keys that a section's reader knows: it tells them to whoever it reads from.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut told: &'static [&'static str] = &[];
    let refused = T::deserialize(FieldNames(&mut told));
    assert!(refused.is_err());
    told
}

struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = SerdeError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, SerdeError> {
        *self.0 = fields;
        Err(SerdeError::custom("told"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, SerdeError> {
        Err(SerdeError::custom("not a section"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[test]
fn an_unknown_key_is_refused_with_place_and_guess() {
    let line = line_of("idle-timeout = \"11m\"");
    let found = problems_after("idle-timeout = \"11m\"", "idle-timeuot = \"11m\"");
    assert_eq!(found.len(), 1);
    let start = format!("sluice.toml:{line}:1: limits.idle-timeuot: unknown field `idle-timeuot`");
    assert!(found[0].starts_with(&start), "{}", found[0]);
    assert!(
        found[0].ends_with("; did you mean `idle-timeout`?"),
        "{}",
        found[0]
    );
}

#[test]
fn a_bad_value_is_refused_with_its_line_key_and_cure() {
    let check = |from: &str, to: &str, key: &str, cause: &str| {
        let line = line_of(from);
        let found = problems_after(from, to);
        assert_eq!(found.len(), 1, "{found:?}");
        let at = format!("sluice.toml:{line}:");
        assert!(found[0].starts_with(&at), "{at} in {}", found[0]);
        assert!(
            found[0].contains(&format!(" {key}: ")),
            "{key} in {}",
            found[0]
        );
        assert!(found[0].contains(cause), "{cause} in {}", found[0]);
    };
    check(
        "frame = \"100MiB\"",
        "frame = \"100MB\"",
        "limits.frame",
        "`100MB` is not a size",
    );
    check(
        "login-timeout = \"15s\"",
        "login-timeout = \"15\"",
        "limits.login-timeout",
        "`15` is not a period",
    );
    check(
        "idle-timeout = \"11m\"",
        "idle-timeout = \"9m\"",
        "limits.idle-timeout",
        "the least is 600 s",
    );
    check(
        "in-flight = \"256MiB\"",
        "in-flight = 1024",
        "limits.in-flight",
        "1024 bytes is too small",
    );
    check(
        "bad-key = \"topic-error\"",
        "bad-key = \"topic\"",
        "auth.bad-key",
        "unknown variant `topic`",
    );
    check(
        "failed-login-delay = \"500ms\"",
        "failed-login-delay = \"6s\"",
        "auth.failed-login-delay",
        "the most is 5s",
    );
    check(
        "filter = \"info\"",
        "filter = \"sluice=loud\"",
        "log.filter",
        "",
    );
    check(
        "name = \"test-project-1\"",
        "name = \"Test\"",
        "embedded.projects[0].name",
        "`Test`",
    );
    check(
        "shards = 2",
        "shards = 0",
        "embedded.projects[0].logstores[0].shards",
        "0 is out of range",
    );
    check(
        "id = \"log-agent\"",
        "id = \"log#agent\"",
        "embedded.projects[0].keys[0].id",
        "`#`",
    );
    check(
        "address = \"0.0.0.0:10012\"",
        "address = \"0.0.0.0\"",
        "listeners[0].address",
        "\"0.0.0.0:10012\"",
    );
    check(
        "name = \"region-1.log.example.com\"",
        "name = \"a b\"",
        "listeners[0].endpoints[0].name",
        "not a host name",
    );
    check(
        "#partitions = 8",
        "partitions = 1025",
        "spread.partitions",
        "choose 1 to 1024",
    );
    check(
        "name = \"intranet\"",
        "name = \"internet\"",
        "listeners[1].name",
        "another listener",
    );
}

#[test]
fn unreadable_files_are_refused_where_they_are_named() {
    let check = |from: &str, to: &str, key: &str| {
        let line = line_of(from);
        let found = problems_after(from, to);
        assert_eq!(found.len(), 1, "{found:?}");
        let start = format!("sluice.toml:{line}:");
        assert!(found[0].starts_with(&start), "{}", found[0]);
        assert!(
            found[0].contains(&format!("{key}: cannot read ")),
            "{}",
            found[0]
        );
    };
    check(
        "certificate = \"tls/internet.pem\"",
        "certificate = \"none.pem\"",
        "listeners[0].endpoints[0].certificate",
    );
    check(
        "key = \"tls/internet.key\"",
        "key = \"none.key\"",
        "listeners[0].endpoints[0].key",
    );
    check(
        "secret-file = \"secrets/log-agent\"",
        "secret-file = \"none\"",
        "embedded.projects[0].keys[0].secret-file",
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let found = problems_after("key = \"tls/internet.key\"", "key = \"tls/intranet.key\"");
    assert!(
        found[0].contains("does not belong to the certificate"),
        "{found:?}"
    );
}

/// The reference with these lines in its section on the API, or the problems of that.
fn with_api(lines: &str) -> Result<Option<Api>, Vec<String>> {
    let dir = folder();
    let text = REFERENCE.replace("#address = \"127.0.0.1:10080\"", lines);
    assert_ne!(text, REFERENCE);
    match load_text(dir.path(), &text) {
        Ok(config) => Ok(config.api),
        Err(error) => Err(error.0.iter().map(Problem::to_string).collect()),
    }
}

#[test]
fn the_api_is_off_without_an_address() {
    assert!(with_api("").is_ok_and(|api| api.is_none()));
    let api = with_api("address = \"127.0.0.1:10080\"").unwrap().unwrap();
    assert_eq!(api.address.to_string(), "127.0.0.1:10080");
    assert_eq!(api.region, "local");
    assert!(api.certified.is_none() && !api.check_times);
}

#[test]
fn an_api_that_faces_a_network_takes_a_certificate_or_an_explicit_word() {
    let check = |lines: &str, part: &str| {
        let found = with_api(lines).unwrap_err();
        assert!(found.iter().any(|line| line.contains(part)), "{found:?}");
    };
    let open = "address = \"0.0.0.0:10080\"\n";
    check(open, "embedded.api.address: 0.0.0.0:10080 faces a network");
    check(open, "or set allow-plain-http = true");
    let certificate = "certificate = \"tls/internet.pem\"\n";
    check(
        &format!("{open}{certificate}"),
        "certificate and key belong together",
    );
    check(
        &format!("{open}{certificate}key = \"tls/intranet.key\""),
        "does not belong to the certificate",
    );
    check(
        "address = \"somewhere\"",
        "is not an IP address with a port",
    );
    let https = with_api(&format!("{open}{certificate}key = \"tls/internet.key\""));
    assert!(https.unwrap().unwrap().certified.is_some());
    let text = format!("{open}#");
    let dir = folder();
    let plain = REFERENCE
        .replace("#address = \"127.0.0.1:10080\"", &text)
        .replace("allow-plain-http = false", "allow-plain-http = true");
    assert!(load_text(dir.path(), &plain).unwrap().api.is_some());
}

#[test]
fn the_apis_defaults_are_the_codes() {
    let written: File = toml::from_str(REFERENCE).unwrap();
    let bare: File = toml::from_str("").unwrap();
    let [mut written, mut bare] = [written, bare].map(|file| file.embedded);
    assert_eq!(written.take_api(), bare.take_api());
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_problem(text in "(?s).*", cut in 0..REFERENCE.len()) {
        for text in [text.as_str(), REFERENCE.get(..cut).unwrap_or_default()] {
            let mut problems = Problems::new(Path::new("s.toml"), text);
            let config = parse(Path::new("/nonexistent/s.toml"), text, &mut problems);
            proptest::prop_assert!(config.is_some() || problems.has_errors());
            // No file that it names is there.
            proptest::prop_assert!(problems.has_errors());
        }
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let dir = folder();
    let edited = REFERENCE
        .replace("0.0.0.0:10012", "nowhere")
        .replace("idle-timeout = \"11m\"", "idle-timeout = \"1m\"")
        .replace("secrets/log-agent", "none");
    assert_eq!(load_text(dir.path(), &edited).unwrap_err().0.len(), 3);
}

#[test]
fn a_secret_never_reaches_a_message() {
    for wrong in [
        "secret = 918273",
        "secret = 918273.5",
        "secret = \"918273\"\nsecret-env = \"X\"",
        "secret = \"918273\" x",
    ] {
        let found = problems_after("secret-file = \"secrets/log-agent\"", wrong);
        assert!(!found.is_empty());
        assert!(
            found.iter().all(|line| !line.contains("918273")),
            "{found:?}"
        );
    }
}

#[test]
fn an_unset_variable_or_an_empty_secret_is_refused() {
    let found = problems_after(
        "secret-file = \"secrets/log-agent\"",
        "secret-env = \"SLUICE_TEST_UNSET\"",
    );
    assert!(
        found[0].contains("keys[0].secret-env: SLUICE_TEST_UNSET: "),
        "{found:?}"
    );
    let found = problems_after("secret-file = \"secrets/log-agent\"", "secret = \"\"");
    assert!(found[0].contains("keys[0].secret: is empty"), "{found:?}");
    let found = problems_after("secret-file = \"secrets/log-agent\"", "");
    assert!(found[0].contains("keys[0].secret: is missing"), "{found:?}");
}

#[test]
fn settings_without_default_are_taken_when_given() {
    let dir = folder();
    let edited = REFERENCE
        .replace("#advertised-port", "advertised-port")
        .replace("#advertised-host", "advertised-host")
        .replace("#partitions", "partitions")
        .replace("#logstores", "logstores");
    let config = load_text(dir.path(), &edited).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.listeners[0].advertised_port, Some(10012));
    assert_eq!(
        config.listeners[0].advertised_host.as_deref(),
        Some("region-1.log.example.com")
    );
    assert_eq!(config.spread.partitions, Some(8));
    let embedded = store_of(&config);
    let logstores = embedded.projects[0].keys[0].logstores.as_ref().unwrap();
    assert_eq!(logstores[0].as_str(), "test-logstore-1");
}

#[test]
fn a_file_that_is_not_there_says_what_to_do() {
    let error = load(Path::new("/nonexistent/sluice.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/sluice.toml: cannot read")
    );
    assert!(error.to_string().contains("sluice dev"));
}

#[test]
fn periods_and_sizes_reach_the_types() {
    let dir = folder();
    let edited = REFERENCE
        .replace(
            "failed-login-delay = \"500ms\"",
            "failed-login-delay = \"2s\"",
        )
        .replace(
            "frame-before-login = \"16KiB\"",
            "frame-before-login = 8192",
        );
    let config = load_text(dir.path(), &edited).unwrap();
    assert_eq!(config.auth.failed_login_delay, Duration::from_secs(2));
    assert_eq!(config.limits.frame_before_login_bytes_max, 8192);
}
