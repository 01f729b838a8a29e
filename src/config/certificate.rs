//! A certificate chain and its key, read from PEM files, and the facts that `sluice check` judges.
//! Which of them a client is shown is the listener's business.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Why a certificate and its key cannot be used; `Key…` variants speak of the key's file.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {path}: {cause}")]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{path} holds no certificate in PEM form")]
    NoCertificate { path: PathBuf },
    #[error("{path} holds a damaged certificate (number {number} from the top)")]
    Damaged { path: PathBuf, number: usize },
    #[error("cannot read {path}: {cause}")]
    KeyUnreadable { path: PathBuf, cause: io::Error },
    #[error("{path} holds no unencrypted private key in PEM form")]
    NoKey { path: PathBuf },
    #[error("the key in {path} is of a kind that TLS here cannot use")]
    KeyUnsupported { path: PathBuf },
    #[error("the key in {path} does not belong to the certificate")]
    KeyMismatch { path: PathBuf },
}

impl CertificateError {
    /// Is it the key's file that is at fault?
    pub fn concerns_key(&self) -> bool {
        matches!(
            self,
            Self::KeyUnreadable { .. }
                | Self::NoKey { .. }
                | Self::KeyUnsupported { .. }
                | Self::KeyMismatch { .. }
        )
    }

    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::KeyUnreadable { .. } => {
                "check the path (relative to this file) and the permissions of the user that runs sluice"
            }
            Self::NoCertificate { .. } | Self::Damaged { .. } => {
                "give the server's certificate followed by its intermediates, each as a CERTIFICATE block"
            }
            Self::NoKey { .. } => "convert it with `openssl pkey -in OLD -out NEW`",
            Self::KeyUnsupported { .. } => {
                "use RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519"
            }
            Self::KeyMismatch { .. } => "give the key that the certificate was made for",
        }
    }
}

/// Reads a chain and its key and makes sure that they belong together.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = load_chain(certificate)?;
    let signer = any_supported_type(&load_key(key)?)
        .map_err(|_| CertificateError::KeyUnsupported { path: key.into() })?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) => Ok(Arc::new(certified)),
        Err(_) => Err(CertificateError::KeyMismatch { path: key.into() }),
    }
}

/// Reads certificates as they stand in a file, one at least.
pub(super) fn load_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = std::fs::read(path).map_err(|cause| CertificateError::Unreadable {
        path: path.into(),
        cause,
    })?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateError::NoCertificate { path: path.into() })?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate { path: path.into() });
    }
    for (index, der) in chain.iter().enumerate() {
        if X509Certificate::from_der(der).is_err() {
            return Err(CertificateError::Damaged {
                path: path.into(),
                number: index + 1,
            });
        }
    }
    Ok(chain)
}

fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::Io(cause) => CertificateError::KeyUnreadable {
            path: path.into(),
            cause,
        },
        _ => CertificateError::NoKey { path: path.into() },
    })
}

/// What a chain says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// DNS names of the server's certificate, lower case.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// Of whoever signed the server's certificate.
    pub issuer_common_name: Option<String>,
    /// The shortest validity in the chain, Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    /// Number (from 1) of the first certificate that the next one did not issue.
    pub broken_at: Option<usize>,
}

/// Facts of a chain that [`load`] took; `None` if a certificate does not parse.
pub fn facts(chain: &[CertificateDer<'_>]) -> Option<Facts> {
    let parsed: Vec<_> = chain
        .iter()
        .map(|der| {
            X509Certificate::from_der(der)
                .ok()
                .map(|(_, parsed)| parsed)
        })
        .collect::<Option<_>>()?;
    let leaf = parsed.first()?;
    let (names, addresses) = alternative_names(leaf);
    let validity = |of: fn(&X509Certificate<'_>) -> i64| parsed.iter().map(of);
    Some(Facts {
        names,
        addresses,
        issuer_common_name: common_name(leaf.issuer()),
        not_before: validity(|c| c.validity().not_before.timestamp()).max()?,
        not_after: validity(|c| c.validity().not_after.timestamp()).min()?,
        broken_at: parsed
            .windows(2)
            .position(|pair| pair[0].issuer() != pair[1].subject())
            .map(|index| index + 1),
    })
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    let first = name.iter_common_name().next()?;
    first.as_str().ok().map(str::to_owned)
}

fn alternative_names(leaf: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let mut names = Vec::new();
    let mut addresses = Vec::new();
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return (names, addresses);
    };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
            _ => {}
        }
    }
    (names, addresses)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

impl Facts {
    /// Would a client that dials `host` accept the certificate's names? A wildcard stands for one whole label, and
    /// not right under a top label: OpenSSL and webpki refuse `*.localhost`.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| {
            *name == host
                || name
                    .strip_prefix("*.")
                    .is_some_and(|under| under.contains('.') && parent == Some(under))
        })
    }

    /// Whole days until the first certificate of the chain expires; negative afterwards.
    pub fn days_left(&self, now: i64) -> i64 {
        (self.not_after - now).div_euclid(86_400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts_of(names: &[&str]) -> Facts {
        Facts {
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            addresses: Vec::new(),
            issuer_common_name: None,
            not_before: 0,
            not_after: 86_400 * 10,
            broken_at: None,
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_label_and_not_under_a_top_label() {
        let check = |names: &[&str], host, expected| {
            assert_eq!(facts_of(names).covers(host), expected, "{names:?} {host}");
        };
        check(&["log.example.com"], "log.example.com", true);
        check(&["log.example.com"], "LOG.example.com", true);
        check(&["log.example.com"], "p.log.example.com", false);
        check(&["*.log.example.com"], "p.log.example.com", true);
        check(&["*.log.example.com"], "log.example.com", false);
        check(&["*.log.example.com"], "a.p.log.example.com", false);
        check(&["*.localhost"], "p.localhost", false);
    }

    #[test]
    fn days_left_are_whole_days_and_negative_afterwards() {
        let facts = facts_of(&[]);
        assert_eq!(facts.days_left(0), 10);
        assert_eq!(facts.days_left(1), 9);
        assert_eq!(facts.days_left(86_400 * 10 + 1), -1);
    }

    #[test]
    fn a_chain_and_its_key_are_loaded_and_a_foreign_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| {
            let made = rcgen::generate_simple_self_signed([format!("{name}.example.com")]).unwrap();
            let (cert, key) = (
                dir.path().join(name),
                dir.path().join(format!("{name}.key")),
            );
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            (cert, key)
        });
        let certified = load(&a.0, &a.1).unwrap();
        assert_eq!(facts(&certified.cert).unwrap().names, ["a.example.com"]);
        let error = load(&a.0, &b.1).unwrap_err();
        assert!(matches!(error, CertificateError::KeyMismatch { .. }));
        let error = load(&a.1, &a.1).unwrap_err();
        assert!(matches!(error, CertificateError::NoCertificate { .. }));
        let error = load(&a.0, &a.0).unwrap_err();
        assert!(matches!(error, CertificateError::NoKey { .. }));
        let error = load(&a.0, &dir.path().join("none")).unwrap_err();
        assert!(matches!(error, CertificateError::KeyUnreadable { .. }));
    }
}
