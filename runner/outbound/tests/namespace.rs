//! Where names lead, in a network of the test's own: it runs itself once more
//! where nothing but a loopback device exists, gives that public, private and
//! link-local addresses with a server on each, and a name server that lies. No
//! packet leaves the namespace, and none of the machine's own network is touched.

mod servers;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use outbound::{AllowRule, Client, Request, Resolver, Response, Roots, SendError, Settings};
use servers::{Server, always};
use tokio::runtime::{Builder, Runtime};

/// What the test sets where it runs itself: the namespace that it came from.
const CAME_FROM: &str = "OUTBOUND_TEST_CAME_FROM";
const THIS_TEST: &str = "nothing_but_what_is_allowed_should_be_reached_by_any_name";

const PUBLIC: &str = "93.184.215.14";
const PUBLIC_WITHOUT_SERVER: &str = "93.184.215.15";
const PUBLIC_V6: &str = "2001:470::1";
const PRIVATE: &str = "10.1.2.3";
const METADATA: &str = "169.254.169.254";
/// The loopback device's own are there anyway.
const GIVEN: &[&str] = &[
    PUBLIC,
    PUBLIC_WITHOUT_SERVER,
    PUBLIC_V6,
    PRIVATE,
    METADATA,
    "192.168.7.7",
    "fd00::7",
    "fe80::7",
    "64:ff9b::a01:203",
    "64:ff9b::5db8:d70e",
    "64:ff9b:1::a01:203",
    "2002:a01:203::1",
];

fn namespace() -> PathBuf {
    std::fs::read_link("/proc/self/ns/net").expect("/proc")
}

#[test]
fn nothing_but_what_is_allowed_should_be_reached_by_any_name() {
    match std::env::var_os(CAME_FROM) {
        None => run_in_a_namespace(),
        Some(came_from) => {
            // Nothing below may ever touch the machine's own network.
            assert_ne!(
                namespace(),
                Path::new(&came_from),
                "no namespace of its own"
            );
            let town = Town::build();
            town.check_names();
            town.check_rebinding();
            town.check_redirect();
            town.check_excepted_networks();
            town.check_counts();
        }
    }
}

/// As root with a network namespace; else with a user namespace as well.
fn run_in_a_namespace() {
    let can = |flags: &str| {
        let tried = Command::new("unshare").args([flags, "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let flags = ["-n", "-rn"].into_iter().find(|flags| can(flags));
    let flags = flags.expect(
        "neither `unshare -n` nor `unshare -rn` works: this test needs root, or user namespaces",
    );
    let output = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", THIS_TEST, "--nocapture"])
        .env(CAME_FROM, namespace())
        // Which nobody may follow.
        .env("http_proxy", format!("http://{METADATA}:80"))
        .env("HTTP_PROXY", format!("http://{METADATA}:80"))
        .env("ALL_PROXY", format!("http://{METADATA}:80"))
        .output()
        .expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("1 passed"),
        "it did not run: {text}\n{errors}"
    );
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output();
    let output = output.expect("`ip` cannot be run: install iproute2, as tests/setup does");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {errors}");
}

/// Where a server listens: link-local addresses belong to a device, of which
/// there is one.
fn socket(address: &str, port: u16) -> SocketAddr {
    match address.parse().expect(address) {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, port, 0, 1).into(),
        address => SocketAddr::new(address, port),
    }
}

/// Whether something comes true within a time that no machine needs.
fn soon(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if what() {
            return true;
        }
        thread::yield_now();
    }
    false
}

/// What a name stands for, answer after answer; the last one stays.
type Zone = HashMap<&'static str, Vec<&'static str>>;

/// Answers to the name server's questions, and how often each was asked.
#[derive(Default)]
struct Names {
    zone: Mutex<Zone>,
    asked: Mutex<HashMap<(String, RecordType), usize>>,
}

impl Names {
    fn serve(self: &Arc<Self>, socket: UdpSocket) {
        let names = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).expect("question");
                let question = Message::from_vec(&buffer[..length]).expect("question");
                let answer = names.answer(question).to_vec().expect("answer");
                socket.send_to(&answer, from).expect("answer");
            }
        });
    }

    fn answer(&self, mut message: Message) -> Message {
        let query = message.queries[0].clone();
        let name = query.name().to_ascii();
        let name = name.trim_end_matches('.').to_lowercase();
        let mut asked = self.asked.lock().expect("lock");
        let count = asked.entry((name.clone(), query.query_type())).or_default();
        *count += 1;
        message.metadata.message_type = MessageType::Response;
        message.metadata.recursion_available = true;
        let zone = self.zone.lock().expect("lock");
        let Some(answers) = zone.get(name.as_str()) else {
            message.metadata.response_code = ResponseCode::NXDomain;
            return message;
        };
        let answer = answers[(*count - 1).min(answers.len() - 1)];
        for address in answer.split_whitespace() {
            let address: IpAddr = address.parse().expect(address);
            let kind = match address {
                IpAddr::V4(_) => RecordType::A,
                IpAddr::V6(_) => RecordType::AAAA,
            };
            if kind == query.query_type() {
                let record = Record::from_rdata(query.name().clone(), 0, RData::from(address));
                message.answers.push(record);
            }
        }
        message
    }

    fn add(&self, name: &'static str, answers: &[&'static str]) {
        let mut zone = self.zone.lock().expect("lock");
        zone.insert(name, answers.to_vec());
    }

    fn asked(&self, name: &str, kind: RecordType) -> usize {
        let asked = self.asked.lock().expect("lock");
        asked.get(&(name.to_owned(), kind)).copied().unwrap_or(0)
    }
}

