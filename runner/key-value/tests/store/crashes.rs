//! A process that is killed while it writes, and one whose disk is full. The
//! test starts itself as that process.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use key_value::{Backend, EmbeddedSettings, StoreError};
use rustix::process::{Resource, Rlimit};

use crate::{embedded, embedded_settings, open, runtime, soon};

/// Names the folder for a process that this test started.
const FOLDER: &str = "KEY_VALUE_TEST_FOLDER";

fn told_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// This test in a process of its own; `limits` is a line of shell before it.
fn start(test: &str, folder: &Path, limits: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new("sh")
        .arg("-c")
        .arg(format!("{limits}\nexec \"$0\" \"$@\""))
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("process")
}

/// Counts until it is killed, writes much beside it, and says how far it is.
#[expect(clippy::print_stdout, reason = "the test that started it reads this")]
fn write_for_ever(folder: &Path) -> ! {
    runtime().block_on(async {
        let store = embedded(folder, "t");
        let mut random = fastrand::Rng::new();
        loop {
            let sum = store.increment("n", 1, None).await.expect("sum");
            let key = format!("k{}", random.u8(..));
            if random.bool() {
                let value = vec![b'v'; random.usize(..2000)];
                store.set(&key, value, None).await.expect("set");
            } else {
                store.remove(&key).await.expect("removed");
            }
            if sum % 100 == 0 {
                println!("COUNT {sum}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    })
}

/// When it said how far it was, until it ends.
fn listen(child: &mut Child) -> JoinHandle<Vec<(Instant, i64)>> {
    let output = BufReader::new(child.stdout.take().expect("output"));
    std::thread::spawn(move || {
        let mut seen = Vec::new();
        for line in output.lines() {
            let line = line.expect("UTF-8");
            if let Some((_, count)) = line.split_once("COUNT ") {
                seen.push((Instant::now(), count.parse().expect("number")));
            }
        }
        seen
    })
}

#[test]
fn a_killed_process_should_lose_the_last_interval_at_most() {
    if let Some(folder) = told_folder() {
        write_for_ever(&folder);
    }
    let test = "crashes::a_killed_process_should_lose_the_last_interval_at_most";
    let folder = tempfile::tempdir().expect("folder");
    let mut random = fastrand::Rng::with_seed(11);
    let mut known = 0;
    for round in 0..6 {
        let mut child = start(test, folder.path(), "");
        // An interval is 50 ms; the rest is for a disk that others use too.
        let slack = Duration::from_secs(2);
        let after = match round {
            5 => slack + Duration::from_secs(1),
            _ => Duration::from_millis(random.u64(200..600)),
        };
        let seen = listen(&mut child);
        std::thread::sleep(after);
        let mut killed = Instant::now();
        let found = runtime().block_on(async {
            let impatient = EmbeddedSettings {
                open_wait: Duration::from_millis(100),
                ..embedded_settings(folder.path())
            };
            let store = open(Backend::Embedded(impatient), "t");
            let not_open = Err(StoreError::Unavailable("the store is not open yet"));
            assert_eq!(store.get("n").await, not_open, "another process has it");
            killed = Instant::now();
            child.kill().expect("killed");
            let end = child.wait().expect("end");
            assert_eq!(end.signal(), Some(9), "it was to write until it is killed");
            let count = soon("the file", async || {
                store
                    .increment("n", 0, None)
                    .await
                    .map_err(|error| error.to_string())
            });
            count.await
        });
        let seen = seen.join().expect("counts");
        let mut long_ago = seen.iter().rev().filter(|(when, _)| *when + slack < killed);
        let counted = long_ago.next().map_or(0, |(_, count)| *count).max(known);
        assert!(
            found >= counted,
            "round {round}: {found} of {counted}, which were there long before"
        );
        known = found;
    }
    assert!(known > 0, "nothing was counted");
    let names = std::fs::read_dir(folder.path()).expect("folder");
    for name in names {
        let name = name.expect("file").file_name();
        assert!(!name.to_string_lossy().contains("damaged"), "{name:?}");
    }
}

/// Where no file may be larger than 2 MiB, until that ends.
fn write_on_a_full_disk(folder: &Path) {
    runtime().block_on(async {
        let store = embedded(folder, "t");
        store.set("early", b"v".to_vec(), None).await.expect("set");
        for n in 0..80 {
            let value = vec![b'v'; 64 << 10];
            store.set(&format!("k{n}"), value, None).await.expect("set");
        }
        let lost = embedded(&folder.join("other"), "t");
        lost.set("early", b"v".to_vec(), None).await.expect("set");
        for n in 0..80 {
            let value = vec![b'v'; 64 << 10];
            lost.set(&format!("k{n}"), value, None).await.expect("set");
        }
        let closed = lost.close().await;
        let expected = StoreError::Unavailable("the store could not be written");
        assert_eq!(closed, Err(expected), "the disk was to be full");
        // The other one has failed by now, too, and serves all the same.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(store.increment("n", 1, None).await, Ok(1));
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        rustix::process::setrlimit(Resource::Fsize, unlimited).expect("limit");
        store.close().await.expect("closed");

        let store = embedded(folder, "t");
        assert_eq!(store.increment("n", 1, None).await, Ok(2));
        assert_eq!(store.usage().expect("usage").entries, 82);
    });
}

#[test]
fn a_full_disk_should_stop_no_operation_and_be_caught_up_with() {
    if let Some(folder) = told_folder() {
        return write_on_a_full_disk(&folder);
    }
    let test = "crashes::a_full_disk_should_stop_no_operation_and_be_caught_up_with";
    let folder = tempfile::tempdir().expect("folder");
    // In blocks of 512 bytes; ignored, the signal becomes an error of the write.
    let child = start(test, folder.path(), "trap '' XFSZ; ulimit -S -f 4096");
    let output = child.wait_with_output().expect("end");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    let names = std::fs::read_dir(folder.path()).expect("folder");
    assert_eq!(names.count(), 3, "t.kv, t.lock and the other folder");
}
