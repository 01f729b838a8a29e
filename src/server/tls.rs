//! TLS 1.2 and 1.3 by rustls on ring: certificate by SNI, AES-128-GCM first, tickets instead of a session cache.
//!
//! Reading certificates is the configuration's. The finished [`ServerConfig`] is a value behind an `Arc`, so a reload is
//! the swap of one pointer.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig};

/// The certificates of one listener.
#[derive(Debug)]
pub struct Certificates {
    /// For clients without SNI, and for unknown names unless `strict`.
    pub default: Arc<CertifiedKey>,
    /// By exact name and by `*.name`, in lower case.
    pub by_name: HashMap<String, Arc<CertifiedKey>>,
    /// Refuse unknown names.
    pub strict: bool,
}

/// The one provider of the whole program: ring, AES-128-GCM before AES-256 (a fifth cheaper; same security margin in
/// practice), ChaCha20 for those who have no AES.
pub fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| match suite.suite() {
            CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
            CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 1,
            _ => 2,
        });
    provider
}

/// The configuration of a listener that serves these certificates.
///
/// # Errors
/// When rustls refuses the combination of provider and versions, or has no ticket key.
pub fn server_config(certificates: Certificates) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.ignore_client_order = true;
    // Tickets make a reconnect cheap without any memory per client here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

impl Certificates {
    fn by_sni(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.by_name.get(&name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        })
    }

    fn choose(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        match name.map(|name| self.by_sni(name)) {
            Some(Some(key)) => Some(Arc::clone(key)),
            Some(None) if self.strict => None,
            Some(None) | None => Some(Arc::clone(&self.default)),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::PrivateKeyDer;

    use super::*;

    fn key_for(name: &str) -> Arc<CertifiedKey> {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()])
            .expect("rcgen makes a certificate");
        let private =
            PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a PKCS#8 key");
        Arc::new(
            CertifiedKey::from_der(vec![made.cert.der().clone()], private, &provider())
                .expect("they fit"),
        )
    }

    fn certificates(strict: bool) -> Certificates {
        let by_name = ["log.example.com", "*.log.example.com", "a.log.example.com"]
            .into_iter()
            .map(|name| (name.to_owned(), key_for(name)))
            .collect();
        Certificates {
            default: key_for("default.example.com"),
            by_name,
            strict,
        }
    }

    #[test]
    fn the_exact_name_comes_before_the_wildcard_and_case_and_dot_do_not_count() {
        let certificates = certificates(false);
        let chosen = |name| {
            certificates
                .choose(Some(name))
                .map(|key| key.cert[0].to_vec())
        };
        let of = |name: &str| Some(certificates.by_name[name].cert[0].to_vec());
        assert_eq!(chosen("a.log.example.com"), of("a.log.example.com"));
        assert_eq!(chosen("B.Log.example.com."), of("*.log.example.com"));
        assert_eq!(chosen("log.example.com"), of("log.example.com"));
    }

    #[test]
    fn an_unknown_name_gets_the_default_certificate_or_a_refusal_where_strict() {
        let lenient = certificates(false);
        let default = lenient.default.cert[0].to_vec();
        assert_eq!(
            lenient
                .choose(Some("x.y.log.example.com"))
                .map(|key| key.cert[0].to_vec()),
            Some(default)
        );
        assert!(
            certificates(true)
                .choose(Some("other.example.com"))
                .is_none()
        );
        assert!(
            certificates(true).choose(None).is_some(),
            "a client without SNI is served even where strict"
        );
    }
}
