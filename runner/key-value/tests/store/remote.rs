//! What a Redis can do to a store: be down, go, come back, be slow, refuse.

use std::time::Duration;

use key_value::{Backend, Limits, OpenError, RedisSettings, Settings, Store, StoreError};
use tokio::runtime::Handle;

use crate::redis_server::RedisServer;
use crate::{SOON, open, runtime, soon, soon_reads};

/// A store that gives up early.
fn impatient(server: &RedisServer) -> Store {
    let settings = RedisSettings {
        timeout: Duration::from_millis(300),
        max_waiting: 2,
        ..RedisSettings::at(server.address())
    };
    open(Backend::Redis(settings), "remote")
}

/// Whether every operation says that the store is unavailable, and does not
/// wait for ever.
async fn must_be_unavailable(store: &Store, what: &str) {
    let asked = async {
        [
            store.get("k").await.map(drop),
            store.set("k", b"v".to_vec(), None).await,
            store.remove("k").await,
            store.increment("n", 1, None).await.map(drop),
            store.increment("n", 1, Some(SOON)).await.map(drop),
        ]
    };
    let answers = tokio::time::timeout(SOON, asked).await.expect("answers");
    for answer in answers {
        let Err(StoreError::Unavailable(text)) = answer else {
            panic!("{what}: {answer:?}");
        };
        assert!(!text.contains(['/', ':']), "{text} names an address");
    }
}

#[test]
fn a_redis_that_is_down_should_be_waited_for() {
    let mut server = RedisServer::stopped();
    runtime().block_on(async {
        let store = impatient(&server);
        must_be_unavailable(&store, "down at the start").await;
        server.start_again();
        soon_reads(&store, "k", None).await;
        store.set("k", b"v".to_vec(), None).await.expect("set");

        server.kill();
        must_be_unavailable(&store, "down in the middle").await;
        server.start_again();
        // It keeps nothing, so this is another one.
        soon_reads(&store, "k", None).await;
        let sum = store.increment("n", 1, Some(SOON)).await;
        assert_eq!(sum, Ok(1), "after the restart");
    });
}

#[test]
fn a_redis_that_was_restarted_while_nobody_asked_should_cost_no_operation() {
    let mut server = RedisServer::start();
    runtime().block_on(async {
        let store = impatient(&server);
        // That a connection ended is known a moment after it did.
        soon("the first sum after a restart", async || {
            soon_reads(&store, "k", None).await;
            server.kill();
            server.start_again();
            tokio::time::sleep(Duration::from_millis(50)).await;
            let sum = store.increment("n", 1, None).await;
            sum.map_err(|error| error.to_string())
        })
        .await;
    });
}

#[test]
fn a_redis_that_does_not_answer_should_cost_no_more_than_the_limit() {
    let server = RedisServer::start();
    runtime().block_on(async {
        let store = impatient(&server);
        store.set("k", b"v".to_vec(), None).await.expect("set");
        server.freeze();
        must_be_unavailable(&store, "frozen").await;
        // Two may wait at once, and a third may not.
        let answers = tokio::join!(store.get("k"), store.get("k"), store.get("k"));
        let busy = [&answers.0, &answers.1, &answers.2];
        let busy = busy.iter().filter(|it| matches!(it, Err(StoreError::Busy)));
        assert_eq!(busy.count(), 1, "{answers:?}");
        server.thaw();
        soon_reads(&store, "other", None).await;
        store.set("k", b"w".to_vec(), None).await.expect("set");
        soon_reads(&store, "k", Some("w")).await;
    });
}

#[test]
fn a_redis_that_refuses_should_not_blame_the_guest() {
    let server = RedisServer::start();
    runtime().block_on(async {
        let store = impatient(&server);
        let client = redis::Client::open(server.address()).expect("address");
        let mut connection = client.get_connection().expect("connection");
        let mut send = |name: &str, args: &[&str]| {
            let sent: redis::Value = redis::cmd(name)
                .arg(args)
                .query(&mut connection)
                .expect("sent");
            drop(sent);
        };
        send("LPUSH", &["apisix-filter:{remote}:list", "1"]);
        let sum = store.increment("list", 1, None).await;
        assert_eq!(sum, Err(StoreError::NotANumber));
        let sum = store.increment("list", 1, Some(SOON)).await;
        assert_eq!(sum, Err(StoreError::NotANumber));

        send("CONFIG", &["SET", "maxmemory", "1"]);
        let refused = store.set("k", b"v".to_vec(), None).await;
        let expected = StoreError::Unavailable("the store refused the operation");
        assert_eq!(refused, Err(expected.clone()));
        let refused = store.increment("n", 1, Some(SOON)).await;
        assert_eq!(refused, Err(expected));
        send("CONFIG", &["SET", "maxmemory", "0"]);
        assert_eq!(store.set("k", b"v".to_vec(), None).await, Ok(()));
    });
}

#[test]
fn what_no_waiting_would_help_should_be_no_store() {
    let rows = [
        ("redis://localhost:6379", "tenant", true),
        ("redis://user:secret@127.0.0.1:6379/3", "t", true),
        ("unix:///run/redis.sock", "0-9", true),
        ("redis://localhost", "", false),
        ("redis://localhost", "UPPER", false),
        ("redis://localhost", "a}:b", false),
        ("redis://localhost", "../a", false),
        ("redis://localhost", "a\n", false),
        ("redis://localhost", "\u{e9}", false),
        ("http://localhost", "tenant", false),
        ("rediss://user:secret@localhost", "tenant", false),
        ("nonsense:secret", "tenant", false),
        ("", "tenant", false),
    ];
    runtime().block_on(async {
        let longest = "t".repeat(63);
        let too_long = "t".repeat(64);
        let more = [
            ("redis://h", &*longest, true),
            ("redis://h", &*too_long, false),
        ];
        for (address, tenant, expected) in rows.into_iter().chain(more) {
            let settings = Settings {
                backend: Backend::Redis(RedisSettings::at(address)),
                limits: Limits::default(),
            };
            assert!(!format!("{settings:?}").contains("secret"), "{address}");
            let opened = Store::open(settings, tenant, &Handle::current());
            let error = opened.err().map(|error: OpenError| error.to_string());
            assert_eq!(
                error.is_none(),
                expected,
                "{address}, {tenant:?}: {error:?}"
            );
            let tells = error.is_some_and(|error| error.contains("secret"));
            assert!(!tells, "{address}: the password is in the error");
        }
    });
}
