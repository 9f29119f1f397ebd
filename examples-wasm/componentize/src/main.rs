//! `componentize INPUT.wasm -o OUTPUT.wasm`: turns the core module that
//! `cargo build` leaves into the component that the runner loads. It must not
//! know what a filter is: the module carries its interface in custom sections.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use wit_component::ComponentEncoder;

const USAGE: &str = "usage: componentize INPUT.wasm -o OUTPUT.wasm";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "componentize: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: impl Iterator<Item = OsString>) -> Result<()> {
    let (input, output) = parse(args).context(USAGE)?;
    let module = fs::read(&input).with_context(|| format!("cannot read {}", input.display()))?;
    let component =
        componentize(&module).with_context(|| format!("cannot use {}", input.display()))?;
    replace(&output, &component).with_context(|| format!("cannot write {}", output.display()))
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Result<(PathBuf, PathBuf)> {
    let (mut input, mut output) = (None, None);
    while let Some(arg) = args.next() {
        let place = if arg == "-o" { &mut output } else { &mut input };
        let value = if arg == "-o" { args.next() } else { Some(arg) };
        if place.is_some() {
            bail!("one input and one output");
        }
        *place = value.map(PathBuf::from);
    }
    match (input, output) {
        (Some(input), Some(output)) => Ok((input, output)),
        (None, _) => bail!("the input is missing"),
        (_, None) => bail!("the output is missing"),
    }
}

fn componentize(module: &[u8]) -> Result<Vec<u8>> {
    // The preamble's second half tells the two formats apart: version 1 is a
    // core module, 13 with layer 1 a component.
    match module.get(..8) {
        Some(b"\0asm\x01\0\0\0") => {}
        Some(b"\0asm\x0d\0\x01\0") => bail!("it is a component already"),
        _ => bail!("it is not a WebAssembly module"),
    }
    // The encoder would make an empty component of a module without these.
    let name = b"component-type";
    ensure!(
        module.windows(name.len()).any(|window| window == name),
        "it does not describe its interface; was it built with guest-sdk or wit-bindgen?"
    );
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("its description of its interface is broken")?
        .encode()
        .context("what it imports and exports is not what its interface says")
}

/// Whoever watches the folder sees the old file or the whole new one.
fn replace(output: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = output.file_name().context("not a file name")?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = output.with_file_name(name);
    fs::write(&temporary, bytes)?;
    fs::rename(&temporary, output).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{componentize, parse};

    #[test]
    fn what_is_no_module_with_an_interface_is_named() {
        let table: [(&[u8], &str); 4] = [
            (b"", "it is not a WebAssembly module"),
            (b"#!/bin/sh", "it is not a WebAssembly module"),
            (b"\0asm\x0d\0\x01\0", "it is a component already"),
            (
                b"\0asm\x01\0\0\0",
                "it does not describe its interface; was it built with guest-sdk or wit-bindgen?",
            ),
        ];
        for (bytes, reason) in table {
            let error = componentize(bytes).expect_err("no component can be made of it");
            assert_eq!(error.to_string(), reason);
        }
    }

    #[test]
    fn one_input_and_one_output_are_needed_in_any_order() {
        let parse = |line: &str| parse(line.split_whitespace().map(Into::into));
        for line in ["a.wasm -o b.wasm", "-o b.wasm a.wasm"] {
            let (input, output) = parse(line).expect("a complete command");
            assert_eq!((input, output), ("a.wasm".into(), "b.wasm".into()));
        }
        for line in [
            "",
            "a.wasm",
            "-o b.wasm",
            "a.wasm -o",
            "a c -o b",
            "a -o b -o c",
        ] {
            parse(line).expect_err(line);
        }
    }
}
