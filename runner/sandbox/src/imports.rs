//! Says, in the author's terms, why a component's imports do not fit: which
//! interface, which version, which function. wasmtime would say only that no
//! matching implementation was found. And, in the operator's terms, what a
//! component asks for that was not granted: it is not loaded, so that whoever
//! installs a filter sees what it can reach.

use wasmtime::component::Component;
use wasmtime::component::types::{ComponentInstance, ComponentItem};

use crate::{Grant, Grants, LoadError};

pub(crate) const PACKAGE: &str = "apisix:filter/";
pub(crate) const VERSION: &str = "0.1.0";

/// The interfaces a filter may import, with the text that declares them.
pub(crate) const OFFERED: [(&str, &str); 12] = [
    ("types", include_str!("../../../wit/types.wit")),
    ("request", include_str!("../../../wit/request.wit")),
    ("response", include_str!("../../../wit/response.wit")),
    ("variables", include_str!("../../../wit/variables.wit")),
    ("chain", include_str!("../../../wit/chain.wit")),
    ("log", include_str!("../../../wit/log.wit")),
    ("clock", include_str!("../../../wit/clock.wit")),
    ("plugin", include_str!("../../../wit/plugin.wit")),
    ("http", include_str!("../../../wit/http.wit")),
    ("key-value", include_str!("../../../wit/key-value.wit")),
    ("secrets", include_str!("../../../wit/secrets.wit")),
    ("random", include_str!("../../../wit/random.wit")),
];

/// The standard interfaces that always link and do nothing harmful
/// (wasmtime-wasi's p2 set).
const OFFERED_WASI: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Of `wasi:http`, what a guest asks; not that by which it would be asked.
const OFFERED_WASI_HTTP: [&str; 2] = ["wasi:http/types@0.2.", "wasi:http/outgoing-handler@0.2."];

/// What has to be linked into a component beside our own interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    Own,
    Wasi,
    WasiHttp,
}

/// What the component needs linked.
pub(crate) fn surroundings(component: &Component) -> Needed {
    let ty = component.component_type();
    let mut needed = Needed::Own;
    for (name, _) in ty.imports(component.engine()) {
        if name.starts_with("wasi:http/") {
            return Needed::WasiHttp;
        }
        if name.starts_with("wasi:") {
            needed = Needed::Wasi;
        }
    }
    needed
}

/// Checks every import by name, and whether the plugin was granted it;
/// signatures are checked when it is linked.
pub(crate) fn check(component: &Component, plugin: &str, grants: &Grants) -> Result<(), LoadError> {
    let ty = component.component_type();
    for (name, item) in ty.imports(component.engine()) {
        let is_one_of = |offered: &[&str]| offered.iter().any(|offered| name.starts_with(offered));
        match name.strip_prefix(PACKAGE) {
            Some(interface) => check_own(component, interface, &item.ty)?,
            None if is_one_of(&OFFERED_WASI) => {}
            None if is_one_of(&OFFERED_WASI_HTTP) => {}
            None => return Err(unknown(name)),
        }
        match Grant::of_import(name) {
            Some(grant) if !grants.has(grant) => {
                return Err(LoadError::NotGranted {
                    import: name.to_owned(),
                    line: grant.line(plugin),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks that the interfaces we call are of a version we can call.
pub(crate) fn check_exports(component: &Component) -> Result<(), LoadError> {
    let ty = component.component_type();
    for (name, _) in ty.exports(component.engine()) {
        let version = name
            .strip_prefix(PACKAGE)
            .and_then(|export| export.split_once('@'));
        if version.is_some_and(|(_, version)| !on_the_same_track(version)) {
            let (export, offered) = (name.to_owned(), VERSION.to_owned());
            return Err(LoadError::ExportVersion { export, offered });
        }
    }
    Ok(())
}

/// Checks a function of one of our interfaces, `import` without the package.
pub(crate) fn check_function(import: &str, function: &str) -> Result<(), LoadError> {
    let (interface, text) = offered(import)?;
    match declares(text, function) {
        true => Ok(()),
        false => Err(unknown_function(interface, function)),
    }
}

/// The interface and its text, where it is one of ours in a version of ours.
fn offered(import: &str) -> Result<(&str, &'static str), LoadError> {
    let (interface, wanted) = import.split_once('@').unwrap_or((import, "no version"));
    let Some((_, text)) = OFFERED.iter().find(|(offered, _)| *offered == interface) else {
        return Err(unknown(&format!("{PACKAGE}{import}")));
    };
    if !on_the_same_track(wanted) {
        return Err(LoadError::ImportVersion {
            interface: format!("{PACKAGE}{interface}"),
            wanted: wanted.to_owned(),
            offered: VERSION.to_owned(),
        });
    }
    Ok((interface, text))
}

fn check_own(component: &Component, import: &str, item: &ComponentItem) -> Result<(), LoadError> {
    let (interface, text) = offered(import)?;
    match item {
        ComponentItem::ComponentInstance(instance) => {
            check_functions(component, interface, text, instance)
        }
        _ => Err(unknown(&format!(
            "{PACKAGE}{import} as something that is no interface"
        ))),
    }
}

/// Versions below 1.0.0 are compatible within their minor version.
pub(crate) fn on_the_same_track(wanted: &str) -> bool {
    let minor = |version: &str| version.rsplit_once('.').map(|(minor, _)| minor.to_owned());
    !wanted.contains('-') && minor(wanted) == minor(VERSION)
}

fn check_functions(
    component: &Component,
    interface: &str,
    text: &str,
    instance: &ComponentInstance,
) -> Result<(), LoadError> {
    for (function, item) in instance.exports(component.engine()) {
        let is_function = matches!(item.ty, ComponentItem::ComponentFunc(_));
        if is_function && !declares(text, function) {
            return Err(unknown_function(interface, function));
        }
    }
    Ok(())
}

fn unknown_function(interface: &str, function: &str) -> LoadError {
    LoadError::UnknownFunction {
        interface: format!("{PACKAGE}{interface}"),
        function: function.to_owned(),
        offered: VERSION.to_owned(),
    }
}

/// Whether a WIT text declares a function of this name.
fn declares(text: &str, function: &str) -> bool {
    text.lines().any(|line| {
        line.trim_start()
            .strip_prefix(function)
            .is_some_and(|rest| rest.starts_with(": func("))
    })
}

fn unknown(import: &str) -> LoadError {
    let own: Vec<&str> = OFFERED.iter().map(|(name, _)| *name).collect();
    LoadError::UnknownImport {
        import: import.to_owned(),
        offered: format!(
            "{PACKAGE}{{{}}}@{VERSION} and the standard wasi:{{cli,clocks,filesystem,io,random,sockets}} \
             and wasi:http/{{types,outgoing-handler}}@0.2",
            own.join(",")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_should_be_found_by_its_whole_name() {
        let text =
            "  path: func() -> string;\n  path-bytes: func() -> list<u8>;\n/// header: func(";
        for (name, found) in [
            ("path", true),
            ("path-bytes", true),
            ("header", false),
            ("pat", false),
        ] {
            assert_eq!(declares(text, name), found, "{name}");
        }
    }

    #[test]
    fn only_the_same_minor_version_should_match() {
        for (wanted, fits) in [
            ("0.1.0", true),
            ("0.1.7", true),
            ("0.2.0", false),
            ("1.1.0", false),
            ("0.1.0-rc.1", false),
            ("no version", false),
        ] {
            assert_eq!(on_the_same_track(wanted), fits, "{wanted}");
        }
    }
}
