//! What a file does for a store: it is there after a restart, for one process at
//! a time, and a damaged one is put aside.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use key_value::{Backend, EmbeddedSettings, Limits, OpenError, Settings, Store, StoreError};
use tokio::runtime::Handle;

use crate::{SOON, embedded, embedded_settings, open, runtime, soon_reads};

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("folder");
    let name = |file: std::io::Result<fs::DirEntry>| file.expect("file").file_name();
    let mut names: Vec<_> = files
        .map(|file| name(file).into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_restart_should_keep_what_is_not_over() {
    let folder = tempfile::tempdir().expect("folder");
    let short = Some(Duration::from_millis(300));
    runtime().block_on(async {
        let store = embedded(folder.path(), "t");
        store.set("k", vec![0, 159, 255], None).await.expect("set");
        store
            .set("hour", b"v".to_vec(), Some(SOON * 180))
            .await
            .expect("set");
        store.set("gone", b"v".to_vec(), None).await.expect("set");
        store.set("short", b"v".to_vec(), short).await.expect("set");
        store
            .set("shorter", b"v".to_vec(), Some(Duration::ZERO))
            .await
            .expect("set");
        store.increment("n", 42, None).await.expect("sum");
        store.increment("window", 5, short).await.expect("sum");
        store.close().await.expect("closed");

        let store = embedded(folder.path(), "t");
        assert_eq!(store.get("k").await, Ok(Some(vec![0, 159, 255])));
        soon_reads(&store, "hour", Some("v")).await;
        soon_reads(&store, "short", None).await;
        soon_reads(&store, "window", None).await;
        assert_eq!(store.get("shorter").await, Ok(None));
        assert_eq!(store.increment("n", 1, None).await, Ok(43));
        let before = store.usage().expect("usage");
        // Written while it was there, removed now.
        store.remove("gone").await.expect("removed");
        assert_eq!(store.usage().expect("usage").entries, before.entries - 1);
        store.close().await.expect("closed");

        let store = embedded(folder.path(), "t");
        assert_eq!(store.get("gone").await, Ok(None));
        soon_reads(&store, "n", Some("43")).await;
    });
    assert_eq!(names(folder.path()), ["t.kv", "t.lock"]);
}

#[test]
fn a_key_that_comes_and_goes_should_end_as_it_ended() {
    let folder = tempfile::tempdir().expect("folder");
    // Nothing is written before the store closes.
    let settings = EmbeddedSettings {
        flush_interval: SOON * 180,
        ..embedded_settings(folder.path())
    };
    let set = async |store: &Store, key: &str| {
        store.set(key, b"v".to_vec(), None).await.expect("set");
    };
    let remove = async |store: &Store, key: &str| store.remove(key).await.expect("removed");
    runtime().block_on(async {
        let store = open(Backend::Embedded(settings.clone()), "t");
        for key in ["goes", "comes", "stays"] {
            set(&store, key).await;
        }
        for key in ["never", "new"] {
            set(&store, key).await;
            remove(&store, key).await;
        }
        set(&store, "new").await;
        store.close().await.expect("closed");

        let store = open(Backend::Embedded(settings.clone()), "t");
        for key in ["goes", "comes"] {
            remove(&store, key).await;
            set(&store, key).await;
        }
        remove(&store, "goes").await;
        store.close().await.expect("closed");

        let store = open(Backend::Embedded(settings), "t");
        for (key, there) in [
            ("goes", false),
            ("comes", true),
            ("stays", true),
            ("never", false),
            ("new", true),
        ] {
            let value = store.get(key).await.expect("value");
            assert_eq!(value.is_some(), there, "{key}");
        }
    });
}

#[test]
fn what_was_written_long_ago_should_be_there_without_a_close() {
    let folder = tempfile::tempdir().expect("folder");
    runtime().block_on(async {
        for round in 1..=20 {
            let store = embedded(folder.path(), "t");
            // The store before this one was dropped a moment ago.
            let sum = store.increment("n", 1, None).await;
            assert_eq!(sum, Ok(round));
            let key = format!("k{round}");
            store.set(&key, b"v".to_vec(), None).await.expect("set");
            store
                .remove(&format!("k{}", round - 1))
                .await
                .expect("removed");
        }
        let store = embedded(folder.path(), "t");
        soon_reads(&store, "k20", Some("v")).await;
        assert_eq!(store.usage().expect("usage").entries, 2);
    });
}

#[test]
fn a_store_should_wait_until_the_one_before_lets_go() {
    let folder = tempfile::tempdir().expect("folder");
    runtime().block_on(async {
        let before = embedded(folder.path(), "t");
        before.set("k", b"v".to_vec(), None).await.expect("set");
        let impatient = EmbeddedSettings {
            open_wait: Duration::from_millis(100),
            ..embedded_settings(folder.path())
        };
        let after = open(Backend::Embedded(impatient), "t");
        let not_open = Err(StoreError::Unavailable("the store is not open yet"));
        assert_eq!(after.get("k").await, not_open);
        assert_eq!(after.usage(), None);
        before.set("k", b"later".to_vec(), None).await.expect("set");
        before.close().await.expect("closed");
        soon_reads(&after, "k", Some("later")).await;

        // One that waits can be closed too, and one more finds it gone.
        let waiting = embedded(folder.path(), "t");
        assert_eq!(waiting.close().await, Ok(()));
        let closed = Err(StoreError::Unavailable("the store is closed"));
        assert_eq!(waiting.get("k").await, closed);
        drop(after);
        soon_reads(&embedded(folder.path(), "t"), "k", Some("later")).await;
    });
}

#[test]
fn too_many_should_not_wait_for_a_store() {
    let folder = tempfile::tempdir().expect("folder");
    runtime().block_on(async {
        let before = embedded(folder.path(), "t");
        before.set("k", b"v".to_vec(), None).await.expect("set");
        let impatient = EmbeddedSettings {
            open_wait: Duration::from_secs(1),
            ..embedded_settings(folder.path())
        };
        let after = open(Backend::Embedded(impatient), "t");
        let asked: Vec<_> = (0..1025)
            .map(|_| {
                let after = after.clone();
                tokio::spawn(async move { after.get("k").await })
            })
            .collect();
        let mut busy = 0;
        for answer in asked {
            busy += usize::from(answer.await.expect("task") == Err(StoreError::Busy));
        }
        assert_eq!(busy, 1);
    });
}

#[test]
fn a_store_should_be_for_its_user_only() {
    let folder = tempfile::tempdir().expect("folder");
    let inner = folder.path().join("new/folder");
    runtime().block_on(async {
        let store = embedded(&inner, "t");
        store.set("k", b"v".to_vec(), None).await.expect("set");
    });
    let mode = |path: &Path| fs::metadata(path).expect("metadata").mode() & 0o7777;
    assert_eq!(mode(&inner), 0o700);
    for name in names(&inner) {
        assert_eq!(mode(&inner.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn a_folder_of_others_should_be_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let open_to_all = folder.path().join("open");
    fs::create_dir(&open_to_all).expect("folder");
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o777)).expect("mode");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("file");
    let inside = file.join("inside");
    runtime().block_on(async {
        for place in [open_to_all, file, inside] {
            let settings = Settings {
                backend: Backend::Embedded(EmbeddedSettings::in_folder(&place)),
                limits: Limits::default(),
            };
            let opened = Store::open(settings, "t", &Handle::current());
            let refused = matches!(
                opened.err(),
                Some(OpenError::Folder { .. } | OpenError::UnsafeFolder { .. })
            );
            assert!(refused, "{}", place.display());
        }
    });
}

#[test]
fn a_link_in_place_of_the_file_should_not_be_followed() {
    let folder = tempfile::tempdir().expect("folder");
    let victim = folder.path().join("victim");
    fs::write(&victim, "theirs").expect("file");
    std::os::unix::fs::symlink(&victim, folder.path().join("t.kv")).expect("link");
    runtime().block_on(async {
        let store = embedded(folder.path(), "t");
        let failing = Err(StoreError::Unavailable("the store cannot be opened"));
        assert_eq!(store.get("k").await, failing);
        // It is tried again.
        fs::remove_file(folder.path().join("t.kv")).expect("removed");
        soon_reads(&store, "k", None).await;
    });
    assert_eq!(fs::read(&victim).expect("file"), b"theirs");
}

#[test]
fn a_smaller_limit_should_drop_what_has_no_room() {
    let folder = tempfile::tempdir().expect("folder");
    runtime().block_on(async {
        let store = embedded(folder.path(), "t");
        // More than a store of the smaller limit remembers one by one: its file is
        // written anew.
        const KEYS: usize = 200;
        for n in 0..KEYS {
            let key = format!("k{n}");
            store.set(&key, vec![b'v'; 872], None).await.expect("set");
        }
        store.close().await.expect("closed");
        for max_bytes in [10_020, Limits::default().max_bytes] {
            let limits = Limits {
                max_bytes,
                ..Limits::default()
            };
            let backend = Backend::Embedded(embedded_settings(folder.path()));
            let settings = Settings { backend, limits };
            let store = Store::open(settings, "t", &Handle::current()).expect("store");
            store.get("k0").await.expect("open");
            // What was dropped is gone from the file as well.
            assert_eq!(store.usage().expect("usage").entries, 9, "{max_bytes}");
            let mut kept = 0;
            for n in 0..KEYS {
                let value = store.get(&format!("k{n}")).await.expect("open");
                kept += usize::from(value.is_some_and(|value| value == [b'v'; 872]));
            }
            assert_eq!(kept, 9, "{max_bytes}");
            store.close().await.expect("closed");
        }
    });
}

/// A file of a store that was closed.
fn good_file(folder: &Path) -> Vec<u8> {
    runtime().block_on(async {
        let store = embedded(folder, "t");
        for n in 0..200 {
            let key = format!("k{n}");
            store.set(&key, vec![b'v'; 100], None).await.expect("set");
        }
        store.close().await.expect("closed");
    });
    fs::read(folder.join("t.kv")).expect("file")
}

#[test]
fn a_damaged_file_should_be_put_aside() {
    let folder = tempfile::tempdir().expect("folder");
    let good = good_file(folder.path());
    let mut random = fastrand::Rng::with_seed(7);
    let mut damaged: Vec<Vec<u8>> = vec![
        b"x".to_vec(),
        b"not a store at all\n".repeat(1000),
        vec![0; 4096],
        vec![0xff; good.len()],
        good[..good.len() / 2].to_vec(),
        good[..100].to_vec(),
        good[..4096].to_vec(),
    ];
    // The head of the file, where it says how it is laid out, and anywhere.
    for place in (0..320).step_by(3) {
        let mut bytes = good.clone();
        bytes[place] ^= 0xff;
        damaged.push(bytes);
    }
    for _ in 0..60 {
        let mut bytes = good.clone();
        bytes[random.usize(..good.len())] ^= 1 << random.u8(..8);
        damaged.push(bytes);
    }
    let mut put_aside = 0;
    runtime().block_on(async {
        for (number, bytes) in damaged.into_iter().enumerate() {
            let inner = folder.path().join(format!("{number}"));
            fs::create_dir(&inner).expect("folder");
            fs::write(inner.join("t.kv"), &bytes).expect("file");
            let store = embedded(&inner, "t");
            let kept = store.get("k0").await;
            assert!(kept.is_ok(), "{number}: {kept:?}");
            let entries = store.usage().expect("usage").entries;
            let mut intact = 0;
            for n in 0..200 {
                let value = store.get(&format!("k{n}")).await.expect("value");
                intact += usize::from(value == Some(vec![b'v'; 100]));
            }
            assert_eq!(intact, entries, "{number}: a damaged value");
            store.set("k0", b"new".to_vec(), None).await.expect("set");
            store.close().await.expect("closed");
            let aside = inner.join("t.kv.damaged-1");
            if aside.exists() {
                assert_eq!(entries, 0, "{number}");
                // Opening may have tried to repair it, but it is all there.
                assert!(fs::metadata(aside).expect("metadata").len() >= 1);
                put_aside += 1;
            } else {
                // A byte that means nothing, or what the copy of it tells.
                assert_eq!(entries, 200, "{number}");
            }
            soon_reads(&embedded(&inner, "t"), "k0", Some("new")).await;
        }
    });
    assert!(put_aside > 20, "only {put_aside} were put aside");
}

#[test]
fn damaged_files_should_not_pile_up() {
    let folder = tempfile::tempdir().expect("folder");
    runtime().block_on(async {
        for round in 0..12 {
            fs::write(folder.path().join("t.kv"), format!("damage {round}")).expect("file");
            let store = embedded(folder.path(), "t");
            assert_eq!(store.get("k").await, Ok(None));
            store.close().await.expect("closed");
        }
    });
    let aside = names(folder.path());
    let aside = aside.iter().filter(|name| name.contains("damaged"));
    assert_eq!(aside.count(), 9);
    let last = fs::read(folder.path().join("t.kv.damaged-9")).expect("file");
    assert_eq!(last, b"damage 11");
}
