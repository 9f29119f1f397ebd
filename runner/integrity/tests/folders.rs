//! Folders of modules and who may write to what: each row is a folder that is
//! set up, and what is said of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use integrity::{FolderError, check_folder, check_module};

/// A folder `place/modules` with a module, for its owner only at first.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().expect("temporary folder"));
        fs::create_dir_all(place.at("place/modules")).expect("folder");
        fs::create_dir_all(place.at("elsewhere")).expect("folder");
        for name in [
            "place/modules/a.wasm",
            "place/modules/notes",
            "elsewhere/b.wasm",
        ] {
            fs::write(place.at(name), name).expect("file");
            place.set(name, 0o644);
        }
        for name in ["place", "place/modules", "elsewhere"] {
            place.set(name, 0o755);
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn set(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), Permissions::from_mode(mode)).expect("permissions");
    }

    fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.at(name)).expect("link");
    }

    fn judged(&self, folder: &str) -> Result<Vec<String>, FolderError> {
        let folder = self.at(folder);
        let mut remarks = check_folder(&folder)?;
        let entries = fs::read_dir(&folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        for path in paths.filter(|path| path.extension().is_some_and(|of| of == "wasm")) {
            // A link to nothing is no module.
            if let Ok(opened) = fs::metadata(&path) {
                remarks.extend(check_module(&path, &opened)?);
            }
        }
        Ok(remarks)
    }
}

#[test]
fn a_folder_should_be_refused_where_anybody_could_replace_a_module() {
    type Prepare = fn(&Place);
    // How, the folder that is asked for, what the error says, and what mends it.
    let rows: &[(Prepare, &str, &str, &str)] = &[
        (
            |place| place.set("place/modules", 0o777),
            "place/modules",
            "mode 0777",
            "place/modules",
        ),
        (
            |place| place.set("place/modules", 0o1777),
            "place/modules",
            "mode 1777",
            "place/modules",
        ),
        (
            |place| place.set("place", 0o757),
            "place/modules",
            "mode 0757",
            "place",
        ),
        (
            |place| place.set("place/modules/a.wasm", 0o646),
            "place/modules",
            "mode 0646",
            "place/modules/a.wasm",
        ),
        (
            |place| {
                place.link("../../elsewhere/b.wasm", "place/modules/b.wasm");
                place.set("elsewhere", 0o777);
            },
            "place/modules",
            "mode 0777",
            "elsewhere",
        ),
        (
            |place| {
                place.link(place.at("elsewhere/b.wasm"), "place/modules/b.wasm");
                place.set("elsewhere/b.wasm", 0o666);
            },
            "place/modules",
            "mode 0666",
            "place/modules/b.wasm",
        ),
        (
            |place| {
                place.link("../place/modules", "elsewhere/link");
                place.set("place", 0o777);
            },
            "elsewhere/link",
            "mode 0777",
            "place",
        ),
        (
            |place| {
                place.link("../place/modules", "elsewhere/link");
                place.set("elsewhere", 0o777);
            },
            "elsewhere/link",
            "mode 0777",
            "elsewhere",
        ),
    ];
    for (prepare, folder, says, mended) in rows {
        let place = Place::new();
        prepare(&place);
        let refused = place.judged(folder).expect_err(says).to_string();
        let chmod = format!("`chmod o-w {}`", place.at(mended).display());
        assert!(
            refused.contains(says) && refused.ends_with(&chmod),
            "{refused}"
        );
        // What the error says is what it takes.
        let mode = fs::metadata(place.at(mended)).expect("metadata").mode();
        place.set(mended, mode & 0o7775);
        place.judged(folder).expect("mended");
    }
}

