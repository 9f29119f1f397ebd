//! Platforms without landlock: nothing is given up.

use crate::{Part, Report};

pub(crate) fn raise_early() -> Report {
    let why = "only Linux has it";
    Report::lacking(Part::NoNewPrivs, why).and(Report::lacking(Part::Landlock, why))
}
