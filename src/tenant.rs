//! Who is writing, and where to: SNI host, SASL user name and topic become a project, credentials and a Logstore.
//!
//! Nothing here touches a socket, a clock or a store.

use std::fmt;
use std::net::IpAddr;
use std::str;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A project's name: 3 to 63 of `a-z 0-9 -`, first and last a letter or digit (the Log Service's rule).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProjectName(Arc<str>);

/// A Logstore's name: 3 to 63 of `a-z 0-9 - _`, first and last a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LogstoreName(Arc<str>);

/// A name that breaks the Log Service's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name takes 3 to 63 characters, this has {0}")]
    Length(usize),
    #[error(
        "byte {at} is not a lower-case letter, a digit or an allowed sign, or a sign stands at an end"
    )]
    Character { at: usize },
}

impl ProjectName {
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check_name(name, b"-").map(|()| Self(name.into()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LogstoreName {
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check_name(name, b"-_").map(|()| Self(name.into()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LogstoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_name(name: &str, signs: &[u8]) -> Result<(), NameError> {
    let bytes = name.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Err(NameError::Length(bytes.len()));
    }
    let last = bytes.len() - 1;
    for (at, byte) in bytes.iter().enumerate() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let sign = signs.contains(byte) && at != 0 && at != last;
        if !plain && !sign {
            return Err(NameError::Character { at });
        }
    }
    Ok(())
}

/// A secret: wiped when dropped, printed by nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// In constant time for texts of equal length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }
    /// The text itself, for signing and comparing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// An access key as the client gave it in the SASL password, `{id}#{secret}` or `{id}#{secret}#{token}`.
///
/// Equality is that of the whole credential; what is kept or shared by credentials must never go by the id alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub access_key_secret: Secret,
    /// Of temporary (STS) credentials.
    pub security_token: Option<Secret>,
}

/// What a SASL/PLAIN token says: the project (user name) and the credentials (password).
#[derive(Clone, Debug)]
pub struct Login {
    pub project: ProjectName,
    pub credentials: Arc<Credentials>,
}

/// A client whose login was taken: every Produce step carries one.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub project: ProjectName,
    pub credentials: Arc<Credentials>,
    /// Region of the endpoint that the client dialled.
    pub region: Arc<str>,
    /// The endpoint that the client dialled, without project.
    pub endpoint: Arc<str>,
    /// The client's address.
    pub peer: IpAddr,
}

/// What is wrong with a login, in words that a user may read and that hold nothing of what he sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    #[error("the SASL token is not UTF-8")]
    NotUtf8,
    #[error("the SASL token does not have three parts divided by NUL")]
    Parts,
    #[error("the SASL authorization id differs from the user name")]
    AuthorizationId,
    #[error("the user name is not a project's name: {0}")]
    Project(NameError),
    #[error("the password does not have the form access-key-id#access-key-secret")]
    Password,
    #[error("an access key id that begins with STS. takes a security token: id#secret#token")]
    NoToken,
    #[error("the user name and the project in the host name disagree")]
    OtherProject,
}

/// Ids of temporary credentials begin so.
const STS_PREFIX: &str = "STS.";

/// Reads a SASL/PLAIN token, `[authzid] NUL user NUL password` (RFC 4616). kafka-python and aiokafka repeat the user name
/// as authorization id; any other is refused.
///
/// # Errors
/// Says what is wrong without repeating it.
pub fn parse_plain_token(token: &[u8]) -> Result<Login, LoginError> {
    let text = str::from_utf8(token).map_err(|_| LoginError::NotUtf8)?;
    let mut parts = text.split('\0');
    let (Some(authorization), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(LoginError::Parts);
    };
    if !authorization.is_empty() && authorization != user {
        return Err(LoginError::AuthorizationId);
    }
    let project = ProjectName::parse(user).map_err(LoginError::Project)?;
    parse_password(password).map(|credentials| Login {
        project,
        credentials: Arc::new(credentials),
    })
}

fn parse_password(password: &str) -> Result<Credentials, LoginError> {
    let (id, rest) = password.split_once('#').ok_or(LoginError::Password)?;
    let (secret, token) = match rest.split_once('#') {
        Some((secret, token)) => (secret, Some(token)),
        None => (rest, None),
    };
    if id.is_empty() || secret.is_empty() || token.is_some_and(str::is_empty) {
        return Err(LoginError::Password);
    }
    if id.starts_with(STS_PREFIX) && token.is_none() {
        return Err(LoginError::NoToken);
    }
    Ok(Credentials {
        access_key_id: id.to_owned(),
        access_key_secret: Secret::new(secret),
        security_token: token.map(Secret::new),
    })
}

/// Where a topic's logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub logstore: LogstoreName,
    /// The topic had the suffix `.json`: values are parsed, their top-level keys become fields.
    pub json: bool,
}

