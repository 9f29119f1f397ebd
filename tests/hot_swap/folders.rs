//! What happens to the folder as a whole, and to what links lead to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use harness::guests::stopping_with;

use crate::stage::*;

fn away(folder: &Path) -> PathBuf {
    folder.with_file_name("away")
}

/// A folder beside that of the modules, in which `a` and `b` are.
fn release(folder: &Path, name: &str, status: u16) -> PathBuf {
    let release = folder.with_file_name(name);
    fs::create_dir(&release).expect("folder");
    put(&release, "a", status);
    put(&release, "b", 299);
    release
}

/// A link in the place of another, in one step.
fn relink(link: &Path, to: impl AsRef<Path>) {
    let beside = link.with_file_name("link");
    symlink(to, &beside).expect("linked");
    fs::rename(beside, link).expect("renamed");
}

/// What comes from elsewhere after the start has to be named, or the process has
/// given up the right to read it.
const AROUND: &str = "confinement: {read: [\"HERE\"]}\n";

#[test]
fn a_folder_that_is_gone_should_take_nothing_with_it() {
    let mut stage = Stage::watching_with(&[("a", 201), ("b", 299)], AROUND);
    let stays = |change, answer, log, ready| Step {
        change,
        plugin: "a",
        answer: Some(answer),
        log,
        ready,
    };
    stage.play(&[
        stays(
            |folder| fs::rename(folder, away(folder)).expect("renamed"),
            201,
            "the last good modules stay",
            "ready\nthe modules folder ",
        ),
        stays(
            |folder| fs::rename(away(folder), folder).expect("renamed"),
            201,
            "modules is back",
            READY,
        ),
        swaps(|folder| put(folder, "a", 202), 202),
        // Another takes its place.
        swaps(
            |folder| {
                let other = release(folder, "other", 203);
                fs::rename(folder, folder.with_file_name("old")).expect("renamed");
                fs::rename(other, folder).expect("renamed");
            },
            203,
        ),
        // And is the one that is looked at.
        swaps(|folder| put(folder, "a", 204), 204),
        stays(
            |folder| {
                for name in ["a", "b"] {
                    fs::remove_file(module(folder, name)).expect("removed");
                }
            },
            204,
            "cannot be used: there is no NAME.wasm in it; the last good modules stay",
            "ready\nthe modules folder ",
        ),
        swaps(
            |folder| {
                put(folder, "a", 205);
                put(folder, "b", 299);
            },
            205,
        ),
    ]);
    assert!(!stage.runner.log().contains("is gone"));
}

#[test]
fn a_folder_without_modules_may_be_watched() {
    let mut stage = Stage::new(
        |folder| fs::create_dir(folder).expect("folder"),
        &["--watch"],
        "",
    );
    stage.play(&[
        Step {
            change: |_| {},
            plugin: "a",
            answer: None,
            log: "nothing can be served",
            ready: "503 Service Unavailable",
        },
        Step {
            log: "plugin a is ready",
            ..swaps(|folder| put(folder, "a", 201), 201)
        },
        swaps(|folder| put(folder, "a", 202), 202),
    ]);
}

#[test]
fn what_links_lead_to_should_count() {
    let fill = |folder: &Path| {
        let first = release(folder, "first", 201);
        fs::create_dir(folder).expect("folder");
        symlink(module(&first, "a"), module(folder, "a")).expect("linked");
    };
    let mut stage = Stage::new(fill, &["--watch"], AROUND);
    stage.says("/readyz", READY);
    stage.play(&[
        swaps(
            |folder| {
                let second = release(folder, "second", 202);
                relink(&module(folder, "a"), module(&second, "a"));
            },
            202,
        ),
        // Where no event tells of it.
        swaps(
            |folder| {
                let file = module(&folder.with_file_name("second"), "a");
                fs::write(file, stopping_with(203)).expect("file");
            },
            203,
        ),
    ]);
}

/// As a Kubernetes ConfigMap or Secret is updated: each file is a link by way
/// of the link `..data`, and that is replaced.
#[test]
fn a_volume_of_kubernetes_should_be_followed() {
    fn version(folder: &Path, name: &str, status: u16) {
        let version = folder.join(name);
        fs::create_dir(&version).expect("folder");
        put(&version, "a", status);
        relink(&folder.join("..data"), name);
    }
    let fill = |folder: &Path| {
        fs::create_dir(folder).expect("folder");
        version(folder, "..2026_01", 201);
        symlink("..data/a.wasm", module(folder, "a")).expect("linked");
    };
    let mut stage = Stage::new(fill, &["--watch"], "");
    stage.says("/readyz", READY);
    stage.play(&[
        swaps(
            |folder| {
                version(folder, "..2026_02", 202);
                fs::remove_dir_all(folder.join("..2026_01")).expect("removed");
            },
            202,
        ),
        swaps(|folder| version(folder, "..2026_03", 203), 203),
    ]);
}

/// As releases are switched: the folder that the operator names is a link.
#[test]
fn a_folder_that_is_a_link_should_be_followed() {
    let fill = |folder: &Path| symlink(release(folder, "first", 201), folder).expect("linked");
    let mut stage = Stage::new(fill, &["--watch"], "");
    stage.says("/readyz", READY);
    stage.play(&[
        swaps(|folder| relink(folder, release(folder, "second", 202)), 202),
        swaps(|folder| put(folder, "a", 203), 203),
    ]);
}

/// Without that, it is refused with the way out, and what serves goes on.
#[test]
fn what_comes_from_elsewhere_should_be_refused_where_it_was_not_named() {
    let mut stage = Stage::watching(&[("a", 201)]);
    stage.play(&[Step {
        change: |folder| {
            let second = release(folder, "second", 202);
            relink(&module(folder, "a"), module(&second, "a"));
        },
        plugin: "a",
        answer: Some(201),
        log: "name the folder in confinement.read",
        ready: "ready\nplugin a serves its last good version: ",
    }]);
}
