//! What the gateway needs to be told beyond what the filters changed, so that
//! a change arrives as it was meant. The rules are those of
//! `apisix/plugins/ext-plugin/init.lua` and `ext-plugin-post-resp.lua`; this
//! knows them, and no wire.

pub mod request;
pub mod response;
