//! Whom the gateway believes to be the Log Service: the system's certificate authorities, and those of a file.

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error(
        "the system has no certificate authorities, so no https endpoint can be trusted; install them (the package \
         ca-certificates) or name a file of them as ca-file"
    )]
    Nobody,
    #[error("certificate {0} of ca-file cannot be used as an authority")]
    Unusable(usize),
}

/// The system's authorities and `more`. Those of the system that cannot be read are left out, as other programs do.
pub(super) fn authorities(more: &[CertificateDer<'static>]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in more.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|_| TrustError::Unusable(index + 1))?;
    }
    let found = rustls_native_certs::load_native_certs();
    let (taken, left) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(
        taken,
        left,
        unreadable = found.errors.len(),
        "read the system's certificate authorities"
    );
    match roots.is_empty() {
        true => Err(TrustError::Nobody),
        false => Ok(roots),
    }
}
