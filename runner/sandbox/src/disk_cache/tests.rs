//! What happens to a folder of compiled components, and what must then not
//! happen to us. Every check is of the same shape: something is done to a good
//! folder, and a component that is asked for must come out right, compiled or
//! not as expected, and leave a good file behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::geteuid;
use tempfile::TempDir;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::key::Key;
use super::*;

const PLENTY: u64 = 64 << 20;

/// A component that can be told from others by the name of its export.
fn wasm(name: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m (func (export "f") (result i32) i32.const 1))
            (export "{name}" (core module $m)))"#
    );
    wat::parse_str(text).expect("a component")
}

fn is(component: &Component, name: &str) -> bool {
    component.get_export_index(None, name).is_some()
}

/// What the cache has, or what is compiled on the spot.
fn load(
    cache: &DiskCache,
    engine: &Engine,
    wasm: &[u8],
) -> Result<(Component, CodeOrigin), CompileError> {
    cache.component(engine, wasm, Keep::Now, |wasm| {
        let compiled = Component::new(engine, wasm);
        compiled.map_err(|error| CompileError::Refused(format!("{error:#}")))
    })
}

/// A folder with the component `mine` and another one in it.
struct Installation {
    parent: TempDir,
    engine: Engine,
}

impl Installation {
    fn new() -> Self {
        let installation = Installation {
            parent: tempfile::tempdir().expect("temporary folder"),
            engine: Engine::default(),
        };
        for name in ["mine", "other"] {
            assert_eq!(installation.load(name), CodeOrigin::Compiled);
        }
        installation
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("cache")
    }

    fn open(&self) -> DiskCache {
        DiskCache::open(&self.folder(), PLENTY).expect("a cache")
    }

    /// As a process that was just started does it. Whatever is in the folder,
    /// the component must be the one that was asked for.
    fn load(&self, name: &str) -> CodeOrigin {
        let (component, origin) =
            load(&self.open(), &self.engine, &wasm(name)).expect("a component");
        assert!(is(&component, name), "{name} is another component");
        origin
    }

