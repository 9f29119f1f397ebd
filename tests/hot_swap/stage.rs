//! A runner that watches its folder of modules, and steps that change the
//! folder: each with what calls get afterwards, and what the log and the
//! readiness page say.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::guests::stopping_with;
use harness::{RunnerProcess, WireClient};
use protocol::gateway_side::{HttpAction, Reply};
use tempfile::TempDir;

pub(crate) const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// For what happens in the background, on a machine that does much else.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A runner over a folder of modules, with pages.
pub(crate) struct Stage {
    pub(crate) runner: RunnerProcess,
    pub(crate) folder: TempDir,
    pub(crate) client: WireClient,
}

impl Stage {
    /// `fill` makes the folder of modules, which is not there yet. HERE in the
    /// configuration is the folder around it.
    pub(crate) fn new(fill: impl FnOnce(&Path), more: &[&str], config: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        fill(&folder.path().join("modules"));
        let text = format!(
            "admin: {{listen: \"unix:{}\"}}\n{}",
            folder.path().join("admin.sock").display(),
            config.replace("HERE", &folder.path().display().to_string())
        );
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, text).expect("file");
        let modules = folder.path().join("modules");
        let mut args: Vec<PathBuf> = ["serve", "--modules"].map(PathBuf::from).into();
        args.extend([modules, "--config".into(), file]);
        args.extend(more.iter().map(PathBuf::from));
        let runner = RunnerProcess::start(Path::new(RUNNER), args, &[]).expect("it starts");
        let client = WireClient::connect(runner.socket()).expect("connection");
        Stage {
            runner,
            folder,
            client,
        }
    }

    /// One that watches, with these modules: each answers with its status.
    pub(crate) fn watching(modules: &[(&str, u16)]) -> Self {
        Stage::watching_with(modules, "")
    }

    /// Likewise, with more in its configuration.
    pub(crate) fn watching_with(modules: &[(&str, u16)], config: &str) -> Self {
        let fill = |folder: &Path| {
            std::fs::create_dir(folder).expect("folder");
            for (name, status) in modules {
                put(folder, name, *status);
            }
        };
        let stage = Stage::new(fill, &["--watch"], config);
        stage.says("/readyz", READY);
        stage
    }

    pub(crate) fn modules(&self) -> PathBuf {
        self.folder.path().join("modules")
    }

    pub(crate) fn token(&mut self, plugin: &str, text: &str) -> u32 {
        self.client.prepare(&[(plugin, text)]).expect("token")
    }

    /// The status that a call is stopped with, 0 where it goes on; none where it
    /// fails.
    pub(crate) fn call(&mut self, token: u32) -> Option<u16> {
        answer(self.client.call(token).expect("reply"))
    }

    pub(crate) fn reaches(&mut self, token: u32, expected: Option<u16>) {
        let mut last = None;
        let reached = soon(|| {
            last = self.call(token);
            last == expected
        });
        assert!(
            reached,
            "{last:?} is not {expected:?}\n{}",
            self.runner.log()
        );
    }

    pub(crate) fn page(&self, path: &str) -> String {
        let admin = self.folder.path().join("admin.sock");
        let mut stream = UnixStream::connect(admin).expect("admin");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    pub(crate) fn says(&self, page: &str, text: &str) {
        let mut last = String::new();
        let said = soon(|| {
            last = self.page(page);
            last.contains(text)
        });
        assert!(said, "no {text:?} in\n{last}\n{}", self.runner.log());
    }

    pub(crate) fn logs(&self, printed: usize, text: &str) {
        let said = self.runner.prints_after(printed, text, SOON);
        assert!(said, "no {text:?} in\n{}", self.runner.log());
    }

    /// Plays steps. The configurations that are called are prepared before the
    /// first of them and never again.
    pub(crate) fn play(&mut self, steps: &[Step]) {
        let mut tokens = std::collections::BTreeMap::new();
        for step in steps {
            let token = self.token(step.plugin, "from the start");
            tokens.insert(step.plugin, token);
        }
        for step in steps {
            let printed = self.runner.log().len();
            (step.change)(&self.modules());
            if !step.log.is_empty() {
                self.logs(printed, step.log);
            }
            self.reaches(tokens[step.plugin], step.answer);
            let new = self.token(step.plugin, &format!("new at {printed}"));
            self.reaches(new, step.answer);
            self.says("/readyz", step.ready);
        }
    }
}

/// One change and what it comes to.
pub(crate) struct Step {
    pub(crate) change: fn(&Path),
    pub(crate) plugin: &'static str,
    pub(crate) answer: Option<u16>,
    pub(crate) log: &'static str,
    pub(crate) ready: &'static str,
}

/// How the page begins and ends where nothing is wrong.
pub(crate) const READY: &str = "\r\n\r\nready\n";

/// A change that comes to nothing but a new version of the plugin `a`.
pub(crate) fn swaps(change: fn(&Path), status: u16) -> Step {
    Step {
        change,
        plugin: "a",
        answer: Some(status),
        log: "plugin a has a new version",
        ready: READY,
    }
}

pub(crate) fn answer(reply: Reply) -> Option<u16> {
    match reply {
        Reply::HttpReqCall {
            action: HttpAction::Stop { status, .. },
            ..
        } => Some(status),
        Reply::HttpReqCall { .. } => Some(0),
        Reply::Error(1) => None,
        other => panic!("{other:?}"),
    }
}

/// A module in the place of another, in one step.
pub(crate) fn put(folder: &Path, name: &str, status: u16) {
    put_bytes(folder, name, &stopping_with(status));
}

pub(crate) fn put_bytes(folder: &Path, name: &str, wasm: &[u8]) {
    let beside = folder.join(format!("{name}.new"));
    std::fs::write(&beside, wasm).expect("file");
    std::fs::rename(&beside, module(folder, name)).expect("renamed");
}

pub(crate) fn module(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.wasm"))
}

pub(crate) fn soon(mut happens: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + SOON;
    loop {
        if happens() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
