//! Where names lead, in a network of the test's own, and a name server that lies.

#[path = "../../../tests/own_network/names.rs"]
mod names;
#[path = "../../../tests/own_network/namespace.rs"]
mod namespace;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../../../tests/own_network/servers.rs"]
mod servers;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../../../tests/own_network/town.rs"]
mod town;

use std::time::Duration;

use namespace::{inside, socket};
use outbound::{AllowRule, Client, Request, Resolver, Response, Roots, SendError, Settings};
use servers::Server;
use tokio::runtime::{Builder, Runtime};
use town::{METADATA, NAMES, PRIVATE, PUBLIC, PUBLIC_V6, Town};

#[test]
fn nothing_but_what_is_allowed_should_be_reached_by_any_name() {
    inside(
        "nothing_but_what_is_allowed_should_be_reached_by_any_name",
        || {
            let visitor = Visitor::in_a_town();
            visitor.check_names();
            visitor.check_rebinding();
            visitor.check_redirect();
            visitor.check_excepted_networks();
            visitor.check_counts();
        },
    );
}

/// Who sends requests there.
struct Visitor {
    town: Town,
    runtime: Runtime,
    resolver: Resolver,
}

impl Visitor {
    fn in_a_town() -> Self {
        let town = Town::build();
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all();
        Visitor {
            runtime: builder.build().expect("runtime"),
            resolver: Resolver::with_name_servers(&[town.name_server]).expect("resolver"),
            town,
        }
    }

    fn client(&self, url: &str, networks: &[&str]) -> Client {
        let networks: Vec<String> = networks.iter().map(|one| (*one).to_owned()).collect();
        let settings = Settings {
            rules: vec![AllowRule::parse(url, &[], &networks).expect(url)],
            time: Duration::from_secs(20),
            connect_time: Duration::from_secs(10),
            request_body: 0,
            response_body: 1000,
            response_headers: 8 * 1024,
            concurrent: 1,
            waiting: 0,
        };
        let runtime = self.runtime.handle().clone();
        Client::new(settings, self.resolver.clone(), &Roots::empty(), runtime).expect("client")
    }

    fn get(&self, client: &Client, url: &str) -> Result<Response, SendError> {
        self.runtime.block_on(client.send(Request {
            method: "GET".to_owned(),
            url: url.to_owned(),
            ..Request::default()
        }))
    }

    /// Sends a request to a name; what should come of it is the address that
    /// answers, or the kind of error.
    fn check(&self, name: &str, networks: &[&str], expected: &'static str) {
        let url = format!("http://{name}/");
        let result = self.get(&self.client(&url, networks), &url);
        let came = match &result {
            Ok(response) => String::from_utf8_lossy(&response.body).into_owned(),
            Err(error) => error.kind().to_owned(),
        };
        assert_eq!(came, expected, "{name} with {networks:?}: {result:?}");
        self.town.expect(expected);
    }

    fn check_names(&self) {
        for (name, addresses, expected) in NAMES {
            self.town.names.add(name, &[addresses]);
            self.check(name, &[], expected);
            let asked = self.town.names.asked(name);
            assert_eq!(asked, [1, 1], "{name} was asked for so often");
        }
        self.check("nobody.test", &[], "unresolvable");
        self.check("localhost", &[], "denied");
        // Addresses need no name server, and are judged alike.
        self.check(PUBLIC, &[], PUBLIC);
        self.check("[2001:470::1]", &[], PUBLIC_V6);
        self.check("[::ffff:5db8:d70e]", &[], PUBLIC);
        self.check("1572394766", &[], PUBLIC);
    }

    /// The second answer to the same name leads inside.
    fn check_rebinding(&self) {
        let names = &self.town.names;
        names.add("rebind.test", &[PUBLIC, PRIVATE]);
        self.check("rebind.test", &[], PUBLIC);
        assert_eq!(names.asked("rebind.test")[0], 1);
        self.check("rebind.test", &[], "denied");
        assert_eq!(names.asked("rebind.test")[0], 2);
    }

    /// A redirect to the metadata is an answer like any other.
    fn check_redirect(&self) {
        let location = format!("http://{METADATA}/latest/meta-data/");
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\
             connection: close\r\n\r\n"
        );
        let server = Server::answering(socket(PUBLIC, 8080), answer.into_bytes());
        let url = "http://public.test:8080/";
        let client = self.client(url, &[]);
        let response = self.get(&client, url).expect("answer");
        assert_eq!(response.status, 302);
        let expected = ("location".to_owned(), location.into_bytes());
        assert!(response.headers.contains(&expected), "{response:?}");
        assert_eq!(server.connections(), 1);
        let asked = server.requests();
        assert!(
            asked[0].contains("\r\nhost: public.test:8080\r\n"),
            "{asked:?}"
        );
    }

    /// What a rule excepts is reached, and nothing beside it.
    fn check_excepted_networks(&self) {
        let rows: &[(&str, &[&str], &str)] = &[
            ("private.test", &["10.1.2.0/24"], PRIVATE),
            ("private.test", &["10.1.2.3"], PRIVATE),
            ("mapped.test", &["10.1.2.0/24"], PRIVATE),
            ("private.test", &["10.1.3.0/24", "fd00::/8"], "denied"),
            ("metadata.test", &["10.0.0.0/8", "192.168.0.0/16"], "denied"),
            ("metadata.test", &[METADATA], METADATA),
            ("unique-local.test", &["fd00::/8"], "fd00::7"),
            ("nat64.test", &["10.0.0.0/8"], "denied"),
            ("nat64.test", &["64:ff9b::/96"], "64:ff9b::a01:203"),
            ("six-to-four.test", &["10.0.0.0/8"], "denied"),
            ("loopback.test", &["127.0.0.0/8"], "127.0.0.1"),
            ("loopback.test", &["::1"], "denied"),
            ("all-private.test", &["127.0.0.1"], "127.0.0.1"),
            ("all-private.test", &["fd00::/8"], "fd00::7"),
            (PRIVATE, &["10.0.0.0/8"], PRIVATE),
        ];
        for (name, networks, expected) in rows {
            self.check(name, networks, expected);
        }
    }

    fn check_counts(&self) {
        let never = [
            "192.168.7.7",
            "fe80::7",
            "2002:a01:203::1",
            "64:ff9b:1::a01:203",
        ];
        let came = |address: &&str| self.town.should_have_come(address);
        assert!(never.iter().all(|address| came(address) == 1));
        self.town.check_counts();
    }
}
