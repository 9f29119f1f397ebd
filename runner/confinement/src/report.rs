//! What came of it: a line for the log, and a line for each thing that is
//! missing.

use std::fmt;

/// A part of the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// No program that this process starts has more rights than it.
    NoNewPrivs,
    /// What root may do beyond others.
    Capabilities,
    /// Files and connections.
    Landlock,
    /// System calls.
    Seccomp,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::NoNewPrivs => "no_new_privs",
            Part::Capabilities => "capabilities",
            Part::Landlock => "landlock",
            Part::Seccomp => "seccomp",
        })
    }
}

/// Something that this process could not give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which part lacks it.
    pub part: Part,
    /// What is open, and why.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.why)
    }
}

/// A part that is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enforced {
    /// See [`Part::NoNewPrivs`].
    NoNewPrivs,
    /// See [`Part::Capabilities`]. Only where there were more before.
    Capabilities {
        /// Those that are left, with the kernel's names.
        left: String,
    },
    /// See [`Part::Landlock`].
    Landlock {
        /// The kernel's version of it that is used.
        abi: u32,
        /// Files and folders that stay open in some way.
        paths: usize,
        /// Of TCP: "closed", or what is open.
        tcp: String,
    },
    /// See [`Part::Seccomp`].
    Seccomp {
        /// Those that are left, with any or with some arguments.
        system_calls: usize,
    },
}

impl fmt::Display for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Enforced::NoNewPrivs => f.write_str("no_new_privs"),
            Enforced::Capabilities { left } => write!(f, "capabilities ({left})"),
            Enforced::Landlock { abi, paths, tcp } => {
                write!(f, "landlock (ABI {abi}: {paths} paths, TCP {tcp})")
            }
            Enforced::Seccomp { system_calls } => {
                write!(f, "seccomp ({system_calls} system calls)")
            }
        }
    }
}

/// What is active, what is missing, what is worth a remark. Shown, it is one
/// line of what is active.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Report {
    enforced: Vec<Enforced>,
    missing: Vec<Missing>,
    remarks: Vec<String>,
}

impl Report {
    pub(crate) fn lacking(part: Part, why: impl Into<String>) -> Self {
        let mut report = Report::default();
        report.lacks(part, why);
        report
    }

    pub(crate) fn lacks(&mut self, part: Part, why: impl Into<String>) {
        let why = why.into();
        self.missing.push(Missing { part, why });
    }

    pub(crate) fn has(&mut self, enforced: Enforced) {
        self.enforced.push(enforced);
    }

    pub(crate) fn remark(&mut self, text: String) {
        self.remarks.push(text);
    }

    /// Both, as one.
    pub fn and(mut self, other: Report) -> Self {
        self.enforced.extend(other.enforced);
        self.missing.extend(other.missing);
        self.remarks.extend(other.remarks);
        self
    }

    /// What is active.
    #[must_use]
    pub fn enforced(&self) -> &[Enforced] {
        &self.enforced
    }

    /// What is not, each worth a warning.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// What whoever named the paths may want to know: those that are not there.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.enforced.iter().map(ToString::to_string).collect();
        let parts = match parts.is_empty() {
            true => "nothing of it is active".to_owned(),
            false => parts.join(", "),
        };
        write!(f, "second wall: {parts}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_should_be_one_line_of_what_is_active() {
        let mut early = Report::default();
        early.has(Enforced::NoNewPrivs);
        early.has(Enforced::Capabilities {
            left: "chown".into(),
        });
        early.has(Enforced::Landlock {
            abi: 7,
            paths: 14,
            tcp: "closed".into(),
        });
        let mut late = Report::default();
        late.has(Enforced::Seccomp { system_calls: 112 });
        let none = Report::lacking(Part::Seccomp, "this kernel has none");
        let rows = [
            (
                early.clone().and(late),
                "second wall: no_new_privs, capabilities (chown), landlock (ABI 7: 14 paths, TCP closed), seccomp (112 \
                 system calls)",
                "",
            ),
            (
                early.and(none.clone()),
                "second wall: no_new_privs, capabilities (chown), landlock (ABI 7: 14 paths, TCP closed)",
                "seccomp: this kernel has none",
            ),
            (
                none,
                "second wall: nothing of it is active",
                "seccomp: this kernel has none",
            ),
        ];
        for (report, line, missing) in rows {
            assert_eq!(report.to_string(), line);
            let told: Vec<_> = report.missing().iter().map(Missing::to_string).collect();
            assert_eq!(told.join("; "), missing);
        }
    }
}
