//! Whose certificates are believed. There is no way to believe all. Must not know
//! hosts or rules.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The certificate authorities that clients believe; read once, at the start.
#[derive(Clone)]
pub struct Roots {
    store: RootCertStore,
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.store.len())
    }
}

impl Roots {
    /// None: every server that speaks TLS is refused.
    #[must_use]
    pub fn empty() -> Self {
        Roots {
            store: RootCertStore::empty(),
        }
    }

    /// Those of this system, where OpenSSL finds them. One that cannot be read is
    /// left out. They are read once: a process may give up their files after that.
    ///
    /// # Errors
    /// A sentence, where there is none at all.
    pub fn of_system() -> Result<Self, String> {
        static OF_SYSTEM: OnceLock<Result<Roots, String>> = OnceLock::new();
        OF_SYSTEM.get_or_init(Self::read_of_system).clone()
    }

    fn read_of_system() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = Self::empty();
        roots.store.add_parsable_certificates(found.certs);
        if roots.store.is_empty() {
            return Err(
                "this system has no certificate authorities; install ca-certificates or name a file"
                    .into(),
            );
        }
        Ok(roots)
    }

    /// Those of a file, in PEM, in addition to these.
    ///
    /// # Errors
    /// A sentence, where the file cannot be read, holds no certificate, or one
    /// that is broken.
    pub fn and_of_file(mut self, file: &Path) -> Result<Self, String> {
        let wrong = |error: &dyn fmt::Display| format!("{}: {error}", file.display());
        let read = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))?;
        let before = self.store.len();
        for certificate in read {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            self.store.add(certificate).map_err(|error| wrong(&error))?;
        }
        if self.store.len() == before {
            return Err(wrong(&"there is no certificate in PEM in it"));
        }
        Ok(self)
    }

    /// TLS 1.2 and 1.3 with the provider's safe choices, for HTTP/1.1.
    pub(crate) fn tls(&self) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let mut config = builder
            .with_root_certificates(self.store.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