/// `{logstore}` or `{logstore}.json`; a Logstore's name holds no dot, so this is unambiguous.
///
/// # Errors
/// When what is left is no Logstore's name.
pub fn route(topic: &str) -> Result<Route, NameError> {
    let (name, json) = match topic.strip_suffix(".json") {
        Some(name) => (name, true),
        None => (topic, false),
    };
    LogstoreName::parse(name).map(|logstore| Route { logstore, json })
}

/// A name that clients dial, alone or behind `{project}.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// In lower case, without a trailing dot.
    pub name: Arc<str>,
    pub region: Arc<str>,
}

/// The endpoints of one listener; the first is its default.
#[derive(Clone, Debug)]
pub struct Endpoints(Vec<Endpoint>);

/// What the name that a client dialled says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    pub endpoint: Endpoint,
    /// Of `{project}.{endpoint}`.
    pub project: Option<ProjectName>,
    /// The name itself, to be advertised back; `None` without SNI.
    pub host: Option<String>,
}

impl Endpoints {
    /// `None` without any.
    pub fn new(endpoints: Vec<Endpoint>) -> Option<Self> {
        (!endpoints.is_empty()).then_some(Self(endpoints))
    }

    /// Reads the SNI name. A configured endpoint wins over `{project}.{shorter endpoint}`; what is neither counts as
    /// the default endpoint.
    pub fn resolve(&self, sni: Option<&str>) -> Dialled {
        let default = || self.0[0].clone();
        let Some(sni) = sni else {
            return Dialled {
                endpoint: default(),
                project: None,
                host: None,
            };
        };
        let host = sni.trim_end_matches('.').to_ascii_lowercase();
        if let Some(endpoint) = self.find(&host) {
            return Dialled {
                endpoint,
                project: None,
                host: Some(host),
            };
        }
        let behind_project = host.split_once('.').and_then(|(project, rest)| {
            let project = ProjectName::parse(project).ok()?;
            Some((project, self.find(rest)?))
        });
        match behind_project {
            Some((project, endpoint)) => Dialled {
                endpoint,
                project: Some(project),
                host: Some(host),
            },
            None => Dialled {
                endpoint: default(),
                project: None,
                host: Some(host),
            },
        }
    }

    fn find(&self, name: &str) -> Option<Endpoint> {
        self.0
            .iter()
            .find(|endpoint| *endpoint.name == *name)
            .cloned()
    }
}

