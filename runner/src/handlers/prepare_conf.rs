//! `PrepareConf`: a configuration in exchange for a token. The gateway holds a
//! lock over all routes while it waits (`init.lua`), so this never runs guest
//! code and never waits for anything; a fault of the configuration shows at
//! the first call.

use bytes::Bytes;
use protocol::prepare_conf::Req;

use super::{CallContext, Outcome};
use crate::conf_cache::{Configuration, PluginConf};
use crate::error_reply::CallError;

/// Serves one payload.
///
/// # Errors
/// [`CallError`] only for a payload that cannot be read.
pub fn handle(context: &CallContext<'_>, payload: Bytes) -> Result<Outcome, CallError> {
    let request = Req::decode(payload)?;
    let configuration = request
        .conf()
        .map(|entry| PluginConf {
            name: String::from_utf8_lossy(entry.name).into(),
            text: entry.value.unwrap_or_default().into(),
        })
        .collect::<Configuration>();
    let route = String::from_utf8_lossy(request.key().unwrap_or_default());
    let conf_token = context
        .confs
        .token_for(context.tenant, configuration, &route);
    Ok(Outcome::Prepared { conf_token })
}
