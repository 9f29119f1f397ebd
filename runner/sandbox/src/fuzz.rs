//! Doors for the fuzzer (`fuzz/`): what is ours between a stranger's component
//! and wasmtime, and edits as a filter makes them. Nothing
//! else goes through them.
//!
//! Must not know what is done with the answers, and decides nothing itself.

use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime_wizer::Wizer;

use crate::{
    CodeOrigin, Engine, Failed, Filter, LoadError, Plugin, PluginSettings, RequestCall,
    ResponseCall, SandboxError, Verdict, componentise, outermost, plugin, request_call, restore,
    shim, snapshot,
};

/// See `plugin::recognise`.
///
/// # Errors
/// What the file is instead of a component.
pub fn recognise(wasm: &[u8]) -> Result<(), LoadError> {
    plugin::recognise(wasm).map(drop)
}

/// See `componentise::component_of`.
///
/// # Errors
/// Why no component can be made of the module.
pub fn component_of(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    componentise::component_of(module)
}

/// See `shim::without`.
#[must_use]
pub fn without_shim(wasm: &[u8]) -> Option<Vec<u8>> {
    shim::without(wasm)
}

/// See `shim::owns_resources`.
#[must_use]
pub fn owns_resources(wasm: &[u8]) -> bool {
    shim::owns_resources(wasm)
}

/// See `restore::with`.
#[must_use]
pub fn with_restore(wasm: &[u8]) -> Option<Vec<u8>> {
    restore::with(wasm)
}

/// The component as it is rebuilt before its state is read. That is wizer's
/// work, and what it makes of a stranger's component is ours to survive.
#[must_use]
pub fn readable(wasm: &[u8]) -> Option<Vec<u8>> {
    let instrumented = Wizer::new().instrument_component(wasm);
    instrumented.ok().map(|(_, wasm)| wasm)
}

/// Whether bytes are a valid component and all of it, whatever it uses.
#[must_use]
pub fn is_valid(wasm: &[u8]) -> bool {
    outermost::is_valid(wasm)
}

/// A change of a request, as one host function makes it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Edit {
    SetPath(Vec<u8>),
    SetHeader(String, Vec<u8>),
    AddHeader(String, Vec<u8>),
    RemoveHeader(String),
    SetArg(Vec<u8>, Vec<u8>),
    AddArg(Vec<u8>, Vec<u8>),
    RemoveArg(Vec<u8>),
    SetBody(Vec<u8>),
    SetResponseHeader(String, Vec<u8>),
    AddResponseHeader(String, Vec<u8>),
}

/// Makes the change, or says that the guest would get an error.
pub fn edit(call: &mut RequestCall, edit: Edit) -> bool {
    use request_call::Keep;
    let request = &mut call.subject;
    let made = match edit {
        Edit::SetPath(path) => request.set_path(path),
        Edit::SetHeader(name, value) => request.set_header(name, value),
        Edit::AddHeader(name, value) => request.add_header(name, value),
        Edit::RemoveHeader(name) => request.remove_header(name),
        Edit::SetArg(name, value) => request.set_arg(name, value),
        Edit::AddArg(name, value) => request.add_arg(name, value),
        Edit::RemoveArg(name) => request.remove_arg(name),
        Edit::SetBody(body) => request.set_body(body),
        Edit::SetResponseHeader(name, value) => {
            request.set_response_header(name, value, Keep::Nothing)
        }
        Edit::AddResponseHeader(name, value) => {
            request.set_response_header(name, value, Keep::Earlier)
        }
    };
    made.is_ok()
}

/// A change of a response, likewise.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum ResponseEdit {
    SetStatus(u16),
    SetHeader(String, Vec<u8>),
    AddHeader(String, Vec<u8>),
    RemoveHeader(String),
    SetBody(Vec<u8>),
}

/// Makes the change, or says that the guest would get an error.
pub fn edit_response(call: &mut ResponseCall, edit: ResponseEdit) -> bool {
    let response = &mut call.subject;
    let made = match edit {
        ResponseEdit::SetStatus(status) => response.set_status(status),
        ResponseEdit::SetHeader(name, value) => response.set_header(&name, value),
        ResponseEdit::AddHeader(name, value) => response.add_header(&name, value),
        ResponseEdit::RemoveHeader(name) => response.remove_header(&name),
        ResponseEdit::SetBody(body) => response.set_body(body),
    };
    made.is_ok()
}

/// The whole way of a component, one step after the other on this thread.
pub struct Workbench {
    engine: Arc<Engine>,
    runtime: tokio::runtime::Runtime,
}

impl Workbench {
    /// Around an engine.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub fn new(engine: Arc<Engine>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        Ok(Workbench { engine, runtime })
    }

    /// Compiles and links a component and starts an instance of it.
    ///
    /// # Errors
    /// See [`Plugin::load`].
    pub fn load(&self, wasm: Vec<u8>, settings: PluginSettings) -> Result<Arc<Plugin>, LoadError> {
        let loading = Plugin::load(&self.engine, "fuzzed", wasm, settings, None);
        self.runtime.block_on(loading)
    }

    /// The same component without what `shim` makes of it, and not proved to
    /// start; `None` where it cannot be used.
    pub fn load_as_it_is(&self, wasm: &[u8], settings: PluginSettings) -> Option<Arc<Plugin>> {
        let compiled = Component::new(self.engine.wasmtime(), wasm).ok()?;
        let plugin = plugin::linked(
            Arc::clone(&self.engine),
            Arc::from("as it is"),
            wasm.to_vec(),
            settings,
            (compiled, CodeOrigin::Compiled),
        );
        plugin.ok().map(Arc::new)
    }

    /// See [`Filter::on_request`].
    ///
    /// # Errors
    /// How the filter failed.
    pub fn on_request(
        &self,
        filter: &Filter,
        call: Box<RequestCall>,
    ) -> Result<(Box<RequestCall>, Verdict), SandboxError> {
        let outcome = self.runtime.block_on(filter.on_request(call));
        outcome.map_err(|failed: Failed<RequestCall>| failed.error)
    }

    /// What the caretaker does, without its panic barrier: from here on calls
    /// start from the captured configuration. Whether there is one.
    pub fn capture(&self, filter: &Filter, budget: usize) -> bool {
        let shared = &filter.shared;
        let captured = snapshot::readable(&shared.plugin).and_then(|readable| {
            let capturing = snapshot::capture(shared, &readable, true, budget);
            self.runtime.block_on(capturing)
        });
        match captured {
            Ok(snapshot) => {
                shared.snapshot.store(Some(Arc::new(snapshot)));
                true
            }
            Err(_) => false,
        }
    }
}
