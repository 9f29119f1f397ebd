//! Why a component could not be loaded, and why a filter failed on a call.
//! What becomes of a call that failed is not decided here.

use std::time::Duration;

use crate::{CompileError, GatewayError, printable};

/// Why a file cannot serve as a plugin. The texts are written for the author
/// of the component or the operator who dropped it into the folder.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Native code, however it got there.
    #[error(
        "expected a WebAssembly component, found code that wasmtime precompiled (.cwasm); it is \
         native code and runs outside any sandbox, so only the .wasm it was made from is accepted"
    )]
    Precompiled,
    /// Not WebAssembly at all.
    #[error("expected a WebAssembly component, found {found}")]
    NotWasm {
        /// What the file looks like.
        found: String,
    },
    /// A core module that is no filter.
    #[error(
        "found a core module that {}; build it with bindings that wit-bindgen made from wit/ (the \
         guest-sdk does that for Rust), or turn it into a component with its own tools",
        if *command {
            "is a program with a main function and exports nothing of apisix:filter"
        } else {
            "exports nothing of apisix:filter"
        }
    )]
    NoInterface {
        /// It exports `_start`.
        command: bool,
    },
    /// A core module imports from something that is no interface.
    #[error("found a core module that imports {name} from {module}, {advice}")]
    CoreImport {
        /// Where from.
        module: String,
        /// One of the names.
        name: String,
        /// What that is, and what to do about it.
        advice: &'static str,
    },
    /// A core module is not what its description says.
    #[error("found a core module, and no component can be made of it: {0}")]
    Encoding(String),
    /// wasmtime refuses it.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It imports an interface this runner does not have.
    #[error("imports {import}, which this runner does not offer; it offers {offered}")]
    UnknownImport {
        /// The import's name.
        import: String,
        /// What could be imported instead.
        offered: String,
    },
    /// It imports what the operator did not grant it.
    #[error("imports {import}, which the operator has not granted it; grant it with {line}")]
    NotGranted {
        /// The import's name.
        import: String,
        /// The line of the configuration that grants it.
        line: String,
    },
    /// It imports a version of an interface of which this runner has another.
    #[error(
        "imports {interface} in version {wanted}, this runner offers {offered}; build the filter \
         against {offered} or use a newer runner"
    )]
    ImportVersion {
        /// Interface without version.
        interface: String,
        /// What the component wants.
        wanted: String,
        /// What the runner has.
        offered: String,
    },
    /// It uses a function that this runner's interface does not have.
    #[error(
        "imports the function {function} of {interface}, which this runner ({offered}) does not \
         have; build the filter against {offered} or use a newer runner"
    )]
    UnknownFunction {
        /// Interface without version.
        interface: String,
        /// The function's name.
        function: String,
        /// The version of the interface this runner offers.
        offered: String,
    },
    /// A function has another signature.
    #[error("does not fit this runner's interface: {0}")]
    Mismatch(String),
    /// It exports nothing that the runner could call.
    #[error(
        "exports {found}; a filter exports apisix:filter/configuration@0.1.0 and at least one of \
         apisix:filter/request-handler@0.1.0 and apisix:filter/response-handler@0.1.0"
    )]
    NotAFilter {
        /// What it exports.
        found: String,
    },
    /// A handler or the configuration interface has another version.
    #[error("exports {export}, this runner calls version {offered}; build the filter against it")]
    ExportVersion {
        /// Interface and version.
        export: String,
        /// The version this runner calls.
        offered: String,
    },
    /// It needs more than a slot of the instance pool has.
    #[error("needs more than one instance may have: {0}")]
    TooLarge(String),
    /// The compiler did not get to its end.
    #[error(transparent)]
    Compile(CompileError),
    /// It could not be started.
    #[error("its instance cannot be started: {0}")]
    Start(SandboxError),
}

