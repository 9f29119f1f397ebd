//! Whom the operator's authorities vouch for.

use crate::authority::Authority;
use crate::namespace::{inside, socket};
use crate::stage::{PATIENT, Place, WAYS, granting, in_words_of, to};
use crate::town::{PUBLIC, Town};

#[test]
fn a_server_should_prove_its_name_to_the_operators_authority() {
    let name = "tls::a_server_should_prove_its_name_to_the_operators_authority";
    inside(name, || {
        let town = Town::build();
        let (authority, stranger) = (Authority::new(), Authority::new());
        let good = authority.server(socket(PUBLIC, 443), &["tls.test"], |_| {});
        let unknown = stranger.server(socket(PUBLIC, 444), &["tls.test"], |_| {});
        for name in ["tls.test", "other.test"] {
            town.names.add(name, &[PUBLIC]);
        }
        let file = authority.file.display().to_string();
        let rules = [to("https://*.test/"), to("https://*.test:444/")];
        let config = |settings: &str| {
            let granted = granting(&town, settings, &[&rules[0], &rules[1]]);
            format!("grants: {granted}")
        };
        let place = Place::with(&WAYS);
        let named = place.serve(&config(&format!("{PATIENT}, ca_file: {file}")));
        // What OpenSSL is told, all that look for the system's authorities are told.
        let of_system = place.serve_with(&config(PATIENT), &[("SSL_CERT_FILE", &file)]);
        let stages = [named, of_system.expect("it starts")];
        let rows = [
            ("https://tls.test/", "200 secret"),
            ("https://other.test/", "unreachable"),
            ("https://tls.test:444/", "unreachable"),
            ("http://tls.test:443/", "denied"),
        ];
        for stage in &stages {
            for (way, (url, expected)) in
                WAYS.into_iter().flat_map(|way| rows.map(|row| (way, row)))
            {
                let told = stage.tried(way, &format!("GET\t{url}"));
                let expected = in_words_of(way, expected);
                assert!(told.starts_with(expected), "{way}: {url}: {told}");
            }
        }
        // Whom it does not believe it tells nothing.
        let times = stages.len() * WAYS.len();
        assert_eq!(good.requests().len(), times);
        assert_eq!(unknown.requests().len(), 0);
        assert_eq!(unknown.connections(), times);
    });
}

#[test]
fn authorities_that_cannot_be_read_should_be_named_at_the_start() {
    let name = "tls::authorities_that_cannot_be_read_should_be_named_at_the_start";
    inside(name, || {
        let town = Town::build();
        let place = Place::with(&["fetch", "stop"]);
        let settings = format!("{PATIENT}, ca_file: HERE/missing.pem");
        let granted = granting(&town, &settings, &[&to("https://tls.test/")]);
        let alone = format!("grants: {granted}");
        let error = place.serve_with(&alone, &[]).err().expect("no start");
        let error = error.to_string();
        assert!(error.contains("grants.http: "), "{error}");
        assert!(error.contains("/missing.pem: "), "{error}");
        assert!(!error.contains("panicked"), "{error}");
        // A tenant that is not served is in no other's way.
        let tenants = format!(
            "tenants:\n\
             - {{name: a, modules: HERE/modules, sockets: [{{file: $env.APISIX_LISTEN_ADDRESS}}]}}\n\
             - {{name: b, modules: HERE/modules, sockets: [{{file: HERE/b.sock}}], grants: {granted}}}\n"
        );
        let stage = place.serve(&tenants);
        stage.logs("tenant b is not served: ");
        assert_eq!(stage.ask("stop", "{}").status, 201);
    });
}
