//! Why a configuration cannot be used: where, and what would have been
//! accepted. Must not know how that is found out.

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not YAML, or a key is unknown or of the wrong type.
    #[error("{file}:{line}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong, and what was probably meant.
        message: String,
    },
    /// A value cannot be used.
    #[error("{place}: {key}: {message}")]
    Value {
        /// File and line.
        place: String,
        /// The key.
        key: String,
        /// What is wrong and what would do.
        message: String,
    },
    /// The gateway's variable is no number of seconds.
    #[error("APISIX_CONF_EXPIRE_TIME is {0:?}; it takes a whole number of seconds")]
    ExpireTime(String),
    /// An address from elsewhere that cannot be used.
    #[error("{from}: {message}")]
    Address {
        /// Where it was given.
        from: &'static str,
        /// What is wrong and what would do.
        message: String,
    },
}
