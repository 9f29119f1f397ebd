//! What the errors of all interfaces have in common: a kind, as the interface
//! spells it, and a text. Must not know which cases there are.

/// Gives `Error`, whose cases each hold a text, these kinds.
macro_rules! error_kinds {
    ($($case:ident = $kind:literal),+ $(,)?) => {
        impl Error {
            /// The case's name as the interface spells it, such as `invalid`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Error::$case(_) => $kind,)+
                }
            }

            /// The host's explanation, without the kind.
            pub fn text(&self) -> &str {
                match self {
                    $(Error::$case(text))|+ => text,
                }
            }
        }

        impl std::fmt::Display for Error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.kind())?;
                f.write_str(": ")?;
                f.write_str(self.text())
            }
        }

        impl std::error::Error for Error {}
    };
}

pub(crate) use error_kinds;
