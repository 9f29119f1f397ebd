//! Tokens and names: what one tenant's gateway was given means nothing where
//! another's connects, and the same name is another plugin there.

use harness::guests::stopping_with;

use crate::house::{Caller, House, ISOLATIONS, UNKNOWN_TOKEN, tenant};
use crate::stage::answer;

/// A token of the one is none of the other.
fn unknown_elsewhere(owner: &mut Caller, other: &mut Caller, text: &str, status: u16) {
    let token = owner.client.prepare(&[("same", text)]).expect("token");
    assert_eq!(other.client.call(token), Ok(UNKNOWN_TOKEN));
    let own = owner.client.call(token).expect("a reply");
    assert_eq!(answer(own), Some(status));
}

#[test]
fn a_token_of_one_tenant_should_mean_nothing_to_another() {
    for isolation in ISOLATIONS {
        let house = House::new(
            isolation,
            "",
            &[
                tenant("a").module("same", stopping_with(201)),
                tenant("b").module("same", stopping_with(202)),
            ],
        );
        let mut callers = [201, 202].map(|status| {
            let name = if status == 201 { "a" } else { "b" };
            (house.caller(name, "same", "the same text"), status)
        });
        for _ in 0..3 {
            for (caller, status) in &mut callers {
                caller.always(3, *status);
            }
        }
        let [(mut a, _), (mut b, _)] = callers;
        for number in 0..20 {
            let text = number.to_string();
            unknown_elsewhere(&mut a, &mut b, &text, 201);
            unknown_elsewhere(&mut b, &mut a, &text, 202);
        }
        // Whoever was told that a token is unknown goes on with its own.
        a.always(1, 201);
        b.always(1, 202);
    }
}

#[test]
fn a_plugin_of_one_tenant_should_not_be_there_for_another() {
    for isolation in ISOLATIONS {
        let house = House::new(
            isolation,
            "",
            &[
                tenant("a").module("of-a", stopping_with(201)),
                tenant("b").module("of-b", stopping_with(202)),
            ],
        );
        for (name, plugin, expected) in [
            ("a", "of-a", Some(201)),
            ("a", "of-b", None),
            ("b", "of-a", None),
            ("b", "of-b", Some(202)),
        ] {
            let found = house.caller(name, plugin, "").call();
            assert_eq!(found, expected, "{isolation}: {plugin} of {name}");
        }
    }
}
