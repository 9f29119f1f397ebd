//! Opens the cache of compiled components, and tells the operator where it is
//! or why there is none. A runner without one serves the same, and compiles at
//! every start.

use sandbox::DiskCache;

use crate::config::CacheSettings;

/// The first folder that can be used; `None` where none can or none is wanted.
#[must_use]
pub fn open_cache(settings: &CacheSettings) -> Option<DiskCache> {
    if settings.max_bytes == 0 {
        return None;
    }
    let mut refusals = Vec::new();
    for folder in &settings.folders {
        match DiskCache::open(folder, settings.max_bytes) {
            Ok(cache) => {
                let (shown, mib) = (cache.folder().display(), settings.max_bytes >> 20);
                tracing::info!("compiled components are kept in {shown} (at most {mib} MiB)");
                return Some(cache);
            }
            Err(error) => refusals.push(error.to_string()),
        }
    }
    tracing::warn!(
        "compiled components are not kept, so every start compiles them: {}; set cache.dir to a \
         folder of the user who runs this, or cache.max_mib to 0",
        refusals.join("; ")
    );
    None
}