/// All there is: addresses, servers, names.
struct Town {
    runtime: Runtime,
    names: Arc<Names>,
    resolver: Resolver,
    /// By address; each closes after its answer, so each request is a connection.
    servers: HashMap<&'static str, Server>,
    /// How many connections each should have seen.
    expected: Mutex<HashMap<&'static str, usize>>,
}

impl Town {
    fn build() -> Self {
        ip(&["link", "set", "lo", "up"]);
        for address in GIVEN {
            let length = if address.contains(':') { 128 } else { 32 };
            let network = format!("{address}/{length}");
            ip(&["addr", "add", &network, "dev", "lo", "nodad"]);
        }
        let mut servers = HashMap::new();
        for address in GIVEN.iter().chain(&["127.0.0.1", "::1"]) {
            if *address != PUBLIC_WITHOUT_SERVER {
                let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{address}");
                let script = always(answer.into_bytes());
                servers.insert(*address, Server::start(socket(address, 80), script));
            }
        }
        let mut expected = HashMap::new();
        for (address, server) in &servers {
            // The kernel may know the way to a new address of IPv6 a little later.
            let arrived = soon(|| TcpStream::connect(server.address).is_ok());
            assert!(arrived, "no way to {address}");
            expected.insert(*address, 1);
        }
        let names = Arc::new(Names::default());
        let wire = UdpSocket::bind("127.0.0.1:0").expect("name server");
        let name_server = wire.local_addr().expect("address");
        names.serve(wire);
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all();
        Town {
            runtime: builder.build().expect("runtime"),
            names,
            resolver: Resolver::with_name_servers(&[name_server]).expect("resolver"),
            servers,
            expected: Mutex::new(expected),
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
        if self.servers.contains_key(expected) {
            *self
                .expected
                .lock()
                .expect("lock")
                .entry(expected)
                .or_default() += 1;
        }
    }

    fn check_names(&self) {
        let rows: &[(&str, &str, &str)] = &[
            ("public.test", PUBLIC, PUBLIC),
            ("public-v6.test", PUBLIC_V6, PUBLIC_V6),
            ("mapped-public.test", "::ffff:93.184.215.14", PUBLIC),
            (
                "nat64-public.test",
                "64:ff9b::5db8:d70e",
                "64:ff9b::5db8:d70e",
            ),
            ("loopback.test", "127.0.0.1", "denied"),
            ("loopback-other.test", "127.8.8.8", "denied"),
            ("loopback-v6.test", "::1", "denied"),
            ("unspecified.test", "0.0.0.0", "denied"),
            ("unspecified-v6.test", "::", "denied"),
            ("private.test", PRIVATE, "denied"),
            ("private-home.test", "192.168.7.7", "denied"),
            ("metadata.test", METADATA, "denied"),
            ("unique-local.test", "fd00::7", "denied"),
            ("link-local-v6.test", "fe80::7", "denied"),
            ("mapped.test", "::ffff:10.1.2.3", "denied"),
            ("mapped-loopback.test", "::ffff:127.0.0.1", "denied"),
            ("mapped-metadata.test", "::ffff:169.254.169.254", "denied"),
            ("nat64.test", "64:ff9b::a01:203", "denied"),
            ("nat64-local.test", "64:ff9b:1::a01:203", "denied"),
            ("compatible.test", "::10.1.2.3", "denied"),
            ("six-to-four.test", "2002:a01:203::1", "denied"),
            ("all-private.test", "10.1.2.3 fd00::7 127.0.0.1", "denied"),
            ("private-first.test", "10.1.2.3 93.184.215.14", PUBLIC),
            ("private-v6-first.test", "fd00::7 93.184.215.14", PUBLIC),
            ("private-v4-beside.test", "2001:470::1 10.1.2.3", PUBLIC_V6),
            (
                "public-is-down.test",
                "93.184.215.15 10.1.2.3 fd00::7",
                "unreachable",
            ),
            (
                "next-public.test",
                "93.184.215.15 93.184.215.14 10.1.2.3",
                PUBLIC,
            ),
            ("empty.test", "", "unresolvable"),
        ];
        for (name, addresses, expected) in rows {
            self.names.add(name, &[addresses]);
            self.check(name, &[], expected);
            let kinds = [RecordType::A, RecordType::AAAA];
            let asked = kinds.map(|kind| self.names.asked(name, kind));
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
        self.names.add("rebind.test", &[PUBLIC, PRIVATE]);
        self.check("rebind.test", &[], PUBLIC);
        assert_eq!(self.names.asked("rebind.test", RecordType::A), 1);
        self.check("rebind.test", &[], "denied");
        assert_eq!(self.names.asked("rebind.test", RecordType::A), 2);
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

    /// Every server saw who was sent to it and nobody else. One more connection to
    /// each, which is counted after all that came before, shows that it counts.
    fn check_counts(&self) {
        let expected = self.expected.lock().expect("lock");
        for (address, server) in &self.servers {
            TcpStream::connect(server.address).expect("every server can be reached");
            let expected = expected[address] + 1;
            soon(|| server.connections() >= expected);
            assert_eq!(server.connections(), expected, "connections to {address}");
        }
        let never = [
            "192.168.7.7",
            "fe80::7",
            "2002:a01:203::1",
            "64:ff9b:1::a01:203",
        ];
        assert!(never.iter().all(|address| expected[address] == 1));
    }
}