#[test]
fn what_only_some_may_write_to_should_be_allowed() {
    type Prepare = fn(&Place);
    let rows: &[(Prepare, &str, &str)] = &[
        (|_| {}, "place/modules", ""),
        // Such as /tmp.
        (|place| place.set("place", 0o1777), "place/modules", ""),
        (
            |place| place.set("place/modules/notes", 0o666),
            "place/modules",
            "",
        ),
        (
            |place| place.link("missing", "place/modules/c.wasm"),
            "place/modules",
            "",
        ),
        (
            |place| place.link("../place/modules", "elsewhere/link"),
            "elsewhere/link",
            "",
        ),
        (
            |place| place.set("place/modules", 0o775),
            "place/modules",
            "may write to",
        ),
        (
            |place| place.set("place", 0o775),
            "place/modules",
            "may write to",
        ),
        (
            |place| place.set("place/modules/a.wasm", 0o664),
            "place/modules",
            "may write to",
        ),
    ];
    for (prepare, folder, remark) in rows {
        let place = Place::new();
        prepare(&place);
        let remarks = place.judged(folder).expect("allowed");
        // Of the folders above the test's own nothing is known here.
        let own = place.0.path().display().to_string();
        let ours: Vec<&String> = remarks
            .iter()
            .filter(|remark| remark.contains(&own))
            .collect();
        assert_eq!(ours.len(), usize::from(!remark.is_empty()), "{remarks:?}");
        assert!(ours.iter().all(|ours| ours.contains(remark)), "{remarks:?}");
    }
}

#[test]
fn a_module_of_a_stranger_should_be_refused() {
    let place = Place::new();
    let path = place.at("place/modules/a.wasm");
    let own = fs::metadata(&path).expect("metadata");
    check_module(&path, &own).expect("ours");
    let (stranger, owner) = (12_345, 12_346);
    if chown(&path, Some(stranger), None).is_err() {
        // Only root gives files away; what follows needs somebody else's.
        assert_ne!(own.uid(), 0);
        return;
    }
    let refused = place
        .judged("place/modules")
        .expect_err("a stranger's")
        .to_string();
    let mended = format!("`chown 0 {}`", path.display());
    assert!(
        refused.contains("user 12345") && refused.contains(&mended),
        "{refused}"
    );
    // The folder's owner is none.
    chown(place.at("place/modules"), Some(owner), None).expect("given away");
    assert!(place.judged("place/modules").is_err());
    chown(&path, Some(owner), None).expect("given away");
    place.judged("place/modules").expect("the owner's");
    // Above, it is somebody's who can rename what is below.
    chown(place.at("place"), Some(stranger), None).expect("given away");
    let remarks = place.judged("place/modules").expect("allowed");
    assert!(
        remarks
            .iter()
            .any(|remark| remark.contains("belongs to user 12345")),
        "{remarks:?}"
    );
}

/// As a volume of configuration is in Kubernetes: open to everybody by its mode,
/// and mounted so that nobody writes. Made in a mount namespace of its own.
#[test]
fn a_folder_that_nobody_can_write_to_should_be_allowed_whatever_its_mode() {
    const INSIDE: &str = "INTEGRITY_TEST_READ_ONLY";
    #[expect(
        clippy::disallowed_methods,
        reason = "says which half of the test this is"
    )]
    if let Ok(folder) = std::env::var(INSIDE) {
        check_folder(Path::new(&folder)).expect("read-only");
        return;
    }
    let place = Place::new();
    place.set("place/modules", 0o777);
    place.judged("place/modules").expect_err("it is open");
    let own = std::env::current_exe().expect("this test");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && exec \"$2\" \
                  --exact a_folder_that_nobody_can_write_to_should_be_allowed_whatever_its_mode";
    let folder = place.at("place/modules");
    let inside = std::process::Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .args([&folder, &own])
        .env(INSIDE, &folder)
        .output()
        .expect("unshare, of Debian's util-linux");
    assert!(inside.status.success(), "{inside:?}");
}

#[test]
fn what_is_no_folder_should_be_named() {
    let place = Place::new();
    place.link("round", "place/round");
    for (path, says) in [
        ("place/missing", "No such file"),
        ("place/modules/a.wasm", "is not a folder"),
        ("place/round", "too many links"),
    ] {
        let refused = place.judged(path).expect_err(says).to_string();
        assert!(
            refused.contains(says) && refused.contains(path),
            "{refused}"
        );
    }
}
