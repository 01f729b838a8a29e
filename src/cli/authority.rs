//! The certificate authority of `sluice dev` and the server certificate that it signs.
//!
//! The authority is constrained to the names that clients here dial, so that trusting it endangers no other site, and its key
//! stays in a file that only its owner reads. The server certificate names each name by itself: OpenSSL and webpki refuse a
//! wildcard right under a top label such as `*.localhost`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, NameConstraints as ParsedConstraints, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::config::certificate;

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot write {path}: {cause}; check the folder's permissions and its disk")]
    Write { path: PathBuf, cause: io::Error },
    #[error("`{0}` is no name for a certificate")]
    Name(String),
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// A name that the server certificate bears.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Dns(String),
    Address(IpAddr),
}

impl Name {
    pub fn parse(host: &str) -> Self {
        match host.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Dns(host.to_ascii_lowercase()),
        }
    }
}

/// What [`ensure`] had to do; the later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    Nothing,
    /// Clients notice nothing: they trust the authority.
    ServerCertificate,
    /// Clients need the new `ca.pem`.
    Authority,
}

/// Where everything lies in the folder of `sluice dev`.
#[derive(Clone, Debug)]
pub struct Files {
    pub ca: PathBuf,
    ca_key: PathBuf,
    server: PathBuf,
    server_key: PathBuf,
}

impl Files {
    pub fn of(dir: &Path) -> Self {
        Self {
            ca: dir.join("ca.pem"),
            ca_key: dir.join("ca.key"),
            server: dir.join("server.pem"),
            server_key: dir.join("server.key"),
        }
    }
}

/// Makes what is missing, about to expire, or does not fit these names and their domains any more.
///
/// `domains` are what the authority may vouch for, beside this machine's own `localhost`, 127.0.0.0/8 and ::1.
pub fn ensure(
    files: &Files,
    names: &BTreeSet<Name>,
    domains: &BTreeSet<Name>,
    now: OffsetDateTime,
) -> Result<Made, AuthorityError> {
    let known = read_authority(files, now);
    let (authority, made) = match known {
        Some(authority) if domains.is_subset(&authority.domains) => (authority, Made::Nothing),
        Some(authority) => {
            // Never narrower than before: a start without the option would break clients of the one before.
            let wider = domains.union(&authority.domains).cloned().collect();
            (make_authority(files, &wider, now)?, Made::Authority)
        }
        None => (make_authority(files, domains, now)?, Made::Authority),
    };
    if made == Made::Nothing && server_fits(files, &authority, names, now) {
        return Ok(Made::Nothing);
    }
    make_server(files, &authority, names, now)?;
    Ok(made.max(Made::ServerCertificate))
}

/// A certificate is made anew this long before it expires, for servers that run for weeks.
const RENEW_BEFORE: Duration = Duration::days(30);
const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// Some clients refuse server certificates of more than 398 days.
const SERVER_LIFE: Duration = Duration::days(397);
/// Clients' clocks may be behind.
const BACKDATE: Duration = Duration::days(1);

struct Authority {
    common_name: String,
    key: KeyPair,
    /// What it may vouch for beside this machine's own names.
    domains: BTreeSet<Name>,
}

impl Authority {
    fn params(&self, now: OffsetDateTime) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&self.common_name);
        params.not_before = now - BACKDATE;
        params.not_after = now + AUTHORITY_LIFE;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: own_subtrees()
                .into_iter()
                .chain(self.domains.iter().map(subtree))
                .collect(),
            excluded_subtrees: Vec::new(),
        });
        params
    }
}

fn named(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::OrganizationName, "Sluice");
    name.push(DnType::CommonName, common_name);
    name
}

/// `localhost` and all under it, 127.0.0.0/8 and ::1.
fn own_subtrees() -> [GeneralSubtree; 3] {
    [
        GeneralSubtree::DnsName(LOCALHOST.into()),
        GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
        GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
            Ipv6Addr::LOCALHOST.octets(),
            128,
        )),
    ]
}

const LOCALHOST: &str = "localhost";

fn subtree(domain: &Name) -> GeneralSubtree {
    match domain {
        Name::Dns(name) => GeneralSubtree::DnsName(name.clone()),
        Name::Address(address) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, bits))
        }
    }
}

fn make_authority(
    files: &Files,
    domains: &BTreeSet<Name>,
    now: OffsetDateTime,
) -> Result<Authority, AuthorityError> {
    let key = KeyPair::generate()?;
    // Part of the name is unique, so that a trust store can hold several of these apart.
    let authority = Authority {
        common_name: format!("Sluice development CA {}", random_text(8)),
        key,
        domains: domains.clone(),
    };
    let certificate = authority.params(now).self_signed(&authority.key)?;
    write_private(&files.ca_key, authority.key.serialize_pem().as_bytes())?;
    write_private(&files.ca, certificate.pem().as_bytes())?;
    Ok(authority)
}