    fn file(&self, name: &str) -> PathBuf {
        let key = Key::new(&self.engine, &wasm(name));
        self.folder().join(key.file_name())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).expect("the file")
    }

    /// The file `mine` is not loaded as it is now, and a good one takes its
    /// place.
    fn must_rebuild(&self, what: &str) {
        assert_eq!(self.load("mine"), CodeOrigin::Compiled, "{what}");
        let written = fs::symlink_metadata(self.file("mine")).expect("the file");
        assert!(written.is_file(), "{what}");
        assert_eq!(written.mode() & 0o7777, 0o600, "{what}");
        assert_eq!(self.load("mine"), CodeOrigin::DiskCache, "{what}");
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn what_was_compiled_once_should_be_found_by_the_next_start() {
    let here = Installation::new();
    assert_eq!(here.load("mine"), CodeOrigin::DiskCache);
    assert_eq!(here.load("other"), CodeOrigin::DiskCache);
    assert_eq!(here.load("new"), CodeOrigin::Compiled);
    for (path, mode) in [
        (here.folder(), 0o700),
        (here.folder().join("secret"), 0o600),
        (here.file("mine"), 0o600),
    ] {
        let found = fs::metadata(&path).expect("metadata").mode() & 0o7777;
        assert_eq!(found, mode, "{}", path.display());
    }
}

#[test]
fn a_file_that_was_cut_should_be_rebuilt() {
    let here = Installation::new();
    let length = here.bytes("mine").len();
    for kept in [0, 1, 15, 16, 17, 47, 48, 49, length / 2, length - 1] {
        let bytes = here.bytes("mine");
        fs::write(here.file("mine"), &bytes[..kept]).expect("write");
        here.must_rebuild(&format!("{kept} of {length} bytes"));
    }
    let mut longer = here.bytes("mine");
    longer.push(0);
    fs::write(here.file("mine"), longer).expect("write");
    here.must_rebuild("one byte more");
}

#[test]
fn a_file_with_a_wrong_byte_should_be_rebuilt() {
    let here = Installation::new();
    let length = here.bytes("mine").len();
    // All of the mark and the seal, and the code in steps.
    for at in (0..48).chain((48..length).step_by(length / 100)) {
        let mut bytes = here.bytes("mine");
        bytes[at] ^= 1 << (at % 8);
        fs::write(here.file("mine"), bytes).expect("write");
        here.must_rebuild(&format!("byte {at}"));
    }
}

#[test]
fn a_file_that_was_not_written_here_for_this_should_be_rebuilt() {
    let here = Installation::new();
    let elsewhere = Installation::new();
    let native = Component::new(&here.engine, wasm("other"))
        .and_then(|component| component.serialize())
        .expect("native code");
    let mut with_header = here.bytes("mine")[..48].to_vec();
    with_header.extend_from_slice(&native);
    let rows: [(&str, Vec<u8>); 6] = [
        ("another component", here.bytes("other")),
        ("another installation's", elsewhere.bytes("mine")),
        ("native code without a seal", native),
        ("native code with the seal of other code", with_header),
        ("nonsense", b"nonsense".repeat(1000)),
        ("zeros", vec![0; 20_000]),
    ];
    for (what, bytes) in rows {
        fs::write(here.file("mine"), bytes).expect("write");
        here.must_rebuild(what);
    }
}

#[test]
fn code_of_another_compiler_should_not_be_found_and_not_pass_under_our_name() {
    let here = Installation::new();
    let (wasm, engine) = (wasm("mine"), &here.engine);
    let ours = Key::new(engine, &wasm);
    let compatibility = engine.precompile_compatibility_hash();
    let others = [
        Key::for_compiler("48.0.7", &compatibility, &wasm),
        Key::for_compiler(crate::WASMTIME_VERSION, &"another processor", &wasm),
    ];
    let component = Component::new(engine, &wasm).expect("a component");
    let cache = here.open();
    for other in others {
        assert_ne!(ours, other);
        fs::remove_file(here.file("mine")).expect("removed");
        cache.write(&other, &component).expect("written");
        here.must_rebuild("beside ours");
        let foreign = here.folder().join(other.file_name());
        fs::rename(foreign, here.file("mine")).expect("renamed");
        here.must_rebuild("under our name");
    }
}

/// The seal is right, so wasmtime itself has to see that it is not its own.
#[test]
fn code_that_wasmtime_refuses_should_be_rebuilt() {
    let here = Installation::new();
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let other = Engine::new(&config).expect("an engine");
    let component = Component::new(&other, wasm("mine")).expect("a component");
    let key = Key::new(&here.engine, &wasm("mine"));
    here.open().write(&key, &component).expect("written");
    here.must_rebuild("code of other settings");
}

#[test]
fn what_is_no_file_of_ours_should_not_be_read() {
    let here = Installation::new();
    let (mine, aside) = (here.file("mine"), here.parent.path().join("aside"));
    let good = here.bytes("mine");
    fs::write(&aside, &good).expect("write");
    let rows: [(&str, &dyn Fn()); 5] = [
        ("a link to a good file", &|| {
            symlink(&aside, &mine).expect("link");
        }),
        ("a link to nothing", &|| {
            symlink("/nonexistent", &mine).expect("link");
        }),
        ("a pipe that nobody writes to", &|| {
            nix::unistd::mkfifo(&mine, nix::sys::stat::Mode::S_IRWXU).expect("pipe");
        }),
        ("a file that others may write", &|| {
            fs::write(&mine, &good).expect("write");
            set_mode(&mine, 0o620);
        }),
        ("a file of another user", &|| {
            fs::write(&mine, &good).expect("write");
            if geteuid().is_root() {
                chown(&mine, Some(65534), None).expect("chown");
            } else {
                set_mode(&mine, 0o602);
            }
        }),
    ];
    for (what, put) in rows {
        fs::remove_file(&mine).expect("removed");
        put();
        here.must_rebuild(what);
        assert_eq!(fs::read(&aside).expect("aside"), good, "{what}");
    }
}

#[test]
fn a_secret_that_is_no_secret_should_be_replaced_and_what_it_sealed_rebuilt() {
    let here = Installation::new();
    let secret = here.folder().join("secret");
    let rows: [(&str, &dyn Fn()); 6] = [
        ("gone", &|| fs::remove_file(&secret).expect("removed")),
        ("empty", &|| fs::write(&secret, b"").expect("write")),
        ("short", &|| fs::write(&secret, [7; 31]).expect("write")),
        ("long", &|| fs::write(&secret, [7; 33]).expect("write")),
        ("readable by others", &|| set_mode(&secret, 0o640)),
        ("a link", &|| {
            let aside = here.parent.path().join("known");
            fs::write(&aside, [7; 32]).expect("write");
            set_mode(&aside, 0o600);
            fs::remove_file(&secret).expect("removed");
            symlink(&aside, &secret).expect("link");
        }),
    ];
    for (what, harm) in rows {
        let before = fs::read(&secret).expect("the secret");
        harm();
        here.must_rebuild(what);
        let after = fs::read(&secret).expect("the secret");
        let found = fs::symlink_metadata(&secret).expect("the secret");
        assert!(found.is_file(), "{what}");
        assert_eq!((after.len(), found.mode() & 0o7777), (32, 0o600), "{what}");
        assert_ne!(after, before, "{what}");
    }
}

#[test]
fn a_folder_that_others_could_fill_should_be_refused() {
    let parent = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| parent.path().join(name);
    for name in ["group", "world", "readable"] {
        fs::create_dir(path(name)).expect("folder");
    }
    set_mode(&path("group"), 0o770);
    set_mode(&path("world"), 0o1777);
    set_mode(&path("readable"), 0o755);
    fs::write(path("file"), b"").expect("file");
    symlink(path("readable"), path("link")).expect("link");
    let rows = [
        ("group", "others may write to"),
        ("world", "(mode 1777); `chmod go-w` it"),
        ("file", "is not a folder"),
        ("link", "is not a folder"),
        ("no/such/folder", "No such file"),
    ];
    for (name, expected) in rows {
        let error = DiskCache::open(&path(name), PLENTY).expect_err(name);
        let said = error.to_string();
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains(name), "{said}");
    }
    for name in ["readable", "new", "parent/new"] {
        assert!(DiskCache::open(&path(name), PLENTY).is_ok(), "{name}");
    }
    // What the operator made stays as it was made.
    let mode = fs::metadata(path("readable")).expect("folder").mode();
    assert_eq!(mode & 0o7777, 0o755);
    if geteuid().is_root() {
        chown(path("new"), Some(65534), None).expect("chown");
        let error = DiskCache::open(&path("new"), PLENTY).expect_err("foreign");
        let said = error.to_string();
        assert!(said.contains("belongs to user 65534"), "{said}");
    }
}

