//! Whom a client believes, and what settings it takes.

use super::*;

fn roots(authority: &Authority) -> Roots {
    Roots::empty().and_of_file(&authority.file).expect("roots")
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
        let server = issuer.server(anywhere(), names, *adjust);
        let url = format!("https://{host}:{}/", server.address.port());
        let client = client(
            settings(vec![rule(&url)]),
            &roots(&authority),
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
    let client = client(settings(rules), &roots(&authority), runtime.handle());
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
