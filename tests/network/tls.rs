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
        let settings = format!("{PATIENT}, ca_file: {}", authority.file.display());
        let rules = [to("https://*.test/"), to("https://*.test:444/")];
        let granted = granting(&town, &settings, &[&rules[0], &rules[1]]);
        let stage = Place::with(&WAYS).serve(&format!("grants: {granted}"));
        let rows = [
            ("https://tls.test/", "200 secret"),
            ("https://other.test/", "unreachable"),
            ("https://tls.test:444/", "unreachable"),
            ("http://tls.test:443/", "denied"),
        ];
        for way in WAYS {
            for (url, expected) in rows {
                let told = stage.tried(way, &format!("GET\t{url}"));
                let expected = in_words_of(way, expected);
                assert!(told.starts_with(expected), "{way}: {url}: {told}");
            }
        }
        // Whom it does not believe it tells nothing.
        assert_eq!(good.requests().len(), WAYS.len());
        assert_eq!(unknown.requests().len(), 0);
        assert_eq!(unknown.connections(), WAYS.len());
    });
}
