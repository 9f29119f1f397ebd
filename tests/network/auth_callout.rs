//! The example `auth-callout` before a server that knows who may pass: it lets
//! nobody through whom the server does not name, whatever becomes of the server.

use std::thread;

use harness::{HttpOutcome, HttpRequest, RouteConf};

use crate::namespace::{inside, socket};
use crate::servers::{Server, Wire};
use crate::stage::{PATIENT, Place, granting, to};
use crate::town::{PRIVATE, Town};

/// What the server knows of a token.
fn judge(request: &str, wire: &mut dyn Wire) -> bool {
    let token = request
        .lines()
        .find_map(|line| line.strip_prefix("authorization: Bearer "));
    let (status, body) = match token.unwrap_or_default() {
        "ada" => ("200", "ada\n"),
        "nobody" => ("401", ""),
        "mallory" => ("403", "root"),
        "moved" => ("302", "root"),
        "broken" => ("500", "root"),
        "created" => ("201", "root"),
        "gone" => return false,
        // Longer than the filter waits.
        _ => loop {
            thread::park();
        },
    };
    let head = format!("HTTP/1.1 {status} -\r\nconnection: close\r\n");
    let rest = format!(
        "location: http://public.test/\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = wire.write_all([&head, &rest, body].concat().as_bytes());
    false
}

#[test]
fn only_whom_the_server_names_should_pass() {
    let name = "auth_callout::only_whom_the_server_names_should_pass";
    inside(name, || {
        let town = Town::build();
        town.names.add("auth.internal", &[PRIVATE]);
        let server = Server::start(socket(PRIVATE, 8080), Box::new(judge));
        let rule = |port: u16| {
            let rule = to(&format!("http://auth.internal:{port}/check"));
            format!("{rule}, networks: [10.1.2.0/24]")
        };
        let granted = granting(&town, PATIENT, &[&rule(8080), &rule(8081)]);
        let granted = granted.strip_suffix('}').expect("a mapping");
        let config = format!("grants: {granted}, secrets: {{AUTH_KEY: {{file: HERE/key}}}}}}");
        let place = Place::with(&["auth-callout"]);
        std::fs::write(place.path("key"), "open-sesame\n").expect("file");
        let stage = place.serve(&config);
        let (there, down) = (8080, 8081);
        let rows = [
            (there, Some("ada"), Ok("ada")),
            (there, None, Err(401)),
            (there, Some("nobody"), Err(401)),
            (there, Some("mallory"), Err(403)),
            (there, Some("moved"), Err(403)),
            (there, Some("broken"), Err(403)),
            (there, Some("created"), Err(403)),
            (there, Some("gone"), Err(503)),
            (there, Some("late"), Err(503)),
            (down, Some("ada"), Err(503)),
        ];
        for (port, token, expected) in rows {
            // Where the gateway may pass requests without a runner, too.
            let url = format!("http://auth.internal:{port}/check");
            let route = RouteConf::new(&url).plugin("auth-callout", &url);
            let mut request = HttpRequest::new("GET", "/").header("x-user", "root");
            if let Some(token) = token {
                request = request.header("authorization", &format!("Bearer {token}"));
            }
            let observed = stage
                .gateway
                .request_phase(&route.allow_degradation(), &request);
            match (observed.faultless().expect("a reply"), expected) {
                (HttpOutcome::Upstream(request), Ok(user)) => {
                    assert_eq!(request.header("x-user"), [user.as_bytes()], "{token:?}");
                }
                (HttpOutcome::Client(response), Err(status)) => {
                    assert_eq!(response.status, status, "{token:?}");
                }
                (other, _) => panic!("{token:?}: {other:?}"),
            }
        }
        let asked = server.requests();
        let with_key = |request: &&String| request.contains("\r\nx-key: open-sesame\r\n");
        assert_eq!(asked.iter().filter(with_key).count(), asked.len());
        assert!(asked[0].starts_with("GET /check HTTP/1.1\r\n"), "{asked:?}");
        assert!(
            !stage.runner.log().contains("sesame"),
            "{}",
            stage.runner.log()
        );
    });
}