impl Dialled {
    /// The tenant of a login over this name, from a client at this address.
    ///
    /// # Errors
    /// When the name holds another project than the login.
    pub fn tenant(&self, login: Login, peer: IpAddr) -> Result<Tenant, LoginError> {
        match &self.project {
            Some(project) if *project != login.project => Err(LoginError::OtherProject),
            _ => Ok(Tenant {
                project: login.project,
                credentials: login.credentials,
                region: Arc::clone(&self.endpoint.region),
                endpoint: Arc::clone(&self.endpoint.name),
                peer,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_log_services_rules() {
        let long = "a".repeat(64);
        for good in ["abc", "test-project-1", "0a0", &long[..63]] {
            assert!(ProjectName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", "ab", &long, "-abc", "abc-", "Abc", "a_c", "a.c", "a/c", "../x", "a?b", "äbc",
            "a c", "abc\0",
        ] {
            assert!(ProjectName::parse(bad).is_err(), "{bad}");
        }
        assert!(LogstoreName::parse("a_c").is_ok());
        assert!(LogstoreName::parse("_ac").is_err());
    }

    #[test]
    fn a_topic_is_a_logstore_with_or_without_the_suffix() {
        let logstore = |name| LogstoreName::parse(name).expect("a good name");
        assert_eq!(
            route("my-store"),
            Ok(Route {
                logstore: logstore("my-store"),
                json: false
            })
        );
        assert_eq!(
            route("my-store.json"),
            Ok(Route {
                logstore: logstore("my-store"),
                json: true
            })
        );
        for bad in [
            ".json",
            "x.json",
            "my-store.json.json",
            "my-store.JSON",
            "../../etc",
            "",
        ] {
            assert!(route(bad).is_err(), "{bad}");
        }
    }

    fn login(token: &str) -> Result<(String, String, String, Option<String>), LoginError> {
        parse_plain_token(token.as_bytes()).map(|login| {
            let credentials = &login.credentials;
            (
                login.project.to_string(),
                credentials.access_key_id.clone(),
                credentials.access_key_secret.expose().to_owned(),
                credentials
                    .security_token
                    .as_ref()
                    .map(|token| token.expose().to_owned()),
            )
        })
    }

    #[test]
    fn a_token_holds_project_and_key() {
        let plain = ("project-1".into(), "id".into(), "secret".into(), None);
        assert_eq!(login("\0project-1\0id#secret"), Ok(plain.clone()));
        assert_eq!(login("project-1\0project-1\0id#secret"), Ok(plain));
        let with_token = (
            "project-1".into(),
            "STS.id".into(),
            "secret".into(),
            Some("to#ken=".into()),
        );
        assert_eq!(login("\0project-1\0STS.id#secret#to#ken="), Ok(with_token));
    }

    #[test]
    fn a_malformed_token_is_refused_with_its_reason() {
        for (token, error) in [
            ("", LoginError::Parts),
            ("\0project-1", LoginError::Parts),
            ("\0project-1\0id#secret\0", LoginError::Parts),
            ("other\0project-1\0id#secret", LoginError::AuthorizationId),
            ("\0\0id#secret", LoginError::Project(NameError::Length(0))),
            ("\0project-1\0", LoginError::Password),
            ("\0project-1\0id", LoginError::Password),
            ("\0project-1\0#secret", LoginError::Password),
            ("\0project-1\0id#", LoginError::Password),
            ("\0project-1\0id#secret#", LoginError::Password),
            ("\0project-1\0STS.id#secret", LoginError::NoToken),
        ] {
            assert_eq!(login(token), Err(error), "{token:?}");
        }
        assert_eq!(
            parse_plain_token(b"\0project-1\0\xff#x").err(),
            Some(LoginError::NotUtf8)
        );
    }

    #[test]
    fn no_secret_is_printed() {
        let login =
            parse_plain_token(b"\0project-1\0id#hush-hush#hush-token").expect("well formed");
        let printed = format!("{login:?}");
        assert!(!printed.contains("hush"), "{printed}");
    }

    #[test]
    fn the_dialled_name_gives_endpoint_and_project() {
        let endpoint = |name: &str| Endpoint {
            name: name.into(),
            region: format!("r-{name}").into(),
        };
        let endpoints = ["log.example.com", "eu.log.example.com", "localhost"].map(endpoint);
        let endpoints = Endpoints::new(endpoints.to_vec()).expect("there are some");
        let project = |name| Some(ProjectName::parse(name).expect("a good name"));
        for (sni, name, expected, host) in [
            (None, "log.example.com", None, None),
            (
                Some("log.example.com"),
                "log.example.com",
                None,
                Some("log.example.com"),
            ),
            (
                Some("LOG.example.COM."),
                "log.example.com",
                None,
                Some("log.example.com"),
            ),
            (
                Some("my-project.log.example.com"),
                "log.example.com",
                project("my-project"),
                Some("my-project.log.example.com"),
            ),
            // Longer than `{project}.log.example.com` with a project named `eu`… which is too short anyway.
            (
                Some("eu.log.example.com"),
                "eu.log.example.com",
                None,
                Some("eu.log.example.com"),
            ),
            (
                Some("abc.eu.log.example.com"),
                "eu.log.example.com",
                project("abc"),
                Some("abc.eu.log.example.com"),
            ),
            (
                Some("abc.localhost"),
                "localhost",
                project("abc"),
                Some("abc.localhost"),
            ),
            (
                Some("ab.localhost"),
                "log.example.com",
                None,
                Some("ab.localhost"),
            ),
            (
                Some("a.b.log.example.com"),
                "log.example.com",
                None,
                Some("a.b.log.example.com"),
            ),
            (
                Some("gateway.internal"),
                "log.example.com",
                None,
                Some("gateway.internal"),
            ),
        ] {
            let dialled = endpoints.resolve(sni);
            assert_eq!(&*dialled.endpoint.name, name, "{sni:?}");
            assert_eq!(&*dialled.endpoint.region, format!("r-{name}"), "{sni:?}");
            assert_eq!(
                (dialled.project, dialled.host.as_deref()),
                (expected, host),
                "{sni:?}"
            );
        }
    }

    #[test]
    fn user_name_and_dialled_project_must_agree() {
        let endpoint = Endpoint {
            name: "localhost".into(),
            region: "local".into(),
        };
        let dialled = Endpoints::new(vec![endpoint])
            .expect("one")
            .resolve(Some("project-1.localhost"));
        let login = |name: &str| {
            parse_plain_token(format!("\0{name}\0id#secret").as_bytes()).expect("well formed")
        };
        let peer = IpAddr::from([10, 0, 0, 1]);
        assert!(dialled.tenant(login("project-1"), peer).is_ok());
        assert_eq!(
            dialled.tenant(login("project-2"), peer).err(),
            Some(LoginError::OtherProject)
        );
    }
}
