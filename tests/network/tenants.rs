//! What one tenant or one plugin may reach is not for another, not even over a
//! connection that is open already.

use harness::TestGateway;

use crate::namespace::{inside, socket};
use crate::servers::Server;
use crate::stage::{PATIENT, Place, WAYS, ask, granting, in_words_of, text, to};
use crate::town::{PRIVATE, Town};

const URL: &str = "http://private.test:8080/";

#[test]
fn an_internal_network_should_be_open_only_to_whom_it_was_opened() {
    let name = "tenants::an_internal_network_should_be_open_only_to_whom_it_was_opened";
    inside(name, || {
        let town = Town::build();
        town.names.add("private.test", &[PRIVATE]);
        // It keeps connections.
        let script = |_: &str, wire: &mut dyn crate::servers::Wire| {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ninside";
            wire.write_all(answer).is_ok()
        };
        let server = Server::start(socket(PRIVATE, 8080), Box::new(script));
        let open = format!("{}, networks: [10.1.2.0/24]", to(URL));
        let open = granting(&town, PATIENT, &[&open]);
        let closed = granting(&town, PATIENT, &[&to(URL)]);
        let place = Place::with(&WAYS);
        let text_of = format!(
            "tenants:\n\
             - {{name: a, modules: HERE/modules, sockets: [{{file: $env.APISIX_LISTEN_ADDRESS}}], \
                grants: {open}, plugins: {{fetch-wasi: {{grants: {closed}}}}}}}\n\
             - {{name: b, modules: HERE/modules, sockets: [{{file: HERE/b.sock}}], \
                grants: {closed}, plugins: {{fetch-wasi: {{grants: {open}}}}}}}\n"
        );
        let stage = place.serve(&text_of);
        let b = TestGateway::new(place.path("b.sock"));
        let attempt = format!("GET\t{URL}");
        let rows = [
            (&stage.gateway, "fetch", "200 inside", 1),
            (&stage.gateway, "fetch-wasi", "denied", 1),
            (&b, "fetch", "denied", 1),
            (&b, "fetch-wasi", "200 inside", 2),
            // Each has its own connection by now.
            (&stage.gateway, "fetch", "200 inside", 2),
            (&b, "fetch-wasi", "200 inside", 2),
            (&b, "fetch", "denied", 2),
        ];
        for (number, (gateway, way, expected, connections)) in rows.into_iter().enumerate() {
            let told = text(&ask(gateway, way, &attempt).expect("an answer"));
            let expected = in_words_of(way, expected);
            assert!(told.starts_with(expected), "row {number}: {told}");
            assert_eq!(server.connections(), connections, "row {number}");
        }
    });
}
