//! What a runner compiled, the next one finds compiled; and what somebody put
//! in its place is never run. What may happen to a file in all detail is tested
//! beside the cache; here the real runner is started, stopped and started.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{RunnerProcess, WireClient, modules};
use protocol::gateway_side::{HttpAction, Reply};
use tempfile::TempDir;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
const SOON: Duration = Duration::from_secs(20);

/// A folder with one module, and a place for its compiled code.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let modules = folder.path().join("modules");
        fs::create_dir(&modules).expect("folder");
        let built = modules::examples().join("stop.wasm");
        fs::copy(built, modules.join("stop.wasm")).expect("copy");
        Place { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, config: &str, env: &[(&str, &str)]) -> RunnerProcess {
        let file = self.path("config.yaml");
        fs::write(&file, config).expect("file");
        let modules = self.path("modules");
        let args = [
            Path::new("serve"),
            Path::new("--modules"),
            &modules,
            Path::new("--config"),
            &file,
        ];
        match RunnerProcess::start(Path::new(RUNNER), args, env) {
            Ok(runner) => runner,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts a runner, which must serve, and say that its code came from
    /// there.
    fn serves(&self, config: &str, env: &[(&str, &str)], from: &str) -> RunnerProcess {
        let runner = self.start(config, env);
        let reply = call(&runner);
        let stopped = matches!(
            reply,
            Reply::HttpReqCall {
                action: HttpAction::Stop { .. },
                ..
            }
        );
        assert!(stopped, "{reply:?}\n{}", runner.log());
        must_print(&runner, &format!(" bytes, {from}, "));
        runner
    }

    fn config(&self) -> String {
        format!("cache:\n  dir: {}\n", self.path("cache").display())
    }
}

fn call(runner: &RunnerProcess) -> Reply {
    let mut client = WireClient::connect(runner.socket()).expect("connection");
    let conf_token = client.prepare(&[("stop", "")]).expect("token");
    client.call(conf_token).expect("reply")
}

fn must_print(runner: &RunnerProcess, text: &str) {
    assert!(
        runner.prints(text, SOON),
        "no {text:?} in\n{}",
        runner.log()
    );
}

/// The compiled components in a folder, which is private like all that is in
/// it.
fn compiled(folder: &Path) -> Vec<PathBuf> {
    let mode = |path: &Path| fs::metadata(path).expect("metadata").mode() & 0o7777;
    assert_eq!(mode(folder), 0o700);
    let files: Vec<_> = fs::read_dir(folder)
        .expect("folder")
        .map(|file| file.expect("file").path())
        .collect();
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let is_code = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "cwasm");
    files.into_iter().filter(is_code).collect()
}

#[test]
fn a_restarted_runner_should_compile_only_what_it_cannot_trust() {
    let place = Place::new();
    let config = place.config();
    place.serves(&config, &[], "compiled");
    let files = compiled(&place.path("cache"));
    let [file] = files.as_slice() else {
        panic!("{files:?}")
    };
    place.serves(&config, &[], "from the cache");

    let good = fs::read(file).expect("file");
    let mut wrong = good.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    for (what, bytes) in [("a wrong byte", &wrong[..]), ("cut", &good[..middle])] {
        fs::write(file, bytes).expect("write");
        let runner = place.serves(&config, &[], "compiled");
        must_print(&runner, "it is damaged, or this installation did not write");
        place.serves(&config, &[], "from the cache");
        assert_eq!(compiled(&place.path("cache")), files, "{what}");
    }

    // Another installation's folder under our secret's name is nobody's.
    fs::remove_file(place.path("cache/secret")).expect("removed");
    place.serves(&config, &[], "compiled");
    place.serves(&config, &[], "from the cache");
}

#[test]
fn a_runner_should_find_a_place_as_its_environment_allows() {
    let place = Place::new();
    let home = place.path("home");
    fs::create_dir(&home).expect("folder");
    let home_text = home.to_str().expect("UTF-8");
    let xdg = place.path("xdg");
    let xdg_text = xdg.to_str().expect("UTF-8");

    // As the gateway starts it.
    let runner = place.serves("", &[], "compiled");
    let beside = runner.socket().with_file_name("apisix-wasm-runner.cache");
    must_print(&runner, &beside.display().to_string());
    assert_eq!(compiled(&beside).len(), 1);
    drop(runner);

    place.serves("", &[("HOME", home_text)], "compiled");
    assert_eq!(compiled(&home.join(".cache/apisix-wasm-runner")).len(), 1);
    place.serves("", &[("HOME", home_text)], "from the cache");

    let both = [("HOME", home_text), ("XDG_CACHE_HOME", xdg_text)];
    place.serves("", &both, "compiled");
    assert_eq!(compiled(&xdg.join("apisix-wasm-runner")).len(), 1);

    // A home that is not there is not made.
    let missing = place.path("missing");
    let env = [("HOME", missing.to_str().expect("UTF-8"))];
    let runner = place.serves("", &env, "compiled");
    must_print(&runner, "runner.sock");
    let beside = runner.socket().with_file_name("apisix-wasm-runner.cache");
    assert_eq!(compiled(&beside).len(), 1);
    assert!(!missing.exists());
}

#[test]
fn a_runner_without_a_cache_should_serve_all_the_same() {
    let place = Place::new();
    let folder = place.path("cache");
    fs::create_dir(&folder).expect("folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("chmod");
    for _ in 0..2 {
        let runner = place.serves(&place.config(), &[], "compiled");
        must_print(&runner, "compiled components are not kept");
        must_print(&runner, "`chmod go-w` it");
    }
    let off = format!("{}  max_mib: 0\n", place.config());
    let runner = place.serves(&off, &[], "compiled");
    assert!(!runner.log().contains("compiled components"));
    let left = fs::read_dir(&folder).expect("folder").count();
    assert_eq!(left, 0, "files in a folder that is not used");
}
