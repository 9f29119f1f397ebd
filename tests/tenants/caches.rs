//! What is kept to be found again: configurations in memory, compiled components
//! on disk. What one tenant fills or breaks, another does not lose.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use harness::guests::stopping_with;

use crate::house::{House, ISOLATIONS, Plan, UNKNOWN_TOKEN, tenant};
use crate::processes::soon_some;
use crate::stage::answer;

#[test]
fn configurations_of_one_tenant_should_not_drive_out_anothers() {
    /// Together several times the memory that the tenant has.
    const MANY: usize = 6000;
    for isolation in ISOLATIONS {
        let limits = "limits: {configurations_mib: 1}";
        let house = House::new(
            isolation,
            "",
            &[
                tenant("a").with(limits).module("same", stopping_with(201)),
                tenant("b").with(limits).module("same", stopping_with(202)),
            ],
        );
        let mut b = house.client("b");
        let kept: Vec<u32> = (0..100)
            .map(|number: u32| b.prepare(&[("same", &number.to_string())]).expect("token"))
            .collect();
        let (mut a, filling) = (house.client("a"), "x".repeat(512));
        let of_a: Vec<u32> = (0..MANY)
            .map(|number| {
                let text = format!("{number} {filling}");
                a.prepare(&[("same", &text)]).expect("token")
            })
            .collect();
        let dropped = "wasm_runner_configurations_dropped_total";
        assert!(house.figure(dropped, "a", &[]) > 0.0, "{isolation}");
        let mut unknown = |token: &u32| a.call(*token) == Ok(UNKNOWN_TOKEN);
        assert!(of_a.iter().any(&mut unknown), "{isolation}");
        for token in kept {
            let status = answer(b.call(token).expect("a reply"));
            assert_eq!(status, Some(202), "{isolation}");
        }
        assert_eq!(house.figure(dropped, "b", &[]), 0.0, "{isolation}");
        assert_eq!(house.figure("wasm_runner_configurations", "b", &[]), 100.0);
    }
}

/// The compiled components of a tenant.
fn compiled(plan: &Plan, tenant: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(plan.at("cache").join(tenant)).expect("a folder");
    let files = folder.map(|file| file.expect("a file").path());
    files
        .filter(|file| file.extension().is_some_and(|of| of == "cwasm"))
        .collect()
}

/// Where the code of a tenant's plugin came from, as its process says. Its line may
/// still be on its way when the plugin can be called.
fn origin(house: &House, tenant: &str) -> &'static str {
    let file = house.plan.modules(tenant).join("same.wasm");
    let file = file.to_str().expect("UTF-8");
    let line = soon_some(|| {
        let log = house.runner.log();
        let said = |line: &&str| line.contains("plugin same is ready") && line.contains(file);
        log.lines().find(said).map(str::to_owned)
    });
    let line = line.unwrap_or_else(|| panic!("{}", house.runner.log()));
    match line.contains("from the cache") {
        true => "cache",
        false => "compiled",
    }
}

#[test]
fn what_happens_to_one_tenants_compiled_code_should_be_nothing_to_another() {
    type Harm = fn(&PathBuf);
    let harms: [(&str, Harm); 3] = [
        ("removed", |file| fs::remove_file(file).expect("removed")),
        ("damaged", |file| {
            let mut bytes = fs::read(file).expect("file");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(file, bytes).expect("written");
        }),
        ("another installation's", |file| {
            fs::remove_file(file.with_file_name("secret")).expect("removed");
        }),
    ];
    for isolation in ISOLATIONS {
        let both = ["a", "b"].map(|name| tenant(name).module("same", stopping_with(201)));
        let mut house = House::new(isolation, "", &both);
        let [of_a, of_b] = ["a", "b"].map(|name| compiled(&house.plan, name));
        assert_eq!((of_a.len(), of_b.len()), (1, 1), "{isolation}");
        house = house.restarted();
        assert_eq!(["a", "b"].map(|name| origin(&house, name)), ["cache"; 2]);
        for (what, harm) in harms {
            harm(&of_a[0]);
            house = house.restarted();
            let origins = ["a", "b"].map(|name| origin(&house, name));
            assert_eq!(origins, ["compiled", "cache"], "{isolation}: {what}");
            for name in ["a", "b"] {
                house.caller(name, "same", "").always(1, 201);
            }
        }
        // Nor does one read what another compiled, though it is the same.
        fs::copy(&of_b[0], &of_a[0]).expect("copied");
        house = house.restarted();
        let origins = ["a", "b"].map(|name| origin(&house, name));
        assert_eq!(origins, ["compiled", "cache"], "{isolation}: copied");
    }
}

#[test]
fn a_tenant_that_fills_its_part_of_the_disk_should_leave_anothers() {
    const PART: u64 = 1 << 20;
    for isolation in ISOLATIONS {
        let mut a = tenant("a");
        for status in 201..300 {
            a = a.module(&format!("m{status}"), stopping_with(status));
        }
        let b = tenant("b").module("same", stopping_with(201));
        let house = House::new(isolation, "cache: {dir: HERE/cache, max_mib: 2}", &[a, b]);
        let files = compiled(&house.plan, "a");
        let size = |file: &PathBuf| fs::metadata(file).expect("metadata").size();
        let bytes: u64 = files.iter().map(size).sum();
        assert!(files.len() < 99, "{bytes} bytes are not enough to fill it");
        assert!(bytes <= PART, "{bytes}");
        assert_eq!(compiled(&house.plan, "b").len(), 1, "{isolation}");
        let house = house.restarted();
        assert_eq!(origin(&house, "b"), "cache", "{isolation}");
    }
}
