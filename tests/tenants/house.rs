//! A runner with several tenants, each with a folder of modules and a socket
//! that bear its name. Must not know what is tried with them.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use harness::runner_process::StartError;
use harness::wire_client::NoReply;
use harness::{Metrics, RunnerProcess, WireClient};
use protocol::err_resp::Code;
use protocol::gateway_side::Reply;
use tempfile::TempDir;

use crate::processes::{Process, soon_some};
use crate::stage::{RUNNER, answer, soon};

/// What `isolation` can be.
pub(crate) const ISOLATIONS: [&str; 2] = ["shared", "process"];

pub(crate) const UNAVAILABLE: Reply = Reply::Error(Code::ServiceUnavailable as u8);
pub(crate) const UNKNOWN_TOKEN: Reply = Reply::Error(Code::ConfTokenNotFound as u8);

/// A tenant as it will be written down.
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    settings: String,
    socket: String,
    modules: Vec<(String, Vec<u8>)>,
}

/// One without a module, and with nothing that it does not need.
pub(crate) fn tenant(name: &'static str) -> Tenant {
    Tenant {
        name,
        settings: String::new(),
        socket: String::new(),
        modules: Vec::new(),
    }
}

impl Tenant {
    /// What else is said of it, as members of a YAML mapping in one line. HERE is
    /// the folder around everything.
    pub(crate) fn with(mut self, settings: &str) -> Self {
        if !settings.is_empty() {
            self.settings += &format!(", {settings}");
        }
        self
    }

    /// What else is said of its socket.
    pub(crate) fn socket(mut self, settings: &str) -> Self {
        if !settings.is_empty() {
            self.socket += &format!(", {settings}");
        }
        self
    }

    pub(crate) fn module(mut self, name: &str, wasm: Vec<u8>) -> Self {
        self.modules.push((name.to_owned(), wasm));
        self
    }

    /// One of the examples.
    pub(crate) fn example(self, name: &str) -> Self {
        let file = harness::modules::examples().join(format!("{name}.wasm"));
        self.module(name, std::fs::read(file).expect("an example"))
    }
}

/// Everything that a runner needs, before it is started.
pub(crate) struct Plan {
    folder: TempDir,
}

impl Plan {
    /// `config` is what else is written, before the tenants. The last tenant has
    /// a second socket, where the harness sees that the runner listens.
    pub(crate) fn new(isolation: &str, config: &str, tenants: &[Tenant]) -> Self {
        let plan = Plan {
            folder: tempfile::tempdir().expect("temporary folder"),
        };
        let mut text = format!(
            "isolation: {isolation}\nadmin: {{listen: 'unix:HERE/admin.sock'}}\n{config}\ntenants:\n"
        );
        for (number, tenant) in tenants.iter().enumerate() {
            let modules = plan.modules(tenant.name);
            std::fs::create_dir(&modules).expect("folder");
            for (name, wasm) in &tenant.modules {
                std::fs::write(modules.join(format!("{name}.wasm")), wasm).expect("module");
            }
            let (name, socket) = (tenant.name, &tenant.socket);
            let door = match number + 1 == tenants.len() {
                true => ", {file: $env.APISIX_LISTEN_ADDRESS}",
                false => "",
            };
            text += &format!(
                "- {{name: {name}, modules: HERE/{name}, sockets: [{{file: HERE/{name}.sock\
                 {socket}}}{door}]{}}}\n",
                tenant.settings
            );
        }
        if !text.contains("cache:") {
            text = format!("cache: {{dir: HERE/cache}}\n{text}");
        }
        let here = plan.folder.path().display().to_string();
        std::fs::write(plan.at("config.yaml"), text.replace("HERE", &here)).expect("file");
        plan
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn modules(&self, tenant: &str) -> PathBuf {
        self.at(tenant)
    }

    pub(crate) fn try_start(
        &self,
        more: &[&str],
        env: &[(&str, &str)],
    ) -> Result<RunnerProcess, StartError> {
        let mut args: Vec<OsString> = ["serve", "--config"].map(OsString::from).into();
        args.push(self.at("config.yaml").into());
        args.extend(more.iter().map(OsString::from));
        RunnerProcess::start(Path::new(RUNNER), args, env)
    }

    pub(crate) fn start(self, more: &[&str], env: &[(&str, &str)]) -> House {
        let runner = match self.try_start(more, env) {
            Ok(runner) => runner,
            Err(error) => panic!("{error}"),
        };
        House { runner, plan: self }
    }
}

/// A running one.
pub(crate) struct House {
    pub(crate) runner: RunnerProcess,
    pub(crate) plan: Plan,
}

impl House {
    /// One that is ready.
    pub(crate) fn new(isolation: &str, config: &str, tenants: &[Tenant]) -> Self {
        let house = Plan::new(isolation, config, tenants).start(&[], &[]);
        house.ready();
        house
    }

