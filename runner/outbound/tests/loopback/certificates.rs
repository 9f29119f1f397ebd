//! Whom a client believes, and what settings it takes.

use super::*;

/// A certificate authority of the test's own, and its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
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

    fn roots(&self) -> Roots {
        Roots::empty().and_of_file(&self.file).expect("roots")
    }

    /// A server with a certificate for these names.
    fn server(&self, names: &[&str], adjust: fn(&mut CertificateParams)) -> Server {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        adjust(&mut params);
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        let provider = std::sync::Arc::new(ring::default_provider());
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
        Server::listen(anywhere(), Some(config), always(answer))
    }
}

#[test]
fn a_server_should_be_believed_only_with_a_certificate_for_its_name() {
    let runtime = runtime();
    let authority = Authority::new();
    let other = Authority::new();
    let expired = |params: &mut CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    };
    let good = |_: &mut CertificateParams| {};
    let rows: &[(
        &str,
        &Authority,
        &[&str],
        fn(&mut CertificateParams),
        &str,
        &str,
    )] = &[
        (
            "its name",
            &authority,
            &["localhost"],
            good,
            "localhost",
            "200",
        ),
        (
            "its address",
            &authority,
            &["127.0.0.1"],
            good,
            "127.0.0.1",
            "200",
        ),
        (
            "a name only",
            &authority,
            &["localhost"],
            good,
            "127.0.0.1",
            "unreachable",
        ),
        (
            "an address only",
            &authority,
            &["127.0.0.1"],
            good,
            "localhost",
            "unreachable",
        ),
        (
            "another name",
            &authority,
            &["auth.example"],
            good,
            "localhost",
            "unreachable",
        ),
        (
            "expired",
            &authority,
            &["localhost"],
            expired,
            "localhost",
            "unreachable",
        ),
        (
            "an authority unknown",
            &other,
            &["localhost"],
            good,
            "localhost",
            "unreachable",
        ),
    ];
    for (what, issuer, names, adjust, host, expected) in rows {
        let server = issuer.server(names, *adjust);
        let url = format!("https://{host}:{}/", server.address.port());
        let client = client(
            settings(vec![rule(&url)]),
            &authority.roots(),
            runtime.handle(),
        );
        let result = runtime.block_on(client.send(request("GET", url)));
        assert_eq!(outcome(&result), *expected, "{what}: {result:?}");
        match result {
            Ok(_) => assert_eq!(server.requests().len(), 1, "{what}"),
            Err(error) => {
                assert!(error.to_string().contains("certificate"), "{what}: {error}");
                assert_eq!(server.requests().len(), 0, "{what}");
            }
        }
        assert_eq!(server.connections(), 1, "{what}");
    }
    // Who does not speak TLS hears nothing in the clear.
    let server = Server::answering(anywhere(), b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let url = format!("https://{}/", server.address);
    let rules = vec![rule(&url)];
    let client = client(settings(rules), &authority.roots(), runtime.handle());
    let result = runtime.block_on(client.send(request("GET", url)));
    assert_eq!(outcome(&result), "unreachable", "{result:?}");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_file_of_authorities_should_hold_some() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("ca.pem");
    for (text, part) in [
        (None, "No such file"),
        (Some(""), "no certificate in PEM"),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "ca.pem",
        ),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).expect("file");
        }
        let error = Roots::empty().and_of_file(&file).expect_err("no roots");
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn settings_with_which_nothing_works_should_be_refused() {
    let runtime = runtime();
    let changes: &[(fn(&mut Settings), &str)] = &[
        (|settings| settings.time = Duration::ZERO, "time"),
        (
            |settings| settings.connect_time = Duration::ZERO,
            "connect_time",
        ),
        (|settings| settings.concurrent = 0, "concurrent"),
        (
            |settings| settings.response_headers = HEADER_BOUND - 1,
            "8192",
        ),
    ];
    for (change, part) in changes {
        let mut settings = settings(Vec::new());
        change(&mut settings);
        let made = Client::new(
            settings,
            resolver(),
            &Roots::empty(),
            runtime.handle().clone(),
        );
        let error = made.expect_err(part);
        assert!(error.contains(part), "{error}");
    }
    assert!(Resolver::with_name_servers(&[]).is_err());
}