#[test]
fn a_place_that_cannot_be_written_should_not_keep_a_component_from_loading() {
    let rows: [(&str, &dyn Fn(&Installation)); 3] = [
        ("a folder in the file's place", &|here| {
            fs::remove_file(here.file("mine")).expect("removed");
            fs::create_dir(here.file("mine")).expect("folder");
        }),
        ("a folder that is gone", &|here| {
            fs::remove_dir_all(here.folder()).expect("removed");
        }),
        ("a file where the folder was", &|here| {
            fs::remove_dir_all(here.folder()).expect("removed");
            fs::write(here.folder(), b"").expect("write");
        }),
    ];
    for (what, harm) in rows {
        let here = Installation::new();
        let cache = here.open();
        harm(&here);
        for _ in 0..2 {
            let loaded = load(&cache, &here.engine, &wasm("mine"));
            let (component, origin) = loaded.expect(what);
            assert_eq!(origin, CodeOrigin::Compiled, "{what}");
            assert!(is(&component, "mine"), "{what}");
        }
    }
}

#[test]
fn a_read_only_folder_should_serve_what_it_has() {
    let here = Installation::new();
    set_mode(&here.folder(), 0o500);
    assert_eq!(here.load("mine"), CodeOrigin::DiskCache);
    assert_eq!(here.load("new"), CodeOrigin::Compiled);
    set_mode(&here.folder(), 0o700);
}

