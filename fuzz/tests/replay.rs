//! Every seed, and a run of made-up inputs that is the same each time: what was
//! found once is not found again by somebody else. `./just fuzz` goes on from
//! here.

use fuzz::campaign::{Campaign, Tally, attempt};
use fuzz::{TARGETS, corpus, targets};

/// One in so many inputs has to mean something to its target, or the run
/// attacks nothing but the first check.
const READ: u64 = 20;

fn check(name: &str) {
    let target = targets::named(name).expect("a target");
    for seed in corpus::seeds(name).expect("a folder of seeds") {
        if let Err(message) = attempt(target, &seed.bytes) {
            panic!("corpus/{name}/{}: {message}", seed.name);
        }
    }
    let mut tally = Tally::default();
    let campaign = Campaign::new(target, 1).expect("seeds");
    if let Err(fault) = campaign.attack(0..target.tried_by_tests, &mut tally) {
        let input = fault.input.escape_ascii();
        panic!("input {}: {}\n{input}", fault.number, fault.message);
    }
    assert!(tally.read * READ > tally.tried, "{tally:?}");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_target_should_have_a_test() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    frames prepare_conf request_call response_call answer error_code reply_decoder replies
    outcomes configuration components core_modules plugins urls merged_metrics
}

/// Without these nothing would be compared.
#[test]
fn some_components_should_be_rebuilt_and_captured() {
    let seed = |target: &str, name: &str| {
        std::fs::read(corpus::folder(target).join(name)).expect("a seed")
    };
    for name in ["calls-the-host", "table-and-host", "rewrite"] {
        let rebuilt = sandbox::fuzz::without_shim(&seed("components", name));
        assert!(rebuilt.is_some(), "{name} keeps its shim");
    }
    for name in ["nothing", "counts", "remembers", "calls-the-host"] {
        let rebuilt = sandbox::fuzz::with_restore(&seed("components", name));
        assert!(rebuilt.is_some(), "{name} is not put back");
        assert!(
            targets::plugins::is_captured(&seed("plugins", name)),
            "{name}"
        );
    }
}
