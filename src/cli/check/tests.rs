use std::fs;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use time::Duration;

use super::*;

const NOW: i64 = 1_800_000_000;

/// A configuration whose endpoint is `log.example.com`, with a certificate of these names and validity in days from now.
struct Setup {
    dir: tempfile::TempDir,
}

impl Setup {
    fn new(names: &[&str], from_days: i64, to_days: i64) -> Self {
        let setup = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        setup.certify(names, from_days, to_days, |leaf, issuer| {
            format!("{leaf}{issuer}")
        });
        setup.configure("log.example.com", "");
        setup
    }

    fn certify(
        &self,
        names: &[&str],
        from_days: i64,
        to_days: i64,
        order: impl Fn(&str, &str) -> String,
    ) {
        let issuer = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "issuer");
        let issuer = CertifiedIssuer::self_signed(params, issuer).unwrap();

        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
        params.not_before = now + Duration::days(from_days);
        params.not_after = now + Duration::days(to_days);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        self.write("cert.pem", &order(&leaf.pem(), &issuer.pem()));
        self.write("cert.key", &key.serialize_pem());
        self.chmod(0o600);
    }

    fn configure(&self, endpoint: &str, more: &str) {
        self.write(
            "sluice.toml",
            &format!(
                "[[listeners]]\nname = \"internet\"\naddress = \"127.0.0.1:0\"\n\
                 [[listeners.endpoints]]\nname = \"{endpoint}\"\nregion = \"r\"\n\
                 certificate = \"cert.pem\"\nkey = \"cert.key\"\n{more}\
                 [[embedded.projects]]\nname = \"one\"\ncreate-on-first-use = true\n\
                 [[embedded.projects.keys]]\nid = \"a\"\nsecret = \"b\"\n"
            ),
        );
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn chmod(&self, mode: u32) {
        let key = self.dir.path().join("cert.key");
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn examine(&self) -> Result<String, String> {
        let result = examine(&self.dir.path().join("sluice.toml"), NOW);
        result
            .map(|lines| lines.join("\n"))
            .map_err(|error| error.to_string())
    }
}

const BOTH: [&str; 2] = ["log.example.com", "*.log.example.com"];

#[test]
fn a_good_configuration_is_called_good_with_days_left() {
    let report = Setup::new(&BOTH, -1, 90).examine().unwrap();
    assert!(
        report.contains("certificate good for 90 more days"),
        "{report}"
    );
    assert!(report.ends_with(": good"), "{report}");
    assert!(!report.contains("warning"), "{report}");
}

#[test]
fn expiry_is_an_error_and_near_expiry_a_warning() {
    let error = Setup::new(&BOTH, -9, -3).examine().unwrap_err();
    assert!(
        error.contains("listeners[0].endpoints[0].certificate: it expired 3 days ago"),
        "{error}"
    );
    let error = Setup::new(&BOTH, 1, 90).examine().unwrap_err();
    assert!(error.contains("it is not valid yet"), "{error}");
    let report = Setup::new(&BOTH, -1, 29).examine().unwrap();
    assert!(report.contains("sluice.toml:7:15: warning: listeners[0].endpoints[0].certificate: it expires in 29 days"), "{report}");
}

#[test]
fn names_that_clients_dial_must_be_on_the_certificate() {
    let error = Setup::new(&["other.example.com"], -1, 90)
        .examine()
        .unwrap_err();
    assert!(
        error.contains("it names neither log.example.com nor one.log.example.com"),
        "{error}"
    );
    let report = Setup::new(&["log.example.com"], -1, 90).examine().unwrap();
    assert!(
        report.contains("warning") && report.contains("it does not name one.log.example.com"),
        "{report}"
    );
    let report = Setup::new(&["one.log.example.com"], -1, 90)
        .examine()
        .unwrap();
    assert!(
        report.contains("warning") && report.contains("it does not name log.example.com itself"),
        "{report}"
    );
    let report = Setup::new(&["log.example.com", "one.log.example.com"], -1, 90)
        .examine()
        .unwrap();
    assert!(!report.contains("warning"), "{report}");
}

#[test]
fn names_are_checked_for_the_log_services_projects_too() {
    let examined = |names: &[&str], projects: &str| {
        let setup = Setup::new(names, -1, 90);
        setup.configure(
            "log.example.com",
            &format!(
                "[sls]\nprojects = [\"{projects}\"]\n[[sls.endpoints]]\nregion = \"r\"\n\
                 url = \"https://region.example.com\"\n"
            ),
        );
        let text = fs::read_to_string(setup.dir.path().join("sluice.toml")).unwrap();
        setup.write("sluice.toml", &format!("backend = \"sls\"\n{text}"));
        setup.examine()
    };
    for projects in ["two", "*"] {
        let report = examined(&BOTH, projects).unwrap();
        assert!(!report.contains("warning"), "{report}");
    }
    let report = examined(&["log.example.com"], "two").unwrap();
    assert!(
        report.contains("it does not name two.log.example.com"),
        "{report}"
    );
    let error = examined(&["other.example.com"], "*").unwrap_err();
    assert!(
        error.contains("neither log.example.com nor {project}.log.example.com"),
        "{error}"
    );
}

#[test]
fn a_chain_in_the_wrong_order_is_refused() {
    let setup = Setup::new(&BOTH, -1, 90);
    setup.certify(&BOTH, -1, 90, |leaf, issuer| {
        format!("{leaf}{leaf}{issuer}")
    });
    let error = setup.examine().unwrap_err();
    assert!(
        error.contains("certificate 1 of the file was not issued by the one after it"),
        "{error}"
    );
}

#[test]
fn an_endpoint_that_reads_as_a_project_of_another_is_refused() {
    let setup = Setup::new(&BOTH, -1, 90);
    setup.configure(
        "log.example.com",
        "[[listeners.endpoints]]\nname = \"west.log.example.com\"\nregion = \"r\"\n\
         certificate = \"cert.pem\"\nkey = \"cert.key\"\n",
    );
    let error = setup.examine().unwrap_err();
    assert!(
        error.contains(
            "listeners[0].endpoints[1].name: `west.log.example.com` also reads as a project"
        ),
        "{error}"
    );
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    let setup = Setup::new(&BOTH, -1, 90);
    setup.chmod(0o644);
    let report = setup.examine().unwrap();
    assert!(
        report.contains("warning: listeners[0].endpoints[0].key: "),
        "{report}"
    );
}

#[test]
fn errors_of_the_configuration_and_of_certificates_are_told_together() {
    let setup = Setup::new(&BOTH, -9, -3);
    setup.configure("log.example.com", "[limits]\nidle-timeout = \"1m\"\n");
    let error = setup.examine().unwrap_err();
    assert!(
        error.contains("limits.idle-timeout") && error.contains("expired"),
        "{error}"
    );
}
