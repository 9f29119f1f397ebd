//! What a filter is and whether it can serve, before it stands in a folder of
//! modules.

use std::io::Write;
use std::path::Path;

use anstyle::Style;
use anyhow::Result;
use sandbox::{Description, Import, Limits};

use crate::commands::try_filter::{bytes, duration, plugin_name};
use crate::config::Config;
use crate::trial::{Candidate, Workshop};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Functions of one interface that are named. Bindings that bring all of them
/// say nothing of what is used.
const FEW: usize = 12;

/// Loads a filter and says what it is.
///
/// # Errors
/// Where it cannot be loaded: why, in its author's terms.
pub(super) fn run(file: &Path, config: &Config, tenant: Option<&str>) -> Result<()> {
    let name = plugin_name(file)?;
    let of_tenant = config.tenant(tenant).map_err(anyhow::Error::msg)?;
    let limits = of_tenant.plugins.of(&name).settings.limits;
    let workshop = Workshop::open(config, of_tenant)?;
    let candidate = workshop.load(file, &name)?;
    let description = candidate.plugin.describe();
    let mut out = anstream::stdout();
    identity(&mut out, file, &name, &description)?;
    interfaces(&mut out, &name, &description)?;
    costs(&mut out, &candidate, &description, &limits)?;
    Ok(())
}

fn identity(
    out: &mut impl Write,
    file: &Path,
    name: &str,
    description: &Description,
) -> std::io::Result<()> {
    let size = bytes(description.component_size);
    let kind = match description.was_core_module {
        true => "a core module, made a component on load",
        false => "a component",
    };
    writeln!(
        out,
        "{BOLD}{name}{BOLD:#} ({}): {kind}, {size}",
        file.display()
    )?;
    let phases = [
        (
            description.phases.request,
            "requests   ext-plugin-pre-req and ext-plugin-post-req",
        ),
        (
            description.phases.response,
            "responses  ext-plugin-post-resp",
        ),
    ];
    for (serves, phase) in phases {
        match serves {
            true => writeln!(out, "  serves        {phase}")?,
            false => writeln!(out, "  {DIM}does not serve{DIM:#}  {DIM}{phase}{DIM:#}")?,
        }
    }
    Ok(())
}

fn interfaces(out: &mut impl Write, name: &str, description: &Description) -> std::io::Result<()> {
    // What an interpreter exports beside is nobody's business.
    let ours = |export: &&String| export.starts_with("apisix:");
    for export in description.exports.iter().filter(ours) {
        writeln!(out, "  exports       {export}")?;
    }
    let (wasi, own): (Vec<&Import>, Vec<&Import>) = description
        .imports
        .iter()
        .partition(|import| import.interface.starts_with("wasi:"));
    for import in own {
        let functions = match import.functions.len() {
            few if few <= FEW => import.functions.join(", "),
            many => format!("{many} functions"),
        };
        writeln!(
            out,
            "  imports       {} {DIM}{functions}{DIM:#}",
            import.interface
        )?;
    }
    if !wasi.is_empty() {
        let count = wasi.len();
        writeln!(
            out,
            "  imports       {count} interfaces of WASI {DIM}output goes to the log, clocks tell \
             milliseconds, all else is empty{DIM:#}"
        )?;
    }
    if description.grants.is_empty() {
        return writeln!(out, "  needs         no grants");
    }
    for grant in &description.grants {
        writeln!(out, "  needs         {}", grant.line(name))?;
    }
    Ok(())
}

fn costs(
    out: &mut impl Write,
    candidate: &Candidate<'_>,
    description: &Description,
    limits: &Limits,
) -> std::io::Result<()> {
    let (loaded, code) = (duration(candidate.loaded_in), bytes(description.code_size));
    let how = match candidate.was_compiled() {
        true => "compiled",
        false => "read from the cache",
    };
    writeln!(out, "  code          {code}, {how} in {loaded}")?;
    let (initial, most) = (bytes(description.initial_memory), bytes(limits.memory));
    let (elements, most_elements) = (description.initial_table_elements, limits.table_elements);
    writeln!(
        out,
        "  memory        {initial} to begin with, of at most {most} (limits.memory_mib); {elements} \
         table elements of {most_elements}"
    )?;
    writeln!(
        out,
        "  places        {} for each instance",
        description.places
    )?;
    match &description.not_capturable {
        None => writeln!(
            out,
            "  snapshot      can be made of a configuration that is used often, unless configure asks \
             for the time or for random numbers"
        ),
        Some(reason) => writeln!(
            out,
            "  snapshot      none, so each fresh instance runs configure: {reason}"
        ),
    }
}