/// The authority of an earlier start; `None` where it is missing, damaged or about to expire.
fn read_authority(files: &Files, now: OffsetDateTime) -> Option<Authority> {
    let key = KeyPair::from_pem(&fs::read_to_string(&files.ca_key).ok()?).ok()?;
    let der = CertificateDer::from_pem_file(&files.ca).ok()?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    if parsed.validity().not_after.timestamp() < (now + RENEW_BEFORE).unix_timestamp()
        || parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw()
    {
        return None;
    }
    let common_name = parsed
        .subject()
        .iter_common_name()
        .next()?
        .as_str()
        .ok()?
        .to_owned();
    let constraints =
        parsed
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::NameConstraints(constraints) => Some(constraints),
                _ => None,
            })?;
    Some(Authority {
        common_name,
        key,
        domains: domains_of(constraints),
    })
}

/// Single names and addresses that a constraint permits, without this machine's own.
fn domains_of(constraints: &ParsedConstraints<'_>) -> BTreeSet<Name> {
    let permitted = constraints.permitted_subtrees.iter().flatten();
    permitted
        .filter_map(|subtree| match &subtree.base {
            GeneralName::DNSName(name) if *name != LOCALHOST => Some(Name::Dns((*name).to_owned())),
            GeneralName::IPAddress(range) => single_address(range)
                .filter(|address| !address.is_loopback())
                .map(Name::Address),
            _ => None,
        })
        .collect()
}

/// The address of a range (address, then mask: RFC 5280, 4.2.1.10) that holds just one.
fn single_address(range: &[u8]) -> Option<IpAddr> {
    let (address, mask) = range.split_at(range.len() / 2);
    if mask.iter().any(|byte| *byte != 0xff) {
        return None;
    }
    match address.len() {
        4 => <[u8; 4]>::try_from(address).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(address).ok().map(IpAddr::from),
        _ => None,
    }
}

fn make_server(
    files: &Files,
    authority: &Authority,
    names: &BTreeSet<Name>,
    now: OffsetDateTime,
) -> Result<(), AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Sluice development server");
    params.not_before = now - BACKDATE;
    params.not_after = now + SERVER_LIFE;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
    let issuer = Issuer::new(authority.params(now), &authority.key);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write_private(&files.server_key, key.serialize_pem().as_bytes())?;
    write_private(&files.server, certificate.pem().as_bytes())
}

fn alternative(name: &Name) -> Result<SanType, AuthorityError> {
    match name {
        Name::Address(address) => Ok(SanType::IpAddress(*address)),
        Name::Dns(name) => name
            .clone()
            .try_into()
            .map(SanType::DnsName)
            .map_err(|_| AuthorityError::Name(name.clone())),
    }
}

/// Is the server certificate of an earlier start still good?
fn server_fits(
    files: &Files,
    authority: &Authority,
    names: &BTreeSet<Name>,
    now: OffsetDateTime,
) -> bool {
    let Ok(certified) = certificate::load(&files.server, &files.server_key) else {
        return false;
    };
    let Some(facts) = certificate::facts(&certified.cert) else {
        return false;
    };
    let named: BTreeSet<Name> = facts
        .names
        .iter()
        .cloned()
        .map(Name::Dns)
        .chain(facts.addresses.iter().copied().map(Name::Address))
        .collect();
    named == *names
        && facts.not_after >= (now + RENEW_BEFORE).unix_timestamp()
        && facts.issuer_common_name.as_deref() == Some(&authority.common_name)
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), AuthorityError> {
    let failed = |cause| AuthorityError::Write {
        path: path.to_owned(),
        cause,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    // One that a crash left behind may have other permissions.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)
}

/// Letters and digits from the system's random numbers.
pub fn random_text(chars: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // Bytes from here on are passed over: they would make the first letters likelier.
    const FAIR_BELOW: u8 = 62 * 4;
    let mut text = String::with_capacity(chars);
    while text.len() < chars {
        let mut bytes = [0; 64];
        // The system has no random numbers only in a sandbox that forbids them; nothing secret can be made there.
        getrandom::fill(&mut bytes).expect("the system gives random numbers");
        let fair = bytes.iter().filter(|byte| **byte < FAIR_BELOW);
        text.extend(
            fair.take(chars - text.len())
                .map(|byte| char::from(ALPHABET[usize::from(*byte % 62)])),
        );
    }
    text
}

#[cfg(test)]
mod tests;
