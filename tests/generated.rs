//! What is generated from wit/ and committed is what wit/ gives. `./just gen`
//! writes it anew (this test with GENERATE set).

use std::path::{Path, PathBuf};

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a generator makes of a world, by file name. Bindings are of `filter`:
/// toolchains that import a whole world would import what needs a grant.
fn generated(world: &str, mut generator: Box<dyn WorldGenerator>) -> Vec<(String, Vec<u8>)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit")).expect("wit/");
    let world = resolve
        .select_world(&[package], Some(world))
        .expect("the world");
    let mut files = Files::default();
    generator
        .generate(&mut resolve, world, &mut files)
        .expect("generated");
    files
        .iter()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect()
}

fn assert_is(file: &str, expected: &[u8]) {
    let path = root().join(file);
    if std::env::var_os("GENERATE").is_some() {
        return std::fs::write(&path, expected).expect(file);
    }
    let found = std::fs::read(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} is not what wit/ gives; run `./just gen`"
    );
}

#[test]
fn the_reference_should_be_that_of_the_interface() {
    let files = generated(
        "filter-with-services",
        wit_bindgen_markdown::Opts::default().build(),
    );
    let (_, text) = files
        .iter()
        .find(|(name, _)| name.ends_with(".md"))
        .expect("a page");
    assert_is("docs/wit.md", text);
}

#[test]
fn the_bindings_for_c_should_be_those_of_the_interface() {
    let files = generated("filter", wit_bindgen_c::Opts::default().build());
    assert_eq!(files.len(), 3, "a header, a source and an object");
    for (name, bytes) in files {
        assert_is(&format!("templates/c/bindings/{name}"), &bytes);
    }
}

/// Their runtime and their types are no package that a registry here has, so
/// those are ours.
#[test]
fn the_bindings_for_go_should_be_those_of_the_interface() {
    let options = wit_bindgen_go::Opts {
        // Whatever gofmt there is would have a say otherwise.
        format: wit_bindgen_go::Format::False,
        pkg_name: Some("my-filter/apisix/internal".into()),
        ..wit_bindgen_go::Opts::default()
    };
    let files = generated("filter", options.build());
    let mut compared = 0;
    for (name, bytes) in files {
        // Beside each there is a file that says nothing, so that Go takes
        // functions without a body; ours say why they are there.
        let Some(package) = name.strip_suffix("/wit_bindings.go") else {
            continue;
        };
        let text = String::from_utf8(bytes).expect("source");
        let text = text.replace(
            "go.bytecodealliance.org/pkg/wit/",
            "my-filter/apisix/internal/",
        );
        assert_is(
            &format!("templates/go/apisix/internal/{package}/wit_bindings.go"),
            text.as_bytes(),
        );
        compared += 1;
    }
    assert!(compared > 5, "{compared} files");
}