    /// Waits until every plugin can be called.
    pub(crate) fn ready(&self) {
        self.page_says("/readyz", "\r\n\r\nready\n");
    }

    /// Ends it and starts it again, as the gateway would.
    pub(crate) fn restarted(mut self) -> Self {
        self.runner
            .signal(harness::Signal::TERM)
            .expect("it is there");
        assert!(self.runner.wait(crate::stage::SOON).is_some());
        let house = self.plan.start(&[], &[]);
        house.ready();
        house
    }

    pub(crate) fn socket(&self, tenant: &str) -> PathBuf {
        self.plan.at(&format!("{tenant}.sock"))
    }

    pub(crate) fn client(&self, tenant: &str) -> WireClient {
        WireClient::connect(&self.socket(tenant)).expect("connection")
    }

    /// A connection with a configuration of one plugin.
    pub(crate) fn caller(&self, tenant: &str, plugin: &str, text: &str) -> Caller {
        let mut client = self.client(tenant);
        let token = client.prepare(&[(plugin, text)]).expect("token");
        Caller { client, token }
    }

    pub(crate) fn admin(&self) -> PathBuf {
        self.plan.at("admin.sock")
    }

    pub(crate) fn page(&self, path: &str) -> String {
        // It may come after the sockets.
        let stream = soon_some(|| UnixStream::connect(self.admin()).ok());
        let mut stream = stream.expect("admin");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    /// The page, once it says this.
    pub(crate) fn page_says(&self, page: &str, text: &str) -> String {
        let mut last = String::new();
        let said = soon(|| {
            last = self.page(page);
            last.contains(text)
        });
        assert!(said, "no {text:?} in\n{last}\n{}", self.runner.log());
        last
    }

    pub(crate) fn logs(&self, text: &str) {
        let said = self.runner.prints(text, crate::stage::SOON);
        assert!(said, "no {text:?} in\n{}", self.runner.log());
    }

    /// The sum of what is counted of a tenant.
    pub(crate) fn figure(&self, name: &str, tenant: &str, labels: &[(&str, &str)]) -> f64 {
        let metrics = Metrics::read(&self.admin()).expect("figures");
        let mut labels = labels.to_vec();
        labels.push(("tenant", tenant));
        metrics.sum(name, &labels)
    }

    pub(crate) fn reaches(&self, name: &str, tenant: &str, expected: f64) {
        let reached = soon(|| self.figure(name, tenant, &[]) == expected);
        assert!(
            reached,
            "{name} of {tenant} is not {expected}:\n{}",
            self.page("/metrics")
        );
    }

    /// The process of a tenant that has one of its own.
    pub(crate) fn process(&self, tenant: &str) -> Option<Process> {
        let children = Process::children_of(self.runner.id());
        children.into_iter().find(|child| {
            let words = std::fs::read(format!("/proc/{}/cmdline", child.id)).unwrap_or_default();
            let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
            words
                .windows(2)
                .any(|pair| pair == [b"--tenant", tenant.as_bytes()])
        })
    }
}

/// A connection and a token.
pub(crate) struct Caller {
    pub(crate) client: WireClient,
    pub(crate) token: u32,
}

impl Caller {
    pub(crate) fn reply(&mut self) -> Result<Reply, NoReply> {
        self.client.call(self.token)
    }

    /// The status that a call is stopped with, 0 where it goes on; none where it
    /// fails.
    pub(crate) fn call(&mut self) -> Option<u16> {
        answer(self.reply().expect("a reply"))
    }

    /// Calls again and again, each with this answer.
    pub(crate) fn always(&mut self, times: usize, status: u16) {
        for number in 0..times {
            assert_eq!(self.call(), Some(status), "call {number} of {times}");
        }
    }

    /// Begins a call and does not wait for what comes of it.
    pub(crate) fn begin(&mut self) {
        let frame = WireClient::simplest_call(self.token);
        self.client.send(&frame).expect("sent");
    }
}
