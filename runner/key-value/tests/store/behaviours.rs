//! What every store does, wherever its values are.

use std::time::Duration;

use key_value::{Limits, Store, StoreError};

use crate::{Stores, runtime, soon};

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));
const SHORT: Option<Duration> = Some(Duration::from_millis(200));

/// What is asked, and what the answer must be.
enum Step {
    Set(&'static str, &'static str, Option<Duration>),
    Get(&'static str, Option<&'static str>),
    Remove(&'static str),
    Add(&'static str, i64, Option<Duration>, Result<i64, StoreError>),
    /// Asked until the answer is this one.
    Soon(&'static Step),
}

use Step::{Add, Get, Remove, Set, Soon};

/// None where the answer is the right one.
async fn fault(store: &Store, step: &Step) -> Option<String> {
    let (answer, expected) = match step {
        Set(key, value, lifetime) => {
            let answer = store.set(key, value.as_bytes().to_vec(), *lifetime).await;
            (format!("{answer:?}"), "Ok(())".to_owned())
        }
        Get(key, expected) => {
            let answer = store.get(key).await;
            let expected = Ok::<_, StoreError>(expected.map(|text| text.as_bytes().to_vec()));
            (format!("{answer:?}"), format!("{expected:?}"))
        }
        Remove(key) => (
            format!("{:?}", store.remove(key).await),
            "Ok(())".to_owned(),
        ),
        Add(key, by, lifetime, expected) => {
            let answer = store.increment(key, *by, *lifetime).await;
            (format!("{answer:?}"), format!("{expected:?}"))
        }
        Soon(_) => unreachable!("asked for below"),
    };
    (answer != expected).then(|| format!("{answer} and not {expected}"))
}

const ROWS: &[(&str, &[Step])] = &[
    (
        "a key that is not there",
        &[Get("k", None), Remove("k"), Get("k", None)],
    ),
    (
        "a value",
        &[
            Set("k", "one", None),
            Get("k", Some("one")),
            Set("k", "two", None),
            Get("k", Some("two")),
            Get("K", None),
            Remove("k"),
            Get("k", None),
        ],
    ),
    ("an empty value", &[Set("k", "", None), Get("k", Some(""))]),
    (
        "a strange key",
        &[
            Set(" \0\r\n{}*:\u{e9}", "v", None),
            Get(" \0\r\n{}*:\u{e9}", Some("v")),
        ],
    ),
    (
        "a counter",
        &[
            Add("n", 1, None, Ok(1)),
            Add("n", 41, None, Ok(42)),
            Get("n", Some("42")),
            Add("n", -50, None, Ok(-8)),
            Get("n", Some("-8")),
            Add("n", 0, None, Ok(-8)),
            Remove("n"),
            Add("n", 0, None, Ok(0)),
            Get("n", Some("0")),
        ],
    ),
    (
        "a number that was set",
        &[
            Set("n", "-7", None),
            Add("n", 8, HOUR, Ok(1)),
            Get("n", Some("1")),
        ],
    ),
    (
        "large numbers",
        &[
            Add("n", i64::MAX, HOUR, Ok(i64::MAX)),
            Add("n", 1, HOUR, Err(StoreError::Overflow)),
            Add("n", 1, None, Err(StoreError::Overflow)),
            Get("n", Some("9223372036854775807")),
            Add("n", i64::MIN, HOUR, Ok(-1)),
            Add("m", i64::MIN, None, Ok(i64::MIN)),
            Add("m", -1, HOUR, Err(StoreError::Overflow)),
            // Beyond what a floating-point number tells apart.
            Add("l", 9_007_199_254_740_993, HOUR, Ok(9_007_199_254_740_993)),
            Add("l", 1, HOUR, Ok(9_007_199_254_740_994)),
        ],
    ),
    (
        "what is no number",
        &[
            Set("a", "one", None),
            Add("a", 1, None, Err(StoreError::NotANumber)),
            Add("a", 1, HOUR, Err(StoreError::NotANumber)),
            Get("a", Some("one")),
            Set("b", "", None),
            Add("b", 1, HOUR, Err(StoreError::NotANumber)),
            Set("c", "007", None),
            Add("c", 1, None, Err(StoreError::NotANumber)),
            Get("c", Some("007")),
            Set("d", "+1", None),
            Add("d", 1, None, Err(StoreError::NotANumber)),
            Set("e", "9223372036854775808", None),
            Add("e", 1, None, Err(StoreError::NotANumber)),
        ],
    ),
    (
        "a lifetime",
        &[
            Set("k", "v", SHORT),
            Set("l", "v", HOUR),
            Soon(&Get("k", None)),
            Get("l", Some("v")),
            Set("k", "again", None),
            Get("k", Some("again")),
        ],
    ),
    (
        "a lifetime of nothing",
        &[Set("k", "v", Some(Duration::ZERO)), Soon(&Get("k", None))],
    ),
    (
        "a lifetime of ages",
        &[Set("k", "v", Some(Duration::MAX)), Get("k", Some("v"))],
    ),
    (
        "a value without a lifetime after one with",
        &[
            Set("k", "v", SHORT),
            Set("k", "kept", None),
            Set("marker", "v", SHORT),
            Soon(&Get("marker", None)),
            Get("k", Some("kept")),
        ],
    ),
    (
        "a window that ends although it is counted in",
        &[
            Add("n", 1, SHORT, Ok(1)),
            Soon(&Get("n", None)),
            Add("n", 5, SHORT, Ok(5)),
            // The hour is for a new one only. It is the first answer again as
            // soon as the window is over, and 5 + 1, 5 + 2 until then.
            Soon(&Add("n", 1, HOUR, Ok(1))),
            Add("n", 1, SHORT, Ok(2)),
            Set("marker", "v", SHORT),
            Soon(&Get("marker", None)),
            Add("n", 1, SHORT, Ok(3)),
        ],
    ),
    (
        "a counter without a lifetime that is counted with one",
        &[
            Add("n", 1, None, Ok(1)),
            Add("n", 1, SHORT, Ok(2)),
            Set("marker", "v", SHORT),
            Soon(&Get("marker", None)),
            Get("n", Some("2")),
        ],
    ),
];

#[test]
fn every_store_should_do_the_same() {
    let (runtime, stores) = (runtime(), Stores::new());
    runtime.block_on(async {
        for (row, (what, steps)) in ROWS.iter().enumerate() {
            for (kind, store) in stores.of(&format!("row-{row}"), Limits::default()) {
                for (number, step) in steps.iter().enumerate() {
                    let place = format!("{what}, {kind}, step {}", number + 1);
                    if let Soon(step) = step {
                        let ask = async || fault(&store, step).await.map_or(Ok(()), Err);
                        soon(&place, ask).await;
                    } else if let Some(fault) = fault(&store, step).await {
                        panic!("{place}: {fault}");
                    }
                }
            }
        }
    });
}

#[test]
fn no_addition_should_be_lost() {
    let (runtime, stores) = (runtime(), Stores::new());
    runtime.block_on(async {
        for (kind, store) in stores.of("many", Limits::default()) {
            let tasks: Vec<_> = (0..50)
                .map(|task| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        for n in 0..20 {
                            let lifetime = if (task + n) % 2 == 0 { HOUR } else { None };
                            store.increment("n", 1, lifetime).await.expect("sum");
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("task");
            }
            let sum = store.get("n").await.expect("value");
            assert_eq!(sum.as_deref(), Some(&b"1000"[..]), "{kind}");
        }
    });
}

#[test]
fn what_is_given_up_should_leave_a_store_that_works() {
    let (runtime, stores) = (runtime(), Stores::new());
    runtime.block_on(async {
        for (kind, store) in stores.of("given-up", Limits::default()) {
            for _ in 0..200 {
                // Polled once, if that.
                tokio::select! {
                    biased;
                    _ = store.increment("n", 1, HOUR) => {}
                    () = std::future::ready(()) => {}
                }
            }
            let sum = store.increment("other", 1, HOUR).await;
            assert_eq!(sum, Ok(1), "{kind}");
            let sum = store.increment("n", 1, HOUR).await.expect("sum");
            assert!((1..=201).contains(&sum), "{kind}: {sum}");
        }
    });
}

#[test]
fn keys_and_values_should_have_their_limits() {
    let limits = Limits {
        max_value_bytes: 100,
        ..Limits::default()
    };
    let key_of = |bytes| StoreError::InvalidKey { bytes, limit: 512 };
    let (longest, too_long) = ("k".repeat(512), "k".repeat(513));
    let keys = [
        ("", Err(key_of(0))),
        ("k", Ok(())),
        (&longest, Ok(())),
        (&too_long, Err(key_of(513))),
    ];
    let too_large = StoreError::TooLarge {
        bytes: 101,
        limit: 100,
    };
    let (runtime, stores) = (runtime(), Stores::new());
    runtime.block_on(async {
        for (kind, store) in stores.of("limits", limits) {
            for (key, expected) in &keys {
                let place = format!("{kind}, {} bytes", key.len());
                assert_eq!(store.set(key, vec![b'1'], None).await, *expected, "{place}");
                assert_eq!(store.get(key).await.map(drop), *expected, "{place}");
                assert_eq!(
                    store.increment(key, 1, None).await.map(drop),
                    *expected,
                    "{place}"
                );
                assert_eq!(store.remove(key).await, *expected, "{place}");
            }
            assert_eq!(store.set("k", vec![0; 100], None).await, Ok(()), "{kind}");
            let refused = store.set("k", vec![0; 101], None).await;
            assert_eq!(refused, Err(too_large.clone()), "{kind}");
            let kept = store.get("k").await.expect("value");
            assert_eq!(kept, Some(vec![0; 100]), "{kind}");
        }
    });
}

#[test]
fn a_full_store_should_say_so_and_have_room_again() {
    let limits = Limits {
        max_bytes: 10_000,
        ..Limits::default()
    };
    let full = Err(StoreError::Full { limit: 10_000 });
    let (runtime, stores) = (runtime(), Stores::new());
    runtime.block_on(async {
        for (kind, store) in stores.of("full", limits) {
            if kind == "redis" {
                continue;
            }
            store.increment("n", 1, None).await.expect("sum");
            store
                .set("keep", vec![b'v'; 5_000], None)
                .await
                .expect("room");
            store
                .set("gone", vec![b'v'; 4_000], SHORT)
                .await
                .expect("room");
            assert_eq!(
                store.set("more", vec![b'v'; 4_000], None).await,
                full,
                "{kind}"
            );
            assert_eq!(
                store.set("keep", vec![b'v'; 6_000], None).await,
                full,
                "{kind}"
            );
            // Counting needs no room, even where the text gets longer.
            let sum = store.increment("n", i64::MAX - 1, None).await;
            assert_eq!(sum, Ok(i64::MAX), "{kind}");
            let kept = store.get("keep").await.expect("value").expect("kept");
            assert_eq!(kept.len(), 5_000, "{kind}");
            soon("room of what is over", async || {
                let set = store.set("more", vec![b'v'; 4_000], None).await;
                set.map_err(|error| error.to_string())
            })
            .await;
            let usage = store.usage().expect("usage");
            assert_eq!(usage.entries, 3, "{kind}");
            // Keys and values, and 128 for each.
            assert_eq!(usage.bytes, 1 + 20 + 8 + 9_000 + 3 * 128, "{kind}");
            for key in ["n", "keep", "more"] {
                store.remove(key).await.expect("removed");
            }
            let usage = store.usage().expect("usage");
            assert_eq!((usage.entries, usage.bytes), (0, 0), "{kind}");
        }
    });
}

#[test]
fn no_tenant_should_see_what_is_anothers() {
    let keys = [
        "k",
        "apisix-filter:{b}:k",
        "}:k",
        "b}:k",
        "{b}:k",
        "../b.kv",
        "k\r\nSET apisix-filter:{b}:k v\r\n",
        "*",
        "\0",
        "\u{202e}",
    ];
    let (runtime, stores) = (runtime(), Stores::new());
    runtime.block_on(async {
        let limits = Limits::default();
        let (ours, theirs) = (stores.of("a", limits), stores.of("b", limits));
        for ((kind, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            for key in keys {
                ours.set(key, b"ours".to_vec(), None).await.expect("set");
            }
            for key in keys {
                let place = format!("{kind}, {key:?}");
                assert_eq!(theirs.get(key).await, Ok(None), "{place}");
                assert_eq!(theirs.increment(key, 1, None).await, Ok(1), "{place}");
                theirs.remove(key).await.expect("removed");
                let kept = ours.get(key).await.expect("value");
                assert_eq!(kept.as_deref(), Some(&b"ours"[..]), "{place}");
            }
        }
    });
    let written = keys_in(&stores.server);
    assert_eq!(written.len(), keys.len());
    for key in written {
        let rest = key.strip_prefix("apisix-filter:{a}:");
        assert!(rest.is_some_and(|rest| keys.contains(&rest)), "{key:?}");
    }
}

#[test]
fn a_closed_store_should_say_so() {
    let closed = StoreError::Unavailable("the store is closed");
    let (runtime, stores) = (runtime(), Stores::new());
    runtime.block_on(async {
        for (kind, store) in stores.of("closed", Limits::default()) {
            store.set("k", b"v".to_vec(), None).await.expect("set");
            assert_eq!(store.close().await, Ok(()), "{kind}");
            assert_eq!(store.get("k").await, Err(closed.clone()), "{kind}");
            assert_eq!(store.remove("k").await, Err(closed.clone()), "{kind}");
            let set = store.set("k", b"v".to_vec(), None).await;
            assert_eq!(set, Err(closed.clone()), "{kind}");
            let sum = store.increment("n", 1, None).await;
            assert_eq!(sum, Err(closed.clone()), "{kind}");
            assert_eq!(store.close().await, Ok(()), "{kind}");
        }
    });
}

/// All keys of all tenants.
fn keys_in(server: &crate::RedisServer) -> Vec<String> {
    let client = redis::Client::open(server.address()).expect("address");
    let mut connection = client.get_connection().expect("connection");
    redis::cmd("KEYS")
        .arg("*")
        .query(&mut connection)
        .expect("keys")
}