impl LoadError {
    /// The same with what a module says of itself on one line and cut: it goes
    /// into the log and onto pages.
    pub(crate) fn printable(mut self) -> Self {
        let texts: Vec<&mut String> = match &mut self {
            LoadError::NotWasm { found } | LoadError::NotAFilter { found } => vec![found],
            LoadError::CoreImport { module, name, .. } => vec![module, name],
            LoadError::Encoding(text)
            | LoadError::Invalid(text)
            | LoadError::Mismatch(text)
            | LoadError::TooLarge(text)
            | LoadError::Compile(CompileError::Crashed(text)) => vec![text],
            LoadError::UnknownImport { import, .. } | LoadError::NotGranted { import, .. } => {
                vec![import]
            }
            LoadError::ImportVersion {
                interface, wanted, ..
            } => vec![interface, wanted],
            LoadError::UnknownFunction {
                interface,
                function,
                ..
            } => vec![interface, function],
            LoadError::ExportVersion { export, .. } => vec![export],
            LoadError::Precompiled
            | LoadError::NoInterface { .. }
            | LoadError::Compile(_)
            | LoadError::Start(_) => Vec::new(),
        };
        for text in texts {
            *text = printable::reason(text);
        }
        self
    }
}

impl From<SandboxError> for LoadError {
    fn from(error: SandboxError) -> Self {
        LoadError::Start(error)
    }
}

/// Why a filter failed. The text goes to the log, never to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// `configure` said no.
    #[error("configuration rejected: {0}")]
    ConfigurationRejected(String),
    /// The handler returned an error.
    #[error("the filter reported: {0}")]
    GuestError(String),
    /// The guest trapped.
    #[error("trapped: {0}")]
    Trap(String),
    /// The guest computed for too long.
    #[error("ran for more than {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The guest did not come back, asleep or in want of a processor.
    #[error("did not return within {} ms", .0.as_millis())]
    Stalled(Duration),
    /// The guest trapped after it was refused memory.
    #[error("needs more than {} MiB of memory ({trap})", limit >> 20)]
    Memory {
        /// The limit in bytes.
        limit: usize,
        /// How it ended.
        trap: String,
    },
    /// The filter has no handler for the phase it was configured in.
    #[error("wrong phase: it has no {0}")]
    WrongPhase(&'static str),
    /// The filter stopped the request with something that is no response.
    #[error("stopped with an invalid response: {0}")]
    InvalidStop(String),
    /// A question to the gateway failed; so does the call.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The guest handed more to a host function than it may in one call, or
    /// held more of the host's resources than it may.
    #[error("asked too much of the host: {0}")]
    HostCallLimit(String),
    /// Every place for instances stayed taken.
    #[error("no free instance within {} ms", .0.as_millis())]
    Saturated(Duration),
    /// The plugin serves as many calls as it may, and none of them ended in
    /// time.
    #[error(
        "its calls take {places} places for instances already, and none ended within {} ms",
        wait.as_millis()
    )]
    Busy {
        /// As many as it may take now.
        places: u32,
        /// How long the call waited.
        wait: Duration,
    },
    /// The guest trapped after it was refused memory that all guests together
    /// may not have.
    #[error("all guests together take {} MiB of memory already ({trap})", limit >> 20)]
    MemoryTaken {
        /// The most they may take, in bytes.
        limit: usize,
        /// How it ended.
        trap: String,
    },
    /// As many calls wait for the plugin as may.
    #[error("{0} calls wait for it already")]
    QueueFull(u32),
}

/// A filter that failed on a call.
#[derive(Debug)]
pub struct Failed<C> {
    /// How.
    pub error: SandboxError,
    /// The call as it was before the filter, where the plugin's settings ask
    /// for it and it could be saved.
    pub call: Option<Box<C>>,
}

impl<C> Failed<C> {
    pub(crate) fn before(error: SandboxError, call: Box<C>) -> Self {
        let call = Some(call);
        Failed { error, call }
    }
}

impl<C> From<SandboxError> for Failed<C> {
    fn from(error: SandboxError) -> Self {
        Failed { error, call: None }
    }
}