#[test]
fn a_component_that_cannot_be_compiled_should_be_wasmtimes_error() {
    let here = Installation::new();
    let broken = b"\0asm\x0d\0\x01\0\x07\xff";
    let result = load(&here.open(), &here.engine, broken);
    let error = result.expect_err("not a component");
    let plain = Component::new(&here.engine, broken).expect_err("not a component");
    assert_eq!(format!("{error:#}"), format!("{plain:#}"));
}

#[test]
fn what_was_used_longest_ago_should_go_first() {
    let here = Installation::new();
    let size = here.bytes("mine").len() as u64;
    let set_used = |name: &str, time: SystemTime| {
        let file = fs::File::options().append(true).open(here.file(name));
        file.and_then(|file| file.set_modified(time)).expect(name);
    };
    let days_ago = |name: &str, days: u64| {
        set_used(name, SystemTime::now() - Duration::from_secs(days * 86_400));
    };
    let there = |name: &str| here.file(name).exists();
    here.load("third");
    days_ago("mine", 3);
    days_ago("other", 2);
    days_ago("third", 1);
    // It is used, so it is not the oldest any more.
    assert_eq!(here.load("mine"), CodeOrigin::DiskCache);
    let foreign = here.folder().join("notes.cwasm");
    fs::write(&foreign, vec![0; 100_000]).expect("write");
    let (old, new) = (
        here.folder().join("draft-old"),
        here.folder().join("draft-new"),
    );
    for draft in [&old, &new] {
        fs::write(draft, b"half").expect("write");
    }
    let before = SystemTime::now() - Duration::from_secs(2 * 3600);
    let opened = fs::File::options().append(true).open(&old);
    opened
        .and_then(|file| file.set_modified(before))
        .expect("mtime");

    // The sizes differ by the length of a name at most.
    let three = DiskCache::open(&here.folder(), 3 * size + size / 2).expect("a cache");
    load(&three, &here.engine, &wasm("fourth")).expect("loads");
    let kept = ["mine", "other", "third", "fourth"].map(there);
    assert_eq!(kept, [true, false, true, true]);
    assert!(
        foreign.exists() && new.exists() && !old.exists(),
        "drafts and foreign files"
    );

    // A clock that was set back does not make the newest one the oldest.
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    set_used("fourth", tomorrow);
    let one = DiskCache::open(&here.folder(), size + size / 2).expect("a cache");
    load(&one, &here.engine, &wasm("fifth")).expect("loads");
    let kept = ["mine", "third", "fourth", "fifth"].map(there);
    assert_eq!(kept, [false, false, false, true]);

    // What is larger than the whole cache is not kept, and drops nothing.
    let none = DiskCache::open(&here.folder(), size / 2).expect("a cache");
    load(&none, &here.engine, &wasm("sixth")).expect("loads");
    assert!(there("fifth") && !there("sixth"));
}

#[test]
fn two_that_start_at_once_should_share_a_folder() {
    for _ in 0..4 {
        let parent = tempfile::tempdir().expect("temporary folder");
        let folder = parent.path().join("cache");
        let engine = Engine::default();
        let names = ["a", "b", "c"];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let cache = DiskCache::open(&folder, PLENTY).expect("a cache");
                    for name in names {
                        let loaded = load(&cache, &engine, &wasm(name)).expect(name);
                        assert!(is(&loaded.0, name), "{name}");
                    }
                });
            }
        });
        let cache = DiskCache::open(&folder, PLENTY).expect("a cache");
        for name in names {
            // Sealed with the secret that they agreed on.
            let (_, origin) = load(&cache, &engine, &wasm(name)).expect(name);
            assert_eq!(origin, CodeOrigin::DiskCache, "{name}");
        }
        let drafts = fs::read_dir(&folder).expect("folder").flatten();
        let drafts = drafts.filter(|file| file.file_name().to_string_lossy().starts_with("draft"));
        assert_eq!(drafts.count(), 0);
    }
}
