//! `apisix:filter/secrets`: texts that the operator granted by name. Its events
//! for a filter's author are made here, because those that bindings make carry
//! what was answered.

use crate::bindings::HOST_CALLS;
use crate::bindings::apisix::filter::secrets::Host;
use crate::bindings::apisix::filter::types::Error;
use crate::call_state::CallState;

impl CallState {
    fn secret(&self, name: &str) -> Result<String, Error> {
        let secrets = self.grants().secrets.as_ref();
        let found = secrets.and_then(|secrets| secrets.get(name));
        found.map(str::to_owned).ok_or_else(|| {
            let plugin = &self.identity.account.name;
            Error::Denied(format!(
                "the operator has not granted the secret {name:?}; grant it with \
                 plugins.{plugin}.grants.secrets: {{{name}: {{env: VARIABLE}}}}"
            ))
        })
    }
}

impl Host for CallState {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        let span = tracing::trace_span!(
            target: HOST_CALLS,
            "import",
            module = "secrets",
            function = "get"
        );
        let _entered = span.enter();
        tracing::trace!(target: HOST_CALLS, name = tracing::field::debug(&name), "call");
        let answer = self.secret(&name);
        let shown = answer.as_ref().map(|_| "...");
        tracing::trace!(target: HOST_CALLS, result = tracing::field::debug(&shown), "return");
        Ok(answer)
    }
}
