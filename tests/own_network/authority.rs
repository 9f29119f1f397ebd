//! A certificate authority of a test's own, and servers that it vouches for. Must
//! not know whom a client believes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::servers::{Server, always};

/// An authority, with its certificate in a file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("authority");
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, issuer.pem()).expect("file");
        Authority {
            issuer,
            file,
            _folder: folder,
        }
    }

    /// A server with a certificate for these names, which tells everyone a secret.
    pub(crate) fn server(
        &self,
        address: SocketAddr,
        names: &[&str],
        adjust: fn(&mut CertificateParams),
    ) -> Server {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        adjust(&mut params);
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("key"),
            )
            .expect("certificate");
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret".to_vec();
        Server::listen(address, Some(config), always(answer))
    }
}
